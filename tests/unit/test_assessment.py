from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from governance_case import NAMES, assess, govern, key_of, write_assessment
from release_case import Case

from stepdown import clock
from stepdown.config import load_config, tier_policy
from stepdown.config.assessment import draft_text, load_assessment, signature_path
from stepdown.config.assessment_questions import QUESTIONS
from stepdown.config.governance import load_governance
from stepdown.errors import ConfigInvalid, InputWrong, PolicyInvalid, SignatureInvalid
from stepdown.release.decisions.assessing import sign_and_record
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.catalogue import show_release
from stepdown.release.requirements.assessments import assessment_problem, sign_assessment
from stepdown.vocabulary import ReleaseState, Tier

DAY = dt.timedelta(1)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def publish_partner(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")


def submit_public(case: Case) -> Any:
    publish_partner(case)
    return case.submit(Tier.PUBLIC, parent="wells/partner/v1")


def sign_public(case: Case) -> Any:
    for role in ("steward", "risk_officer"):
        case.approve("wells/public/v1", role)
    return case.approve("wells/public/v1", "subject_representative")


def problem(case: Case, days: int = 0) -> str:
    day = clock.today() + days * DAY
    with case.ledger.reading() as reader:
        return assessment_problem(load_governance(case.root, "wells"), reader, "wells", day)


def test_public_is_refused_without_an_assessment_and_the_tiers_above_are_not(case: Case) -> None:
    (case.root / "assessments/wells.yaml").unlink()
    standing = submit_public(case)
    assert standing.state is ReleaseState.REFUSED
    (reason,) = standing.reasons
    assert reason.check == "risk_assessment"
    assert reason.message == "No risk assessment of wells is in force: there is none."
    assert case.state("wells/partner/v1") is ReleaseState.PUBLISHED


def test_a_waiting_release_waits_for_the_assessment_and_goes_on_when_it_is_signed(
    case: Case,
) -> None:
    submit_public(case)
    write_assessment(case.root, "wells", valid_until=clock.today())
    assert sign_public(case).waiting_for == (
        "a risk assessment in force: the signature is over another text, an older one perhaps",
    )
    governance = load_governance(case.root, "wells")
    sign_and_record(case.workspace, case.store, governance, "wells", key_of("risk_officer"))
    assert case.state("wells/public/v1") is ReleaseState.PUBLISHED
    with case.ledger.reading() as reader:
        (line,) = reader.lines(EventKind.ASSESSMENT)
    assert line["actor"] == NAMES["risk_officer"]
    assert line["facts"]["statement"]["sensitivity"] == "moderate"
    assert "nobody to harm" not in str(line)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"valid_until": -1, "date": -9}, "it ended on"),
        ({"date": 3}, "it is of the future"),
        ({"sensitivity": None}, "it leaves open: sensitivity"),
        ({"answers": dict.fromkeys(QUESTIONS, " ")}, "it leaves open: people, harm"),
        ({"by": "Ann Owner"}, "the signature is over another text"),
    ],
)
def test_what_is_not_in_force_is_told_by_name(
    case: Case, changes: dict[str, Any], said: str
) -> None:
    assert problem(case) == ""
    today = clock.today()
    days = {key: today + by * DAY for key, by in changes.items() if isinstance(by, int)}
    write_assessment(case.root, "wells", **changes | days)
    assert problem(case).startswith(said)


def test_a_calendar_may_be_a_day_ahead_of_utc(case: Case) -> None:
    write_assessment(case.root, "wells", date=clock.today() + DAY)
    sign_assessment(load_governance(case.root, "wells"), "wells", key_of("risk_officer"))
    assert problem(case) == ""
    write_assessment(case.root, "wells", date=clock.today() + 3 * DAY)
    with pytest.raises(InputWrong, match="of the future"):
        sign_assessment(load_governance(case.root, "wells"), "wells", key_of("risk_officer"))


def test_a_signature_counts_only_by_the_risk_officer_whom_it_names(case: Case) -> None:
    write_assessment(case.root, "wells", by="Ann Owner")
    governance = load_governance(case.root, "wells")
    with pytest.raises(SignatureInvalid, match="no risk_officer in people"):
        sign_assessment(governance, "wells", key_of("owner"))
    with pytest.raises(SignatureInvalid, match="names somebody else under `by:`"):
        sign_assessment(governance, "wells", key_of("risk_officer"))


def test_a_risk_officer_who_loses_the_role_takes_the_assessment_along(case: Case) -> None:
    people = case.root / "people.yaml"
    people.write_text(people.read_text().replace("roles: [risk_officer]", "roles: [reader]"))
    assert problem(case) == "Rosa Risk signed it, who is no risk_officer in people.yaml"


def test_an_unsigned_or_spoilt_signature_is_none(case: Case) -> None:
    path = signature_path(case.root / "assessments/wells.yaml")
    path.write_bytes(path.read_bytes().replace(b"moderate", b"lenient1"))
    assert problem(case) == "the signature is not over this statement"
    path.write_text("{}")
    assert problem(case).startswith("its signature is not a signed statement")
    path.unlink()
    assert problem(case) == "it is not signed"


def test_an_assessment_signed_in_the_future_does_not_count_yet(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = dt.datetime.fromisoformat(clock.now())
    ahead = (now + dt.timedelta(minutes=6)).isoformat()
    monkeypatch.setattr(clock, "now", lambda: ahead)
    assess(case.root, "wells")
    monkeypatch.setattr(clock, "now", lambda: now.isoformat())
    assert problem(case, days=1) == "it was signed in the future"


def test_another_datasets_assessment_is_refused_by_name(tmp_path: Path) -> None:
    case = Case(tmp_path)
    govern(case.root, "rivers")
    folder = case.root / "assessments"
    (folder / "wells.yaml").write_bytes((folder / "rivers.yaml").read_bytes())
    with pytest.raises(ConfigInvalid, match="it is about the dataset rivers"):
        load_config(case.root / "wells.yaml")


def test_unknown_questions_and_a_term_over_twelve_months_are_told_with_their_line(
    tmp_path: Path,
) -> None:
    write_assessment(tmp_path, "wells", answers={"colour": "blue"})
    with pytest.raises(ConfigInvalid, match=r"line 1: .*colour: no such question; known: people"):
        load_assessment(tmp_path, "wells")
    write_assessment(tmp_path, "wells", date="2026-02-28", valid_until="2027-03-01")
    with pytest.raises(ConfigInvalid, match="from date to 2027-02-28, 12 months later"):
        load_assessment(tmp_path, "wells")


@pytest.mark.parametrize(
    ("sensitivity", "partner", "public"),
    [("low", 5, 11), ("moderate", 5, 11), ("high", 10, 20), ("severe", 20, 40)],
)
def test_each_grade_of_sensitivity_is_tighter_than_the_one_below(
    case: Case, sensitivity: str, partner: int, public: int
) -> None:
    write_assessment(case.root, "wells", sensitivity=sensitivity)
    config = load_config(case.root / "wells.yaml").config
    assert tier_policy(config, Tier.PARTNER).smallest_class == partner
    assert tier_policy(config, Tier.PUBLIC).smallest_class == public


def test_the_graver_of_config_and_assessment_counts(case: Case) -> None:
    path = case.root / "wells.yaml"
    path.write_text(path.read_text() + "sensitivity: high\n")
    write_assessment(case.root, "wells", sensitivity="low")
    assert load_config(path).config.sensitivity == "high"
    write_assessment(case.root, "wells", sensitivity="severe")
    assert load_config(path).config.sensitivity == "severe"


def test_a_rule_that_the_assessment_makes_looser_than_its_default_needs_a_reason(
    case: Case,
) -> None:
    path = case.root / "wells.yaml"
    path.write_text(path.read_text().replace("public: {", "public: {smallest_class: 30, "))
    load_config(path)
    write_assessment(case.root, "wells", sensitivity="severe")
    with pytest.raises(PolicyInvalid, match="default 40 is looser than the"):
        load_config(path)


def test_a_graver_assessment_stops_what_was_judged_under_a_lighter_one(case: Case) -> None:
    submit_public(case)
    assess(case.root, "wells", sensitivity="severe")
    assert sign_public(case).waiting_for == (
        "a run under the sensitivity severe, which the risk assessment gives: it was judged under "
        "moderate",
    )
    assert (
        "a run under" in show_release(case.ledger, case.store, "wells/public/v1")["waiting_for"][0]
    )


def test_a_draft_asks_every_question_once_and_cannot_be_signed_as_it_is(case: Case) -> None:
    path = case.root / "assessments/wells.yaml"
    path.write_text(draft_text("wells", clock.today(), "Rosa Risk"))
    file = load_assessment(case.root, "wells")
    assert file is not None
    assert list(file.assessment.answers) == list(QUESTIONS)
    with pytest.raises(InputWrong, match="it leaves open: sensitivity, people, harm"):
        sign_assessment(load_governance(case.root, "wells"), "wells", key_of("risk_officer"))


def test_the_layout_of_the_yaml_does_not_change_what_is_signed(case: Case) -> None:
    path = case.root / "assessments/wells.yaml"
    path.write_text("# looked at again\n" + path.read_text().replace(", ", ",\n  "))
    assert problem(case) == ""
