"""Sign a dataset's risk assessment, and check whether one is in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from stepdown import clock
from stepdown.artifacts import write_durably
from stepdown.config.assessment import AssessmentFile, signature_path
from stepdown.config.governance import Governance
from stepdown.config.people import same_person
from stepdown.errors import InputWrong, SignatureInvalid
from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.statements import (
    CLOCKS_DIFFER,
    Signed,
    check_signer,
    parse_signed,
    sign,
)
from stepdown.release.requirements.incident_log import last_incident
from stepdown.reports import Verdict
from stepdown.signing import SigningKey

ASSESSMENT = "stepdown-assessment-1"
RISK_OFFICER = "risk_officer"
CHECK = "risk_assessment"


def sign_assessment(governance: Governance, dataset: str, key: SigningKey) -> Signed:
    """Sign a dataset's assessment as it stands, and put the signature beside it.

    Raises:
        InputWrong: there is none, answers are missing, or it speaks of the future or the past.
        SignatureInvalid: the key is not that of the risk officer whom it names.
    """
    file = governance.assessment
    if file is None:
        raise InputWrong(
            "there is no risk assessment to sign",
            where=dataset,
            next="Write one with `stepdown assessment draft`, and answer its questions.",
        )
    person = governance.people.holder(key.public)
    signed = sign(_statement(file) | {"name": person.name if person else ""}, key)
    problem = _text_problem(file, clock.today())
    if problem:
        raise InputWrong(problem, where=str(file.path), next="Correct it, then sign.")
    if problem := _signature_problem(signed, file, governance):
        raise SignatureInvalid(
            problem,
            where=str(file.path),
            next="It is signed by whom it names under `by:`, a risk_officer of people.yaml.",
        )
    write_durably(signature_path(file.path), signed.as_bytes())
    return signed


def assessment_problem(
    governance: Governance, reader: Reader | None, dataset: str, day: dt.date
) -> str:
    """Why a dataset has no risk assessment in force; empty where it has.

    In force is what a person who is a risk officer today signed, over exactly this text, from its
    date to its end, unless there was an incident since that it does not name.

    Args:
        reader: None does not ask about incidents: for telling only, never for deciding.
    """
    file = governance.assessment
    if file is None:
        return "there is none"
    if problem := _text_problem(file, day):
        return problem
    if file.signed is None:
        return "it is not signed"
    try:
        signed = parse_signed(file.signed, str(signature_path(file.path)))
    except SignatureInvalid as error:
        return f"its signature {error.message}"
    return _signature_problem(signed, file, governance) or _incident_problem(
        signed, file, reader, dataset
    )


def assessment_verdict(
    governance: Governance, reader: Reader, dataset: str, day: dt.date
) -> Verdict:
    """The assessment as one more check of a public release."""
    problem = assessment_problem(governance, reader, dataset, day)
    return Verdict(
        CHECK,
        not problem,
        f"No risk assessment of {dataset} is in force: {problem}."
        if problem
        else f"A risk assessment of {dataset} is in force.",
        "`stepdown assessment draft` writes the questions, `stepdown assessment sign` signs the "
        "answers."
        if problem
        else "",
    )


def _statement(file: AssessmentFile) -> dict[str, Any]:
    said = file.assessment
    return {
        "statement": ASSESSMENT,
        "dataset": said.dataset,
        "sha256": said.sha256,
        "sensitivity": said.sensitivity,
        "date": said.date.isoformat(),
        "valid_until": said.valid_until.isoformat(),
        "incident": said.incident,
        "role": RISK_OFFICER,
        "at": clock.now(),
    }


def _text_problem(file: AssessmentFile, day: dt.date) -> str:
    said = file.assessment
    if missing := said.unanswered():
        return f"it leaves open: {', '.join(missing)}"
    if clock.is_to_come(said.date, day):
        return f"it is of the future, {said.date.isoformat()}"
    if said.valid_until < day:
        return f"it ended on {said.valid_until.isoformat()}"
    return ""


def _signature_problem(signed: Signed, file: AssessmentFile, governance: Governance) -> str:
    bound = _statement(file)
    try:
        person = check_signer(signed, governance.people, str(file.path))
        ahead = _at(signed.statement) - _at(bound)
    except SignatureInvalid as error:
        return error.message
    except (KeyError, TypeError, ValueError):
        return "its signature has no time in UTC"
    if any(signed.statement.get(key) != bound[key] for key in bound if key != "at"):
        return "the signature is over another text, an older one perhaps"
    if RISK_OFFICER not in person.roles:
        return f"{person.name} signed it, who is no {RISK_OFFICER} in people.yaml"
    if same_person(person.name) != same_person(file.assessment.by or ""):
        return f"{person.name} signed it, and it names somebody else under `by:`"
    if ahead > CLOCKS_DIFFER:
        return "it was signed in the future"
    return ""


def _incident_problem(
    signed: Signed, file: AssessmentFile, reader: Reader | None, dataset: str
) -> str:
    last = last_incident(reader, dataset) if reader else None
    if last is None:
        return ""
    if file.assessment.incident != last.reference or _at(signed.statement) < last.at:
        return f"it does not take the last incident into account: {last.reference}"
    return ""


def _at(statement: Mapping[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(statement["at"])
