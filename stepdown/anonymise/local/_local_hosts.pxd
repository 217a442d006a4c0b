# cython: language_level=3
from libc.stdint cimport int32_t, int64_t

from stepdown.anonymise.local._local_classes cimport Classes

cdef enum:
    CANDIDATES = 64  # so many members of one class are looked at
    HOSTS = 32  # so many classes are tried when a class must be united with one


cdef class Hosts(Classes):
    # the question being asked of the trie, and its answer
    cdef const int32_t* asked
    cdef int64_t asked_rows, asked_heads, asked_cost, best
    cdef int32_t asked_piece, asked_class, found
    cdef bint lenient, apart
    cdef int companions
    cdef int32_t companion[CANDIDATES]
    cdef int64_t companion_cost[CANDIDATES]
    cdef int64_t companion_rows[CANDIDATES]
    cdef int hosts, hosts_wanted
    cdef int32_t host[HOSTS]
    cdef int64_t host_rise[HOSTS]
    cdef bint _holds(self, int32_t c) noexcept
    cdef void _ask_host_of_class(self, int32_t c) noexcept
    cdef void _unite(self, int32_t c, int32_t other) noexcept
    cdef int64_t _ask_host(self, int32_t piece, int64_t rows, int64_t heads, int32_t own, int64_t below, int wanted=*) noexcept
    cdef void _offer(self, int32_t c, int64_t rise) noexcept
    cdef void _descend(self, int32_t at, int axis, int64_t growth, int64_t grown) noexcept
    cdef void _consider(self, int32_t c, int64_t growth, int64_t grown) noexcept
    cdef bint _choose_companions(self, int32_t c, int64_t needed) noexcept
    cdef bint _may_part(self, int32_t c) noexcept
    cdef void _settle(self, int32_t piece, int32_t host) noexcept
    cdef bint _may_take(self, int32_t c) noexcept
