"""Refuse an option that is given twice, where only one of the two would count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

_F = TypeVar("_F", bound=Callable[..., Any])


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        parsed = self.make_parser(ctx).parse_args(args=list(args))
        given: Counter[Any] = Counter(parsed[2])
        for option, times in given.items():
            # A flag given twice says the same twice, unless it has an opposite.
            may_differ = not getattr(option, "is_flag", False) or option.secondary_opts
            if times > 1 and may_differ and not getattr(option, "multiple", False):
                raise typer.BadParameter(
                    f"it is given {times} times, and only one would count; give it once, "
                    "with commas where it lists several",
                    ctx,
                    option,
                )
        return super().parse_args(ctx, args)


class Commands(typer.Typer):
    """Commands of which none drops what it was given."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[_F], _F]:
        return super().command(name, cls=_Command, **settings)
