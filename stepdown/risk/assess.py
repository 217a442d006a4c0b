"""Measure a candidate: what an intruder could do with the bytes that were written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, ReleaseConfig, tier_policy, treatment_of
from stepdown.config.policy import persisting_share
from stepdown.config.treatments import Surrogate
from stepdown.engine.session import Session, open_session, quote
from stepdown.reports import Persisting, RiskReport, stable
from stepdown.risk.classes.alone import columns_to_drop, share_alone
from stepdown.risk.classes.classes import ClassTable, Ints, build_classes
from stepdown.risk.classes.persisting import find_persisting, held_sharers
from stepdown.risk.classes.wildcard import smallest_wildcard_class
from stepdown.risk.leaks.insensitive import insensitive_problems
from stepdown.risk.leaks.nesting import nesting_problems
from stepdown.risk.leaks.residue import find_residue
from stepdown.risk.measures.bins import BINNED, BINS, DATED, sensitive_bin
from stepdown.risk.measures.class_models import (
    ClassValues,
    equal_distances,
    least_telling_l,
    ranked_distance,
)
from stepdown.risk.measures.harmless import is_harmless
from stepdown.risk.measures.households import household_expected_reidentifications
from stepdown.risk.measures.individual import class_risk, prosecutor_risk
from stepdown.risk.measures.rare_in_candidate import rare_values
from stepdown.risk.measures.trajectories import trajectory_class_sizes
from stepdown.vocabulary import Role, Tier


def assess_risk(
    candidate: Candidate,
    parent: ArtifactRef,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    scratch: str | Path | None = None,
    *,
    scale: ArtifactRef | None = None,
) -> RiskReport:
    """What an intruder could do with a candidate, measured on its written bytes.

    Where a class measure has no record to measure it fails closed: a smallest class of 0, a risk
    and a t of 1, an l of 0.

    Args:
        candidate: the file, its lineage and its hierarchies.
        parent: the data file of the tier above (the snapshot for internal, the base for a copy).
        snapshot: the pinned source.
        loaded: the dataset's config.
        scratch: folder in which the engine may spill.
        scale: the file between whose extremes numeric sensitive columns are binned; default the
            parent. A copy is binned like its base: between the extremes of the internal file.

    Raises:
        StoreCorrupt: a file is gone or no longer the one that was written.
    """
    for ref in (candidate.data, candidate.lineage, candidate.hierarchies, parent, snapshot):
        check_bytes(ref)
    config = loaded.config
    problems = nesting_problems(candidate, parent, snapshot, loaded, scratch)
    residue = find_residue(candidate, snapshot, loaded, scratch)
    with open_session(scratch) as session:
        _attach(session, candidate, parent, snapshot)
        session.attach_parquet("scale", check_bytes(scale or parent))
        table = _Released.of(candidate, config)
        session.run(table.record_view(config))
        classes = build_classes(session, table.names(config, Role.QUASI_IDENTIFIER))
        risk = class_risk(classes)
        share = classes.mean_over_records(risk)
        households = config.name(Role.HOUSEHOLD) is not None
        k = tier_policy(config, candidate.tier).smallest_class
        persisting = table.persisting(session, config, k)
        by_value = not table.names(config, Role.HOUSEHOLD)
        linked = by_value and any(each.of == "household" for each in persisting)
        trajectories = table.trajectories(session, config, persisting)
        quasi_identifiers = table.names(config, Role.QUASI_IDENTIFIER)
        return RiskReport(
            sha256=candidate.data.sha256,
            rows=classes.record_count,
            subjects=_count(session, "SELECT count(DISTINCT subject) FROM member"),
            classes=len(classes.subjects),
            smallest_class=classes.smallest(),
            smallest_class_wildcard=smallest_wildcard_class(session, classes, quasi_identifiers),
            highest_risk=_highest_risk(classes),
            average_risk=stable(classes.mean_over_records(prosecutor_risk(classes.subjects))),
            expected_reidentifications=stable(share * classes.record_count),
            expected_reidentifications_share=stable(share),
            household_expected_reidentifications=(
                stable(household_expected_reidentifications(session, risk, held_only=linked))
                if households
                else None
            ),
            household_linkable=linked or (households and not by_value),
            smallest_trajectory_class=(
                None if trajectories is None else int(min(trajectories, default=0))
            ),
            lone_trajectories=(None if trajectories is None else int(np.sum(trajectories < k))),
            distinct_l=_distinct_l(session, table, config),
            t={name: stable(t) for name, t in _t(session, table, config).items()},
            nested=not problems,
            nesting_problems=problems,
            residue=residue.cells,
            residue_problems=residue.problems,
            insensitive_problems=insensitive_problems(session, table.insensitive(config)),
            persisting=persisting,
            rare_values=rare_values(session, candidate, parent, config, table.judged(config)),
            **_alone(session, table, config),
        )


@dataclass(frozen=True)
class _Released:
    """The columns that the written file holds; column i of it is ``c<i>`` in ``record``."""

    candidate: Candidate
    columns: list[str]

    @classmethod
    def of(cls, candidate: Candidate, config: ReleaseConfig) -> _Released:
        held = pq.read_schema(candidate.data.path).names
        return cls(candidate, [name for name in held if name in config.columns])

    def alias(self, name: str) -> str:
        return f"c{self.columns.index(name)}"

    def names(self, config: ReleaseConfig, role: Role) -> list[str]:
        return [self.alias(name) for name in self.columns if config.columns[name].role is role]

    def insensitive(self, config: ReleaseConfig) -> dict[str, str]:
        """The insensitive columns that must prove it: below internal, without an override."""
        if self.candidate.tier is Tier.INTERNAL:
            return {}
        return {
            name: self.alias(name)
            for name in self.columns
            if config.columns[name].role is Role.INSENSITIVE and not config.columns[name].override
        }

    def judged(self, config: ReleaseConfig) -> dict[str, str]:
        """Every column that is not rekeyed: a reader sees what it says of a person."""
        return {name: self.alias(name) for name in self.columns if not self._rekeyed(config, name)}

    def record_view(self, config: ReleaseConfig) -> str:
        """SQL of ``record``: every written row with its subject, household and sampling weight.

        Household and weight come from the snapshot, so that neither dropping nor rounding them
        changes how many people of the population a record stands for.
        """
        household, weight = config.name(Role.HOUSEHOLD), config.name(Role.WEIGHT)
        parts = [
            "data.file_row_number AS row",
            "lineage.subject AS subject",
            f"snapshot.{quote(household)} AS household" if household else "NULL AS household",
            f"snapshot.{quote(weight)}::DOUBLE AS weight" if weight else "NULL::DOUBLE AS weight",
            *(f"data.{quote(name)} AS {self.alias(name)}" for name in self.columns),
        ]
        # A row without lineage stays, with an unknown subject: it must not shrink what is measured.
        return (
            f"CREATE OR REPLACE TEMP TABLE record AS SELECT {', '.join(parts)} FROM data "
            "LEFT JOIN lineage ON lineage.row = data.file_row_number "
            "LEFT JOIN snapshot ON snapshot.file_row_number = lineage.source_row"
        )

    def keeps_an_id(self, config: ReleaseConfig) -> bool:
        """Whether a column holds a subject's rows together."""
        return any(
            config.columns[name].role is Role.SUBJECT
            or (config.columns[name].role is Role.DIRECT_IDENTIFIER and self._rekeyed(config, name))
            for name in self.columns
        )

    def persisting(self, session: Session, config: ReleaseConfig, k: int) -> tuple[Persisting, ...]:
        """What stands in for an id that the file does not keep: of people, of households."""
        columns = {
            name: self.alias(name)
            for name in self.columns
            if config.columns[name].role not in (Role.SUBJECT, Role.HOUSEHOLD)
            and not self._rekeyed(config, name)
        }
        # Where a tier asks for no class size, a value is rare if one alone has it.
        few = max(k, 2)
        found: tuple[Persisting, ...] = ()
        if not self.keeps_an_id(config):
            found += find_persisting(session, "subject", columns, few)
        if config.name(Role.HOUSEHOLD) and not self.names(config, Role.HOUSEHOLD):
            found += find_persisting(session, "household", columns, few)
        return found

    def trajectories(
        self, session: Session, config: ReleaseConfig, persisting: tuple[Persisting, ...]
    ) -> Ints | None:
        """How many share the rows of each holder of an id, or of values that stand in for one.

        None where the file keeps neither.
        """
        sharers = []
        if self.keeps_an_id(config):
            sharers.append(np.repeat(*[trajectory_class_sizes(session)] * 2))
        elif any(
            each.of == "subject" and each.share > persisting_share(self.candidate.tier)
            for each in persisting
        ):
            sharers.append(held_sharers(session))
        if self.names(config, Role.HOUSEHOLD):
            sharers.append(np.repeat(*[trajectory_class_sizes(session, "household")] * 2))
        return np.concatenate(sharers) if sharers else None

    def _rekeyed(self, config: ReleaseConfig, name: str) -> bool:
        treatment = treatment_of(config, name, self.candidate.tier)
        return treatment == "pseudonym" or isinstance(treatment, Surrogate)


def _attach(
    session: Session, candidate: Candidate, parent: ArtifactRef, snapshot: ArtifactRef
) -> None:
    session.attach_parquet("data", candidate.data.path)
    session.attach_parquet("lineage", candidate.lineage.path)
    session.attach_parquet("parent", parent.path)
    session.attach_parquet("snapshot", snapshot.path)
    session.attach_parquet("hierarchies", candidate.hierarchies.path)


def _alone(session: Session, table: _Released, config: ReleaseConfig) -> dict[str, Any]:
    """Who is alone on quasi-identifiers and insensitive columns; the columns that make it so."""
    tier = table.candidate.tier
    if tier is Tier.INTERNAL:
        return {}
    limit = tier_policy(config, tier).alone_share
    quasi = table.names(config, Role.QUASI_IDENTIFIER)
    beside = {
        name: table.alias(name)
        for name in table.columns
        if config.columns[name].role is Role.INSENSITIVE and not config.columns[name].override
    }
    share = share_alone(session, [*quasi, *beside.values()])
    without = columns_to_drop(session, quasi, beside, limit) if share > limit else ()
    return {"alone_share": stable(share), "alone_without": without}


def _highest_risk(classes: ClassTable) -> float:
    smallest = classes.smallest()
    return 1 / smallest if smallest else 1.0


def _count(session: Session, sql: str) -> int:
    return int(str(session.scalar(sql)))


def _distinct_l(session: Session, table: _Released, config: ReleaseConfig) -> dict[str, int]:
    measures = {}
    for name in _sensitive(table, config):
        column = config.columns[name]
        bins = _bins(session, table, config, name) if column.type in BINNED else None
        harmless = is_harmless(table.alias(name), column.not_sensitive, column.type)
        pairs = ClassValues.counted(session, bins or table.alias(name), harmless)
        measures[name] = least_telling_l(pairs)
    return measures


def _t(session: Session, table: _Released, config: ReleaseConfig) -> dict[str, float]:
    measures = {}
    for name in _sensitive(table, config):
        column = config.columns[name]
        if column.type in (*BINNED, *DATED):
            bins = _bins(session, table, config, name)
            pairs = ClassValues.counted(session, bins, is_rank=True)
            found = ranked_distance(pairs, BINS)
        else:
            harmless = is_harmless(table.alias(name), column.not_sensitive, column.type)
            pairs = ClassValues.counted(session, table.alias(name), harmless)
            found = float(equal_distances(pairs).max(initial=0.0))
        measures[name] = found if len(pairs.sizes) else 1.0
    return measures


def _sensitive(table: _Released, config: ReleaseConfig) -> list[str]:
    return [name for name in table.columns if config.columns[name].role is Role.SENSITIVE]


def _bins(session: Session, table: _Released, config: ReleaseConfig, name: str) -> str:
    return sensitive_bin(session, table.alias(name), name, config, table.candidate.tier)
