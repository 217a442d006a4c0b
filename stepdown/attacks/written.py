"""A candidate's written rows beside their data subjects, in the engine: what every attack reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, ReleaseConfig, treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.engine import Session, open_session, quote
from stepdown.vocabulary import Role, Tier


@dataclass(frozen=True)
class Written:
    """An open candidate.

    Args:
        session: holds ``data``, ``lineage`` and ``record`` (``row``, ``source_row``, ``subject``,
            ``household``, ``weight``, and column i of the file as ``c<i>``).
        config: the dataset's.
        tier: the candidate's.
        columns: the columns of the file that the config names, in the order of the file.
    """

    session: Session
    config: ReleaseConfig
    tier: Tier
    columns: list[str]

    def alias(self, name: str) -> str:
        """What a column is called in ``record``."""
        return f"c{self.columns.index(name)}"

    def names(self, *roles: Role) -> list[str]:
        """Columns of the file that have one of these roles."""
        return [name for name in self.columns if self.config.columns[name].role in roles]

    def quasi_identifiers(self) -> list[str]:
        """Their names in ``record``."""
        return [self.alias(name) for name in self.names(Role.QUASI_IDENTIFIER)]

    def is_rekeyed(self, name: str) -> bool:
        """Whether the column holds tokens or inventions in place of raw values."""
        treatment = treatment_of(self.config, name, self.tier)
        return treatment == "pseudonym" or isinstance(treatment, Surrogate)

    def keeps_an_id(self) -> bool:
        """Whether a column holds a subject's rows together."""
        return bool(self.names(Role.SUBJECT)) or any(
            self.is_rekeyed(name) for name in self.names(Role.DIRECT_IDENTIFIER)
        )


@contextmanager
def open_written(
    candidate: Candidate,
    loaded: LoadedConfig,
    scratch: str | Path | None = None,
    snapshot: ArtifactRef | None = None,
) -> Iterator[Written]:
    """Open a candidate's data with its lineage, and with the snapshot where households count.

    Raises:
        StoreCorrupt: a file is gone or no longer the one that was written.
    """
    config = loaded.config
    held = pq.read_schema(check_bytes(candidate.data)).names
    columns = [name for name in held if name in config.columns]
    household = config.name(Role.HOUSEHOLD) if snapshot else None
    parts = [
        "data.file_row_number AS row",
        "lineage.source_row AS source_row",
        "lineage.subject AS subject",
        f"snapshot.{quote(household)} AS household" if household else "NULL AS household",
        "NULL::DOUBLE AS weight",
        *(f"data.{quote(name)} AS c{i}" for i, name in enumerate(columns)),
    ]
    # A row without lineage stays, with an unknown subject: it must not shrink what is attacked.
    sql = (
        f"CREATE TEMP TABLE record AS SELECT {', '.join(parts)} FROM data "
        "LEFT JOIN lineage ON lineage.row = data.file_row_number"
    )
    if household:
        sql += " LEFT JOIN snapshot ON snapshot.file_row_number = lineage.source_row"
    with open_session(scratch) as session:
        session.attach_parquet("data", candidate.data.path)
        session.attach_parquet("lineage", check_bytes(candidate.lineage))
        if snapshot:
            session.attach_parquet("snapshot", check_bytes(snapshot))
        session.run(sql)
        yield Written(session, config, candidate.tier, columns)
