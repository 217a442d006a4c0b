"""Versions whose source is remembered as tokens are compared as if it were there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from derive_case import Case
from opening import opened_alone
from test_attacks_across import OPEN
from test_derive_history import COLUMNS, K3, case_of, joined, partner, people, published, with_rows

from stepdown.anonymise.tiers.derive import derive_tier
from stepdown.anonymise.tiers.source_tokens import (
    MEMORY,
    recall,
    remember_hierarchies,
    remember_snapshot,
)
from stepdown.artifacts import sha256_of
from stepdown.attacks.multi_release import attacks_across
from stepdown.candidate import Candidate, Earlier
from stepdown.errors import KeyMissing
from stepdown.keyring import Keyring
from stepdown.vocabulary import Tier

FIRST, SECOND = Keyring({"clinic/memory/1": b"1" * 32}), Keyring({"clinic/memory/2": b"2" * 32})
OLD = people((6, 25, "ab"), (6, 35, "ab"))
NEW = joined(
    {name: values[1:] for name, values in OLD.items()},
    people((2, 25, "ab"), (4, 35, "ab"), start=12),
)
"""One of the old has left, six have come."""


def places(case: Case, keyring: Keyring = FIRST) -> tuple[Keyring, Path, Path]:
    return keyring, case.folder / "memory", case.folder


def as_tokens(case: Case, version: Earlier) -> Earlier:
    """The version after retention: nothing raw is left of it."""
    held = recall(case.loaded.config, version, *places(case))
    Path(version.snapshot.path).unlink()
    Path(version.candidate.hierarchies.path).unlink()
    return held


def derived_from_tokens(case: Case, version: Earlier, run: str) -> Candidate:
    internal = case.derive(Tier.INTERNAL, run=run)
    today = remember_snapshot(case.loaded.config, case.snapshot, *places(case))
    folder = case.folder / run / "partner"
    with case.rows(Tier.PARTNER, internal) as rows:
        return derive_tier(rows, case.keyring, folder, [version], today)


@pytest.mark.parametrize(
    "rules",
    [K3, OPEN, K3 | {"recoding": "local"}, K3 | {"period": "increment", "smallest_class": 2}],
)
def test_the_next_version_and_its_attacks_are_the_same_with_and_without_the_source(tmp_path, rules):
    first = case_of(tmp_path, OLD, rules)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, NEW, "second")
    raw = partner(second, v1, run="raw")
    with opened_alone(raw, second.snapshot, second.loaded) as opened:
        raw_attacks = attacks_across(opened, [v1])

    tokens = as_tokens(second, v1)
    made = derived_from_tokens(second, tokens, "tokens")
    config = second.loaded.config
    hidden = remember_hierarchies(config, made, second.snapshot, *places(second))
    today = remember_snapshot(config, second.snapshot, *places(second))
    with (
        opened_alone(made, second.snapshot, second.loaded) as opened,
        opened.as_tokens(hidden, today) as held,
    ):
        attacks = attacks_across(held, [tokens])

    assert made.data.sha256 == raw.data.sha256
    assert made.lineage.sha256 == raw.lineage.sha256
    assert made.report == raw.report
    assert attacks == raw_attacks
    # Else equality would say nothing: something must have been measured.
    assert attacks[0].attempts > 0


def test_the_attacks_see_through_tokens_what_hold_back_would_have_kept_out(tmp_path):
    first = case_of(tmp_path, OLD, OPEN)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(OLD, people((1, 25, "a"), start=12)), "second")
    tokens = as_tokens(second, v1)
    made = derived_from_tokens(second, tokens, "tokens")
    config = second.loaded.config
    hidden = remember_hierarchies(config, made, second.snapshot, *places(second))
    today = remember_snapshot(config, second.snapshot, *places(second))
    with (
        opened_alone(made, second.snapshot, second.loaded) as opened,
        opened.as_tokens(hidden, today) as held,
    ):
        found = attacks_across(held, [tokens])
    assert (found[0].attack, found[0].successes) == ("differencing", 1)


def test_a_version_half_deleted_is_remembered_as_a_whole_one(tmp_path):
    case = case_of(tmp_path, OLD)
    version = published(case, partner(case, run="1"))
    whole = recall(case.loaded.config, version, *places(case))
    half = replace(
        version, candidate=replace(version.candidate, hierarchies=whole.candidate.hierarchies)
    )
    assert recall(case.loaded.config, half, *places(case)) == whole


def test_tokens_hold_no_value_and_only_columns_that_tell_records_apart(tmp_path):
    case = case_of(tmp_path, OLD)
    version = published(case, partner(case, run="1"))
    held = recall(case.loaded.config, version, *places(case))
    kept = pq.read_table(held.snapshot.path)
    assert kept.column_names == ["_row_id", "person", "age", "illness"]
    raw = {str(value) for values in OLD.values() for value in values}
    leaves = pq.read_table(held.candidate.hierarchies.path)["leaf"].drop_null().to_pylist()
    assert raw.isdisjoint(
        [*leaves, *(v for name in kept.column_names[1:] for v in kept[name].to_pylist())]
    )


def test_a_column_that_is_compared_since_today_is_remembered_while_the_source_is_there(tmp_path):
    narrow = case_of(tmp_path, OLD, columns=COLUMNS | {"illness": {"role": "direct_identifier"}})
    remember_snapshot(narrow.loaded.config, narrow.snapshot, *places(narrow))
    wide = case_of(tmp_path, OLD)
    kept = remember_snapshot(wide.loaded.config, narrow.snapshot, *places(wide))
    assert "illness" in pq.read_schema(kept.path).names
    assert sha256_of(Path(kept.path)) == kept.sha256


def test_without_the_key_of_the_memory_nothing_new_goes_out(tmp_path):
    case = case_of(tmp_path, OLD)
    tokens = as_tokens(case, published(case, partner(case, run="1")))
    assert SECOND.newest_name("clinic", MEMORY) == "clinic/memory/2"
    with pytest.raises(KeyMissing, match="clinic/partner/v1 was destroyed"):
        recall(case.loaded.config, tokens, *places(case, SECOND))


def test_a_source_that_is_still_there_is_remembered_again_under_the_next_key(tmp_path):
    case = case_of(tmp_path, OLD)
    version = published(case, partner(case, run="1"))
    before = recall(case.loaded.config, version, *places(case))
    after = recall(case.loaded.config, version, *places(case, SECOND))
    one, two = (pq.read_table(held.snapshot.path) for held in (before, after))
    assert set(one["person"].to_pylist()).isdisjoint(two["person"].to_pylist())
