"""Define what a tier does to a column, as YAML says it: one word, or one with settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class Model(BaseModel):
    """Every config model: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LevelRange(Model):
    """Which levels of the hierarchy the search may choose from."""

    at_least: int = Field(0, ge=0, description="Lowest level allowed; 0 is the value untouched.")
    at_most: int | None = Field(None, ge=0, description="Highest level allowed; default the top.")


class Generalise(Model):
    """Replace values by their ancestors in the column's hierarchy; the search picks the level."""

    generalise: LevelRange


class NumberCoding(Model):
    """Coarsen a number: bottom- and top-code it, then round it."""

    round: float | None = Field(None, gt=0, description="Round to the nearest multiple of this.")
    bottom: float | None = Field(None, description="Smaller values become this value.")
    top: float | None = Field(None, description="Larger values become this value.")


class CodeNumber(Model):
    """Round, top-code or bottom-code a numeric column."""

    code: NumberCoding


class TruncateDate(Model):
    """Replace a date by the first day of its month, quarter or year."""

    date: Literal["month", "quarter", "year"]


class TruncatePrefix(Model):
    """Keep the first characters of a code."""

    prefix: int = Field(ge=1, description="How many leading characters stay.")


class RareCells(Model):
    """Which cells to suppress."""

    fewer_than: int = Field(ge=2, description="Values that fewer data subjects hold go missing.")


class SuppressCells(Model):
    """Make rare values of a column missing."""

    suppress_cells: RareCells


class WeightSteps(Model):
    """How coarse a survey weight becomes."""

    steps: int = Field(10, ge=1, description="Most values that are left, each shared by 2k homes.")


class Coarsen(Model):
    """Put a survey weight on a few steps, each the mean of neighbours that enough people share."""

    coarsen: WeightSteps


SurrogateKind = Literal[
    "person_name", "first_name", "last_name", "email", "phone", "address", "company", "city"
]


class Surrogate(Model):
    """Replace a value by an invented one of the same kind, stable under the tier's key."""

    surrogate: SurrogateKind


Word = Literal["keep", "drop", "pseudonym", "generalise"]


def _tag(value: Any) -> str:
    if isinstance(value, str):
        return "word"
    if isinstance(value, dict) and len(value) == 1:
        return str(next(iter(value)))
    return next(iter(type(value).model_fields)) if isinstance(value, Model) else "unknown"


Treatment = Annotated[
    Annotated[Word, Tag("word")]
    | Annotated[Generalise, Tag("generalise")]
    | Annotated[CodeNumber, Tag("code")]
    | Annotated[TruncateDate, Tag("date")]
    | Annotated[TruncatePrefix, Tag("prefix")]
    | Annotated[SuppressCells, Tag("suppress_cells")]
    | Annotated[Coarsen, Tag("coarsen")]
    | Annotated[Surrogate, Tag("surrogate")],
    Discriminator(
        _tag,
        custom_error_type="treatment",
        custom_error_message=(
            "is not a treatment; use keep, drop, pseudonym, generalise, or one of "
            "generalise, code, date, prefix, suppress_cells, coarsen, surrogate with its settings"
        ),
    ),
]
"""``keep``, ``drop``, ``pseudonym``, ``generalise``, or one of those models."""
