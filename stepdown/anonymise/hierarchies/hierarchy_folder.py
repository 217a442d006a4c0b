"""Find the file of a folder that is the hierarchy of a column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stepdown.errors import ConfigInvalid

_INFIX = "hierarchy_"


@dataclass(frozen=True)
class HierarchyFolder:
    """A folder of hierarchies beside a table.

    Args:
        folder: None has no file.
        columns: of the table, all of them: a file that is named after one is no other's.
    """

    folder: Path | None
    columns: Sequence[str]

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise ConfigInvalid("no such folder of hierarchies", where=str(self.folder))

    def file_of(self, column: str) -> Path | None:
        """The column's file: ``age.csv``, or else one ``adult_hierarchy_age.csv``.

        Raises:
            ConfigInvalid: several files could be meant.
        """
        if self.folder is None:
            return None
        exact = self.folder / f"{column}.csv"
        if exact.is_file():
            return exact
        found = self._meant(column)
        if len(found) > 1:
            raise ConfigInvalid(
                f"several hierarchies for column {column}: "
                f"{', '.join(file.name for file in found)}",
                where=str(self.folder),
                next=f"Name the one to use {column}.csv.",
            )
        return found[0] if found else None

    def passed_over(self, columns: Sequence[str]) -> list[str]:
        """Names of files that hold the name of one of these columns, in whatever capitals, and are
        not taken for it, nor are the file of another column of the table."""
        without = [re.escape(name) for name in columns if self.file_of(name) is None]
        if self.folder is None or not without:
            return []
        word = re.compile(rf"(?<![^\W_])({'|'.join(without)})(?![^\W_])", re.IGNORECASE)
        others = {file for name in self.columns for file in self._meant(name)}
        return [
            file.name
            for file in sorted(self.folder.iterdir())
            if not (file.suffix == ".csv" and file.stem in self.columns)
            and file not in others
            and word.search(file.stem)
        ]

    def _meant(self, column: str) -> list[Path]:
        return [file for file in self._files() if self._is_meant(file.stem, column)]

    def _files(self) -> list[Path]:
        if self.folder is None:
            return []
        return sorted(file for file in self.folder.iterdir() if file.suffix == ".csv")

    def _is_meant(self, stem: str, column: str) -> bool:
        """Whether a file says ``hierarchy`` before the column's name, and names no other column.

        ``mother_age`` is no file of ``age``, nor is ``x_hierarchy_age`` where that is a column.
        """
        if not f"_{stem}".endswith(f"_{_INFIX}{column}"):
            return False
        longer = [name for name in self.columns if len(name) > len(column)]
        return not any(f"_{stem}".endswith(f"_{name}") for name in longer)
