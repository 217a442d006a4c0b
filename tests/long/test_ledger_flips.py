"""2,000 bits flipped anywhere in the ledger's file: each is found, or changes no answer."""

from __future__ import annotations

import random
from pathlib import Path

from flips_case import answers, busy_case, flipped, goes_unnoticed


def test_two_thousand_flips_anywhere_are_found_or_change_no_answer(tmp_path: Path) -> None:
    case = busy_case(tmp_path)
    path = case.workspace.root / "ledger.db"
    content, before = path.read_bytes(), answers(case.ledger)
    chance = random.Random(2026)
    unnoticed = []
    for bit in chance.sample(range(len(content) * 8), 2000):
        path.write_bytes(flipped(content, bit))
        if goes_unnoticed(case, before):
            unnoticed.append(bit)
    assert unnoticed == []
