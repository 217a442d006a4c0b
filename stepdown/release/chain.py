"""Whether the ledger is still what was written into it: line after line, and row beside line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from stepdown.errors import InputWrong
from stepdown.release.ledger import EVENT_FIELDS, FIRST_HASH, Ledger, Release, line_hash

MOST_PROBLEMS = 100
"""A ledger that differs everywhere is told of in so many sentences."""


@dataclass
class Walk:
    """What was found on the way along a chain.

    Args:
        problems: in the order of the lines.
        lines: how many there were; last_hash: of the last of them.
        states: series and version → the state that the last line about it says.
    """

    problems: list[str] = field(default_factory=list)
    lines: int = 0
    last_hash: str = FIRST_HASH
    states: dict[tuple[str, ...], str] = field(default_factory=dict)


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
        if line["version"] and isinstance(line["facts"], dict) and "state" in line["facts"]:
            key = (line["dataset"], line["tier"], line["recipient"], line["version"])
            found.states[key] = line["facts"]["state"]
    found.problems += [
        f"line {seq}, which the checkpoint signed, is missing" for seq in sorted(expected)
    ]
    return found


def verify_chain(ledger: Ledger, signed: Mapping[int, str] | None = None) -> tuple[str, ...]:
    """What is wrong with the ledger; empty where every line follows from the one before.

    Finds also a release whose state, hashes or signatures no line accounts for.

    Args:
        signed: number of a line → its hash, as checkpoints say.
    """
    with ledger.reading() as reader:
        found = walk(reader.lines(), signed)
        releases = [release for release in reader.releases() if release.version]
        problems = [
            problem
            for release in releases
            for problem in _row_problems(release, found, reader.is_as_written(release))
        ]
    return (*found.problems, *problems)


def export(ledger: Ledger, file: BinaryIO) -> int:
    """Write every line as one line of JSON; how many there are."""
    count = 0
    with ledger.reading() as reader:
        for line in reader.lines():
            text = json.dumps(line, sort_keys=True, ensure_ascii=False, allow_nan=False)
            file.write(text.encode() + b"\n")
            count += 1
    return count


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


def _line_problems(line: Mapping[str, Any], found: Walk, last_at: str) -> Iterator[str]:
    if line["seq"] != found.lines + 1 or line["previous_hash"] != found.last_hash:
        yield f"line {line['seq']} does not follow the line before it"
    if line_hash(line) != line["hash"]:
        yield f"line {line['seq']} was changed after it was written"
    if str(line["at"]) < last_at:
        yield f"line {line['seq']} is older than the line before it"


def _row_problems(release: Release, found: Walk, as_written: bool) -> Iterator[str]:
    key = (release.dataset, release.tier.value, release.recipient or "", release.version or "")
    if found.states.get(key) != release.state.value:
        yield f"{release.address} is {release.state}, and no line says so"
    if not as_written:
        yield f"{release.address} has other hashes or signatures than its lines say"


def _exported(text: bytes, where: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
        whole = isinstance(line, dict) and line.keys() == set(EVENT_FIELDS)
        if whole and isinstance(line["seq"], int) and isinstance(line["hash"], str):
            return dict(line)
    except ValueError:
        pass
    raise InputWrong(
        "is not a line of an exported ledger",
        where=where,
        next="`stepdown ledger export` makes one.",
    )
