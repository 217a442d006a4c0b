"""A partner is a file: what it must say, and what it may not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from partner_case import partner_facts, write_partner
from release_case import Case

from stepdown.config import load_config, tier_hash
from stepdown.config.partners import load_partners
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import Tier


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """The wells, with one partner: the clinic."""
    return Case(tmp_path)


def write(case: Case, name: str, facts: dict[str, Any]) -> None:
    (case.root / "partners" / name).write_text(json.dumps(facts))


def clinic(**changes: Any) -> dict[str, Any]:
    return partner_facts("wells", ["age", "illness"], **changes)


def test_a_partners_file_gives_the_config_its_recipient(case: Case) -> None:
    (recipient,) = case.loaded.config.recipients.values()
    assert recipient.organisation == "Clinic"
    assert recipient.columns == ["age", "illness"]
    assert recipient.agreement.reference == "NDA-7"
    assert recipient.onward_sharing == "none"


def test_a_partner_of_another_dataset_gets_no_copy_of_this_one(case: Case) -> None:
    write(case, "school.yaml", partner_facts("pupils", ["age"], "school"))
    assert list(load_config(case.root / "wells.yaml").config.recipients) == ["clinic"]
    assert list(load_partners(case.root)) == ["clinic", "school"]


def second_file(case: Case) -> None:
    write(case, "second.yaml", clinic())


def second_ending(case: Case) -> None:
    write(case, "clinic.yml", clinic())


def second_name(case: Case) -> None:
    write(case, "doctors.yaml", clinic(organisation=" CLINIC") | {"recipient": "doctors"})


def no_end(case: Case) -> None:
    facts = clinic()
    del facts["agreement"]["valid_until"]
    write(case, "clinic.yaml", facts)


def empty_end(case: Case) -> None:
    write(case, "clinic.yaml", clinic(valid_until=None))


def other_name(case: Case) -> None:
    (case.root / "partners" / "clinic.yaml").rename(case.root / "partners" / "hospital.yaml")


def ends_before_it_begins(case: Case) -> None:
    write(case, "clinic.yaml", clinic(valid_until="2019-12-31"))


def signed_after_its_end(case: Case) -> None:
    write(case, "clinic.yaml", clinic(signed="2091-01-01"))


def no_hash(case: Case) -> None:
    facts = clinic()
    del facts["agreement"]["document_sha256"]
    write(case, "clinic.yaml", facts)


def other_document(case: Case) -> None:
    (case.root / "nda.txt").write_text("We say nothing.")
    write(case, "clinic.yaml", clinic() | {"agreement": clinic()["agreement"] | {
        "document": "../nda.txt"}})  # fmt: skip


def no_document(case: Case) -> None:
    agreement = clinic()["agreement"] | {"document": "gone.pdf"}
    write(case, "clinic.yaml", clinic() | {"agreement": agreement})


def unknown_column(case: Case) -> None:
    write(case, "clinic.yaml", partner_facts("wells", ["age", "salary"]))


def unknown_key(case: Case) -> None:
    write(case, "clinic.yaml", clinic() | {"colums": ["age"]})


def inline(case: Case) -> None:
    path = case.root / "wells.yaml"
    path.write_text(path.read_text() + "recipients: {}\n")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (second_file, "two files for one recipient: clinic.yaml, second.yaml"),
        (second_ending, "two files for one recipient: clinic.yaml, clinic.yml"),
        (second_name, "two files for one organisation under one agreement: clinic.yaml, doctors"),
        (no_end, "agreement: an agreement without an end"),
        (empty_end, "agreement: an agreement without an end"),
        (other_name, "is the file of clinic, and has another name"),
        (ends_before_it_begins, "valid_until is before valid_from"),
        (signed_after_its_end, "signed after its last day"),
        (no_hash, "agreement.document_sha256: is required"),
        (other_document, "has not the SHA-256"),
        (no_document, "document cannot be read"),
        (unknown_column, "partner does not hold salary"),
        (unknown_key, "colums: unknown key"),
        (inline, "a partner is a file now"),
    ],
)
def test_bad_partner_files_are_refused_by_name(
    case: Case, spoil: Callable[[Case], None], told: str
) -> None:
    spoil(case)
    with pytest.raises(ConfigInvalid) as refused:
        load_config(case.root / "wells.yaml")
    assert told in str(refused.value)
    assert refused.value.where
    assert refused.value.next


def test_a_document_whose_bytes_are_those_that_were_signed_is_accepted(case: Case) -> None:
    (case.root / "nda.txt").write_bytes(b"We say nothing.")
    digest = hashlib.sha256(b"We say nothing.").hexdigest()
    facts = clinic(document_sha256=digest)
    facts["agreement"]["document"] = "../nda.txt"
    write(case, "clinic.yaml", facts)
    assert load_partners(case.root)["clinic"].agreement.document_sha256 == digest


def test_a_renewed_agreement_asks_nobody_to_sign_the_copy_again_but_another_column_does(
    case: Case,
) -> None:
    def copy_hash() -> str:
        return tier_hash(load_config(case.root / "wells.yaml").config, Tier.PARTNER, "clinic")

    before = copy_hash()
    write_partner(case.root, "wells", ["illness", "age"], valid_until="2080-01-01", contact="x@y.z")
    assert copy_hash() == before
    write_partner(case.root, "wells", ["illness"])
    assert copy_hash() != before
    write_partner(case.root, "wells", ["age", "illness"], reference="NDA-8")
    assert copy_hash() != before
