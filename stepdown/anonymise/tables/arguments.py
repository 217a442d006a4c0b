"""Check what is asked of one table, before any work."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.lattice.score import LossKind
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import MOST_QUASI_IDENTIFIERS

DistanceKind = Literal["equal", "ordered", "hierarchical"]
BY_CLASSES = ("aecs", "discernibility")


@dataclass(frozen=True)
class Arguments:
    """The arguments of ``anonymise_file`` that can be wrong by themselves."""

    quasi_identifiers: Sequence[str]
    models: PrivacyModels
    t_kind: DistanceKind
    sensitive: Sequence[str]
    population: Path | None
    suppression: float
    loss: LossKind
    weights: Mapping[str, float]
    output: Path
    budget_seconds: float | None = None

    def check(self) -> None:
        """Refuse what makes no sense, all of it at once.

        Raises:
            ConfigInvalid: with every mistake.
        """
        found = [*self._about_models(), *self._about_the_rest()]
        if found:
            raise ConfigInvalid("; ".join(found), next="See `stepdown anonymise --help`.")

    def _about_models(self) -> Iterator[str]:
        models = self.models
        if models == PrivacyModels():
            yield "no privacy model is asked for"
        for name, people in (("k", models.k), ("k-map", models.k_map)):
            if people < 1:
                yield f"{name} is {people}, and must be at least 1"
        for values in (models.distinct_l, models.entropy_l, *(models.recursive_cl or ())[1:]):
            if not 1 <= values < math.inf:
                yield f"l is {values}, and must be at least 1"
        for name, share in (
            ("t", models.t),
            ("the average risk", models.expected_reidentifications),
        ):
            if share is not None and not 0 <= share <= 1:
                yield f"{name} is {share}, and must be between 0 and 1"
        c = models.recursive_cl[0] if models.recursive_cl else 1.0
        for name, limit in (
            ("c", c),
            ("delta", models.delta_disclosure),
            ("beta", models.beta),
            ("beta", models.enhanced_beta),
        ):
            if limit is not None and not 0 < limit < math.inf:
                yield f"{name} is {limit}, and must be a number greater than 0"
        least, most = models.delta_presence or (0.0, 1.0)
        if not 0 <= least <= most < math.inf:
            yield "delta-presence goes from the smaller to the larger share, 0 or more"
        if models.about_sensitive and not self.sensitive:
            yield "l, t, delta and beta are about sensitive columns, and none is named"
        if models.about_population and self.population is None:
            yield "k-map and delta-presence are about a population, and no table of it is named"

    def _about_the_rest(self) -> Iterator[str]:
        if not self.quasi_identifiers:
            yield "no quasi-identifier is named"
        if len(self.quasi_identifiers) > MOST_QUASI_IDENTIFIERS:
            yield (
                f"{len(self.quasi_identifiers)} quasi-identifiers are named, and "
                f"{MOST_QUASI_IDENTIFIERS} are the most that can be recoded: leave out those that "
                "nobody could know, or put answers together in fewer columns"
            )
        if not 0 <= self.suppression <= 1:
            yield f"suppression is {self.suppression}, and must be between 0 and 1"
        strangers = [name for name in self.weights if name not in self.quasi_identifiers]
        if strangers:
            yield f"weights of columns that are no quasi-identifiers: {', '.join(strangers)}"
        if any(not 0 < weight < math.inf for weight in self.weights.values()):
            yield "a weight must be a number greater than 0"
        if self.budget_seconds is not None and not 0 <= self.budget_seconds < math.inf:
            yield f"the budget is {self.budget_seconds} seconds, and must be 0 or more"
        if self.weights and self.loss in BY_CLASSES:
            yield f"{self.loss} looks at classes, and weights of columns say nothing to it"
        if self.output.suffix not in (".csv", ".parquet"):
            ending = self.output.suffix or "nothing"
            yield f"the output ends in {ending}, and must end in .csv or .parquet"
        if not self.output.parent.is_dir():
            yield f"there is no folder {self.output.parent} to write to"
