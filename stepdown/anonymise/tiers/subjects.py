"""Write a file's people as keyed tokens: one can be found again, and nobody is named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from stepdown.anonymise.tables.write import write_table
from stepdown.anonymise.tiers.pseudonymise import TOKEN_BYTES, keyed_digest
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import SUBJECTS_FILE
from stepdown.config import ReleaseConfig
from stepdown.engine import Session, lineage_rows, quote
from stepdown.keyring import Keyring
from stepdown.vocabulary import Role

SUBJECTS = "subjects"
"""In the place of a tier in a key's name: the key under which subjects are found again."""


def tokens(keyring: Keyring, dataset: str, subjects: Iterable[str | None]) -> list[str]:
    """The token of each subject, 32 hex digits; missing counts as one subject of its own."""
    digest = keyed_digest(keyring.newest(dataset, SUBJECTS), "subjects", "subject", TOKEN_BYTES)
    # A letter in front, so that no text is the missing one.
    return [digest("" if each is None else f"s{each}").hex() for each in subjects]


def write_subjects(
    session: Session,
    config: ReleaseConfig,
    keyring: Keyring,
    snapshot: str,
    lineage: ArtifactRef,
    folder: Path,
) -> ArtifactRef:
    """Write the tokens of everybody a file holds, sorted, into the workspace.

    The column is called as the key is.

    Args:
        snapshot: name of the session's relation of the pinned source.
        lineage: of the file.
    """
    session.attach_parquet("written_lineage", lineage_rows(lineage.path))
    found = held_subjects(session, config, snapshot, "written_lineage")
    name = keyring.newest_name(config.dataset, SUBJECTS)
    listed = sorted(tokens(keyring, config.dataset, found))
    return write_table(pa.table({name: pa.array(listed, pa.string())}), folder / SUBJECTS_FILE)


def held_subjects(
    session: Session, config: ReleaseConfig, snapshot: str, lineage: str
) -> list[str | None]:
    """The ids of everybody a file holds, by its lineage."""
    subject = quote(config.name(Role.SUBJECT) or "")
    found = session.fetch(
        f"SELECT DISTINCT CAST(s.{subject} AS VARCHAR) AS subject FROM {snapshot} s "
        f"JOIN {lineage} l USING (_row_id)"
    )
    ids: list[str | None] = found["subject"].to_pylist()
    return ids
