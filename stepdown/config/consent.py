"""Define what a config says of its consent register: where it is, what its columns mean."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from stepdown.artifacts import ArtifactRef
from stepdown.config.source import Source
from stepdown.config.treatments import Model

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ConsentColumns(Model):
    """The register's columns; it holds these and no other, so that none is overlooked."""

    subject: Text = Field("subject", description="Who: an id as in the dataset's subject column.")
    given: Text = Field("given", description="First day on which the line counts (date).")
    withdrawn: Text = Field(
        "withdrawn", description="First day on which it no longer does, empty for none (date)."
    )
    expires: Text | None = Field(
        None, description="Last day on which it counts, empty for none (date)."
    )
    tiers: Text | None = Field(
        None, description="Tiers that they agreed to, such as `internal partner`."
    )
    purposes: Text | None = Field(
        None, description="Purposes that they agreed to, each one of the dataset's `purposes`."
    )

    @model_validator(mode="after")
    def _says_to_what(self) -> Self:
        if self.tiers is None and self.purposes is None:
            raise ValueError("name the column of tiers or of purposes: to what did they agree?")
        names = [name for name in self.model_dump().values() if name is not None]
        if len(set(names)) < len(names):
            raise ValueError("two of the columns have the same name")
        return self


class ConsentRegister(Model):
    """Who agreed to what. It is read anew at every run, and a run without it is refused."""

    source: Source = Field(description="Files or a query, as the dataset's own source.")
    columns: ConsentColumns = Field(description="What its columns are called.")
    unknown: Literal["refuse", "leave_out", "keep"] = Field(
        "refuse", description="What happens where a subject is not in the register."
    )
    because: Text | None = Field(
        None, description="Why subjects who are not in the register are kept."
    )

    @model_validator(mode="after")
    def _careful(self) -> Self:
        if self.unknown == "keep" and self.because is None:
            raise ValueError("unknown: keep needs because: why may they be released unasked?")
        if self.source.tolerated_rejects or self.source.as_of:
            raise ValueError(
                "the register's source takes no tolerated_rejects and no as_of: a line that cannot "
                "be read may be a withdrawal"
            )
        return self


@dataclass(frozen=True)
class Consents:
    """What the register says on a day, pinned.

    Args:
        ref: one line per subject of the register: ``subject``, and per tier what it says.
        day: the day it was asked about.
    """

    ref: ArtifactRef
    day: dt.date
