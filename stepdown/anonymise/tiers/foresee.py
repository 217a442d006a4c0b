"""Foresee, from the source alone, what of a config the gate would refuse for sure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stepdown.anonymise.lattice.coding import code_sensitive
from stepdown.anonymise.tables.recode import check_demands, subject_count
from stepdown.anonymise.tiers.eligible_rows import PARENT, SNAPSHOT, select_eligible_rows
from stepdown.anonymise.tiers.foresee_coarsest import Coarsest, coarsest_labels, label_of
from stepdown.anonymise.tiers.quasi_identifiers import privacy_models, sensitive_columns
from stepdown.anonymise.tiers.treat import TREATED, treat
from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.config import (
    LoadedConfig,
    ReleaseConfig,
    TierPolicy,
    released_columns,
    tier_policy,
    treatment_of,
)
from stepdown.config.treatments import Generalise, Surrogate
from stepdown.engine import (
    NamedRows,
    Session,
    file_literal,
    open_session,
    quote,
    source_rows,
)
from stepdown.errors import DemandImpossible
from stepdown.keyring import Keyring
from stepdown.reports import RareValues
from stepdown.risk.classes.alone import columns_to_drop, share_alone
from stepdown.risk.leaks.insensitive import insensitive_problems
from stepdown.risk.measures.rare_in_candidate import asked_of, is_too_rare
from stepdown.risk.measures.rare_remedy import finest_treatment
from stepdown.risk.measures.rare_values import Column, count_holders
from stepdown.vocabulary import MOST_RELEASED, SUBJECT_ID, ColumnType, Role, Tier

MANY_NAMES = 12
"""A sentence does not list more columns than this if there is a shorter list to give."""

_UNDECLARED = (ColumnType.STRING, ColumnType.INTEGER)


@dataclass(frozen=True)
class Foreseen:
    """Something a run would refuse, or may.

    Args:
        columns: those at fault.
        message: counts and names only. remedy: what would pass, in the config's words.
        certain: False where the records at fault are so few that the search, or another key, may
            take them out.
    """

    tier: Tier
    columns: tuple[str, ...]
    message: str
    remedy: str
    certain: bool

    def __str__(self) -> str:
        return f"{self.tier}: {self.message} {self.remedy}"


def foresee(loaded: LoadedConfig, snapshot: ArtifactRef, scratch: Path) -> tuple[Foreseen, ...]:
    """Every problem of every tier that does not wait for the search.

    Each tier's treatments are applied to the rows that may enter it. How coarse a quasi-identifier
    becomes is the search's to say, so it is judged at the coarsest level that ``at_most`` leaves
    open. A value that is rare among these rows is rare in every part of them.

    Raises:
        SourceInvalid, StoreCorrupt, WorldFailed: as a run would.
    """
    found: list[Foreseen] = []
    parent: str | NamedRows = source_rows(check_bytes(snapshot))
    held = set(loaded.config.columns)
    removable = 0.0
    for tier in loaded.config.tier_names():
        policy = tier_policy(loaded.config, tier)
        with open_session(scratch) as session:
            session.attach_parquet(SNAPSHOT, source_rows(check_bytes(snapshot)))
            session.attach_parquet(PARENT, parent)
            try:
                entry = select_eligible_rows(
                    session, loaded, replace(policy, rows_per_subject=None), Keyring({})
                )
            except DemandImpossible as error:
                found.append(Foreseen(tier, (), f"{error.message}.", error.next, certain=True))
                break
            columns = [name for name in _columns(loaded, tier) if name in held]
            treat(session, loaded.config, tier, columns, Keyring({}), None)
            if policy.recoding == "full-domain":
                removable += policy.suppressed_records * entry.rows
            if policy.rows_per_subject:
                removable = float(entry.rows)
            found += _impossible(session, loaded, policy, columns)
            if tier is not Tier.INTERNAL:
                found += _problems(session, loaded, policy, columns, removable)
            parent, held = _write(session, columns, scratch, tier), set(columns)
    return tuple(found)


def _columns(loaded: LoadedConfig, tier: Tier) -> list[str]:
    """Released columns whose values are known before the search, here and in the tiers above."""
    down_to_here = list(Tier)[: list(Tier).index(tier) + 1]
    return [
        name
        for name in released_columns(loaded.config, tier)
        if not any(_is_open(loaded, name, each) for each in down_to_here)
    ]


def _is_open(loaded: LoadedConfig, name: str, tier: Tier) -> bool:
    treatment = treatment_of(loaded.config, name, tier)
    return treatment == "pseudonym" or isinstance(treatment, Generalise | Surrogate)


def _write(session: Session, columns: list[str], scratch: Path, tier: Tier) -> str:
    """Write the rows that the next tier is made from."""
    path = str(scratch / f"foreseen-{tier}.parquet")
    listed = ", ".join([*map(quote, columns), "_row_id", "_subject_id"])
    session.run(f"COPY (SELECT {listed} FROM {TREATED}) TO {file_literal(path)} (FORMAT parquet)")
    return path


def _impossible(
    session: Session, loaded: LoadedConfig, policy: TierPolicy, columns: list[str]
) -> Iterator[Foreseen]:
    """Name the limits that no recoding of so many people and sensitive values could meet."""
    tier, models = policy.tier, privacy_models(policy)
    people = subject_count(session, TREATED, SUBJECT_ID)
    coded = [
        (column, code_sensitive(session, TREATED, column))
        for column in sensitive_columns(session, loaded, tier)
        if column.name in columns
    ]
    for pairs in ([], *([pair] for pair in coded)):
        try:
            check_demands(people, models, pairs)
        except DemandImpossible as error:
            names = tuple(column.name for column, _ in pairs)
            message = ": ".join(filter(None, (error.where, error.message)))
            # Bins cover what is left above, which is not known yet.
            certain = not any(column.numeric for column, _ in pairs)
            yield Foreseen(tier, names, f"{message}.", error.next, certain)
            if not pairs:
                return


def _problems(
    session: Session, loaded: LoadedConfig, policy: TierPolicy, columns: list[str], removable: float
) -> Iterator[Foreseen]:
    config, tier, k = loaded.config, policy.tier, policy.smallest_class
    aliases = {name: f"c{i}" for i, name in enumerate(columns)}
    household = config.name(Role.HOUSEHOLD)
    coarsest = list(coarsest_labels(session, loaded, tier))
    cells = [
        "t._subject_id AS subject",
        f"s.{quote(household)} AS household" if household else "NULL::VARCHAR AS household",
        "_row_id",
        *(f"t.{quote(name)} AS {alias}" for name, alias in aliases.items()),
        *(f"{label_of(each, f's.{quote(each.name)}')} AS {each.table}" for each in coarsest),
    ]
    session.run(
        f"CREATE OR REPLACE TEMP TABLE record AS SELECT {', '.join(cells)} FROM {TREATED} t "
        f"JOIN {SNAPSHOT} s USING (_row_id)"
    )
    judged = [
        Column(name, alias, config.columns[name].type in _UNDECLARED)
        for name, alias in aliases.items()
        if not config.columns[name].override
    ]
    yield from _too_fine(session, config, policy, coarsest, removable)
    named = set()
    for rare in count_holders(session, judged, tier, k):
        if is_too_rare(rare, k):
            named.add(rare.column)
            yield _rare(session, loaded, policy, rare, removable)
    insensitive = {
        each.name: each.alias
        for each in judged
        if config.columns[each.name].role is Role.INSENSITIVE
    }
    for name, alias in insensitive.items():
        if name not in named:
            for problem in insensitive_problems(session, {name: alias}):
                yield Foreseen(
                    tier,
                    (name,),
                    f"{problem}.",
                    f"Give it its real role, or columns.{name}.{tier}: drop.",
                    certain="household" in problem,
                )
    stays = [
        alias
        for name, alias in aliases.items()
        if config.columns[name].role is Role.QUASI_IDENTIFIER
    ]
    yield from _alone(session, policy, stays, insensitive, removable)


def _too_fine(
    session: Session,
    config: ReleaseConfig,
    policy: TierPolicy,
    coarsest: list[Coarsest],
    removable: float,
) -> Iterator[Foreseen]:
    """Quasi-identifiers that are too rare even at the coarsest level open to them."""
    tier, k = policy.tier, policy.smallest_class
    open_to = {each.name: each for each in coarsest if not config.columns[each.name].override}
    asked = [Column(name, each.table, undeclared=False) for name, each in open_to.items()]
    for rare in count_holders(session, asked, tier, k):
        if not rare.values or rare.holders >= k:
            continue
        column = open_to[rare.column]
        who = "households" if rare.households else "people"
        yield Foreseen(
            tier,
            (rare.column,),
            f"{rare.column}: even at level {column.level}, the highest that its `at_most` allows, "
            f"{rare.few:,} of {rare.subjects:,} people have a label that fewer than {k:,} {who} "
            "hold.",
            f"columns.{rare.column}.{tier}: allow a higher level (its hierarchy's top is "
            f"{column.top}), or drop.",
            certain=rare.few > removable,
        )


def _rare(
    session: Session, loaded: LoadedConfig, policy: TierPolicy, rare: RareValues, removable: float
) -> Foreseen:
    config, tier, k, name = loaded.config, policy.tier, policy.smallest_class, rare.column
    session.run(
        f"CREATE OR REPLACE TEMP TABLE cell AS SELECT p.{quote(name)} AS value, r.subject, "
        f"r.household FROM record r JOIN {PARENT} p USING (_row_id)"
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE lot AS SELECT {quote(name)} AS value, count(*) AS rows "
        f"FROM {PARENT} GROUP BY {quote(name)}"
    )
    remedy = finest_treatment(session, asked_of(config, rare, tier, k))
    if config.columns[name].hierarchy and remedy == "drop":
        remedy = "generalise, or drop"
    alone, held = "the only person", "hold"
    if rare.households:
        alone, held = "in the only household", "households hold"
    told = []
    if rare.holders < k:
        told.append(
            f"{name}: {rare.alone:,} of {rare.subjects:,} people are {alone} with their "
            f"value, and {rare.few:,} have one that fewer than {k:,} {held}."
        )
    if rare.too_fine:
        told.append(
            f"{name}: its texts are dates to the {rare.too_fine}, which is finer than {tier} "
            "may have."
        )
    return Foreseen(
        tier,
        (name,),
        " ".join(told),
        f"columns.{name}.{tier}: {remedy}",
        certain=bool(rare.too_fine) or rare.few > removable,
    )


def _alone(
    session: Session,
    policy: TierPolicy,
    stays: list[str],
    insensitive: dict[str, str],
    removable: float,
) -> Iterator[Foreseen]:
    if len(stays) + len(insensitive) > MOST_RELEASED:
        return  # The config is refused for their number, without any work.
    # On more columns, or finer ones, whoever is alone here is alone as well.
    share = share_alone(session, [*stays, *insensitive.values()])
    if share <= policy.alone_share:
        return
    people = int(str(session.scalar("SELECT count(DISTINCT subject) FROM record")))
    gone = columns_to_drop(session, stays, insensitive, policy.alone_share)
    yield Foreseen(
        policy.tier,
        gone,
        f"{share:.1%} of {people:,} people are alone on the kept quasi-identifiers and the "
        f"insensitive columns together; the policy allows {policy.alone_share:.1%}.",
        _to_drop(gone, insensitive)
        if gone
        else "Generalise the quasi-identifiers that are kept as they are.",
        certain=share * people - removable > policy.alone_share * people,
    )


def _to_drop(gone: tuple[str, ...], insensitive: Collection[str]) -> str:
    """Names those that go, or those that may stay where that is the shorter list of many."""
    kept = [name for name in insensitive if name not in gone]
    if len(gone) <= MANY_NAMES or len(kept) >= len(gone):
        return f"Drop or recode {', '.join(gone)}."
    stay = f"all but {', '.join(kept)}" if kept else "all of them"
    return f"Drop or recode {len(gone)} of the {len(insensitive)} insensitive columns: {stay}."
