"""A page is one long text: it is searched whole, and within little memory."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stepdown.engine import open_session
from stepdown.risk.leaks.tokens import permit, publish_texts, start_search, withheld, withheld_in

NAME = "anna berta clara dora emma frida greta hanna"


def found(text: str) -> dict[str, int]:
    with open_session() as session:
        session.attach_arrow("source", pa.table({"name": [NAME]}))
        start_search(session)
        publish_texts(session, {"page": [text]})
        permit(session, [])
        return withheld_in(session, withheld("source", '"name"')[0])


@pytest.mark.parametrize(
    "before", [0, 1, 120, 121, 127, 128, 129, 4088, 4089, 4095, 4096, 4097, 9000]
)
def test_a_name_of_eight_words_is_found_wherever_it_stands(before: int) -> None:
    assert found(" ".join(["word"] * before + [NAME] + ["word"] * 3)) == {"page": 1}


def test_a_text_of_a_hundred_thousand_words_is_searched_in_the_engines_memory() -> None:
    words = [f"word{number % 5000}" for number in range(100_000)]
    assert found(" ".join([*words, NAME])) == {"page": 1}
    assert found(" ".join(words)) == {}
