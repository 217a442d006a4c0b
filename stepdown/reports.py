"""Report what was measured and decided: numbers and column names, never a record's value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from stepdown.vocabulary import RecodingKind, Tier


def stable(value: float) -> float:
    """Ten digits: threads add in any order, and a report must be the same bytes every time."""
    return float(f"{value:.10g}") + 0.0  # no −0


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
        without_consent: what the consent register says → rows lost to it.
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
        held_back: rows kept out because too few came, or left, since an earlier version.
        lost_to_period: rows whose period an earlier version has covered.
        earlier: addresses of the versions published before that were looked at.
        parent_lineage_sha256: of the lineage of the parent's data file; empty where that is the
            snapshot.
        snapshot_sha256: of the pinned source whose rows the lineage names.
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
    without_consent: dict[str, int] = field(default_factory=dict)
    held_back: int = 0
    lost_to_period: int = 0
    earlier: list[str] = field(default_factory=list)
    snapshot_sha256: str = ""
    parent_lineage_sha256: str = ""

    def levels_of(self, column: str) -> tuple[int, ...]:
        """Every level that a label of the column is on, lowest first; () of an unknown column."""
        shares = self.level_shares.get(column)
        if shares is None:  # as reports were before a column could hold labels of several levels
            return (self.levels[column],) if column in self.levels else ()
        return tuple(level for level, share in enumerate(shares) if share > 0)


@dataclass(frozen=True)
class AttackResult:
    """What one attack got out of the written bytes.

    Args:
        attack: its name, the one under which a tier's policy limits it.
        measured: the figure beside that limit, a share 0–1; for attacks that are compared with a
            control, (success − control) / (1 − control) and at least 0.
        attempts: targets, guesses or groups that were tried; 0 where there was nothing to attack.
        successes: how many of them were right; None where the attack does not count.
        column: the column it is about; empty where it is about the table.
        against: address of the other release that the intruder holds; empty where there is none.
        interval: 95 % interval of ``measured``; None where every target was tried.
        control: success share of the same attack on people who are not in the file, or of a guess.
        note: why there was nothing to attack, or what the figure says: names and counts only.
        columns: the columns that make it succeed, those that matter most first, where it is known.
    """

    attack: str
    measured: float
    attempts: int
    successes: int | None = None
    column: str = ""
    against: str = ""
    interval: tuple[float, float] | None = None
    control: float | None = None
    note: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttackReport:
    """Every attack on one file, and on it together with what was released before.

    Args:
        sha256: of the data file this is about.
        results: one entry per attack, column and other release.
        compared_with: addresses of the earlier and other releases that were held beside it.
    """

    sha256: str
    results: tuple[AttackResult, ...]
    compared_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Persisting:
    """Columns whose values hold the rows of one holder together, as an id would.

    Args:
        of: ``subject`` or ``household``.
        holders: those with several rows in the file.
        held: those of them whose rows agree in these columns, with values that fewer than k have.
    """

    of: str
    columns: tuple[str, ...]
    holders: int
    held: int

    @property
    def share(self) -> float:
        """Of the holders with several rows, those who are held together."""
        return self.held / self.holders if self.holders else 0.0


@dataclass(frozen=True)
class RareValues:
    """Who holds the values of one released column.

    Args:
        values: distinct values, missing cells aside.
        holders: of the rarest value: data subjects, or households where those are fewer and the
            column is constant in households; 0 where it has no value.
        households: whether households were counted.
        subjects: people in the file; alone: those who, with their household at most, are the only
            ones who hold their value; few: those whose value fewer than k hold, these included.
        kind: what a text column's values are: ``date``, ``number`` or nothing known.
        too_fine: ``day`` or the unit of dates that are finer than this tier may have, though the
            config does not call them dates.
        remedy: the finest treatment that would pass, in the config's words; empty where none is
            needed.
        override: why the config lets it stand.
    """

    column: str
    values: int
    holders: int
    households: bool
    subjects: int
    alone: int = 0
    few: int = 0
    kind: str = ""
    too_fine: str = ""
    remedy: str = ""
    override: str = ""


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
        household_expected_reidentifications: Σ over members of 1 − Π(1 − r); where no id is kept
            but values hold members together, of those households. None without households.
        household_linkable: whether members can be linked in this file.
        smallest_trajectory_class: subjects, or households, that share their multiset of rows,
            smallest; None where the file keeps no id, nor values that stand in for one.
        lone_trajectories: those whose trajectory class is smaller than the policy's k.
        distinct_l, t: sensitive column → worst class.
        nested: every value equals or generalises the parent's, every row is the parent's.
        residue: cells in which the residue check found a withheld identifier.
        insensitive_problems: columns that are called insensitive and could point at somebody.
        persisting: columns that stand in for an id of people or households, most held first.
        rare_values: who holds the values of each column that is not rekeyed; None where nobody
            asked, as at internal.
        alone_share: data subjects who are alone on quasi-identifiers and insensitive columns
            together; None where nobody asked. alone_without: a smallest set of columns without
            which few enough are, where they are too many.
        attacks: what came of them; None where they were not run, which refuses a release.
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
    persisting: tuple[Persisting, ...] = ()
    rare_values: tuple[RareValues, ...] | None = None
    alone_share: float | None = None
    alone_without: tuple[str, ...] = ()
    attacks: AttackReport | None = None


@dataclass(frozen=True)
class ColumnUtility:
    """How far one column's distribution moved; None where the distance does not apply.

    Args:
        kind: ``number``, ``date`` or ``category``.
        hellinger: distance of the distributions, 0–1. wasserstein: in the column's units over its
            range above, 0–1. mean_change, variance_change: relative to the column above.
        missing_above, missing: share of missing cells. suppressed_cells: cells made missing.
        before, after: shares over the same bins or labels, for the report's charts.
        bins: the labels of those bins, generalised values of this tier only.
    """

    kind: str
    hellinger: float | None = None
    wasserstein: float | None = None
    mean_change: float | None = None
    variance_change: float | None = None
    il1s: float | None = None
    missing_above: float = 0.0
    missing: float = 0.0
    suppressed_cells: int = 0
    bins: tuple[str, ...] = ()
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()


@dataclass(frozen=True)
class UtilityReport:
    """What the protection cost a file's readers, against the tier above.

    Args:
        sha256: of the data file this is about.
        information_loss: loss → value, for each of the losses that a search can make least.
        il1s: of the numbers, scaled by √2 standard deviations of the column above.
        correlation_change, cramers_v_change: mean absolute change over pairs of columns.
        records_above, records: rows of the tier above and of this one.
        notes: what was left out of a figure: column names and counts only.
    """

    sha256: str
    records_above: int
    records: int
    columns: dict[str, ColumnUtility]
    information_loss: dict[str, float] = field(default_factory=dict)
    il1s: float | None = None
    correlation_change: float | None = None
    cramers_v_change: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReleasedRows:
    """Count what a stranger can count in the file itself, from nothing but its rows.

    Args:
        sha256: of the data file this is about.
        classes: combinations of the quasi-identifiers. smallest_class: the rarest one's records.
        class_sizes: band of class sizes, in records (``1``, ``2``, ``3–4``, …) → records.
        columns: column → its distribution; no distance, and nothing before.
    """

    sha256: str
    rows: int
    classes: int
    smallest_class: int
    class_sizes: dict[str, int]
    columns: dict[str, ColumnUtility]


@dataclass(frozen=True)
class FrontierPoint:
    """One policy a tier could have, with the risk and loss it would give.

    Args:
        name: ``k = 5``, or the name of an alternative in the config.
        chosen: whether it is the tier's own policy.
        feasible: whether any recoding meets it; the figures are None where none does.
        note: why it was not tried (``feasible`` then says nothing), or what the gate would refuse.
    """

    name: str
    chosen: bool
    feasible: bool
    smallest_class: int | None = None
    average_risk: float | None = None
    highest_risk: float | None = None
    information_loss: float | None = None
    suppressed_share: float | None = None
    note: str = ""


@dataclass(frozen=True)
class NextStep:
    """One change of the config that would make a refused tier pass.

    Args:
        change: in words, with column names, levels and thresholds: ``clinic: level 1 → 2``.
        information_loss, suppressed_share: what the tier would then have.
    """

    change: str
    information_loss: float
    suppressed_share: float
    column: str = ""
    level: int | None = None


CLASS_BANDS = {
    "1": 1,
    "2": 2,
    "3–4": 3,
    "5–10": 5,
    "11–19": 11,
    "20–49": 20,
    "50–99": 50,
    "100+": 100,
}
"""Bands of class sizes, and where each begins."""


@dataclass(frozen=True)
class Exposure:
    """Where the risk of a file comes from.

    Args:
        class_sizes, class_sizes_above: band of class sizes (``1``, ``2``, ``3–4``, …) → records, in
            this file and in the tier above on the same columns.
        column_contributions: quasi-identifier → its share of what makes records of the tier above
            unique, 0–1.
        smallest_groups: the most exposed classes, as released: column → label, and their size. For
            the steward; published only where the tier's own k is met.
    """

    class_sizes: dict[str, int]
    class_sizes_above: dict[str, int]
    column_contributions: dict[str, float] = field(default_factory=dict)
    smallest_groups: tuple[tuple[dict[str, str | None], int], ...] = ()


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
    """Everything known about one candidate, bound to the hash of its data.

    Args:
        forced: which demand takes which quasi-identifier to its top level; the steward's.
        weakened: what the config asks for less than that of the version before; the steward's.
    """

    dataset: str
    tier: Tier
    recipient: str | None
    sha256: str
    derive: DeriveReport
    risk: RiskReport
    verdicts: tuple[Verdict, ...] = field(default=())
    attacks: AttackReport | None = None
    utility: UtilityReport | None = None
    exposure: Exposure | None = None
    frontier: tuple[FrontierPoint, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    released: ReleasedRows | None = None
    forced: tuple[str, ...] = ()
    weakened: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain types for report.json."""
        return asdict(self)
