"""Systems: listings of tables become graphs, constraints and digests.

See systems.md, and tables.md and circuits.md for the tables of batches and of circuits.

The listings are taken from the documents as they stand there and executed, with the statements of
systems.md, section 1, as functions. A test that compares digests thus tests what is printed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .field import root
from .poseidon import ROW, round_constants
from .reading import P
from .transcript import tree_root

DOCS = Path(__file__).parents[2] / "docs"

CONSTANT, CELL, PERIODIC, PUBLIC, SELECTOR, CHALLENGE, TERMINAL, SUM, DIFFERENCE, PRODUCT = range(
    10
)
PREPROCESSED, MAIN, AUXILIARY = range(3)
FIRST, LAST, TRANSITION = range(3)
ALPHA, BETA, GAMMA, ELEMENT_X = range(4)


@cache
def listings() -> dict[str, str]:
    """The blocks marked `air NAME` of systems.md, tables.md and circuits.md."""
    names = ("systems.md", "tables.md", "circuits.md")
    text = "".join((DOCS / name).read_text("utf-8") for name in names)
    return dict(re.findall(r"^```air ([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


@dataclass
class Graph:
    """The nodes of a table, none of them twice, and their degrees."""

    nodes: list[tuple[int, ...]] = field(default_factory=list)
    degrees: list[int] = field(default_factory=list)
    places: dict[tuple[int, ...], int] = field(default_factory=dict)

    def build(self, *node: int) -> Expression:
        """The node: the one that is there, or a new one at the end."""
        if node not in self.places:
            self.places[node] = len(self.nodes)
            self.nodes.append(node)
            self.degrees.append(self._degree(node))
        return Expression(self, self.places[node])

    def _degree(self, node: tuple[int, ...]) -> int:
        kind = node[0]
        if kind in (CELL, PERIODIC):
            return 1
        if kind == SELECTOR:
            return 0 if node[1] == TRANSITION else 1
        if kind in (SUM, DIFFERENCE):
            return max(self.degrees[node[1]], self.degrees[node[2]])
        if kind == PRODUCT:
            return self.degrees[node[1]] + self.degrees[node[2]]
        return 0

    def expression(self, value: Expression | int) -> Expression:
        """The value itself, or the constant that an integer becomes."""
        return self.build(CONSTANT, value % P) if isinstance(value, int) else value

    def challenge(self, which: int, exponent: int) -> Expression:
        """A power of alpha, beta, gamma or x; the constant 1 for the exponent 0."""
        return self.build(CHALLENGE, which, exponent) if exponent else self.expression(1)

    def below(self, indices: Iterable[int]) -> set[int]:
        """The nodes which these nodes use, directly or not, themselves included."""
        seen: set[int] = set()
        waiting = list(indices)
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                if self.nodes[index][0] >= SUM:
                    waiting += self.nodes[index][1:]
        return seen


@dataclass(frozen=True)
class Expression:
    """A node, with the operations of systems.md, section 2."""

    graph: Graph
    index: int

    @property
    def constant(self) -> int | None:
        """The value of a constant, else None."""
        node = self.graph.nodes[self.index]
        return node[1] if node[0] == CONSTANT else None

    @property
    def degree(self) -> int:
        """The node's degree."""
        return self.graph.degrees[self.index]

    def __add__(self, other: Expression | int) -> Expression:
        return _add(self, self.graph.expression(other))

    def __radd__(self, other: int) -> Expression:
        return _add(self.graph.expression(other), self)

    def __sub__(self, other: Expression | int) -> Expression:
        return _subtract(self, self.graph.expression(other))

    def __rsub__(self, other: int) -> Expression:
        return _subtract(self.graph.expression(other), self)

    def __mul__(self, other: Expression | int) -> Expression:
        return _multiply(self, self.graph.expression(other))

    def __rmul__(self, other: int) -> Expression:
        return _multiply(self.graph.expression(other), self)

    def __neg__(self) -> Expression:
        return 0 - self

    def __pow__(self, exponent: int) -> Expression:
        result = self
        for _ in range(exponent - 1):
            result = result * self
        return result


def _add(a: Expression, b: Expression) -> Expression:
    u, v = a.constant, b.constant
    if u is not None and v is not None:
        return a.graph.expression(u + v)
    if u == 0:
        return b
    if v == 0:
        return a
    return a.graph.build(SUM, *sorted((a.index, b.index)))


def _subtract(a: Expression, b: Expression) -> Expression:
    u, v = a.constant, b.constant
    if u is not None and v is not None:
        return a.graph.expression(u - v)
    if v == 0:
        return a
    if v is not None:
        return a + (P - v)
    return a.graph.build(DIFFERENCE, a.index, b.index)


def _multiply(a: Expression, b: Expression) -> Expression:
    u, v = a.constant, b.constant
    if u is not None and v is not None:
        return a.graph.expression(u * v)
    if u == 0 or v == 1:
        return a
    if v == 0 or u == 1:
        return b
    return a.graph.build(PRODUCT, *sorted((a.index, b.index)))


@dataclass(frozen=True)
class Message:
    """A message of a table to a bus."""

    bus: str
    values: list[Expression]
    counts: list[Expression]
    received: bool
    label: str


@dataclass(frozen=True)
class Fraction:
    """A numerator over a denominator, with the labels of its messages."""

    n: Expression
    d: Expression
    labels: list[str]


class Table:
    """A table: its columns, constraints and groups of messages."""

    def __init__(self, name: str, log_height: int) -> None:
        self.name = name
        self.log_height = log_height
        self.graph = Graph()
        self.names: dict[int, list[str]] = {PREPROCESSED: [], MAIN: []}
        self.publics: list[str] = []
        self.periodic: list[list[int]] = []
        self.constraints: list[tuple[str, Expression]] = []
        self.messages: list[Message] = []
        self.groups: list[Fraction] = []
        self.masks: list[Expression] = []
        self.signed: set[str] = set()
        self.zk = False

    def read(self, *texts: str, **names: Any) -> None:
        """Execute listings, with these names known beside the statements of the language."""
        graph = self.graph
        language: dict[str, Any] = {
            "__builtins__": {"int": int, "len": len, "range": range, "str": str, "sum": sum},
            "preprocessed": lambda name: self._column(PREPROCESSED, name),
            "main": lambda name: self._column(MAIN, name),
            "main_array": lambda name, n: [self._column(MAIN, f"{name}[{i}]") for i in range(n)],
            "public": self._public,
            "public_array": lambda name, n: [self._public(f"{name}[{i}]") for i in range(n)],
            "periodic": self._periodic,
            "constant": graph.expression,
            "extension": self._extension,
            "signed": self.signed.add,
            "next": self._next,
            "is_first_row": lambda: graph.build(SELECTOR, FIRST),
            "every_row": self._constrain(None),
            "first_row": self._constrain(FIRST),
            "last_row": self._constrain(LAST),
            "transition": self._constrain(TRANSITION),
            "send": lambda *message: self._message(False, *message),
            "receive": lambda *message: self._message(True, *message),
            "p": P,
            **names,
        }
        for text in texts:
            exec(text, language)

    def _column(self, part: int, name: str) -> Expression:
        self.names[part].append(name)
        return self.graph.build(CELL, part, len(self.names[part]) - 1, 0)

    def _public(self, name: str) -> Expression:
        self.publics.append(name)
        return self.graph.build(PUBLIC, len(self.publics) - 1)

    def _periodic(self, values: Sequence[int]) -> Expression:
        self.periodic.append([v % P for v in values])
        return self.graph.build(PERIODIC, len(self.periodic) - 1)

    def _next(self, column: Expression) -> Expression:
        kind, part, number, _ = self.graph.nodes[column.index]
        return self.graph.build(kind, part, number, 1)

    def _extension(self, cells: Sequence[Expression]) -> Expression:
        e = cells[0]
        for k in range(1, 5):
            e = e + self.graph.challenge(ELEMENT_X, k) * cells[k]
        return e

    def _constrain(self, selector: int | None) -> Callable[..., None]:
        def statement(label: str, *expressions: Expression) -> None:
            for i, e in enumerate(expressions):
                if selector is not None:
                    e = self.graph.build(SELECTOR, selector) * e
                self.constraints.append((f"{label} [{i}]" if len(expressions) > 1 else label, e))

        return statement

    def _message(
        self,
        received: bool,
        bus: str,
        values: list[Expression | int],
        count: Expression | int | list[Expression | int],
        label: str,
    ) -> None:
        known = [self.graph.expression(v) for v in values]
        counts = count if isinstance(count, list) else [count]
        many = [self.graph.expression(c) for c in counts]
        self.messages.append(Message(bus, known, many, received, label))

    def close(self, zk: bool, buses: dict[str, int]) -> None:
        """Add masks and the constraints of the buses (systems.md, section 3)."""
        self.zk = zk
        if not self.messages:
            return
        graph = self.graph
        if zk:
            first = graph.build(SELECTOR, FIRST)
            for k in range(5):
                cell = self._column(MAIN, f"bus mask[{k}]")
                self.masks.append(cell)
                label = f"bus mask[{k}] is zero but on row 0"
                self.constraints.append((label, cell - first * cell))
        target = max([3, *(e.degree for _, e in self.constraints)])
        fractions = [self._fraction(message, buses[message.bus]) for message in self.messages]
        while fractions:
            group = fractions.pop(0)
            if fractions:
                other = fractions[0]
                n = group.n * other.d + other.n * group.d
                d = group.d * other.d
                if max(d.degree + 1, n.degree) <= target:
                    group = Fraction(n, d, group.labels + fractions.pop(0).labels)
            self.groups.append(group)
        cells = [graph.build(CELL, AUXILIARY, k, 0) for k in range(len(self.groups))]
        for h, group in zip(cells[:-1], self.groups[:-1], strict=True):
            label = "bus group " + ", ".join(group.labels)
            self.constraints.append((label, h * group.d - group.n))
        group = self.groups[-1]
        s = self._next(cells[-1]) - cells[-1]
        for h in cells[:-1]:
            s = s - h
        mask = graph.expression(0)
        for k, r in enumerate(self.masks):
            mask = mask + graph.challenge(ELEMENT_X, k) * r
        s = s - mask
        s = s + graph.build(TERMINAL) * graph.build(SELECTOR, LAST)
        label = "bus running sum " + ", ".join(group.labels)
        self.constraints.append((label, s * group.d - group.n))

    def _fraction(self, message: Message, bus: int) -> Fraction:
        graph = self.graph
        d = graph.challenge(ALPHA, 1) + bus
        for e, value in enumerate(message.values, 1):
            d = d + graph.challenge(BETA, e) * value
        n = graph.expression(0)
        for e, count in enumerate(message.counts):
            n = n + graph.challenge(GAMMA, e) * count
        return Fraction(-n if message.received else n, d, [message.label])

    @property
    def degree(self) -> int:
        """The largest degree of a constraint."""
        return max((e.degree for _, e in self.constraints), default=0)

    @property
    def chunks(self) -> int:
        """How many chunks the quotient has."""
        return max(2, self.degree) if self.zk else max(1, self.degree - 1)

    @property
    def widths(self) -> tuple[int, int, int]:
        """Numbers of preprocessed, main and auxiliary columns."""
        return len(self.names[PREPROCESSED]), len(self.names[MAIN]), len(self.groups)

    def next_columns(self) -> list[list[int]]:
        """Per part, the columns whose next cell a constraint uses."""
        nodes = [
            self.graph.nodes[i] for i in self.graph.below(e.index for _, e in self.constraints)
        ]
        return [
            sorted(node[2] for node in nodes if node[:2] == (CELL, part) and node[3] == 1)
            for part in (PREPROCESSED, MAIN, AUXILIARY)
        ]

    def digest(self) -> bytes:
        """The table digest (systems.md, section 5)."""
        data = [b"stark/table/v1", text(self.name), n(self.log_height), n(self.degree)]
        for part in (PREPROCESSED, MAIN):
            data += [n(len(self.names[part])), *map(text, self.names[part])]
        data += [n(len(self.groups)), n(len(self.publics)), *map(text, self.publics)]
        data += [n(len(self.periodic))]
        for values in self.periodic:
            data += [n(len(values)), *map(n, values)]
        data += [n(len(self.graph.nodes))]
        for node in self.graph.nodes:
            data += [n(len(node)), *map(n, node)]
        data += [n(len(self.constraints))]
        for label, e in self.constraints:
            data += [text(label), n(e.index)]
        for group in self.groups:
            data += [n(group.n.index), n(group.d.index)]
        return hashlib.sha256(b"".join(data)).digest()


def n(value: int) -> bytes:
    """An integer in digests: 8 bytes, little-endian."""
    return value.to_bytes(8, "little")


def text(value: str) -> bytes:
    """A text in digests: its length and its bytes."""
    return n(len(value.encode())) + value.encode()


class System:
    """Tables and the buses between them."""

    def __init__(self, tables: Sequence[Table], zk: bool, whole_rows: bool = False) -> None:
        self.tables = list(tables)
        self.zk = zk
        self.whole_rows = whole_rows
        self.widths: dict[str, int] = {}
        for table in self.tables:
            for message in table.messages:
                self.widths.setdefault(message.bus, len(message.values))
        numbers = {bus: i for i, bus in enumerate(self.widths, 1)}
        for table in self.tables:
            table.close(zk, numbers)

    def digest(self) -> bytes:
        """The system digest (systems.md, section 5)."""
        data = [b"stark/system/v1", n(self.zk), n(len(self.widths)), n(len(self.tables))]
        data += [text(bus) + n(width) for bus, width in self.widths.items()]
        data += [table.digest() for table in self.tables]
        signed = {bus for table in self.tables for bus in table.signed}
        for i, bus in enumerate(self.widths):
            data += [text("signed bus"), n(i)] if bus in signed else []
        if self.whole_rows:
            data.append(text("whole rows"))
        return hashlib.sha256(b"".join(data)).digest()

    def next_columns(self) -> dict[str, list[list[int]]]:
        """By table and part, the columns that are opened on the next row too."""
        columns = {table.name: table.next_columns() for table in self.tables}
        if not self.whole_rows:
            return columns
        used = {
            (table.log_height, part)
            for table in self.tables
            for part in (PREPROCESSED, MAIN, AUXILIARY)
            if columns[table.name][part]
        }
        return {
            table.name: [
                list(range(width)) if (table.log_height, part) in used else []
                for part, width in enumerate(table.widths)
            ]
            for table in self.tables
        }

    def shape(self) -> bytes:
        """The bytes of the shape of the tables (format.md, section 6)."""
        columns = self.next_columns()
        data = [len(self.tables).to_bytes(2, "little")]
        for table in self.tables:
            data.append(bytes([table.log_height, table.chunks]))
            counts = [*table.widths, *map(len, columns[table.name])]
            data += [count.to_bytes(2, "little") for count in counts]
        return b"".join(data)


def small_system(name: str) -> System:
    """The systems of the kept proofs (systems.md, section 7)."""
    heights = {"fibonacci": 4}
    if name != "fibonacci":
        heights = {"work": 5, "ledger": 4, "byte table": 8}
    tables = []
    for table, log_height in heights.items():
        tables.append(Table(table, log_height))
        tables[-1].read(listings()[table])
    return System(tables, zk=name == "hidden")


@dataclass(frozen=True)
class Shape:
    """The shape of a batch (tables.md, section 1)."""

    log_rows: int
    log_slots: int
    log_capacity: int

    @property
    def name(self) -> str:
        """Its name in keys.json."""
        return f"rows{self.log_rows}-slots{self.log_slots}-assets{self.log_capacity}"

    @property
    def log_segments(self) -> int:
        """The logarithm of the number of segments."""
        return max(0, self.log_rows - 14, 12 - self.log_capacity)

    def heights(self) -> dict[str, int]:
        """The tables in order, with the logarithms of their heights."""
        return {
            "chain": self.log_rows,
            "tree": max(self.log_slots, 12),
            "totals": self.log_capacity + self.log_segments,
            "range": 15,
        }


@cache
def batch_system(shape: Shape, zk: bool = True, whole_rows: bool = False) -> System:
    """The system of the batches of a shape; with masks if they are published."""
    tables = []
    for name, log_height in shape.heights().items():
        table = Table(name, log_height)
        known = {"rc": round_constants(), "row": ROW, "half": (P + 1) // 2}
        table.read(listings()["poseidon"], listings()[name], slots=1 << shape.log_slots, **known)
        tables.append(table)
    return System(tables, zk, whole_rows)


@dataclass(frozen=True)
class CircuitShape:
    """The shape of a circuit (circuits.md, section 1)."""

    log_permutations: int
    log_arithmetic: int
    log_folds: int
    log_decompositions: int
    widths: tuple[int, ...]
    log_order: int

    def heights(self) -> dict[str, int]:
        """The tables in order, with the logarithms of their heights."""
        return {
            "permutation": self.log_permutations,
            "arithmetic": self.log_arithmetic,
            "fold": self.log_folds,
            "decomposition": self.log_decompositions,
        }


@cache
def circuit_system(shape: CircuitShape, zk: bool, whole_rows: bool) -> System:
    """The system of the circuits of a shape."""
    roots = [root(k) for k in range(25)]
    known: dict[str, Any] = {
        "rc": round_constants(),
        "row": ROW,
        "half": (P + 1) // 2,
        "root": roots,
        "inverse_root": [pow(w, -1, P) for w in roots],
        "widths": shape.widths,
        "log_order": shape.log_order,
    }
    tables = []
    for name, log_height in shape.heights().items():
        table = Table(name, log_height)
        table.read(*(listings()[part] for part in ("poseidon", "wires", name)), **known)
        tables.append(table)
    return System(tables, zk, whole_rows)


def batch_preprocessed(shape: Shape) -> dict[str, list[list[int]]]:
    """The values of the preprocessed columns of a batch, per table and column (tables.md)."""
    rows, slots, capacity = 1 << shape.log_rows, 1 << shape.log_slots, 1 << shape.log_capacity
    holding = rows - 2 * capacity
    log_segment = shape.log_rows - shape.log_segments
    k = 1 << shape.log_segments

    def column(height: int, value: Callable[[int], int]) -> list[int]:
        return [int(value(r)) for r in range(height)]

    tree = 1 << shape.heights()["tree"]
    totals = 1 << shape.heights()["totals"]
    return {
        "chain": [
            column(rows, lambda r: r >> log_segment),
            column(rows, lambda r: r >= holding),
            column(rows, lambda r: r >= holding + capacity),
            column(rows, lambda r: (r - holding) % capacity if r >= holding else 0),
            column(rows, lambda r: r in (holding, holding + capacity)),
            column(rows, lambda r: r in (holding + capacity - 1, rows - 1)),
            column(rows, lambda r: r < holding - 1),
            column(rows, lambda r: r == holding - 1),
        ],
        "tree": [
            column(tree, lambda r: r + 1 if r < slots - 1 else 0),
            column(tree, lambda r: r < slots - 1),
        ],
        "totals": [
            column(totals, lambda r: r // k),
            column(totals, lambda r: r % k),
            column(totals, lambda r: r % k == 0),
            column(totals, lambda r: r % k == k - 1),
        ],
        "range": [],
    }


def _transform(values: list[int], w: int) -> list[int]:
    """The polynomial with these coefficients at 1, w, w^2, ..., w a root of unity of the length."""
    n = len(values)
    if n == 1:
        return values
    even, odd = _transform(values[::2], w * w % P), _transform(values[1::2], w * w % P)
    result, power = [0] * n, 1
    for i in range(n // 2):
        t = odd[i] * power % P
        result[i], result[i + n // 2] = even[i] + t, even[i] - t
        power = power * w % P
    return [v % P for v in result]


def extend(column: list[int], log_blowup: int) -> list[int]:
    """A column's polynomial on the evaluation domain (systems.md, section 6)."""
    log_n = len(column).bit_length() - 1
    scale = pow(len(column), -1, P)
    coefficients = _transform(column, pow(root(log_n), -1, P))
    on_coset = [c * scale % P * pow(3, i, P) % P for i, c in enumerate(coefficients)]
    padded = on_coset + [0] * ((len(column) << log_blowup) - len(column))
    return _transform(padded, root(log_n + log_blowup))


def preprocessed_root(columns: Sequence[list[list[int]]], log_blowup: int) -> bytes:
    """The root of the preprocessed tree, from the columns of all tables (systems.md, section 6)."""
    rows: dict[int, list[bytes]] = {}
    for values in columns:
        if not values:
            continue
        extended = [extend(column, log_blowup) for column in values]
        more = [
            b"".join(v.to_bytes(4, "little") for v in row) for row in zip(*extended, strict=True)
        ]
        before = rows.setdefault(len(more).bit_length() - 1, [b""] * len(more))
        before[:] = [a + b for a, b in zip(before, more, strict=True)]
    return tree_root(rows)
