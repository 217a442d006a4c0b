"""Search what will be published for anything left of a withheld identifier."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig
from stepdown.engine import Session, literals, quote
from stepdown.opened import Opened, Source
from stepdown.plain_words import counted
from stepdown.risk.leaks.config_texts import check_with_documents
from stepdown.risk.leaks.own_record import own_record_findings
from stepdown.risk.leaks.tokens import (
    permit,
    publish_column,
    publish_texts,
    start_search,
    withheld_in,
)
from stepdown.risk.leaks.withheld import withheld_grams

_WRITERS = re.compile(r"(parquet-cpp-arrow version|DuckDB version) [\w.+-]+( \(build [\w.+-]+\))?")


@dataclass(frozen=True)
class Residue:
    """What the check found.

    Args:
        cells: cells of a record's own identifiers, and identifiers of anyone in any text; of a
            column in which several searches find some, the most that one of them finds.
        problems: one sentence each, with columns and counts, never a value.
    """

    cells: int
    problems: tuple[str, ...]


def find_residue(opened: Opened) -> Residue:
    """Look for raw values of identifying columns in the written file.

    Three searches. Record by record: does a published cell repeat an identifier of its own record
    more often than chance explains? Whole tokens: does an identifier of anyone in the snapshot,
    released or not, occur in any published text, dictionary page or statistic, outside declared
    domains and hierarchy labels? Metadata: does the file's footer hold more than it needs?
    """
    candidate, config = opened.candidate, opened.config
    with opened.aside() as opened:
        found = [
            *own_record_findings(opened),
            *_token_findings(opened),
            *((problem, 1, problem) for problem in _metadata_problems(candidate, config)),
        ]
    # Several searches may find the same cells of a column: its largest count is counted once.
    cells: dict[str, int] = {}
    for place, count, _ in found:
        cells[place] = max(count, cells.get(place, 0))
    return Residue(sum(cells.values()), tuple(sentence for *_, sentence in found))


def check_texts(
    source: Source,
    texts: Mapping[str, bytes],
    fixed_text: str = "",
    opened: Opened | None = None,
) -> tuple[str, ...]:
    """Withheld identifiers in the documents of a release: one sentence per document, no values.

    The config's own texts are searched first, each by its key: what a document repeats of them is
    said there, once.

    Args:
        source: its identifying columns are looked for, in all rows.
        texts: file name → bytes as they will be published. The name is searched too.
        fixed_text: text that every report has, whatever the data; its words do not count.
        opened: whose documents they are; the labels that it releases do not count.
    """
    loaded = source.loaded
    with source.session.aside() as session:
        start_search(session)
        permit(session, [fixed_text])
        if opened:
            permit(session, _released_words(opened.session, opened.candidate, loaded.config))
        inside = {f"{at} inside": _decoded(*text) for at, text in enumerate(texts.items())}
        names = {f"{at} name": [name] for at, name in enumerate(texts)}
        in_config, counts = check_with_documents(session, source, inside | names)
    return in_config + tuple(
        f"{place}: {_withheld(counts[key])} in it"
        for position, name in enumerate(texts)
        for key, place in ((f"{position} inside", name), (f"{position} name", "a file's name"))
        if key in counts
    )


def _is_text(field: pa.Field) -> bool:
    return bool(pa.types.is_string(field.type) or pa.types.is_large_string(field.type))


def _token_findings(opened: Opened) -> Iterator[tuple[str, int, str]]:
    session, candidate, config = opened.session, opened.candidate, opened.config
    paths = [each.path for each in candidate.data.files]
    schema = pq.read_schema(paths[0])
    texts = [field.name for field in schema if _is_text(field)]
    start_search(session)
    for name in texts:
        publish_column(session, f"{name} rows", "data", quote(name))
        publish_texts(session, {f"{name} pages": _unseen_texts(paths, name)})
    names = [*schema.names, *(Path(path).name for path in paths)]
    publish_texts(session, {"names": names})
    permit(session, _released_words(session, candidate, config))
    # Numbers and dates are judged record by record: by themselves they name nobody.
    grams = f"SELECT gram FROM ({withheld_grams(opened.source)}) WHERE in_documents"
    counts = withheld_in(session, grams)
    for name in texts:
        rows, pages = counts.get(f"{name} rows", 0), counts.get(f"{name} pages", 0)
        if rows:
            yield name, rows, f"{name}: {_withheld(rows)} in it as whole words"
        if pages > rows:
            yield name, pages, f"{name}: {_withheld(pages)} in its file pages"
    if "names" in counts:
        yield "names", counts["names"], f"{_withheld(counts['names'])} in column or file names"


def _withheld(count: int) -> str:
    return f"{counted(count, 'withheld identifier')} {'occurs' if count == 1 else 'occur'}"


def _unseen_texts(paths: Sequence[str], name: str) -> list[str]:
    """Texts of a column that a reader of rows never sees: dictionary entries and statistics."""
    texts: set[str] = set()
    for path in paths:
        file = pq.ParquetFile(path, read_dictionary=[name])
        position = file.schema_arrow.names.index(name)
        has_dictionary = False
        for group in range(file.num_row_groups):
            chunk = file.metadata.row_group(group).column(position)
            has_dictionary |= chunk.has_dictionary_page
            if chunk.is_stats_set and chunk.statistics.has_min_max:
                texts |= {str(chunk.statistics.min), str(chunk.statistics.max)}
        for group in range(file.num_row_groups if has_dictionary else 0):
            for chunk in file.read_row_group(group, columns=[name]).column(0).chunks:
                if pa.types.is_dictionary(chunk.type):
                    texts |= set(pc.unique(chunk.dictionary).to_pylist())
    return [text for text in texts if text is not None]


def _metadata_problems(candidate: Candidate, config: ReleaseConfig) -> Iterator[str]:
    for file in candidate.data.files:
        metadata = pq.read_metadata(file.path)
        if metadata.metadata:
            entries = len(metadata.metadata)
            yield f"the file's footer holds {entries} key-value entries, none is allowed"
        if not _WRITERS.fullmatch(metadata.created_by or ""):
            yield "the file's footer names a writer that is not on the list"
        unknown = sum(name not in config.columns for name in metadata.schema.names)
        if unknown:
            yield f"the file's schema has {unknown} columns that the config does not name"
        if pq.read_schema(file.path) != pq.read_schema(candidate.data.path):
            yield "a data file has other columns or types than the first one"


def _decoded(name: str, content: bytes) -> list[str]:
    """A document's text, also with its escapes undone."""
    text = content.decode("utf-8", errors="replace")
    texts = [text]
    if name.endswith((".html", ".htm", ".svg", ".xml")):
        texts += [html.unescape(text), html.unescape(re.sub(r"<[^>]*>", " ", text))]
    if name.endswith(".json"):
        try:
            texts += _strings(json.loads(text))
        except ValueError:
            return texts
    return texts


def _strings(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for pair in node.items() for part in pair for text in _strings(part)]
    if isinstance(node, list | tuple):
        return [text for part in node for text in _strings(part)]
    if isinstance(node, float) and not math.isfinite(node):
        return []
    return [] if node is None else [str(node)]


def _released_words(session: Session, candidate: Candidate, config: ReleaseConfig) -> list[str]:
    """Words that a reader of the file sees anyway: names of columns, and labels in the file.

    A label of a finer level, or of a column that is not released, is not among them.
    """
    schema = session.fetch("SELECT * FROM data LIMIT 0").schema
    declared = [name for name in schema.names if name in config.columns]
    words = [*declared, *(Path(each.path).name for each in candidate.data.files)]
    for name in declared:
        if not _is_text(schema.field(name)):
            continue
        known = f'SELECT label FROM hierarchies WHERE "column" = {literals([name])}'
        if domain := config.columns[name].allowed:
            known += f" UNION SELECT unnest([{literals(domain)}])"
        labels = session.fetch(
            f"SELECT DISTINCT {quote(name)} AS label FROM data WHERE {quote(name)} IN ({known})"
        )
        words += labels["label"].to_pylist()
    return words
