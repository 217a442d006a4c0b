"""Ask the consent register again about everything that is out or may go out."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepdown.anonymise.tiers.keys import next_name
from stepdown.anonymise.tiers.subjects import SUBJECTS, held_subjects, tokens
from stepdown.artifacts import check_bytes, sha256_of
from stepdown.candidate import LINEAGE_FILE, SUBJECTS_FILE
from stepdown.config import LoadedConfig
from stepdown.engine import lineage_rows, open_session, source_rows
from stepdown.errors import ConfigInvalid, KeyMissing
from stepdown.ingest import read_consent
from stepdown.keyring import Keyring, load_keyring
from stepdown.release.decisions.consent_enforcement import (
    Rechecked,
    follow_consent,
    is_looked_at,
    register_verdicts,
)
from stepdown.release.ledger.chain import damage
from stepdown.release.ledger.ledger import Ledger, open_ledger, protecting_ledger
from stepdown.release.ledger.ledger_clock import is_doubted
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.remembered import check_remembered
from stepdown.release.reading.earlier_releases import ancestors, in_place, snapshot_of
from stepdown.release.requirements.consent_problem import UNTOLD
from stepdown.vocabulary import ConsentAnswer, Tier
from stepdown.workspace import Workspace


def recheck(
    workspace: Workspace, store: Store, loaded: LoadedConfig, day: dt.date, actor: str
) -> Rechecked:
    """Read the register, and do what ``follow_consent`` says; nothing where there is none.

    Raises:
        ConfigInvalid: the config has no register, though a release was made by one.
        SourceInvalid, TransientError, WorldFailed: the register cannot be read; nothing changed.
        KeyMissing: the key that subjects are recognised by is missing.
    """
    if loaded.config.consent is None:
        for verdict in register_verdicts(protecting_ledger(workspace), loaded.config):
            if not verdict.passed:
                raise ConfigInvalid(verdict.message, where=str(loaded.path), next=verdict.next)
        return Rechecked(day.isoformat())
    with exclusively(workspace):  # or a run that begins would clear half a reading away
        consents = read_consent(loaded, workspace, day)
    return follow_register(workspace, store, replace(loaded, consents=consents), actor)


def follow_register(
    workspace: Workspace, store: Store, loaded: LoadedConfig, actor: str
) -> Rechecked:
    """The same with a register that was read already."""
    assert loaded.consents is not None
    dataset, consents = loaded.config.dataset, loaded.consents
    with exclusively(workspace):
        known_ledger = open_ledger(workspace)
        doubted = is_doubted(known_ledger) or damage(known_ledger) is not None
        # Nobody's withdrawal waits for a clock or a backup; but neither may clear anybody.
        ledger = protecting_ledger(workspace) if doubted else known_ledger
        recover_held(ledger, store, is_whole=True)
        check_remembered(ledger, store)
        with ledger.reading() as reader:
            found = [r for r in reader.releases(dataset) if is_looked_at(r)]
            known, shredded = reader.keys(), reader.shredded()
        keyring = _keyring(workspace, next_name(dataset, SUBJECTS, None, shredded), known)
        answers = _answers(workspace, loaded, keyring)
        held = {r.id: _held(ledger, workspace, loaded, keyring, r) for r in found}
        without = {r.id: _without(held[r.id], answers, r.tier) for r in found}
        if doubted:
            without = {id: count for id, count in without.items() if count}
        return follow_consent(
            ledger, store, dataset, without, consents.day, consents.ref.sha256, actor
        )


@dataclass(frozen=True)
class _Answers:
    """Tokens of the register's subjects, and per tier which of them agree.

    Args:
        keeps_unknown: whether who is not in the register may stay.
    """

    tokens: pa.Array
    agrees: dict[Tier, pa.Array]
    keeps_unknown: bool


def _keyring(workspace: Workspace, name: str, known: set[str]) -> Keyring:
    try:
        # Whether or not the ledger knows of it: one that is damaged may have forgotten.
        return load_keyring(workspace.keyring, [name])
    except KeyMissing:
        if name in known:
            raise
    # No file was made with it yet, so that every token is made now and forgotten.
    return Keyring({name: secrets.token_bytes(32)})


def _answers(workspace: Workspace, loaded: LoadedConfig, keyring: Keyring) -> _Answers:
    config, consents = loaded.config, loaded.consents
    assert consents is not None
    assert config.consent is not None
    with open_session(workspace.scratch) as session:
        session.attach_parquet("consent", check_bytes(consents.ref))
        tiers = ", ".join(f"{tier} = '{ConsentAnswer.AGREED}' AS {tier}" for tier in Tier)
        said = session.fetch(f"SELECT CAST(subject AS VARCHAR) AS subject, {tiers} FROM consent")
    listed = tokens(keyring, config.dataset, said["subject"].to_pylist())
    agrees = {tier: said[tier.value].combine_chunks() for tier in Tier}
    keeps_unknown = config.consent.unknown == "keep"
    return _Answers(pa.array(listed, pa.string()), agrees, keeps_unknown)


def _without(held: pa.Array | None, answers: _Answers, tier: Tier) -> int:
    """Count the people in a release who do not agree to its tier."""
    if held is None:
        return UNTOLD
    agrees = answers.agrees[tier]
    if answers.keeps_unknown:
        out = pc.is_in(held, value_set=answers.tokens.filter(pc.invert(agrees)))
    else:
        out = pc.invert(pc.is_in(held, value_set=answers.tokens.filter(agrees)))
    return int(out.true_count)


def _held(
    ledger: Ledger, workspace: Workspace, loaded: LoadedConfig, keyring: Keyring, release: Release
) -> pa.Array | None:
    """Tokens of everybody in a release; made anew for one from before there was a register."""
    folder = Path(in_place(release, workspace).folder)
    sha256 = (release.terms.get("consent") or {}).get("subjects_sha256")
    if sha256:
        path = folder / SUBJECTS_FILE
        if not path.is_file() or sha256_of(path) != sha256:
            return None
        table = pq.read_table(path)
        key = keyring.newest_name(loaded.config.dataset, SUBJECTS)
        return table[key].combine_chunks() if key in table.column_names else None
    with ledger.reading() as reader:
        root = in_place(ancestors(reader, release)[-1], workspace)
    lineage = folder / LINEAGE_FILE
    if not lineage.is_file() or sha256_of(lineage) != release.lineage_sha256:
        return None
    snapshot = snapshot_of(in_place(release, workspace), root, workspace)
    if snapshot is None:
        return None
    with open_session(workspace.scratch) as session:
        session.attach_parquet("snapshot", source_rows(check_bytes(snapshot)))
        session.attach_parquet("lineage", lineage_rows(lineage))
        subjects = held_subjects(session, loaded.config, "snapshot", "lineage")
    return pa.array(tokens(keyring, loaded.config.dataset, subjects), pa.string())
