"""Verify the ledger: each line follows the one before, and each row agrees with its lines."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from stepdown.artifacts import new_file
from stepdown.errors import InputWrong, LedgerDamaged, WorldFailed
from stepdown.release.ledger.integrity import database_problems, settlement_problems
from stepdown.release.ledger.ledger import EVENT_FIELDS, FIRST_HASH, ROW, Ledger, Reader, line_hash
from stepdown.release.ledger.records import EventKind, Release

MOST_PROBLEMS = 100
"""A ledger that differs everywhere is told of in so many sentences."""
_ADDRESS = ("dataset", "tier", "recipient", "version")


@dataclass
class Walk:
    """What was found on the way along a chain.

    Args:
        problems: in the order of the lines.
        lines: how many there were; last_hash: of the last of them.
        states: series and version → the state that the last line about it says.
        given_up: address of a lapsed candidate whose number another took → hash of its row.
        unnumbered: series → hashes that lines about its releases without a version say of rows.
        unhashed: series → how many such releases were written down before lines said any.
    """

    problems: list[str] = field(default_factory=list)
    lines: int = 0
    last_hash: str = FIRST_HASH
    states: dict[tuple[str, ...], str] = field(default_factory=dict)
    given_up: list[tuple[str, str]] = field(default_factory=list)
    unnumbered: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    unhashed: Counter[tuple[str, ...]] = field(default_factory=Counter)


def walk(lines: Iterable[Mapping[str, Any]], signed: Mapping[int, str] | None = None) -> Walk:
    """Follow a chain from its first line; only one line is held at a time.

    Finds changed, missing, added and reordered lines, and with a checkpoint a chain that was cut
    off or written anew.

    Args:
        signed: number of a line → its hash, as checkpoints say.
    """
    found, expected, last_at = Walk(), dict(signed or {}), ""
    for line in lines:
        problems = list(_line_problems(line, found, last_at))
        wanted = expected.pop(int(line["seq"]), line["hash"])
        if wanted != line["hash"]:
            problems.append(f"line {line['seq']} is not the one that the checkpoint signed")
        found.problems += problems[: MOST_PROBLEMS - len(found.problems)]
        found.lines, found.last_hash, last_at = int(line["seq"]), line["hash"], str(line["at"])
        key = tuple(str(line[name]) for name in _ADDRESS)
        if line["version"] and isinstance(line["facts"], dict) and "state" in line["facts"]:
            found.states[key] = str(line["facts"]["state"])
        if not line["version"] and isinstance(line["facts"], dict):
            if ROW in line["facts"]:
                found.unnumbered.setdefault(key, set()).add(str(line["facts"][ROW]))
            elif line["kind"] == EventKind.CANDIDATE:
                found.unhashed[key] += 1
        if line["kind"] == EventKind.NUMBER_GIVEN_UP and isinstance(line["facts"], dict):
            parts = [line["dataset"], line["tier"], line["recipient"], line["facts"].get("number")]
            address = "/".join(str(part) for part in parts if part)
            found.given_up.append((address, str(line["facts"].get(ROW))))
    found.problems += [
        f"line {seq}, which the checkpoint signed, is missing" for seq in sorted(expected)
    ]
    return found


@dataclass(frozen=True)
class Checked:
    """What a look at a whole ledger found.

    Args:
        problems: what is wrong, in words.
        lines: how many there are; last_hash: of the last of them.
    """

    problems: tuple[str, ...]
    lines: int
    last_hash: str


def verify_chain(ledger: Ledger, signed: Mapping[int, str] | None = None) -> tuple[str, ...]:
    """What is wrong with the ledger; empty where every line follows from the one before.

    Finds also a row that no line accounts for, and rows and triggers that are missing.

    Args:
        signed: number of a line → its hash, as checkpoints say.
    """
    return check_ledger(ledger, signed).problems


def check_ledger(ledger: Ledger, signed: Mapping[int, str] | None = None) -> Checked:
    """The lines, the rows beside them and the triggers, all as of one moment."""
    with ledger.reading() as reader:
        found = walk(map(_parsed, reader.stored_lines()), signed)
        problems = [
            f"the trigger {name}, which keeps lines from being changed, is missing"
            for name in reader.missing_triggers()
        ]
        problems += database_problems(reader.connection)
        problems += _row_problems(reader, found)
    told = [*found.problems, *problems][:MOST_PROBLEMS]
    return Checked(tuple(told), found.lines, found.last_hash)


def check_whole(ledger: Ledger) -> None:
    """Refuse to go on with a ledger that is not whole; call it before any run, serve or decision.

    Raises:
        LedgerDamaged: something is wrong with its lines, its rows or the database beneath them.
        WorldFailed: it cannot be read at all.
    """
    if problem := damage(ledger):
        raise problem


def damage(ledger: Ledger) -> LedgerDamaged | None:
    """Name the first thing that is wrong with a ledger; None where it is whole."""
    problems = check_ledger(ledger).problems
    if not problems:
        return None
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return LedgerDamaged(
        f"the ledger is damaged: {problems[0]}{more}",
        where="ledger",
        next="`stepdown ledger verify` lists it. Restore it from its backup; withdrawals, "
        "incidents and revocations still work.",
    )


def check_export(path: Path, signed: Mapping[int, str] | None = None) -> Checked:
    """The lines of an export, which somebody may check who has nothing else.

    Raises:
        InputWrong: it is none, or holds no line.
    """
    found = walk(exported_lines(path), signed)
    if not found.lines:
        raise InputWrong(
            "the export holds no line", where=str(path), next="`stepdown ledger export` makes one."
        )
    return Checked(tuple(found.problems), found.lines, found.last_hash)


def export(ledger: Ledger, file: BinaryIO) -> int:
    """Write every line as one line of JSON; how many there are."""
    count = 0
    with ledger.reading() as reader:
        for line in reader.lines():
            text = json.dumps(line, sort_keys=True, ensure_ascii=False, allow_nan=False)
            file.write(text.encode() + b"\n")
            count += 1
    return count


def export_to(ledger: Ledger, path: Path) -> int:
    """Write every line into a new file, which appears whole or not at all.

    A cut export would be a chain that holds as far as it goes.

    Raises:
        InputWrong: there is such a file already, or no folder for it.
        WorldFailed: the disk refused.
    """
    new_file(path, "the export")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=partial(os.open, mode=0o600)) as file:
            lines = export(ledger, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise WorldFailed(
            f"the export cannot be written ({error.strerror})",
            where=str(path),
            next="Check the disk.",
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return lines


def exported_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of an export.

    Raises:
        InputWrong: the file is none, or a line of it is not a line of a ledger.
    """
    try:
        with open(path, "rb") as file:
            for number, text in enumerate(file, start=1):
                yield _exported(text, f"{path}: line {number}")
    except OSError as error:
        raise InputWrong(
            f"the export cannot be read ({error.strerror})", where=str(path), next="See the path."
        ) from None


def _parsed(line: dict[str, Any]) -> dict[str, Any]:
    """A stored line with its facts read; what nothing could have written matches no hash."""
    try:
        return line | {"facts": _strictly(line["facts"])}
    except (ValueError, TypeError, RecursionError):
        return line | {"facts": None}


def _strictly(text: str | bytes) -> Any:
    """JSON in which no name stands twice: two readers could each believe another one."""
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name stands twice")
    return named


def _line_problems(line: Mapping[str, Any], found: Walk, last_at: str) -> Iterator[str]:
    if line["seq"] != found.lines + 1 or line["previous_hash"] != found.last_hash:
        yield f"line {line['seq']} does not follow the line before it"
    if _hash_of(line) != line["hash"]:
        yield f"line {line['seq']} was changed after it was written"
    if str(line["at"]) < last_at:
        yield f"line {line['seq']} is older than the line before it"


def _hash_of(line: Mapping[str, Any]) -> str | None:
    try:
        return line_hash(line)
    except (ValueError, TypeError, RecursionError):
        return None  # bytes, NaN or half a surrogate: no line was ever written with them


def _row_problems(reader: Reader, found: Walk) -> Iterator[str]:
    try:
        releases = reader.releases()
    except (ValueError, TypeError, WorldFailed):
        yield "a row of the table of releases cannot be read, and no line says so"
        return
    yield from settlement_problems(reader.connection)
    unnumbered = {each.id: _row_sha256(reader, each) for each in releases if not each.version}
    held = set(unnumbered.values())
    for address, row in found.given_up:
        if row not in held:
            yield f"a candidate that lapsed as {address} has no row, or another than its lines say"
    rows = {_key(release) for release in releases if release.version}
    for key in sorted(found.states.keys() - rows):
        name = "/".join(str(part) for part in key if part)
        yield f"{name} has no row in the table of releases, and lines tell of it"
    for release in releases:
        if not release.version:
            if unnumbered[release.id] in found.unnumbered.get(_key(release), ()):
                continue
            found.unhashed[_key(release)] -= 1
            if found.unhashed[_key(release)] < 0:
                yield f"a refused release of {release.address} has other facts than its lines say"
            continue
        if found.states.get(_key(release)) != release.state.value:
            yield f"{release.address} is {release.state}, and no line says so"
        if not _is_as_written(reader, release):
            yield f"{release.address} has other hashes, signatures or terms than its lines say"


def _row_sha256(reader: Reader, release: Release) -> str | None:
    try:
        return reader.row_sha256(release.id)
    except (ValueError, TypeError):
        return None


def _is_as_written(reader: Reader, release: Release) -> bool:
    try:
        return reader.is_as_written(release)
    except (ValueError, TypeError, AttributeError, WorldFailed):
        return False


def _key(release: Release) -> tuple[str, ...]:
    return release.dataset, release.tier.value, release.recipient or "", release.version or ""


def _exported(text: bytes, where: str) -> dict[str, Any]:
    try:
        line = _strictly(text)
        if isinstance(line, dict) and line.keys() == set(EVENT_FIELDS) and _is_typed(line):
            return dict(line)
    except (ValueError, RecursionError):
        pass
    raise InputWrong(
        "is not a line of an exported ledger",
        where=where,
        next="`stepdown ledger export` makes one.",
    )


def _is_typed(line: Mapping[str, Any]) -> bool:
    texts = [value for name, value in line.items() if name not in ("seq", "facts")]
    return type(line["seq"]) is int and all(isinstance(text, str) for text in texts)
