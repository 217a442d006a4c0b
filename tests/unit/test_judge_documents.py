"""Each document of a release is written once, and a decision is about the written bytes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opening import opened_alone
from sample_candidate import raw_columns, write_table
from sample_report import AS_OF, make_report

from stepdown.artifacts import sha256_of
from stepdown.config import LoadedConfig
from stepdown.pipeline.judge import judge, write_steward
from stepdown.pipeline.run import Run
from stepdown.release.documents import documents
from stepdown.release.documents.gate import Decision, Outcome

NAME = "Ottilie Feuerbach"


def judged(folder: Path, monkeypatch: pytest.MonkeyPatch, **config: Any) -> tuple[Decision, int]:
    """The decision about a sample, and how many pages were drawn for it, the steward's too."""
    sample, report, decision = make_report(folder)
    columns = raw_columns()
    kind, values = columns["name"]
    snapshot = write_table(
        folder / "snapshot.parquet", columns | {"name": (kind, [NAME, *values[1:]])}
    )
    loaded = LoadedConfig(sample.loaded.config.model_copy(update=config), sample.loaded.path)
    places: Any = SimpleNamespace(scratch=sample.scratch)
    run = Run(loaded, places, "", "run", AS_OF, "tester")
    drawn: list[Any] = []
    render = documents.render
    monkeypatch.setattr(documents, "render", lambda facts: drawn.append(facts) or render(facts))
    with opened_alone(sample.candidate, snapshot, loaded) as opened:
        found = judge(run, opened, report, decision.verdicts)
    write_steward(run, sample.candidate, report, found)
    return found, len(drawn)


def told(folder: Path) -> dict[str, bool]:
    checks = json.loads((folder / "report.json").read_bytes())["checks"]
    return {check["check"]: check["passed"] for check in checks}


def test_a_clean_document_is_written_once_with_the_verdict_about_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision, drawn = judged(tmp_path, monkeypatch)
    assert drawn == 2  # the published page and the steward's
    assert [v.passed for v in decision.verdicts if v.check == "residue_in_documents"] == [True]
    assert decision.documents == {name: sha256_of(tmp_path / name) for name in documents.PUBLISHED}
    assert all(told(tmp_path).values())


def test_a_document_with_a_withheld_name_says_that_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision, drawn = judged(tmp_path, monkeypatch, title=f"Tests of {NAME}")
    assert decision.outcome is Outcome.REFUSE
    assert [reason.check for reason in decision.reasons] == ["residue_in_documents"]
    assert drawn == 3
    assert decision.documents == {name: sha256_of(tmp_path / name) for name in documents.PUBLISHED}
    assert False in told(tmp_path).values()
    assert "residue" in (tmp_path / "steward-report.html").read_text("utf-8").lower()
