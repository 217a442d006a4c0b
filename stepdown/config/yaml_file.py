"""Load a checked model from a YAML file, with the line of every mistake."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from stepdown.errors import ConfigInvalid

M = TypeVar("M", bound=BaseModel)


def load_model(path: Path, model: type[M], what: str, next: str) -> M:
    """Read a YAML file into a model.

    Args:
        what: the kind of file, for the message where there is none.
        next: where its keys are described.

    Raises:
        ConfigInvalid: the file is not there, is not YAML, or has keys or values that are not
            allowed; the message lists every one with its line.
    """
    return validate(read_document(path, what), model, path, next)


def read_document(path: Path, what: str) -> Any:
    """The mapping that a YAML file holds, with its lines; it is shared, so leave it unchanged.

    Raises:
        ConfigInvalid: the file is not there, cannot be read, or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigInvalid(
            f"no such {what}", where=str(path), next="Give the path of a YAML file."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"cannot be read as UTF-8 text ({type(error).__name__})", where=str(path)
        ) from None
    return _parse(text, path)


def validate(document: Any, model: type[M], path: Path, next: str) -> M:
    """A document as a model.

    Raises:
        ConfigInvalid: it has keys or values that are not allowed.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ConfigInvalid(
            "\n".join(_sentence(problem, document) for problem in error.errors()),
            where=str(path),
            next=next,
        ) from None


def _parse(text: str, path: Path) -> Any:
    try:
        document = _document(text)
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
            next="docs/config.md and docs/governance.md say which keys it has.",
        )
    return document


# One decision reads the same few files many times, and parsing one costs milliseconds. The file
# itself is read each time: what was edited since is another text.
@lru_cache(maxsize=64)
def _document(text: str) -> Any:
    return YAML(typ="rt", pure=True).load(text)


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
        message += ": put it in quotes" if problem["type"] == "string_type" else ""
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
