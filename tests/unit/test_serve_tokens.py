from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from release_case import Case

from stepdown import clock
from stepdown.errors import InputWrong
from stepdown.release.ledger.ledger import Ledger
from stepdown.sharing.readers.tokens import (
    Terms,
    issue,
    recognise,
    revoke,
    rotate,
    tokens,
    tokens_of,
)
from stepdown.vocabulary import Tier

FAR = "2099-01-01T00:00:00+00:00"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Case(tmp_path).ledger


def test_the_ledger_holds_a_tokens_hash_and_never_the_token(ledger: Ledger, tmp_path: Path) -> None:
    token, secret = issue(ledger, Terms("clinic", FAR), "tester")
    assert len(secret.partition(".")[2]) == 43  # 256 bits in base64url
    assert secret.partition(".")[2].encode() not in (tmp_path / "work/ledger.db").read_bytes()
    with ledger.reading() as reader:
        known = tokens(reader)
    assert recognise(known, secret) == known[token.id] == token


def test_no_other_secret_is_recognised(ledger: Ledger) -> None:
    token, secret = issue(ledger, Terms("clinic", FAR), "tester")
    other, _ = issue(ledger, Terms("clinic", FAR), "tester")
    known = {token.id: token, other.id: other}
    mixed = f"{other.id}.{secret.partition('.')[2]}"
    for wrong in ("", ".", token.id, secret[:-1], secret + "a", mixed, "é.ü", secret.upper()):
        assert recognise(known, wrong) is None
    assert recognise({}, "") is None


def test_a_token_ends_when_it_expires_or_is_revoked(ledger: Ledger) -> None:
    token, _ = issue(ledger, Terms("clinic", "2026-12-01T00:00:00+00:00"), "tester")
    assert token.problem("2026-11-30T23:59:59+00:00") == ""
    assert "expired" in token.problem("2026-12-01T00:00:00+00:00")
    lasting, _ = issue(ledger, Terms("clinic", FAR), "tester")
    assert "revoked" in revoke(ledger, lasting.id, "tester").problem("2026-11-30T00:00:00+00:00")
    with pytest.raises(InputWrong, match="no token in force"):
        revoke(ledger, lasting.id, "tester")


def test_a_rotated_token_runs_out_after_the_overlap(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = Terms("clinic", FAR, tiers=("partner",), networks=("192.0.2.0/24",), bytes_per_day=5)
    old, old_secret = issue(ledger, terms, "tester")
    now = clock.now()
    new, secret = rotate(
        ledger, old.id, dt.timedelta(days=7), "2098-01-01T00:00:00+00:00", "tester"
    )
    assert secret != old_secret
    assert (new.terms.tiers, new.terms.networks, new.terms.bytes_per_day) == (
        terms.tiers,
        terms.networks,
        5,
    )
    with ledger.reading() as reader:
        ends = tokens(reader)[old.id].terms.expires_at
        assert [token.id for token in tokens_of(reader, "Clinic")] == [old.id, new.id]
    late = dt.datetime.fromisoformat(ends) - dt.datetime.fromisoformat(now)
    assert dt.timedelta(days=7) <= late < dt.timedelta(days=7, minutes=1)


def test_a_rotation_never_lengthens_the_old_token(ledger: Ledger) -> None:
    soon = (dt.datetime.fromisoformat(clock.now()) + dt.timedelta(hours=1)).isoformat()
    old, _ = issue(ledger, Terms("clinic", soon), "tester")
    rotate(ledger, old.id, dt.timedelta(days=7), FAR, "tester")
    with ledger.reading() as reader:
        assert tokens(reader)[old.id].terms.expires_at == soon


def test_scopes_and_networks_narrow(ledger: Ledger) -> None:
    terms = Terms("clinic", FAR, ("partner",), ("wells",), ("192.0.2.0/24", "2001:db8::/48"))
    token, _ = issue(ledger, terms, "tester")
    assert token.covers(Tier.PARTNER, "wells")
    assert not token.covers(Tier.INTERNAL, "wells")
    assert not token.covers(Tier.PARTNER, "other")
    assert token.allows_from("192.0.2.9")
    assert token.allows_from("2001:db8::1")
    assert not token.allows_from("198.51.100.1")
    assert not token.allows_from("")


def test_the_commands_hand_a_profile_to_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.cli import app

    monkeypatch.setenv("STEPDOWN_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("STEPDOWN_STORE", str(tmp_path / "store"))

    def run(*words: str) -> str:
        assert app(["recipient", *words, "--json"], standalone_mode=False) == 0
        return capsys.readouterr().out

    url = ("--url", "https://data.example.org/")
    made = json.loads(run("add", "clinic", "-o", str(tmp_path / "p.share"), *url))
    profile = json.loads((tmp_path / "p.share").read_text())
    assert (tmp_path / "p.share").stat().st_mode & 0o777 == 0o600
    assert profile["shareCredentialsVersion"] == 1
    assert profile["endpoint"] == "https://data.example.org/delta-sharing"
    assert dt.datetime.fromisoformat(profile["expirationTime"]).tzinfo is not None
    listed = json.loads(run("list"))
    assert [(each["id"], each["state"]) for each in listed] == [(made["id"], "in force")]
    assert profile["bearerToken"].partition(".")[2] not in json.dumps(listed)
    run("rotate", made["id"], "-o", str(tmp_path / "q.share"), "--overlap", "0", *url)
    for nobody in ("Anybody", " "):
        with pytest.raises(InputWrong, match="names somebody"):
            app(
                ["recipient", "add", nobody, "-o", str(tmp_path / "x"), *url], standalone_mode=False
            )
    run("revoke", json.loads(run("list"))[1]["id"])
    assert [each["state"] for each in json.loads(run("list"))] == ["expired", "revoked"]


@pytest.mark.parametrize(
    "url", ["http://data.example.org", "ftp://localhost", "data.example.org", "https://"]
)
def test_a_token_is_not_sent_in_the_clear(url: str) -> None:
    from flows.recipient_commands import check_url

    with pytest.raises(InputWrong, match="https"):
        check_url(url)
    check_url("http://127.0.0.1:8765")
