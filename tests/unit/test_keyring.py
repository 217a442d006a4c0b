from __future__ import annotations

import pytest
from derive_case import make_case

from stepdown.anonymise.tiers.keys import keys_needed
from stepdown.errors import ConfigInvalid, KeyMissing
from stepdown.keyring import key_name, load_keyring, write_keyring

NAME = key_name("visits", "internal")


def test_a_missing_key_is_made_only_while_nothing_depends_on_it(tmp_path):
    path = tmp_path / "keyring.json"
    with pytest.raises(KeyMissing, match="visits/internal/1"):
        load_keyring(path, [NAME], may_create=["visits/public/1"])
    made = load_keyring(path, [NAME], may_create=[NAME]).key(NAME)
    assert len(made) == 32
    assert load_keyring(path, [NAME]).key(NAME) == made


def test_the_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "keyring.json"
    write_keyring(path, {NAME: bytes(32)})
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigInvalid, match="others may read"):
        load_keyring(path, [NAME])


def test_a_key_never_shows_in_a_repr(tmp_path):
    write_keyring(tmp_path / "k.json", {NAME: b"\xab" * 32})
    assert "ab" * 8 not in repr(load_keyring(tmp_path / "k.json", [NAME]))


def test_the_environment_may_hold_the_keyring(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPDOWN_KEYRING", f'{{"{NAME}": "{"07" * 32}"}}')
    assert load_keyring(tmp_path / "none", [NAME]).key(NAME) == b"\x07" * 32


@pytest.mark.parametrize("text", ["[]", "{", '{"visits/internal/1": "07"}', '{"x": "00"}'])
def test_what_is_no_keyring_is_refused_without_showing_it(tmp_path, monkeypatch, text):
    monkeypatch.setenv("STEPDOWN_KEYRING", text)
    with pytest.raises(ConfigInvalid):
        load_keyring(tmp_path / "none", [NAME], may_create=[NAME])


def test_a_keyring_of_the_environment_is_told_which_new_key_to_add(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPDOWN_KEYRING", "{}")
    with pytest.raises(KeyMissing, match="visits/draws/1") as caught:
        load_keyring(tmp_path / "none", ["visits/draws/1"], may_create=["visits/draws/1"])
    assert "Add it to STEPDOWN_KEYRING" in caught.value.next


def test_a_key_draws_who_is_held_back_where_anybody_may_be(tmp_path):
    columns = {"age": {"role": "quasi_identifier", "type": "integer"}}
    for tiers, wanted in (
        ({"internal": {}, "partner": {}}, ["clinic/memory/1", "clinic/draws/1"]),
        ({"internal": {}}, ["clinic/memory/1"]),
        ({"internal": {}, "partner": {"period": "increment"}}, ["clinic/memory/1"]),
    ):
        config = make_case(tmp_path, {"age": [1]}, columns, tiers).loaded.config
        assert keys_needed(config) == wanted
