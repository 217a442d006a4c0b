"""Read the consent register, and decide for a day who agrees to which tier."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, check_bytes, write_durably
from stepdown.config import LoadedConfig
from stepdown.config.consent import Consents
from stepdown.config.models import Column
from stepdown.config.policy import tier_purpose
from stepdown.engine import Session, literals, open_session, quote
from stepdown.errors import SourceInvalid
from stepdown.ingest.snapshot import ingest
from stepdown.reports import Verdict
from stepdown.vocabulary import ColumnType, ConsentAnswer, Role, Tier
from stepdown.workspace import Workspace

REGISTER = "register"
_SEPARATORS = "[\\s,;|]+"


def read_consent(loaded: LoadedConfig, workspace: Workspace, day: dt.date) -> Consents:
    """Pin the register, and beside it what it says on a day.

    A subject's newest line counts, by the day on which it was given; of several of one day the
    narrowest. Lines given later than ``day`` do not count yet. A withdrawal counts from its day on
    unless they agreed again on a later one, and ``expires`` is the last day that counts.

    Returns:
        a Parquet file ``consent/<dataset>-<sha256>.parquet`` of mode 0600, one line per subject of
        the register: ``subject`` as the dataset types it, and per tier a ``ConsentAnswer``; with
        the day.

    Raises:
        SourceInvalid: the register is not what the config declares: a subject or the day of a line
            is missing, or a tier or purpose is none.
        TransientError, WorldFailed: as ``ingest`` does.
    """
    register = ingest(_as_dataset(loaded), workspace).ref
    with open_session(workspace.scratch) as session:
        session.attach_parquet(REGISTER, register.path)
        _check(session, loaded)
        answers = session.fetch(_answers(loaded, day))
    return Consents(_pin(answers, workspace, loaded.config.dataset), day)


def unknown_subjects(loaded: LoadedConfig, snapshot: ArtifactRef, scratch: Path) -> int:
    """How many subjects of the dataset are not in the register; rows without an id are one."""
    assert loaded.consents is not None
    subject = quote(loaded.config.name(Role.SUBJECT) or "")
    with open_session(scratch) as session:
        session.attach_parquet("snapshot", check_bytes(snapshot))
        session.attach_parquet("consent", check_bytes(loaded.consents.ref))
        absent = session.scalar(
            f"SELECT count(*) FROM (SELECT DISTINCT {subject} AS id FROM snapshot) s "
            "LEFT JOIN consent c ON s.id = c.subject WHERE c.subject IS NULL"
        )
    return int(str(absent))


def consent_verdicts(
    loaded: LoadedConfig, snapshot: ArtifactRef, scratch: Path
) -> tuple[Verdict, ...]:
    """Whether everybody of the dataset is in the register, where the config asks for that."""
    register = loaded.config.consent
    if register is None or register.unknown != "refuse":
        return ()
    unknown = unknown_subjects(loaded, snapshot, scratch)
    return (
        Verdict(
            "consent",
            not unknown,
            f"{unknown:,} subjects of {loaded.config.dataset} are not in the consent register.",
            "Complete the register, or state under `consent:` that `unknown` subjects are "
            "`leave_out`."
            if unknown
            else "",
        ),
    )


def _as_dataset(loaded: LoadedConfig) -> LoadedConfig:
    """The register as the config of a dataset of its own, so that it is read like any source."""
    config, register = loaded.config, loaded.config.consent
    assert register is not None
    names, subject = register.columns, config.columns[config.name(Role.SUBJECT) or ""]
    columns = {names.subject: subject}
    dates = [names.given, names.withdrawn, *([names.expires] if names.expires else [])]
    columns |= {name: _column(ColumnType.DATE) for name in dates}
    words = [name for name in (names.tiers, names.purposes) if name]
    columns |= {name: _column(ColumnType.STRING) for name in words}
    changes = {
        # A dot is in no dataset's name, so the register's files are nobody else's.
        "dataset": f"{config.dataset}.consent",
        "source": register.source,
        "columns": columns,
        "consent": None,
    }
    return LoadedConfig(config.model_copy(update=changes), loaded.path)


def _column(type: ColumnType) -> Column:
    return Column(role=Role.INSENSITIVE, type=type, because="A column of the consent register")


def _check(session: Session, loaded: LoadedConfig) -> None:
    register = loaded.config.consent
    assert register is not None
    names = register.columns
    known = {
        names.tiers: [tier.value for tier in Tier],
        names.purposes: list(loaded.config.purposes),
    }
    wrong = {
        f"lines without {names.subject}": f"{quote(names.subject)} IS NULL",
        f"lines without {names.given} and {names.withdrawn}": (
            f"{quote(names.given)} IS NULL AND {quote(names.withdrawn)} IS NULL"
        ),
    }
    for name, words in known.items():
        if name:
            told = f"lines whose {name} says something else than {', '.join(words)}"
            wrong[told] = f"NOT list_has_all([{literals(words)}], {_words(name)})"
    counts = {
        told: int(str(session.scalar(f"SELECT count(*) FROM {REGISTER} WHERE {condition}")))
        for told, condition in wrong.items()
    }
    problems = [f"{count} {told}" for told, count in counts.items() if count]
    if problems:
        raise SourceInvalid(
            "\n".join(problems),
            where=f"{loaded.config.dataset}: the consent register",
            next="Correct the register: a line that cannot be read may be a withdrawal.",
        )


def _words(name: str) -> str:
    """SQL of the words of a cell; none where it is empty."""
    split = f"string_split_regex(trim({quote(name)}), '{_SEPARATORS}')"
    return f"CASE WHEN trim(coalesce({quote(name)}, '')) = '' THEN []::VARCHAR[] ELSE {split} END"


def _answers(loaded: LoadedConfig, day: dt.date) -> str:
    register = loaded.config.consent
    assert register is not None
    names, today = register.columns, f"DATE '{day.isoformat()}'"
    subject, given, withdrawn = map(quote, (names.subject, names.given, names.withdrawn))
    tiers = [
        f"max({_rank(loaded, tier, today)}) FILTER (given = newest) AS {tier.value}_rank"
        for tier in Tier
    ]
    words = [f"{_words(name)} AS {alias}" for name, alias in _word_columns(loaded)]
    expires = quote(names.expires) if names.expires else "CAST(NULL AS DATE)"
    lines = (
        f"SELECT {subject} AS subject, {given} AS given, {withdrawn} AS withdrawn, "
        f"{expires} AS expires{''.join(f', {word}' for word in words)}, "
        f"max({given}) FILTER ({given} <= {today}) OVER (PARTITION BY {subject}) AS newest, "
        f"max({withdrawn}) FILTER ({withdrawn} <= {today}) OVER (PARTITION BY {subject}) AS gone "
        f"FROM {REGISTER}"
    )
    ranked = (
        f"SELECT subject, any_value(newest) AS newest, any_value(gone) AS gone, "
        f"{', '.join(tiers)} FROM ({lines}) GROUP BY subject"
    )
    return f"SELECT subject, {', '.join(map(_answer, Tier))} FROM ({ranked}) ORDER BY subject"


def _word_columns(loaded: LoadedConfig) -> Sequence[tuple[str, str]]:
    register = loaded.config.consent
    assert register is not None
    named = ((register.columns.tiers, "tiers"), (register.columns.purposes, "purposes"))
    return [(name, alias) for name, alias in named if name]


_RANKED = (
    ConsentAnswer.AGREED,
    ConsentAnswer.OTHER_PURPOSES,
    ConsentAnswer.OTHER_TIERS,
    ConsentAnswer.EXPIRED,
    ConsentAnswer.WITHDRAWN,
)
"""Of several lines of one day the last of these counts."""


def _rank(loaded: LoadedConfig, tier: Tier, today: str) -> str:
    """SQL of what one line says about a tier, as a position in ``_RANKED``."""
    aliases = [alias for _, alias in _word_columns(loaded)]
    cases = [f"WHEN withdrawn <= {today} THEN 4", f"WHEN expires < {today} THEN 3"]
    if "tiers" in aliases:
        cases.append(f"WHEN NOT list_contains(tiers, '{tier.value}') THEN 2")
    if "purposes" in aliases:
        purpose = tier_purpose(loaded.config, tier) or ""
        cases.append(f"WHEN NOT list_contains(purposes, '{purpose}') THEN 1")
    return f"CASE {' '.join(cases)} ELSE 0 END"


def _answer(tier: Tier) -> str:
    ranked = " ".join(f"WHEN {rank} THEN '{answer}'" for rank, answer in enumerate(_RANKED))
    return (
        f"CASE WHEN gone >= coalesce(newest, gone) THEN '{ConsentAnswer.WITHDRAWN}' "
        f"WHEN newest IS NULL THEN '{ConsentAnswer.NOT_YET}' "
        f"ELSE CASE {tier.value}_rank {ranked} END END AS {tier.value}"
    )


def _pin(answers: pa.Table, workspace: Workspace, dataset: str) -> ArtifactRef:
    folder = workspace.consent
    folder.mkdir(mode=0o700, exist_ok=True)
    buffer = pa.BufferOutputStream()
    pq.write_table(answers, buffer, compression="zstd", store_schema=False)
    content = buffer.getvalue().to_pybytes()
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{dataset}-{sha256[:16]}.parquet"
    write_durably(path, content, mode=0o600)
    return ArtifactRef(str(path), sha256, answers.num_rows)
