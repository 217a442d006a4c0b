"""What two sources may differ in and yet release the same rows: the kinds of what is withheld.

Everybody is in a large class of sex and band of ages. A change alters a list of rows in place.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Row = dict[str, str]
Change = Callable[[list[Row], random.Random], None]

ALL = "internal partner public"
CONSENT = f"2025-01-01,,,{ALL}"
"""A line of the register: given, withdrawn, expires, tiers."""
NEWCOMERS = "P50000"
"""The first of those who came for the second version."""


def people(
    each: int, start: int, chance: random.Random, ages: Sequence[int] = (30, 45)
) -> list[Row]:
    """So many people in each of the classes of sex and band of ages, all seen in one month."""
    rows = []
    for age in ages:
        for sex in "fm":
            for n in range(each):
                number = start + len(rows)
                rows.append(
                    {
                        "person": f"P{number:05d}",
                        "household": f"H{number:05d}",
                        "name": f"Somebody Nr{number}",
                        "note": f"remark {number}",
                        "agreed": "public",
                        "consents": CONSENT,
                        "sex": sex,
                        "age": str(age + chance.randrange(5)),
                        "seen": f"2026-03-{1 + chance.randrange(28):02}",
                        "ill": "ab"[n % 2],
                        "income": str(chance.randrange(1000, 9000)),
                        "visits": str(chance.randrange(9)),
                        "weight": f"{chance.uniform(1, 3):.2f}",
                    }
                )
    return rows


def stranger(number: int, chance: random.Random, **facts: str) -> Row:
    """One more person, of a class of the others unless ``facts`` say otherwise."""
    (row,) = people(1, 90_000 + number, chance, (30,))[:1]
    return row | facts


def suppressed(rows: list[Row], chance: random.Random) -> None:
    """People whom nobody resembles."""
    for n in range(1 + chance.randrange(2)):
        rows.append(stranger(n, chance, age=str(70 + 6 * n), ill=chance.choice("abc")))


def without_consent(rows: list[Row], chance: random.Random) -> None:
    for n in range(1 + chance.randrange(5)):
        answer = chance.choice(["no", "internal", ""])
        rows.append(stranger(10 + n, chance, agreed=answer, ill=chance.choice("abc")))


def dropped_columns(rows: list[Row], chance: random.Random) -> None:
    for row in chance.sample(rows, 9):
        row["name"], row["note"] = f"Other {chance.random()}", f"else {chance.random()}"
        row["income"] = str(chance.randrange(10_000, 90_000))


def dropped_below_internal(rows: list[Row], chance: random.Random) -> None:
    """Columns that internal keeps: a weight, a household and a count."""
    for row in chance.sample(rows, 9):
        row["weight"], row["visits"] = f"{chance.uniform(1, 9):.2f}", str(chance.randrange(99))
        row["household"] = chance.choice(rows)["household"]


def same_people(rows: list[Row], chance: random.Random) -> None:
    """Rows of several people that are one person's; a copy with a pseudonym would tell."""
    for row in chance.sample(rows[1:], 3):
        row["person"] = rows[0]["person"]


def detail(rows: list[Row], chance: random.Random) -> None:
    """Years within a band of five, days within a month."""
    for row in chance.sample(rows, 25):
        row["age"] = str(int(row["age"]) // 5 * 5 + chance.randrange(5))
        row["seen"] = f"2026-03-{1 + chance.randrange(28):02}"


def rejected(rows: list[Row], chance: random.Random) -> None:
    for n in range(1 + chance.randrange(4)):
        rows.insert(chance.randrange(len(rows)), stranger(20 + n, chance, age="unknown age"))


def shuffled(rows: list[Row], chance: random.Random) -> None:
    """The order in which people were asked."""
    chance.shuffle(rows)


def held_back(rows: list[Row], chance: random.Random) -> None:
    """Newcomers to the second version, too few to be told from those who were there."""
    for n in range(1 + chance.randrange(3)):
        row = stranger(30 + n, chance, sex=chance.choice("fm"), ill=chance.choice("ab"))
        rows.append(row | {"age": str(45 + chance.randrange(5))})


def consent_register(rows: list[Row], chance: random.Random) -> None:
    """People whom the register lacks or who do not agree today; and since when others agree."""
    for row in chance.sample(rows, 9):
        given, ends = f"2025-0{1 + chance.randrange(9)}-01", f"2027-0{1 + chance.randrange(9)}-01"
        row["consents"] = chance.choice(
            [f"{given},,,{ALL}", f"{given},{ends},,{ALL}", f"2024-01-01,,,\n{given},,{ends},{ALL}"]
        )
    for n in range(1 + chance.randrange(5)):
        lines = chance.choice(
            ["", "2025-01-01,2026-02-03,," + ALL, "2025-01-01,,2026-02-03," + ALL,
             "2025-01-01,,,internal", "2027-01-01,,," + ALL]
        )  # fmt: skip
        rows.append(stranger(40 + n, chance, consents=lines, ill=chance.choice("abc")))


def earlier_periods(rows: list[Row], chance: random.Random) -> None:
    """Rows whose period is over: changed in what is dropped, or no longer there."""
    old = [row for row in rows if row["person"] < NEWCOMERS]
    for row in chance.sample(old, 9):
        row["name"], row["weight"] = f"Other {chance.random()}", f"{chance.uniform(1, 9):.2f}"
    for row in chance.sample(old, 1 + chance.randrange(30)):
        rows.remove(row)


KINDS: dict[str, Change] = {
    change.__name__: change
    for change in (
        suppressed, without_consent, dropped_columns, dropped_below_internal, same_people,
        detail, rejected, consent_register, shuffled,
        held_back, earlier_periods,
    )
}  # fmt: skip
LATER = {"held_back", "earlier_periods"}
"""Kinds of difference that only a later version can have."""
