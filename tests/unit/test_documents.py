"""Which facts are published, which stay with the steward, and that neither changes by itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from all_documents import write_documents
from sample_report import AS_OF, EARLIER, attacks, exposure, make_report, released, utility

from stepdown.release.documents.documents import PUBLISHED, read_full_report
from stepdown.release.documents.gate import Decision
from stepdown.release.documents.report_facts import measures, public_checks, spread
from stepdown.release.documents.steward_facts import changes, exposed_groups
from stepdown.release.documents.summary import run_summary
from stepdown.release.documents.wording import fixed_text
from stepdown.reports import AttackReport, ColumnUtility, TierReport, Verdict
from stepdown.vocabulary import Tier

CANARY = "kanarienvogel"


def written(folder: Path, tier: Tier = Tier.PUBLIC, **facts: Any) -> Path:
    """A folder with the documents of a report in which ``facts`` are changed."""
    previous = facts.pop("previous", None)
    refused = facts.pop("refused", False)
    sample, report, decision = make_report(folder, tier, refused=refused)
    report = replace(report, **facts)
    write_documents(sample.loaded, sample.candidate, report, decision, AS_OF, previous=previous)
    return folder


def texts(folder: Path, *names: str) -> dict[str, str]:
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def test_the_published_documents_hold_nothing_of_the_tier_above(tmp_path: Path) -> None:
    folder = written(tmp_path)
    for name, text in texts(folder, *PUBLISHED).items():
        for word in (
            "14,704 of 15,000", "15000", "15,000", "records_above", "hellinger", "before",
            "level 2", "levels", "suppressed_cells", "held_back", "lost_to", "gap", "lattice",
            EARLIER, "smallest_groups", "contributions", "0.79", "79%", "frontier", "k = 20",
            "next_steps", "1.23%", "0.0123", "control", "attempts", "interval", str(tmp_path),
            "subjects", "weight", "highest_risk", "0.25", "suppressed records",
            "parent", '"measured"',
        ):  # fmt: skip
            found = re.search(rf"(?<![\w.]){re.escape(word)}(?![\w.])", visible(name, text))
            assert not found, (name, word)


def visible(name: str, text: str) -> str:
    """A page without its style sheet and the fixed sentence under the attacks."""
    if not name.endswith(".html"):
        return text
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    for words in ("95 % interval", "what was released before"):
        text = text.replace(words, "")
    return text


def test_the_steward_is_told_all_of_it(tmp_path: Path) -> None:
    text = (written(tmp_path) / "steward-report.html").read_text()
    for words in (
        "14,704 of 15,000", "79%", "k = 20", "k = 11 (chosen)", "1.23%", "0.4% – 3.1%",
        EARLIER, "2 of 24 records are new", "[85, 90)", "the tier above",
        "not for publication",
    ):  # fmt: skip
        assert words in text, words


def test_the_stewards_documents_are_for_nobody_else(tmp_path: Path) -> None:
    folder = written(tmp_path, refused=True)
    for name in ("steward-report.html", "tier-report.json", "config.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert name not in PUBLISHED


def test_the_published_documents_do_not_depend_on_earlier_releases(tmp_path: Path) -> None:
    """Otherwise a run on unchanged data would never find that nothing changed."""
    first = written(tmp_path / "first")
    previous = read_full_report(first)
    sha256 = previous["sha256"] if previous else ""
    found = attacks(sha256)
    alone = tuple(result for result in found.results if not result.against)
    second = written(
        tmp_path / "second", previous=previous, attacks=AttackReport(sha256, alone, ())
    )
    before = texts(written(tmp_path / "third", attacks=found), *PUBLISHED)
    assert texts(second, *PUBLISHED) == before
    assert "There is no earlier version" in (first / "steward-report.html").read_text()
    assert "There is no earlier version" not in (second / "steward-report.html").read_text()


def told(folder: Path, tier: Tier, *verdicts: Verdict) -> dict[str, Any]:
    """The published checks of a decision, by name."""
    sample, _, _ = make_report(folder, tier)
    decision = Decision("d", "publish", verdicts)  # type: ignore[arg-type]
    checks = public_checks(sample.loaded.config, sample.candidate, decision)
    assert all(check.keys() == {"check", "limit", "passed"} for check in checks)
    return {check["check"]: (check["limit"], check["passed"]) for check in checks}


def test_a_check_is_published_as_its_limit_and_that_it_was_kept(tmp_path: Path) -> None:
    verdicts = (
        Verdict("smallest_class", True, "12 people", "", 12, 11),
        Verdict("smallest_class", False, "3 people", "", 3, 11),
        Verdict("distinct_l:result", True, "", "", 2, 2),
        Verdict("suppressed_records", True, "", "", 0.0391849, 0.1),
        Verdict("attack_inference:result", True, "", "", 0.0903, 0.2),
        Verdict("attack_inference:age", True, "", "", 0.05, 0.2),
        Verdict("rare_values:result", True, "", "", 12, 11),
    )
    assert told(tmp_path, Tier.PUBLIC, *verdicts) == {
        "smallest_class": (11, False),
        "suppressed_records": (0.1, True),
        "distinct_l:result": (2, True),
        "attack_inference": (1 / 11, True),
        "rare_values": (11, True),
        "other_checks": (None, True),
    }


def test_a_check_that_nobody_listed_is_published_as_one_of_the_others(tmp_path: Path) -> None:
    """Neither its name nor its limit: whether it is asked can tell of what is withheld."""
    verdicts = (
        Verdict("no_free_text", True, "", "", 7, 7),
        Verdict("household_expected_reidentifications", True, "", "", 0.0123, 0.03),
        Verdict("distinct_l:a_column_that_is_not_released", True, "", "", 2, 2),
        Verdict("joint_view_with_public", True, "", "", 12, 11),
    )
    assert told(tmp_path, Tier.PUBLIC, *verdicts) == {"other_checks": (None, True)}
    failed = replace(verdicts[0], passed=False)
    assert told(tmp_path / "f", Tier.PUBLIC, *verdicts, failed) == {"other_checks": (None, False)}


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = ["tests/unit"]
from test_documents import written
written(Path(sys.argv[1]))
"""


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Other hash seed, other charts drawn before, another folder."""
    here = written(tmp_path / "here")
    written(tmp_path / "again", refused=True)
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Pacific/Apia", "LC_ALL": "C"}
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "there")],
        check=True, cwd=root, env=environment | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    names = (*PUBLISHED, "steward-report.html", "tier-report.json")
    assert texts(here, *names) == texts(tmp_path / "there", *names)


def test_a_rare_value_is_in_no_document(tmp_path: Path) -> None:
    """A raw value in the bins, or in the label of a group, must not come through to a report."""
    bins = (*utility("d").columns["result"].bins[:-1], CANARY)

    def planted(found: Any) -> Any:
        result = replace(found.columns["result"], bins=bins)
        return replace(found, columns=found.columns | {"result": result})

    groups = (({"age": f"{CANARY}-age", "sex": CANARY}, 1),)
    for tier in (Tier.INTERNAL, Tier.PUBLIC):
        folder = tmp_path / tier.value
        sample, report, decision = make_report(folder, tier)
        derive = replace(report.derive, levels={"age": 0, "sex": 0})
        report = replace(
            report, derive=derive, utility=planted(utility("d")), released=planted(released("d")),
            exposure=replace(exposure(), smallest_groups=groups),
        )  # fmt: skip
        write_documents(sample.loaded, sample.candidate, report, decision, AS_OF)
        pages = texts(folder, *PUBLISHED, "steward-report.html")
        assert [name for name, text in pages.items() if CANARY in text] == []


def test_a_group_is_named_only_by_what_its_tier_may_show(tmp_path: Path) -> None:
    _, report, _ = make_report(tmp_path)
    small, large, _ = exposed_groups(report, 11) or []
    assert small["labels"] == [
        {"column": "age", "shown": True, "label": "[85, 90)"},
        {"column": "sex", "shown": False, "label": None},
    ]
    assert [label["label"] for label in large["labels"]] == ["[85, 90)", "female"]


def test_rare_bins_are_told_together_and_bins_of_the_tier_above_alone_not_at_all() -> None:
    column = ColumnUtility(
        "category",
        bins=("a", "b", "gone", "rare"),
        before=(0.5, 0.3, 0.15, 0.05),
        after=(0.6, 0.36, 0.0, 0.04),
    )
    told = spread("illness", column, 100, 5, before=False)
    assert told == {
        "column": "illness",
        "kind": "category",
        "bins": [
            {"label": "a", "after": 0.6},
            {"label": "b", "after": 0.36},
            {"label": "all others", "after": 0.04},
        ],
    }
    both = spread("illness", column, 100, 5, before=True)
    assert both is not None
    assert both["bins"][-1] == {"label": "all others", "after": 0.04, "before": 0.2}


def test_a_long_scale_is_joined_to_neighbouring_bins_in_their_order() -> None:
    bins = tuple(f"[{low}, {low + 1})" for low in range(40))
    column = ColumnUtility("number", bins=bins, before=(0.025,) * 40, after=(0.025,) * 40)
    told = spread("age", column, 1000, 5, before=False)
    assert told is not None
    assert [one["label"] for one in told["bins"]][:2] == ["[0, 2)", "[2, 4)"]
    assert sum(one["after"] for one in told["bins"]) == pytest.approx(1.0)


def test_what_changed_is_told_from_the_report_of_the_version_before(tmp_path: Path) -> None:
    _, report, _ = make_report(tmp_path)
    previous = report.as_json() | {"columns": ["age", "sex", "weight"]}
    previous["risk"] = previous["risk"] | {"rows": 20}
    previous["derive"] = previous["derive"] | {"levels": {"age": 1, "sex": 0}}
    del previous["risk"]["average_risk"]
    told = {
        (one["what"], one["before"], one["now"])
        for one in changes(report, ["age", "sex", "result"], previous) or []
        if one["before"] != one["now"]
    }
    assert told == {
        ("Records", 20, 24),
        ("Column added", "–", "result"),
        ("Column removed", "weight", "–"),
        ("Level of age", 1, 2),
    }
    assert changes(report, ["age"], None) is None


def test_each_measure_is_told_once_with_the_side_of_its_limit() -> None:
    verdicts = (
        Verdict("smallest_class", True, "", "", 12, 11),
        Verdict("smallest_class", True, "", "", 12, 11),
        Verdict("t_closeness:result", False, "", "", 0.4, 0.3),
        Verdict("smallest_trajectory_class", True, "", "", None, 11),
        Verdict("rows", True, "", "", 12, 1),
    )
    told = measures(Decision("d", "refuse", verdicts))  # type: ignore[arg-type]
    assert [(one["label"], one["side"], one["passed"]) for one in told] == [
        ("Smallest class, in people", "at_least", True),
        ("Distance of a class from the file: result", "at_most", False),
    ]


def test_the_fixed_text_holds_every_word_of_a_report_that_is_not_the_datasets(
    tmp_path: Path,
) -> None:
    """Otherwise somebody called Middle would refuse every release."""
    folder = written(tmp_path)
    permitted = set(re.findall(r"[^\W\d_]+", fixed_text().lower()))
    config = texts(folder, "config.json")["config.json"].lower()
    own = set(re.findall(r"[^\W\d_]+", config)) | {"negative", "positive", "invalid", "female"}
    checks = " ".join(
        one["check"] for one in json.loads(texts(folder, "report.json")["report.json"])["checks"]
    )
    own |= set(re.findall(r"[^\W\d_]+", checks))
    for name in ("report.html", "report.json"):
        words = set(re.findall(r"[^\W\d_]+", texts(folder, name)[name].lower()))
        left = {w for w in words - permitted - own if len(w) >= 6 and not is_hash(w)}
        assert left == set(), name


def is_hash(word: str) -> bool:
    return set(word) <= set("abcdef")


def test_a_full_report_that_cannot_be_read_is_no_report(tmp_path: Path) -> None:
    assert read_full_report(tmp_path) is None
    (tmp_path / "tier-report.json").write_text("[")
    assert read_full_report(tmp_path) is None


def test_the_runs_summary_has_verdicts_first_and_every_attack_with_its_interval(
    tmp_path: Path,
) -> None:
    sample, report, _ = make_report(tmp_path, refused=True)
    table = [{"tier": "public", "state": "refused", "rows": "24"}]
    text = run_summary(sample.loaded.config, table, ["public: k | too small"], [report])
    lines = text.splitlines()
    assert lines[2] == "- **public**: refused, 24 rows"
    assert "- public: k \\| too small" in lines
    assert any(re.match(r"## public: \d of \d+ checks failed", line) for line in lines)
    assert "| no | Smallest class, in people | 3 | at least 11 |" in lines
    linkability = r"\| yes \| [^|]+ \| – \| 1.23% \| 0.4% – 3.1% \| 2% \|"
    assert any(re.fullmatch(linkability, line) for line in lines)
    bare: TierReport = replace(report, attacks=None)
    assert "Attacks: not measured." in run_summary(sample.loaded.config, table, [], [bare])
