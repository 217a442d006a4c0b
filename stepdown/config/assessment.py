"""Load a dataset's risk assessment: ``assessments/<dataset>.yaml`` beside the configs."""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from stepdown.artifacts import canonical_json
from stepdown.config.assessment_questions import (
    HARM,
    QUESTIONS,
    SENSITIVITIES,
    Sensitivity,
)
from stepdown.config.models import Name
from stepdown.config.policy import defaults
from stepdown.config.treatments import Model
from stepdown.config.yaml_file import load_model
from stepdown.errors import ConfigInvalid

FOLDER = "assessments"


class Assessment(Model):
    """What the risk officer says of a dataset; a draft may leave answers open."""

    dataset: Name = Field(description="The dataset it is about.")
    by: str | None = Field(None, description="Who answers, as in people.yaml.")
    date: dt.date = Field(description="The day of the answers.")
    valid_until: dt.date = Field(description="The last day they stand.")
    incident: str | None = Field(None, description="The last incident that it takes into account.")
    sensitivity: Sensitivity | None = Field(
        None, description="How much harm re-identification could do."
    )
    answers: dict[str, str | None] = Field(description="An answer to every question.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        unknown = sorted(set(self.answers) - set(QUESTIONS))
        if unknown:
            raise ValueError(
                f"answers {', '.join(unknown)}: no such question; known: {', '.join(QUESTIONS)}"
            )
        last = latest_end(self.date)
        if not self.date <= self.valid_until <= last:
            raise ValueError(
                f"valid_until must be from date to {last.isoformat()}, "
                f"{_valid_months()} months later"
            )
        return self

    def unanswered(self) -> list[str]:
        """What is still missing before it can be signed."""
        facts = {"by": self.by, "sensitivity": self.sensitivity}
        open_answers = [name for name in QUESTIONS if not (self.answers.get(name) or "").strip()]
        return [name for name, value in facts.items() if not value] + open_answers

    @property
    def sha256(self) -> str:
        """Of what it says, however the YAML is laid out."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json"))).hexdigest()


@dataclass(frozen=True)
class AssessmentFile:
    """An assessment, and the bytes of the signature beside it."""

    path: Path
    assessment: Assessment
    signed: bytes | None


def assessment_path(folder: Path, dataset: str) -> Path:
    """Path of a dataset's assessment."""
    return folder / FOLDER / f"{dataset}.yaml"


def signature_path(path: Path) -> Path:
    """Path of the signature over an assessment."""
    return path.with_suffix(".signed.json")


def load_assessment(folder: Path, dataset: str) -> AssessmentFile | None:
    """The assessment of a dataset; None where there is none.

    Raises:
        ConfigInvalid: it has keys or values that are not allowed, or is about another dataset.
    """
    path = assessment_path(folder, dataset)
    if not path.exists():
        return None
    next = "`stepdown assessment draft` writes one to be filled in."
    assessment = load_model(path, Assessment, "risk assessment", next)
    if assessment.dataset != dataset:
        raise ConfigInvalid(
            f"it is about the dataset {assessment.dataset}, and is where {dataset}'s belongs",
            where=str(path),
            next=f"Assess {dataset} itself.",
        )
    signed = signature_path(path)
    try:
        return AssessmentFile(path, assessment, signed.read_bytes() if signed.exists() else None)
    except OSError as error:
        raise ConfigInvalid(f"cannot be read ({error.strerror})", where=str(signed)) from None


def higher(one: Sensitivity, other: Sensitivity | None) -> Sensitivity:
    """The graver of two sensitivities."""
    return max(one, other or one, key=SENSITIVITIES.index)


def latest_end(day: dt.date) -> dt.date:
    """The last day that an assessment of this day may stand."""
    months = day.month - 1 + _valid_months()
    year, month = day.year + months // 12, months % 12 + 1
    return dt.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def draft_text(dataset: str, day: dt.date, by: str = "", incident: str = "") -> str:
    """The questionnaire, to be filled in."""
    grades = "\n".join(f"  # {grade}: {HARM[grade]}" for grade in SENSITIVITIES)
    return (
        f"# Risk assessment of {dataset}: answer every question, choose the sensitivity, sign.\n"
        f"dataset: {dataset}\n"
        f"by:{_quoted(by)} # your name, as in people.yaml, where you are a risk_officer\n"
        f"date: {day.isoformat()}\n"
        f"valid_until: {latest_end(day).isoformat()} # at most {_valid_months()} months later\n"
        f"incident:{_quoted(incident)} # the last incident that it takes into account\n"
        f"sensitivity: # what being recognised would do to the worst-placed person in the data:\n"
        f"{grades}\n"
        f"answers:\n{_question_lines()}"
    )


def _question_lines() -> str:
    lines, group = [], ""
    for name, question in QUESTIONS.items():
        if question.group != group:
            group = question.group
            lines.append(f"\n  # == {group} ==\n")
        asked = textwrap.wrap(f"{question.text} [{question.source}]", 94)
        lines += [*(f"  # {line}\n" for line in asked), f"  {name}:\n"]
    return "".join(lines)


def _quoted(text: str) -> str:
    return " '" + text.replace("'", "''") + "'" if text else ""


def _valid_months() -> int:
    return int(defaults()["assessment"]["valid_months"])
