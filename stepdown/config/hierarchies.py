"""Define how a config names a generalisation hierarchy: a file, or a rule that builds one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from stepdown.config.treatments import Model


class Intervals(Model):
    """One level of numeric intervals ``[start, start + width)``."""

    width: float = Field(gt=0, description="Width of an interval, in the column's unit.")
    bottom: float | None = Field(None, description="Values below it share one interval.")
    top: float | None = Field(None, description="Values from it upwards share one interval.")

    @model_validator(mode="after")
    def _ordered(self) -> Intervals:
        if self.bottom is not None and self.top is not None and self.bottom >= self.top:
            raise ValueError("bottom must be below top")
        return self


class IntervalHierarchy(Model):
    """Levels of ever wider intervals; ``*`` is added on top."""

    intervals: list[Intervals] = Field(min_length=1)


class DateHierarchy(Model):
    """Levels of ever coarser calendar units; ``*`` is added on top."""

    dates: list[Literal["month", "quarter", "year"]] = Field(min_length=1)


class PrefixHierarchy(Model):
    """Levels of ever shorter prefixes; ``*`` is added on top."""

    prefixes: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _shrinks(self) -> PrefixHierarchy:
        if sorted(set(self.prefixes), reverse=True) != self.prefixes:
            raise ValueError("prefixes must get shorter from level to level")
        return self


class TreeHierarchy(Model):
    """Categories nested in YAML, every leaf at the same depth; ``*`` is added on top."""

    tree: dict[str, Any] = Field(description="label: {label: [leaf, …]} down to lists of leaves.")


class FileHierarchy(Model):
    """A CSV with one row per leaf and one column per level, ``;`` or ``,`` between them."""

    file: str = Field(description="Path, relative to the config.")


def _tag(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        return str(next(iter(value)))
    return next(iter(type(value).model_fields)) if isinstance(value, Model) else "unknown"


Hierarchy = Annotated[
    Annotated[FileHierarchy, Tag("file")]
    | Annotated[IntervalHierarchy, Tag("intervals")]
    | Annotated[DateHierarchy, Tag("dates")]
    | Annotated[PrefixHierarchy, Tag("prefixes")]
    | Annotated[TreeHierarchy, Tag("tree")],
    Discriminator(
        _tag,
        custom_error_type="hierarchy",
        custom_error_message=(
            "is not a hierarchy; use one of file, intervals, dates, prefixes, tree"
        ),
    ),
]
"""Exactly one of ``file``, ``intervals``, ``dates``, ``prefixes`` or ``tree``."""
