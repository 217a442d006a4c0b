# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The search for minimal sample uniques: partitions refined column by column.

What it finds is said in ``suda.py``. How: a set of columns is reached from its prefix, the set
without its last column, by splitting the prefix's classes by that column's codes. A class that one
subject has alone is dropped there and then: its rows are unique on every larger set too, so none
of those is minimal for them, and no other row agrees with them again. The last columns come first, so
that every subset of a set has been seen before it.
"""

import numpy as np
from libc.stdint cimport int32_t, int64_t, uint64_t


cdef enum:
    SHARED = -1  # owner of a row that several subjects have: never unique
    MIXED = -2   # a class of several owners


cdef class Search:
    """The rows, and what was found on the sets of columns seen so far.

    Args:
        codes: shape (columns, n), int32, a code per cell; below 0 belongs to no set. Rows are
            distinct.
        values: shape (columns,), above the largest code of each.
        owners: shape (n,), the one subject who has the row, −1 where several have it.
        records: shape (n,), how many records the row stands for.
        size: columns in the largest set.

    Attributes:
        counts: shape (n, size), minimal sample uniques of each row by their size.
        by_column: shape (size, columns), records × minimal sample uniques that hold the column.
    """

    cdef const int32_t[:, ::1] codes
    cdef const int32_t[::1] owners
    cdef const int64_t[::1] records
    cdef int columns, size
    cdef Py_ssize_t n, words
    cdef int32_t lone  # rows before this one are each their own owner's
    # Per depth: row numbers class after class, and where each class ends.
    cdef int32_t[:, ::1] rows, ends
    # Per code of the column that splits: rows, owner, and where they go.
    cdef int32_t[::1] many, owner, place, touched
    # Per row one bit for every set smaller than ``size`` that is minimal for it.
    cdef uint64_t[:, ::1] marks
    cdef uint64_t[::1] marked
    # The smaller sets under the one that is looked at: words of a row's bits, and which of them.
    cdef int64_t[::1] below_at
    cdef uint64_t[::1] below
    cdef Py_ssize_t below_many
    cdef int64_t[:, ::1] choose
    cdef int64_t[::1] first_of_size
    cdef int[64] chosen
    cdef int32_t[:, ::1] counted
    cdef int64_t[:, ::1] totals
    cdef readonly object counts, by_column

    def __init__(self, codes, values, owners, records, int size):
        self.codes, self.owners, self.records = codes, owners, records
        self.lone = np.argmax(np.append(owners, -2) != np.arange(len(owners) + 1))
        self.columns, self.n, self.size = codes.shape[0], codes.shape[1], size
        widest = int(max(values)) + 1
        self.many, self.owner, self.place, self.touched = np.zeros((4, widest), np.int32)
        self.rows = np.empty((size, self.n), np.int32)
        self.ends = np.empty((size, self.n // 2 + 1), np.int32)
        self._number_the_sets()
        self.words = max(1, (self.first_of_size[size] + 63) // 64)
        self.marks = np.zeros((self.n, self.words), np.uint64)
        self.marked = np.zeros(self.words, np.uint64)
        self.below = np.zeros(1 << (size - 1), np.uint64)
        self.below_at = np.zeros(1 << (size - 1), np.int64)
        self.counts = np.zeros((self.n, size), np.int32)
        self.by_column = np.zeros((size, self.columns), np.int64)
        self.counted, self.totals = self.counts, self.by_column

    def _number_the_sets(self):
        """Binomials and the first number of each size, for sets numbered by size and by rank."""
        cdef int i, j
        choose = np.zeros((self.columns + 1, self.size + 1), np.int64)
        self.choose = choose
        for i in range(self.columns + 1):
            self.choose[i, 0] = 1
            for j in range(1, min(i, self.size) + 1):
                self.choose[i, j] = self.choose[i - 1, j - 1] + self.choose[i - 1, j]
        # Sets of one column begin at 0; the empty one has no number.
        self.first_of_size = np.concatenate([[0, 0], np.cumsum(choose[self.columns, 1:])])

    def look_from(self, int column):
        """Every set whose first column this is; from the last column to the first."""
        cdef Py_ssize_t i
        with nogil:
            for i in range(self.n):
                self.rows[0, i] = i
            self.ends[0, 0] = self.n
            self.split(0, 1 if self.n else 0, column)

    cdef void split(self, int depth, Py_ssize_t classes, int column) noexcept nogil:
        """The set of the ``depth`` chosen columns and this one, then those that go on from it."""
        cdef int next_column, i
        cdef Py_ssize_t kept
        cdef int64_t found = 0
        self.chosen[depth] = column
        self.collect_subsets(depth)
        kept = self.refine(depth, classes, column, &found)
        for i in range(depth + 1):
            self.totals[depth, self.chosen[i]] += found
        if depth + 1 < self.size and kept:
            for next_column in range(self.columns - 1, column, -1):
                self.split(depth + 1, kept, next_column)

    cdef void collect_subsets(self, int depth) noexcept nogil:
        """The bits of the smaller sets on which a row may be unique: those with the new column.

        Without it they are subsets of the prefix, on which the rows that are left agree with others.
        """
        cdef Py_ssize_t picked, many = 0
        cdef int64_t number, word
        cdef uint64_t bit
        cdef int i, taken
        for picked in range((<Py_ssize_t>1 << depth) - 1):
            number, taken = 0, 0
            for i in range(depth + 1):
                if i == depth or (picked >> i) & 1:
                    taken += 1
                    number += self.choose[self.chosen[i], taken]
            number += self.first_of_size[taken]
            word, bit = number >> 6, (<uint64_t>1) << (number & 63)
            if not self.marked[word] & bit:
                continue
            if many and self.below_at[many - 1] == word:
                self.below[many - 1] |= bit
            else:
                self.below_at[many], self.below[many] = word, bit
                many += 1
        self.below_many = many

    cdef Py_ssize_t refine(
        self, int depth, Py_ssize_t classes, int column, int64_t* found
    ) noexcept nogil:
        """Split every class by a column; the number of classes that several subjects share."""
        cdef const int32_t* code = &self.codes[column, 0]
        cdef const int32_t* rows = &self.rows[depth, 0]
        cdef bint deeper = depth + 1 < self.size
        cdef int32_t* into = &self.rows[depth + 1, 0] if deeper else NULL
        cdef int32_t* ends = &self.ends[depth + 1, 0] if deeper else NULL
        cdef int64_t mark = self.number_of(depth) if deeper else -1
        cdef Py_ssize_t g, i, begin = 0, end, kept = 0
        cdef int32_t filled = 0, r, v, o, touched, t, other
        for g in range(classes):
            end = self.ends[depth, g]
            if depth and end - begin == 2:
                # Most classes are, deep down. Their two rows differ in their owner.
                r, other = rows[begin], rows[begin + 1]
                v = code[r]
                if v != code[other]:
                    if v >= 0 and self.owner_of(r) >= 0:
                        found[0] += self.note(r, depth, mark)
                    if code[other] >= 0 and self.owner_of(other) >= 0:
                        found[0] += self.note(other, depth, mark)
                elif deeper and v >= 0:
                    into[filled], into[filled + 1] = r, other
                    filled += 2
                    ends[kept] = filled
                    kept += 1
                begin = end
                continue
            touched = 0
            for i in range(begin, end):
                r = rows[i]
                v = code[r]
                if v < 0:
                    continue
                o = self.owner_of(r)
                if self.many[v] == 0:
                    self.touched[touched] = v
                    touched += 1
                    self.owner[v] = o
                elif self.owner[v] != o:
                    self.owner[v] = MIXED
                self.many[v] += 1
            for t in range(touched):
                v = self.touched[t]
                self.place[v] = filled
                if deeper and self.owner[v] == MIXED:
                    filled += self.many[v]
                    ends[kept] = filled
                    kept += 1
                self.many[v] = 0
            for i in range(begin, end):
                r = rows[i]
                v = code[r]
                if v < 0:
                    continue
                o = self.owner[v]
                if o >= 0:
                    found[0] += self.note(r, depth, mark)
                elif o == MIXED and deeper:
                    into[self.place[v]] = r
                    self.place[v] += 1
            begin = end
        return kept

    cdef inline int32_t owner_of(self, int32_t row) noexcept nogil:
        return row if row < self.lone else self.owners[row]

    cdef int64_t note(self, int32_t row, int depth, int64_t mark) noexcept nogil:
        """Records of a row that is unique on this set, if it is on no smaller one; else 0."""
        cdef Py_ssize_t i
        for i in range(self.below_many):
            if self.marks[row, self.below_at[i]] & self.below[i]:
                return 0
        self.counted[row, depth] += 1
        if mark >= 0:
            self.marks[row, mark >> 6] |= (<uint64_t>1) << (mark & 63)
            self.marked[mark >> 6] |= (<uint64_t>1) << (mark & 63)
        return self.records[row]

    cdef int64_t number_of(self, int depth) noexcept nogil:
        cdef int64_t number = self.first_of_size[depth + 1]
        cdef int i
        for i in range(depth + 1):
            number += self.choose[self.chosen[i], i + 1]
        return number
