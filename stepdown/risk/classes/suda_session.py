"""Find the special uniques of the classes that the engine holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.engine import Session, quote
from stepdown.risk.classes.classes import ClassTable
from stepdown.risk.classes.suda import Missing, SpecialUniques, Weighting, special_uniques


def find_special_uniques(
    session: Session,
    classes: ClassTable,
    quasi_identifiers: Sequence[str],
    *,
    size: int | None = None,
    weighting: Weighting = "factorial",
    sampling_fraction: float = 0.01,
    missing: Missing = "value",
) -> SpecialUniques:
    """The special uniques of the records that ``build_classes`` has put into classes.

    Args:
        session: holds ``class`` and ``class_subject`` of ``build_classes``.
        classes: of that table.
        quasi_identifiers: names of its columns, 1 … ``COLUMNS``.
        size: columns in the largest set to search; see ``largest_size``.
        weighting: see ``weights``.
        sampling_fraction: d of the DIS measure.
        missing: a value of its own, as for classes, or (as in sdcMicro) in no set: a record is then
            not unique by what it lacks.
    """
    names = [quote(name) for name in quasi_identifiers]
    held = session.fetch(f"SELECT {', '.join(names)} FROM class ORDER BY class")
    codes = np.stack([_codes(column, missing) for column in held.columns])
    alone = session.fetch(
        "SELECT class, any_value(subject) AS subject FROM class_subject "
        "GROUP BY class HAVING count(*) = 1 ORDER BY class"
    )
    owners = np.full(len(classes.rows), -1, np.int32)
    owners[alone["class"].to_numpy()] = _codes(alone["subject"], "value")
    pairs = int(classes.rows[classes.subjects == 2].sum())
    return special_uniques(codes, classes.rows, owners, pairs, size, weighting, sampling_fraction)


def _codes(column: pa.ChunkedArray, missing: Missing) -> npt.NDArray[np.int32]:
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes: npt.NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    if missing == "left out":
        absent = column.is_null().combine_chunks().to_numpy(zero_copy_only=False)
        codes[absent] = -1
    return codes
