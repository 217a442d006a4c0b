"""Compare all that a run would read with what the last run read, before anything is derived.

A run is a function of its ingredients, so where each is that of a run which ended well, and what
that run published is still there, another would end ``unchanged``. A doubt is a full run: whatever
is not known here to be the same counts as changed. docs/decisions/0057 says why.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import platform
import stat
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stepdown import clock
from stepdown.artifacts import canonical_json, sha256_of, write_durably
from stepdown.config import LoadedConfig
from stepdown.config.assessment import assessment_path, signature_path
from stepdown.config.governance import load_governance
from stepdown.config.partners import PARTNERS
from stepdown.config.people import PEOPLE
from stepdown.config.security_policy import SECURITY_POLICY
from stepdown.errors import StepdownError
from stepdown.keyring import names_of
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.records import EventKind
from stepdown.release.ledger.store import open_store
from stepdown.release.requirements.publisher_key import KEY_FILE
from stepdown.tables.files import files_of, is_several
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import Workspace

FORMAT = 1
"""Of the record; one of another format is not read."""
PACKAGES = ("stepdown", "expectations", "tasks", "flows")
"""Whose files, code and defaults alike, say what a run does."""
_DECIDING = tuple(
    kind
    for kind in EventKind
    # What readers do and are told changes no release, and a run that changed nothing is a line too.
    if kind
    not in (EventKind.ACCESS, EventKind.NOTICE, EventKind.TOLD, EventKind.ALERT, EventKind.RUN)
)


@dataclass(frozen=True)
class Asked:
    """The request for a run: tiers of a dataset, its source and places, the date it stands at."""

    loaded: LoadedConfig
    workspace: Workspace
    store: str
    tiers: Sequence[Tier]
    as_of: dt.date

    @property
    def dataset(self) -> str:
        return self.loaded.config.dataset


def inputs_of(asked: Asked) -> dict[str, str] | None:
    """Hash of each thing that the run is given; None where one of them cannot be compared.

    A query's answer is not known before it is asked, so a run from a database is never unchanged
    beforehand. The hashes stay in memory: ``remember`` seals them.
    """
    config = asked.loaded.config
    sources = [config.source, *([config.consent.source] if config.consent else [])]
    if any(source.path is None for source in sources):
        return None
    try:
        facts = {
            "tiers": [tier.value for tier in asked.tiers],
            # As it was read: its file may have been written anew since.
            "config": asked.loaded.config.model_dump(mode="json"),
            "as_of": asked.as_of.isoformat(),
            # Agreements, assessments and consents are asked about the day itself.
            "day": clock.today().isoformat(),
            "workspace": [str(asked.workspace.root), asked.workspace.ledger_url],
            "store": open_store(asked.store).url,
            "versions": [sys.version, platform.machine(), *_installed()],
            "code": [(name, _sha256(path)) for name, path in sorted(_code())],
        }
        files = {str(path): _sha256(path) for path in _files(asked.loaded)}
    except (OSError, ValueError, StepdownError):
        return None  # a run says what is wrong
    return {name: _hash_of(fact) for name, fact in facts.items()} | files


def remember(
    asked: Asked,
    run: str,
    inputs: Mapping[str, str] | None,
    *,
    settled: bool,
    releases: Collection[str] = (),
) -> None:
    """Write down what a run was given, and, where nothing of it is open, what it has left.

    Args:
        run: its name; its outcome is in the workspace's ``runs/``.
        inputs: of before it began; nothing is written where they have changed since.
        settled: whether every tier is published or unchanged; else ``complete`` may follow.
        releases: addresses of what is out by its outcome.
    """
    if inputs is not None and inputs == inputs_of(asked):
        left = _left(asked, run) if settled else {}
        # Asked after the ledger's newest line was noted: whatever was withdrawn while the run came
        # to its end is seen here, and whatever is withdrawn from now on is a line of its own.
        _write(asked, run, {**inputs, **(left if _are_out(asked, releases) else {})})


def complete(asked: Asked, run: str, releases: Collection[str] = ()) -> None:
    """Add what a run has left, once the last of what it made is published: see ``remember``."""
    record, inputs = _read(_path(asked)), inputs_of(asked)
    if record is None or inputs is None or record[0] != run:
        return
    if record[1] == _sealed(asked, inputs):
        remember(asked, run, inputs, settled=True, releases=releases)


def forget(asked: Asked) -> None:
    """Let the next run derive everything; call it before a run begins to."""
    _path(asked).unlink(missing_ok=True)


def changed_since(asked: Asked) -> tuple[str, tuple[str, ...]] | None:
    """The last run, and which of the ingredients are no longer those that it had.

    Call it once the ledger was found whole, the store to hold what is out, and what a killed run
    left was cleared away. None where no run is known that could be compared.
    """
    record = _read(_path(asked))
    inputs = inputs_of(asked) if record else None
    if record is None or inputs is None:
        return None
    run, before = record
    try:
        now = _sealed(asked, {**inputs, **_left(asked, run)})
    except OSError:
        return None
    return run, tuple(sorted(n for n in before.keys() | now if before.get(n) != now.get(n)))


def is_known(asked: Asked) -> bool:
    """True where there is a record to compare with."""
    return _path(asked).exists()


def _write(asked: Asked, run: str, hashes: Mapping[str, str]) -> None:
    record = {"format": FORMAT, "run": run, "ingredients": _sealed(asked, hashes)}
    write_durably(_path(asked), canonical_json(record), mode=0o600)


def _left(asked: Asked, run: str) -> dict[str, str]:
    """Hash of each thing that earlier runs and decisions have left."""
    workspace, dataset = asked.workspace, asked.dataset
    with open_ledger(workspace).reading() as reader:
        last = reader.newest(*_DECIDING, most=1)
        shredded = reader.shredded() & set(names_of(workspace.keyring))
    return {
        # Each line's hash covers every line before it.
        "earlier releases": _hash_of([line["hash"] for line in last]),
        "keys to be destroyed": _hash_of(sorted(shredded)),
        "published objects": _hash_of(open_store(asked.store).sizes(dataset)),
        "kept files": _hash_of(dict(_stats(workspace, dataset))),
        "outcome": sha256_of(workspace.runs / f"{run}.json"),
    }


def _are_out(asked: Asked, releases: Collection[str]) -> bool:
    with open_ledger(asked.workspace).reading() as reader:
        known = reader.releases(asked.dataset)
    return set(releases) <= {r.address for r in known if r.state is ReleaseState.PUBLISHED}


def _files(loaded: LoadedConfig) -> set[Path]:
    """Every file that the config, or what lies beside it, may name.

    Whatever text resolves to a file counts as its path, so that no new key can be forgotten here.
    """
    folder, dataset = loaded.folder, loaded.config.dataset
    partners, assessment = folder / PARTNERS, assessment_path(folder, dataset)
    fixed = {loaded.path, folder / PEOPLE, folder / SECURITY_POLICY}
    fixed |= {assessment, signature_path(assessment)}
    if partners.is_dir():
        fixed |= {path for path in partners.rglob("*") if path.is_file()}
    governance = load_governance(folder, dataset)
    named = _named(loaded.config, folder)
    for partner in governance.partners.values():
        named |= _named(partner, partners)
    return fixed | named


def _named(model: BaseModel, folder: Path) -> set[Path]:
    facts = model.model_dump(mode="json")
    paths = {folder / text for text in _texts(facts)}
    several = {(folder / text).resolve() for text in _tables(facts)}
    # Whatever they are: their endings are the reader's to judge.
    found = {p for path in several if is_several(path) for p in files_of(path, "csv").paths}
    return {path for path in paths if _is_file(path)} | found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a description is too long for a path, say
        return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.keys()))
        yield from _texts(list(value.values()))
    elif isinstance(value, Iterable):
        for each in value:
            yield from _texts(each)


def _tables(value: Any) -> Iterator[str]:
    """List the paths of tables in a config: a folder or pattern stands for files there."""
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str):
            yield value["path"]
        for each in value.values():
            yield from _tables(each)


def _code() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        found = find_spec(package)
        for place in (found.submodule_search_locations or []) if found else []:
            for folder, inside, names in os.walk(place):
                inside[:] = [name for name in inside if name != "__pycache__"]
                for name in names:
                    path = Path(folder, name)
                    yield f"{package}/{path.relative_to(place)}", path


def _installed() -> list[str]:
    """Every other distribution that can be imported, with its version, by its folder's name."""
    found: set[str] = set()
    for place in sys.path:
        if os.path.isdir(place):
            found |= {name for name in os.listdir(place) if name.endswith(_DISTRIBUTION)}
    # Our own is compared file by file, and a clone has a second one beside the code, which is
    # found or not as the command is started.
    return sorted(name for name in found if not name.startswith(_OURS))


_DISTRIBUTION = (".dist-info", ".egg-info")
_OURS = ("stepdown-", "stepdown.")


def _stats(workspace: Workspace, dataset: str) -> Iterator[tuple[str, list[int]]]:
    """Size and times of every file that a run may read in the workspace.

    Not their bytes, of which there may be many gigabytes; the kernel moves the second of the times
    at every write.
    """
    places = [workspace.candidates / dataset, workspace.memory]
    files = [path for place in places if place.is_dir() for path in place.rglob("*")]
    files += workspace.snapshots.glob(f"{dataset}*")
    files += workspace.consent.glob(f"{dataset}*")
    files += workspace.root.glob(KEY_FILE)
    for path in files:
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            name = str(path.relative_to(workspace.root))
            yield name, [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _sealed(asked: Asked, hashes: Mapping[str, str]) -> dict[str, str]:
    """Hashes under a key that is made of the keyring, the keyring's own among them.

    Who finds the record without the keyring cannot try out what a register or a source may hold.
    """
    path, held, mode = asked.workspace.keyring, os.environ.get("STEPDOWN_KEYRING", "").encode(), 0
    if path.exists():
        held, mode = held + path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    key = hashlib.sha256(held).digest()
    told = {**hashes, "keyring": str(mode)}
    return {n: hmac.digest(key, f"{n}\0{h}".encode(), "sha256").hex() for n, h in told.items()}


def _read(path: Path) -> tuple[str, dict[str, str]] | None:
    """The record; None where it is not there, not ours alone, or not as this version writes it."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
            return None
        record = json.loads(path.read_bytes())
        run, sealed = record["run"], dict(record["ingredients"])
        is_ours = record["format"] == FORMAT and run.replace("-", "").isalnum()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return (run, sealed) if is_ours else None


def _path(asked: Asked) -> Path:
    # A dot is in no dataset's name and in no run's, so this is neither's outcome.
    return asked.workspace.runs / f"{asked.dataset}.last.json"


def _sha256(path: Path) -> str:
    return sha256_of(path) if _is_file(path) else "absent"


def _hash_of(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
