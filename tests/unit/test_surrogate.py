from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import get_args

import pytest
from derive_case import lineage, make_case, released
from make_pools import FAKER_VERSION, write_pools

from stepdown.anonymise import pools
from stepdown.anonymise.pools import POOL_SHA256, load_pool
from stepdown.anonymise.tiers.surrogate import entries_in_use, surrogates
from stepdown.config.treatments import SurrogateKind
from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, StoreCorrupt
from stepdown.vocabulary import Tier

KEY = bytes(range(32))
POOL = ["Ann", "Bob", "Cid", "Dee"]
NONE: frozenset[str] = frozenset()
LENGTHS = (lambda n: n >= 6, lambda n: n < 6)


@pytest.mark.parametrize("kind", get_args(SurrogateKind))
def test_every_kind_has_five_thousand_different_entries(kind):
    assert len(set(load_pool(kind))) == len(load_pool(kind)) == 5_000


def test_invented_phones_and_mails_reach_nobody():
    fiction = r"\+44 (1632 960\d{3}|7700 900\d{3}|20 7946 0\d{3}|113 496 0\d{3}|121 496 0\d{3})"
    assert all(re.fullmatch(fiction, phone) for phone in load_pool("phone"))
    mail = r"[a-z]+\.[a-z]+@example\.(org|com|net)"
    assert all(re.fullmatch(mail, address) for address in load_pool("email"))


@pytest.mark.skipif(version("faker") != FAKER_VERSION, reason="another Faker, other pools")
def test_the_pools_can_be_made_again_byte_for_byte(tmp_path):
    assert write_pools(tmp_path) == POOL_SHA256


def test_a_pool_that_is_not_the_recorded_one_is_refused(tmp_path, monkeypatch):
    (tmp_path / "city.json").write_text(json.dumps(["Nowhere"]))
    monkeypatch.setattr(pools, "files", lambda package: tmp_path)
    load_pool.cache_clear()
    with pytest.raises(StoreCorrupt, match="pool of city surrogates"):
        load_pool("city")
    load_pool.cache_clear()


def test_a_surrogate_depends_on_the_key_the_column_and_the_value():
    values = [str(i) for i in range(64)]
    mine = surrogates(KEY, "name", POOL, NONE)(values)
    assert mine == surrogates(KEY, "name", POOL, NONE)(values)
    assert mine != surrogates(bytes(32), "name", POOL, NONE)(values)
    assert mine != surrogates(KEY, "alias", POOL, NONE)(values)
    assert set(mine) == set(POOL)


def test_an_excluded_entry_moves_only_the_values_that_pointed_at_it():
    values = [str(i) for i in range(64)]
    before = surrogates(KEY, "name", POOL, NONE)(values)
    after = surrogates(KEY, "name", POOL, frozenset({"Bob"}))(values)
    moved = [new for old, new in zip(before, after, strict=True) if old == "Bob"]
    stayed = [old == new for old, new in zip(before, after, strict=True) if old != "Bob"]
    assert all(stayed)
    assert set(moved) == {"Ann", "Cid", "Dee"}


def test_a_pool_without_a_free_entry_is_an_error():
    with pytest.raises(DemandImpossible, match="all 4 surrogates"):
        surrogates(KEY, "name", POOL, frozenset(POOL))


def test_a_surrogate_is_never_a_raw_value_in_whatever_case(tmp_path):
    # All but ten of the pool's entries are someone's name in the data, in capitals.
    pool = load_pool("first_name")
    raw = [name.upper() for name in pool[10:]]
    columns = {"name": {"role": "direct_identifier", "internal": {"surrogate": "first_name"}}}
    candidate = make_case(tmp_path, {"name": [*raw, None]}, columns).derive(Tier.INTERNAL)
    invented = released(candidate)["name"]
    assert set(invented[1:]) == set(pool[:10])
    assert invented[0] is None
    assert candidate.report.surrogate_pools == {"first_name": POOL_SHA256["first_name"]}


def test_an_entry_with_a_word_that_names_someone_in_another_column_is_not_used(tmp_path):
    pool = load_pool("person_name")
    long, short = (next(x for x in pool if test(len(x.split()[1]))) for test in LENGTHS)
    rows = {"name": ["raw", None], "surname": [long.split()[1].lower(), short.split()[1].lower()]}
    case = make_case(tmp_path, rows, {"name": {}, "surname": {}})
    with open_session(tmp_path) as session:
        session.attach_parquet("snapshot", case.snapshot.path)
        taken = entries_in_use(session, "snapshot", ["name", "surname"], "person_name")
    assert long in taken
    assert short not in taken
    assert all(long.split()[1] in entry for entry in taken)


def test_equal_values_get_equal_surrogates(tmp_path):
    columns = {"town": {"role": "direct_identifier", "internal": {"surrogate": "city"}}}
    case = make_case(tmp_path, {"town": ["A", "B", "A"]}, columns)
    candidate = case.derive(Tier.INTERNAL)
    by_row = dict(zip(lineage(candidate)["parent_row"], released(candidate)["town"], strict=True))
    assert by_row[0] == by_row[2] != by_row[1]
