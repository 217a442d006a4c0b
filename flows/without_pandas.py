"""Start a command without pandas.

The first time that pyarrow makes an array or hands one to NumPy it imports pandas, to recognise
its columns: 0.2 s, a fifth of what ``stepdown anonymise`` takes for a small table, and nothing
there is a pandas column.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


def keep_pandas_out() -> None:
    """Let pyarrow look for pandas once, in vain; where it needs it later, it finds it."""
    if "pandas" in sys.modules:
        return
    import pyarrow

    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pyarrow.array([0]).to_numpy()
    finally:
        sys.meta_path.remove(absent)


class _Absent(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("kept out", name=fullname)
