"""Derive the next tier's candidate, or a recipient's copy, from one tier's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stepdown.anonymise.hierarchies.hierarchy import as_long_table
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn
from stepdown.anonymise.tables.recode import anonymise_relation
from stepdown.anonymise.tables.write import copy_file, write_release, write_table
from stepdown.anonymise.tiers.derive_report import copy_report, tier_report
from stepdown.anonymise.tiers.earlier_versions import (
    DRAWS,
    NOW,
    EarlierVersions,
    Shown,
    hold_back,
    remember,
)
from stepdown.anonymise.tiers.eligible_rows import ENTERED, PARENT, SNAPSHOT
from stepdown.anonymise.tiers.held_back import (
    hold_back_again,
    people_by_id,
    taken_above,
    write_held_back,
)
from stepdown.anonymise.tiers.keys import own_pseudonyms
from stepdown.anonymise.tiers.prepare import inherited
from stepdown.anonymise.tiers.pseudonymise import pseudonyms
from stepdown.anonymise.tiers.quasi_identifiers import column_as_it_is, sensitive_columns
from stepdown.anonymise.tiers.recode_tier import recode_tier
from stepdown.anonymise.tiers.subjects import write_subjects
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.anonymise.tiers.treat import (
    TREATED,
    look_up,
    treat,
)
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import HIERARCHIES_FILE, PARENT_LINEAGE_FILE, Candidate, Earlier
from stepdown.config import (
    LoadedConfig,
    ReleaseConfig,
    TierPolicy,
    released_columns,
    tier_policy,
)
from stepdown.engine import Session, quote, source_rows
from stepdown.keyring import Keyring
from stepdown.opened import Source
from stepdown.vocabulary import Role, Tier

BASE, INTERNAL = "base", "internal"


def derive_tier(
    rows: TierRows,
    keyring: Keyring,
    folder: Path,
    earlier: Sequence[Earlier] = (),
    remembered: ArtifactRef | None = None,
) -> Candidate:
    """Write a tier's candidate, made from the tier above it and from nothing else.

    The snapshot is read for what the parent may not hold: the consent, the ids of the subjects, and
    the raw values that a hierarchy must cover and a surrogate must avoid. Every row and every value
    comes from the parent.

    Args:
        folder: where the candidate goes; its files are incomplete until this returns.
        earlier: the versions of this tier that were published before, oldest first.
        remembered: the snapshot as tokens, where the earlier versions' are.

    Raises:
        DemandImpossible, Refused: no table made of the parent meets the tier's policy.
        HierarchyInvalid: a value of the data is in no hierarchy, or a column would hold labels of
            several levels whose texts are the same.
        KeyMissing: a key that the treatments need is not in the keyring.
        PolicyInvalid: the tier would hold no column.
        SourceInvalid: the consent column says something else than it may.
        StoreCorrupt: the parent's bytes, or the snapshot's, are not those that were written.
        WorldFailed: the disk refused.
    """
    loaded, policy, tier, session = rows.loaded, rows.policy, rows.tier, rows.session
    config, parent, snapshot = loaded.config, rows.parent, rows.snapshot
    made = rows.prepare(keyring, earlier=earlier, remembered=remembered)
    recoding = recode_tier(session, loaded, policy, made.demand, made.weight)
    treated, past = made.treated, EarlierVersions([e.address for e in earlier], made.lost_to_period)
    if earlier and recoding and policy.hold_back and policy.period == "whole":
        before = remember(session, config, made.columns, earlier)
        taken_above(session, parent, _stricter(config, policy))
        sensitive = sensitive_columns(session, loaded, tier)
        key = keyring.newest(config.dataset, DRAWS)
        labels = [column.name for column in recoding.columns]
        people = people_by_id(config, made.columns)
        held = hold_back_again(session, earlier, snapshot)
        while True:
            if held:
                # Who is held back may leave others alone, so that more must be.
                past = replace(past, held_back=past.held_back + held)
                treated = treat(session, config, tier, made.columns, keyring, made.weight)
                again = recode_tier(session, loaded, policy, made.demand, made.weight)
                recoding = again or recoding
            released = recoding.released_sql(session)
            shown = Shown(released, labels, sensitive, people=people)
            held = hold_back(session, before, shown, policy, key)
            if not held:
                break
    sql = recoding.released_sql(session) if recoding else f"SELECT * FROM {TREATED}"
    data, lineage = write_release(session, sql, made.columns, folder)
    if past.held_back:
        write_held_back(session, folder)
    if config.consent:
        write_subjects(session, config, keyring, SNAPSHOT, lineage, folder)
    hierarchies = _write_hierarchies(made.demand.columns, folder)
    report = tier_report(config, tier, data, rows.above, made, treated, recoding, past)
    candidate = Candidate(tier, None, str(folder.resolve()), data, lineage, hierarchies, report)
    return _made_from(candidate, parent, snapshot)


def derive_copy(
    source: Source,
    recipient: str,
    base: Candidate,
    internal: Candidate,
    keyring: Keyring,
    folder: Path,
    earlier: Sequence[Earlier] = (),
    remembered: ArtifactRef | None = None,
) -> Candidate:
    """Write a recipient's copy of the partner base: the columns they agreed to, and own pseudonyms.

    A copy has fewer columns than the base, so its classes are larger and whole classes of the base
    are parts of them: beside its own earlier versions it holds back further rows where it must.

    A pseudonym is the keyed hash, under the recipient's key, of the one at internal, which the
    lineage finds: two recipients cannot join their copies by it, and deleting one key cuts one
    copy's link.

    Args:
        source: the open snapshot.
        recipient: a name among the config's recipients.
        base: the partner tier's candidate.
        internal: the candidate that the base was made from.
        folder, remembered: as in ``derive_tier``.
        earlier: the versions of this copy that were published before, oldest first.

    Raises:
        KeyMissing: the recipient's key is not in the keyring.
        Refused: beside the earlier versions everybody would have to be held back.
        StoreCorrupt: bytes of the base or of internal are not those that were written.
        WorldFailed: the disk refused.
    """
    loaded, snapshot, check = source.loaded, source.snapshot, source.check
    config, policy = loaded.config, tier_policy(loaded.config, Tier.PARTNER)
    agreed = config.recipients[recipient].columns
    columns = [name for name in config.columns if name in agreed]
    past = EarlierVersions([e.address for e in earlier])
    with source.session.aside() as session:
        session.attach_parquet(BASE, source.released(base))
        session.attach_parquet(INTERNAL, source.released(internal))
        as_base = [
            column_as_it_is(session, loaded, name, inherited(base))
            for name in columns
            if name in base.report.levels
        ]
        loss = _loss(session, as_base)
        session.run(f"CREATE TEMP TABLE {ENTERED} AS SELECT _row_id FROM {BASE}")
        if earlier and policy.hold_back and policy.period == "whole":
            session.attach_parquet(NOW, source_rows(check(remembered or snapshot)))
            key = keyring.newest(config.dataset, DRAWS)
            held = _hold_back_too(session, loaded, columns, earlier, snapshot, base, key)
            past = replace(past, held_back=held)
        sql = _copy_sql(session, config, recipient, columns, keyring)
        data, lineage = write_release(session, sql, columns, folder)
        if past.held_back:
            write_held_back(session, folder)
        if config.consent:
            write_subjects(session, config, keyring, SNAPSHOT, lineage, folder)
    hierarchies = _write_hierarchies(as_base, folder)
    report = copy_report(config, recipient, base, data, loss, past)
    candidate = Candidate(
        Tier.PARTNER, recipient, str(folder.resolve()), data, lineage, hierarchies, report
    )
    return _made_from(candidate, base, snapshot)


def _made_from(candidate: Candidate, parent: Candidate | None, snapshot: ArtifactRef) -> Candidate:
    """Bind a candidate to its source and to the lineage of the tier above.

    A later run may find the tier above unchanged though it came of another source, whose rows have
    other ids: so this candidate keeps the names that the rows above had when it was made.
    """
    report = replace(candidate.report, snapshot_sha256=snapshot.sha256)
    if parent is None:
        return replace(candidate, report=report)
    path = candidate.path / PARENT_LINEAGE_FILE
    copy_file(parent.lineage.path, path)
    above = replace(parent.lineage, path=str(path))
    report = replace(report, parent_lineage_sha256=above.sha256)
    return replace(candidate, report=report, parent_lineage=above)


def _hold_back_too(
    session: Session,
    loaded: LoadedConfig,
    columns: Sequence[str],
    earlier: Sequence[Earlier],
    snapshot: ArtifactRef,
    base: Candidate,
    key: bytes,
) -> int:
    """Take rows out of ``entered`` that the base shows and a copy of these columns must not."""
    config, policy = loaded.config, tier_policy(loaded.config, Tier.PARTNER)
    # Known again by all that the base shows, as there: who is alike in fewer columns is not one.
    before = remember(session, config, released_columns(config, Tier.PARTNER), earlier)
    taken_above(session, base, stricter=False)
    labels = [n for n in columns if config.columns[n].role is Role.QUASI_IDENTIFIER]
    # The bins of numbers lie between the extremes of the tier above, as in the base.
    session.run(f"CREATE OR REPLACE TEMP VIEW {PARENT} AS SELECT * FROM {INTERNAL}")
    sensitive = sensitive_columns(session, loaded, Tier.PARTNER)
    shown = Shown(
        f"SELECT * FROM {BASE} WHERE _row_id IN (SELECT _row_id FROM {ENTERED})",
        labels,
        [column for column in sensitive if column.name in columns],
        BASE,
        people_by_id(config, columns),
    )
    lost = hold_back_again(session, earlier, snapshot)
    while held := hold_back(session, before, shown, policy, key):
        lost += held
    return lost


def _stricter(config: ReleaseConfig, policy: TierPolicy) -> bool:
    """Whether a tier asks for more sensitive values than the one above it."""
    above = policy.tier.parent
    return above is not None and policy.distinct_l > tier_policy(config, above).distinct_l


def _copy_sql(
    session: Session, config: ReleaseConfig, recipient: str, columns: list[str], keyring: Keyring
) -> str:
    own = own_pseudonyms(config, recipient)
    expressions, joins = [], []
    for position, name in enumerate(columns):
        lookup = f"lookup_{position}"
        if name in own:
            key = keyring.newest(config.dataset, Tier.PARTNER, recipient)
            above = f"i.{quote(name)}"
            joins.append(look_up(session, lookup, INTERNAL, name, pseudonyms(key, name), above))
        column = f"{lookup}.replacement" if name in own else f"b.{quote(name)}"
        expressions.append(f"{column} AS {quote(name)}")
    return (
        f"SELECT {', '.join(expressions)}, b._row_id, b._subject_id FROM {BASE} b "
        f"JOIN {INTERNAL} i USING (_row_id) {' '.join(joins)} "
        f"WHERE b._row_id IN (SELECT _row_id FROM {ENTERED})"
    )


def _loss(session: Session, columns: Sequence[SearchColumn]) -> float:
    """Information loss of the copy's quasi-identifiers, whose labels are the base's."""
    if not any(column.hierarchy for column in columns):
        return 0.0
    return anonymise_relation(session, BASE, columns, PrivacyModels(), suppression=0.0).score


def _write_hierarchies(columns: Sequence[SearchColumn], folder: Path) -> ArtifactRef:
    tables = [column.hierarchy for column in columns if column.hierarchy]
    return write_table(as_long_table(*tables), folder / HIERARCHIES_FILE)
