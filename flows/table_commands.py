"""Define the commands on one table, without a config: ``anonymise`` and ``assess``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows import arguments, console
from flows.arguments import AsJson, Delimiter, Encoding, Missing, Table, TimeZone
from flows.progress import progress

if TYPE_CHECKING:
    from stepdown.tables import Form

MODELS: Any = {"rich_help_panel": "What every class must satisfy"}
"""Where `anonymise --help` lists an option."""

COMPARED: Any = {"rich_help_panel": "What the file is compared with"}
"""Where `assess --help` lists an option."""


def anonymise(
    file: Table,
    qi: Annotated[str, typer.Option(help="Quasi-identifiers, comma-separated.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to write; .csv or .parquet.")
    ],
    hierarchies: Annotated[
        Path | None, typer.Option(help="Folder of <column>.csv or *_hierarchy_<column>.csv.")
    ] = None,
    k: Annotated[int, typer.Option("--k", help="Smallest class, in data subjects.", **MODELS)] = 1,
    sensitive: Annotated[
        str, typer.Option(help="Sensitive columns, comma-separated.", **MODELS)
    ] = "",
    l: Annotated[  # noqa: E741
        float, typer.Option("--l", help="Diversity of the sensitive values.", **MODELS)
    ] = 1.0,
    l_kind: Annotated[
        Literal["distinct", "entropy", "recursive"],
        typer.Option(help="What l counts: values, exp(entropy), or (c, l).", **MODELS),
    ] = "distinct",
    c: Annotated[float, typer.Option("--c", help="c of recursive (c, l).", **MODELS)] = 4.0,
    t: Annotated[float | None, typer.Option("--t", help="t-closeness, 0 to 1.", **MODELS)] = None,
    t_kind: Annotated[
        Literal["equal", "ordered", "hierarchical"],
        typer.Option(help="Distance of categories, of numbers, or in a hierarchy.", **MODELS),
    ] = "equal",
    delta: Annotated[float | None, typer.Option(help="delta-disclosure.", **MODELS)] = None,
    beta: Annotated[float | None, typer.Option(help="beta-likeness.", **MODELS)] = None,
    beta_kind: Annotated[
        Literal["basic", "enhanced"], typer.Option(help="Which beta-likeness.", **MODELS)
    ] = "basic",
    average_risk: Annotated[
        float | None, typer.Option(help="Mean of 1 / class size, at most.", **MODELS)
    ] = None,
    population: Annotated[
        Path | None, typer.Option(help="One row per person, with the same columns.", **MODELS)
    ] = None,
    k_map: Annotated[int, typer.Option(help="People of the population per class.", **MODELS)] = 1,
    delta_presence: Annotated[
        str, typer.Option(help="Least,most share of a class in the table.", **MODELS)
    ] = "",
    subject: Annotated[
        str | None,
        typer.Option(help="Column that names the person; it is never written.", **MODELS),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(help="Columns without a role to write as they are; the rest is left out."),
    ] = "",
    suppression: Annotated[float, typer.Option(help="Share of rows that may be dropped.")] = 0.0,
    loss: Annotated[
        Literal["loss", "arithmetic", "entropy", "aecs", "discernibility"],
        typer.Option(help="What is made least; loss is the geometric mean over columns."),
    ] = "loss",
    weights: Annotated[str, typer.Option(help="Weight of a column's loss: age=2,…")] = "",
    recoding: Annotated[
        Literal["full-domain", "local"],
        typer.Option(help="One level per column, or labels of its own for every class."),
    ] = "full-domain",
    budget: Annotated[float | None, typer.Option(help="Seconds the search may take.")] = None,
    missing: Missing = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    time_zone: TimeZone = None,
    json: AsJson = False,
) -> int:
    """Make one table k-anonymous, l-diverse, t-close, … at the least loss; no config needed."""
    from flows.without_pandas import keep_pandas_out

    keep_pandas_out()
    from stepdown.anonymise.tables.file import anonymise_file

    console.anonymised(
        anonymise_file(
            file,
            arguments.names(qi),
            arguments.privacy_models(
                k=k,
                diversity=(l_kind, l, c),
                t=t,
                delta=delta,
                beta=(beta_kind, beta),
                average_risk=average_risk,
                k_map=k_map,
                delta_presence=delta_presence,
            ),
            hierarchies=hierarchies,
            sensitive=arguments.names(sensitive),
            t_kind=t_kind,
            population=population,
            suppression=suppression,
            loss=loss,
            weights=arguments.weights(weights),
            subject=subject,
            keep=arguments.names(keep),
            recoding=recoding,
            budget_seconds=budget,
            form=arguments.form(delimiter, encoding, missing, time_zone),
            output=output,
            progress=(lambda what: None) if json else progress,
        ),
        json,
    )
    return 0


def assess(
    file: Table,
    qi: Annotated[str, typer.Option(help="Quasi-identifiers, comma-separated.")],
    sensitive: Annotated[str, typer.Option(help="Sensitive columns, comma-separated.")] = "",
    weight: Annotated[str | None, typer.Option(help="Sampling weight column.")] = None,
    household: Annotated[str | None, typer.Option(help="Household id column.")] = None,
    subject: Annotated[str | None, typer.Option(help="Column that names the person.")] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="The file's original: same records, same order.", **COMPARED),
    ] = None,
    population: Annotated[
        Path | None, typer.Option(help="One row per person, with the same columns.", **COMPARED)
    ] = None,
    sampling_fraction: Annotated[
        float | None,
        typer.Option(help="Share of the population in the file; else from weights.", **COMPARED),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Chance above which a record is at risk.")] = 0.2,
    exact: Annotated[
        bool, typer.Option("--exact", help="Individual risk by its exact series for f ≥ 3.")
    ] = False,
    suda_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Columns in the largest set searched for special uniques; default all."
        ),
    ] = None,
    suda_weighting: Annotated[
        Literal["factorial", "product", "ihsn"],
        typer.Option(help="How a special unique counts by its size; sdcMicro's, or IHSN's."),
    ] = "factorial",
    missing: Missing = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    json: AsJson = False,
) -> int:
    """Measure the re-identification risk of any file; no config needed."""
    from flows.without_pandas import keep_pandas_out

    keep_pandas_out()
    from stepdown.risk.file import assess_file

    form = arguments.form(delimiter, encoding, missing)
    result = assess_file(
        file,
        arguments.names(qi),
        sensitive=arguments.names(sensitive),
        weight=weight,
        household=household,
        subject=subject,
        against=against,
        population=population,
        sampling_fraction=sampling_fraction,
        threshold=threshold,
        exact=exact,
        suda_size=suda_size,
        suda_weighting=suda_weighting,
        delimiter=form.delimiter,
        encoding=form.encoding,
        missing=form.missing,
    )
    if against:
        result["utility"] = _utility(file, against, arguments.names(f"{qi},{sensitive}"), form)
    console.assessed(result, json)
    return 0


def _utility(file: Path, against: Path, named: list[str], form: Form) -> dict[str, Any]:
    """What the file lost of its original in the columns that both have; no value of either."""
    from stepdown.risk.classes.table_columns import column_names
    from stepdown.utility.files import utility_of_files

    held = column_names(against, form)
    found = utility_of_files(file, against, [name for name in named if name in held], form=form)
    for column in found["columns"].values():
        for shown in ("bins", "before", "after"):
            del column[shown]
    return found
