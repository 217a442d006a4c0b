# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint8_t


cdef struct Facts:
    # One sensitive column's demands; pointers into arrays that the Demands keep alive.
    Py_ssize_t offset, values
    const int32_t* codes
    const uint8_t* kinds
    const uint8_t* measured
    int64_t distinct
    double log_entropy
    double recursive_c
    int64_t recursive_l
    bint bounded
    const double* least
    const double* most
    double t
    const double* whole
    bint ordered
    Py_ssize_t nodes
    const int32_t* parent
    const double* height


cdef class Demands:
    cdef readonly int64_t k
    cdef readonly bint asks
    cdef list _kept
    cdef int _columns
    cdef Py_ssize_t _values
    cdef int64_t* _counts
    cdef double* _scratch
    cdef Facts* _facts
    cdef int _describe(self, Facts* facts, column, codes, Py_ssize_t offset) except -1
    cdef const void* _pointer(self, array, dtype) except? NULL
    cdef void clear(self) noexcept nogil
    cdef void add(self, Py_ssize_t unit, int64_t rows) noexcept nogil
    cdef bint hold(self) noexcept nogil
