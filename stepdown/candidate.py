"""Describe a tier's table as it was written, before anyone decided about its release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stepdown.artifacts import ArtifactRef
from stepdown.reports import DeriveReport
from stepdown.vocabulary import Tier

DATA_FILES = "data/part-{:05}.parquet"
"""The name of each of a release's data files, counted from 0."""
LINEAGE_FILE = "lineage.parquet"
PARENT_LINEAGE_FILE = "parent-lineage.parquet"
HIERARCHIES_FILE = "hierarchies.parquet"
SUBJECTS_FILE = "subjects.parquet"
HELD_BACK_FILE = "held-back.parquet"
"""``_row_id`` of everybody held back for an earlier version's sake; no file for nobody."""
STEWARD_PAGE = "steward-report.html"


@dataclass(frozen=True)
class Candidate:
    """What deriving a tier left in its folder of the workspace.

    Args:
        tier: the tier.
        recipient: whose copy it is; None for a tier's own file.
        folder: absolute path.
        data: the release's data, of one file or more; rows sorted by released values over all.
        lineage: whose each row of the data is, in their order: ``_row_id``, its id in the
            snapshot, and ``_subject_id``, the dense code of the data subject.
        hierarchies: long table of every released quasi-identifier's hierarchy: ``column``,
            ``leaf`` (text of the raw value, NULL for missing), ``level``, ``label``.
        report: what the derivation did.
        parent_lineage: that of the tier above, as it was then; None where that is the snapshot.
    """

    tier: Tier
    recipient: str | None
    folder: str
    data: ArtifactRef
    lineage: ArtifactRef
    hierarchies: ArtifactRef
    report: DeriveReport
    parent_lineage: ArtifactRef | None = None

    @property
    def path(self) -> Path:
        return Path(self.folder)


@dataclass(frozen=True)
class Earlier:
    """A version that was published once: nobody can take it back from its readers.

    Args:
        address: of the release.
        candidate: its files in the workspace.
        snapshot: the pinned source that it goes back to.
    """

    address: str
    candidate: Candidate
    snapshot: ArtifactRef

    def is_of(self, tier: Tier, recipient: str | None = None) -> bool:
        """Whether it is a version of this tier's own file, or of this recipient's copy."""
        return (self.candidate.tier, self.candidate.recipient) == (tier, recipient)
