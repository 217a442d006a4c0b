"""A sample of the long proofs, for who has no hours."""

from __future__ import annotations

import random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sample", type=int, help="run so many of the long proofs")
    parser.addoption("--seed", default="", help="which; the same seed draws the same")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--sample")
    if wanted is not None:
        short = [item for item in items if not item.get_closest_marker("hours")]
        drawn = random.Random(config.getoption("--seed")).sample(short, min(wanted, len(short)))
        items[:] = [item for item in items if item in drawn]
