"""List the questions of a risk assessment, and say what each grade of sensitivity means.

Sources: the sharing chapter of The Engine Room's responsible data primer ("primer"); M. Elliot,
E. Mackey and K. O'Hara, The Anonymisation Decision-Making Framework, European practitioners' guide,
2nd ed., UKAN 2020 ("ADF"), by the names of its three activities. The wording is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Sensitivity = Literal["low", "moderate", "high", "severe"]
SENSITIVITIES: tuple[Sensitivity, ...] = get_args(Sensitivity)

HARM: dict[Sensitivity, str] = {
    "low": "being recognised would annoy",
    "moderate": "it would embarrass, or cost money or time",
    "high": "it would cost work, home, family or freedom, or show health, faith or politics",
    "severe": "it could cost somebody's life or safety",
}
"""What being recognised would do to the worst-placed person in the data: house rule."""


@dataclass(frozen=True)
class Question:
    """One question of the questionnaire.

    Args:
        group: the heading it stands under.
        text: what the risk officer is asked.
        source: where the question comes from.
    """

    group: str
    text: str
    source: str


_PEOPLE = "People and harm"
_INTRUDERS = "Intruders and their motives"
_OTHER_DATA = "Other data"
_CONTEXT = "Where the data go"
_CHECKS = "What was checked"
_VOICE = "The people in the data"
_WRONG = "If it goes wrong"

QUESTIONS: dict[str, Question] = {
    "people": Question(
        _PEOPLE,
        "Whom are the data about, and who of them is easiest to recognise?",
        "ADF, data situation audit",
    ),
    "harm": Question(
        _PEOPLE,
        "Who could be harmed, and how, if somebody in the data were recognised? Think also of "
        "families, villages and groups, and of people who are only taken to be in the data.",
        "primer, the point of no return; ADF, data situation audit",
    ),
    "intruders": Question(
        _INTRUDERS,
        "Who would want to recognise somebody, and what would they gain?",
        "ADF, risk assessment and control",
    ),
    "means": Question(
        _INTRUDERS,
        "What do they know already, and what can they spend: neighbours, staff, officials, press?",
        "ADF, risk assessment and control",
    ),
    "other_data": Question(
        _OTHER_DATA,
        "Which other data exist with which these could be joined: registers, media, earlier "
        "releases, data of partners?",
        "primer, controlled closed sharing; ADF, risk assessment and control",
    ),
    "context": Question(
        _CONTEXT,
        "Who gets each tier, under which rules, and what is going on around the people in it?",
        "primer, sharing internally; ADF, data situation audit",
    ),
    "passed_on": Question(
        _CONTEXT,
        "How far could a file travel from there, and who would notice?",
        "primer, controlled closed sharing",
    ),
    "accuracy": Question(
        _CHECKS,
        "How were errors looked for, and what would a wrong value do to somebody?",
        "primer, the point of no return",
    ),
    "bias": Question(
        _CHECKS,
        "Who is missing or shown one-sidedly, and which bias of those who collected it is in it?",
        "primer, controlled closed sharing",
    ),
    "outsiders": Question(
        _CHECKS,
        "Who from outside has looked at it, and what did they see that you had not?",
        "primer, sharing internally and the sanity check",
    ),
    "voice": Question(
        _VOICE,
        "What were the people in the data told, what did they agree to, and how are they or those "
        "who speak for them asked before it is published?",
        "primer, the point of no return; ADF, data situation audit",
    ),
    "response": Question(
        _WRONG,
        "If somebody is recognised: who is called, who tells them, and what can still be done?",
        "ADF, impact management",
    ),
    "changes": Question(
        _WRONG,
        "What might change before this assessment ends, and what would make you look again?",
        "ADF, impact management",
    ),
}
