import numpy as np
import numpy.typing as npt

class Search:
    counts: npt.NDArray[np.int32]
    by_column: npt.NDArray[np.int64]
    def __init__(
        self,
        codes: npt.NDArray[np.int32],
        values: npt.NDArray[np.int64],
        owners: npt.NDArray[np.int32],
        records: npt.NDArray[np.int64],
        size: int,
    ) -> None: ...
    def look_from(self, column: int) -> None: ...
