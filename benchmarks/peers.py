"""What the peers do, in an environment that has them and nothing of ours.

python benchmarks/peers.py path/to/adult anonymise FILE T
python benchmarks/peers.py path/to/adult measure FILE k|klt|all
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd

SENSITIVE = "occupation"


def main() -> None:
    """Print one JSON document."""
    adult, verb, file, how = sys.argv[1:]
    table = pd.read_csv(file, sep=";", dtype=str, keep_default_na=False)
    if verb == "anonymise":
        print(json.dumps(_anonymise(Path(adult), table, float(how))))
    else:
        print(json.dumps(_measure(table, how)))


def _anonymise(adult: Path, table: pd.DataFrame, t: float) -> dict[str, object]:
    """k-anonymity with k = 5 and 2 % suppressed; with t-closeness too where t is below 1."""
    import anjana.anonymity as anjana

    quasi = [name for name in table.columns if t == 1 or name != SENSITIVE]
    hierarchies = {
        name: {
            level: labels.to_numpy()
            for level, labels in pd.read_csv(
                adult / f"adult_hierarchy_{name}.csv",
                sep=";",
                header=None,
                dtype=str,
                keep_default_na=False,
            ).items()
        }
        for name in quasi
    }
    if t == 1:
        released = anjana.k_anonymity(table, [], quasi, 5, 2, hierarchies)
    else:
        released = anjana.t_closeness(table, [], quasi, SENSITIVE, 5, t, 2, hierarchies)
    classes = released.groupby(quasi).size()
    return {
        "rows": len(released),
        "classes": len(classes),
        "loss": _loss(table, released, hierarchies),
    }


def _loss(
    table: pd.DataFrame, released: pd.DataFrame, hierarchies: dict[str, dict[int, object]]
) -> float:
    """Geometric Loss as ours: a cell's share of the leaves under its label, a dropped row all."""
    product = 1.0
    for name, levels in hierarchies.items():
        leaves = len(levels[0])
        shares: dict[str, float] = {}
        for labels in levels.values():
            for label, many in pd.Series(labels).value_counts().items():
                shares[str(label)] = max(shares.get(str(label), 0.0), many / leaves)
        lost = released[name].astype(str).map(shares).sum() + len(table) - len(released)
        low = len(table) / leaves
        product *= 1 + (lost - low) / (len(table) - low)
    return round(float(product ** (1 / len(hierarchies)) - 1), 6)


def _measure(table: pd.DataFrame, what: str) -> dict[str, object]:
    from pycanon import anonymity

    if what == "k":
        return {"k": int(anonymity.k_anonymity(table, list(table.columns)))}
    quasi = [name for name in table.columns if name != SENSITIVE]
    if what == "all":
        return _all(table, quasi)
    return {
        "k": int(anonymity.k_anonymity(table, quasi)),
        "l": int(anonymity.l_diversity(table, quasi, [SENSITIVE])),
        "t": round(float(anonymity.t_closeness(table, quasi, [SENSITIVE])), 6),
    }


def _all(table: pd.DataFrame, quasi: list[str]) -> dict[str, object]:
    """pyCANON's nine functions, which tell eleven figures, and their seconds without reading."""
    from pycanon import anonymity as a

    began = time.perf_counter()
    alpha, _ = a.alpha_k_anonymity(table, quasi, [SENSITIVE])
    c, l_of_c = a.recursive_c_l_diversity(table, quasi, [SENSITIVE])
    told = {
        "k": a.k_anonymity(table, quasi),
        "alpha": alpha,
        "l": a.l_diversity(table, quasi, [SENSITIVE]),
        "entropy_l": a.entropy_l_diversity(table, quasi, [SENSITIVE]),
        "c": c,
        "l_of_c": l_of_c,
        "beta": a.basic_beta_likeness(table, quasi, [SENSITIVE]),
        "beta_enhanced": a.enhanced_beta_likeness(table, quasi, [SENSITIVE]),
        "t": a.t_closeness(table, quasi, [SENSITIVE]),
        "delta": a.delta_disclosure(table, quasi, [SENSITIVE]),
    }
    seconds = time.perf_counter() - began
    return {name: round(float(value), 6) for name, value in told.items()} | {"seconds": seconds}


if __name__ == "__main__":
    main()
