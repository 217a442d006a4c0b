"""Mark released cells that reveal nothing, as the config's ``not_sensitive`` lists them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def reveals_nothing(
    values: pa.Array | pa.ChunkedArray, listed: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Shape (n,): the cells that are listed; numbers and dates by what they are, not their texts.

    >>> reveals_nothing(pa.array([45.0, 4.0, None]), ["45"])
    array([ True, False, False])
    """
    if not listed:
        return np.zeros(len(values), bool)
    encoded = pc.dictionary_encode(values)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    wanted = {_as_compared(text, values.type) for text in listed}
    texts = [_as_compared(value, values.type) for value in encoded.dictionary.to_pylist()]
    is_listed = np.array([*(text in wanted for text in texts), False], bool)
    found: npt.NDArray[np.bool_] = is_listed[pc.fill_null(encoded.indices, -1).to_numpy()]
    return found


def _as_compared(value: Any, kind: pa.DataType) -> object:
    try:
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            number = float(value)
            return value if math.isnan(number) else number
        if pa.types.is_temporal(kind):
            moment = dt.datetime.fromisoformat(str(value).strip())
            return moment.replace(tzinfo=None)
    except ValueError:
        return str(value)
    return str(value).strip().lower() if pa.types.is_boolean(kind) else str(value)
