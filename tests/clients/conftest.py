"""One server for every reader: each tier live, public twice, and a copy withdrawn.

Internal is of two data files, which clients of Delta Sharing read as one table.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from every_type import every_type
from partner_case import write_partner
from release_case import Case
from served_case import Served, publish_all, publish_public, serving

from stepdown.release.decisions.withdraw import withdraw
from stepdown.vocabulary import Tier

BASE, DISTRICT = "wells/partner/v1", "wells/partner/district/v1"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("clients")
    Case(root, beside=tuple(every_type()))
    write_partner(root, "wells", ["age", "illness"], "district")
    case = Case(root)  # a config knows the partners of the moment it was read
    publish_all(case, internal=every_type(), part_rows=4)
    case.submit(Tier.PARTNER, "district", parent=BASE)
    case.approve(DISTRICT)
    withdraw(case.workspace, case.store, DISTRICT, reason="moved", actor="Ann")
    case.submit(Tier.PUBLIC, age="[25, 30)", parent=BASE)
    publish_public(case, "wells/public/v2")
    with serving(case) as served:
        yield served
