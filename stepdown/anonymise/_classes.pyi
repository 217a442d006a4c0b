import numpy as np
import numpy.typing as npt

def number(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], int]: ...
