import numpy as np
import numpy.typing as npt

from stepdown.anonymise.local._demands import Demands

Ints = npt.NDArray[np.int64]
Nodes = npt.NDArray[np.int32]

class Search:
    work: int
    moves: int
    def __init__(
        self,
        nodes: Nodes,
        first: Nodes,
        parent: Nodes,
        costs: Ints,
        heads: Ints,
        rows: Ints,
        divisible: bool,
        home: Nodes,
        classes: int,
        demands: Demands,
        forbidden: int,
    ) -> None: ...
    def house(self, pieces: Nodes) -> bool: ...
    def mend(self) -> bool: ...
    def improve(self, limit: int = ...) -> bool: ...
    def assignment(self) -> tuple[Nodes, Nodes, Ints]: ...
    def labels(self) -> Nodes: ...
    def total(self) -> int: ...
