import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint16] | npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]

def pack(
    codes: Codes, axes: npt.NDArray[np.int32], starts: Ints, places: Ints
) -> npt.NDArray[np.int64]: ...
def number(keys: Ints, space: int, ends: Ints) -> tuple[npt.NDArray[np.int32], Ints]: ...
def add_up(numbers: npt.NDArray[np.int32], values: Ints, many: int) -> Ints: ...
def small_classes(
    codes: Codes,
    rows: Ints,
    subjects: Ints,
    axes: npt.NDArray[np.int32],
    starts: Ints,
    places: Ints,
    space: int,
    ends: Ints,
    k: int,
    allowed: int,
) -> tuple[int, Ints, Ints]: ...
def raise_bounds(
    bounds: npt.NDArray[np.float64],
    strides: Ints,
    low: Ints,
    high: Ints,
    parts: npt.NDArray[np.float64],
) -> None: ...
