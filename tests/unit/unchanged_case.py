"""A small dataset whose config names a file by every key that takes one."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

from partner_case import write_partner, write_security_policy
from visits import REGIONS, Visits, raw_rows

SUITE = "expectations:\n  - expect_column_values_to_not_be_null: {column: illness}\n"
GIVEN = 13
"""Files that lie beside such a config, itself among them."""


def every_kind_of_file(config: dict[str, Any]) -> None:
    """A config that names a file by every key that takes one."""
    config["columns"]["town"]["hierarchy"] = {"file": "hierarchies/town.csv"}
    config["columns"]["town"] |= {"kind": "place", "population": "population.csv"}
    config["tiers"]["partner"]["suite"] = "suites/partner.yaml"
    config["auxiliary"] = {"register": {"path": "voters.csv", "columns": {"s": "sex"}}}
    config["purposes"] = ["care"]
    for tier in config["tiers"].values():
        tier["purpose"] = "care"
    columns = {"subject": "person", "given": "given", "withdrawn": "withdrawn", "tiers": "tiers"}
    config["consent"] = {"source": {"path": "consent.csv"}, "columns": columns}


def lay_out(visits: Visits) -> None:
    """Write the config and every file that it names, as a run can read them."""
    visits.change(every_kind_of_file)
    root = visits.root
    document = write(root, "partners/signed.pdf", "what both signed\n")
    sha256 = hashlib.sha256(document.read_bytes()).hexdigest()
    facts = {"document": "signed.pdf", "document_sha256": sha256}
    path = write_partner(root, "visits", ["sex", "age"])
    partner = json.loads(path.read_text())
    path.write_text(json.dumps(partner | {"agreement": partner["agreement"] | facts}))
    write_security_policy(root)
    write(root, "suites/partner.yaml", SUITE)
    towns = [(town, region, "all") for region, towns in REGIONS.items() for town in towns]
    _write_rows(root / "hierarchies/town.csv", [("town", "region", "all"), *towns])
    _write_rows(root / "population.csv", [("unit", "people"), *((t, 50_000) for t, _, _ in towns)])
    _write_rows(root / "voters.csv", [("s",), ("f",), ("m",)])
    people = sorted({row["person"] for row in raw_rows()})
    agreed = [(person, "2026-01-01", "", "internal partner public") for person in people]
    columns = ("person", "given", "withdrawn", "tiers")
    _write_rows(root / "consent.csv", [columns, *agreed])


def touched(path: Path) -> None:
    """The same file with another byte at its end: blank, so that YAML and JSON stay readable."""
    path.write_bytes(path.read_bytes() + b"\n")


def inputs_in(root: Path) -> list[str]:
    outside = ("work/", "store/")
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return [name for name in names if not name.startswith(outside)]


def write(root: Path, name: str, text: str = "some bytes\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _write_rows(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
