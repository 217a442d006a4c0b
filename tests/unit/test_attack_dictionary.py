import base64
import hashlib
import hmac
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from opening import opened_alone
from risk_case import RiskCase

from stepdown.attacks import pseudonym_dictionary as attack
from stepdown.attacks.digests import decoded, spellings
from stepdown.attacks.id_patterns import parse_pattern
from stepdown.engine import Session
from stepdown.errors import ConfigInvalid
from stepdown.reports import AttackResult

MEDALLIONS = [f"{i % 9 + 1}{'ABCDEFGH'[i % 8]}{i * 37 % 90 + 10}" for i in range(60)]
"""Digit, letter, two digits: as New York's taxis are numbered."""


def _case(folder: Path, tokens: list[Any], ids: list[Any] | None = None) -> RiskCase:
    """A partner copy that holds these tokens in place of its subjects' ids."""
    case = RiskCase(folder, recipient="institute")
    raw = MEDALLIONS[: len(tokens)] if ids is None else ids
    case.snapshot = {name: [None] * len(raw) for name in case.snapshot} | {"person": raw}
    case.data = {"person": tokens, "age": ["30-39"] * len(tokens)}
    case.parent_row = case.source_row = case.subject = list(range(len(tokens)))
    return case


def _attacked(case: RiskCase, patterns: dict[str, str] | None = None) -> list[AttackResult]:
    with opened_alone(case.candidate(), case.snapshot_ref(), case.loaded()) as opened:
        return attack.pseudonym_dictionary(opened, patterns)


def _reversed(case: RiskCase, patterns: dict[str, str] | None = None) -> dict[str, float]:
    results = _attacked(case, patterns)
    return {result.column: result.measured for result in results if result.column}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_the_taxis_of_new_york_are_reversed(tmp_path):
    case = _case(tmp_path, [_md5(medallion) for medallion in MEDALLIONS])
    assert _reversed(case) == {"person": 1.0}


@pytest.mark.parametrize(
    "token",
    [
        lambda m: hashlib.sha1(m.lower().encode()).hexdigest(),
        lambda m: hashlib.sha256(m.encode()).hexdigest().upper(),
        lambda m: hashlib.sha512(m.encode()).hexdigest()[:16],
        lambda m: hashlib.sha3_256(m[::-1].encode()).hexdigest()[:12],
        lambda m: hashlib.blake2b(m.encode(), digest_size=16).hexdigest(),
        lambda m: base64.urlsafe_b64encode(hashlib.sha256(m.encode()).digest()).decode(),
        lambda m: base64.b64encode(hashlib.md5(m.encode()).digest()).decode()[:10],
        lambda m: base64.b32encode(hashlib.sha1(m.encode()).digest()).decode(),
        lambda m: hmac.digest(b"", m.encode(), "sha256").hex(),
        lambda m: hmac.digest(b"people", m.encode(), "sha256").hex()[:20],
        lambda m: _md5("people:" + m),
        lambda m: hashlib.sha256(f"{m}person".encode()).hexdigest(),
        lambda m: _md5(_md5(m)),
        lambda m: "0x" + _md5(m),
        lambda m: f"{_md5(m)[:8]}-{_md5(m)[8:12]}-{_md5(m)[12:]}",
        lambda m: f"{zlib.crc32(m.encode()):08x}",
        lambda m: m.encode().hex(),
        lambda m: m.lower(),
    ],
)
def test_no_usual_way_without_a_key_hides_an_id(tmp_path, token):
    tokens = [token(medallion + "-00") for medallion in MEDALLIONS]
    case = _case(tmp_path, tokens, [medallion + "-00" for medallion in MEDALLIONS])
    assert _reversed(case) == {"person": 1.0}


def test_a_key_hides_them(tmp_path):
    key = bytes(range(32))
    tokens = [hmac.digest(key, medallion.encode(), "sha256").hex() for medallion in MEDALLIONS]
    assert _reversed(_case(tmp_path, tokens)) == {}
    assert _reversed(_case(tmp_path, tokens), {"person": r"\d[A-H]\d{2}"}) == {}


def test_the_share_of_values_that_are_reversed_is_measured(tmp_path):
    tokens = [_md5(m) if i % 4 == 0 else f"{i:032x}" for i, m in enumerate(MEDALLIONS)]
    assert _reversed(_case(tmp_path, tokens)) == {"person": 0.25}


def test_ids_of_nobody_in_the_source_are_found_by_their_pattern(tmp_path):
    case = _case(tmp_path, [_md5(medallion) for medallion in MEDALLIONS], ["?"] * 60)
    assert _reversed(case) == {}
    assert _reversed(case, {"person": r"^\d[A-H]\d{2}$"}) == {"person": 1.0}


def test_a_number_may_be_a_hash_too(tmp_path):
    case = _case(tmp_path, [zlib.crc32(m.encode()) for m in MEDALLIONS])
    assert _reversed(case) == {"person": 1.0}


def test_hits_that_chance_gives_are_no_finding(tmp_path):
    # One CRC32 of 60 agrees; in sixty times sixty tries of 2³² that is no chance, yet not sure.
    tokens = [f"{(zlib.crc32(m.encode()) + (i > 0)) % 2**32:08x}" for i, m in enumerate(MEDALLIONS)]
    assert _reversed(_case(tmp_path, tokens)) == {}
    assert not attack._is_no_chance(1, 1e-6)
    assert attack._is_no_chance(1, 1e-12)
    assert attack._is_no_chance(1, 0.0)


def test_raw_ids_count_where_tokens_should_be_and_in_insensitive_columns(tmp_path):
    case = _case(tmp_path, MEDALLIONS[:4])
    assert _reversed(case) == {"person": 1.0}
    case = _case(tmp_path, ["a", "b", "c", "d"], ["ward-71", "ward-8", "w9", "w10"])
    case.data["zip"] = ["WARD 71", "w9", "12345", None]
    case.data["age"] = ["ward-71"] * 4  # a quasi-identifier: the residue check's business
    assert _reversed(case) == {"zip": pytest.approx(1 / 3)}  # w9 is too short to say anything


def test_the_raw_ids_are_read_once_for_all_columns_that_may_repeat_them(tmp_path, monkeypatch):
    asked = []
    for name in ("run", "fetch"):
        method = getattr(Session, name)
        monkeypatch.setattr(
            Session, name, lambda self, sql, m=method: (asked.append(sql), m(self, sql))[1]
        )
    case = _case(tmp_path, ["a", "b"], ["ward-71", "ward-82"])
    case.data |= {"zip": ["WARD 71", None], "seen": ["Ward 82", None]}
    assert _reversed(case) == {"zip": 1.0, "seen": 1.0}
    assert sum("regexp_replace" in sql and "FROM snapshot" in sql for sql in asked) == 1


def test_with_more_values_than_are_tried_the_way_found_is_tried_on_all(tmp_path, monkeypatch):
    monkeypatch.setattr(attack, "MOST_VALUES", 10)
    monkeypatch.setattr(attack, "_PROBED", 5)
    tokens = [hashlib.sha384(medallion.encode()).hexdigest() for medallion in MEDALLIONS]
    case = _case(tmp_path, tokens)
    [result] = _attacked(case)
    assert result.measured == 1.0
    assert f"10 of {len(set(MEDALLIONS))} values of person tried in every way" in result.note


def test_a_rarer_digest_that_fits_a_few_is_tried_on_all(tmp_path, monkeypatch):
    monkeypatch.setattr(attack, "_PROBED", 5)
    tokens = [hashlib.sha384(medallion.encode()).hexdigest() for medallion in MEDALLIONS]
    assert _reversed(_case(tmp_path, tokens)) == {"person": 1.0}


def test_a_result_names_no_value(tmp_path):
    case = _case(tmp_path, [_md5(medallion) for medallion in MEDALLIONS])
    [result] = _attacked(case)
    assert result.note == "reversed as md5 of person"
    assert (result.attempts, result.successes) == (len(set(MEDALLIONS)),) * 2


def test_a_pattern_gives_every_id_once():
    assert parse_pattern("[a-c]x{2}").ids() == ["axx", "bxx", "cxx"]
    assert parse_pattern(r"^[A-B-]\.\d$").count == 30
    assert len(set(parse_pattern(r"\d{3}").ids())) == 1000
    assert parse_pattern(r"\d{3}").ids()[7] == "007"


def test_a_pattern_with_too_many_ids_gives_some_of_them():
    drawn = parse_pattern(r"P\d{9}").ids(most=50)
    assert len(drawn) == 50
    assert drawn == parse_pattern(r"P\d{9}").ids(most=50)
    assert all(text[0] == "P" and len(text) == 10 for text in drawn)


@pytest.mark.parametrize(
    "pattern", ["", "a*", "a|b", r"\w", "(ab)", "[^a]", "a.b", "a{2,3}", "[b-a]", "[", r"\d{70}"]
)
def test_a_pattern_that_is_not_strictly_bounded_is_refused(pattern):
    with pytest.raises(ConfigInvalid) as refused:
        parse_pattern(pattern, "person")
    assert str(refused.value).startswith("person: an id pattern")


def test_an_id_is_spelled_in_all_usual_ways():
    assert set(spellings([" Ab-07 ", "123456"])) == {
        " Ab-07 ", "Ab-07", "ab-07", "AB-07", "Ab07", "ab07", "AB07", "70-bA", "07", "7", "000007",
        "123456", "654321",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("00ff10aB", b"\x00\xff\x10\xab"),
        ("0X00ff10abc", b"\x00\xff\x10\xab"),
        (
            "{0badcafe-0000-4000-8000-00000000000f}",
            bytes.fromhex("0badcafe0000400080" + "0" * 13 + "f"),
        ),
        ("-_-_+/", b"\xfb\xff\xbf\xfb"),
        ("_w==", None),
        ("MZXW6YTB", b"fooba"),
        ("MZXW6YTBOI======", b"foobar"),
    ],
)
def test_a_hash_is_read_however_it_is_written(text, content):
    found = {size: each.signs.tobytes() for size, each in decoded(pa.array([text])).items()}
    assert content in found.values() if content else not found


def test_words_and_labels_are_no_hashes():
    assert decoded(pa.array(["[20, 25)", "north", "positive", "government"])) == {}
