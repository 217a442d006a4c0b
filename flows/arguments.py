"""Declare the commands' arguments, and read the lists in them."""

from __future__ import annotations

import csv
import datetime as dt
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepdown.errors import InputWrong
from stepdown.vocabulary import Tier

if TYPE_CHECKING:
    from stepdown.anonymise.lattice.models import PrivacyModels
    from stepdown.tables import Form

Config = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="A dataset's release config (YAML).")
]
Configs = Annotated[list[Path], typer.Argument(metavar="CONFIG…", help="Release configs (YAML).")]
Table = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A CSV or Parquet file, a folder of such files, or a pattern in quotes.",
    ),
]
Missing = Annotated[
    list[str] | None,
    typer.Option(
        "--missing",
        metavar="TEXT",
        help="A text that means 'no value', and no other does; repeatable. '' alone: only empty "
        "cells are missing. Default: empty cells, and NA where it cannot be a text.",
    ),
]
Encoding = Annotated[
    str | None, typer.Option(help="Of a CSV, such as cp1252; default UTF-8, or UTF-16 by its mark.")
]
Delimiter = Annotated[
    str | None, typer.Option(help="Of a CSV; default the likeliest of , ; tab and |.")
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        help="IANA time zone in which times with an offset are read; needed where a column's "
        "have several. Default: each time keeps its own clock's."
    ),
]
Address = Annotated[
    str,
    typer.Argument(
        metavar="RELEASE",
        help="dataset/tier/version or dataset/tier/recipient/version; 'latest' is a version.",
    ),
]
Work = Annotated[
    Path,
    typer.Option(
        envvar="STEPDOWN_WORK",
        help="Your own folder: snapshots, candidates, ledger, keyring. Never served.",
    ),
]
Store = Annotated[
    str, typer.Option(envvar="STEPDOWN_STORE", help="Where releases are published: folder or URL.")
]
PublisherKey = Annotated[
    str,
    typer.Option(
        help="For what only the store still knows: an older public key of yours, `ed25519:…`."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Again = Annotated[
    bool, typer.Option("--again", help="Derive every tier though nothing has changed.")
]
Today = Annotated[
    dt.datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], help="Today's date, where the ledger puts this clock in doubt."
    ),
]
Tiers = Annotated[
    list[Tier] | None,
    typer.Option("--tier", help="Stop at this tier; those above it are always part of the run."),
]
AsOf = Annotated[
    dt.datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Date the data stand at; default the config's, today."),
]


def privacy_models(
    *,
    k: int,
    diversity: tuple[str, float, float],
    t: float | None,
    delta: float | None,
    beta: tuple[str, float | None],
    average_risk: float | None,
    k_map: int,
    delta_presence: str,
) -> PrivacyModels:
    """The models that the options of ``anonymise`` ask for.

    Args:
        diversity: the kind of l, l, and c of the recursive kind.
        beta: basic or enhanced, and its limit.
        delta_presence: least,most; empty asks nothing.

    Raises:
        InputWrong: l counts values or ranks and is no whole number, or delta-presence is not two
            numbers.
    """
    from stepdown.anonymise.lattice.models import PrivacyModels

    kind, l, c = diversity  # noqa: E741
    if kind != "entropy" and not l.is_integer():
        raise InputWrong(
            f"l is {l:g}, and {kind} l is a whole number", where="--l", next="Round it up."
        )
    likeness, most = beta
    return PrivacyModels(
        k=k,
        k_map=k_map,
        distinct_l=int(l) if kind == "distinct" else 1,
        entropy_l=l if kind == "entropy" else 1.0,
        recursive_cl=(c, int(l)) if kind == "recursive" else None,
        t=t,
        delta_disclosure=delta,
        beta=most if likeness == "basic" else None,
        enhanced_beta=most if likeness == "enhanced" else None,
        delta_presence=_two_shares(delta_presence),
        expected_reidentifications=average_risk,
    )


def _two_shares(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        least, most = (float(part) for part in text.split(","))
    except ValueError:
        raise InputWrong(
            f"{text} is not two numbers", where="--delta-presence", next="For example: 0.1,0.7"
        ) from None
    return least, most


def form(
    delimiter: str | None,
    encoding: str | None,
    missing: list[str] | None,
    time_zone: str | None = None,
) -> Form:
    """Give the form of a command's files; an empty cell is missing whatever else is.

    Raises:
        InputWrong: there is no such time zone.
    """
    from stepdown.tables import Form

    if time_zone is not None and time_zone not in zoneinfo.available_timezones():
        raise InputWrong(
            f"{time_zone} is no IANA time zone",
            where="--time-zone",
            next="For example: Africa/Nairobi.",
        )
    # Most shells hand a typed \t on as two characters.
    delimiter = "\t" if delimiter == r"\t" else delimiter
    texts = tuple(dict.fromkeys(("", *missing))) if missing else None
    return Form(delimiter, encoding, texts, time_zone)


def names(text: str) -> list[str]:
    """Columns that an option lists, commas between them; one in a name stands in quotes.

    >>> names('age, "town, or village"')
    ['age', 'town, or village']
    """
    fields = next(csv.reader([text], skipinitialspace=True), [])
    return [name.strip() for name in fields if name.strip()]


def weights(text: str) -> dict[str, float]:
    """Column → number of an option such as ``age=2,sex=1``.

    Raises:
        InputWrong: a part is not column=number.
    """
    found = {}
    for part in names(text):
        name, _, number = part.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise InputWrong(
                f"{part} is not column=number", where="--weights", next="For example: age=2,sex=1"
            ) from None
    return found
