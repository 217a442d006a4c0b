"""The same source, config, keyring and date give the same bytes anywhere."""

from __future__ import annotations

from pathlib import Path

from partner_case import write_partner
from visits import Visits, make_visits

SERIES = ("internal", "partner", "partner/clinic", "public")
REPEATED = ("manifest.json", "report.json", "data/part-00000.parquet")


def test_a_run_gives_the_same_bytes_in_another_folder(visits: Visits, tmp_path: Path) -> None:
    other = make_visits(tmp_path / "other", visits.command)
    for each in (visits, other):
        write_partner(each.root, "visits", ["sex", "age", "illness"])
        assert each.run().code == 0
    ours, theirs = visits.published(), other.published()
    for series in SERIES:
        for name in REPEATED:
            path = f"visits/{series}/v1/{name}"
            assert ours[path] == theirs[path], path
