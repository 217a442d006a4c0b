# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The threshold sweep: close the cheapest boxes that hold enough subjects first.

A box is one node per axis. Costs are whole numbers, so that sums are exact in every order.
"""

import numpy as np
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

from stepdown.anonymise.local._demands cimport Demands

cdef enum:
    FEW = 24  # so few units are sorted by insertion
    COSTS = 48  # an axis with more different costs than this may cost anything
    SUMS = 4096  # so may axes whose costs have more different sums than this
    SUMS_OF_FEW = 64  # where there are few units and a long list would not pay

cdef int64_t ENDLESS = <int64_t>1 << 61


cdef struct Run:
    # Units that follow each other in the order and are under one node of an axis.
    int32_t node
    int32_t start
    int32_t end
    int32_t parts  # runs on the step below; one alone has been tried there already
    int32_t open  # units that no box holds
    int64_t heads


cdef int by_key(const void* a, const void* b) noexcept nogil:
    cdef uint64_t x = (<uint64_t*>a)[0], y = (<uint64_t*>b)[0]
    return (x > y) - (x < y)


cdef int64_t different(int64_t* values, int64_t many) noexcept nogil:
    """Sort values and keep each once; how many are left."""
    cdef int64_t i, last = 0
    qsort(values, many, sizeof(int64_t), by_key)
    for i in range(1, many):
        if values[i] != values[last]:
            last += 1
            values[last] = values[i]
    return last + 1


cdef class Sweep:
    """Units, the trees of their axes, and which box has been closed around which unit.

    Args:
        nodes: shape (u, axes), the node of each unit, axes dearest first, nodes numbered through
            all axes.
        ancestors: per axis, shape (steps, nodes of the axis).
        costs: shape (all nodes,); those that are ``forbidden`` are of no label.
        heads: shape (u,), the subjects that the unit counts for.
        rows: shape (u,).
        demands: on a class.
        forbidden: cost of a label that there is not.
    """

    cdef readonly object box_of
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
    cdef int32_t[::1] _places
    cdef int64_t[::1] _heads_of
    cdef uint64_t[::1] _keys
    cdef int64_t[::1] _sums
    cdef int64_t[::1] _many_sums
    cdef int64_t[::1] _first_step
    cdef int64_t[::1] _dearest
    cdef int64_t[::1] _cheapest_on
    cdef Run* _runs
    cdef int32_t _boxes
    cdef int _axes
    cdef int64_t _k, _limit, _over, _upto, _forbidden
    cdef Py_ssize_t _units

    def __cinit__(self):
        self._runs = NULL

    def __dealloc__(self):
        free(self._runs)

    def __init__(
        self, nodes, ancestors, costs, heads, rows, Demands demands, int64_t forbidden
    ):
        many = len(nodes)
        self.nodes = nodes
        self.heads = heads
        self.rows = rows
        self.demands = demands
        self.ancestors = np.concatenate([each.ravel() for each in ancestors])
        sizes = [each.shape[1] for each in ancestors]
        self._sizes = np.array(sizes, np.int64)
        self._steps = np.array([len(each) for each in ancestors], np.int64)
        self._first_node = np.cumsum([0, *sizes])
        self._first_ancestor = np.cumsum([0, *(each.size for each in ancestors)])
        self._axes = len(ancestors)
        self._k, self._forbidden = demands.k, forbidden
        self.box_of = np.full(many, -1, np.int32)
        self._box = self.box_of
        self._order = np.arange(many, dtype=np.int32)
        self._units = many
        self._places = np.empty(max(sizes), np.int32)
        self._heads_of = np.empty(max(sizes), np.int64)
        self._keys = np.empty(many, np.uint64)
        self._sums = np.empty((self._axes + 5) * SUMS, np.int64)
        self._many_sums = np.zeros(self._axes + 1, np.int64)
        self._first_step = np.cumsum([0, *map(len, ancestors)])
        self._dearest = np.zeros(self._axes + 1, np.int64)
        self._cheapest_on = np.zeros(sum(map(len, ancestors)), np.int64)
        self._runs = <Run*>malloc(sum(sizes) * sizeof(Run))
        if self._runs == NULL:
            raise MemoryError
        self.costs = costs

    @property
    def boxes(self):
        return self._boxes

    def begin_again(self, const int32_t[::1] units, costs):
        """Forget all boxes; go on with some units only, and with other costs."""
        cdef Py_ssize_t i
        self._units = len(units)
        for i in range(self._units):
            self._order[i] = units[i]
            self._box[units[i]] = -1
        self.costs = costs
        self._boxes, self.work = 0, 0

    def close(self, int64_t thresholds, int64_t limit):
        """Close boxes for one threshold after another, until the work exceeds the limit.

        The thresholds are closer where boxes are cheap; no box is above the last.

        Returns:
            False where the limit ended it.
        """
        cdef Py_ssize_t open_ = self._units
        cdef int64_t heads, i
        self._sum_up()
        self._limit, self._over = limit, -1
        for i in range(thresholds + 1):
            self._upto = self._dearest[0] * i * i // (thresholds * thresholds)
            open_ = self._open_first(0, open_)
            heads = self._heads(0, open_)
            if heads < self._k or self.work > limit:
                break
            self._explore(0, open_, heads, self._boxes, 0, 0)
            self._over = self._upto
        return self.work <= limit

    def share(self, int64_t thresholds, int64_t limit):
        """Find every unit's cheapest box of enough heads; one unit may be in several boxes.

        Returns:
            shape (u,), int64; a unit that the work limit left has what every box around it costs
            at least.
        """
        cdef int64_t heads = self._heads(0, self._units), i
        cheapest = np.full(self._units, ENDLESS, np.int64)
        self._sum_up()
        self._cheapest, self._sharing, self._limit, self._over = cheapest, True, limit, -1
        for i in range(thresholds + 1):
            self._upto = self._dearest[0] * i * i // (thresholds * thresholds)
            if heads >= self._k:
                self._explore(0, self._units, heads, 0, 0, 0)
            if self.work > limit:
                break
            self._over = self._upto
            self.box_of[cheapest <= self._upto] = 0
            if (self.box_of == 0).all():
                break
        cheapest[self.box_of < 0] = self._over + 1
        return cheapest

    # ------------------------------------------------------------------ what boxes may cost

    cdef void _sum_up(self) noexcept nogil:
        """List what the axes from each one on may cost together, as far as the list is short."""
        cdef int64_t few = SUMS if self._units > SUMS else SUMS_OF_FEW
        cdef int64_t costs[COSTS]
        cdef int64_t i, j, many, length = 1
        cdef int64_t* before = &self._sums[self._axes * SUMS]
        cdef int64_t* made = &self._sums[(self._axes + 1) * SUMS]
        cdef int axis
        before[0] = 0
        self._many_sums[self._axes], self._dearest[self._axes] = 1, 0
        for axis in range(self._axes - 1, -1, -1):
            many = self._different_costs(axis, costs)
            if length > 0 and many * length <= 4 * few:
                for i in range(many):
                    for j in range(length):
                        made[i * length + j] = costs[i] + before[j]
                length = different(made, many * length)
                if length > few:
                    length = 0
            else:
                length = 0
            before = &self._sums[axis * SUMS]
            for j in range(length):
                before[j] = made[j]
            self._many_sums[axis] = length

    cdef int64_t _different_costs(self, int axis, int64_t* costs) noexcept nogil:
        """How many different costs the nodes of an axis have: more than fit where they are many.

        Also finds the dearest of these axes' boxes, and what is cheapest on every step.
        """
        cdef int64_t many = 0, i, cost, most = 0, step, at
        cdef Py_ssize_t node
        for node in range(self._first_node[axis], self._first_node[axis + 1]):
            cost = self.costs[node]
            if cost >= self._forbidden:
                continue
            most = max(most, cost)
            i = 0
            while i < many and i < COSTS and costs[i] != cost:
                i += 1
            if i == many:
                many += 1
                if i < COSTS:
                    costs[i] = cost
            elif i == COSTS:
                many = COSTS + 1
        self._dearest[axis] = self._dearest[axis + 1] + most
        for step in range(self._steps[axis]):
            at = self._first_ancestor[axis] + step * self._sizes[axis]
            cost = self._forbidden
            for i in range(self._sizes[axis]):
                cost = min(cost, self.costs[self.ancestors[at + i]])
            self._cheapest_on[self._first_step[axis] + step] = cost
        return many if many <= COSTS else ENDLESS // SUMS

    cdef inline bint _worthwhile(self, int axis, int64_t cost) noexcept nogil:
        """Whether nodes of this axis and the later ones can bring a box into the interval.

        All boxes up to its lower end have been tried with all of today's open units, and more.
        """
        cdef const int64_t* sums = &self._sums[axis * SUMS]
        cdef int64_t lo = 0, hi = self._many_sums[axis], middle
        if cost > self._upto or cost + self._dearest[axis] <= self._over:
            return False
        if hi == 0:
            return True
        while lo < hi:  # the first sum that lifts the cost above the lower end
            middle = (lo + hi) >> 1
            if cost + sums[middle] > self._over:
                hi = middle
            else:
                lo = middle + 1
        return lo < self._many_sums[axis] and cost + sums[lo] <= self._upto

    # ------------------------------------------------------------------ the walk

    cdef Py_ssize_t _open_first(self, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
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

    cdef int64_t _heads(self, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
        cdef Py_ssize_t i
        cdef int64_t heads = 0
        for i in range(lo, hi):
            heads += self.heads[self._order[i]]
        return heads

    cdef void _explore(
        self, Py_ssize_t lo, Py_ssize_t hi, int64_t heads, int32_t boxes, int axis, int64_t cost
    ) noexcept nogil:
        """Try the boxes over a slice of the order whose nodes on earlier axes are chosen.

        A slice is sorted along the tree of the next axis, so that the units under a node are a
        slice of it, and the units under a child a slice of that one: no unit is ever copied.

        Args:
            heads: of the slice when so many boxes had been closed; all its units were open then,
                unless boxes are shared.
        """
        cdef Py_ssize_t i
        cdef int64_t step, grown
        cdef int32_t many
        cdef Run* runs
        cdef Run* run
        if not self._sharing and boxes != self._boxes:
            hi = self._open_first(lo, hi)
            heads = self._heads(lo, hi)
            if heads < self._k:
                return
        self.work += hi - lo
        if self.work > self._limit:
            return
        if axis == self._axes:
            if self._sharing:
                for i in range(lo, hi):
                    self._cheapest[self._order[i]] = min(self._cheapest[self._order[i]], cost)
            else:
                self._close(lo, hi)
            return
        boxes = self._boxes
        runs = self._runs + self._first_node[axis]
        many = self._sort(lo, hi, axis, runs)
        for step in range(self._steps[axis]):
            if cost + self._cheapest_on[self._first_step[axis] + step] > self._upto:
                break
            if step:
                many = self._climb(axis, step, runs, many)
            for i in range(many):
                run = &runs[i]
                if run.heads < self._k or run.parts == 1 or run.open == 0:
                    continue
                grown = cost + self.costs[run.node]
                if self._worthwhile(axis + 1, grown):
                    self._explore(run.start, run.end, run.heads, boxes, axis + 1, grown)

    cdef int32_t _climb(self, int axis, int64_t step, Run* runs, int32_t many) noexcept nogil:
        """Unite the runs under one node of a step; how many are left."""
        cdef const int32_t* up = &self.ancestors[
            self._first_ancestor[axis] + step * self._sizes[axis]
        ]
        cdef int32_t i, last = -1, node
        up -= self._first_node[axis]
        for i in range(many):
            node = up[runs[i].node]
            if last >= 0 and runs[last].node == node:
                runs[last].end = runs[i].end
                runs[last].heads += runs[i].heads
                runs[last].open += runs[i].open
                runs[last].parts += 1
            else:
                last += 1
                runs[last] = runs[i]
                runs[last].node = node
                runs[last].parts = 1
        return last + 1

    cdef void _close(self, Py_ssize_t lo, Py_ssize_t hi) noexcept nogil:
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

    # ------------------------------------------------------------------ sorting

    cdef int32_t _sort(self, Py_ssize_t lo, Py_ssize_t hi, int axis, Run* runs) noexcept nogil:
        """Sort a slice by its nodes on an axis; a run per node, and how many they are."""
        cdef Py_ssize_t i, j, many = hi - lo
        cdef int32_t few[FEW]
        cdef int32_t unit, node, last = -1, base = <int32_t>self._first_node[axis]
        if many > FEW and self._sizes[axis] < 4 * many:
            return self._sort_by_counting(lo, hi, axis, runs)
        if many <= FEW:
            for i in range(many):
                unit = self._order[lo + i]
                node = self.nodes[unit, axis]
                j = i
                while j > 0 and few[j - 1] > node:
                    few[j] = few[j - 1]
                    self._order[lo + j] = self._order[lo + j - 1]
                    j -= 1
                few[j] = node
                self._order[lo + j] = unit
        else:
            for i in range(lo, hi):
                unit = self._order[i]
                self._keys[i] = (<uint64_t>self.nodes[unit, axis] << 32) | <uint64_t>unit
            qsort(&self._keys[lo], many, sizeof(uint64_t), by_key)
            for i in range(lo, hi):
                self._order[i] = <int32_t><uint32_t>self._keys[i]
        for i in range(lo, hi):
            unit = self._order[i]
            node = self.nodes[unit, axis]
            if last < 0 or runs[last].node != node:
                last += 1
                begin(&runs[last], node, <int32_t>i)
            runs[last].end = <int32_t>(i + 1)
            runs[last].heads += self.heads[unit]
            runs[last].open += self._box[unit] < 0
        return last + 1

    cdef int32_t _sort_by_counting(
        self, Py_ssize_t lo, Py_ssize_t hi, int axis, Run* runs
    ) noexcept nogil:
        cdef Py_ssize_t i, size = self._sizes[axis]
        cdef int32_t unit, node, base = <int32_t>self._first_node[axis], many = 0
        cdef int32_t place = <int32_t>lo, end
        cdef int32_t* places = &self._places[0]
        cdef int64_t* heads = &self._heads_of[0]
        memset(places, 0, size * sizeof(int32_t))
        memset(heads, 0, size * sizeof(int64_t))
        for i in range(lo, hi):
            unit = self._order[i]
            node = self.nodes[unit, axis] - base
            self._keys[i] = (<uint64_t>node << 32) | <uint64_t>unit
            places[node] += 1
            heads[node] += self.heads[unit]
        for i in range(size):
            if places[i]:
                end = place + places[i]
                runs[many].node, runs[many].start, runs[many].end = base + <int32_t>i, place, end
                runs[many].parts, runs[many].open, runs[many].heads = 0, places[i], heads[i]
                many += 1
                places[i] = place
                place = end
        for i in range(lo, hi):
            node = <int32_t>(self._keys[i] >> 32)
            self._order[places[node]] = <int32_t><uint32_t>self._keys[i]
            places[node] += 1
        if self._sharing:
            for i in range(many):
                runs[i].open = 0
                for place in range(runs[i].start, runs[i].end):
                    runs[i].open += self._box[self._order[place]] < 0
        return many


cdef inline void begin(Run* run, int32_t node, int32_t start) noexcept nogil:
    run.node, run.start, run.end = node, start, start
    run.parts, run.open, run.heads = 0, 0, 0
