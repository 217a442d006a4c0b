from __future__ import annotations

import hashlib

import pyarrow.parquet as pq
import pytest
from derive_case import KEYS, LOOSE, lineage, make_case, released

from stepdown.errors import KeyMissing, StoreCorrupt
from stepdown.vocabulary import Tier

ROWS = {
    "house": ["h2", "h1", None, "h1"],
    "person": ["p3", "p1", "p2", "p1"],
    "age": [31, 33, 58, 34],
    "sex": ["f", "m", "f", "m"],
    "result": ["pos", "neg", "neg", "pos"],
}
COLUMNS = {
    "house": {"role": "household", "partner": "pseudonym"},
    "person": {"role": "subject", "partner": "pseudonym"},
    "age": {
        "role": "quasi_identifier",
        "type": "integer",
        "hierarchy": {"intervals": [{"width": 10}]},
        "partner": {"generalise": {"at_least": 1, "at_most": 1}},
    },
    "sex": {"role": "quasi_identifier", "partner": "keep"},
    "result": {"role": "sensitive"},
}
RECIPIENTS = {"ministry": ["result", "person", "age"], "university": ["person", "house", "sex"]}


def _derived(folder, keys=None):
    case = make_case(
        folder, ROWS, COLUMNS, {"internal": {}, "partner": LOOSE}, keys, recipients=RECIPIENTS
    )
    internal = case.derive(Tier.INTERNAL)
    return case, internal, case.derive(Tier.PARTNER, internal)


def test_a_copy_holds_the_agreed_columns_in_the_order_of_the_source(tmp_path):
    case, internal, base = _derived(tmp_path)
    copy = case.copy("ministry", base, internal)
    assert list(released(base)) == ["age", "sex", "result"]
    assert list(released(copy)) == ["person", "age", "result"]
    assert (copy.tier, copy.recipient) == (Tier.PARTNER, "ministry")
    assert set(pq.read_table(copy.hierarchies.path)["column"].to_pylist()) == {"age"}
    report = copy.report
    assert (report.rows, report.parent_rows, report.suppressed_records) == (4, 4, 0)
    assert report.parent_sha256 == base.data.sha256
    assert (report.levels, report.top_levels) == ({"age": 1}, {"age": 2})
    assert report.dropped_columns == {
        "house": "only in recipients' copies, under their own keys",
        "sex": "not in the recipient's agreement",
    }


def test_a_copys_rows_are_the_bases_and_its_lineage_reaches_the_source(tmp_path):
    case, internal, base = _derived(tmp_path)
    copy = case.copy("ministry", base, internal)
    links, above = lineage(copy), lineage(base)
    assert sorted(links["parent_row"]) == [0, 1, 2, 3]
    for kind in ("source_row", "subject"):
        assert links[kind] == [above[kind][row] for row in links["parent_row"]]
    for name in ("age", "result"):
        assert released(copy)[name] == [released(base)[name][row] for row in links["parent_row"]]
    assert [ROWS["result"][row] for row in links["source_row"]] == released(copy)["result"]


def test_a_copys_pseudonym_is_the_keyed_hash_of_the_one_at_internal(tmp_path):
    case, internal, base = _derived(tmp_path)
    copy = case.copy("ministry", base, internal)

    def token(key, value):
        message = (6).to_bytes(4, "big") + b"person" + value.encode()
        return hashlib.blake2b(message, key=key, digest_size=16, person=b"pseudonym").hexdigest()

    expected = [
        token(
            KEYS["clinic/partner/ministry/1"], token(KEYS["clinic/internal/1"], ROWS["person"][i])
        )
        for i in lineage(copy)["source_row"]
    ]
    assert released(copy)["person"] == expected == sorted(expected)


def test_two_recipients_cannot_join_their_copies_with_each_other_or_internal(tmp_path):
    case, internal, base = _derived(tmp_path)
    ministry = case.copy("ministry", base, internal)
    university = case.copy("university", base, internal)
    ids = [set(released(x)["person"]) for x in (ministry, university, internal)]
    assert [len(x) for x in ids] == [3, 3, 3]
    assert len(set.union(*ids)) == 9


def test_a_missing_id_stays_missing_in_a_copy(tmp_path):
    case, internal, base = _derived(tmp_path)
    copy = case.copy("university", base, internal)
    by_source = dict(zip(lineage(copy)["source_row"], released(copy)["house"], strict=True))
    assert by_source[2] is None
    assert by_source[1] == by_source[3] != by_source[0]


def test_information_loss_of_a_copy_is_that_of_its_own_columns(tmp_path):
    case, internal, base = _derived(tmp_path)
    assert case.copy("university", base, internal).report.information_loss == 0.0
    # The copy holds one of the base's two quasi-identifiers, and that is the coarser one.
    copy = case.copy("ministry", base, internal)
    assert copy.report.information_loss > base.report.information_loss > 0


def test_a_copy_without_its_recipients_key_is_an_error(tmp_path):
    case, internal, base = _derived(tmp_path, {"clinic/internal/1": b"i" * 32})
    with pytest.raises(KeyMissing, match="clinic/partner/ministry/1"):
        case.copy("ministry", base, internal)


def test_a_copy_is_never_made_of_bytes_that_changed(tmp_path):
    case, internal, base = _derived(tmp_path)
    with open(internal.data.path, "ab") as file:
        file.write(b"x")
    with pytest.raises(StoreCorrupt):
        case.copy("ministry", base, internal)
