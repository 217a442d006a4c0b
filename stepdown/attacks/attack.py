"""Run every attack on one candidate, alone and beside what else its readers can hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from stepdown.artifacts import ArtifactRef
from stepdown.attacks.homogeneity import homogeneity
from stepdown.attacks.linkage import Auxiliary
from stepdown.attacks.multi_release import attacks_across, collusions, held_beside
from stepdown.attacks.order import monotone, order
from stepdown.attacks.pseudonym_dictionary import pseudonym_dictionary
from stepdown.attacks.run import run_attacks
from stepdown.attacks.trajectories import trajectories
from stepdown.candidate import Earlier
from stepdown.config.models import Auxiliary as Register
from stepdown.opened import Opened
from stepdown.reports import AttackReport, AttackResult
from stepdown.tables import Form


def attack_candidate(
    opened: Opened,
    published: Sequence[Earlier],
    *,
    base: Opened | None = None,
    as_tokens: tuple[ArtifactRef, ArtifactRef] | None = None,
) -> AttackReport:
    """Run every attack that a tier's policy limits.

    Args:
        published: every version of the dataset that was ever published.
        base: of a copy, the partner base that it was made from.
        as_tokens: the candidate's hierarchies and its source with tokens in place of raw values,
            where the versions published have them.

    Raises:
        StoreCorrupt: a file is missing or no longer the one that was written.
        SourceInvalid: an auxiliary table cannot be read. ConfigInvalid: an id pattern cannot be
            spelled out.
    """
    config, recipient = opened.config, opened.candidate.recipient
    auxiliary = [
        Auxiliary(name, opened.loaded.resolve(table.path), table.columns, _form(table))
        for name, table in config.auxiliary.items()
    ]
    patterns = {name: c.id_pattern for name, c in config.columns.items() if c.id_pattern}
    results = [
        *run_attacks(opened, auxiliary=auxiliary),
        *homogeneity(opened),
        *pseudonym_dictionary(opened, patterns),
        *order(opened),
        *monotone(opened),
        *trajectories(opened),
    ]
    with opened.as_tokens(*as_tokens) if as_tokens else nullcontext(opened) as known:
        results += attacks_across(known, published)
    if base is not None and recipient:
        results += collusions(base, recipient)
    # Every attack with a limit answers, or the gate would take it for one that was not run.
    if not any(result.attack == "collusion" for result in results):
        note = "there is no other recipient whose copy could be held beside it"
        results.append(AttackResult("collusion", 0.0, 0, note=note))
    beside = tuple(each.address for each in held_beside(opened.candidate, published))
    return AttackReport(opened.candidate.data.sha256, tuple(results), beside)


def _form(table: Register) -> Form:
    missing = None if table.missing is None else tuple(table.missing)
    return Form(table.delimiter, table.encoding, missing)
