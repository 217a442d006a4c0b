"""A dataset small enough to be released in seconds, whose every tier publishes unsigned."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

from governance_case import govern
from partner_case import write_partner

PROJECT = Path(__file__).parents[2]
CANARY = "Zanzibarella"
"""Stands in every raw record as a direct identifier; it may occur nowhere but in raw and internal
places."""

CONFIG = """
dataset: DATASET
title: People and the wells they use
contact: steward@example.org
source: {path: DATASET.csv, as_of: 2026-11-01}
columns:
  person: {role: subject}
  name: {role: direct_identifier}
  village:
    role: quasi_identifier
    hierarchy: {tree: {north: [Alder, Birch], south: [Cedar, Dogwood]}}
  age: {role: quasi_identifier, type: integer, kind: age}
  illness: {role: sensitive, not_sensitive: [none]}
tiers:
  internal: {}
  partner: {sign_off: {roles: [], people: 0}, t_closeness: 1.0, hold_back: false,
    attacks: {differencing: 1.0, intersection: 1.0}, because: A test of something else}
  public: {licence: CC0-1.0, sign_off: {roles: [], people: 0}, t_closeness: 1.0, hold_back: false,
    attacks: {differencing: 1.0, intersection: 1.0}, because: A test of something else}
"""
TIERS = ("internal", "partner", "partner/clinic", "public")


@dataclass(frozen=True)
class Tiny:
    """The dataset's folder, with its workspace and store; two datasets may share it."""

    root: Path
    dataset: str = "wells"

    @property
    def config(self) -> Path:
        return self.root / f"{self.dataset}.yaml"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def store(self) -> Path:
        return self.root / "store"

    def write_source(self, rows: int) -> None:
        """People in four villages; another number of them makes other releases."""
        with open(self.root / f"{self.dataset}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["person", "name", "village", "age", "illness"])
            for i in range(rows):
                village = ("Alder", "Birch", "Cedar", "Dogwood")[i % 4]
                illness = ("cholera", "measles", "none")[i // 4 % 3]
                writer.writerow([f"p{i}", f"{CANARY}{i:04}", village, 20 + i // 4 % 10, illness])

    def command(self, *words: str) -> list[str]:
        places = ["--work", str(self.work), "--store", str(self.store)]
        return [sys.executable, "-m", "flows", *words, *places]


def tiny_release(root: Path, dataset: str = "wells", rows: int = 240) -> Tiny:
    """Write the source and the config into a folder."""
    root.mkdir(parents=True, exist_ok=True)
    tiny = Tiny(root, dataset)
    tiny.config.write_text(CONFIG.replace("DATASET", dataset))
    govern(root, dataset)
    write_partner(root, dataset, ["age", "illness"])
    tiny.write_source(rows)
    return tiny
