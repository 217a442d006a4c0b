# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Local search: move records between classes while the total cost of all labels falls.

A piece is a unit, or some rows of it, in one class. A class's label is the least common ancestor
of its pieces' nodes on every axis, and every row of the class costs what the label costs. Live
classes are kept in a trie by their labels, axis after axis, so that the class which would grow
least by taking a piece is found by branch and bound among all of them.
"""

import numpy as np
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc

from stepdown.anonymise._demands cimport Demands

cdef enum:
    NONE = -1
    AXES = 64
    CANDIDATES = 64  # so many members of one class are looked at as replacements
    HOSTS = 32  # so many classes are tried when a class must be united with one
    EXCHANGES = 8  # so many are tried for an exchange

cdef int64_t ENDLESS = <int64_t>1 << 61  # above every total cost


cdef struct Branch:
    # A node of the trie: the classes under it have this node as label on its axis.
    int32_t label
    int32_t child  # first branch of the next axis; below the last axis, first class
    int32_t sibling
    int32_t parent
    int32_t live  # classes under it
    int64_t least, most  # what the labels under it cost on the later axes


cdef class Search:
    """Classes of pieces, and moves that make them cheaper.

    Args:
        nodes: shape (u, axes), numbered through all axes.
        first, parent, costs: shape (all nodes,); every axis ends with a node over all others that
            costs ``forbidden``.
        heads, rows: shape (u,).
        divisible: rows of one unit may be in several classes.
        home: shape (u,), the class of each unit.
        classes: how many there are.
        demands: on a class.
        forbidden: cost of a label that there is not.
    """

    cdef readonly int64_t work
    cdef readonly int64_t moves
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
    cdef object _held_pieces, _held_classes
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
    # the question being asked of the trie
    cdef const int32_t* asked
    cdef int64_t asked_rows, asked_heads, asked_cost, best
    cdef int32_t asked_piece, asked_class, found
    cdef bint lenient, apart
    cdef int companions
    cdef int32_t companion[CANDIDATES]
    cdef int64_t companion_cost[CANDIDATES]
    cdef int64_t companion_rows[CANDIDATES]
    cdef int64_t unused
    cdef int32_t next_empty
    cdef int hosts, hosts_wanted
    cdef int32_t host[HOSTS]
    cdef int64_t host_rise[HOSTS]
    cdef int32_t[:, ::1] base
    cdef int32_t[:, ::1] other_base
    cdef Py_ssize_t widest

    def __cinit__(self):
        self.trie = NULL

    def __dealloc__(self):
        free(self.trie)

    def __init__(
        self, nodes, first, parent, costs, heads, rows, bint divisible, home, Py_ssize_t classes,
        Demands demands, int64_t forbidden,
    ):
        cdef Py_ssize_t u = len(nodes), i
        self.nodes, self.first, self.parent, self.costs = nodes, first, parent, costs
        self.axes = nodes.shape[1]
        assert self.axes <= AXES
        self.divisible, self.demands, self.k = divisible, demands, demands.k
        self.forbidden = forbidden
        self.pieces, self.room = u, u
        if divisible:
            self.room += min(int(np.minimum(rows, 4 * self.k).sum()) - u, 2 * u) + 1
        self.unit = _grown(np.arange(u, dtype=np.int32), self.room)
        self.rows = _grown(np.array(rows, np.int64), self.room)
        self.heads = _grown(np.array(heads, np.int64), self.room)
        self.home = _grown(np.array(home, np.int32), self.room)
        self.after = np.full(self.room, NONE, np.int32)
        self.before = np.full(self.room, NONE, np.int32)
        self.classes = classes
        self.member = np.full(classes, NONE, np.int32)
        self.size = np.zeros(classes, np.int64)
        self.bulk = np.zeros(classes, np.int64)
        self.cost = np.zeros(classes, np.int64)
        self.label = np.zeros((classes, self.axes), np.int32)
        self.alike = np.full(classes, NONE, np.int32)
        self.leaf = np.full(classes, NONE, np.int32)
        self.fresh = np.ones(classes, np.uint8)
        for i in range(u):
            if self.home[i] >= 0:
                self._link(i, self.home[i])
        self.widest = 4 * self.k + 20
        self.base = np.empty((self.widest, self.axes), np.int32)
        self.other_base = np.empty((self.widest, self.axes), np.int32)
        self.hosts_wanted = 1
        self.branches = 0
        self._plant()
        self.unused, self.next_empty = 0, NONE
        for i in range(classes):
            self._relabel(i)
            self.unused += self.member[i] == NONE

    # ------------------------------------------------------------------ results

    def assignment(self):
        """Unit, class and rows of every piece."""
        n = self.pieces
        return (
            np.asarray(self.unit)[:n].copy(),
            np.asarray(self.home)[:n].copy(),
            np.asarray(self.rows)[:n].copy(),
        )

    def total(self):
        return int(np.dot(np.asarray(self.cost), np.asarray(self.bulk)))

    def labels(self):
        return np.asarray(self.label)

    def sizes(self):
        return np.asarray(self.size)

    # ------------------------------------------------------------------ entry points

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

    cdef int32_t _empty_class(self) noexcept:
        cdef Py_ssize_t tried
        for tried in range(self.classes):
            self.next_empty = <int32_t>((self.next_empty + 1) % self.classes)
            if self.member[self.next_empty] == NONE:
                return self.next_empty
        return NONE

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

    # ------------------------------------------------------------------ trees

    cdef inline int32_t _common(self, int32_t a, int32_t b) noexcept nogil:
        while not (self.first[a] <= b <= a):
            a = self.parent[a]
        return a

    # ------------------------------------------------------------------ pieces and classes

    cdef void _link(self, int32_t piece, int32_t c) noexcept:
        self.home[piece] = c
        self.before[piece] = NONE
        self.after[piece] = self.member[c]
        if self.member[c] != NONE:
            self.before[self.member[c]] = piece
        self.member[c] = piece
        self.size[c] += self.heads[piece]
        self.bulk[c] += self.rows[piece]

    cdef void _unlink(self, int32_t piece) noexcept:
        cdef int32_t c = self.home[piece]
        if self.before[piece] != NONE:
            self.after[self.before[piece]] = self.after[piece]
        else:
            self.member[c] = self.after[piece]
        if self.after[piece] != NONE:
            self.before[self.after[piece]] = self.before[piece]
        self.size[c] -= self.heads[piece]
        self.bulk[c] -= self.rows[piece]

    cdef int32_t _part(self, int32_t piece, int64_t rows) noexcept:
        """A piece of so many rows, split off where the piece has more."""
        cdef int32_t part
        if rows >= self.rows[piece]:
            return piece
        part = <int32_t>self.pieces
        self.pieces += 1
        self.unit[part] = self.unit[piece]
        self.rows[part] = rows
        self.heads[part] = rows
        self.rows[piece] -= rows
        self.heads[piece] -= rows
        # The class counts the same rows as before: linked, the part adds what the piece lost.
        self.size[self.home[piece]] -= rows
        self.bulk[self.home[piece]] -= rows
        self._link(part, self.home[piece])
        return part

    cdef int64_t _loose(self, int32_t piece) noexcept:
        """How many rows of a piece its class can spare; 0 where it can spare none."""
        cdef int64_t spare = self.size[self.home[piece]] - self.k
        if self.heads[piece] <= spare:
            return self.rows[piece]
        if self.divisible and spare > 0 and self.pieces < self.room:
            return spare
        return 0

    cdef void _join(self, int32_t piece, int32_t c) noexcept:
        """Add a piece that is in no class."""
        cdef const int32_t* x = &self.nodes[self.unit[piece], 0]
        cdef int axis
        cdef bint covered = True
        self._link(piece, c)
        for axis in range(self.axes):
            covered = covered and self.first[self.label[c, axis]] <= x[axis] <= self.label[c, axis]
        if not covered:
            self._relabel(c)
        self.fresh[c] = 1

    cdef void _move(self, int32_t piece, int32_t c) noexcept:
        cdef int32_t old = self.home[piece]
        self._unlink(piece)
        self._relabel(old)
        self.fresh[old] = 1
        self._settle(piece, c)
        self.moves += 1

    cdef void _relabel(self, int32_t c) noexcept:
        """Give a class the tightest label, and its place in the trie."""
        cdef int32_t tight[AXES]
        cdef int32_t piece = self.member[c]
        cdef const int32_t* x
        cdef int axis
        cdef bint same = self.leaf[c] != NONE
        cdef int64_t cost = 0
        if piece == NONE:
            self._drop(c)
            self.cost[c] = 0
            return
        for axis in range(self.axes):
            tight[axis] = self.nodes[self.unit[piece], axis]
        piece = self.after[piece]
        while piece != NONE:
            x = &self.nodes[self.unit[piece], 0]
            for axis in range(self.axes):
                tight[axis] = self._common(tight[axis], x[axis])
            self.work += 1
            piece = self.after[piece]
        for axis in range(self.axes):
            same = same and tight[axis] == self.label[c, axis]
            cost += self.costs[tight[axis]]
        if same:
            return
        self._drop(c)
        for axis in range(self.axes):
            self.label[c, axis] = tight[axis]
        self.cost[c] = cost
        self._insert(c)

    # ------------------------------------------------------------------ trie

    cdef void _plant(self):
        self.trie_room = max(1024, 4 * self.classes)
        self.trie = <Branch*>malloc(self.trie_room * sizeof(Branch))
        self.branches = 1
        self.trie[0].child = NONE
        self.trie[0].sibling = NONE
        self.trie[0].parent = NONE
        self.trie[0].live = 0
        self.trie[0].least = ENDLESS
        self.trie[0].most = 0

    cdef void _insert(self, int32_t c) noexcept:
        cdef int axis
        cdef int32_t at = 0, child
        cdef int64_t rest = self.cost[c]
        for axis in range(self.axes):
            child = self.trie[at].child
            while child != NONE and self.trie[child].label != self.label[c, axis]:
                child = self.trie[child].sibling
            if child == NONE:
                child = self._sprout(at, self.label[c, axis])
            rest -= self.costs[self.label[c, axis]]
            at = child
            self.trie[at].live += 1
            self.trie[at].least = min(self.trie[at].least, rest)
            self.trie[at].most = max(self.trie[at].most, rest)
        self.alike[c] = self.trie[at].child
        self.trie[at].child = c
        self.leaf[c] = at

    cdef int32_t _sprout(self, int32_t at, int32_t label) noexcept:
        cdef int32_t child
        if self.branches == self.trie_room:
            self.trie_room *= 2
            self.trie = <Branch*>realloc(self.trie, self.trie_room * sizeof(Branch))
        child = self.branches
        self.branches += 1
        self.trie[child].label = label
        self.trie[child].child = NONE
        self.trie[child].sibling = self.trie[at].child
        self.trie[child].parent = at
        self.trie[child].live = 0
        self.trie[child].least = ENDLESS
        self.trie[child].most = 0
        self.trie[at].child = child
        return child

    cdef void _drop(self, int32_t c) noexcept:
        cdef int32_t at = self.leaf[c], other
        if at == NONE:
            return
        if self.trie[at].child == c:
            self.trie[at].child = self.alike[c]
        else:
            other = self.trie[at].child
            while self.alike[other] != c:
                other = self.alike[other]
            self.alike[other] = self.alike[c]
        self.leaf[c] = NONE
        while at > 0:
            self.trie[at].live -= 1
            at = self.trie[at].parent

    # ------------------------------------------------------------------ hosts

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

    cdef void _count(self, int32_t c, int32_t without, int64_t rows) noexcept:
        """Count a class's sensitive values, less some rows of one piece."""
        cdef int32_t piece = self.member[c]
        while piece != NONE:
            self.work += 1
            self.demands.add(self.unit[piece], self.rows[piece] - (rows if piece == without else 0))
            piece = self.after[piece]

    cdef bint _may_lose(self, int32_t piece, int64_t rows) noexcept:
        if not self.demands.asks:
            return True
        self.demands.clear()
        self._count(self.home[piece], piece, rows)
        return self.demands.hold()

    # ------------------------------------------------------------------ moves

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
                            if self.size[c] > self.k and c != self.asked_class:
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


def _grown(array, Py_ssize_t room):
    out = np.zeros(room, array.dtype)
    out[: len(array)] = array
    return out
