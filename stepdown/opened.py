"""Open a candidate once: check its files, and lay out in one engine what every measure reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stepdown.artifacts import ArtifactRef, Hashes, check_bytes
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, ReleaseConfig, treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.engine import (
    NamedRows,
    Session,
    lineage_rows,
    open_session,
    parquet_rows,
    quote,
    released_rows,
    rows_above,
    source_rows,
)
from stepdown.vocabulary import Role, Tier

DATA, LINEAGE, PARENT, SNAPSHOT = "data", "lineage", "parent", "snapshot"
HIERARCHIES, SCALE = "hierarchies", "scale"


class Source:
    """An open snapshot; the candidates made from it are opened beside it, in the same engine.

    Not a dataclass: Prefect walks through every dataclass that a task is given.

    Args:
        session: holds ``snapshot``, which is read from its file once.
        loaded: the config of its dataset.
        hashes: files whose bytes were checked.
    """

    def __init__(
        self, session: Session, snapshot: ArtifactRef, loaded: LoadedConfig, hashes: Hashes
    ) -> None:
        self.session = session
        self.snapshot = snapshot
        self.loaded = loaded
        self.hashes = hashes
        self._kept: set[str] = set()

    @contextmanager
    def open(
        self,
        candidate: Candidate,
        parent: ArtifactRef,
        scale: ArtifactRef | None = None,
    ) -> Iterator[Opened]:
        """Open a candidate with the tier above it.

        Args:
            candidate: its data, lineage and hierarchies.
            parent: the data file of the tier above (the snapshot for internal, the base for a
                copy).
            scale: the file between whose extremes numeric sensitive columns are binned; default
                the parent. A copy is binned like its base: between the extremes of internal.

        Raises:
            StoreCorrupt: a file is missing or no longer the one that was written.
        """
        files = {
            PARENT: parent,
            SCALE: scale or parent,
            HIERARCHIES: candidate.hierarchies,
        }
        with self._opened(candidate, files) as opened:
            opened = replace(opened, parent=parent)
            _lay_out_records(opened, with_source=True)
            yield opened
        self.rest()

    @contextmanager
    def beside(self, candidate: Candidate, snapshot: ArtifactRef | None = None) -> Iterator[Opened]:
        """Open another candidate, perhaps of an earlier source, to compare one with.

        Args:
            snapshot: its source, default this one.

        Raises:
            StoreCorrupt: a file is missing or no longer the one that was written.
        """
        files = {HIERARCHIES: candidate.hierarchies}
        if snapshot and snapshot.sha256 != self.snapshot.sha256:
            files[SNAPSHOT] = snapshot
        with self._opened(candidate, files) as opened:
            opened = replace(opened, snapshot=snapshot or self.snapshot)
            _lay_out_records(opened, with_source=False)
            yield opened

    def rest(self) -> None:
        """Let go of memory before a tier is derived; what is loaded waits on disk."""
        self.session.rest()

    def keep(self, name: str, sql: str) -> None:
        """Leave what follows from the snapshot alone as a relation; the first call answers it.

        Every session of the source and its candidates sees it, and it goes with the source. It is
        on disk, where it takes no memory that a measure needs.
        """
        if name not in self._kept:
            self.session.lay_out(name, sql)
            self._kept.add(name)

    def check(self, ref: ArtifactRef) -> Path:
        """The file behind a reference, whose bytes are read once as long as it stays the same.

        Raises:
            StoreCorrupt: it is missing or no longer the one that was written.
        """
        return check_bytes(ref, self.hashes)

    def released(self, candidate: Candidate) -> NamedRows:
        """The rows of a candidate, whose bytes were checked.

        Raises:
            StoreCorrupt: a file is missing or no longer the one that was written.
        """
        self.check(candidate.data)
        self.check(candidate.lineage)
        return released_rows(candidate.data, candidate.lineage)

    @contextmanager
    def _opened(self, candidate: Candidate, files: dict[str, ArtifactRef]) -> Iterator[Opened]:
        for ref in (candidate.data, candidate.lineage, *files.values()):
            self.check(ref)
        if PARENT in files and candidate.parent_lineage:
            self.check(candidate.parent_lineage)
        with self.session.part() as session:
            session.share_parquet(DATA, released_rows(candidate.data, candidate.lineage))
            session.load_parquet(LINEAGE, lineage_rows(candidate.lineage.path))
            for name, ref in files.items():
                if ref == self.snapshot:
                    session.share(name, self.session.qualified(SNAPSHOT))
                elif name == PARENT:
                    session.share_parquet(name, _rows_above(ref, candidate))
                elif name == SNAPSHOT:
                    session.share_parquet(name, source_rows(ref.path))
                else:
                    session.share_parquet(name, parquet_rows(ref))
            columns = [n for n in session.columns(DATA) if n in self.loaded.config.columns]
            yield Opened(self, session, candidate, columns, self.snapshot)


@dataclass(frozen=True)
class Opened:
    """An open candidate.

    Args:
        source: what it was opened beside.
        session: holds ``data``, ``lineage``, ``snapshot``, ``hierarchies`` and ``record`` (``row``,
            ``_row_id``, ``subject``, ``household``, ``weight``, and column i of the file as
            ``c<i>``); with a parent also ``parent`` and ``scale``.
        columns: the columns of the file that the config names, in the order of the file.
        snapshot: what it was made from.
        parent: the data file of the tier above.
        measured: what one measure leaves to the others, under its name.
    """

    source: Source
    session: Session
    candidate: Candidate
    columns: list[str]
    snapshot: ArtifactRef
    parent: ArtifactRef | None = None
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def loaded(self) -> LoadedConfig:
        return self.source.loaded

    @property
    def config(self) -> ReleaseConfig:
        return self.source.loaded.config

    @property
    def tier(self) -> Tier:
        return self.candidate.tier

    @contextmanager
    def aside(self) -> Iterator[Opened]:
        """The same for one measure: the temporary relations that it makes go with it."""
        with self.session.aside() as session:
            yield replace(self, session=session)

    @contextmanager
    def as_tokens(self, hierarchies: ArtifactRef, snapshot: ArtifactRef) -> Iterator[Opened]:
        """The same with tokens in place of raw values, as earlier versions may have them."""
        with self.session.part() as session:
            session.share_parquet(HIERARCHIES, self.source.check(hierarchies))
            session.share_parquet(SNAPSHOT, source_rows(self.source.check(snapshot)))
            yield replace(
                self,
                session=session,
                candidate=replace(self.candidate, hierarchies=hierarchies),
                snapshot=snapshot,
            )

    def alias(self, name: str) -> str:
        """The name of a column in ``record``."""
        return f"c{self.columns.index(name)}"

    def names(self, *roles: Role) -> list[str]:
        """Columns of the file that have one of these roles."""
        return [name for name in self.columns if self.config.columns[name].role in roles]

    def aliases(self, *roles: Role) -> list[str]:
        """Their names in ``record``."""
        return [self.alias(name) for name in self.names(*roles)]

    def is_rekeyed(self, name: str) -> bool:
        """True where the column holds tokens or inventions in place of raw values."""
        treatment = treatment_of(self.config, name, self.tier)
        return treatment == "pseudonym" or isinstance(treatment, Surrogate)

    def keeps_an_id(self) -> bool:
        """True where some column holds a subject's rows together."""
        return bool(self.names(Role.SUBJECT)) or any(
            self.is_rekeyed(name) for name in self.names(Role.DIRECT_IDENTIFIER)
        )


@contextmanager
def open_source(
    snapshot: ArtifactRef, loaded: LoadedConfig, scratch: str | Path | None = None
) -> Iterator[Source]:
    """Open a pinned snapshot.

    Args:
        loaded: the config of its dataset.
        scratch: folder in which the engine may spill.

    Raises:
        StoreCorrupt: it is missing or no longer the one that was written.
    """
    hashes: Hashes = {}
    path = check_bytes(snapshot, hashes)
    with open_session(scratch) as engine, engine.part() as session:
        session.load_parquet(SNAPSHOT, source_rows(path))
        yield Source(session, snapshot, loaded, hashes)


@contextmanager
def open_candidate(
    candidate: Candidate,
    parent: ArtifactRef,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    scratch: str | Path | None = None,
    scale: ArtifactRef | None = None,
) -> Iterator[Opened]:
    """Open a candidate and its source for itself: see ``open_source`` and ``Source.open``."""
    with (
        open_source(snapshot, loaded, scratch) as source,
        source.open(candidate, parent, scale) as opened,
    ):
        yield opened


def _rows_above(parent: ArtifactRef, candidate: Candidate) -> NamedRows:
    if candidate.parent_lineage:
        return released_rows(parent, candidate.parent_lineage)
    return rows_above(parent.path, candidate.lineage.path)


def _lay_out_records(opened: Opened, with_source: bool) -> None:
    """Leave ``record``: every written row with its subject, and perhaps household and weight.

    Household and weight come from the snapshot, so that neither dropping nor rounding them changes
    how many people of the population a record stands for.
    """
    household = opened.config.name(Role.HOUSEHOLD) if with_source else None
    weight = opened.config.name(Role.WEIGHT) if with_source else None
    parts = [
        'data."stepdown.row" AS row',
        "data._row_id",
        "data._subject_id AS subject",
        f"snapshot.{quote(household)} AS household" if household else "NULL AS household",
        f"snapshot.{quote(weight)}::DOUBLE AS weight" if weight else "NULL::DOUBLE AS weight",
        *(f"data.{quote(name)} AS {opened.alias(name)}" for name in opened.columns),
    ]
    # A row without lineage stays, with an unknown subject: it must not shrink what is measured.
    placed = 'SELECT row_number() OVER () - 1 AS "stepdown.row", * FROM data'
    sql = f"CREATE TABLE record AS SELECT {', '.join(parts)} FROM ({placed}) AS data"
    if household or weight:
        sql += " LEFT JOIN snapshot USING (_row_id)"
    opened.session.run(sql)
