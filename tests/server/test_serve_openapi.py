"""The server against its own OpenAPI document, asked by schemathesis as three kinds of reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import schemathesis
from attacked_case import Attacked, attacked
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from release_case import Case
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance
from served_case import publish_all

WHO = ("", "clinic", "Stu Steward")
NOT_OURS = [positive_data_acceptance]
"""That every text is a page's token or a moment is more than a document can forbid."""
NAMES = {
    "share": st.sampled_from(["public", "clinic", "internal"]),
    "schema": st.just("wells"),
    "table": st.sampled_from(["latest", "v1"]),
    "path": st.sampled_from(
        ["wells/public/v1/data.parquet", "wells/partner/clinic/latest/manifest.json"]
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("described")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Attacked]:
    case = Case(folder / "case")
    publish_all(case)
    with attacked(case, folder) as served:
        yield served
    served.check()


@pytest.fixture(scope="module")
def bearers(served: Attacked) -> dict[str, dict[str, str]]:
    """Reader → headers."""
    tokens = {who: served.token(who, role="steward")[1] for who in WHO if who}
    return {"": {}, **{who: {"Authorization": f"Bearer {it}"} for who, it in tokens.items()}}


@pytest.fixture(scope="module")
def described(served: Attacked) -> schemathesis.BaseSchema:
    document = httpx.get(served.url + "/openapi.json", trust_env=False).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=served.url)
    return schema


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
def test_every_answer_is_one_that_the_document_names(
    served: Attacked,
    described: schemathesis.BaseSchema,
    bearers: dict[str, dict[str, str]],
    mode: GenerationMode,
) -> None:
    """What the document allows, and what it forbids; names that exist, and made-up ones."""
    asked = set()
    for found in described.get_all_operations():
        operation = found.ok()
        cases = operation.as_strategy(generation_mode=mode)

        @settings(
            max_examples=25,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, st.sampled_from(WHO), st.none() | st.fixed_dictionaries(NAMES))
        def ask(case: schemathesis.Case, who: str, names: dict[str, str] | None) -> None:
            if names:
                case.path_parameters = {key: names[key] for key in case.path_parameters or {}}
            answer = case.call_and_validate(headers=bearers[who], excluded_checks=NOT_OURS)
            served.heard.append(f"HTTP/1.1 {answer.status_code} x".encode() + answer.content)
            asked.add((case.method, case.path, answer.status_code))

        with suppress(Unsatisfiable):  # nothing is forbidden where nothing is asked for
            ask()
    assert len({path for _, path, _ in asked}) >= (13 if mode is GenerationMode.POSITIVE else 8)
    answered = {code for _, _, code in asked}
    assert {200, 400, 404} <= answered
