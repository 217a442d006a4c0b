"""Published reports pass the search for withheld identifiers, and fail it when one is in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from all_documents import write_documents
from sample_candidate import raw_columns, write_table
from sample_report import AS_OF, make_report, released

from stepdown.opened import open_source
from stepdown.release.documents.documents import PUBLISHED
from stepdown.release.documents.wording import fixed_text
from stepdown.risk.leaks.residue import check_texts

WORDS = ("Middle", "Records", "Release", "Transform", "Stroke", "Finding a person", "Wasserstein")
"""Names of people that are also words of every report."""


def problems(folder: Path, names: list[str], bins: tuple[str, ...]) -> tuple[str, ...]:
    sample, report, decision = make_report(folder)
    columns = raw_columns()
    kind, values = columns["name"]
    columns["name"] = (kind, [*names, *values[len(names) :]])
    snapshot = write_table(folder / "snapshot.parquet", columns)
    found = released(report.sha256)
    result = replace(found.columns["result"], bins=bins)
    report = replace(report, released=replace(found, columns=found.columns | {"result": result}))
    write_documents(sample.loaded, sample.candidate, report, decision, AS_OF)
    texts = {name: (folder / name).read_bytes() for name in PUBLISHED}
    with open_source(snapshot, sample.loaded) as source:
        return check_texts(source, texts, fixed_text())


BINS = ("negative", "positive", "invalid", "rarity")


def test_people_named_like_a_reports_own_words_refuse_nothing(tmp_path: Path) -> None:
    assert problems(tmp_path, list(WORDS), BINS) == ()


def test_a_withheld_name_in_a_drawing_is_found(tmp_path: Path) -> None:
    found = problems(tmp_path, ["Ottilie Feuerbach"], ("Ottilie Feuerbach", *BINS[1:]))
    assert [sentence.split(":")[0] for sentence in found] == ["report.html", "report.json"]
