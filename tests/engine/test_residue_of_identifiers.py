"""Planted identifiers are found; what chance or a declared domain explains is not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from risk_case import CONFIG, RiskCase, snapshot_columns, write

from stepdown.config import ReleaseConfig
from stepdown.engine import Session, open_session
from stepdown.errors import WorldFailed
from stepdown.opened import open_source
from stepdown.risk.leaks import residue as searches
from stepdown.risk.leaks.config_texts import foresee_config_texts
from stepdown.risk.leaks.own_record import _poisson_tail, own_record_findings
from stepdown.risk.leaks.residue import check_texts, find_residue
from stepdown.vocabulary import Tier


@pytest.fixture
def case(tmp_path):
    return RiskCase(tmp_path)


def residue(case):
    return case.measure(find_residue)


def searched(case, texts, fixed_text=""):
    with open_source(case.snapshot_ref(), case.loaded()) as source:
        return check_texts(source, texts, fixed_text)


def foreseen(case):
    with open_source(case.snapshot_ref(), case.loaded()) as source:
        return foresee_config_texts(source)


def test_a_clean_file_has_no_residue(case):
    assert residue(case).problems == ()
    assert residue(case).cells == 0


@pytest.mark.parametrize(
    "canary",
    [
        "Bob Brontosaur",
        "seen by BOB  BRONTOSAUR, again",
        "555-010-1002",
        "(555) 010 1002",
        "P-00002",
        "called her uncle Tobias on Monday",
        "she called her uncle Tobias on a day",
    ],
)
def test_an_identifier_of_ones_own_record_is_found(case, canary):
    case.data["result"][1] = canary
    found = residue(case)
    assert found.cells >= 1
    assert any(problem.startswith("result: ") for problem in found.problems)
    assert not any("Bron" in p or "555" in p or "Tobias" in p for p in found.problems)


def test_an_identifier_of_someone_who_is_in_no_release_is_found(case):
    case.data["zip"][0] = "ed evergreen"
    assert residue(case).problems == ("zip: 1 withheld identifier occurs in it as whole words",)


def test_an_identifier_in_a_column_name_is_residue(case):
    case.data["Bob Brontosaur"] = list(case.data["zip"])
    problems = residue(case).problems
    assert "1 withheld identifier occurs in column or file names" in problems
    assert not any("Bron" in problem for problem in problems)


def test_an_identifier_within_a_longer_word_is_not_a_whole_word(case):
    case.data["zip"][0] = "xed evergreens"
    assert residue(case).cells == 0


def test_a_declared_domain_and_a_hierarchy_label_may_hold_a_name(case):
    case.snapshot["name"][5] = "Washington"
    case.data["zip"][0] = "Washington"
    assert residue(case).cells == 1
    case.config = CONFIG.replace("prefix: 2}", "prefix: 2}, allowed: [Washington]")
    assert residue(case).cells == 0
    case.config = CONFIG
    case.ancestors["age"]["1"] = ("Washington State", "*")
    assert residue(case).cells == 1  # a label that the file does not hold
    case.data["age"][0] = "Washington State"
    assert residue(case).cells == 0


def test_digits_within_a_hexadecimal_word_are_no_phone(case):
    case.data["zip"][0] = "a5550101002f"
    assert residue(case).cells == 0
    case.data["zip"][0] = "a-5550101002,f"
    assert residue(case).cells == 1


def many_rows(case, codes, published):
    size = len(codes)
    base = snapshot_columns()
    case.snapshot = {name: [values[0]] * size for name, values in base.items()}
    case.snapshot |= {"house": codes, "person": [f"{i:03d}" for i in range(size)]}
    case.snapshot["note"] = pa.nulls(size, pa.string())
    case.data = {"weight": published}
    case.parent_row = case.source_row = case.subject = list(range(size))
    return residue(case)


def test_short_codes_are_judged_by_whether_they_follow_their_own_record(case):
    codes = np.random.default_rng(4).integers(0, 50, 500)
    own = many_rows(case, codes.tolist(), codes.astype(float).tolist())
    assert own.problems == ("weight: 500 cells repeat house of their own record",)


def test_short_codes_that_agree_by_chance_are_no_residue(case):
    random = np.random.default_rng(4)
    codes, others = random.integers(0, 50, 500), random.integers(0, 50, 500)
    assert np.count_nonzero(codes == others) > 0
    assert many_rows(case, codes.tolist(), others.astype(float).tolist()).cells == 0


def test_a_coincidence_that_a_whole_household_shares_counts_once(case):
    codes = np.repeat(np.arange(100), 10)
    weights = np.where(codes == 7, 7.0, codes + 1000.0)
    assert many_rows(case, codes.tolist(), weights.tolist()).cells == 0


def test_a_column_that_contains_short_codes_of_its_own_record_is_residue(case):
    codes = [f"h{n}" for n in np.random.default_rng(4).integers(100, 999, 300)]
    assert many_rows(case, codes, [f"row-{code}-x" for code in codes]).cells == 300
    shuffled = np.random.default_rng(5).permutation(codes)
    assert many_rows(case, codes, [f"row-{code}-x" for code in shuffled]).cells == 0


def test_the_poisson_tail_is_the_chance_of_at_least_that_many():
    assert _poisson_tail(1, 0.0) == 0.0
    assert _poisson_tail(1, 0.5) == pytest.approx(1 - np.exp(-0.5))
    assert _poisson_tail(3, 2.0) == pytest.approx(1 - np.exp(-2) * (1 + 2 + 2))
    assert _poisson_tail(2000, 1000.0) < 1e-9 < 0.4 < _poisson_tail(1000, 1000.0)


def test_a_dictionary_page_that_keeps_a_dropped_value_is_residue(case):
    candidate = case.candidate()
    table = pq.read_table(candidate.data.path)
    kept = pa.DictionaryArray.from_arrays(
        pa.array([0, 0, 0, 0, 0], pa.int32()), pa.array(["12", "Ed Evergreen"])
    )
    place = table.schema.names.index("zip")
    data = write(case.folder / "data" / "part-00000.parquet", table.set_column(place, "zip", kept))
    found = case.measure(find_residue, replace(candidate, data=data))
    assert found.problems == ("zip: 1 withheld identifier occurs in its file pages",)


def test_metadata_beyond_the_schema_is_residue(case):
    candidate = case.candidate()
    table = pq.read_table(candidate.data.path).replace_schema_metadata({"pandas": "index"})
    data = write(case.folder / "data" / "part-00000.parquet", table, store_schema=True)
    found = case.measure(find_residue, replace(candidate, data=data))
    assert any("key-value entries" in problem for problem in found.problems)


def test_release_documents_with_a_withheld_identifier_are_named(case):
    found = searched(
        case,
        {
            "manifest.json": b'{"columns": ["age"], "rows": 5}',
            "report.json": b'{"worst": "Di\\u0020Dunn, Bob\\u0020Brontosaur"}',
            "report.html": b"<p>555&#45;010-<b>1005</b></p>",
            "Bob Brontosaur.txt": b"",
        },
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "report.json",
        "report.html",
        "a file's name",
    ]
    assert all("Bronto" not in problem for problem in found)


def config_problems(case, **texts):
    """What the search says of a config with further texts, with the columns of each key."""
    lines = "".join(f"{key}: {text}\n" for key, text in texts.items())
    case.config = CONFIG.replace("contact: nobody@example.org\n", lines)
    if "contact" not in texts:
        case.config += "contact: nobody@example.org\n"
    return searched(case, {}, "Class sizes measured")


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("Ask for Bob Brontosaur", "name"),
        ("see BRONTOSAUR, Bob", "name"),
        ("call (555) 010-1002", "phone"),
        ("she called her uncle Tobias on a day", "note"),
        ("without P-00005", "person"),
    ],
)
def test_an_identifier_in_a_text_of_the_config_is_named_by_key_and_column(case, text, column):
    assert config_problems(case, description=f'"{text}"') == (
        f"`description` in the config repeats a value of {column}",
    )


def test_every_text_of_the_config_that_is_published_is_searched(case):
    name = "Ed Evergreen"
    case.config = (
        CONFIG.replace("nobody@example.org", name)
        .replace("Invented people", name)
        .replace("because: a test, partner: {prefix", f"because: {name}, partner: {{prefix")
        .replace("age: {role", f"age: {{description: {name}, override: {name}, role")
        .replace("licence: CC0-1.0", "licence: CC0-1.0, suite: s.yaml", 1)
        .replace("because: a test}", f"because: {name}}}")
        + f"keywords: [{name}]\npublisher: {name}\ncreators: [{{name: {name}}}]\n"
    )
    found = searched(case, {"report.json": name.encode()})
    assert [problem.split("`")[1] for problem in found] == [
        "title",
        "contact",
        "creators[0].name",
        "publisher",
        "keywords[0]",
        "columns.age.description",
        "columns.age.override",
        "columns.zip.because",
        "tiers.partner.because",
        "tiers.public.because",
    ]
    assert not any("Evergreen" in problem for problem in found)


def test_a_number_of_seven_digits_is_found_in_the_config_whatever_its_type(case):
    case.config = CONFIG.replace("name: {role", "card: {role: direct_identifier}\n  name: {role")
    case.snapshot["card"] = [85031712, 4, 5, 6, 7, 20260101]
    case.config = case.config.replace("Invented people", "People without 85031712 of 2026-01-01")
    found = searched(case, {})
    assert found == ("`title` in the config repeats a value of card",)


def test_a_member_of_staff_may_share_a_family_name_with_somebody_in_the_data(case):
    case.config = CONFIG.replace("name: {role", "given: {role: direct_identifier}\n  name: {role")
    case.snapshot["given"] = ["Ottilie", "Leopold", None, None, None, None]
    case.snapshot["name"] = ["Feuerbach", "Eszterházy", None, None, None, None]
    base = case.config

    def found(text):
        case.config = base.replace("nobody@example.org", f'"{text}"')
        return searched(case, {"report.json": text.encode()})

    assert found("Leopold Feuerbach") == ()
    assert found("Ottilie Feuerbach") == ("`contact` in the config repeats a value of given, name",)


def test_labels_that_are_not_in_the_file_are_no_permitted_words(case):
    case.ancestors["sex"] = {"f": ("Bob Brontosaur", "anyone else"), "m": ("anyone else", "*")}
    case.data["sex"] = ["anyone else"] * 5
    case.snapshot["name"][0] = "Anyone Else"
    case.config = CONFIG.replace("Invented people", "Anyone else, Bob Brontosaur")
    found = case.measure(lambda opened: check_texts(opened.source, {}, opened=opened))
    assert found == ("`title` in the config repeats a value of name",)
    case.config = CONFIG.replace("Invented people", "Anyone else")
    assert case.measure(lambda opened: check_texts(opened.source, {}, opened=opened)) == ()


def test_the_words_of_the_fixed_text_are_no_residue(case):
    case.snapshot["name"] = ["Invented", "Measured", "Institute", "Cy", "Di", "Summary"]
    document = {"report.html": b"Invented people, measured. Summary"}
    found = searched(case, document, "Class sizes measured")
    assert found == (
        "`title` in the config repeats a value of name",
        "report.html: 1 withheld identifier occurs in it",
    )


def test_counts_and_sizes_are_not_taken_for_short_numeric_ids(case):
    case.snapshot["person"] = ["1234567", "2", "3", "4", "4", "5"]
    assert searched(case, {"m.json": b'{"size": 1234567}'}) == ()


def test_a_replacement_that_contains_its_name_counts_once_for_all_who_have_the_name(tmp_path):
    names = ["Leo"] * 30 + [f"Name{i}x" for i in range(170)]

    def found(replacements):
        rows = pa.array(range(200), pa.int64())
        names_of = dict.fromkeys(("_row_id", "_subject_id"), rows)
        data = {"name": pa.array(replacements)} | names_of
        tables = {
            "data": pa.table(data),
            "snapshot": pa.table(
                {"name": names, "person": rows.cast(pa.string()), "_row_id": rows}
            ),
        }
        config = ReleaseConfig.model_validate(
            {
                "dataset": "d",
                "title": "t",
                "contact": "c",
                "source": {"path": "x"},
                "columns": {
                    "name": {
                        "role": "direct_identifier",
                        "internal": {"surrogate": "first_name"},
                    },
                    "person": {"role": "subject", "internal": "drop"},
                },
            }
        )
        candidate = SimpleNamespace(tier=Tier.INTERNAL, recipient=None)
        with open_session(tmp_path) as session:
            for name, table in tables.items():
                pq.write_table(table, tmp_path / f"{name}.parquet")
                session.attach_parquet(name, tmp_path / f"{name}.parquet")
            opened = SimpleNamespace(
                session=session,
                candidate=candidate,
                config=config,
                source=SimpleNamespace(keep=session.lay_out),
            )
            return list(own_record_findings(opened))

    others = [f"Other{i}y" for i in range(170)]
    assert found(["Napoleone"] * 30 + others) == []
    kept = [f"Name{i}x-junior" for i in range(5)]
    assert found(["Napoleone"] * 30 + kept + others[5:]) != []


def test_a_config_is_searched_before_there_is_a_candidate(case):
    case.config = CONFIG.replace("Invented people", "Washington and Bob Brontosaur")
    case.snapshot["house"][0] = "Washington"
    found = foreseen(case)
    assert found == ("`title` in the config repeats a value of name, house",)
    case.config = case.config.replace("sex: {role", "sex: {allowed: [Washington], role")
    found = foreseen(case)
    assert found == ("`title` in the config repeats a value of name",)


def test_a_cell_that_two_searches_find_is_counted_once(case, monkeypatch):
    beside = [("zip", 3, "beside own"), ("zip", 4, "beside own, too"), ("sex", 2, "another")]
    monkeypatch.setattr(searches, "own_record_findings", lambda *asked: iter(beside))
    case.data["zip"] = case.snapshot["name"][:5]
    found = case.measure(find_residue)
    assert "zip: 4 withheld identifiers occur in it as whole words" in found.problems
    assert found.cells == 4 + 2


def _measured_twice(case, monkeypatch):
    """What two candidates and their documents give, and how often the source's words were cut."""
    cut = []

    def watching(method):
        def watched(session, sql):
            cut.extend(["cut"] * ("regexp_replace" in sql and "FROM snapshot" in sql))
            return method(session, sql)

        return watched

    made, snapshot = case.candidate(), case.snapshot_ref()
    found = []
    with monkeypatch.context() as patch, open_source(snapshot, case.loaded()) as source:
        for name in ("run", "fetch", "scalar"):
            patch.setattr(Session, name, watching(getattr(Session, name)))
        for parent in (snapshot, made.data):
            with source.open(made, parent) as opened:
                found.append(find_residue(opened))
                text = b"Bob Brontosaur rang from 555-010-1003"
                found.append(check_texts(source, {"report.html": text}, opened=opened))
    return found, len(cut)


def test_the_source_is_cut_into_words_once_for_several_candidates(case, monkeypatch):
    case.data["zip"] = case.snapshot["name"][:5]
    found, cut = _measured_twice(case, monkeypatch)
    assert cut == 1
    assert found[1] == ("report.html: 2 withheld identifiers occur in it",)
    assert "zip: 4 withheld identifiers occur in it as whole words" in found[0].problems


def test_a_name_turned_round_counts_in_the_config_and_not_in_data(case):
    case.data["zip"] = ["Brontosaur Bob", None, None, None, None]
    assert residue(case).problems == ()
    case.config = CONFIG.replace("Invented people", "Brontosaur Bob")
    assert foreseen(case) == ("`title` in the config repeats a value of name",)


def test_no_withheld_word_stays_on_disk(case, tmp_path):
    made, snapshot = case.candidate(), case.snapshot_ref()
    scratch = tmp_path / "spilt"
    scratch.mkdir()

    def spilt():
        return [path for path in scratch.rglob("*") if path.is_file() and path.stat().st_size]

    with open_source(snapshot, case.loaded(), scratch) as source:
        with source.open(made, snapshot) as opened:
            find_residue(opened)
        # More than the engine may hold, so that it has to put down the words as well.
        with suppress(WorldFailed):
            source.session.run("SET memory_limit = '1MB'")
            source.session.run("CREATE TEMP TABLE more AS SELECT range AS n FROM range(1000000)")
        assert spilt()
    assert not spilt()
