# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Whether a class may be released, judged from how often each sensitive value occurs in it."""

import numpy as np
from libc.math cimport fabs, log
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

cdef double SLACK = 1e-9  # of every comparison of a distance with its limit
cdef double RELATIVE_SLACK = 1e-12
cdef enum:
    SENSITIVE = 1  # kinds of values; 0 is what l does not count
    HARMLESS = 2


cdef class Demands:
    """The demands on a class and the counts they are judged on.

    A caller clears the counts, adds the members of the class it thinks of, and asks whether all
    demands ``hold``. How many subjects a class needs, ``k``, is the caller's to count.
    """

    def __cinit__(self, int64_t k, columns, codes):
        cdef Py_ssize_t offset = 0
        cdef int c
        self.k = k
        self._kept = []
        self._columns = len(columns)
        self.asks = self._columns > 0
        self._values = sum(len(column.countable) for column in columns)
        widest = max([self._values] + [len(column.parent) for column in columns])
        self._counts = <int64_t*>calloc(self._values + 1, sizeof(int64_t))
        self._scratch = <double*>calloc(3 * widest + 1, sizeof(double))
        self._facts = <Facts*>calloc(self._columns + 1, sizeof(Facts))
        if not (self._counts and self._scratch and self._facts):
            raise MemoryError
        for c in range(self._columns):
            self._describe(&self._facts[c], columns[c], codes[c], offset)
            offset += len(columns[c].countable)

    def __dealloc__(self):
        free(self._facts)
        free(self._counts)
        free(self._scratch)

    cdef int _describe(self, Facts* facts, column, codes, Py_ssize_t offset) except -1:
        facts.offset = offset
        facts.values = len(column.countable)
        facts.codes = <const int32_t*>self._pointer(codes, np.int32)
        facts.kinds = <const uint8_t*>self._pointer(column.kinds, np.uint8)
        facts.measured = <const uint8_t*>self._pointer(column.measured, np.uint8)
        facts.distinct = column.distinct_l
        facts.log_entropy = column.log_entropy_l
        facts.recursive_c, facts.recursive_l = column.recursive
        facts.bounded = column.bounded
        facts.least = <const double*>self._pointer(column.least, np.float64)
        facts.most = <const double*>self._pointer(column.most, np.float64)
        facts.t = column.t
        facts.whole = <const double*>self._pointer(column.whole, np.float64)
        facts.ordered = column.ordered
        facts.nodes = len(column.parent)
        facts.parent = <const int32_t*>self._pointer(column.parent, np.int32)
        facts.height = <const double*>self._pointer(column.height, np.float64)
        return 0

    cdef const void* _pointer(self, array, dtype) except? NULL:
        kept = np.ascontiguousarray(array, dtype)
        self._kept.append(kept)
        return <const void*><size_t>kept.ctypes.data

    cdef void clear(self) noexcept nogil:
        memset(self._counts, 0, self._values * sizeof(int64_t))

    cdef void add(self, Py_ssize_t unit, int64_t rows) noexcept nogil:
        cdef int c
        for c in range(self._columns):
            self._counts[self._facts[c].offset + self._facts[c].codes[unit]] += rows

    cdef bint hold(self) noexcept nogil:
        cdef int c
        cdef Facts* facts
        cdef const int64_t* counts
        for c in range(self._columns):
            facts = &self._facts[c]
            counts = self._counts + facts.offset
            if not (
                enough_values(facts, counts)
                and even_enough(facts, counts)
                and no_value_dominates(facts, counts, self._scratch)
                and near_the_whole(facts, counts, self._scratch)
            ):
                return False
        return True

    def holds(self, units, rows):
        """Whether the demands hold for a class of these units with so many rows of each."""
        cdef Py_ssize_t i
        self.clear()
        for i in range(len(units)):
            self.add(units[i], rows[i])
        return bool(self.hold())


cdef bint enough_values(const Facts* facts, const int64_t* counts) noexcept nogil:
    """Distinct l: harmless values are one value together, and enough by themselves."""
    cdef int64_t seen = 0, harmless = 0
    cdef Py_ssize_t v
    if facts.distinct <= 1:
        return True
    for v in range(facts.values):
        if counts[v] > 0:
            if facts.kinds[v] == SENSITIVE:
                seen += 1
            elif facts.kinds[v] == HARMLESS:
                harmless = 1
    return seen + harmless >= facts.distinct or (harmless and not seen)


cdef bint even_enough(const Facts* facts, const int64_t* counts) noexcept nogil:
    """Entropy l: log n - Σ c log c / n is at least log l."""
    cdef double total = 0, sum_ = 0, harmless = 0
    cdef Py_ssize_t v
    if facts.log_entropy <= 0:
        return True
    for v in range(facts.values):
        if counts[v] > 0:
            if facts.kinds[v] == SENSITIVE:
                total += counts[v]
                sum_ += counts[v] * log(<double>counts[v])
            elif facts.kinds[v] == HARMLESS:
                harmless += counts[v]
    if total == 0:
        return harmless > 0
    if harmless > 0:
        total += harmless
        sum_ += harmless * log(harmless)
    return log(total) - sum_ / total >= facts.log_entropy - RELATIVE_SLACK


cdef bint no_value_dominates(
    const Facts* facts, const int64_t* counts, double* sorted_
) noexcept nogil:
    """Recursive (c, l): the largest count is below c times the sum from the l-th largest on."""
    cdef Py_ssize_t v, many = 0
    cdef double tail = 0, harmless = 0
    if facts.recursive_l <= 0:
        return True
    for v in range(facts.values):
        if counts[v] > 0:
            if facts.kinds[v] == SENSITIVE:
                many = insert(sorted_, many, <double>counts[v])
            elif facts.kinds[v] == HARMLESS:
                harmless += counts[v]
    if many == 0:
        return harmless > 0
    if harmless > 0:
        many = insert(sorted_, many, harmless)
    for v in range(facts.recursive_l - 1, many):
        tail += sorted_[v]
    return sorted_[0] < facts.recursive_c * tail


cdef Py_ssize_t insert(double* sorted_, Py_ssize_t many, double count) noexcept nogil:
    """Put a count where it belongs among those sorted downwards; returns how many they are then."""
    cdef Py_ssize_t place = many
    while place > 0 and sorted_[place - 1] < count:
        sorted_[place] = sorted_[place - 1]
        place -= 1
    sorted_[place] = count
    return many + 1


cdef bint near_the_whole(const Facts* facts, const int64_t* counts, double* excess) noexcept nogil:
    """Bounds on every value's share, and t-closeness; a class without measured rows says nothing."""
    cdef double total = 0, p
    cdef Py_ssize_t v
    if not facts.bounded and facts.t >= 1:
        return True
    for v in range(facts.values):
        if facts.measured[v]:
            total += counts[v]
    if total == 0:
        return True
    for v in range(facts.values):
        p = counts[v] / total if facts.measured[v] else 0
        if facts.measured[v] and not facts.least[v] <= p <= facts.most[v]:
            return False
        excess[v] = p - facts.whole[v]
    if facts.t >= 1:
        return True
    if facts.ordered:
        return ordered_distance(facts, excess, excess + facts.values) <= facts.t + SLACK
    return tree_distance(facts, excess, excess + facts.nodes) <= facts.t + SLACK


cdef double ordered_distance(
    const Facts* facts, const double* excess, double* at_point
) noexcept nogil:
    """Earth mover's distance along a row of points; several values may be at one."""
    cdef double moved = 0, distance = 0
    cdef Py_ssize_t v, points = 0
    for v in range(facts.values):
        at_point[v] = 0
    for v in range(facts.values):
        if facts.measured[v]:
            at_point[facts.parent[v]] += excess[v]
            points = max(points, <Py_ssize_t>facts.parent[v] + 1)
    for v in range(points):
        moved += at_point[v]
        distance += fabs(moved)
    return distance / (points - 1) if points > 1 else 0


cdef double tree_distance(const Facts* facts, double* excess, double* paired) noexcept nogil:
    """Earth mover's distance over a tree; values come first, parents after their children.

    What is too much under a node and what is too little there cancel at the node's height;
    only the difference goes further up.
    """
    cdef double distance = 0, less
    cdef Py_ssize_t node, above
    cdef double* surplus = paired
    cdef double* deficit = paired + facts.nodes
    for node in range(facts.nodes):
        surplus[node] = 0
        deficit[node] = 0
    for node in range(facts.nodes):
        if node >= facts.values:
            less = min(surplus[node], deficit[node])
            distance += less * facts.height[node]
            excess[node] = surplus[node] - deficit[node]
        above = facts.parent[node]
        if above >= 0:
            if excess[node] > 0:
                surplus[above] += excess[node]
            else:
                deficit[above] -= excess[node]
    return distance
