"""A household survey of any size: real households drawn again under new ids, then jittered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

JITTER = 0.05


def write_survey(source: Path, target: Path, rows: int, seed: int = 1) -> None:
    """Resample whole households of ``source`` until ``rows`` people, and write them as CSV.

    Each cell is replaced with probability 0.05 by a uniform value of its column, so that the
    number of distinct combinations grows with the rows as it does in a real census.
    """
    survey = pd.read_csv(source)
    chance = np.random.default_rng(seed)
    order = survey.sort_values("ori_hid", kind="stable")
    sizes = order.groupby("ori_hid", sort=True).size().to_numpy()
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    drawn = chance.integers(0, len(sizes), int(rows / sizes.mean() * 1.1) + 10)
    cut = int(np.searchsorted(np.cumsum(sizes[drawn]), rows)) + 1
    drawn = drawn[:cut]
    length = sizes[drawn]
    offsets = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    rows_of = np.repeat(starts[drawn], length) + offsets
    people = order.iloc[rows_of[:rows]].reset_index(drop=True)
    people["ori_hid"] = np.repeat(np.arange(cut), length)[:rows]
    for name in people.columns.drop("ori_hid"):
        values = survey[name].dropna().unique()
        hit = chance.random(len(people)) < JITTER
        people.loc[hit, name] = chance.choice(values, int(hit.sum()))
    csv.write_csv(pa.Table.from_pandas(people, preserve_index=False), target)
