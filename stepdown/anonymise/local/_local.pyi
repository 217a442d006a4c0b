from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.local._demands import Demands

Ints = npt.NDArray[np.int64]
Nodes = npt.NDArray[np.int32]

class Sweep:
    box_of: Nodes
    work: int
    boxes: int
    def __init__(
        self,
        nodes: Nodes,
        ancestors: Sequence[Nodes],
        costs: Ints,
        heads: Ints,
        rows: Ints,
        demands: Demands,
        forbidden: int,
    ) -> None: ...
    def begin_again(self, units: Nodes, costs: Ints) -> None: ...
    def close(self, thresholds: int, limit: int) -> bool: ...
    def share(self, thresholds: int, limit: int) -> Ints: ...
