"""From a YAML file to a checked config, with the line of every mistake."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stepdown.config.consistency import check_consistency
from stepdown.config.models import ReleaseConfig
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import Tier


@dataclass(frozen=True)
class LoadedConfig:
    """A config and the file it came from.

    Relative paths in the config are relative to ``folder``.
    """

    config: ReleaseConfig
    path: Path

    @property
    def folder(self) -> Path:
        return self.path.parent

    def resolve(self, relative: str) -> Path:
        """A path of the config as an absolute path."""
        return (self.folder / relative).resolve()


def load_config(path: str | Path) -> LoadedConfig:
    """Read and check a config.

    Raises:
        ConfigInvalid: the file is not there, is not YAML, or has keys or values that are not
            allowed; the message lists every one with its line.
        PolicyInvalid: a tier is looser than its parent, or than its default without a reason.
    """
    path = Path(path).absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigInvalid(
            "no such config", where=str(path), next="Give the path of a YAML file."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"cannot be read as UTF-8 text ({type(error).__name__})", where=str(path)
        ) from None
    document = _parse(text, path)
    try:
        config = ReleaseConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigInvalid(
            "\n".join(_sentence(problem, document) for problem in error.errors()),
            where=str(path),
            next="docs/config.md lists every key; the JSON Schema lets an editor complete them.",
        ) from None
    check_consistency(config, path)
    return LoadedConfig(config, path)


def tier_hash(config: ReleaseConfig, tier: Tier, recipient: str | None = None) -> str:
    """SHA-256 of what the config says about a tier and those above it, however it is spelled.

    What a config says about lower tiers, other recipients and the schedule cannot change a byte of
    this tier, so a change there asks nobody to sign it again.
    """
    below = [other.value for other in list(Tier)[list(Tier).index(tier) + 1 :]]
    facts = config.model_dump(mode="json", exclude_defaults=True, exclude={"schedule", "auxiliary"})
    for column in facts["columns"].values():
        # What an intruder may hold decides whether a file is released, not what is in it.
        for name in (*below, "id_pattern"):
            column.pop(name, None)
    for name in below:
        facts.get("tiers", {}).pop(name, None)
    for rules in facts.get("tiers", {}).values():
        rules.pop("alternatives", None)  # what was only considered changes no byte
    copies = facts.pop("recipients", {})
    own = copies.get(recipient) if recipient else None
    # Columns keep their order: it is the order of the released table.
    text = json.dumps([facts, own, list(config.columns)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a config, for editors."""
    schema = ReleaseConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _parse(text: str, path: Path) -> Any:
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigInvalid(
            f"line {line}: {error.problem or 'not YAML'}", where=str(path)
        ) from None
    except YAMLError:
        raise ConfigInvalid("is not YAML", where=str(path)) from None
    if not isinstance(document, dict):
        raise ConfigInvalid(
            "is not a mapping of keys to values",
            where=str(path),
            next="Start with `dataset:`, `source:` and `columns:`.",
        )
    return document


def _sentence(problem: Any, document: Any) -> str:
    steps = [step for step in problem["loc"] if _exists(document, problem["loc"], step)]
    key = ".".join(str(step) for step in steps) or "the config"
    line = _line(document, problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown key"
    elif problem["type"] == "missing":
        key = ".".join(str(step) for step in problem["loc"])
        message = "is required"
    elif isinstance(problem["input"], str | int | float) and problem["type"] != "value_error":
        message = f"found {problem['input']!r}; {message[0].lower()}{message[1:]}"
    return f"line {line}: {key}: {message}"


def _exists(document: Any, loc: tuple[int | str, ...], step: int | str) -> bool:
    # pydantic puts the tags of unions into the location; only real keys are shown.
    node = document
    for part in loc:
        present = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        if present:
            if part == step:
                return True
            node = node[part]
    return False


def _line(document: Any, loc: tuple[int | str, ...]) -> int:
    node: Any = document
    line = 1
    for part in loc:
        if isinstance(node, CommentedMap) and part in node:
            line = node.lc.key(part)[0] + 1
            node = node[part]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
            node = node[part]
    return int(line)
