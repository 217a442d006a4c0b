import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

def best_leaves(
    levels: Ints,
    labels: Codes,
    children: Ints,
    offsets: Ints,
    scores: Codes,
    gone_starts: Ints,
    gone: Ints,
) -> tuple[Ints, Ints]: ...
