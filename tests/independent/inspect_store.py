"""What an outsider finds in a store: leaks, small classes, telling row order, broken nesting.

    python tests/independent/inspect_store.py RAW.csv WORK STORE

It shares no code with the product, so that the two cannot be wrong together: pandas, pyarrow and
the standard library read the published files, the raw file and the lineage. Exit code 1 and one
line per finding, without any value; else 0 and one line of figures per release.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

IDENTIFYING = ("direct_identifier", "free_text", "subject", "household")
ABOVE = {"internal": None, "partner": "internal", "public": "partner"}
SMALLEST = {"internal": 1, "partner": 5, "public": 11}
DISTINCT = {"internal": 1, "partner": 2, "public": 2}
WORD = re.compile(r"[\w.@+'-]*\w")
PARTS = re.compile(r"\w{6,}")
DIGITS = re.compile(r"\+?\(?\d[\d\s()/.+-]{4,}\d")
FORMAT = frozenset(["fields", "resources"])
"""Words of the Data Package format."""
COMMON = 20
"""A word of free text that at least this many rows hold is vocabulary, not a person."""
PHONE_DIGITS = 7


@dataclass(frozen=True)
class Release:
    """A published version beside the candidate in the workspace whose data it is."""

    name: str
    tier: str
    folder: Path
    candidate: Path
    config: dict[str, Any]
    recipient: str | None

    @property
    def data(self) -> pa.Table:
        return pq.read_table(self.folder / "data" / "part-00000.parquet")

    @property
    def lineage(self) -> pd.DataFrame:
        return pq.read_table(self.candidate / "lineage.parquet").to_pandas()

    def has(self, *roles: str) -> list[str]:
        names = self.data.column_names
        return [c for c in names if self.config["columns"][c]["role"] in roles]


def main(raw: Path, work: Path, store: Path) -> list[str]:
    """Every finding, one sentence each."""
    table = pd.read_csv(raw, dtype=str, keep_default_na=False, sep=None, engine="python")
    # Two tiers may well hold the same bytes: the folder is the tier's, or the recipient's.
    candidates = {
        (_sha256(path), path.parents[1].name): path.parents[1]
        for path in work.rglob("part-00000.parquet")
    }
    releases = [_release(path, store, candidates) for path in sorted(store.rglob("release.json"))]
    if not releases:
        return ["the store holds no release"]
    secrets = _secrets(table, releases[0].config)
    found = [f for path in sorted(store.rglob("*")) for f in _leaks(path, store, secrets)]
    for release in releases:
        findings = [
            *_small_classes(release),
            *_unsorted(release),
            *_own_record(release, table, work),
            *_not_nested(release, work),
        ]
        found += [f"{release.name}: {finding}" for finding in findings]
    return found


def _release(path: Path, store: Path, candidates: dict[tuple[str, str], Path]) -> Release:
    folder = path.parent
    facts = json.loads(path.read_text("utf-8"))
    place = facts.get("recipient") or facts["tier"]
    candidate = candidates[_sha256(folder / "data" / "part-00000.parquet"), place]
    config = json.loads((candidate / "config.json").read_text("utf-8"))["config"]
    name = str(folder.relative_to(store))
    return Release(name, facts["tier"], folder, candidate, config, facts.get("recipient"))


# --- what must not be there ---


@dataclass(frozen=True)
class Secrets:
    """Texts of the raw file that identify: whole words, whole cells, and phones as digits."""

    words: frozenset[str]
    cells: frozenset[str]
    digits: frozenset[str]
    of_column: dict[str, frozenset[str]]

    def for_part(self, part: str) -> Secrets:
        """What an invented value must not hold: a real one of its own column, or a number.

        An invented first name may well be the name of a street somewhere else in the raw table.
        """
        own = self.of_column.get(part.removeprefix("column "))
        return self if own is None else Secrets(own, own, self.digits, {})


def _secrets(table: pd.DataFrame, config: dict[str, Any]) -> Secrets:
    columns = config["columns"]
    words: set[str] = set()
    cells: set[str] = set()
    digits: set[str] = set()
    of_column: dict[str, frozenset[str]] = {}
    harmless = FORMAT | {word for text in _strings(config) for word in PARTS.findall(text.lower())}
    for name, column in columns.items():
        if column["role"] not in IDENTIFYING:
            values = table[name].str.lower().unique()
            harmless |= {word for text in values for word in [text, *PARTS.findall(text)]}
    for name, column in columns.items():
        if column["role"] not in IDENTIFYING:
            continue
        values = table[name].str.lower()
        counts = values[values.str.len() >= 6].value_counts()
        rare = counts[counts < COMMON] if column["role"] == "free_text" else counts
        cells |= set(rare.index) - harmless
        tokens = values.map(lambda text: [*WORD.findall(text), *PARTS.findall(text)]).explode()
        tokens = tokens.dropna()
        tokens = tokens[tokens.str.len() >= 6].value_counts()
        kept = tokens[tokens < COMMON] if column["role"] == "free_text" else tokens
        words |= set(kept.index) - harmless
        of_column[name] = frozenset((set(kept.index) | set(rare.index)) - harmless)
        numbers = values.map(DIGITS.findall).explode().dropna().map(_only_digits)
        digits |= {number for number in numbers.unique() if len(number) >= PHONE_DIGITS}
    return Secrets(frozenset(words), frozenset(cells), frozenset(digits), of_column)


def _leaks(path: Path, store: Path, secrets: Secrets) -> Iterator[str]:
    where = path.relative_to(store)
    texts: dict[str, Iterator[str]] = {"its name": iter([path.name])}
    if path.is_file():
        texts |= _parquet_texts(path) if path.suffix == ".parquet" else _file_texts(path)
    for part, strings in texts.items():
        mine = secrets.for_part(part)
        words = cells = numbers = 0
        for text in strings:
            low = text.lower()
            words += any(word in mine.words for word in WORD.findall(low))
            words += any(word in mine.words for word in PARTS.findall(low))
            cells += low in mine.cells
            runs = (_only_digits(run) for run in DIGITS.findall(low))
            numbers += any(run in mine.digits for run in runs)
        if words or cells or numbers:
            yield (
                f"{where}: {part} holds identifiers of the raw file "
                f"({words} texts with words, {cells} whole cells, {numbers} numbers)"
            )


def _parquet_texts(path: Path) -> dict[str, Iterator[str]]:
    file = pq.ParquetFile(path)
    table = file.read()
    values = {name: set(_texts_of(table[name])) for name in table.column_names}
    bounds = dict(_statistics(file))
    footer = _footer(path)
    for bound in bounds:
        footer = footer.replace(bound, "\n")
    texts: dict[str, Iterator[str]] = {"the footer": iter(re.split(r"[\0-\x1f]+", footer))}
    texts["the schema"] = iter([*table.column_names, str(file.schema)])
    texts["the metadata"] = (
        part.decode("utf-8", "replace")
        for pairs in [table.schema.metadata, *(field.metadata for field in table.schema)]
        for pair in (pairs or {}).items()
        for part in pair
    )
    texts["the statistics"] = (bound for bound, name in bounds.items() if bound not in values[name])
    return texts | {f"column {name}": iter(found) for name, found in values.items()}


def _texts_of(column: pa.ChunkedArray) -> list[str]:
    return pc.unique(column.cast(pa.string(), safe=False)).drop_null().to_pylist()


def _statistics(file: pq.ParquetFile) -> Iterator[tuple[str, str]]:
    for group in range(file.num_row_groups):
        for index in range(file.metadata.num_columns):
            column = file.metadata.row_group(group).column(index)
            found = column.statistics
            if found is not None and found.has_min_max and column.physical_type == "BYTE_ARRAY":
                yield str(found.min), column.path_in_schema
                yield str(found.max), column.path_in_schema


def _footer(path: Path) -> str:
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[-8:-4])
    return data[-8 - length : -8].decode("latin-1")


def _file_texts(path: Path) -> dict[str, Iterator[str]]:
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        return {"its text": iter(list(_strings(json.loads(text))))}
    bare = html.unescape(re.sub(r"<(style|script).*?</\1>|<[^>]*>", "\n", text, flags=re.S))
    attributes = re.findall(r'="([^"]*)"', text)
    return {"its text": iter([*(line.strip() for line in bare.splitlines()), *attributes])}


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from _strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _strings(value)
    else:
        yield str(node)


# --- what must hold ---


def _small_classes(release: Release) -> Iterator[str]:
    quasi = release.has("quasi_identifier")
    wanted, distinct = _wanted(release, "smallest_class"), _wanted(release, "distinct_l")
    frame = release.data.to_pandas()
    subject = release.lineage["_subject_id"]
    if len(subject) != len(frame):
        yield "the lineage has another number of rows than the data"
        return
    codes = _codes(frame, quasi)
    sizes = subject.groupby(codes).nunique()
    print(f"{release.name}: {len(frame)} rows, {len(sizes)} classes, smallest {sizes.min()}")  # noqa: T201
    if sizes.min() < wanted:
        yield f"the smallest class has {sizes.min()} data subjects, fewer than {wanted}"
    if release.has("subject"):
        ways = pd.Series(codes).groupby(subject.to_numpy()).agg(lambda c: tuple(sorted(c)))
        smallest = ways.value_counts().min()
        if smallest < wanted:
            yield f"the smallest trajectory class has {smallest} subjects, fewer than {wanted}"
    for name in release.has("sensitive"):
        column = release.config["columns"][name]
        if column.get("type", "string") != "string" or distinct <= 1:
            continue
        harmless = frame[name].isin(column.get("not_sensitive", []))
        held = frame[name].mask(harmless, "harmless").groupby(codes).nunique()
        # Harmless values are one value, and a class that holds no other gives nothing away.
        asked = (frame[name].notna() & ~harmless).groupby(codes).any()
        asked |= ~harmless.groupby(codes).any()
        least = held[asked].min()
        if least < distinct:
            yield f"a class has {least} values of {name}, fewer than {distinct}"


def _wanted(release: Release, rule: str) -> int:
    rules = (release.config.get("tiers") or {}).get(release.tier) or {}
    high = release.config.get("sensitivity") in ("high", "severe") and release.tier == "public"
    if rule == "distinct_l":
        return int(rules.get(rule) or (3 if high else DISTINCT[release.tier]))
    if rules.get("highest_risk"):
        return int(np.ceil(1 / rules["highest_risk"]))
    return int(rules.get(rule) or (20 if high else SMALLEST[release.tier]))


def _unsorted(release: Release) -> Iterator[str]:
    table = release.data
    keys = [(name, "ascending", "at_start") for name in table.column_names]
    order = pc.sort_indices(table, sort_keys=keys)
    if not table.take(order).equals(table):
        yield "its rows are not sorted by their released values"


def _own_record(release: Release, raw: pd.DataFrame, work: Path) -> Iterator[str]:
    """A cell may equal a withheld identifier of its own row only as often as by chance."""
    source = release.lineage["_row_id"].to_numpy()
    if source.max() >= len(raw):
        return
    chance = np.random.default_rng(1).permutation(source)
    frame = release.data.to_pandas()
    published = {name: frame[name].astype("string").str.lower() for name in frame}
    for name, column in release.config["columns"].items():
        if column["role"] not in IDENTIFYING:
            continue
        withheld = raw[name].str.lower().mask(raw[name] == "")
        own, other = withheld.to_numpy()[source], withheld.to_numpy()[chance]
        for shown, values in published.items():
            texts = values.to_numpy(dtype=object, na_value=None)
            mine, by_chance = int((texts == own).sum()), int((texts == other).sum())
            if mine > by_chance + 5 + 0.01 * len(frame):
                yield f"{shown} shows {name} of its own row in {mine} rows ({by_chance} by chance)"


def _not_nested(release: Release, work: Path) -> Iterator[str]:
    lineage, child = release.lineage, release.data
    above = "partner" if release.recipient else ABOVE[release.tier]
    if above is None:
        snapshots = work / "snapshots"
        paths = sorted(snapshots.glob("*.parquet"), key=lambda path: path.stat().st_mtime)
        fit = [path for path in paths if pq.read_metadata(path).num_rows >= child.num_rows]
        parent = pq.read_table(fit[-1])
        beside = parent.select(["_row_id"]).to_pandas()
        parent = parent.drop("_row_id")
    else:
        base = release.candidate.parent if release.recipient else release.candidate.parent / above
        parent = pq.read_table(base / "data" / "part-00000.parquet")
        beside = pq.read_table(base / "lineage.parquet").to_pandas()
    if lineage["_row_id"].duplicated().any():
        yield "a row of the tier above is used twice"
    places = pd.Series(np.arange(len(beside)), index=beside["_row_id"])
    if not lineage["_row_id"].isin(beside["_row_id"]).all():
        yield "a row is none of the tier above"
        return
    rows = places[lineage["_row_id"]].to_numpy()
    above_says = beside.get("_subject_id")
    if above_says is not None and not np.array_equal(above_says[rows], lineage["_subject_id"]):
        yield "its lineage gives rows another data subject than the lineage above"
    rekeyed = [
        name
        for name, column in release.config["columns"].items()
        if release.recipient and column.get("partner") == "pseudonym"
    ]
    unknown = set(child.column_names) - set(parent.column_names) - set(rekeyed)
    if unknown:
        yield f"{len(unknown)} columns are not in the tier above"
    taken = parent.take(pa.array(rows))
    for name in child.column_names:
        if name in parent.column_names:
            yield from _not_coarser(release, name, child[name], taken[name])


def _not_coarser(release: Release, name: str, child: Any, parent: Any) -> Iterator[str]:
    treatment = release.config["columns"][name].get(release.tier)
    if treatment == "keep" and not child.equals(parent.cast(child.type)):
        yield f"{name} is kept, but differs from the tier above"
    pairs = pd.DataFrame(
        {"parent": parent.cast(pa.string()).to_pandas(), "child": child.to_pandas()}
    )
    if isinstance(treatment, dict) and "suppress_cells" in treatment:
        pairs = pairs.dropna(subset="child")
    ways = pairs.groupby("parent", dropna=False)["child"].nunique(dropna=False)
    if len(ways) and ways.max() > 1:
        yield f"{name} is not a function of its value in the tier above"


def _codes(frame: pd.DataFrame, columns: list[str]) -> np.ndarray:
    if not columns:
        return np.zeros(len(frame), dtype=int)
    return frame.groupby(columns, dropna=False, sort=False).ngroup().to_numpy()


def _only_digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: inspect_store.py RAW.csv WORK STORE")
    findings = main(*(Path(argument) for argument in sys.argv[1:]))
    print("\n".join(findings) or "nothing found")  # noqa: T201
    sys.exit(1 if findings else 0)
