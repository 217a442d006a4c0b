"""Check whether files of two readers can be joined by what stands in for an id."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.reports import Verdict

CHECK = "copies_do_not_join"
_HEX = r"^[0-9a-f]{32}$"
"""How a pseudonym of 128 bits is written; columns are told by their cells, whatever they are
called and however they were made."""


def copies_do_not_join(copy: ArtifactRef, others: Sequence[tuple[str, ArtifactRef]]) -> Verdict:
    """Whether a recipient's copy shares no pseudonym with any other file that has some.

    Pseudonyms under different keys agree by chance once in 2¹²⁸, so one shared token is a join.

    Args:
        copy: the data file of the copy.
        others: name and data file of what other readers hold or will: copies of other recipients,
            of every version, and internal.

    Raises:
        StoreCorrupt: a file is missing or no longer the one that was written.
    """
    mine = _tokens(copy)
    joined = {
        f"{column} with {name} by its {other}": len(shared)
        for name, file in others
        for other, theirs in (_tokens(file).items() if mine else ())
        for column, tokens in mine.items()
        if len(shared := pc.filter(tokens, pc.is_in(tokens, value_set=theirs)))
    }
    told = ", ".join(f"{what} ({count:,})" for what, count in joined.items())
    return Verdict(
        CHECK,
        not joined,
        # Of what passed nothing is said that grows with other versions, or none were unchanged.
        f"Pseudonyms join it: {told}." if joined else "No pseudonym of it is in another's file.",
        "Two keys of the keyring are the same: `stepdown shred` this copy's." if joined else "",
        measured=sum(joined.values()),
        limit=0,
    )


def _tokens(file: ArtifactRef) -> dict[str, pa.Array]:
    """Column → its distinct tokens, for every column whose cells are nothing else."""
    schema = pq.read_schema(check_bytes(file))
    paths = [each.path for each in file.files]
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    found = {}
    for name in texts:
        cells = pc.drop_null(pc.unique(pq.read_table(paths, columns=[name])[name]))
        if len(cells) and pc.all(pc.match_substring_regex(cells, _HEX)).as_py():
            found[name] = cells
    return found
