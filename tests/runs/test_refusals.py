"""What stops a release, and what a refusal leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from partner_case import write_partner
from visits import NOBODY, Visits, raw_rows

Change = Callable[[dict[str, Any]], Any]


def is_intact(visits: Visits, before: dict[str, bytes], *series: str) -> None:
    """The series hold what they held, and their last versions are what was published."""
    after = visits.published()
    for name in series:
        held = {path: data for path, data in before.items() if path.startswith(f"visits/{name}/")}
        assert held
        assert {p: d for p, d in after.items() if p.startswith(f"visits/{name}/")} == held
        assert visits("verify", f"visits/{name}/latest").code == 0


def says_no_value(text: str) -> None:
    """No name, id or number of the raw rows stands in a text."""
    for row in raw_rows()[::20]:
        for column in ("person", "full_name", "national_id", "phone", "note"):
            assert str(row[column]) not in text


def test_a_public_k_that_no_table_can_meet_refuses_public_only(released: Visits) -> None:
    before = released.published()
    released.change(lambda c: c["tiers"]["public"].update(smallest_class=400))
    done = released.run()
    assert done.code == 1
    tiers = done.json["tiers"]
    assert [tiers[t]["state"] for t in tiers] == ["unchanged", "unchanged", "refused"]
    assert any("400" in reason for reason in tiers["public"]["reasons"])
    is_intact(released, before, "public")
    (note,) = released.notes()
    assert "visits/public was refused" in note
    assert "400" in note
    says_no_value(note + done.out + done.err)


def test_a_broken_expectation_of_the_datasets_own_suite_refuses_its_tier_and_those_below(
    released: Visits,
) -> None:
    before = released.published()
    suite = released.root / "own.yaml"
    suite.write_text(
        "expectations:\n"
        "  - name: only_ward_a\n"
        "    expect_column_values_to_be_in_set: {column: ward, value_set: [A]}\n"
    )
    released.change(lambda c: c["tiers"]["partner"].update(suite="own.yaml"))
    done = released.run()
    assert done.code == 1
    tiers = done.json["tiers"]
    assert [tiers[t]["state"] for t in tiers] == ["unchanged", "refused", "refused"]
    assert any("ward" in reason for reason in tiers["partner"]["reasons"])
    assert "partner was refused" in " ".join(tiers["public"]["reasons"])
    is_intact(released, before, "partner", "public")
    notes = "".join(released.notes())
    assert "only_ward_a" in notes
    says_no_value(notes + done.out + done.err)


def test_an_expectation_that_nobody_knows_stops_the_run_before_it_reads(visits: Visits) -> None:
    suite = visits.root / "own.yaml"
    suite.write_text("expectations:\n  - expect_column_values_to_be_nice: {column: ward}\n")
    visits.change(lambda c: c["tiers"]["public"].update(suite="own.yaml"))
    done = visits.run()
    assert done.code == 2
    assert "own.yaml" in done.json["error"]["where"] + done.json["error"]["message"]
    assert not visits.published()
    assert not list(visits.work.rglob("*.parquet"))


def a_hole(config: dict[str, Any]) -> None:
    config["columns"]["town"]["hierarchy"]["tree"]["south"] = ["Cedar"]


def test_a_hierarchy_without_a_value_is_the_users_to_mend(released: Visits) -> None:
    before = released.published()
    released.change(a_hole)
    done = released.run()
    assert done.code == 2
    assert done.json["error"]["kind"] == "HierarchyInvalid"
    assert "town" in done.json["error"]["where"] + done.json["error"]["message"]
    assert released.published() == before
    is_intact(released, before, "internal", "partner", "public")


def test_the_users_mistake_comes_before_the_gates_refusal(released: Visits) -> None:
    def both(config: dict[str, Any]) -> None:
        a_hole(config)
        config["tiers"]["public"]["smallest_class"] = 400

    released.change(both)
    assert released.run().code == 2


def a_copy_with_a_pseudonym(config: dict[str, Any]) -> None:
    # 32 classes of some 18 people each, but hardly two people with the same pair of towns
    config["columns"]["person"]["partner"] = "pseudonym"
    config["columns"]["town"]["partner"] = "keep"
    config["columns"]["age"]["partner"] = {"generalise": {"at_least": 1, "at_most": 1}}
    config["tiers"]["partner"]["expected_reidentifications"] = 0.2


def agree(visits: Visits) -> None:
    columns = ["person", "sex", "age", "town", "illness"]
    write_partner(visits.root, "visits", columns)


def test_a_pseudonym_that_persists_refuses_the_copy_for_its_trajectories(
    released: Visits,
) -> None:
    before = released.published()
    released.change(a_copy_with_a_pseudonym)
    agree(released)
    done = released.run("--tier", "partner")
    assert done.code == 1
    copy = done.json["recipients"]["clinic"]
    assert copy["state"] == "refused"
    assert any("trajector" in reason for reason in copy["reasons"])
    assert not (released.store / "visits" / "partner" / "clinic").exists()
    is_intact(released, before, "internal")
    assert any("trajector" in note for note in released.notes())


ONE_ROW = {
    "rows_per_subject": 1,
    "suppressed_records": 0.6,
    # Which row stays hangs on a key, and with some keys one is alone beside the version before.
    "attacks": {"differencing": 1.0, "intersection": 1.0},
}


def test_one_row_per_subject_mends_a_trajectory(released: Visits) -> None:
    def one_row(config: dict[str, Any]) -> None:
        a_copy_with_a_pseudonym(config)
        config["tiers"]["partner"].update(ONE_ROW)

    released.change(one_row)
    agree(released)
    done = released.run("--tier", "partner")
    assert done.code == 0, done.out
    copy = done.json["recipients"]["clinic"]
    assert copy["state"] == "published"
    assert "person" in copy["columns"]
    assert 200 <= copy["rows"] <= 300


def test_two_copies_whose_pseudonyms_are_the_same_are_not_both_released(released: Visits) -> None:
    def one_row(config: dict[str, Any]) -> None:
        a_copy_with_a_pseudonym(config)
        config["tiers"]["partner"].update(ONE_ROW)

    released.change(one_row)
    for name in ("clinic", "ministry"):
        write_partner(released.root, "visits", ["person", "sex", "age", "illness"], name)
    keyring = released.work / "keyring.json"
    keys = json.loads(keyring.read_text())
    keyring.write_text(
        json.dumps(keys | {f"visits/partner/{n}/1": "ab" * 32 for n in ("clinic", "ministry")})
    )
    done = released.run("--tier", "partner")
    assert done.code == 1
    ends = done.json["recipients"]
    assert {name: end["state"] for name, end in ends.items()} == {
        "clinic": "published",
        "ministry": "refused",
    }
    assert "join it: person with partner/clinic by its person" in " ".join(
        ends["ministry"]["reasons"]
    )

    assert released("shred", "visits/partner/ministry/1", "--reason", "It is another's").code == 0
    again = released.run("--tier", "partner")
    assert again.code == 0, again.out
    assert again.json["recipients"]["ministry"]["state"] == "published"
    assert again.json["recipients"]["clinic"]["state"] == "unchanged"


def test_a_value_the_raw_suite_does_not_allow_refuses_every_tier(released: Visits) -> None:
    before = released.published()
    released.change(lambda c: c["columns"]["illness"].update(allowed=["cholera", "none"]))
    done = released.run()
    assert done.code == 1
    assert {end["state"] for end in done.json["tiers"].values()} == {"refused"}
    assert "measles" not in done.out + done.err + "".join(released.notes())
    is_intact(released, before, "internal", "partner", "public")
    assert released.published() == before


@pytest.mark.parametrize("override", [None, "It is only a number"])
def test_a_column_called_insensitive_that_repeats_an_identifier_is_refused(
    released: Visits, override: str | None
) -> None:
    before = released.published()
    released.write([row | {"badge": row["national_id"]} for row in raw_rows()])
    badge = {"role": "insensitive", "because": "A badge", "override": override}
    released.change(lambda c: c["columns"].update(badge=badge))
    done = released.run()
    assert done.code == 1
    tiers = done.json["tiers"]
    assert tiers["partner"]["state"] == tiers["public"]["state"] == "refused"
    assert any("badge" in reason for end in tiers.values() for reason in end["reasons"])
    is_intact(released, before, "partner", "public")
    says_no_value("".join(released.notes()) + done.out + done.err)


def test_a_plan_names_the_refusal_and_publishes_nothing(visits: Visits) -> None:
    visits.change(lambda c: c["tiers"]["public"].update(smallest_class=400))
    done = visits("plan", str(visits.config), "--json")
    assert done.code == 1
    states = [end["state"] for end in done.json["tiers"].values()]
    assert states == ["would_publish", "would_publish", "would_refuse"]
    assert not visits.published()


def test_a_refused_first_release_leaves_a_store_with_nothing_of_it(visits: Visits) -> None:
    visits.change(lambda c: c["tiers"].update(internal={"smallest_class": 301}, partner=NOBODY))
    done = visits.run()
    assert done.code == 1
    assert {end["state"] for end in done.json["tiers"].values()} == {"refused"}
    assert not visits.published()
