"""Remember the native types of a dataset's source, and refuse one that changed."""

from __future__ import annotations

import json
from pathlib import Path

from stepdown.artifacts import canonical_json, write_durably
from stepdown.config import LoadedConfig
from stepdown.errors import SourceInvalid
from stepdown.ingest.source import MIXED, Source
from stepdown.workspace import Workspace

UNTYPED = {"empty", MIXED}


def check_native_types(
    families: dict[str, str], loaded: LoadedConfig, source: Source, workspace: Workspace
) -> None:
    """Refuse a column whose native type is not the one that was accepted last.

    A change is accepted once the config declares another type for the column too. A column without
    any value, or of several types at once, has no type that could change: each of its values is
    checked on every run. CSV has none either.

    Raises:
        SourceInvalid: naming column, old type and new type.
    """
    path = _path(loaded, workspace)
    last = _last(path, source)
    changed = [
        f"column {name} was {last[name]['native']} and is {family} now"
        for name, family in families.items()
        if name in last
        and not UNTYPED & {family, last[name]["native"]}
        and family != last[name]["native"]
        and last[name]["declared"] == loaded.config.columns[name].type
    ]
    if changed:
        raise SourceInvalid(
            "\n".join(changed),
            where=source.where,
            next=f"If it is meant to be so, declare the column's new type in {loaded.path.name}; "
            f"where its declared type stays right, remove {path} and run again.",
        )


def remember_native_types(
    families: dict[str, str], loaded: LoadedConfig, source: Source, workspace: Workspace
) -> None:
    """Keep an accepted source's native types for the next run."""
    if source.kind == "csv":
        return
    path = _path(loaded, workspace)
    last = _last(path, source)
    columns = {
        name: {
            "declared": loaded.config.columns[name].type.value,
            "native": last[name]["native"] if family in UNTYPED and name in last else family,
        }
        for name, family in families.items()
    }
    write_durably(path, canonical_json({"kind": source.kind, "columns": columns}), mode=0o600)


def _path(loaded: LoadedConfig, workspace: Workspace) -> Path:
    return workspace.snapshots / f"{loaded.config.dataset}.schema.json"


def _last(path: Path, source: Source) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    remembered = json.loads(path.read_text(encoding="utf-8"))
    columns: dict[str, dict[str, str]] = remembered["columns"]
    return columns if remembered["kind"] == source.kind else {}
