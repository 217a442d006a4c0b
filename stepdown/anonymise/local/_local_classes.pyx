# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Pieces in classes, and the classes' labels in a trie.

A piece is a unit, or some rows of it, in one class. A class's label is the least common ancestor
of its pieces' nodes on every axis, and every row of the class costs what the label costs. The
classes are kept in a trie by their labels, axis after axis.
"""

import numpy as np
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc

from stepdown.anonymise.local._demands cimport Demands

cdef int64_t ENDLESS = <int64_t>1 << 61  # above every total cost


cdef class Classes:
    """Classes of pieces, each with its tightest label.

    Args:
        nodes: shape (u, axes), numbered through all axes.
        first, parent, costs: shape (all nodes,); every axis ends with a node over all others that
            costs ``forbidden``.
        heads, rows: shape (u,).
        divisible: rows of one unit may be in several classes.
        home: shape (u,), the class of each unit.
        classes: how many there are.
        demands: on a class.
        forbidden: cost of a label that there is not.
    """

    def __cinit__(self):
        self.trie = NULL

    def __dealloc__(self):
        free(self.trie)

    def __init__(
        self, nodes, first, parent, costs, heads, rows, bint divisible, home, Py_ssize_t classes,
        Demands demands, int64_t forbidden,
    ):
        cdef Py_ssize_t u = len(nodes), i
        self.nodes, self.first, self.parent, self.costs = nodes, first, parent, costs
        self.axes = nodes.shape[1]
        assert self.axes <= AXES
        self.divisible, self.demands, self.k = divisible, demands, demands.k
        self.forbidden = forbidden
        self.pieces, self.room = u, u
        if divisible:
            self.room += min(int(np.minimum(rows, 4 * self.k).sum()) - u, 2 * u) + 1
        self.unit = _grown(np.arange(u, dtype=np.int32), self.room)
        self.rows = _grown(np.array(rows, np.int64), self.room)
        self.heads = _grown(np.array(heads, np.int64), self.room)
        self.home = _grown(np.array(home, np.int32), self.room)
        self.after = np.full(self.room, NONE, np.int32)
        self.before = np.full(self.room, NONE, np.int32)
        self.classes = classes
        self.member = np.full(classes, NONE, np.int32)
        self.size = np.zeros(classes, np.int64)
        self.bulk = np.zeros(classes, np.int64)
        self.cost = np.zeros(classes, np.int64)
        self.label = np.zeros((classes, self.axes), np.int32)
        self.alike = np.full(classes, NONE, np.int32)
        self.leaf = np.full(classes, NONE, np.int32)
        self.fresh = np.ones(classes, np.uint8)
        for i in range(u):
            if self.home[i] >= 0:
                self._link(i, self.home[i])
        self.branches = 0
        self._plant()
        self.unused, self.next_empty = 0, NONE
        for i in range(classes):
            self._relabel(i)
            self.unused += self.member[i] == NONE

    def assignment(self):
        """Unit, class and rows of every piece."""
        n = self.pieces
        return (
            np.asarray(self.unit)[:n].copy(),
            np.asarray(self.home)[:n].copy(),
            np.asarray(self.rows)[:n].copy(),
        )

    def total(self):
        return int(np.dot(np.asarray(self.cost), np.asarray(self.bulk)))

    def labels(self):
        return np.asarray(self.label)

    def sizes(self):
        return np.asarray(self.size)


    cdef void _link(self, int32_t piece, int32_t c) noexcept:
        self.home[piece] = c
        self.before[piece] = NONE
        self.after[piece] = self.member[c]
        if self.member[c] != NONE:
            self.before[self.member[c]] = piece
        self.member[c] = piece
        self.size[c] += self.heads[piece]
        self.bulk[c] += self.rows[piece]

    cdef void _unlink(self, int32_t piece) noexcept:
        cdef int32_t c = self.home[piece]
        if self.before[piece] != NONE:
            self.after[self.before[piece]] = self.after[piece]
        else:
            self.member[c] = self.after[piece]
        if self.after[piece] != NONE:
            self.before[self.after[piece]] = self.before[piece]
        self.size[c] -= self.heads[piece]
        self.bulk[c] -= self.rows[piece]

    cdef int32_t _part(self, int32_t piece, int64_t rows) noexcept:
        """A piece of so many rows, split off where the piece has more."""
        cdef int32_t part
        if rows >= self.rows[piece]:
            return piece
        part = <int32_t>self.pieces
        self.pieces += 1
        self.unit[part] = self.unit[piece]
        self.rows[part] = rows
        self.heads[part] = rows
        self.rows[piece] -= rows
        self.heads[piece] -= rows
        # The class counts the same rows as before: linked, the part adds what the piece lost.
        self.size[self.home[piece]] -= rows
        self.bulk[self.home[piece]] -= rows
        self._link(part, self.home[piece])
        return part

    cdef int64_t _loose(self, int32_t piece) noexcept:
        """How many rows of a piece its class can spare; 0 where it can spare none."""
        cdef int64_t spare = self.size[self.home[piece]] - self.k
        if self.heads[piece] <= spare:
            return self.rows[piece]
        if self.divisible and spare > 0 and self.pieces < self.room:
            return spare
        return 0

    cdef void _join(self, int32_t piece, int32_t c) noexcept:
        """Add a piece that is in no class."""
        cdef const int32_t* x = &self.nodes[self.unit[piece], 0]
        cdef int axis
        cdef bint covered = True
        self._link(piece, c)
        for axis in range(self.axes):
            covered = covered and self.first[self.label[c, axis]] <= x[axis] <= self.label[c, axis]
        if not covered:
            self._relabel(c)
        self.fresh[c] = 1


    cdef void _relabel(self, int32_t c) noexcept:
        """Give a class the tightest label, and its place in the trie."""
        cdef int32_t tight[AXES]
        cdef int32_t piece = self.member[c]
        cdef const int32_t* x
        cdef int axis
        cdef bint same = self.leaf[c] != NONE
        cdef int64_t cost = 0
        if piece == NONE:
            self._drop(c)
            self.cost[c] = 0
            return
        for axis in range(self.axes):
            tight[axis] = self.nodes[self.unit[piece], axis]
        piece = self.after[piece]
        while piece != NONE:
            x = &self.nodes[self.unit[piece], 0]
            for axis in range(self.axes):
                tight[axis] = self._common(tight[axis], x[axis])
            self.work += 1
            piece = self.after[piece]
        for axis in range(self.axes):
            same = same and tight[axis] == self.label[c, axis]
            cost += self.costs[tight[axis]]
        if same:
            return
        self._drop(c)
        for axis in range(self.axes):
            self.label[c, axis] = tight[axis]
        self.cost[c] = cost
        self._insert(c)

    cdef int32_t _empty_class(self) noexcept:
        cdef Py_ssize_t tried
        for tried in range(self.classes):
            self.next_empty = <int32_t>((self.next_empty + 1) % self.classes)
            if self.member[self.next_empty] == NONE:
                return self.next_empty
        return NONE

    cdef void _count(self, int32_t c, int32_t without, int64_t rows) noexcept:
        """Count a class's sensitive values, less some rows of one piece."""
        cdef int32_t piece = self.member[c]
        while piece != NONE:
            self.work += 1
            self.demands.add(self.unit[piece], self.rows[piece] - (rows if piece == without else 0))
            piece = self.after[piece]

    # ------------------------------------------------------------------ trie

    cdef void _plant(self):
        self.trie_room = max(1024, 4 * self.classes)
        self.trie = <Branch*>malloc(self.trie_room * sizeof(Branch))
        self.branches = 1
        self.trie[0].child = NONE
        self.trie[0].sibling = NONE
        self.trie[0].parent = NONE
        self.trie[0].live = 0
        self.trie[0].least = ENDLESS
        self.trie[0].most = 0

    cdef void _insert(self, int32_t c) noexcept:
        cdef int axis
        cdef int32_t at = 0, child
        cdef int64_t rest = self.cost[c]
        for axis in range(self.axes):
            child = self.trie[at].child
            while child != NONE and self.trie[child].label != self.label[c, axis]:
                child = self.trie[child].sibling
            if child == NONE:
                child = self._sprout(at, self.label[c, axis])
            rest -= self.costs[self.label[c, axis]]
            at = child
            self.trie[at].live += 1
            self.trie[at].least = min(self.trie[at].least, rest)
            self.trie[at].most = max(self.trie[at].most, rest)
        self.alike[c] = self.trie[at].child
        self.trie[at].child = c
        self.leaf[c] = at

    cdef int32_t _sprout(self, int32_t at, int32_t label) noexcept:
        cdef int32_t child
        if self.branches == self.trie_room:
            self.trie_room *= 2
            self.trie = <Branch*>realloc(self.trie, self.trie_room * sizeof(Branch))
        child = self.branches
        self.branches += 1
        self.trie[child].label = label
        self.trie[child].child = NONE
        self.trie[child].sibling = self.trie[at].child
        self.trie[child].parent = at
        self.trie[child].live = 0
        self.trie[child].least = ENDLESS
        self.trie[child].most = 0
        self.trie[at].child = child
        return child

    cdef void _drop(self, int32_t c) noexcept:
        cdef int32_t at = self.leaf[c], other
        if at == NONE:
            return
        if self.trie[at].child == c:
            self.trie[at].child = self.alike[c]
        else:
            other = self.trie[at].child
            while self.alike[other] != c:
                other = self.alike[other]
            self.alike[other] = self.alike[c]
        self.leaf[c] = NONE
        while at > 0:
            self.trie[at].live -= 1
            at = self.trie[at].parent


def _grown(array, Py_ssize_t room):
    out = np.zeros(room, array.dtype)
    out[: len(array)] = array
    return out
