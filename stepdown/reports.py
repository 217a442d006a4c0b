"""What was measured and what was decided: numbers and column names, never a value of a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from stepdown.vocabulary import RecodingKind, Tier


@dataclass(frozen=True)
class DeriveReport:
    """What making a tier from its parent did.

    Args:
        sha256: of the data file this is about.
        parent_sha256: of the parent's data file (the snapshot for internal).
        rows: rows written. parent_rows: rows the parent has.
        levels: level of every released quasi-identifier in its hierarchy; the lowest of its cells.
        top_levels: the highest level of each of those hierarchies.
        dropped_columns: column → the rule that dropped it.
        suppressed_records: rows dropped by the privacy models.
        lost_to_consent, lost_to_rows_per_subject: rows dropped by those rules.
        suppressed_cells: column → cells made missing.
        surrogate_pools: surrogate kind → SHA-256 of the pool its values were drawn from.
        information_loss: 0 is perfect, 1 is nothing left; of released quasi-identifiers, against
            raw.
        lattice_size, nodes_checked, proven, gap: how the levels were found (0, 0, True, 0.0 where
            there was nothing to search). Local recoding checks no node, and its gap is the one to a
            loss that no local recoding can go below.
        recoding: how the tier was asked to recode.
        level_shares: quasi-identifier → share of its cells on level 0, 1, … The exact cut: it stays
            with the steward.
    """

    sha256: str
    parent_sha256: str
    rows: int
    parent_rows: int
    levels: dict[str, int]
    top_levels: dict[str, int]
    dropped_columns: dict[str, str]
    suppressed_records: int
    lost_to_consent: int
    lost_to_rows_per_subject: int
    suppressed_cells: dict[str, int]
    information_loss: float
    lattice_size: int
    nodes_checked: int
    proven: bool
    gap: float
    surrogate_pools: dict[str, str] = field(default_factory=dict)
    recoding: RecodingKind = "full-domain"
    level_shares: dict[str, list[float]] = field(default_factory=dict)

    def levels_of(self, column: str) -> tuple[int, ...]:
        """Every level that a label of the column is on, lowest first; () of an unknown column."""
        shares = self.level_shares.get(column)
        if shares is None:  # as reports were before a column could hold labels of several levels
            return (self.levels[column],) if column in self.levels else ()
        return tuple(level for level, share in enumerate(shares) if share > 0)


@dataclass(frozen=True)
class RiskReport:
    """What an intruder could do with a file, measured on its bytes.

    Class measures count distinct data subjects. A measure is None where nothing asks for it:
    ``l`` and ``t`` have one entry per sensitive column that the file holds.

    Args:
        sha256: of the data file this is about.
        smallest_class: over records, missing as a value of its own.
        smallest_class_wildcard: the same with missing cells matching everything.
        highest_risk: 1 / smallest_class.
        average_risk: mean over records of 1 / class size.
        expected_reidentifications: Σ individual risk over records, weighted where a weight is
            declared.
        expected_reidentifications_share: the same per record.
        household_expected_reidentifications: Σ over members of 1 − Π(1 − r); None without
            households.
        household_linkable: whether members can be linked in this file.
        smallest_trajectory_class: subjects, or households, that share their multiset of rows,
            smallest; None where the file keeps no id that persists over rows.
        lone_trajectories: those whose trajectory class is smaller than the policy's k.
        distinct_l, t: sensitive column → worst class.
        nested: every value equals or generalises the parent's, every row is the parent's.
        residue: cells in which the residue check found a withheld identifier.
        insensitive_problems: columns that are called insensitive and could point at somebody.
    """

    sha256: str
    rows: int
    subjects: int
    classes: int
    smallest_class: int
    smallest_class_wildcard: int
    highest_risk: float
    average_risk: float
    expected_reidentifications: float
    expected_reidentifications_share: float
    household_expected_reidentifications: float | None
    household_linkable: bool
    smallest_trajectory_class: int | None
    lone_trajectories: int | None
    distinct_l: dict[str, int]
    t: dict[str, float]
    nested: bool
    nesting_problems: tuple[str, ...]
    residue: int
    residue_problems: tuple[str, ...]
    insensitive_problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One check's answer.

    Args:
        check: name of the check, the same in every run.
        passed: False refuses the release.
        message: one sentence with the numbers; column names, counts and thresholds only.
        next: what would make it pass.
        measured, limit: the two sides of the comparison, where the check compares.
    """

    check: str
    passed: bool
    message: str
    next: str = ""
    measured: float | int | str | None = None
    limit: float | int | str | None = None


@dataclass(frozen=True)
class TierReport:
    """Everything known about one candidate, bound to the hash of its data."""

    dataset: str
    tier: Tier
    recipient: str | None
    sha256: str
    derive: DeriveReport
    risk: RiskReport
    verdicts: tuple[Verdict, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Plain types for report.json."""
        return asdict(self)
