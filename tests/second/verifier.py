"""Verification of a proof (format.md, sections 6 to 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import field as f
from .field import Ext
from .reading import P, Reader, elements, require
from .system import (
    AUXILIARY,
    CELL,
    CHALLENGE,
    CONSTANT,
    DIFFERENCE,
    MAIN,
    PERIODIC,
    PREPROCESSED,
    PUBLIC,
    SELECTOR,
    SUM,
    TERMINAL,
    System,
    Table,
)
from .transcript import Note, Rows, Transcript, Tree, open_tree, sha256

MAGIC = b"STARKprf"
VERSION = 1
LARGEST_PROOF = 1 << 28
SUITE = b"sha256" + bytes(26)
ALGEBRAIC_SUITE = b"poseidon1-koalabear-w16-8-20" + bytes(4)
"""The suite of inner proofs; their keys have digests, but no such proof is verified here."""


@dataclass(frozen=True)
class Parameters:
    """The protocol parameters (format.md, section 6)."""

    data: bytes
    log_blowup: int
    queries: int
    powers: bool
    log_arity: int
    log_final: int
    cap_height: int
    work: dict[str, int]
    zk: bool
    final_length: int


def read_parameters(data: bytes, suites: Sequence[bytes] = (SUITE,)) -> Parameters:
    """Legal parameters from their 50 bytes, with one of these hash suites."""
    reader = Reader(data)
    log_blowup, queries, regime, multiplicity, batching, a, log_final, cap_height = (
        reader.number(size) for size in (1, 2, 1, 2, 1, 1, 1, 1)
    )
    names = ("lookup", "constraints", "zeta", "batching", "fold", "queries")
    work = {name: reader.number(1) for name in names}
    zk, slack = reader.number(1), reader.number(1)
    require(zk <= 1, "Canonical", "zk is neither 0 nor 1")
    require(regime <= 1 and batching <= 1, "Params", "the regime or the batching is not known")
    require(reader.take(32) in suites, "Suite", "the hash suite is not known")
    legal = (
        1 <= log_blowup <= 5
        and 1 <= queries <= 1024
        and (3 <= multiplicity <= 1024 if regime else multiplicity == 0)
        and 1 <= a <= 3
        and log_final <= 10
        and cap_height <= 10
        and max(work.values()) <= 40
        and (1 <= slack <= 10 if zk else slack == 0)
    )
    require(legal, "Params", "a parameter is not legal")
    length = 1 << log_final
    if zk:
        length += -(-length >> slack)
    require(length < 1 << (log_final + log_blowup), "Params", "the final polynomial is too long")
    return Parameters(
        data, log_blowup, queries, batching == 1, a, log_final, cap_height, work, zk == 1, length
    )


@dataclass(frozen=True)
class Key:
    """A verifier's key: a system's digest and shape, parameters, the preprocessed root."""

    system: bytes
    parameters: Parameters
    shape: bytes
    preprocessed: tuple[bytes, ...]

    def digest(self) -> bytes:
        """The key digest."""
        count = len(self.preprocessed).to_bytes(4, "little")
        head = (b"stark/key/v1", self.system, self.parameters.data, self.shape, count)
        return sha256(*head, *self.preprocessed)


def make_key(system: System, parameters: bytes, preprocessed: Sequence[bytes]) -> Key:
    """The key of a system with these parameters and this preprocessed root, if there is one."""
    known = read_parameters(parameters, (SUITE, ALGEBRAIC_SUITE))
    return Key(system.digest(), known, system.shape(), tuple(preprocessed))


class Layout:
    """What system and parameters say about a proof before any of it is read."""

    def __init__(self, system: System, parameters: Parameters) -> None:
        self.system = system
        self.parameters = parameters
        self.next_columns = system.next_columns()
        logs = {t.log_height for t in system.tables}
        self.heights = sorted(logs, reverse=True)
        self.log_size = self.heights[0] + parameters.log_blowup
        self.trees: dict[str, Tree] = {}
        self.places: dict[tuple[str, str], int] = {}
        for label in ("preprocessed", "main", "auxiliary", "quotient"):
            self._add_tree(label)
        self.schedule = self._schedule()
        self.layers: list[Tree] = []
        log_size = self.log_size
        for k, arity in enumerate(self.schedule):
            log_size -= arity
            width = {log_size: 5 << arity}
            self.layers.append(Tree(f"fri {k}", width, False, parameters.cap_height))

    def _add_tree(self, label: str) -> None:
        widths: dict[int, int] = {}
        for table in self.system.tables:
            log_size = table.log_height + self.parameters.log_blowup
            width = self.width(table, label)
            self.places[label, table.name] = widths.get(log_size, 0)
            if width:
                widths[log_size] = widths.get(log_size, 0) + width
        if self.parameters.zk and label == "main":
            widths = {log_size: width + 5 for log_size, width in widths.items()}
        if widths:
            salted = self.parameters.zk and label != "preprocessed"
            cap_height = 0 if label == "preprocessed" else self.parameters.cap_height
            self.trees[label] = Tree(label, widths, salted, cap_height)

    def width(self, table: Table, label: str) -> int:
        """How many field elements a table has in a row of a tree."""
        preprocessed, main, auxiliary = table.widths
        widths = {
            "preprocessed": preprocessed,
            "main": main,
            "auxiliary": 5 * auxiliary,
            "quotient": 5 * table.chunks,
        }
        return widths[label]

    def _schedule(self) -> list[int]:
        schedule = []
        n = self.heights[0]
        for stop in [*self.heights[1:], self.parameters.log_final]:
            while n > stop:
                schedule.append(min(self.parameters.log_arity, n - stop))
                n -= schedule[-1]
        return schedule

    def opened(self, table: Table) -> list[tuple[str, int, bool]]:
        """The opened values of a table: tree, column, and whether at the next point."""
        labels = ("preprocessed", "main", "auxiliary")
        here = [
            (label, i, False)
            for label, width in zip(labels, table.widths, strict=True)
            for i in range(width)
        ]
        after = [
            (label, i, True)
            for label, columns in zip(labels, self.next_columns[table.name], strict=True)
            for i in columns
        ]
        return here + after + [("quotient", i, False) for i in range(table.chunks)]

    def header_bytes(self) -> int:
        """The size of the header."""
        return 8 + 2 + 50 + 2 + 14 * len(self.system.tables) + 32

    def least_bytes(self) -> int:
        """The size of a proof whose queries all coincide and which has no siblings."""
        trees = [*self.trees.values(), *self.layers]
        committed = [tree for tree in trees if tree.label != "preprocessed"]
        size = self.header_bytes() + sum(tree.cap_bytes for tree in committed)
        size += 32 * self.parameters.zk
        works = {"constraints", "zeta", "batching", "queries"}
        works |= {"lookup"} if self.system.widths else set()
        size += 8 * sum(self.parameters.work[name] > 0 for name in works)
        size += 8 * len(self.layers) * (self.parameters.work["fold"] > 0)
        size += 20 * sum(bool(table.messages) for table in self.system.tables)
        size += 20 * sum(len(self.opened(table)) for table in self.system.tables)
        size += 20 * self.parameters.final_length
        return size + sum(tree.least_bytes() for tree in trees)


def check_header(key: Key, reader: Reader) -> None:
    """Compare the header of a proof with the key."""
    require(reader.take(8) == MAGIC, "Format", "this is not a proof")
    require(reader.number(2) == VERSION, "Version", "the version is not known")
    parameters = read_parameters(reader.take(50))
    require(parameters == key.parameters, "Policy", "the parameters are not those of the key")
    require(reader.take(len(key.shape)) == key.shape, "Shape", "the tables have another shape")
    require(reader.take(32) == key.digest(), "VK", "the proof is for another key")


def _publics(system: System, publics: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    names = {table.name for table in system.tables}
    require(set(publics) <= names, "Public", "public values of an unknown table")
    values = {table.name: list(publics.get(table.name, ())) for table in system.tables}
    for table in system.tables:
        count = len(table.publics)
        require(len(values[table.name]) == count, "Public", f"{table.name} has {count} of them")
    legal = all(0 <= v < P for some in values.values() for v in some)
    require(legal, "Canonical", "a public value is not below p")
    return values


def _ignore(_what: str, _values: dict[str, Any]) -> None:
    """Take no note."""


def verify_proof(
    system: System,
    key: Key,
    proof: bytes,
    publics: Mapping[str, Sequence[int]],
    context: bytes,
    note: Note = _ignore,
) -> None:
    """Accept a proof, or raise Refused. `note` is told of all intermediate values."""
    require(len(proof) <= LARGEST_PROOF, "Limit", "the proof is too long")
    values = _publics(system, publics)
    reader = Reader(proof)
    check_header(key, reader)
    _Verification(system, key, reader, values, context, note).run()


class _Verification:
    """One verification, after the header."""

    def __init__(
        self,
        system: System,
        key: Key,
        reader: Reader,
        publics: dict[str, list[int]],
        context: bytes,
        note: Note,
    ) -> None:
        self.system = system
        self.key = key
        self.parameters = key.parameters
        self.layout = Layout(system, key.parameters)
        self.reader = reader
        self.publics = publics
        self.context = context
        self.note = note
        self.transcript = Transcript(note)
        self.caps: dict[str, list[bytes]] = {"preprocessed": list(key.preprocessed)}
        self.lookup: list[Ext] = []
        self.terminals: dict[str, Ext] = {}
        self.opened: dict[str, list[Ext]] = {}
        self.betas: list[Ext] = []

    def run(self) -> None:
        """The checks of format.md, section 10, from 4 on."""
        self.known()
        self.commitments()
        self.out_of_domain()
        self.batching()
        self.fri()
        rows = {
            label: open_tree(tree, self.caps[label], self.indices, self.reader, self.note)
            for label, tree in self.layout.trees.items()
        }
        layers = [
            open_tree(tree, self.caps[tree.label], self.indices, self.reader, self.note)[
                tree.log_size
            ]
            for tree in self.layout.layers
        ]
        for q in sorted(set(self.indices)):
            self.query(q, rows, layers)
        self.reader.end()

    # The items of the transcript.

    def known(self) -> None:
        """What both sides know."""
        item = self.transcript.item
        item("protocol", b"stark/protocol/v1")
        item("parameters", self.parameters.data)
        item("key", self.key.digest())
        item("context", self.context)
        for name, values in self.publics.items():
            item(f"public {name}", b"".join(v.to_bytes(4, "little") for v in values))
        heights = (t.log_height.to_bytes(4, "little") for t in self.system.tables)
        item("heights", b"".join(heights))

    def sent(self, label: str, size: int) -> bytes:
        """An item of bytes that is in the proof."""
        at = self.reader.at
        data = self.reader.take(size)
        self.transcript.item(label, data, "sent", offset=at)
        return data

    def sent_exts(self, label: str, count: int) -> list[Ext]:
        """An item of elements of F that is in the proof."""
        at = self.reader.at
        data = self.reader.take(20 * count)
        values = f.exts(elements(data))
        self.transcript.item(label, data, "sent", offset=at)
        return values

    def commitment(self, label: str, tree: Tree) -> None:
        """A cap."""
        data = self.sent(label, tree.cap_bytes)
        self.caps[tree.label] = [data[i : i + 32] for i in range(0, len(data), 32)]

    def work(self, name: str, label: str | None = None) -> None:
        """A proof of work."""
        bits = self.parameters.work[name]
        self.transcript.work(f"work {label or name}", bits, self.reader)

    def commitments(self) -> None:
        """From the salt to zeta."""
        trees = self.layout.trees
        if self.parameters.zk:
            self.sent("salt", 32)
        self.commitment("main commitment", trees["main"])
        if self.system.widths:
            self.work("lookup")
            self.lookup = self.transcript.challenge("lookup", 3)
            self.commitment("auxiliary commitment", trees["auxiliary"])
            tables = [table.name for table in self.system.tables if table.messages]
            values = self.sent_exts("terminals", len(tables))
            self.terminals = dict(zip(tables, values, strict=True))
            require(f.total(values) == f.ZERO, "Bus", "the terminals do not add up to zero")
        self.work("constraints")
        (self.combiner,) = self.transcript.challenge("constraints", 1)
        self.commitment("quotient commitment", trees["quotient"])
        self.work("zeta")
        (self.zeta,) = self.transcript.challenge("zeta", 1)
        largest = 1 << self.layout.heights[0]
        require(f.power(self.zeta, largest) != f.ONE, "Domain", "zeta is in a trace domain")
        on_coset = f.power(f.scale(self.zeta, f.inverse(3)), 1 << self.layout.log_size)
        require(on_coset != f.ONE, "Domain", "zeta is in an evaluation domain")

    def out_of_domain(self) -> None:
        """Opened values, and the identity at zeta for each table."""
        for table in self.system.tables:
            count = len(self.layout.opened(table))
            self.opened[table.name] = self.sent_exts(f"values {table.name}", count)
        for table in self.system.tables:
            self.identity(table)

    def identity(self, table: Table) -> None:
        """The identity of format.md, section 8."""
        height = 1 << table.log_height
        w = f.root(table.log_height)
        zeta, values = self.zeta, self.opened[table.name]
        zeta_power = f.power(zeta, height)
        vanishing = f.sub(zeta_power, f.ONE)
        distance = f.sub(zeta, f.lift(f.inverse(w)))
        first = f.mul(vanishing, f.invert(f.scale(f.sub(zeta, f.ONE), height)))
        last = f.mul(vanishing, f.invert(f.scale(distance, height * w)))
        periodic = [self.periodic(column, height) for column in table.periodic]
        nodes = self.evaluate(table, (first, last, distance), periodic)
        constraints = [nodes[e.index] for _, e in table.constraints]
        left = f.horner(constraints, self.combiner)
        quotient = f.horner(values[-table.chunks :], zeta_power)
        right = f.mul(vanishing, quotient)
        self.note(
            "out of domain",
            {
                "table": table.name,
                "zeta_power": zeta_power,
                "next_point": f.scale(zeta, w),
                "first": first,
                "last": last,
                "transition": distance,
                "periodic": periodic,
                "values": values,
                "constraints": constraints,
                "quotient": quotient,
                "left": left,
                "right": right,
            },
        )
        require(left == right, "OOD", f"constraints and quotient of {table.name} disagree")

    def periodic(self, column: list[int], height: int) -> Ext:
        """A periodic column at zeta."""
        t = len(column)
        w = f.root(t.bit_length() - 1)
        y = f.power(self.zeta, height // t)
        factor = f.scale(f.sub(f.power(y, t), f.ONE), f.inverse(t))
        terms = []
        for i, v in enumerate(column):
            point = pow(w, i, P)
            terms.append(f.scale(f.invert(f.sub(y, f.lift(point))), v * point % P))
        return f.mul(f.total(terms), factor)

    def evaluate(
        self, table: Table, selectors: tuple[Ext, Ext, Ext], periodic: list[Ext]
    ) -> dict[int, Ext]:
        """The nodes that the constraints use, at zeta."""
        parts = {"preprocessed": PREPROCESSED, "main": MAIN, "auxiliary": AUXILIARY}
        cells = {
            (parts[label], column, int(after)): value
            for (label, column, after), value in zip(
                self.layout.opened(table), self.opened[table.name], strict=True
            )
            if label in parts
        }
        bases = [*self.lookup, f.X] if self.lookup else []
        result: dict[int, Ext] = {}
        for index in sorted(table.graph.below(e.index for _, e in table.constraints)):
            kind, *rest = table.graph.nodes[index]
            if kind == CONSTANT:
                value = f.lift(rest[0])
            elif kind == CELL:
                value = cells[rest[0], rest[1], rest[2]]
            elif kind == PERIODIC:
                value = periodic[rest[0]]
            elif kind == PUBLIC:
                value = f.lift(self.publics[table.name][rest[0]])
            elif kind == SELECTOR:
                value = selectors[rest[0]]
            elif kind == CHALLENGE:
                value = f.power(bases[rest[0]], rest[1])
            elif kind == TERMINAL:
                value = self.terminals[table.name]
            else:
                operation = {SUM: f.add, DIFFERENCE: f.sub}.get(kind, f.mul)
                value = operation(result[rest[0]], result[rest[1]])
            result[index] = value
        return result

    def batching(self) -> None:
        """The coefficients of all opened values, and what they make of the values at zeta."""
        self.work("batching")
        tables = self.system.tables
        counts = {table.name: len(self.opened[table.name]) for table in tables}
        if self.parameters.powers:
            (c,) = self.transcript.challenge("batching", 1)
            places = [
                (table, at) for table in tables for at in range(len(self.layout.opened(table)))
            ]
            power = {}
            for height in self.layout.heights:
                at_height = [one for one in places if one[0].log_height == height]
                at_height.sort(key=self.place_in_joint_row)
                latest = f.ONE
                for table, at in reversed(at_height):
                    latest = f.mul(latest, c)
                    power[table.name, at] = latest
            coefficients = [power[table.name, at] for table, at in places]
        else:
            coefficients = self.transcript.challenge("batching", sum(counts.values()))
        self.note("batching", {"coefficients": coefficients})
        self.terms: dict[str, list[tuple[str, int, bool, Ext]]] = {}
        self.expected: dict[tuple[str, bool], Ext] = {}
        at = 0
        for table in tables:
            some = coefficients[at : at + counts[table.name]]
            at += counts[table.name]
            opened = self.layout.opened(table)
            self.terms[table.name] = [(*o, c) for o, c in zip(opened, some, strict=True)]
            for after in (False, True):
                parts = zip(opened, some, self.opened[table.name], strict=True)
                products = (f.mul(c, v) for o, c, v in parts if o[2] == after)
                self.expected[table.name, after] = f.total(products)

    def place_in_joint_row(self, one: tuple[Table, int]) -> tuple[bool, int]:
        """At zeta before w zeta, tree by tree; what is equal here stays in its order."""
        table, at = one
        label, _, after = self.layout.opened(table)[at]
        return bool(after), ("preprocessed", "main", "auxiliary", "quotient").index(label)

    def fri(self) -> None:
        """The layers' caps and challenges, the final polynomial, the query indices."""
        self.note("schedule", {"schedule": self.layout.schedule})
        for k, tree in enumerate(self.layout.layers):
            self.commitment(f"fri {k}", tree)
            self.work("fold", f"fold {k}")
            self.betas += self.transcript.challenge(f"fold {k}", 1)
        self.final = self.sent_exts("final polynomial", self.parameters.final_length)
        self.work("queries")
        count = self.parameters.queries
        self.indices = self.transcript.indices("queries", count, self.layout.log_size)

    # The queries.

    def deep(self, q: int, log_height: int, rows: dict[str, Rows]) -> tuple[Ext, dict[str, Any]]:
        """F_N at a query (format.md, section 9), and notes about it."""
        log_size = log_height + self.parameters.log_blowup
        position = q % (1 << log_size)
        x = 3 * pow(f.root(log_size), position, P) % P
        mask = f.ZERO
        if self.parameters.zk:
            mask = f.as_ext(rows["main"][log_size][position][-5:])
        shares = {}
        for table in self.system.tables:
            if table.log_height == log_height:
                shares[table.name] = self.share(table, x, log_size, position, rows)
        value = f.total([mask, *shares.values()])
        known = {"log_height": log_height, "position": position, "x": x, "mask": mask}
        return value, known | {"tables": shares, "deep": value}

    def share(
        self, table: Table, x: int, log_size: int, position: int, rows: dict[str, Rows]
    ) -> Ext:
        """A table's sum of c_i (f_i(x) - v_i) / (x - z_i)."""
        sums = {False: [0] * 9, True: [0] * 9}
        for label, column, after, c in self.terms[table.name]:
            row = rows[label][log_size][position]
            at = self.layout.places[label, table.name]
            if label in ("auxiliary", "quotient"):
                value = f.mul(c, f.as_ext(row[at + 5 * column : at + 5 * column + 5]))
            else:
                value = f.scale(c, row[at + column])
            for i in range(5):
                sums[after][i] += value[i]
        w = f.root(table.log_height)
        result = f.ZERO
        for after, z in ((False, self.zeta), (True, f.scale(self.zeta, w))):
            opened = f.as_ext([v % P for v in sums[after][:5]])
            above = f.sub(opened, self.expected[table.name, after])
            if above != f.ZERO:
                result = f.add(result, f.mul(above, f.invert(f.sub(f.lift(x), z))))
        return result

    def query(self, q: int, rows: dict[str, Rows], layers: list[dict[int, list[int]]]) -> None:
        """Follow a query through all layers."""
        deep = {log_height: self.deep(q, log_height, rows) for log_height in self.layout.heights}
        log_height = self.layout.heights[0]
        value = deep[log_height][0]
        notes = []
        for arity, beta, layer in zip(self.layout.schedule, self.betas, layers, strict=True):
            log_size = log_height + self.parameters.log_blowup
            log_height -= arity
            leaf = q % (1 << (log_size - arity))
            slot = (q % (1 << log_size)) >> (log_size - arity)
            values = f.exts(layer[leaf])
            require(values[slot] == value, "FriFold", f"query {q}, domain 2^{log_size}")
            y = pow(f.root(log_size), leaf, P)
            folded = value = fold(values, y, beta)
            if log_height in deep:
                value = f.add(value, f.mul(f.power(beta, 1 << arity), deep[log_height][0]))
            note = {"log_size": log_size, "leaf": leaf, "slot": slot, "y": y, "values": values}
            more = {"folded": folded, "joined": log_height in deep, "next": value}
            notes.append(note | more)
        log_last = self.parameters.log_final + self.parameters.log_blowup
        y = pow(f.root(log_last), q % (1 << log_last), P)
        final = f.horner(self.final, f.lift(y))
        self.note(
            "query",
            {
                "index": q,
                "heights": [notes for _, notes in deep.values()],
                "layers": notes,
                "final": {"y": y, "value": final},
            },
        )
        require(value == final, "FriFinal", f"query {q}")


def fold(values: Sequence[Ext], y: int, beta: Ext) -> Ext:
    """The fold of a leaf's values: the sum of beta^t y^(-t)/k times their inverse transform."""
    k = len(values)
    u_inverse = f.inverse(f.root(k.bit_length() - 1))
    coefficients = []
    for t in range(k):
        terms = (f.scale(g, pow(u_inverse, t * i, P)) for i, g in enumerate(values))
        coefficients.append(f.scale(f.total(terms), f.inverse(k * pow(y, t, P))))
    return f.horner(coefficients, beta)
