from __future__ import annotations

import hashlib

import pytest
from derive_case import make_case

from stepdown.anonymise.tiers.keys import keys_needed
from stepdown.anonymise.tiers.pseudonymise import pseudonyms, replacement_table
from stepdown.engine import open_session

KEY = bytes(range(32))


def test_a_pseudonym_is_keyed_blake2b_of_the_column_and_the_value():
    message = (5).to_bytes(4, "big") + b"idnum" + "Zoë".encode()
    token = hashlib.blake2b(message, key=KEY, digest_size=16, person=b"pseudonym").hexdigest()
    assert pseudonyms(KEY, "idnum")(["Zoë"]) == [token]


def test_a_column_and_a_value_cannot_spell_another_column_and_value():
    assert pseudonyms(KEY, "ab")(["c"]) != pseudonyms(KEY, "a")(["bc"])


def test_no_key_means_no_plain_hash_of_the_value():
    token = pseudonyms(KEY, "id")(["7"])[0]
    assert token not in hashlib.blake2b(b"7", digest_size=16).hexdigest()
    assert token != pseudonyms(bytes(32), "id")(["7"])[0]


@pytest.mark.parametrize("values", [["7", "8"], [7, 8], [7.5, 8.5]])
def test_every_distinct_value_is_hashed_once_and_missing_is_not(tmp_path, values):
    case = make_case(tmp_path, {"id": [*values, values[0], None]}, {"id": {}})
    seen: list[str] = []

    def replace(batch):
        seen.extend(batch)
        return [f"<{value}>" for value in batch]

    with open_session(tmp_path) as session:
        session.attach_parquet("people", case.snapshot.path)
        table = replacement_table(session, "people", "id", replace)
    assert sorted(seen) == [str(value) for value in values]
    assert sorted(table["replacement"].to_pylist()) == [f"<{value}>" for value in values]


def _config(tmp_path, columns, tiers=None, recipients=None):
    rows = {name: ["x"] for name in columns}
    return make_case(tmp_path, rows, columns, tiers, recipients=recipients).loaded.config


THREE = {"internal": {}, "partner": {}, "public": {}}


ALWAYS = ["clinic/memory/1", "clinic/draws/1"]
"""Every growing dataset's: what later versions are held against, and who is held back."""


def test_a_run_without_pseudonyms_needs_only_the_keys_of_its_versions(tmp_path):
    config = _config(tmp_path, {"q": {"role": "quasi_identifier"}}, THREE)
    assert keys_needed(config) == ALWAYS


def test_a_key_that_was_shredded_is_followed_by_the_next_number(tmp_path):
    config = _config(tmp_path, {"id": {"role": "subject"}}, THREE)
    shredded = ["clinic/internal/1", "clinic/internal/2"]
    assert keys_needed(config, shredded) == [*ALWAYS, "clinic/internal/3"]


def test_internal_needs_its_key_for_pseudonyms_and_surrogates(tmp_path):
    pseudonym = {"id": {"role": "subject"}}
    surrogate = {"name": {"role": "direct_identifier", "internal": {"surrogate": "person_name"}}}
    for columns in (pseudonym, surrogate):
        assert keys_needed(_config(tmp_path, columns, THREE)) == [*ALWAYS, "clinic/internal/1"]


def test_a_tier_that_limits_rows_per_subject_needs_its_key(tmp_path):
    tiers = THREE | {"public": {"rows_per_subject": 1}}
    columns = {"id": {"role": "subject", "internal": "drop"}}
    assert keys_needed(_config(tmp_path, columns, tiers)) == [*ALWAYS, "clinic/public/1"]


def test_only_recipients_who_get_a_pseudonym_need_a_key(tmp_path):
    columns = {"id": {"role": "subject", "partner": "pseudonym"}, "q": {}}
    recipients = {"ministry": ["id", "q"], "university": ["q"]}
    config = _config(tmp_path, columns, THREE, recipients)
    made = ["clinic/internal/1", "clinic/partner/ministry/1"]
    assert keys_needed(config) == [*ALWAYS, *made]
