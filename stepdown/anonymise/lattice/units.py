"""Hold the distinct combinations of a relation: what the engine knows of its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Units:
    """The distinct combinations of everything the engine asks about.

    They are sorted by their codes, from the first axis to the subject, so that whatever is made
    from them is the same on every machine.

    Args:
        codes: per axis, shape (u,), int32, code on step 0.
        sensitive: per sensitive column, shape (u,), int32, code of the value.
        subject: shape (u,), int32 code of the data subject; None where no subject has several rows
            (then every row is a subject).
        rows: shape (u,), int64.
        weights: shape (u,), float64, sums of the survey weight, or None.
    """

    codes: tuple[Codes, ...]
    sensitive: tuple[Codes, ...]
    subject: Codes | None
    rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64] | None = None
