# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The threshold sweep: close the cheapest boxes that hold enough subjects first.

A box is one node per axis. Costs are whole numbers, so that sums are exact in every order.
"""

import numpy as np
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport qsort

from stepdown.anonymise._demands cimport Demands

cdef enum:
    FEW = 24  # so few units are sorted by insertion

cdef int64_t ENDLESS = <int64_t>1 << 61


cdef int by_key(const void* a, const void* b) noexcept nogil:
    cdef uint64_t x = (<uint64_t*>a)[0], y = (<uint64_t*>b)[0]
    return (x > y) - (x < y)


cdef class Sweep:
    """Units, the trees of their axes, and which box has been closed around which unit.

    Args:
        nodes: shape (u, axes), the node of each unit, axes dearest first, nodes numbered through
            all axes.
        ancestors: per axis, shape (steps, nodes of the axis).
        costs: shape (all nodes,).
        heads: shape (u,), the subjects that the unit counts for.
        rows: shape (u,).
        demands: on a class.
    """

    cdef readonly object box_of, cheapest
    cdef readonly int64_t work
    cdef int64_t[::1] _cheapest
    cdef bint _sharing
    cdef const int32_t[:, ::1] nodes
    cdef const int32_t[::1] ancestors
    cdef const int64_t[::1] costs
    cdef const int64_t[::1] heads
    cdef const int64_t[::1] rows
    cdef Demands demands
    cdef int64_t[::1] _first_ancestor
    cdef int64_t[::1] _first_node
    cdef int64_t[::1] _steps
    cdef int64_t[::1] _sizes
    cdef int32_t[::1] _box
    cdef int32_t[::1] _order
    cdef int32_t[::1] _spare
    cdef uint64_t[::1] _keys
    cdef int32_t[:, ::1] _places
    cdef int32_t _boxes
    cdef int _axes
    cdef int64_t _k, _limit, _over, _upto

    def __init__(self, nodes, ancestors, costs, heads, rows, Demands demands):
        many = len(nodes)
        self.nodes = nodes
        self.heads = heads
        self.rows = rows
        self.demands = demands
        self.ancestors = np.concatenate([each.ravel() for each in ancestors]).astype(np.int32)
        self.costs = costs
        sizes = np.array([each.shape[1] for each in ancestors], np.int64)
        steps = np.array([len(each) for each in ancestors], np.int64)
        self._sizes, self._steps = sizes, steps
        self._first_node = np.concatenate(([0], np.cumsum(sizes)))
        self._first_ancestor = np.concatenate(([0], np.cumsum(sizes * steps)))
        self._axes = len(ancestors)
        self._k = demands.k
        self.box_of = np.full(many, -1, np.int32)
        self._box = self.box_of
        self._order = np.arange(many, dtype=np.int32)
        self._spare = np.empty(many, np.int32)
        self._keys = np.empty(many, np.uint64)
        self._places = np.zeros((self._axes, int(sizes.max()) + 1), np.int32)

    @property
    def boxes(self):
        return self._boxes

    def close(self, thresholds, int64_t limit):
        """Close boxes for one threshold after another, until the work exceeds the limit."""
        cdef Py_ssize_t open_ = self._order.shape[0]
        self._limit = limit
        self._over = -1
        for threshold in thresholds:
            self._upto = threshold
            open_ = self._open_first(0, open_)
            if open_ == 0 or self.work > limit:
                break
            self._explore(0, open_, 0, 0)
            self._over = self._upto
        return self.work <= limit

    def share(self, thresholds, int64_t limit):
        """Find every unit's cheapest box of enough heads; one unit may be in several boxes.

        Returns:
            shape (u,), int64; a unit that the work limit left has what every box around it costs
            at least.
        """
        cheapest = np.full(self._order.shape[0], ENDLESS, np.int64)
        self._cheapest, self._sharing, self._limit, self._over = cheapest, True, limit, -1
        for threshold in thresholds:
            self._upto = threshold
            self._explore(0, self._order.shape[0], 0, 0)
            if self.work > limit:
                break
            self._over = threshold
            self.box_of[cheapest <= threshold] = 0
        cheapest[self.box_of < 0] = self._over + 1
        return cheapest

    cdef Py_ssize_t _open_first(self, Py_ssize_t lo, Py_ssize_t hi) noexcept:
        """Move the units that no box holds to the front of a slice; where they end."""
        cdef Py_ssize_t i, end = lo
        cdef int32_t unit
        for i in range(lo, hi):
            unit = self._order[i]
            if self._box[unit] < 0:
                self._order[i] = self._order[end]
                self._order[end] = unit
                end += 1
        return end

    cdef void _explore(self, Py_ssize_t lo, Py_ssize_t hi, int axis, int64_t cost) noexcept:
        """Try the boxes over a slice of the order whose nodes on earlier axes are chosen.

        A slice is sorted along the tree of the next axis, so that the units under a node are a
        slice of it, and the units under a child a slice of that one: no unit is ever copied.
        """
        cdef Py_ssize_t i, start, step, sub
        cdef int64_t heads = 0
        cdef const int32_t* up
        cdef const int32_t* below
        cdef int32_t node
        i = self._open_first(lo, hi)
        if i == lo:
            return
        if not self._sharing:
            hi = i
        for i in range(lo, hi):
            heads += self.heads[self._order[i]]
        self.work += hi - lo
        if heads < self._k or self.work > self._limit:
            return
        if axis == self._axes:
            if self._sharing:
                for i in range(lo, hi):
                    self._cheapest[self._order[i]] = min(self._cheapest[self._order[i]], cost)
            elif cost > self._over:
                self._close(lo, hi)
            return
        self._sort(lo, hi, axis)
        for step in range(self._steps[axis]):
            up = &self.ancestors[self._first_ancestor[axis] + step * self._sizes[axis]]
            up -= self._first_node[axis]
            below = up - self._sizes[axis]
            start = lo
            while start < hi:
                node = up[self.nodes[self._order[start], axis]]
                heads = 0
                i = start
                while i < hi and up[self.nodes[self._order[i], axis]] == node:
                    heads += self.heads[self._order[i]]
                    i += 1
                # A node over the very units of one of its children costs more and holds no more.
                if (
                    heads >= self._k
                    and cost + self.costs[node] <= self._upto
                    and (
                        step == 0
                        or below[self.nodes[self._order[start], axis]]
                        != below[self.nodes[self._order[i - 1], axis]]
                    )
                ):
                    self._explore(start, i, axis + 1, cost + self.costs[node])
                start = i

    cdef void _close(self, Py_ssize_t lo, Py_ssize_t hi) noexcept:
        cdef Py_ssize_t i
        if self.demands.asks:
            self.demands.clear()
            for i in range(lo, hi):
                self.demands.add(self._order[i], self.rows[self._order[i]])
            self.work += hi - lo
            if not self.demands.hold():
                return
        for i in range(lo, hi):
            self._box[self._order[i]] = self._boxes
        self._boxes += 1

    cdef void _sort(self, Py_ssize_t lo, Py_ssize_t hi, int axis) noexcept:
        cdef Py_ssize_t i, j, many = hi - lo
        cdef int32_t unit, node, base = <int32_t>self._first_node[axis]
        cdef int32_t* places
        if many <= FEW:
            for i in range(lo + 1, hi):
                unit = self._order[i]
                node = self.nodes[unit, axis]
                j = i
                while j > lo and self.nodes[self._order[j - 1], axis] > node:
                    self._order[j] = self._order[j - 1]
                    j -= 1
                self._order[j] = unit
        elif self._sizes[axis] < 4 * many:
            places = &self._places[axis, 0]
            for i in range(self._sizes[axis] + 1):
                places[i] = 0
            for i in range(lo, hi):
                self._spare[i] = self._order[i]
                places[self.nodes[self._order[i], axis] - base + 1] += 1
            for i in range(self._sizes[axis]):
                places[i + 1] += places[i]
            for i in range(lo, hi):
                node = self.nodes[self._spare[i], axis] - base
                self._order[lo + places[node]] = self._spare[i]
                places[node] += 1
        else:
            for i in range(lo, hi):
                unit = self._order[i]
                self._keys[i] = (<uint64_t>self.nodes[unit, axis] << 32) | <uint64_t>unit
            qsort(&self._keys[lo], many, sizeof(uint64_t), by_key)
            for i in range(lo, hi):
                self._order[i] = <int32_t>(self._keys[i] & 0xFFFFFFFF)
