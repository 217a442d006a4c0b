"""Adult of any size: real records drawn again, with one cell in twenty replaced at random."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

QUASI = (
    "sex",
    "age",
    "race",
    "marital-status",
    "education",
    "native-country",
    "workclass",
    "occupation",
    "salary-class",
)
JITTER = 0.05
CHUNK = 1_000_000
"""Rows drawn at a time: part of what a seed means, so that every size starts with the same rows."""

DISTRICT = "district"
DISTRICT_DIGITS = 4, 4, 4, 3


def write_jittered(
    adult: Path, target: Path, rows: int, *, seed: int = 1, districts: bool = False
) -> None:
    """Resample Adult with replacement, and replace each cell with probability 0.05.

    A replaced cell holds any leaf of its hierarchy with equal probability, so that the number of
    distinct combinations grows with the rows as it does in a real register.

    Args:
        adult: folder of ``adult.csv`` and its hierarchies.
        target: ``.csv`` (with semicolons) or ``.parquet``.
        rows: how many.
        seed: the same seed gives the same rows.
        districts: adds a tenth column whose hierarchy ``write_hierarchies`` writes.
    """
    names = [*QUASI, DISTRICT] if districts else list(QUASI)
    parts = (
        pa.table([pa.DictionaryArray.from_arrays(*part) for part in chunk], names=names)
        for chunk in _chunks(adult, rows, seed, districts)
    )
    schema = pa.schema([(name, pa.string()) for name in names])
    if target.suffix == ".parquet":
        with pq.ParquetWriter(target, schema, compression="zstd") as file:
            for part in parts:
                file.write_table(part.cast(schema))
        return
    options = pyarrow.csv.WriteOptions(delimiter=";", quoting_style="none")
    with pyarrow.csv.CSVWriter(target, schema, write_options=options) as file:
        for part in parts:
            file.write_table(part.cast(schema))


def write_hierarchies(adult: Path, folder: Path) -> None:
    """Adult's hierarchies, and one of five levels for the districts."""
    folder.mkdir(exist_ok=True)
    for name in QUASI:
        shutil.copy(adult / f"adult_hierarchy_{name}.csv", folder / f"{name}.csv")
    with open(folder / f"{DISTRICT}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        for leaf in _districts():
            starred = [leaf[: len(leaf) - level] + "*" * level for level in range(len(leaf) + 1)]
            writer.writerow(starred)


def _districts() -> list[str]:
    leaves = [""]
    for digits in DISTRICT_DIGITS:
        leaves = [leaf + str(digit) for leaf in leaves for digit in range(digits)]
    return leaves


def _chunks(
    adult: Path, rows: int, seed: int, districts: bool
) -> Iterator[list[tuple[npt.NDArray[np.integer[Any]], pa.Array]]]:
    """Per chunk and column: shape (chunk,), a code per row, and the leaves."""
    leaves, records = _coded(adult)
    chance = np.random.default_rng(seed)
    for start in range(0, rows, CHUNK):
        many = min(CHUNK, rows - start)
        drawn = chance.integers(0, len(records[0]), CHUNK)[:many]
        chunk = []
        for values, column in zip(leaves, records, strict=True):
            hit = chance.random(CHUNK)[:many] < JITTER
            other = chance.integers(0, len(values), CHUNK, dtype=np.int8)[:many]
            chunk.append((np.where(hit, other, column[drawn]), pa.array(values)))
        if districts:
            named = _districts()
            chunk.append(
                (chance.integers(0, len(named), CHUNK, dtype=np.int16)[:many], pa.array(named))
            )
        yield chunk


def _coded(adult: Path) -> tuple[list[list[str]], list[npt.NDArray[np.int8]]]:
    """Adult's leaves per column, and its records as positions among them."""
    with open(adult / "adult.csv", encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file, delimiter=";"))
    leaves, coded = [], []
    for name in QUASI:
        with open(adult / f"adult_hierarchy_{name}.csv", encoding="utf-8", newline="") as file:
            values = [row[0] for row in csv.reader(file, delimiter=";")]
        place = {value: number for number, value in enumerate(values)}
        leaves.append(values)
        coded.append(np.array([place[record[name]] for record in records], np.int8))
    return leaves, coded
