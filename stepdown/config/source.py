"""Define how a config says where a table is read from."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from stepdown.config.treatments import Model

Share = Annotated[float, Field(ge=0, le=1)]


def _as_spelled(value: object) -> object:
    """The text of a number or date that YAML read as one; of true and false nobody can tell it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        width = getattr(value, "_width", None)  # of 007, which the parser keeps
        return f"{value:0{width}d}" if isinstance(value, int) and width else str(value)
    return value.isoformat() if isinstance(value, dt.date) else value


Spelled = Annotated[str, BeforeValidator(_as_spelled, json_schema_input_type=str | float)]
"""A cell's text, which may stand in YAML without quotes."""


class Source(Model):
    """Where the raw table is: a file or several, or a query on a database."""

    path: str | None = Field(
        None,
        description="A CSV or Parquet file, a folder of such files, or a pattern "
        "(`survey/2024-*.csv`), relative to the config.",
    )
    format: Literal["csv", "parquet"] | None = Field(
        None, description="Default: by the files' endings."
    )
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="Default: sniffed.")
    encoding: str | None = Field(
        None, description="Default: UTF-8, with or without BOM, or UTF-16 with one."
    )
    url: str | None = Field(None, description="SQLAlchemy URL without a password.")
    url_env: str | None = Field(None, description="Environment variable that holds the URL.")
    query: str | None = Field(None, description="The SELECT that gives the table.")
    missing: list[Spelled] | None = Field(
        None,
        description="Texts that mean 'no value' in every column, and no others; a column may add "
        "its own. Default: empty cells, and `NA` where it cannot be a text: in columns of another "
        "type, and without quotes in a file that quotes its texts, as R writes it. `['']`: empty "
        "cells alone. A number stands for every way to write it: `-99` is -99.0 too.",
    )
    tolerated_rejects: Share = Field(
        0.0, description="Share of rows that may fail their types and be left out."
    )
    as_of: dt.date | None = Field(
        None, description="The date the data stand at; default the day of the run."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Source:
        if (self.path is None) == (self.query is None):
            raise ValueError("give either path, or query with url or url_env")
        if self.query is not None and (self.url is None) == (self.url_env is None):
            raise ValueError("a query needs exactly one of url and url_env")
        return self
