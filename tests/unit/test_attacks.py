"""What each attack gets out of a file whose figures are worked by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from aligned_case import aligned_of, raw
from opening import measured
from risk_case import RiskCase, snapshot_columns, write

from stepdown.artifacts import sha256_of
from stepdown.attacks import Auxiliary, run_attacks
from stepdown.attacks.attack import attack_candidate
from stepdown.attacks.culprits import with_culprits
from stepdown.attacks.inference import close_counts, inference
from stepdown.attacks.intervals import Share, risk_over_control, wilson
from stepdown.attacks.linkability import linkability
from stepdown.attacks.linkage import linkage
from stepdown.attacks.probabilistic_linkage import probabilistic_linkage, weights
from stepdown.attacks.singling_out import singling_out
from stepdown.config.policy import ATTACKS
from stepdown.errors import SourceInvalid, StoreCorrupt
from stepdown.reports import AttackResult
from stepdown.vocabulary import Tier

# --- intervals


def test_wilson_intervals_are_those_of_the_formula():
    # 5 of 10, z = 1.96: (5 + 1.9207) / (10 + 3.8415) ± 1.96 / 13.8415 · √(2.5 + 0.9604)
    assert wilson(Share(5, 10)) == pytest.approx((0.236593, 0.763407), abs=1e-6)
    low, high = wilson(Share(0, 10))
    assert low == 0.0
    assert high == pytest.approx(3.841459 / 13.841459, abs=1e-6)
    assert wilson(Share(0, 0)) == (0.0, 1.0)


def test_risk_is_what_the_attack_gains_of_all_that_it_could():
    risk, (low, high) = risk_over_control(Share(90, 100), Share(80, 100))
    assert risk == pytest.approx(0.5)
    assert (low, high) == pytest.approx(wilson(Share(10, 20)))


def test_an_attack_that_does_no_better_than_its_control_has_no_risk():
    assert risk_over_control(Share(10, 100), Share(20, 100))[0] == 0.0
    assert risk_over_control(Share(100, 100), Share(100, 100)) == (0.0, (0.0, 1.0))


# --- linkage


def test_a_record_alone_in_its_class_links():
    file = aligned_of({"age": (["31", "35", "42"], ["30-39", "30-39", "40-49"])})
    result = linkage(file, ["age"])
    assert (result.attempts, result.successes) == (3, 1)
    assert result.measured == pytest.approx(1 / 3)
    assert result.interval is None


def test_two_people_in_every_class_leave_no_link():
    file = aligned_of({"age": (["31", "35", "42", "47"], ["30-39", "30-39", "40-49", "40-49"])})
    assert linkage(file, ["age"]).measured == 0.0


def test_two_rows_of_one_person_are_still_one_person():
    file = aligned_of(
        {"age": (["31", "35", "42", "47"], ["30-39", "30-39", "40-49", "40-49"])}, [0, 0, 1, 2]
    )
    assert linkage(file, ["age"]).successes == 2


def test_a_record_that_fits_under_a_wider_label_too_does_not_link():
    # Local recoding: 31 is alone under 30-39, but may as well be the one under 30-59.
    rows = {"age": (["31", "55"], ["30-39", "30-59"])}
    wider = {"31": ("30-39", "30-59"), "55": ("50-59", "30-59")}
    linked = linkage(aligned_of(rows, ancestors=wider), ["age"])
    assert linked.successes == 1  # 55 fits nothing but 30-59
    rows = {"age": (["31", "55"], ["30-39", None])}
    assert linkage(aligned_of(rows, ancestors=wider), ["age"]).successes == 1


def test_a_missing_cell_above_fits_only_what_may_stand_for_it():
    file = aligned_of({"age": ([None, "42"], [None, "40-49"])})
    # Missing above fits only missing here; 42 fits both, for a missing label may stand for it.
    assert linkage(file, ["age"]).successes == 1


# --- probabilistic linkage


def test_ties_are_broken_at_random_among_people():
    file = aligned_of(
        {"age": (["31", "35", "42", "42", "47"], ["30-39"] * 2 + ["40-49"] * 3)}, [0, 1, 2, 2, 3]
    )
    result = probabilistic_linkage(file, ["age"])
    assert result.measured == pytest.approx(0.5)  # two people in either class
    assert result.interval is None


def test_no_target_is_linked_with_a_chance_above_one_in_k():
    file = aligned_of({"age": ([f"{a}" for a in range(12)], [f"from {a // 3}" for a in range(12)])})
    assert probabilistic_linkage(file, ["age"]).measured == pytest.approx(1 / 3)


def test_a_finer_label_outweighs_a_wider_one():
    # Both fit 31; the intruder takes the narrower one, rightly for 31 and wrongly for 35.
    wider = {"31": ("30-39", "30-59"), "35": ("30-39", "30-59"), "55": ("30-59",)}
    file = aligned_of({"age": (["31", "35", "55"], ["30-39", "30-59", "30-59"])}, ancestors=wider)
    # 31: its own, 1. 35: 30-39, wrong. 55: the two under 30-59, 1/2.
    assert probabilistic_linkage(file, ["age"]).measured == pytest.approx(1.5 / 3)


def test_a_label_that_few_may_stand_under_weighs_more():
    file = aligned_of(
        {"age": (["31", "35", "38", "55"], ["30-39", "30-39", None, "50-59"])},
        ancestors={"31": ("30-39",), "35": ("30-39",), "38": ("30-39",), "55": ("50-59",)},
    )
    scorer = weights(file.columns["age"])
    # Labels: missing, 30-39 (3 of 4 may stand under it), 50-59 (1 of 4). log2(0.99 / 0.75) and
    # log2(0.99 / 0.25) are 0.4005 and 1.9855 bits; log2(0.01 / 0.25) and log2(0.01 / 0.75)
    # −4.6439 and −6.2288.
    assert scorer.agree.tolist() == [0, 410, 2033]
    assert scorer.disagree.tolist() == [0, -4755, -6378]


def test_a_person_is_linked_although_a_label_is_missing():
    file = aligned_of({"age": raw("31", "42", "53"), "sex": (["f", "m", "m"], ["f", None, "m"])})
    assert probabilistic_linkage(file, ["age", "sex"]).measured == 1.0


# --- singling out


def test_nobody_is_singled_out_where_nobody_is_alone():
    result = singling_out(aligned_of({"a": raw(*"xxyy"), "b": raw(*"ppqq")}), ["a", "b"])
    assert (result.measured, result.successes, result.attempts) == (0.0, 0, 4)


def test_everybody_is_singled_out_by_a_column_of_their_own():
    result = singling_out(aligned_of({"a": raw(*"abcdefgh"), "b": raw(*"xxxxyyyy")}), ["a", "b"])
    # 8 labels of a, and 8 pairs of labels: 16 descriptions, of which 8 are wanted.
    assert (result.attempts, result.successes, result.measured) == (8, 8, 1.0)


def test_a_description_that_fits_somebody_under_a_wider_label_is_wrong():
    wider = {"31": ("30-39", "30-59"), "35": ("30-39", "30-59"), "55": ("30-59",)}
    file = aligned_of({"age": (["31", "35", "55"], ["30-39", "30-59", "30-59"])}, ancestors=wider)
    result = singling_out(file, ["age"])
    assert result.successes == 0  # 35 is 30-39 too
    assert "1 descriptions" in result.note


# --- linkability


def test_two_halves_lead_to_one_record_by_chance():
    result = linkability(aligned_of({"a": raw(*"1122"), "b": raw(*"xyxy")}), ["a", "b"])
    # Two records on either side, one in common: 1/2 · 1/2. Without one's own none is in common.
    assert result.measured == pytest.approx(0.25)
    assert result.control == 0.0


def test_two_unique_halves_lead_to_one_record_for_certain():
    result = linkability(aligned_of({"a": raw(*"1234"), "b": raw(*"wxyz")}), ["a", "b"])
    # Without one's own record the other three are as near on either side: 3 / 9 by chance.
    assert result.control == pytest.approx(1 / 3)
    assert result.measured == pytest.approx(1.0)


# --- inference


def test_a_unique_record_tells_its_own_value():
    file = aligned_of({"a": raw(*"1234"), "s": raw(*"pqpq")})
    (result,) = inference(file, ["a"], ["s"])
    # The other three are equally near once one's own is gone, and one of them has the same value.
    assert result.control == pytest.approx(1 / 3)
    assert (result.measured, result.column) == (pytest.approx(1.0), "s")


def test_in_a_class_of_k_a_person_gives_away_one_in_k():
    file = aligned_of({"a": raw(*"xxxxyyyy"), "s": raw(*"pqrstuvw")})
    (result,) = inference(file, ["a"], ["s"])
    assert result.measured == pytest.approx(1 / 4)
    assert result.control == 0.0


def test_what_the_file_teaches_about_everybody_is_no_risk():
    (result,) = inference(aligned_of({"a": raw(*"xxxyyy"), "s": raw(*"pppqqq")}), ["a"], ["s"])
    assert result.control == 1.0
    assert result.measured == 0.0


def test_all_rows_of_a_person_are_taken_out_for_the_control():
    file = aligned_of({"a": raw(*"xxx"), "s": raw(*"ppq")}, [0, 0, 1])
    (result,) = inference(file, ["a"], ["s"])
    # p, p, q: 2/3 + 2/3 + 1/3 right; without one's own rows 0, 0 and 0.
    assert result.measured == pytest.approx(5 / 9)


def test_a_number_is_right_within_five_percent_of_the_guess():
    said = np.array([95.0, 95.3, 100.0, 105.2, 105.3, -100.0, np.nan])
    truths = np.array([100.0, -100.0, 0.0, np.nan])
    # 100 is within 5 % of 95.3 (95.24 and more), 100, 105.2 (105.26 and less).
    assert close_counts(said, truths).tolist() == [3.0, 1.0, 0.0, 1.0]


def test_numbers_that_are_kept_are_matched_by_how_near_they_are():
    file = aligned_of({"age": raw(20, 22, 70, 75), "s": raw(*"ppqq")})
    (result,) = inference(file, ["age"], ["s"])
    assert result.control == 1.0  # the nearest other person has the same value


# --- on written bytes


@pytest.fixture
def case(tmp_path):
    return RiskCase(tmp_path)


def attack(case, **options):
    results = case.measure(partial(run_attacks, **options))
    return {(r.attack, r.column, r.against): r for r in results}


def release_raw(case):
    case.tier = Tier.INTERNAL
    kept = ("age", "sex", "income", "seen", "zip", "result", "weight")
    case.data = {name: snapshot_columns()[name] for name in kept}
    case.parent_row = case.source_row = [0, 1, 2, 3, 4, 5]
    case.subject = [0, 1, 2, 3, 3, 4]
    return case


def test_a_partner_candidate_gives_what_its_classes_allow(case):
    results = attack(case)
    assert set(results) == {
        ("linkage", "", ""),
        ("probabilistic_linkage", "", ""),
        ("singling_out", "", ""),
        ("singling_out_with_sensitive", "", ""),
        ("linkability", "", ""),
        ("inference", "income", ""),
        ("inference", "result", ""),
    }
    assert results["linkage", "", ""].measured == 0.0
    assert results["probabilistic_linkage", "", ""].measured == 0.5
    assert results["singling_out", "", ""].measured == 0.0
    # negative, positive, invalid, negative, negative above; the second is suppressed here, and
    # invalid is harmless: 1/2 + 0 + 2/3 + 2/3 right of 4; without one's own rows, none.
    result = results["inference", "result", ""]
    assert result.measured == pytest.approx(11 / 24)
    assert result.control == 0.0


@pytest.mark.parametrize("kept", [("age", "sex"), ("age",), ("seen",), ("result",)])
def test_every_attack_that_has_a_limit_answers_whatever_roles_are_released(case, kept):
    case.data = {name: case.data[name] for name in kept}
    report = case.measure(partial(attack_candidate, published=[]))
    assert {result.attack for result in report.results} == set(ATTACKS)
    for result in report.results:
        if not result.attempts:
            assert (result.measured, bool(result.note)) == (0.0, True)
    guesses = [result for result in report.results if result.attack == "inference"]
    if "result" not in kept:
        (guess,) = guesses
        assert (guess.measured, guess.attempts) == (0.0, 0)
        assert guess.note == "no sensitive column is released"


def test_a_raw_file_goes_red_in_every_attack(case):
    results = attack(release_raw(case))
    assert results["linkage", "", ""].measured == 1.0
    assert results["probabilistic_linkage", "", ""].measured == 1.0
    assert results["singling_out", "", ""].measured > 0.9
    assert results["linkability", "", ""].measured > 0.5
    assert results["inference", "result", ""].measured == 1.0


def test_the_same_file_gives_the_same_results(case):
    assert attack(case) == attack(case)


def test_labels_of_a_parent_that_has_labels_are_looked_up_too(case):
    case.parent = snapshot_columns() | {"age": [f"{a // 10 * 10}-{a // 10 * 10 + 9}" for a in
                                                snapshot_columns()["age"]]}  # fmt: skip
    case.data |= {"age": ["*", "30-39", "40-49", "40-49", "40-49"]}
    results = attack(case)
    # 30-39 may stand under * or under itself: nobody fits one label only, but for the second.
    assert results["linkage", "", ""].successes == 0


def test_a_pseudonym_is_nothing_to_match(case):
    case.recipient = "institute"
    case.data = {"person": list("vwxyy")} | {n: case.data[n] for n in ("age", "sex", "result")}
    results = attack(case)
    assert "by age, result, sex fit" in results["singling_out_with_sensitive", "", ""].note
    assert results["linkage", "", ""].measured == 0.0


def test_a_file_without_quasi_identifiers_has_nothing_to_attack(case):
    case.data = {"result": case.data["result"]}
    results = attack(case)
    for name in ("linkage", "probabilistic_linkage", "singling_out", "linkability"):
        assert (results[name, "", ""].measured, results[name, "", ""].attempts) == (0.0, 0)
        assert results[name, "", ""].note
    assert results["inference", "result", ""].attempts == 0


def test_a_lineage_that_does_not_fit_stops_the_attacks(case):
    case.parent_row = [0, 1, 2, 3, 99]
    with pytest.raises(StoreCorrupt):
        attack(case)


def test_bytes_that_changed_are_not_attacked(case):
    candidate = case.candidate()
    (case.folder / "lineage.parquet").write_bytes(b"other")
    parent = write(case.folder / "parent.parquet", pa.table(case.parent))
    with pytest.raises(StoreCorrupt):
        measured(run_attacks, candidate, parent, case.snapshot_ref(), case.loaded())
    assert sha256_of(parent.path) == parent.sha256


# --- auxiliary tables


def register(case, text, columns=None):
    path = case.folder / "register.csv"
    path.write_text(text)
    columns = columns or {"alter": "age", "geschlecht": "sex"}
    return attack(case, auxiliary=[Auxiliary("register", path, columns)])["linkage", "", "register"]


def test_a_register_links_who_is_alone_in_both(case):
    case.subject = [0, 0, 1, 2, 2]
    result = register(case, "alter,geschlecht\n33,f\n44,m\n45,m\n")
    assert (result.attempts, result.successes) == (5, 2)
    assert "not known" in result.note


def test_a_register_without_a_record_was_never_tried(case):
    result = register(case, "alter,geschlecht\n")
    assert (result.measured, result.attempts, result.note) == (0.0, 0, "it holds no record")


def test_two_of_a_register_who_fit_are_no_link(case):
    case.subject = [0, 0, 1, 2, 2]
    assert register(case, "alter,geschlecht\n33,f\n38,f\n").successes == 0
    # Somebody whose age the register does not know may be the one.
    assert register(case, "alter,geschlecht\n33,f\n,f\n").successes == 0


def test_a_register_links_nobody_of_a_class_of_two(case):
    assert register(case, "alter,geschlecht\n33,f\n").successes == 0


def test_a_register_that_cannot_be_read_is_the_users_mistake(case):
    with pytest.raises(SourceInvalid, match="register"):
        register(case, "a,b\n1,2\n")


def test_a_register_of_other_columns_has_nothing_to_link(case):
    assert register(case, "a\n1\n", {"a": "income"}).attempts == 0


# --- which columns make it succeed


def test_the_fewest_columns_that_bring_an_attack_within_its_limit_are_named():
    people = range(8)
    bits = {f"b{i}": raw(*(person >> i & 1 for person in people)) for i in range(3)}
    aligned = aligned_of(bits | {"sex": raw(*"ffffffff"), "copy": raw(*map(str, people))})
    columns = ["b0", "b1", "b2", "copy", "sex"]
    again = partial(linkage, aligned)
    found = with_culprits(linkage(aligned, columns), columns, again, 0.0)
    # Of three bits and their number, two bits may stay: four classes of two people each.
    assert len(found.columns) == 2
    assert "copy" in found.columns
    kept = [name for name in columns if name not in found.columns]
    assert again(kept).measured == 0
    assert found.note.endswith(f"without {', '.join(found.columns)} it is 0")


@pytest.mark.parametrize(("needed", "most"), [(1, 42), (3, 47), (45, 1)])
def test_the_columns_at_fault_are_found_in_few_attacks(needed, most):
    """128 columns, of which no 40 were enough, had the attack done 80 times over: two minutes."""
    columns = [f"c{i}" for i in range(60)]
    asked = []

    def again(kept):
        asked.append(kept)
        gone = needed - sum(f"c{i}" in kept for i in range(needed))
        return AttackResult("linkability", 1 - gone / needed, 10)

    found = with_culprits(again(columns), columns, again, 0.0)
    assert found.columns == (tuple(columns[:needed]) if needed <= 40 else ())
    assert len(asked) - 1 <= most


def test_an_attack_within_its_limit_blames_nobody():
    aligned = aligned_of({"a": raw(*"1122"), "b": raw(*"xxxx")})
    result = linkage(aligned, ["a", "b"])
    assert with_culprits(result, ["a", "b"], partial(linkage, aligned), 0.0) is result
