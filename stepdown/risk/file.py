"""Risk of any file, without a config: what ``stepdown assess`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from stepdown.engine.session import Session, open_session, quote
from stepdown.errors import SourceInvalid
from stepdown.risk.classes import ClassTable, Floats, build_classes
from stepdown.risk.households import household_expected_reidentifications
from stepdown.risk.individual import class_risk, prosecutor_risk
from stepdown.risk.privacy_models import distinct_l, equal_distance_t, ordered_distance_t
from stepdown.risk.suda import suda_measures

_BELOW = (2, 3, 5)
_DELIMITERS = ",;\t|"


def assess_file(
    path: str | Path,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    weight: str | None = None,
    household: str | None = None,
    subject: str | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    missing: Sequence[str] = ("", "NA"),
    suda_size: int | None = None,
    scratch: str | Path | None = None,
) -> dict[str, Any]:
    """Risk measures of a CSV or Parquet file, in the shape ``assess --json`` prints.

    Over several sensitive columns l is the least and t the largest. Numeric sensitive columns have
    both distances, the ordered one over their distinct values; the others only the equal one.
    A measure that was not asked for or cannot be computed is None, its reason under ``notes``.

    Args:
        path: the file; Parquet by its ending, else CSV with a header.
        quasi_identifiers: at least one column.
        sensitive: columns that a class must not give away.
        weight: sampling weight; without it the file is taken for the whole population.
        household: column that members of a household share.
        subject: column that a data subject's rows share; without it a row is a subject.
        delimiter: of a CSV; by default the likeliest of ``, ; tab |`` in its header.
        encoding: of a CSV.
        missing: texts that mean 'no value' in a CSV.
        suda_size: columns in the largest set searched for minimal sample uniques; all if that can
            be afforded.
        scratch: folder in which the engine may spill.

    Raises:
        SourceInvalid: the file cannot be read, has no records, lacks a named column, or its weight
            is not a number above 0 throughout.
    """
    named = [*quasi_identifiers, *sensitive, *filter(None, (weight, household, subject))]
    if not quasi_identifiers:
        raise SourceInvalid(
            "no quasi-identifier is named", where=str(path), next="Name the columns with --qi."
        )
    with open_session(scratch) as session:
        columns = _attach(session, Path(path), delimiter, encoding, missing)
        unknown = [name for name in named if name not in columns]
        if unknown:
            raise SourceInvalid(
                f"the file has no column {', '.join(unknown)}; it has {', '.join(columns)}",
                where=str(path),
                next="Mend the column names.",
            )
        _check_weight(session, weight, path)
        quasi_aliases = [f"q{i}" for i in range(len(quasi_identifiers))]
        cells = [
            "file_row_number AS row",
            f"{quote(subject)} AS subject" if subject else "file_row_number AS subject",
            f"{quote(household)} AS household" if household else "NULL AS household",
            f"{quote(weight)}::DOUBLE AS weight" if weight else "NULL::DOUBLE AS weight",
            *(f"{quote(n)} AS q{i}" for i, n in enumerate(quasi_identifiers)),
            *(f"{quote(n)} AS s{i}" for i, n in enumerate(sensitive)),
        ]
        session.run(f"CREATE TEMP TABLE record AS SELECT {', '.join(cells)} FROM source")
        classes = build_classes(session, quasi_aliases)
        if not classes.record_count:
            raise SourceInvalid("the file has no records", where=str(path))
        aliases = {f"s{i}": name for i, name in enumerate(sensitive)}
        report = _measures(session, classes, aliases, bool(weight), bool(household))
        named_aliases = dict(zip(quasi_aliases, quasi_identifiers, strict=True))
        report["suda"], note = suda_measures(session, classes, named_aliases, suda_size)
        report["notes"] |= {"suda": note} if note else {}
        return report


def _measures(
    session: Session,
    classes: ClassTable,
    sensitive: dict[str, str],
    weighted: bool,
    households: bool,
) -> dict[str, Any]:
    records = classes.record_count
    risk = class_risk(classes)
    expected = float(np.dot(risk, classes.rows))
    notes = _notes(weighted, households)
    together = household_expected_reidentifications(session, risk) if households else None
    prosecutor = prosecutor_risk(classes.subjects)
    population = np.maximum(classes.weights, classes.subjects) if weighted else None
    return {
        "records": records,
        "subjects": int(str(session.scalar("SELECT count(DISTINCT subject) FROM member"))),
        "classes": len(classes.subjects),
        "below_k": {str(k): classes.records_below(k) for k in _BELOW},
        "uniques": classes.records_below(2),
        "expected_reidentifications": expected,
        "global_risk": expected / records,
        "household": {
            "expected_reidentifications": together,
            "global_risk": None if together is None else together / records,
        },
        "prosecutor": {
            "highest": float(prosecutor.max()),
            "average": classes.mean_over_records(prosecutor),
        },
        "journalist": _journalist(classes, population),
        "marketer": None if population is None else classes.mean_over_records(1 / population),
        "population_uniques": dict.fromkeys(("zayatz", "pitman", "snb", "dankar")),
        "suda": None,  # measured apart: it is not about the sizes of classes
        "models": _models(session, classes, sensitive, notes),
        "notes": notes,
    }


def _journalist(classes: ClassTable, population: Floats | None) -> dict[str, float | None]:
    if population is None:
        return {"highest": None, "average": None}
    risk = 1 / population
    return {"highest": float(risk.max()), "average": classes.mean_over_records(risk)}


def _notes(weighted: bool, households: bool) -> dict[str, str]:
    notes = {
        "population_uniques": "not computed yet",
        "models": "l_entropy, beta, beta_enhanced, delta and alpha are not computed yet",
    }
    if not households:
        notes["household"] = "no household column was named"
    if not weighted:
        notes["journalist"] = notes["marketer"] = (
            "needs the size of the population's classes: name a weight column"
        )
    return notes


def _models(
    session: Session, classes: ClassTable, sensitive: dict[str, str], notes: dict[str, str]
) -> dict[str, float | int | None]:
    ranked = {name: _ranks(session, name) for name in sensitive}
    ordered = [
        ordered_distance_t(session, f"{name}_rank", ranks)
        for name, ranks in ranked.items()
        if ranks is not None
    ]
    texts = [name for name, ranks in ranked.items() if ranks is None]
    if not sensitive:
        notes["l_distinct, t_equal, t_ordered"] = "no sensitive column was named"
    elif texts:
        plain = ", ".join(sensitive[name] for name in texts)
        notes["t_ordered"] = f"not numeric, so only the equal distance holds: {plain}"
    return {
        "k": classes.smallest(),
        "l_distinct": min((distinct_l(session, name) for name in sensitive), default=None),
        "l_entropy": None,
        "t_equal": max((equal_distance_t(session, name) for name in sensitive), default=None),
        "t_ordered": max(ordered, default=None),
        "beta": None,
        "beta_enhanced": None,
        "delta": None,
        "alpha": None,
    }


def _ranks(session: Session, name: str) -> int | None:
    """How many distinct numbers a column holds, each record's rank left in ``<name>_rank``."""
    odd = session.scalar(
        f"SELECT count(*) FROM record WHERE {name} IS NOT NULL "
        f"AND TRY_CAST({name}::VARCHAR AS DOUBLE) IS NULL"
    )
    if odd:
        return None
    session.run(f"ALTER TABLE record ADD COLUMN {name}_rank BIGINT")
    session.run(
        f"UPDATE record SET {name}_rank = ranked.rank FROM (SELECT value, "
        f"row_number() OVER (ORDER BY value) - 1 AS rank FROM (SELECT DISTINCT "
        f"{name}::VARCHAR::DOUBLE AS value FROM record WHERE {name} IS NOT NULL)) AS ranked "
        f"WHERE record.{name}::VARCHAR::DOUBLE = ranked.value"
    )
    return int(str(session.scalar(f"SELECT count(DISTINCT {name}_rank) FROM record")))


def _check_weight(session: Session, weight: str | None, path: str | Path) -> None:
    if weight is None:
        return
    number = f"TRY_CAST({quote(weight)}::VARCHAR AS DOUBLE)"
    bad = session.scalar(
        f"SELECT count(*) FROM source WHERE {number} IS NULL OR NOT ({number} > 0)"
    )
    if bad:
        raise SourceInvalid(
            f"{bad} records have no weight above 0 in the column {weight}",
            where=str(path),
            next="Name another weight column, or mend those records.",
        )


def _attach(
    session: Session, path: Path, delimiter: str | None, encoding: str, missing: Sequence[str]
) -> list[str]:
    """Make the file the relation ``source``; every cell of a CSV is text or NULL."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            columns = list(pq.read_schema(path).names)
            session.attach_parquet("source", path)
            return columns
        with open(path, encoding=encoding) as file:
            header = file.readline()
        mark = delimiter or max(_DELIMITERS, key=header.count)
        names = pa.csv.open_csv(
            path, pa.csv.ReadOptions(encoding=encoding), pa.csv.ParseOptions(delimiter=mark)
        ).schema.names
        table = pa.csv.read_csv(
            path,
            pa.csv.ReadOptions(encoding=encoding),
            pa.csv.ParseOptions(delimiter=mark, newlines_in_values=True),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=list(missing),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except FileNotFoundError:
        raise SourceInvalid("no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError, LookupError, pa.ArrowException) as error:
        raise SourceInvalid(
            f"cannot be read as a table ({type(error).__name__})",
            where=str(path),
            next="Give a CSV with a header, or a Parquet file; --delimiter and --encoding help.",
        ) from None
    if len(set(names)) != len(names):
        raise SourceInvalid("two columns have the same name", where=str(path))
    rows = np.arange(table.num_rows, dtype=np.int64)
    session.attach_arrow("source", table.append_column("file_row_number", pa.array(rows)))
    return list(names)
