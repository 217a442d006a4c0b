# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The highest-scoring classes of each target, by branch and bound over the tree of their codes.

What a score means is said in ``nearest.py``.
"""

import numpy as np
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc

cdef enum:
    MOST_COLUMNS = 64


def best_leaves(
    const int64_t[::1] levels, const int32_t[::1] labels, const int64_t[::1] children,
    const int64_t[::1] offsets, const int32_t[:, ::1] scores, const int64_t[::1] gone_starts,
    const int64_t[::1] gone,
):
    """The leaves with the highest sum of scores along their path, all that tie.

    The tree has one level per column. A subtree is left out as soon as what its path has scored
    and the most that is left to score stay below the best leaf so far.

    Args:
        levels: shape (columns + 1,); nodes of level q are ``levels[q]`` to ``levels[q + 1]``.
        labels: shape (nodes,), each node's code in its column.
        children: shape (nodes of all levels but the last + 1,), counted from a root in front of
            them: node i of those has, on the next level, the children from ``children[i]`` to
            ``children[i + 1]``, counted over all levels.
        offsets: shape (columns,), where a column's scores begin.
        scores: shape (targets, labels of all columns).
        gone_starts, gone: leaves to leave out, counted over the last level: those of target t are
            ``gone[gone_starts[t] : gone_starts[t + 1]]``.

    Returns:
        starts, shape (targets + 1,), and the leaves of each target, ascending.
    """
    cdef Py_ssize_t columns = offsets.shape[0], targets = scores.shape[0], t, q, i
    cdef int64_t leaves = levels[columns] - levels[columns - 1]
    cdef int64_t first_leaf = levels[columns - 1]
    cdef int64_t at[MOST_COLUMNS]
    cdef int64_t end[MOST_COLUMNS]
    cdef int64_t had[MOST_COLUMNS + 1]
    cdef int64_t rest[MOST_COLUMNS + 1]
    cdef int64_t node, s, best, top
    cdef int64_t room = 1024, used = 0, start
    cdef int64_t* out
    cdef int64_t* grown
    cdef int64_t labels_end
    starts = np.zeros(targets + 1, np.int64)
    is_gone = np.zeros(leaves, np.uint8)
    cdef int64_t[::1] begin = starts
    cdef unsigned char[::1] dead = is_gone
    if columns > MOST_COLUMNS:
        raise ValueError("more columns than the tree may have levels")
    out = <int64_t*>malloc(room * sizeof(int64_t))
    if out == NULL:
        raise MemoryError
    try:
        with nogil:
            for t in range(targets):
                for i in range(gone_starts[t], gone_starts[t + 1]):
                    dead[gone[i]] = 1
                rest[columns] = 0
                for q in range(columns - 1, -1, -1):
                    labels_end = offsets[q + 1] if q + 1 < columns else scores.shape[1]
                    top = scores[t, offsets[q]]
                    for i in range(offsets[q], labels_end):
                        if scores[t, i] > top:
                            top = scores[t, i]
                    rest[q] = rest[q + 1] + top
                start = used
                best = -(<int64_t>1 << 62)
                q = 0
                had[0] = 0
                at[0] = children[0]
                end[0] = children[1]
                while q >= 0:
                    if at[q] == end[q]:
                        q -= 1
                        continue
                    node = at[q]
                    at[q] += 1
                    s = had[q] + scores[t, offsets[q] + labels[node]]
                    if s + rest[q + 1] < best:
                        continue
                    if q + 1 < columns:
                        q += 1
                        had[q] = s
                        at[q] = children[node + 1]
                        end[q] = children[node + 2]
                        continue
                    if dead[node - first_leaf]:
                        continue
                    if s > best:
                        best = s
                        used = start
                    if used == room:
                        grown = <int64_t*>realloc(out, 2 * room * sizeof(int64_t))
                        if grown == NULL:
                            with gil:
                                raise MemoryError
                        out = grown
                        room *= 2
                    out[used] = node - first_leaf
                    used += 1
                begin[t + 1] = used
                for i in range(gone_starts[t], gone_starts[t + 1]):
                    dead[gone[i]] = 0
        found = np.array(<int64_t[:used]>out) if used else np.empty(0, np.int64)
    finally:
        free(out)
    return starts, found
