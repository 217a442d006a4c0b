# cython: language_level=3, boundscheck=False, wraparound=False
cimport cython
from libc.stdint cimport int32_t, int64_t

from stepdown.anonymise.local._demands cimport Demands

cdef enum:
    NONE = -1
    AXES = 64


cdef struct Branch:
    # A node of the trie: the classes under it have this node as label on its axis.
    int32_t label
    int32_t child  # first branch of the next axis; below the last axis, first class
    int32_t sibling
    int32_t parent
    int32_t live  # classes under it
    int64_t least, most  # what the labels under it cost on the later axes


cdef class Classes:
    # pieces and branches looked at, and moves made
    cdef readonly int64_t work
    cdef readonly int64_t moves
    # the table
    cdef const int32_t[:, ::1] nodes
    cdef const int32_t[::1] first
    cdef const int32_t[::1] parent
    cdef const int64_t[::1] costs
    cdef bint divisible
    cdef Demands demands
    cdef int64_t k, forbidden
    cdef int axes
    # pieces
    cdef Py_ssize_t pieces, room
    cdef int32_t[::1] unit
    cdef int64_t[::1] rows
    cdef int64_t[::1] heads
    cdef int32_t[::1] home
    cdef int32_t[::1] after
    cdef int32_t[::1] before
    # classes
    cdef Py_ssize_t classes
    cdef int32_t[::1] member
    cdef int64_t[::1] size
    cdef int64_t[::1] bulk
    cdef int64_t[::1] cost
    cdef int32_t[:, ::1] label
    cdef int32_t[::1] alike
    cdef int32_t[::1] leaf
    cdef unsigned char[::1] fresh
    # trie
    cdef Branch* trie
    cdef int32_t branches, trie_room
    # slots of classes that nothing is in
    cdef int64_t unused
    cdef int32_t next_empty


    @cython.final
    cdef inline int32_t _common(self, int32_t a, int32_t b) noexcept nogil:
        """The least common ancestor of two nodes."""
        while not (self.first[a] <= b <= a):
            a = self.parent[a]
        return a

    cdef void _link(self, int32_t piece, int32_t c) noexcept
    cdef void _unlink(self, int32_t piece) noexcept
    cdef int32_t _part(self, int32_t piece, int64_t rows) noexcept
    cdef int64_t _loose(self, int32_t piece) noexcept
    cdef void _join(self, int32_t piece, int32_t c) noexcept
    cdef void _relabel(self, int32_t c) noexcept
    cdef int32_t _empty_class(self) noexcept
    cdef void _count(self, int32_t c, int32_t without, int64_t rows) noexcept
    cdef void _plant(self)
    cdef void _insert(self, int32_t c) noexcept
    cdef int32_t _sprout(self, int32_t at, int32_t label) noexcept
    cdef void _drop(self, int32_t c) noexcept
