from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.local.demands import ClassDemand

class Demands:
    def __init__(
        self, k: int, columns: Sequence[ClassDemand], codes: Sequence[npt.NDArray[np.int32]]
    ) -> None: ...
    def holds(self, units: npt.NDArray[np.integer], rows: npt.NDArray[np.integer]) -> bool: ...
