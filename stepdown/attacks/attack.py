"""Run every attack on one candidate, alone and beside what else its readers can hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stepdown.artifacts import ArtifactRef
from stepdown.attacks.homogeneity import homogeneity
from stepdown.attacks.linkage import Auxiliary
from stepdown.attacks.multi_release import attacks_across, collusions, held_beside
from stepdown.attacks.order import monotone, order
from stepdown.attacks.pseudonym_dictionary import pseudonym_dictionary
from stepdown.attacks.run import run_attacks
from stepdown.attacks.trajectories import trajectories
from stepdown.candidate import Candidate, Earlier
from stepdown.config import LoadedConfig
from stepdown.config.models import Auxiliary as Register
from stepdown.reports import AttackReport, AttackResult
from stepdown.tables import Form


def attack_candidate(
    candidate: Candidate,
    parent: ArtifactRef,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    published: Sequence[Earlier],
    scratch: str | Path | None = None,
    *,
    base: Candidate | None = None,
    scale: ArtifactRef | None = None,
    as_tokens: tuple[Candidate, ArtifactRef] | None = None,
) -> AttackReport:
    """Run every attack that a tier's policy limits.

    Args:
        candidate: the file, its lineage and its hierarchies.
        parent: the data file of the tier above (the snapshot for internal, the base for a copy).
        snapshot: the pinned source.
        loaded: the dataset's config.
        published: every version of the dataset that was ever published.
        scratch: folder in which the engine may spill.
        base: of a copy, the partner base that it was made from.
        scale: as in ``assess_risk``.
        as_tokens: the candidate and its source with tokens in place of raw values, where the
            versions published have them.

    Raises:
        StoreCorrupt: a file is missing or no longer the one that was written.
        SourceInvalid: an auxiliary table cannot be read. ConfigInvalid: an id pattern cannot be
            spelled out.
    """
    config = loaded.config
    auxiliary = [
        Auxiliary(name, loaded.resolve(table.path), table.columns, _form(table))
        for name, table in config.auxiliary.items()
    ]
    patterns = {name: c.id_pattern for name, c in config.columns.items() if c.id_pattern}
    results = [
        *run_attacks(candidate, parent, snapshot, loaded, scratch, auxiliary=auxiliary),
        *homogeneity(candidate, loaded, scratch, scale=scale or parent),
        *pseudonym_dictionary(candidate, snapshot, loaded, patterns, scratch),
        *order(candidate, loaded, scratch),
        *monotone(candidate, loaded, scratch),
        *trajectories(candidate, snapshot, loaded, scratch),
        *attacks_across(*(as_tokens or (candidate, snapshot)), loaded, published, scratch),
    ]
    if base is not None and candidate.recipient:
        results += collusions(base, candidate.recipient, loaded, scratch)
    # Every attack with a limit answers, or the gate would take it for one that was not run.
    if not any(result.attack == "collusion" for result in results):
        note = "there is no other recipient whose copy could be held beside it"
        results.append(AttackResult("collusion", 0.0, 0, note=note))
    beside = tuple(each.address for each in held_beside(candidate, published))
    return AttackReport(candidate.data.sha256, tuple(results), beside)


def _form(table: Register) -> Form:
    missing = None if table.missing is None else tuple(table.missing)
    return Form(table.delimiter, table.encoding, missing)
