"""Keys in files, and whose signature stands under what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepdown.config.people import People, load_people
from stepdown.errors import ConfigInvalid, InputWrong, SignatureInvalid
from stepdown.release.ledger.statements import Signed, check_signer, parse_signed, sign
from stepdown.signing import SigningKey, is_public_key, is_signed, load_key, make_key, write_key

ADA, BEN = make_key(b"a" * 32), make_key(b"b" * 32)


def people(**keys: SigningKey) -> People:
    entries = [{"name": n, "roles": ["owner"], "public_key": k.public} for n, k in keys.items()]
    return People.model_validate({"people": entries})


def test_a_signature_holds_for_its_document_and_its_key_only() -> None:
    facts: dict[str, object] = {"release": "wells/public/v1", "n": 1}
    signature = ADA.sign(facts)
    assert is_signed(facts, signature, ADA.public)
    assert not is_signed(facts | {"n": 2}, signature, ADA.public)
    assert not is_signed(facts, signature, BEN.public)
    assert not is_signed(facts, signature + "=", ADA.public)
    assert not is_signed(facts, "", ADA.public)
    assert not is_signed(facts, signature, "ssh-ed25519 AAAA")


def test_a_signature_is_the_one_that_rfc_8032_prints() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    # RFC 8032, section 7.1, test 2: the one-byte message 72.
    secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    assert key.public_key().public_bytes_raw().hex() == public
    assert key.sign(b"\x72").hex().startswith("92a009a9f0d4cab8720e820b5f642540")


def test_a_key_in_a_file_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ada.key"
    write_key(path, ADA)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path).public == ADA.public
    with pytest.raises(InputWrong, match="never overwritten"):
        write_key(path, BEN)
    path.chmod(0o640)
    with pytest.raises(ConfigInvalid, match="others may read"):
        load_key(path)


def test_a_passphrase_locks_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ada.key"
    monkeypatch.setenv("STEPDOWN_KEY_PASSPHRASE", "horse staple")
    write_key(path, ADA)
    assert load_key(path).public == ADA.public
    monkeypatch.setenv("STEPDOWN_KEY_PASSPHRASE", "mule staple")
    with pytest.raises(ConfigInvalid, match="passphrase is wrong"):
        load_key(path)
    monkeypatch.delenv("STEPDOWN_KEY_PASSPHRASE")
    with pytest.raises(ConfigInvalid, match="is encrypted"):
        load_key(path)
    assert repr(ADA) == "SigningKey()"


@pytest.mark.parametrize(
    "text",
    ["", "ed25519:", "ed25519:AAAA", ADA.public[8:], ADA.public + " ", "ed25519:" + "!" * 44],
)
def test_a_public_key_has_one_spelling(text: str) -> None:
    assert is_public_key(ADA.public)
    assert not is_public_key(text)


def test_the_signer_is_the_holder_of_the_key_under_their_own_name() -> None:
    known = people(Ada=ADA, Ben=BEN)
    statement = {"statement": "test", "name": "ada", "at": "now"}
    signed = sign(statement, ADA)
    assert check_signer(signed, known, "here").name == "Ada"
    with pytest.raises(SignatureInvalid, match=r"nobody in people\.yaml"):
        check_signer(sign(statement, make_key()), known, "here")
    with pytest.raises(SignatureInvalid, match="somebody else"):
        check_signer(sign(statement, BEN), known, "here")
    forged = Signed(statement | {"at": "later"}, signed.public_key, signed.signature)
    with pytest.raises(SignatureInvalid, match="not over this statement"):
        check_signer(forged, known, "here")


def test_a_signed_statement_travels_as_json() -> None:
    signed = sign({"statement": "test", "name": "Ada"}, ADA)
    assert parse_signed(signed.as_bytes(), "here") == signed
    for wrong in (b"[]", b"{", b"\xff", {"statement": {}}, signed.as_json() | {"more": 1}, 7):
        with pytest.raises(SignatureInvalid, match="not a signed statement"):
            parse_signed(wrong, "here")
    assert json.loads(signed.as_bytes())["public_key"] == ADA.public


def test_people_are_told_apart_by_name_key_and_account(tmp_path: Path) -> None:
    path = tmp_path / "people.yaml"
    assert load_people(tmp_path).people == []

    def write(second: str, services: str = "[]") -> None:
        path.write_text(
            f"services: {services}\npeople:\n"
            f"  - {{name: Ada, roles: [owner], public_key: '{ADA.public}', accounts: [ada]}}\n"
            f"  - {second}\n"
        )

    write(f"{{name: Ben, roles: [owner], public_key: '{BEN.public}'}}")
    assert load_people(tmp_path).holder(BEN.public).name == "Ben"  # type: ignore[union-attr]
    assert load_people(tmp_path).owner("ada").name == "Ada"  # type: ignore[union-attr]
    for second, services, said in (
        (f"{{name: ' ADA', roles: [owner], public_key: '{BEN.public}'}}", "[]", "same name"),
        (f"{{name: Ben, roles: [owner], public_key: '{ADA.public}'}}", "[]", "same public key"),
        (f"{{name: Ben, roles: [owner], public_key: '{BEN.public}'}}", "[ada]", "same account"),
        ("{name: Ben, roles: [owner], public_key: 'ssh-rsa A'}", "[]", "line 4.*Ed25519"),
        (f"{{name: Ben, roles: [], public_key: '{BEN.public}'}}", "[]", "line 4.*roles"),
    ):
        write(second, services)
        with pytest.raises(ConfigInvalid, match=said):
            load_people(tmp_path)
