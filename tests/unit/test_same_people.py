"""Somebody is replaced by somebody else with the very same row, and the register is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from release_case import Case

from stepdown import clock
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import SUBJECTS_FILE, Candidate
from stepdown.config.consent import Consents
from stepdown.release.decisions.consent_enforcement import follow_consent
from stepdown.release.decisions.withdraw import withdraw
from stepdown.vocabulary import ReleaseState, Tier

DAY = clock.today()


class AskedCase(Case):
    """A dataset with a consent register, and candidates whose people are known by letters."""

    people = "PR"

    def candidate(self, *args, **kwargs) -> Candidate:
        made = super().candidate(*args, **kwargs)
        (Path(made.folder) / SUBJECTS_FILE).write_text(self.people)
        return made

    def run(self, people: str):
        self.people = people
        return self.submit(Tier.INTERNAL)


@pytest.fixture
def case(tmp_path) -> AskedCase:
    case = AskedCase(tmp_path)
    register = Consents(ArtifactRef("", "r", 0), DAY)
    case.loaded = type(case.loaded)(case.loaded.config, case.loaded.path, register)
    return case


def test_a_run_of_the_same_people_is_unchanged(case):
    assert case.run("PR").outcome == "published"
    assert case.run("PR").outcome == "unchanged"


def test_other_people_with_the_same_rows_make_a_new_version(case):
    case.run("PR")
    after = case.run("QR")
    assert (after.outcome, after.release) == ("published", "wells/internal/v2")
    assert case.state("wells/internal/v1") is ReleaseState.SUPERSEDED
    with case.ledger.reading() as reader:
        first, second = (r.terms["consent"]["subjects_sha256"] for r in reader.releases("wells"))
    assert first != second


def test_whoever_withdrew_and_was_replaced_does_not_keep_the_release_suspended(case):
    case.run("PR")
    follow_consent(case.ledger, case.store, "wells", {1: 1}, DAY, "r", "tester")
    assert case.state("wells/internal/v1") is ReleaseState.SUSPENDED
    # The very file that was suspended is still refused.
    refused = case.run("PR")
    assert refused.reasons[0].check == "taken_back"
    assert case.run("QR").outcome == "published"
    assert case.state("wells/internal/v1") is ReleaseState.SUPERSEDED


def test_what_a_steward_withdrew_is_not_published_again_with_other_people(case):
    case.run("PR")
    follow_consent(case.ledger, case.store, "wells", {1: 1}, DAY, "r", "tester")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="a slip", actor="tester")
    assert case.run("QR").reasons[0].check == "taken_back"
