"""Count the people, or households, whose rows together are the same, under a kept id."""

from __future__ import annotations

from typing import Literal

import numpy as np

from stepdown.engine import Session
from stepdown.risk.classes.classes import Ints


def trajectory_class_sizes(
    session: Session, of: Literal["subject", "household"] = "subject"
) -> Ints:
    """Subjects, or households, in every trajectory class: those who share the multiset of rows.

    A trajectory is the sorted list of the classes of the rows, so that two subjects are alike only
    if every row of one has its counterpart in the other. A household's rows are its members': who
    knows a family's ages and sexes knows its trajectory. Rows without a household belong to none.

    Args:
        session: holds ``member`` and ``record`` (with ``household``) of ``build_classes``.
        of: whose rows the file's id holds together.

    Returns:
        shape (n_trajectory_classes,), int ≥ 1.
    """
    source = f"(SELECT class, record.{of} AS holder FROM member JOIN record USING (row))"
    table = session.fetch(
        "SELECT count(*) AS sharers FROM (SELECT list(class ORDER BY class) AS trajectory "
        f"FROM {source} WHERE holder IS NOT NULL GROUP BY holder) GROUP BY trajectory"
    )
    sizes: Ints = table["sharers"].to_numpy().astype(np.int64)
    return sizes
