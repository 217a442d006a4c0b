# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Which class had best take a piece: branch and bound among all of them."""

from libc.stdint cimport int32_t, int64_t

from stepdown.anonymise.local._local_classes cimport NONE

cdef int64_t ENDLESS = <int64_t>1 << 61  # above every total cost


cdef class Hosts(Classes):
    """Classes that find hosts for pieces, and for other classes."""

    def house(self, pieces):
        """Put pieces without a class into the one that grows least, even if that class then fails.

        Returns:
            False where there is no class that some piece has a common label with.
        """
        cdef int32_t piece
        for piece in pieces:
            self._ask_host(piece, self.rows[piece], self.heads[piece], NONE, ENDLESS)
            if self.found == NONE:
                self.lenient = True
                self._ask_host(piece, self.rows[piece], self.heads[piece], NONE, ENDLESS)
                self.lenient = False
            if self.found == NONE:
                self.found = self._empty_class()
                self.unused -= 1
            if self.found == NONE:
                return False
            self._settle(piece, self.found)
        return True

    def mend(self):
        """Unite every class that fails a demand with others until it does not.

        Returns:
            False where one fails still and there is nothing left to unite it with.
        """
        cdef int32_t c, at
        for at in range(self.classes):
            c = at
            while self.member[c] != NONE and not self._holds(c):
                self._ask_host_of_class(c)
                if self.found == NONE:
                    return False
                self._unite(c, self.found)
                c = self.found
        return True

    cdef bint _holds(self, int32_t c) noexcept:
        if self.size[c] < self.k:
            return False
        if self.demands.asks:
            self.demands.clear()
            self._count(c, NONE, 0)
            return self.demands.hold()
        return True

    cdef void _ask_host_of_class(self, int32_t c) noexcept:
        """Of the classes that are dearest by least when united with this one, one that then holds,
        or else the first."""
        cdef int i
        self.asked = &self.label[c, 0]
        self.asked_rows, self.asked_heads, self.asked_class = self.bulk[c], self.size[c], c
        self.hosts, self.hosts_wanted, self.best = 0, HOSTS, ENDLESS
        self.lenient = True
        self._descend(0, 0, 0, 0)
        self.lenient = False
        self.found = self.host[0] if self.hosts else NONE
        for i in range(self.hosts):
            self.demands.clear()
            self._count(c, NONE, 0)
            self._count(self.host[i], NONE, 0)
            if self.size[c] + self.size[self.host[i]] >= self.k and self.demands.hold():
                self.found = self.host[i]
                return

    cdef void _unite(self, int32_t c, int32_t other) noexcept:
        cdef int32_t piece = self.member[c]
        while piece != NONE:
            self._unlink(piece)
            self._link(piece, other)
            piece = self.member[c]
        self.unused += 1
        self._relabel(c)
        self._relabel(other)
        self.fresh[other] = 1

    cdef int64_t _ask_host(
        self, int32_t piece, int64_t rows, int64_t heads, int32_t own, int64_t below, int wanted=1
    ) noexcept:
        """By how much the total cost of the best class rises if it takes so many rows of a piece.

        ``found`` is that class, or none where the rise is not below the limit. The best ones, as
        many as wanted, are in ``host``.
        """
        self.asked = &self.nodes[self.unit[piece], 0]
        self.asked_piece, self.asked_rows, self.asked_heads = piece, rows, heads
        self.asked_class = own
        self.hosts, self.hosts_wanted = 0, wanted
        self.best = below
        self.apart = self.divisible and wanted == 1 and not self.lenient
        self._descend(0, 0, 0, 0)
        self.apart = False
        self.found = self.host[0] if self.hosts else NONE
        return self.host_rise[0] if self.hosts else below

    cdef void _offer(self, int32_t c, int64_t rise) noexcept:
        """Put a class among the best hosts, in order; the limit is the last of them once all are."""
        cdef int place = self.hosts if self.hosts < self.hosts_wanted else self.hosts - 1
        if self.hosts < self.hosts_wanted:
            self.hosts += 1
        while place > 0 and self.host_rise[place - 1] > rise:
            self.host[place] = self.host[place - 1]
            self.host_rise[place] = self.host_rise[place - 1]
            place -= 1
        self.host[place] = c
        self.host_rise[place] = rise
        if self.hosts == self.hosts_wanted:
            self.best = self.host_rise[self.hosts - 1]

    cdef void _descend(self, int32_t at, int axis, int64_t growth, int64_t grown) noexcept:
        cdef int32_t child = self.trie[at].child, c, label, common
        cdef int64_t growth_, grown_, rise
        while child != NONE:
            self.work += 1
            if self.trie[child].live > 0:
                label = self.trie[child].label
                common = self._common(label, self.asked[axis])
                grown_ = grown + self.costs[common]
                growth_ = growth + self.costs[common] - self.costs[label]
                rise = self.best
                if grown_ < self.forbidden:
                    rise = growth_ * max(0, self.k - (self.asked_heads if self.apart else 0))
                    rise += self.asked_rows * (grown_ + self.trie[child].least)
                if rise < self.best:
                    if axis + 1 < self.axes:
                        self._descend(child, axis + 1, growth_, grown_)
                    else:
                        c = self.trie[child].child
                        while c != NONE:
                            if c != self.asked_class:
                                self._consider(c, growth_, grown_)
                            c = self.alike[c]
            child = self.trie[child].sibling

    cdef void _consider(self, int32_t c, int64_t growth, int64_t grown) noexcept:
        """Offer a class as host: all of it, or just enough of its rows to found a class with."""
        cdef int64_t needed = self.k - self.asked_heads
        cdef int64_t rise = growth * self.bulk[c] + self.asked_rows * grown
        if rise < self.best and self._may_take(c):
            self._offer(c, rise)
        if not self.apart or needed <= 0 or self.size[c] < needed + self.k or self.unused == 0:
            return
        rise = growth * needed + self.asked_rows * grown
        if rise < self.best and self._choose_companions(c, needed) and self._may_part(c):
            self._offer(c + <int32_t>self.classes, rise)

    cdef bint _choose_companions(self, int32_t c, int64_t needed) noexcept:
        """The rows of a class that are nearest to the piece asked for, exactly so many heads."""
        cdef int32_t piece = self.member[c]
        cdef int64_t cost, rows
        cdef int axis, place
        cdef int seen = 0
        self.companions = 0
        while piece != NONE and seen < CANDIDATES:
            seen += 1
            cost = 0
            for axis in range(self.axes):
                cost += self.costs[
                    self._common(self.nodes[self.unit[piece], axis], self.asked[axis])
                ]
            place = self.companions
            while place > 0 and self.companion_cost[place - 1] > cost:
                self.companion[place] = self.companion[place - 1]
                self.companion_cost[place] = self.companion_cost[place - 1]
                place -= 1
            self.companion[place], self.companion_cost[place] = piece, cost
            self.companions += 1
            piece = self.after[piece]
        self.work += seen
        for place in range(self.companions):
            rows = min(needed, self.rows[self.companion[place]])
            self.companion_rows[place] = rows
            needed -= rows
            if needed == 0:
                self.companions = place + 1
                return self.pieces + self.companions < self.room
        return False

    cdef bint _may_part(self, int32_t c) noexcept:
        """Whether the companions can leave their class and be one with the piece asked for."""
        cdef int i
        if not self.demands.asks:
            return True
        self.demands.clear()
        self._count(c, NONE, 0)
        for i in range(self.companions):
            self.demands.add(self.unit[self.companion[i]], -self.companion_rows[i])
        if not self.demands.hold():
            return False
        self.demands.clear()
        for i in range(self.companions):
            self.demands.add(self.unit[self.companion[i]], self.companion_rows[i])
        self.demands.add(self.unit[self.asked_piece], self.asked_rows)
        return self.demands.hold()

    cdef void _settle(self, int32_t piece, int32_t host) noexcept:
        """Add a piece that is in no class to its host, or found a class with rows of the host."""
        cdef int32_t c = host - <int32_t>self.classes, new, part
        cdef int i
        if c < 0:
            self._join(piece, host)
            return
        self.asked = &self.nodes[self.unit[piece], 0]
        self._choose_companions(c, self.k - self.heads[piece])
        new = self._empty_class()
        self.unused -= 1
        for i in range(self.companions):
            part = self._part(self.companion[i], self.companion_rows[i])
            self._unlink(part)
            self._link(part, new)
        self._link(piece, new)
        self._relabel(new)
        self._relabel(c)
        self.fresh[c], self.fresh[new] = 1, 1

    cdef bint _may_take(self, int32_t c) noexcept:
        if not self.demands.asks or self.lenient:
            return True
        self.demands.clear()
        self._count(c, NONE, 0)
        self.demands.add(self.unit[self.asked_piece], self.asked_rows)
        return self.demands.hold()
