from __future__ import annotations

import pytest

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
