"""Judge a written file: fill its suite, make its frames, answer every check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from expectations.checks import Check, fill, tier_suite
from expectations.disclosure import FrameExpectation, MeasureExpectation, tidy
from expectations.facts import raw_facts, tier_facts
from expectations.frames import FileFrames, measures_frame
from expectations.judge import Answer, Judge, expectation
from expectations.listed import Frame
from expectations.measures import Measure, file_measures, tier_measures
from expectations.sentences import advice, sentence
from expectations.suite import shipped_suite
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, tier_policy
from stepdown.engine import Session, literals
from stepdown.opened import DATA, SNAPSHOT, Opened, Source
from stepdown.reports import RiskReport, Verdict


def validate_raw(source: Source) -> tuple[Verdict, ...]:
    """See ``expectations.validate_raw``."""
    checks = fill(shipped_suite("raw"), raw_facts(source.loaded))
    return _judge_file(source.session, SNAPSHOT, checks, [], source.loaded)


def validate_tier(opened: Opened, risk: RiskReport) -> tuple[Verdict, ...]:
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
    verdicts = _judge_file(opened.session, DATA, fill(rules, facts), measures, loaded)
    return (bound, *verdicts)


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
    session: Session,
    relation: str,
    checks: Sequence[Check],
    measures: list[Measure],
    loaded: LoadedConfig,
) -> tuple[Verdict, ...]:
    frames = FileFrames(session, relation)
    counted = file_measures(frames.rows, frames.cells_that_are_no_number)
    tables = {Frame.SCHEMA: frames.schema, Frame.MEASURES: measures_frame(counted + measures)}
    answers = _answers(Judge(), checks, frames, tables)
    where = loaded.path.name
    return tuple(_verdict(check, answers.get(check.name), tables, where) for check in checks)


def _answers(
    judge: Judge, checks: Sequence[Check], frames: FileFrames, tables: Mapping[Frame, pd.DataFrame]
) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for frame, table in tables.items():
        of_frame = [check for check in checks if check.frame == frame]
        answers |= _ask(judge, of_frame, [table])
    columns = dict.fromkeys(check.column for check in checks if check.frame == Frame.COLUMN)
    for column in columns:
        # A column that the file lacks stays unanswered, and unanswered is failed.
        if column in frames.types:
            of_column = [c for c in checks if c.frame == Frame.COLUMN and c.column == column]
            answers |= _ask(judge, of_column, frames.column(column))
    return answers


def _ask(
    judge: Judge, checks: Sequence[Check], frames: Iterable[pd.DataFrame]
) -> dict[str, Answer]:
    found = judge.ask(checks, frames)
    return {check.name: answer for check, answer in zip(checks, found, strict=True)}


def _verdict(
    check: Check, answer: Answer | None, tables: Mapping[Frame, pd.DataFrame], where: str
) -> Verdict:
    passed = answer is Answer.PASSED
    mend = "" if passed else advice(check.type, answer, where)
    if answer in (Answer.PASSED, Answer.FAILED) and check.frame in tables:
        rows = list(tables[check.frame].itertuples(index=False, name=None))
        asked = expectation(check)
        assert isinstance(asked, FrameExpectation)
        message = asked.sentence(rows)
        if isinstance(asked, MeasureExpectation):
            measured = asked.measured(rows)
            return Verdict(check.name, passed, message, mend, measured, tidy(asked.limit))
        return Verdict(check.name, passed, message, mend)
    return Verdict(check.name, passed, sentence(check, answer), mend)
