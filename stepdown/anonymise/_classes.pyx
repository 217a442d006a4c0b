# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Compiled loops over the histogram's entries."""

import numpy as np
from libc.stdint cimport int32_t, int64_t, uint64_t


def number(const int64_t[::1] keys):
    """Number equal keys alike, in the order in which they first come.

    Returns:
        shape (n,), int32, the number of each key; and how many there are.
    """
    cdef Py_ssize_t n = keys.shape[0], i, slot, size = 64
    cdef int32_t found = 0
    while size < 2 * n:
        size *= 2
    cdef Py_ssize_t mask = size - 1
    table = np.full(size, -1, np.int32)
    first = np.empty(max(n, 1), np.int64)
    numbers = np.empty(n, np.int32)
    cdef int32_t[::1] held = table
    cdef int64_t[::1] known = first
    cdef int32_t[::1] out = numbers
    cdef uint64_t h
    with nogil:
        for i in range(n):
            h = (<uint64_t>keys[i] * <uint64_t>0x9E3779B97F4A7C15)
            slot = <Py_ssize_t>(h >> 20) & mask
            while held[slot] >= 0 and known[held[slot]] != keys[i]:
                slot = (slot + 1) & mask
            if held[slot] < 0:
                held[slot] = found
                known[found] = keys[i]
                found += 1
            out[i] = held[slot]
    return numbers, found
