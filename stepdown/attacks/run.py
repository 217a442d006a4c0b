"""Run every sampled attack on one candidate's written bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from stepdown.attacks.aligned import Aligned, align
from stepdown.attacks.culprits import with_culprits
from stepdown.attacks.inference import inference
from stepdown.attacks.linkability import linkability
from stepdown.attacks.linkage import Auxiliary, auxiliary_linkage, by_richness, linkage
from stepdown.attacks.probabilistic_linkage import probabilistic_linkage
from stepdown.attacks.singling_out import WITH_SENSITIVE, singling_out
from stepdown.config import tier_policy
from stepdown.opened import PARENT, Opened
from stepdown.reports import AttackResult
from stepdown.vocabulary import Role

Attack = Callable[[Aligned, list[str]], AttackResult]
_KNOWABLE = (Role.QUASI_IDENTIFIER, Role.SENSITIVE, Role.INSENSITIVE)


def run_attacks(opened: Opened, *, auxiliary: Sequence[Auxiliary] = ()) -> tuple[AttackResult, ...]:
    """Linkage, probabilistic linkage, singling out, linkability and attribute inference.

    The intruder of all of them holds the tier above, or a table named in ``auxiliary``.
    Pseudonyms and surrogates are a keyed function of what is above and help nobody to match.

    Args:
        auxiliary: tables that an intruder may hold; one result each.

    Returns:
        one entry per attack, auxiliary table, and sensitive column for inference; an attack with
        nothing to attack has measured 0 in 0 attempts, and says why. One beyond the tier's limit
        names the columns without which it is within.

    Raises:
        StoreCorrupt: the lineage does not fit. SourceInvalid: an auxiliary table cannot be read.
    """
    config, names = opened.config, knowable(opened)
    quasi_identifiers = [n for n in names if config.columns[n].role is Role.QUASI_IDENTIFIER]
    sensitive = [n for n in names if config.columns[n].role is Role.SENSITIVE]
    harmless = {name: config.columns[name].not_sensitive for name in sensitive}
    with opened.aside() as opened:
        session, aligned = opened.session, align(opened, names)
        session.rest()  # the attacks go on from arrays
        limits = tier_policy(config, opened.tier).attacks

        def asked(attack: Attack, columns: list[str]) -> AttackResult:
            found = attack(aligned, columns)
            again = partial(attack, aligned)
            richest = by_richness(aligned, columns)
            return with_culprits(found, richest, again, limits.get(found.attack, 1.0))

        return (
            asked(linkage, quasi_identifiers),
            *(auxiliary_linkage(session, aligned, quasi_identifiers, table) for table in auxiliary),
            asked(probabilistic_linkage, quasi_identifiers),
            asked(singling_out, quasi_identifiers),
            asked(partial(singling_out, attack=WITH_SENSITIVE), names),
            asked(linkability, names),
            *inference(aligned, quasi_identifiers, sensitive, harmless),
        )


def knowable(opened: Opened) -> list[str]:
    """Released columns that the parent has too, of roles that a tier keeps or generalises.

    Pseudonyms and surrogates stand in for columns of other roles only."""
    above = opened.session.columns(PARENT)
    return [name for name in opened.names(*_KNOWABLE) if name in above]
