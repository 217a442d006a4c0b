"""Judge a written file: fill its suite, measure the file, have every check answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from expectations.checks import Answer, Check, fill, tier_suite
from expectations.disclosure import Limit, Rows, question, tidy
from expectations.facts import raw_facts, tier_facts
from expectations.frames import FileFrames
from expectations.listed import Frame
from expectations.measures import Measure, file_measures, tier_measures
from expectations.sentences import advice, sentence
from expectations.suite import shipped_suite
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, tier_policy
from stepdown.engine import Session, literals
from stepdown.opened import DATA, SNAPSHOT, Opened, Source
from stepdown.reports import RiskReport, Verdict

Answers = Callable[[FileFrames, Sequence[Check], Mapping[Frame, Rows]], Mapping[str, Answer]]
"""Answers every check by its name: ``judge.answers``, or ``plainly.answers`` where it may."""


def validate_raw(source: Source, answers: Answers) -> tuple[Verdict, ...]:
    """See ``expectations.validate_raw``."""
    checks = fill(shipped_suite("raw"), raw_facts(source.loaded))
    return _judge_file(FileFrames(source.session, SNAPSHOT), checks, [], source.loaded, answers)


def validate_tier(opened: Opened, risk: RiskReport, answers: Answers) -> tuple[Verdict, ...]:
    """See ``expectations.validate_tier``."""
    candidate, loaded = opened.candidate, opened.loaded
    rules = tier_suite(loaded, opened.tier)
    policy = tier_policy(loaded.config, opened.tier)
    bound = _bound_to_bytes(candidate, risk)
    if not bound.passed:
        return (bound,)
    facts = tier_facts(loaded.config, policy, candidate.recipient, candidate.report)
    labels = _labels(opened.session, candidate, facts.groups["generalised"])
    facts = replace(facts, of_column={"labels": labels})
    measures = tier_measures(candidate, risk, loaded.config, list(facts.types))
    file = FileFrames(opened.session, DATA)
    return (bound, *_judge_file(file, fill(rules, facts), measures, loaded, answers))


def _bound_to_bytes(candidate: Candidate, risk: RiskReport) -> Verdict:
    same = candidate.data.sha256 == risk.sha256 == candidate.report.sha256
    return Verdict(
        "reports_are_about_this_file",
        same,
        "risk and derivation were reported for the bytes being judged"
        if same
        else "the risk or the derivation report is about other bytes than those being judged",
        next="" if same else "Assess the candidate again.",
    )


def _labels(
    session: Session, candidate: Candidate, generalised: Sequence[str]
) -> dict[str, list[str]]:
    """Every label that the released levels of each generalised column have."""
    found = {}
    for name in generalised:
        levels = candidate.report.levels_of(name) or (-1,)
        found[name] = session.fetch(
            'SELECT DISTINCT label FROM hierarchies WHERE label IS NOT NULL AND "column" = '
            f"{literals([name])} AND level IN ({', '.join(map(str, levels))}) ORDER BY label"
        )["label"].to_pylist()
    return found


def _judge_file(
    file: FileFrames,
    checks: Sequence[Check],
    measures: list[Measure],
    loaded: LoadedConfig,
    answers: Answers,
) -> tuple[Verdict, ...]:
    counted = file_measures(file.rows, file.cells_that_are_no_number)
    rows: dict[Frame, Rows] = {
        Frame.SCHEMA: file.schema,
        Frame.MEASURES: [(each.name, each.column, each.value) for each in counted + measures],
    }
    found, where = answers(file, checks, rows), loaded.path.name
    return tuple(_verdict(check, found.get(check.name), rows, where) for check in checks)


def _verdict(
    check: Check, answer: Answer | None, rows: Mapping[Frame, Rows], where: str
) -> Verdict:
    passed = answer is Answer.PASSED
    mend = "" if passed else advice(check.type, answer, where)
    if answer in (Answer.PASSED, Answer.FAILED) and check.frame in rows:
        asked, held = question(check.type, check.arguments), rows[check.frame]
        message = asked.sentence(held)
        if isinstance(asked, Limit):
            measured = asked.measured(held)
            return Verdict(check.name, passed, message, mend, measured, tidy(asked.limit))
        return Verdict(check.name, passed, message, mend)
    return Verdict(check.name, passed, sentence(check, answer), mend)
