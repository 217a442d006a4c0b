"""The distinct combinations of everything the engine asks about, one entry each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Units:
    """The distinct combinations of everything the engine asks about.

    Args:
        codes: per axis, shape (u,), int32, code on step 0.
        sensitive: per sensitive column, shape (u,), int32, code of the value.
        subject: shape (u,), int32 code of the data subject; None where no subject has several
            rows (then every row is a subject).
        rows: shape (u,), int64.
        weights: shape (u,), float64, sums of the survey weight, or None.
    """

    codes: tuple[npt.NDArray[np.int32], ...]
    sensitive: tuple[npt.NDArray[np.int32], ...]
    subject: npt.NDArray[np.int32] | None
    rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64] | None = None
