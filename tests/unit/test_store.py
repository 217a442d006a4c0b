from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pytest

from stepdown.errors import AlreadyThere, InputWrong, StoreCorrupt, WorldFailed
from stepdown.release.ledger.addresses import Address, Series, parse_address
from stepdown.release.ledger.store import Store, open_store
from stepdown.vocabulary import Tier


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    local = request.param == "local"
    return open_store(str(tmp_path / "store") if local else f"memory://{uuid.uuid4()}")


def test_what_was_put_is_read_back_whatever_the_kind_of_store(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"content")
    store.put_file(source, "a/v1/data/x", hashlib.sha256(b"content").hexdigest())
    store.replace("a/current.json", b"{}")
    assert store.read("a/v1/data/x") == b"content"
    assert store.files("a") == ["a/current.json", "a/v1/data/x"]
    assert store.folders("a") == ["v1"]
    store.delete("a/v1")
    assert store.files() == ["a/current.json"]


def test_a_file_is_created_once(store: Store) -> None:
    store.create("a/release.json", b"first")
    with pytest.raises(AlreadyThere):
        store.create("a/release.json", b"second")
    assert store.read("a/release.json") == b"first"
    assert store.files() == ["a/release.json"]


def test_bytes_that_are_not_the_judged_ones_do_not_enter(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"changed")
    with pytest.raises(StoreCorrupt):
        store.put_file(source, "a/x", hashlib.sha256(b"judged").hexdigest())
    assert store.files() == []


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "a//x", "./x", "a\\..\\x", ""])
def test_no_path_leads_out_of_the_store(store: Store, path: str) -> None:
    with pytest.raises(InputWrong):
        store.replace(path, b"")


def test_an_unknown_kind_of_store_is_named() -> None:
    with pytest.raises(InputWrong, match="driver"):
        open_store("nosuchthing://bucket")


def test_a_store_that_cannot_be_written_is_the_worlds_failure(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"a file, not a folder")
    with pytest.raises(WorldFailed):
        open_store(str(tmp_path / "store")).replace("a", b"")


def test_only_its_owner_reads_a_tier_that_has_named_readers(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    for tier in ("internal", "partner", "public"):
        store.create(f"wells/{tier}/v1/release.json", b"{}")
    modes = {tier.name: tier.stat().st_mode & 0o077 for tier in (tmp_path / "wells").iterdir()}
    assert modes["internal"] == modes["partner"] == 0
    assert modes["public"]


def test_addresses_are_read_as_they_are_written() -> None:
    for text in ("wells/public/v1", "wells/partner/clinic/v12", "wells/partner/clinic/latest"):
        assert str(parse_address(text)) == text
    assert parse_address("a/internal/v3") == Address(Series("a", Tier.INTERNAL), "v3")


@pytest.mark.parametrize(
    "text",
    [
        "wells",
        "wells/public",
        "wells/secret/v1",
        "wells/public/1",
        "wells/public/v0",
        "../public/v1",
        "wells/partner/../v1",
        "wells/partner/v1/v2",
        "wells/public/clinic/v1",
        "wells/public/v1/data/x",
        "We%2flls/public/v1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputWrong):
        parse_address(text)
