"""People recognised by the set of their rows, where an id holds the rows together."""

from __future__ import annotations

import numpy as np

from stepdown.engine.session import Session
from stepdown.risk.classes import Ints


def trajectory_class_sizes(session: Session) -> Ints:
    """Subjects in every trajectory class: those who share the whole multiset of their rows.

    A subject's trajectory is the sorted list of the classes of their rows, so that two subjects
    are alike only if every row of one has its counterpart in the other.

    Args:
        session: holds ``member`` of ``build_classes``.

    Returns:
        shape (n_trajectory_classes,), int ≥ 1.
    """
    table = session.fetch(
        "SELECT count(*) AS subjects FROM "
        "(SELECT list(class ORDER BY class) AS trajectory FROM member GROUP BY subject) "
        "GROUP BY trajectory"
    )
    sizes: Ints = table["subjects"].to_numpy().astype(np.int64)
    return sizes
