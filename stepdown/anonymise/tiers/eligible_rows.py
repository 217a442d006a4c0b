"""Select a tier's rows: by consent, decided once on the snapshot, and a limit per subject."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stepdown.artifacts import check_bytes
from stepdown.config import LoadedConfig, ReleaseConfig, TierPolicy
from stepdown.engine import Session, literals, quote
from stepdown.errors import DemandImpossible, SourceInvalid
from stepdown.keyring import Keyring
from stepdown.vocabulary import ConsentAnswer, Role, Tier

SNAPSHOT, PARENT, ENTERED = "snapshot", "parent", "entered"
ANSWERS = ("no", *Tier)
"""What a consent column may say, from nothing to the widest tier; missing counts as ``no``."""


@dataclass(frozen=True)
class RowSelection:
    """How many of the parent's rows may go on, and what the others were lost to.

    Args:
        without_consent: what the consent register says → rows lost to it.
    """

    rows: int
    lost_to_consent: int
    lost_to_rows_per_subject: int
    without_consent: dict[str, int]


def select_eligible_rows(
    session: Session, loaded: LoadedConfig, policy: TierPolicy, keyring: Keyring
) -> RowSelection:
    """Make the table ``entered`` of the parent's rows that a tier may hold.

    ``entered`` has ``_row_id`` and ``subject``, one line per row. The session holds ``snapshot``
    and ``parent``. A subject's code is the rank of their id among the snapshot's; rows without an
    id count as one subject, because nothing says that they are several.

    Where the config has a consent register, only rows of subjects who agree to the tier today go
    on. A subject who answered in several rows of a consent column counts with the narrowest
    answer, and their rows enter a tier only where that answer reaches it. Of what is left,
    ``rows_per_subject`` keeps the rows with the smallest keyed draws: the same rows in every run
    under the same key, and no rule that a reader could know.

    Raises:
        SourceInvalid: the consent column holds an answer that is none of ``ANSWERS``, or the
            consent register was not read.
        DemandImpossible: no row may enter.
    """
    config, tier = loaded.config, policy.tier
    consent = config.name(Role.CONSENT)
    if consent:
        _check_answers(session, config, consent)
    if consent or tier is Tier.INTERNAL:
        _rank_subjects(session, config.name(Role.SUBJECT), consent)
    parents = (
        "SELECT _row_id, subject FROM people"
        if tier is Tier.INTERNAL
        else f"SELECT _row_id, _subject_id AS subject FROM {PARENT}"
    )
    before = _count(session, f"({parents})")
    consenting = _consenting(tier) if consent else ""
    session.run(f"CREATE OR REPLACE TEMP TABLE {ENTERED} AS SELECT * FROM ({parents}) {consenting}")
    # Consent comes before the limit: a row that may not enter must not take another's place.
    without = _leave_out(session, loaded, tier)
    agreed = _count(session, ENTERED)
    if policy.rows_per_subject:
        key = keyring.newest(config.dataset, tier)
        _limit_rows(session, policy.rows_per_subject, key)
    rows = _count(session, ENTERED)
    if rows == 0:
        raise DemandImpossible(
            f"none of the {before} rows may enter this tier, {before - agreed} for want of consent",
            where=f"{config.dataset}/{tier}",
            next="Leave the tier out of the config, or look at who agreed to it.",
        )
    return RowSelection(rows, before - agreed, agreed - rows, without)


def _leave_out(session: Session, loaded: LoadedConfig, tier: Tier) -> dict[str, int]:
    """Take out of ``entered`` the people whom the register refuses; its answers, counted."""
    register = loaded.config.consent
    if register is None:
        return {}
    if loaded.consents is None:
        raise SourceInvalid(
            "the consent register was not read",
            where=loaded.config.dataset,
            next="Run the whole release: `stepdown run`.",
        )
    session.attach_parquet("consent", check_bytes(loaded.consents.ref))
    subject = quote(loaded.config.name(Role.SUBJECT) or "")
    unknown = ConsentAnswer.UNKNOWN.value
    session.run(
        "CREATE OR REPLACE TEMP TABLE answered AS SELECT s._row_id, "
        f"coalesce(c.{tier.value}, '{unknown}') AS answer "
        f"FROM {SNAPSHOT} s LEFT JOIN consent c ON s.{subject} = c.subject"
    )
    let_in = [ConsentAnswer.AGREED.value, *([unknown] if register.unknown == "keep" else [])]
    out = f"SELECT _row_id, answer FROM answered WHERE answer NOT IN ({literals(let_in)})"
    lost = session.fetch(
        f"SELECT answer, count(*) AS rows FROM {ENTERED} JOIN ({out}) USING (_row_id) "
        "GROUP BY answer ORDER BY answer"
    )
    session.run(f"DELETE FROM {ENTERED} WHERE _row_id IN (SELECT _row_id FROM ({out}))")
    return {line["answer"]: line["rows"] for line in lost.to_pylist()}


def row_draws(key: bytes, rows: int) -> npt.NDArray[np.uint64]:
    """One 64-bit number per source row, shape (rows,): the keyed hash of the row's id.

    All draws are one stretch of the output of SHAKE-256 over the key, so that no row is hashed by
    itself; a source that only grew gives its old rows the same draws.

    Source: FIPS 202; a sponge keyed by its prefix is a pseudorandom function (Bertoni et al. 2011).
    """
    stream = hashlib.shake_256(key + b"rows_per_subject").digest(8 * rows)
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)


def _check_answers(session: Session, config: ReleaseConfig, consent: str) -> None:
    unknown = session.scalar(
        f"SELECT count(*) FROM {SNAPSHOT} "
        f"WHERE CAST({quote(consent)} AS VARCHAR) NOT IN ({literals(list(ANSWERS))})"
    )
    if unknown:
        raise SourceInvalid(
            f"{unknown} rows hold an answer that is none of {', '.join(ANSWERS)}",
            where=f"{config.dataset}: column {consent}",
            next="Correct the answers in the source, or declare their codes as missing.",
        )


def _rank_subjects(session: Session, subject: str | None, consent: str | None) -> None:
    answers = " ".join(f"WHEN '{answer}' THEN {rank}" for rank, answer in enumerate(ANSWERS))
    reach = f"CASE CAST(s.{quote(consent)} AS VARCHAR) {answers} ELSE 0 END" if consent else "0"
    code, codes = "s._row_id", ""
    if subject:
        session.run(
            "CREATE OR REPLACE TEMP TABLE subject_codes AS SELECT value, "
            "row_number() OVER (ORDER BY value NULLS LAST) - 1 AS subject "
            f"FROM (SELECT DISTINCT {quote(subject)} AS value FROM {SNAPSHOT})"
        )
        code = "c.subject"
        codes = f"JOIN subject_codes c ON s.{quote(subject)} IS NOT DISTINCT FROM c.value"
    session.run(
        "CREATE OR REPLACE TEMP TABLE people AS "
        f"SELECT s._row_id, {code} AS subject, {reach} AS reach "
        f"FROM {SNAPSHOT} s {codes}"
    )


def _consenting(tier: Tier) -> str:
    reaches = ANSWERS.index(tier)
    return (
        "WHERE subject IN "
        f"(SELECT subject FROM people GROUP BY subject HAVING min(reach) >= {reaches})"
    )


def _limit_rows(session: Session, most: int, key: bytes) -> None:
    draws = row_draws(key, _count(session, SNAPSHOT))
    ids = pa.array(np.arange(len(draws), dtype=np.int64))
    session.attach_arrow("draws", pa.table({"_row_id": ids, "draw": pa.array(draws)}))
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {ENTERED} AS SELECT _row_id, subject "
        f"FROM {ENTERED} JOIN draws USING (_row_id) QUALIFY row_number() OVER "
        f"(PARTITION BY subject ORDER BY draw, _row_id) <= {most}"
    )


def _count(session: Session, relation: str) -> int:
    return int(str(session.scalar(f"SELECT count(*) FROM {relation}")))
