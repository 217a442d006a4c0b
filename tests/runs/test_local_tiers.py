"""Two tiers recoded locally, from the source to a verified release."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow.parquet as pq
from visits import NOBODY, Visits

LOCAL = NOBODY | {"recoding": "local", "distinct_l": 2, "t_closeness": 0.5}
TIERS = ("partner", "public")


def test_two_local_tiers_are_published_whole_verify_and_stay_unchanged(visits: Visits) -> None:
    visits.change(lambda config: config["tiers"].update(dict.fromkeys(TIERS, LOCAL)))
    planned = visits("plan", str(visits.config)).out
    assert "Recoded locally (level 0 is the value untouched):" in planned
    assert "public: town is " in planned

    run = visits.run()
    assert run.code == 0, run.out
    tiers = run.json["tiers"]
    assert {tier["state"] for tier in tiers.values()} == {"published"}
    assert {tier["rows"] for tier in tiers.values()} == {600}
    for name in TIERS:
        _holds_labels_of_several_levels(visits, name, tiers[name])
        _keeps_the_exact_cut_from_readers(visits, name)
        verified = visits("verify", f"visits/{name}/latest", "--json").json
        assert (verified["problems"], verified["not_checked"]) == ([], [])

    before = visits.published()
    again = visits.run("--again")
    assert {tier["state"] for tier in again.json["tiers"].values()} == {"unchanged"}
    assert visits.published() == before


def _holds_labels_of_several_levels(visits: Visits, name: str, tier: dict) -> None:
    assert tier["recoding"] == "local"
    assert tier["suppressed"] == 0
    assert any(sum(share > 0 for share in each) > 1 for each in tier["level_shares"].values())
    (part,) = (visits.store / "visits" / name / "v1" / "data").iterdir()
    rows = pq.read_table(part).select(["sex", "age", "town"]).to_pylist()
    # A class has at least as many rows as data subjects.
    k = {"partner": 5, "public": 11}[name]
    assert min(Counter(tuple(row.values()) for row in rows).values()) >= k


def _keeps_the_exact_cut_from_readers(visits: Visits, name: str) -> None:
    folder = visits.store / "visits" / name / "v1"
    report = json.loads((folder / "report.json").read_bytes())
    treatments = {column["name"]: column["treatment"] for column in report["columns"]}
    assert treatments["town"] == "generalised class by class, to labels of several levels"
    for file in folder.glob("*.*"):
        assert not {b"level_shares", b"top_levels"} & set(file.read_bytes().split(b'"'))
