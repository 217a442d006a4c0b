# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled loops over the entries of a histogram and over the nodes of a lattice.

Each is a few lines of plain arithmetic. What they mean is said in ``histogram.py`` and ``search.py``.
"""

import numpy as np
from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t

ctypedef fused code_t:
    uint16_t
    int32_t


cdef enum:
    CHUNK = 1024  # entries whose keys are summed up together, in the nearest cache


cdef inline Py_ssize_t home(int64_t key, int shift) noexcept nogil:
    """Where a key's search in a table of 2^(64 − shift) places begins (Fibonacci hashing)."""
    return <Py_ssize_t>((<uint64_t>key * <uint64_t>0x9E3779B97F4A7C15) >> shift)


cdef int shift_for(Py_ssize_t keys):
    """The shift of a table that at most half of fills up."""
    cdef int bits = 6
    while (<int64_t>1 << bits) < 2 * keys:
        bits += 1
    return 64 - bits


def pack(
    const code_t[:, ::1] codes, const int32_t[::1] axes, const int64_t[::1] starts,
    const int64_t[::1] places,
):
    """One integer per entry: the sum of what each axis's code stands for.

    Args:
        codes: shape (axes, n).
        axes: the axes that count.
        starts, places: ``places[starts[axis] + code]`` is what the code adds to the key.

    Returns:
        shape (n,), int64.
    """
    cdef Py_ssize_t n = codes.shape[1], i, a
    cdef int32_t j
    cdef int64_t s
    keys = np.zeros(n, np.int64)
    cdef int64_t[::1] out = keys
    with nogil:
        for a in range(axes.shape[0]):
            j = axes[a]
            s = starts[j]
            for i in range(n):
                out[i] += places[s + codes[j, i]]
    return keys


def number(const int64_t[::1] keys, int64_t space, const int64_t[::1] ends):
    """Number equal keys alike, in the order in which they first come.

    Args:
        keys: shape (n,), from 0 to below ``space``.
        ends: where blocks of keys end that share none.

    Returns:
        shape (n,), int32, the number of each key; shape (numbers,), int64, where each first comes.
    """
    cdef Py_ssize_t n = keys.shape[0], i, slot, e, begin = 0
    cdef bint direct = space <= 4 * n + 1024
    cdef int shift = shift_for(n if direct else longest_block(ends))
    cdef Py_ssize_t mask = ((<Py_ssize_t>1) << (64 - shift)) - 1
    cdef int32_t found = 0, at
    # A place of the table holds a number, or −1; numbers of earlier blocks hold nothing.
    cdef int32_t[::1] table = np.full(space if direct else mask + 1, -1, np.int32)
    cdef int32_t earlier
    numbers = np.empty(n, np.int32)
    first = np.empty(n, np.int64)
    cdef int32_t[::1] out = numbers
    cdef int64_t[::1] begins = first
    with nogil:
        for e in range(1 if direct else ends.shape[0]):
            earlier = found
            for i in range(begin, n if direct else ends[e]):
                if direct:
                    slot = keys[i]
                else:
                    slot = home(keys[i], shift)
                    while table[slot] >= earlier and keys[begins[table[slot]]] != keys[i]:
                        slot = (slot + 1) & mask
                at = table[slot]
                if at < earlier:
                    at = found
                    table[slot] = found
                    begins[found] = i
                    found += 1
                out[i] = at
            begin = ends[e]
    return numbers, first[:found].copy()


def add_up(const int32_t[::1] numbers, const int64_t[::1] values, int64_t many):
    """Shape (many,), int64: the values summed by the number that each belongs to."""
    cdef Py_ssize_t i
    sums = np.zeros(many, np.int64)
    cdef int64_t[::1] out = sums
    with nogil:
        for i in range(numbers.shape[0]):
            out[numbers[i]] += values[i]
    return sums


cdef Py_ssize_t longest_block(const int64_t[::1] ends):
    cdef Py_ssize_t e, begin = 0, longest = 1
    for e in range(ends.shape[0]):
        longest = max(longest, ends[e] - begin)
        begin = ends[e]
    return longest


def small_classes(
    const code_t[:, ::1] codes,
    const int64_t[::1] rows,
    const int64_t[::1] subjects,
    const int32_t[::1] axes,
    const int64_t[::1] starts,
    const int64_t[::1] places,
    int64_t space,
    const int64_t[::1] ends,
    int64_t k,
    int64_t allowed,
):
    """The classes of fewer than k subjects, looked for only until too many rows lie in them.

    Args:
        codes, axes, starts, places: as for ``pack``; space: every key is below it.
        rows, subjects: shape (n,), what each entry holds.
        ends: where blocks of entries end that share no class.
        k: fewest subjects of a class that is kept.
        allowed: rows that may lie in smaller ones.

    Returns:
        the rows found in small classes (more than ``allowed``: some may be missing); per small
        class one of its entries, and its rows.
    """
    cdef Py_ssize_t n = rows.shape[0], longest, i, a, b, e, slot, m, part, until
    cdef int32_t j
    cdef int64_t lost = 0, key, s
    cdef Py_ssize_t begin = 0
    longest = longest_block(ends)
    cdef bint direct = space <= 4 * n + 1024
    cdef int shift = shift_for(longest)
    cdef Py_ssize_t mask = ((<Py_ssize_t>1) << (64 - shift)) - 1
    # A place of the table holds the number of a class of its block, or −1. Where every key has a
    # place of its own, no block comes upon what another left there.
    cdef int32_t[::1] table = np.full(space if direct else mask + 1, -1, np.int32)
    cdef int64_t[::1] keys = np.zeros(longest, np.int64)
    cdef int64_t[::1] class_rows = np.empty(longest, np.int64)
    cdef bint rows_are_subjects = &rows[0] == &subjects[0]
    cdef int64_t[::1] class_subjects = class_rows
    if not rows_are_subjects:
        class_subjects = np.empty(longest, np.int64)
    cdef int32_t[::1] class_of = np.empty(longest, np.int32)
    cdef int64_t[::1] some_entry = np.empty(longest, np.int64)
    cdef int64_t[::1] places_used = np.empty(1 if direct else longest, np.int64)
    cdef int64_t[::1] found_entry = np.empty(1024, np.int64)
    cdef int64_t[::1] found_rows = np.empty(1024, np.int64)
    cdef Py_ssize_t found = 0
    cdef int32_t c, classes
    begin = 0
    for e in range(ends.shape[0]):
        b = ends[e]
        m = b - begin
        classes = 0
        with nogil:
            part = 0
            while part < m:
                until = min(part + CHUNK, m)
                for i in range(part, until):
                    keys[i] = 0
                for a in range(axes.shape[0]):
                    j = axes[a]
                    s = starts[j]
                    for i in range(part, until):
                        keys[i] += places[s + codes[j, begin + i]]
                part = until
            for i in range(m):
                key = keys[i]
                if direct:
                    slot = key
                else:
                    slot = home(key, shift)
                    while table[slot] >= 0 and keys[some_entry[table[slot]] - begin] != key:
                        slot = (slot + 1) & mask
                c = table[slot]
                if c < 0:
                    c = classes
                    table[slot] = c
                    class_rows[c] = 0
                    some_entry[c] = begin + i
                    if not direct:
                        places_used[c] = slot
                    classes += 1
                class_of[i] = c
            for i in range(m):
                class_rows[class_of[i]] += rows[begin + i]
            if not rows_are_subjects:
                for c in range(classes):
                    class_subjects[c] = 0
                for i in range(m):
                    class_subjects[class_of[i]] += subjects[begin + i]
            if not direct:
                for c in range(classes):
                    table[places_used[c]] = -1
        for c in range(classes):
            if class_subjects[c] < k and class_rows[c] > 0:
                lost += class_rows[c]
                if lost > allowed:
                    break
                if found == found_entry.shape[0]:
                    found_entry = np.concatenate([found_entry, np.empty(found, np.int64)])
                    found_rows = np.concatenate([found_rows, np.empty(found, np.int64)])
                found_entry[found] = some_entry[c]
                found_rows[found] = class_rows[c]
                found += 1
        if lost > allowed:
            break
        begin = b
    return lost, np.asarray(found_entry)[:found].copy(), np.asarray(found_rows)[:found].copy()


def raise_bounds(
    double[::1] bounds, const int64_t[::1] strides, const int64_t[::1] low, const int64_t[::1] high,
    const double[:, ::1] parts,
):
    """Raise the bounds of a slice of the lattice to the sums of their steps' parts.

    Args:
        bounds: one per node, nodes in row-major order.
        strides: shape (axes,), how far apart neighbours on an axis are.
        low, high: shape (axes,), the slice's corners, both included.
        parts: shape (axes, steps), what a step adds.
    """
    cdef Py_ssize_t axes = strides.shape[0], j, last = axes - 1
    cdef int64_t[::1] at = np.array(low, np.int64)
    # sums[j]: the parts of the axes before j; base: the node with the last axis at 0.
    cdef double[::1] sums = np.zeros(axes + 1)
    cdef int64_t base = 0, step
    cdef double value
    with nogil:
        for j in range(last):
            base += at[j] * strides[j]
            sums[j + 1] = sums[j] + parts[j, at[j]]
        while True:
            for step in range(low[last], high[last] + 1):
                value = sums[last] + parts[last, step]
                if value > bounds[base + step]:
                    bounds[base + step] = value
            j = last - 1
            while j >= 0 and at[j] == high[j]:
                base -= (high[j] - low[j]) * strides[j]
                at[j] = low[j]
                j -= 1
            if j < 0:
                break
            at[j] += 1
            base += strides[j]
            while j < last:
                sums[j + 1] = sums[j] + parts[j, at[j]]
                j += 1
