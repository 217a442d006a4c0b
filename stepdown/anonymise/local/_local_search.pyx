# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Local search: move records between classes while the total cost of all labels falls."""

import numpy as np
from libc.stdint cimport int32_t, int64_t

from stepdown.anonymise.local._local_classes cimport AXES, NONE
from stepdown.anonymise.local._local_hosts cimport CANDIDATES, Hosts

cdef enum:
    EXCHANGES = 8  # so many classes are tried for an exchange

cdef int64_t ENDLESS = <int64_t>1 << 61  # above every total cost


cdef class Search(Hosts):
    """Classes, and moves that make them cheaper."""

    cdef int32_t[:, ::1] base
    cdef int32_t[:, ::1] other_base
    cdef Py_ssize_t widest
    cdef int32_t untouched

    def __init__(self, *args):
        super().__init__(*args)
        self.widest = 4 * self.k + 20
        self.base = np.empty((self.widest, self.axes), np.int32)
        self.other_base = np.empty((self.widest, self.axes), np.int32)

    def improve(self, int64_t limit=ENDLESS):
        """One pass over all classes that changed since they were last looked at, dearest first.

        Returns:
            whether anything moved.
        """
        cdef int32_t c
        cdef int64_t before = self.moves
        for c in np.argsort(-np.asarray(self.cost), kind="stable"):
            if self.work > limit:
                break
            if self.size[c] > 0 and self.cost[c] > 0 and self.fresh[c]:
                self.fresh[c] = 0
                if not self._dissolve(c):
                    while self._best_move(c) and self.work <= limit:
                        pass
        return self.moves > before
    cdef void _move(self, int32_t piece, int32_t c) noexcept:
        cdef int32_t old = self.home[piece]
        self._unlink(piece)
        self._relabel(old)
        self.fresh[old] = 1
        self._settle(piece, c)
        self.moves += 1
    cdef bint _may_lose(self, int32_t piece, int64_t rows) noexcept:
        if not self.demands.asks:
            return True
        self.demands.clear()
        self._count(self.home[piece], piece, rows)
        return self.demands.hold()
    cdef bint _dissolve(self, int32_t c):
        """Hand every piece of a class to another class, if that is cheaper altogether."""
        cdef int64_t old = self.bulk[c] * self.cost[c], sum_ = 0, before
        cdef int32_t piece, host, new
        if self.size[c] > 2 * self.k + 2:
            return False
        members = []
        piece = self.member[c]
        while piece != NONE:
            sum_ += self._ask_host(piece, self.rows[piece], self.heads[piece], c, old - sum_)
            if self.found == NONE:
                return False
            members.append(piece)
            piece = self.after[piece]
        sum_ = 0
        moved = []
        for piece in members:
            before = self._ask_host(piece, self.rows[piece], self.heads[piece], c, ENDLESS)
            if self.found == NONE or sum_ + before >= old:
                break
            sum_ += before
            host = self.found
            self._unlink(piece)
            self._settle(piece, host)
            moved.append((piece, host))
        if len(moved) == len(members):
            self.moves += 1
            self.unused += 1
            self._relabel(c)
            return True
        for piece, host in reversed(moved):
            new = self.home[piece]
            self._unlink(piece)
            self._relabel(new)
            self._link(piece, c)
            if host >= self.classes:
                self._unite(new, host - <int32_t>self.classes)
        return False

    cdef bint _best_move(self, int32_t c):
        """Let one piece leave a class for another, or change places with another one."""
        cdef Py_ssize_t many = self._count_pieces(c), t
        cdef int32_t piece = self.member[c], host
        cdef int64_t old = self.bulk[c] * self.cost[c], rows, heads, left, rise, gain, fill
        cdef int64_t best = 0, base_cost
        cdef int32_t best_piece = NONE, best_host = NONE, best_fill = NONE
        cdef int64_t best_rows = 0
        cdef int axis, i, hosts
        if many < 2 or many > self.widest:
            return False
        self._labels_without_each(c, many, self.base)
        for t in range(many):
            base_cost = 0
            for axis in range(self.axes):
                base_cost += self.costs[self.base[t, axis]]
            rows = self._loose(piece)
            if rows > 0:
                left = base_cost if rows == self.rows[piece] else self.cost[c]
                gain = old - (self.bulk[c] - rows) * left
                heads = rows if self.divisible else self.heads[piece]
                rise = self._ask_host(piece, rows, heads, c, gain + best)
                if self.found != NONE and self._may_lose(piece, rows):
                    best, best_piece, best_host = rise - gain, piece, self.found
                    best_rows, best_fill = rows, NONE
            if base_cost < self.cost[c] and (self.rows[piece] == 1 or not self.divisible):
                rows = self.rows[piece]
                left = self.bulk[c] - rows
                rise = self._ask_host(
                    piece, rows, self.heads[piece], c,
                    old - left * base_cost + best + self._slack(rows), EXCHANGES,
                )
                hosts = self.hosts
                host = self.host[0]
                for i in range(hosts):
                    fill = self._best_exchange(c, piece, t, base_cost, self.host[i], best)
                    if fill < best:
                        best, best_piece, best_host = fill, piece, self.host[i]
                        best_rows, best_fill = rows, self.found
                if hosts and self._loose(piece) == 0:
                    # Whether the host may take the piece was asked of all that it has now.
                    self.untouched = host if self.demands.asks else NONE
                    fill = self._ask_spare(
                        c, piece, &self.base[t, 0], base_cost, left, old + best - rise
                    )
                    if self.found != NONE:
                        best, best_piece, best_host = rise + fill - old, piece, host
                        best_rows, best_fill = rows, self.found
            piece = self.after[piece]
        if best_piece == NONE:
            return False
        if best_fill != NONE:
            best_fill = self._part(best_fill, 1 if self.divisible else self.rows[best_fill])
            self._move(best_fill, c)
        self._move(self._part(best_piece, best_rows), best_host)
        return True

    cdef Py_ssize_t _count_pieces(self, int32_t c) noexcept:
        cdef Py_ssize_t many = 0
        cdef int32_t piece = self.member[c]
        while piece != NONE:
            many += 1
            piece = self.after[piece]
        return many

    cdef int64_t _best_exchange(
        self, int32_t c, int32_t leaver, Py_ssize_t t, int64_t base_cost, int32_t host, int64_t below
    ) noexcept:
        """The change of the total cost if the leaver and a member of the host change places.

        ``found`` is that member where the change is below the limit.
        """
        cdef Py_ssize_t many = self._count_pieces(host), s
        cdef int32_t piece = self.member[host]
        cdef int64_t here, there, change
        cdef int64_t old = self.bulk[c] * self.cost[c] + self.bulk[host] * self.cost[host]
        cdef const int32_t* x = &self.nodes[self.unit[leaver], 0]
        cdef const int32_t* y
        cdef int axis
        self.found = NONE
        if many < 2 or many > self.widest or self.cost[host] == 0:
            return below
        self._labels_without_each(host, many, self.other_base)
        for s in range(many):
            if self.rows[piece] == self.rows[leaver] and self.heads[piece] == self.heads[leaver]:
                here, there = 0, 0
                y = &self.nodes[self.unit[piece], 0]
                for axis in range(self.axes):
                    here += self.costs[self._common(self.base[t, axis], y[axis])]
                    there += self.costs[self._common(self.other_base[s, axis], x[axis])]
                change = self.bulk[c] * here + self.bulk[host] * there - old
                if change < below and self._may_exchange(leaver, piece):
                    below, self.found = change, piece
            piece = self.after[piece]
        return below

    cdef bint _may_exchange(self, int32_t one, int32_t other) noexcept:
        cdef int turn
        if not self.demands.asks:
            return True
        for turn in range(2):
            self.demands.clear()
            self._count(self.home[one], one, self.rows[one])
            self.demands.add(self.unit[other], self.rows[other])
            if not self.demands.hold():
                return False
            one, other = other, one
        return True

    cdef int64_t _slack(self, int64_t rows) noexcept:
        # A spare row brings along what it costs where it is now; more than 2 is rare.
        return rows << 25

    cdef void _labels_without_each(self, int32_t c, Py_ssize_t many, int32_t[:, ::1] base) noexcept:
        """The class's tight label without its t-th member, for every t: from both ends."""
        cdef int32_t run[AXES]
        cdef int32_t piece = self.member[c], last = NONE
        cdef Py_ssize_t t
        cdef int axis
        cdef const int32_t* x
        for t in range(many):
            x = &self.nodes[self.unit[piece], 0]
            for axis in range(self.axes):
                base[t, axis] = run[axis] if t else NONE
                run[axis] = self._common(run[axis], x[axis]) if t else x[axis]
            last = piece
            piece = self.after[piece]
        piece = last
        for t in range(many - 1, -1, -1):
            x = &self.nodes[self.unit[piece], 0]
            for axis in range(self.axes):
                if t < many - 1:
                    base[t, axis] = (
                        self._common(base[t, axis], run[axis]) if t else run[axis]
                    )
                run[axis] = self._common(run[axis], x[axis]) if t < many - 1 else x[axis]
            piece = self.before[piece]
        self.work += 2 * many

    # ------------------------------------------------------------------ spares

    cdef int64_t _ask_spare(
        self, int32_t c, int32_t leaver, const int32_t* base, int64_t base_cost, int64_t rows,
        int64_t below,
    ) noexcept:
        """What the class would cost with the best spare piece of another class in the leaver's place,
        less what the piece costs where it is; ``found`` is the piece."""
        self.asked, self.asked_cost, self.asked_rows = base, base_cost, rows
        self.asked_class, self.asked_piece = c, leaver
        self.found, self.best = NONE, below
        self._descend_for_spare(0, 0, 0, 0)
        return self.best

    cdef void _descend_for_spare(self, int32_t at, int axis, int64_t growth, int64_t there) noexcept:
        cdef int32_t child = self.trie[at].child, c, label, base = self.asked[axis], common
        cdef int64_t growth_, there_, cost
        while child != NONE:
            self.work += 1
            if self.trie[child].live > 0:
                label = self.trie[child].label
                growth_ = growth
                if not (self.first[label] <= base <= label):
                    common = self._common(base, label)
                    growth_ += self.costs[common] - self.costs[base]
                there_ = there + self.costs[label]
                cost = ENDLESS
                if growth_ < self.forbidden:
                    cost = (self.asked_rows + 1) * (self.asked_cost + growth_)
                if cost - there_ - self.trie[child].most < self.best:
                    if axis + 1 < self.axes:
                        self._descend_for_spare(child, axis + 1, growth_, there_)
                    else:
                        c = self.trie[child].child
                        while c != NONE:
                            if (
                                self.size[c] > self.k
                                and c != self.asked_class
                                and c != self.untouched
                            ):
                                self._look_for_spare(c)
                            c = self.alike[c]
            child = self.trie[child].sibling

    cdef void _look_for_spare(self, int32_t c) noexcept:
        cdef int32_t piece = self.member[c]
        cdef int seen = 0, axis
        cdef int64_t rows, cost, needed = self.k - self.size[self.asked_class]
        cdef const int32_t* x
        needed += self.heads[self.asked_piece]
        while piece != NONE and seen < CANDIDATES:
            seen += 1
            self.work += 1
            rows = 1 if self.divisible else self.rows[piece]
            if self._loose(piece) >= rows and (self.divisible or self.heads[piece] >= needed):
                x = &self.nodes[self.unit[piece], 0]
                cost = self.asked_cost
                for axis in range(self.axes):
                    if not (self.first[self.asked[axis]] <= x[axis] <= self.asked[axis]):
                        cost += self.costs[self._common(self.asked[axis], x[axis])]
                        cost -= self.costs[self.asked[axis]]
                cost = (self.asked_rows + rows) * cost - rows * self.cost[c]
                if cost < self.best and self._may_replace(piece, rows):
                    self.best, self.found = cost, piece
            if self.cost[c] == 0:
                break  # its members are all alike
            piece = self.after[piece]

    cdef bint _may_replace(self, int32_t piece, int64_t rows) noexcept:
        if not self.demands.asks:
            return True
        if not self._may_lose(piece, rows):
            return False
        self.demands.clear()
        self._count(self.asked_class, self.asked_piece, self.rows[self.asked_piece])
        self.demands.add(self.unit[piece], rows)
        return self.demands.hold()
