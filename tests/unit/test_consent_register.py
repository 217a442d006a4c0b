"""What a register of consent says on a day; expected answers by an oracle in plain Python."""

from __future__ import annotations

import csv
import datetime as dt
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepdown.config import LoadedConfig, ReleaseConfig
from stepdown.errors import SourceInvalid
from stepdown.ingest import read_consent
from stepdown.vocabulary import Tier
from stepdown.workspace import open_workspace

DAY = dt.date(2026, 11, 27)
NAMES = {
    "subject": "subject",
    "given": "given",
    "withdrawn": "withdrawn",
    "expires": "expires",
    "tiers": "tiers",
    "purposes": "purposes",
}
ALL = "internal partner public"


def register(folder: Path, lines: list[dict[str, Any]], **consent: Any) -> LoadedConfig:
    """A config whose register has these lines; what a line leaves out is empty."""
    with open(folder / "consent.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(NAMES))
        writer.writeheader()
        writer.writerows(lines)
    config = ReleaseConfig.model_validate(
        {
            "dataset": "visits",
            "title": "Visits",
            "contact": "steward@example.org",
            "purposes": ["care", "research"],
            "source": {"path": "visits.csv"},
            "consent": {"source": {"path": "consent.csv"}, "columns": NAMES} | consent,
            "columns": {
                "person": {"role": "subject"},
                "town": {"role": "quasi_identifier"},
            },
            "tiers": {
                "internal": {"purpose": "care"},
                "partner": {"purpose": "research"},
                "public": {"purpose": "research", "licence": "CC0-1.0"},
            },
        }
    )
    return LoadedConfig(config, folder / "visits.yaml")


def answers(folder: Path, lines: list[dict[str, Any]], day: dt.date = DAY) -> dict[str, list[str]]:
    """Subject → what the register says at internal, partner and public."""
    workspace = open_workspace(folder / "work", str(folder / "store"))
    consents = read_consent(register(folder, lines), workspace, day)
    assert consents.day == day
    table = pq.read_table(consents.ref.path).to_pylist()
    return {line["subject"]: [line[tier.value] for tier in Tier] for line in table}


def line(subject: str = "a", **facts: Any) -> dict[str, Any]:
    return {
        "subject": subject,
        "given": "2026-01-01",
        "tiers": ALL,
        "purposes": "care research",
    } | {name: str(fact) for name, fact in facts.items()}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, ["agreed"] * 3),
        ({"tiers": "internal; partner"}, ["agreed", "agreed", "other tiers"]),
        ({"tiers": ""}, ["other tiers"] * 3),
        ({"purposes": "care"}, ["agreed", "other purposes", "other purposes"]),
        ({"expires": DAY}, ["agreed"] * 3),
        ({"expires": DAY - dt.timedelta(1)}, ["expired"] * 3),
        ({"given": DAY}, ["agreed"] * 3),
        ({"given": DAY + dt.timedelta(1)}, ["not yet"] * 3),
        ({"withdrawn": DAY}, ["withdrawn"] * 3),
        ({"withdrawn": DAY + dt.timedelta(1)}, ["agreed"] * 3),
        ({"given": "", "withdrawn": DAY}, ["withdrawn"] * 3),
        ({"given": "2026-05-01", "withdrawn": "2026-03-01"}, ["withdrawn"] * 3),
    ],
)
def test_a_line_says_until_when_and_for_what(
    tmp_path: Path, facts: dict[str, Any], said: list[str]
) -> None:
    assert answers(tmp_path, [line(**facts)]) == {"a": said}


def test_the_newest_line_counts_and_of_one_day_the_narrowest(tmp_path: Path) -> None:
    told = answers(
        tmp_path,
        [
            line("again", given="2025-01-01", withdrawn="2025-06-01"),
            line("again", given="2026-01-01"),
            line("narrower", given="2025-01-01"),
            line("narrower", given="2026-01-01", tiers="internal"),
            line("both", tiers="internal partner"),
            line("both", tiers="partner public"),
            line("gone", given="2025-01-01", withdrawn="2026-06-01"),
            line("gone", given="2026-01-01"),
        ],
    )
    assert told == {
        "again": ["agreed"] * 3,
        "narrower": ["agreed", "other tiers", "other tiers"],
        "both": ["other tiers", "agreed", "other tiers"],
        "gone": ["withdrawn"] * 3,
    }


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"subject": ""}, "1 lines without subject"),
        ({"given": ""}, "1 lines without given and withdrawn"),
        ({"tiers": "internal secret"}, "1 lines whose tiers says something else than internal,"),
        ({"purposes": "sales"}, "1 lines whose purposes says something else than care, research"),
        ({"withdrawn": "yesterday"}, "withdrawn"),
    ],
)
def test_a_line_that_cannot_be_read_refuses_the_register_and_is_not_quoted(
    tmp_path: Path, facts: dict[str, Any], told: str
) -> None:
    with pytest.raises(SourceInvalid, match=told) as caught:
        answers(tmp_path, [line("b"), line(**facts)])
    assert not any(word in str(caught.value) for word in ("secret", "sales", "yesterday"))


@pytest.mark.parametrize("kind", ["parquet", "sql"])
def test_a_register_is_a_parquet_file_or_a_query_too(tmp_path: Path, kind: str) -> None:
    day = DAY.isoformat()
    rows = [
        ("a", "2026-01-01", None, None, ALL, "care research"),
        ("b", "2026-01-01", day, None, ALL, "care"),
    ]
    if kind == "parquet":
        named = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
        table = pa.table(named)
        for name in ("given", "withdrawn", "expires"):
            at = table.column_names.index(name)
            table = table.set_column(at, name, table[name].cast(pa.date32()))
        pq.write_table(table, tmp_path / "consent.parquet")
        source: dict[str, Any] = {"path": "consent.parquet"}
    else:
        with sqlite3.connect(tmp_path / "consent.db") as database:
            database.execute(f"CREATE TABLE consent ({', '.join(NAMES)})")
            database.executemany("INSERT INTO consent VALUES (?, ?, ?, ?, ?, ?)", rows)
        database.close()
        source = {"url": f"sqlite:///{tmp_path / 'consent.db'}", "query": "SELECT * FROM consent"}
    loaded = register(tmp_path, [], source=source)
    consents = read_consent(loaded, open_workspace(tmp_path / "w", str(tmp_path / "s")), DAY)
    said = {
        line["subject"]: line["internal"] for line in pq.read_table(consents.ref.path).to_pylist()
    }
    assert said == {"a": "agreed", "b": "withdrawn"}


def test_a_column_that_nobody_named_refuses_the_register(tmp_path: Path) -> None:
    loaded = register(tmp_path, [line()])
    (tmp_path / "consent.csv").write_text(
        "subject,given,withdrawn,expires,tiers,purposes,revoked\na,2026-01-01,,,public,care,yes\n"
    )
    workspace = open_workspace(tmp_path / "work", str(tmp_path / "store"))
    with pytest.raises(SourceInvalid, match="revoked"):
        read_consent(loaded, workspace, DAY)


@pytest.mark.parametrize(
    ("consent", "told"),
    [
        ({"unknown": "keep"}, "needs because"),
        ({"columns": {"subject": "a", "given": "b", "withdrawn": "c"}}, "column of tiers or"),
        ({"columns": NAMES | {"tiers": "given"}}, "same name"),
        ({"source": {"path": "c.csv", "tolerated_rejects": 0.1}}, "may be a withdrawal"),
    ],
)
def test_a_careless_register_is_refused_in_the_config(
    tmp_path: Path, consent: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        register(tmp_path, [], **consent)


DAYS = st.none() | st.integers(-2, 2).map(lambda days: DAY + dt.timedelta(days))
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "subject": st.sampled_from("abc"),
            "given": DAYS,
            "withdrawn": DAYS,
            "expires": DAYS,
            "tiers": st.sets(st.sampled_from(list(Tier))),
            "purposes": st.sets(st.sampled_from(["care", "research"])),
        }
    ).filter(lambda line: line["given"] or line["withdrawn"]),
    min_size=1,
    max_size=6,
)


def may_be_in(lines: list[dict[str, Any]], subject: str, tier: Tier) -> bool:
    """The rules as docs/governance.md words them."""
    mine = [each for each in lines if each["subject"] == subject]
    days = [each["given"] for each in mine if each["given"] and each["given"] <= DAY]
    if not days:
        return False
    if any(e["withdrawn"] and max(days) <= e["withdrawn"] <= DAY for e in mine):
        return False
    purpose = "care" if tier is Tier.INTERNAL else "research"
    return all(
        (each["withdrawn"] is None or each["withdrawn"] > DAY)
        and (each["expires"] is None or each["expires"] >= DAY)
        and tier in each["tiers"]
        and purpose in each["purposes"]
        for each in mine
        if each["given"] == max(days)
    )


@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lines=LINES)
def test_nobody_is_let_in_who_does_not_agree(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    spelt = [
        {
            name: " ".join(sorted(value)) if isinstance(value, set) else value or ""
            for name, value in each.items()
        }
        for each in lines
    ]
    said = answers(tmp_path, spelt)
    for subject, told in said.items():
        for tier, word in zip(Tier, told, strict=True):
            assert (word == "agreed") == may_be_in(lines, subject, tier), (subject, tier, word)
