"""Print what a person reads: tables on stdout, progress on stderr, or one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

from flows.outcome import RunOutcome, number
from stepdown.errors import StepdownError
from stepdown.plain_words import counted


def note(what: str) -> None:
    """One line for people on stderr, beside whatever the command prints."""
    print(what, file=sys.stderr, flush=True)  # noqa: T201


def failure(error: StepdownError, as_json: bool) -> None:
    """The error as JSON on stdout, or as sentences on stderr."""
    if as_json:
        document(error.as_json())
    else:
        print(f"{error.kind}: {error}", file=sys.stderr)  # noqa: T201


def document(facts: Any) -> None:
    """One JSON document and nothing else."""
    print(json.dumps(facts, indent=1, ensure_ascii=False, default=str))  # noqa: T201


def outcome(run: RunOutcome, work: Any, store: str, as_json: bool) -> None:
    """The table of releases after a run or a plan, with every reason."""
    if as_json:
        document(run.as_json())
        return
    columns = ["tier", "state", "rows", "columns", "smallest class", "highest risk", "loss"]
    table(run.dataset, columns, [[row[name] for name in columns] for row in run.table])
    if any(end.columns_above != end.columns_kept for end in run.ends.values()):
        line("Loss is over the quasi-identifiers kept (of all); a dropped one is not in it.")
    if run.shares:
        line("Recoded locally (level 0 is the value untouched):")
        for shares in run.shares:
            line(f"  {shares}")
    for sentence in run.rechecked.sentences if run.rechecked else ():
        line(sentence)
    for name, end in run.ends.items():
        if end.without_consent:
            causes = ", ".join(f"{rows:,} {why}" for why, rows in end.without_consent.items())
            line(f"{name}: records left out by the consent register: {causes}")
        if end.held_back:
            line(
                f"{name}: {counted(end.held_back, 'record')} held back, so that subtracting the "
                "version before isolates nobody"
            )
        for why in (*end.forced, *end.weakened):
            line(f"{name}: {why}")
    for told in (*run.repeated, *run.nobodys, *run.attacked):
        line(told)
    for reason in [*run.stops, *run.waits]:
        line(reason)
    for warning in run.warnings:
        line(f"Warning: {warning}")
    for name, end in run.tiers.items():
        if end.frontier and (end.stopped or end.state.startswith("would_")):
            _frontier(name, end.frontier)
    waiting = [end.release for end in run.ends.values() if end.state == "awaiting_approval"]
    if waiting:
        line("")
        line("Look, then sign with `stepdown approve`:")
        for release in waiting:
            line(f"  stepdown show {release} --work {work} --store {store}")
    pages = {name: end.steward_report for name, end in run.ends.items() if end.steward_report}
    if pages:
        line("")
        line("Everything that was measured, for the steward's eyes only:")
        for name, page in pages.items():
            line(f"  {name}: {page}")


def _frontier(tier: str, points: list[dict[str, Any]]) -> None:
    """What other policies of a tier would come to: risk against loss."""
    rows = [
        [
            point["name"] + (" (chosen)" if point["chosen"] else ""),
            number(point["smallest_class"]),
            _percent(point["average_risk"]),
            "–" if point["information_loss"] is None else f"{point['information_loss']:.3f}",
            _percent(point["suppressed_share"]),
        ]
        for point in points
    ]
    heads = ["policy", "smallest class", "average risk", "loss", "suppressed"]
    table(f"{tier}: other policies, the safest first", heads, rows)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"


def checked(loaded: Any, summary: Any, as_json: bool, foreseen: Sequence[Any] = ()) -> None:
    """That config and source fit together, what the columns are, and what a run may refuse."""
    config = loaded.config
    facts = {
        "dataset": config.dataset,
        "files": summary.files,
        "rows": summary.rows,
        "rejected": summary.rejected,
        "columns": {
            name: {
                "role": column.role.value,
                "type": column.type.value,
                "missing": summary.missing[name],
            }
            for name, column in config.columns.items()
        },
        "missing": {"applied": summary.missing_texts, "likely": summary.likely},
        "tiers": [tier.value for tier in config.tier_names()],
        "foreseen": [
            {
                "tier": each.tier.value,
                "columns": list(each.columns),
                "message": each.message,
                "remedy": each.remedy,
            }
            for each in foreseen
        ],
    }
    if as_json:
        document(facts)
        return
    files = f" in {summary.files:,} files" if summary.files > 1 else ""
    table(
        f"{config.dataset}: {counted(summary.rows, 'row')}{files}, {summary.rejected:,} rejected",
        ["column", "role", "type", "missing"],
        [[name, c["role"], c["type"], f"{c['missing']:,}"] for name, c in facts["columns"].items()],
    )
    _missing(facts["missing"], "source.missing, or a column's `missing:`,")
    for each in foreseen:
        line(f"May be refused, unless those records are suppressed: {each}")
    line("The config is valid and fits its source.")


def releases(listed: list[dict[str, Any]], as_json: bool) -> None:
    """Every release and its state."""
    if as_json:
        document(listed)
        return
    if not listed:
        line("No releases yet. Run: stepdown run CONFIG")
        return
    table(
        "releases",
        ["release", "state", "rows", "columns"],
        [
            [
                "/".join(
                    part for part in (r["dataset"], r["tier"], r["recipient"], r["version"]) if part
                ),
                ", ".join([str(r["state"]).replace("_", " "), *r["flags"]]),
                number(r["rows"]),
                str(len(r["columns"] or [])),
            ]
            for r in listed
        ],
    )


def verified(result: dict[str, Any], as_json: bool) -> None:
    """Whether a release is what its manifest says."""
    if as_json:
        document(result)
        return
    for problem in result["problems"]:
        line(f"✗ {problem}")
    for skipped in result["not_checked"]:
        line(f"– not checked: {skipped}")
    line(
        f"{result['release']}: {'every check passed' if result['ok'] else 'NOT what was published'}"
    )


def standing(after: Any, as_json: bool) -> None:
    """Where a release stands after a decision."""
    facts(
        {
            "release": after.release,
            "state": after.state.value,
            "waiting_for": list(after.waiting_for),
            "next": next_step(after),
        },
        as_json,
    )


def next_step(after: Any) -> str:
    """The command that comes after a decision about a release."""
    release, state, waiting_for = after.release, after.state.value, after.waiting_for
    which = f" --candidate {after.candidate}" if after.candidate > 1 else ""
    if state == "published":
        return f"stepdown verify {release}"
    if state != "awaiting_approval":
        return "change the config or the source, then run it again: stepdown run CONFIG"
    for need in waiting_for:
        role = need.removeprefix("approval as ").split(" ")[0]
        if need.startswith("approval as "):
            return f"stepdown approve {release} --role {role} --key KEY{which}"
    parents = [need.split(" ")[2].rstrip(",") for need in waiting_for if need[:10] == "its parent"]
    return f"stepdown show {parents[0] if parents else release}"


def facts(found: dict[str, Any], as_json: bool) -> None:
    """One thing and its properties."""
    if as_json:
        document(found)
        return
    for name, value in found.items():
        if isinstance(value, list | tuple):
            line(f"{name}:" + ("" if value else " –"))
            for item in value:
                line(f"  {_flat(item)}")
        elif isinstance(value, dict):
            line(f"{name}: {_flat(value)}")
        else:
            line(f"{name}: {_flat(value)}")


def anonymised(result: dict[str, Any], as_json: bool) -> None:
    """Levels, loss and classes of one anonymised table; on stderr what became of other columns."""
    _columns_without_a_role(result["left_out"], result["kept"])
    if as_json:
        document(result)
        return
    if result["levels"] is None:
        line("share of the cells on each level:")
        for name, shares in result["level_shares"].items():
            levels = ", ".join(f"{level}: {share:.1%}" for level, share in shares.items())
            line(f"  {name}  {levels}")
        proof = f"no local recoding is more than {result['gap']:.4f} better"
    else:
        levels = ", ".join(f"{name} {level}" for name, level in result["levels"].items())
        line(f"levels: {levels}")
        proof = "proven best" if result["proven"] else f"at most {result['gap']:.4f} from the best"
        proof += f"; {result['nodes_checked']:,} of {result['lattice_size']:,} nodes checked"
    line(f"loss {result['score']:.6f} ({proof})")
    line(
        f"{counted(result['classes'], 'class', 'classes')}, the smallest of "
        f"{result['smallest_class']:,}; {counted(result['suppressed_rows'], 'row')} suppressed"
    )
    if "hierarchies" in result["notes"]:
        line(f"– hierarchies {result['notes']['hierarchies']}")
    _missing(result["missing"], "--missing TEXT")


def _missing(found: dict[str, Any], where: str) -> None:
    """Which cells count as missing, and which look as if they should."""
    line(f"missing: {found['applied']}")
    from stepdown.tables.missing import likely_in_words

    if likely := likely_in_words(found["likely"]):
        line(likely)
        line(f"  {where} says which texts mean 'no value'.")


def _listed(names: list[str], most: int = 30) -> str:
    shown = ", ".join(name or "(a column without a name)" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def _columns_without_a_role(left_out: list[str], kept: list[str]) -> None:
    if left_out:
        note(
            f"left out: {_listed(left_out)}\n"
            "  (only --qi and --sensitive are written; --keep lets another column through as it "
            "is, but never the subject)"
        )
    if kept:
        note(
            f"kept as they are, since --keep names them: {_listed(kept)}\n"
            "  (no privacy model looks at them)"
        )


def assessed(result: dict[str, Any], as_json: bool) -> None:
    """Risk measures of one file."""
    if as_json:
        document(result)
        return
    from flows.risk_tables import risk_tables

    records = counted(result["records"], "record")
    people = f" of {counted(result['subjects'], 'person', 'people')}"
    people = "" if result["subjects"] == result["records"] else people
    line(f"{records}{people} in {counted(result['classes'], 'class', 'classes')}")
    for title, columns, rows in risk_tables(result):
        # A title of its own line: a table narrower than its title would fold it.
        line(f"\n{title}")
        table("", columns, rows, right=columns[1:])
    for what, why in result["notes"].items():
        line(f"– {what}: {why}")
    _missing(result["missing"], "--missing TEXT")


def table(title: str, columns: list[str], rows: list[list[str]], right: Sequence[str] = ()) -> None:
    """A table on stdout."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    numeric = {"rows", "columns", "smallest class", "highest risk", "loss", "missing", *right}
    shown = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    shown.padding = (0, 0)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in numeric else "left"
        shown.add_column(column, justify=justify, overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console(highlight=False, markup=False).print(shown)


def line(text: str) -> None:
    """A line on stdout."""
    print(text)  # noqa: T201


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return "–" if value is None else str(value)
