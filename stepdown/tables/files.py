"""Find the files of a table: the one at a path, all in a folder, or those that fit a pattern.

They are given in byte order of their paths, which is the same on every machine. Nothing that lies
there is passed over in silence but what is hidden by its name.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stepdown.errors import SourceInvalid
from stepdown.tables.form import ENDINGS, is_parquet

LISTED = 20
"""Problems that an error lists."""

_WILD = re.compile(r"[*?\[]")
_OF_OTHERS = re.compile(r"[._].*|~\$.*|.*~|.*\.crc")
"""Names of files that programs leave beside data: hidden, marks of Hadoop, locks, checksums."""


@dataclass(frozen=True)
class Files:
    """The files of a table.

    Args:
        base: the folder, or what a pattern's part without wildcards names.
        paths: at least one, in byte order.
    """

    base: Path
    paths: tuple[Path, ...]

    def name(self, path: Path) -> str:
        """A file's path from the folder on."""
        return path.relative_to(self.base).as_posix()


def is_several(path: Path) -> bool:
    """Tell a folder or a pattern from a file; a file that has its very name is one file."""
    return path.is_dir() or (not path.exists() and bool(_WILD.search("/".join(_split(path)[1]))))


def files_of(path: Path, kind: Literal["csv", "parquet"] | None = None) -> Files:
    """The files in a folder or of a pattern, as ``is_several`` tells.

    Args:
        path: of a pattern, every part may hold ``*``, ``?`` and ``[…]``.
        kind: what they are; None goes by their endings, which must then say the same of all.

    Raises:
        SourceInvalid: there is none, or one that cannot belong to the table: each is named.
    """
    base, parts = (path, ["*"]) if path.is_dir() else _split(path)
    if "**" in parts:
        raise SourceInvalid(
            "`**` stands for folders at any depth, whose files are not read as one table",
            where=str(path),
            next="Write one `*` for each folder on the way, such as parts/*/*.parquet.",
        )
    try:
        found = sorted(_fitting(base, parts), key=os.fsencode)
    except OSError as error:
        raise SourceInvalid(
            f"the folder cannot be read ({error.strerror})", where=str(path), next="Check its path."
        ) from None
    files = Files(base, tuple(found))
    if not found:
        raise SourceInvalid(
            "the folder holds no file" if path.is_dir() else "no file fits the pattern",
            where=str(path),
            next="Check the path. Names that begin with . or _ are left out.",
        )
    problems = list(_problems(files, kind))
    if problems:
        raise SourceInvalid(listed(problems), where=str(path), next=_NEXT)
    return files


_NEXT = (
    "Put nothing but the table's files there, or name them by a pattern such as survey/2024-*.csv."
)


def check_readable(path: Path) -> None:
    """Refuse a path at which there is no file with a byte in it.

    Raises:
        SourceInvalid: saying which of these it is.
    """
    problem = None
    if not path.is_file():
        problem = "no such file"
    else:
        try:
            with open(path, "rb") as file:
                if not file.read(1):
                    problem = "the source is empty: the file has 0 bytes"
        except OSError as error:
            problem = f"the file cannot be read ({error.strerror})"
    if problem:
        raise SourceInvalid(problem, where=str(path), next="Give a CSV or Parquet file.")


def listed(problems: Sequence[str]) -> str:
    """The first problems, one a line, and how many more there are."""
    more = len(problems) - LISTED
    return "\n".join([*problems[:LISTED], *([f"and {more:,} more"] if more > 0 else [])])


def _split(path: Path) -> tuple[Path, list[str]]:
    """The part of a path that is there, or has no wildcard, and what comes after it."""
    base = Path(path.anchor)
    parts = list(path.parts[1:] if path.anchor else path.parts)
    while parts and ((base / parts[0]).exists() or not _WILD.search(parts[0])):
        base /= parts.pop(0)
    return base, parts


def _fitting(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    part, rest = parts[0], parts[1:]
    for name in os.listdir(base):
        hidden = _OF_OTHERS.fullmatch(name) and name[0] != part[0]
        if hidden or not (name == part or fnmatch.fnmatchcase(name, part)):
            continue
        found = base / name
        if not rest:
            yield found
        elif found.is_dir():
            yield from _fitting(found, rest)


def _problems(files: Files, kind: Literal["csv", "parquet"] | None) -> Iterator[str]:
    inside, seen = files.base.resolve(), dict[tuple[int, int], str]()
    kept: list[Path] = []
    for path in files.paths:
        name = files.name(path)
        if path.is_dir():
            yield f"{name}: it is a folder{_hive(name)}"
        elif not path.is_file():
            yield f"{name}: it is no file, or a link that leads nowhere"
        elif inside not in path.resolve().parents:
            yield f"{name}: it is a link to a file outside the folder"
        elif kind is None and path.suffix.lower() not in ENDINGS:
            yield f"{name}: its ending does not say that it is CSV or Parquet"
        else:
            kept.append(path)
            known = path.stat()
            first = seen.setdefault((known.st_dev, known.st_ino), name)
            if first != name:
                yield f"{name}: it is the same file as {first}"
    parquet = [path for path in kept if is_parquet(path)]
    if kind is None and 0 < len(parquet) < len(kept):
        other = next(path for path in kept if not is_parquet(path))
        yield (
            f"{len(parquet)} of {len(kept)} files are Parquet, such as {files.name(parquet[0])}, "
            f"and the others CSV, such as {files.name(other)}"
        )


def _hive(name: str) -> str:
    column = name.rsplit("/", 1)[-1].partition("=")
    if not (column[0] and column[1]):
        return ""
    return f"; what its name says of {column[0]} must be a column of the files in it"
