"""How the commands' arguments look, and how lists in them are read."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from stepdown.errors import InputWrong
from stepdown.vocabulary import Tier

Config = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="A dataset's release config (YAML).")
]
Table = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV or Parquet file.")]
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
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Tiers = Annotated[
    list[Tier] | None,
    typer.Option("--tier", help="Stop at this tier; those above it are always part of the run."),
]
AsOf = Annotated[
    dt.datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Date the data stand at; default the config's, today."),
]
Person = Annotated[str, typer.Option("--name", help="Your name, as the ledger shall keep it.")]
Capacity = Annotated[
    str, typer.Option("--role", help="The role you sign in, such as risk_officer.")
]


def names(text: str) -> list[str]:
    """Columns that an option lists, commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


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
