"""Listings of tables, executed by the rules that ``docs/systems.md`` states.

This is written from the document, not from ``stark.constraints``: the two are compared. Standard
library alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

P = 2**31 - 2**24 + 1
CONSTANT, CELL, PERIODIC, PUBLIC, SELECTOR, CHALLENGE, TERMINAL, ADD, SUBTRACT, MULTIPLY = range(10)
PREPROCESSED, MAIN, AUXILIARY = range(3)
FIRST, LAST, TRANSITION = range(3)
ALPHA, BETA, GAMMA, BASIS = range(4)
POSEIDON_ROW = (1, 1, 51, 1, 11, 17, 2, 1, 101, 63, 15, 2, 67, 22, 13, 3)

DOCUMENTS = Path(__file__).parents[2] / "docs"


def blocks(name: str, kind: str) -> dict[str, str]:
    """The fenced blocks of one kind in a document, by what follows the kind."""
    text = (DOCUMENTS / name).read_text(encoding="utf-8")
    found = re.findall(rf"^```{kind} ([^\n]+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    if len({title for title, _ in found}) != len(found):
        raise AssertionError(f"{name}: two blocks have the same title")
    return dict(found)


class Graph:
    """Section 2: nodes, each listed once, and their degrees."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, ...]] = []
        self.degrees: list[int] = []
        self.places: dict[tuple[int, ...], int] = {}

    def build(self, *node: int) -> Value:
        if node not in self.places:
            self.places[node] = len(self.nodes)
            self.nodes.append(node)
            self.degrees.append(self._degree(node))
        return Value(self, self.places[node])

    def _degree(self, node: tuple[int, ...]) -> int:
        kind = node[0]
        if kind in (CELL, PERIODIC):
            return 1
        if kind == SELECTOR:
            return 0 if node[1] == TRANSITION else 1
        if kind < ADD:
            return 0
        left, right = self.degrees[node[1]], self.degrees[node[2]]
        return left + right if kind == MULTIPLY else max(left, right)

    def constant(self, value: int) -> Value:
        return self.build(CONSTANT, value % P)

    def challenge(self, which: int, exponent: int) -> Value:
        return self.build(CHALLENGE, which, exponent) if exponent else self.constant(1)


class Value:
    """An expression."""

    def __init__(self, graph: Graph, index: int) -> None:
        self.graph = graph
        self.index = index

    @property
    def degree(self) -> int:
        return self.graph.degrees[self.index]

    @property
    def fixed(self) -> int | None:
        node = self.graph.nodes[self.index]
        return node[1] if node[0] == CONSTANT else None

    def _value(self, other: Value | int) -> Value:
        return other if isinstance(other, Value) else self.graph.constant(other)

    def _ordered(self, kind: int, other: Value) -> Value:
        return self.graph.build(kind, *sorted((self.index, other.index)))

    def __add__(self, right: Value | int) -> Value:
        other = self._value(right)
        u, v = self.fixed, other.fixed
        if u is not None and v is not None:
            return self.graph.constant(u + v)
        if u == 0:
            return other
        return self if v == 0 else self._ordered(ADD, other)

    __radd__ = __add__

    def __sub__(self, right: Value | int) -> Value:
        other = self._value(right)
        u, v = self.fixed, other.fixed
        if u is not None and v is not None:
            return self.graph.constant(u - v)
        if v == 0:
            return self
        if v is not None:
            return self + (P - v)
        return self.graph.build(SUBTRACT, self.index, other.index)

    def __rsub__(self, left: int) -> Value:
        return self.graph.constant(left) - self

    def __mul__(self, right: Value | int) -> Value:
        other = self._value(right)
        u, v = self.fixed, other.fixed
        if u is not None and v is not None:
            return self.graph.constant(u * v)
        if u == 0 or v == 1:
            return self
        return other if v == 0 or u == 1 else self._ordered(MULTIPLY, other)

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Value:
        result = self
        for _ in range(exponent - 1):
            result = result * self
        return result

    def __neg__(self) -> Value:
        return self.graph.constant(0) - self


class ListedTable:
    """Section 1: what the statements of a listing declare; sections 3 to 5: what follows."""

    def __init__(self, name: str, log_height: int) -> None:
        self.name = name
        self.log_height = log_height
        self.graph = Graph()
        self.columns: tuple[list[str], list[str]] = ([], [])
        self.publics: list[str] = []
        self.periodics: list[list[int]] = []
        self.constraints: list[tuple[str, Value]] = []
        self.messages: list[tuple[str, list[Value], list[Value], str, bool]] = []
        self.groups: list[tuple[list[str], Value, Value]] = []
        self.signed: set[str] = set()

    def statements(self) -> dict[str, Any]:
        """The names that a listing uses."""
        selected = {"every_row": None, "first_row": FIRST, "last_row": LAST}
        return {
            "preprocessed": lambda name: self._column(PREPROCESSED, name),
            "main": lambda name: self._column(MAIN, name),
            "main_array": lambda name, n: [self._column(MAIN, f"{name}[{i}]") for i in range(n)],
            "public": self._public,
            "public_array": lambda name, n: [self._public(f"{name}[{i}]") for i in range(n)],
            "periodic": self._periodic,
            "constant": self.graph.constant,
            "next": self._next,
            "is_first_row": lambda: self.graph.build(SELECTOR, FIRST),
            "extension": self._extension,
            "signed": self.signed.add,
            "send": lambda *message: self._message(*message, False),
            "receive": lambda *message: self._message(*message, True),
            **{
                name: (lambda label, *values, s=selector: self._constrain(s, label, values))
                for name, selector in (selected | {"transition": TRANSITION}).items()
            },
        }

    def _column(self, part: int, name: str) -> Value:
        self.columns[part].append(name)
        return self.graph.build(CELL, part, len(self.columns[part]) - 1, 0)

    def _next(self, column: Value) -> Value:
        kind, part, number, _ = self.graph.nodes[column.index]
        return self.graph.build(kind, part, number, 1)

    def _public(self, name: str) -> Value:
        self.publics.append(name)
        return self.graph.build(PUBLIC, len(self.publics) - 1)

    def _periodic(self, values: list[int]) -> Value:
        self.periodics.append([value % P for value in values])
        return self.graph.build(PERIODIC, len(self.periodics) - 1)

    def _extension(self, cells: Sequence[Value]) -> Value:
        element = cells[0]
        for k in range(1, 5):
            element = element + self.graph.challenge(BASIS, k) * cells[k]
        return element

    def _constrain(self, selector: int | None, label: str, values: Sequence[Value]) -> None:
        for i, value in enumerate(values):
            name = label if len(values) == 1 else f"{label} [{i}]"
            if selector is not None:
                value = self.graph.build(SELECTOR, selector) * value
            self.constraints.append((name, value))

    def _message(
        self, bus: str, values: Sequence[Any], count: Any, label: str, received: bool
    ) -> None:
        def expressions(items: Sequence[Any]) -> list[Value]:
            return [v if isinstance(v, Value) else self.graph.constant(v) for v in items]

        tuple_ = expressions(values)
        counts = expressions(count if isinstance(count, list) else [count])
        self.messages.append((bus, tuple_, counts, label, received))

    def finish(self, buses: dict[str, int], zk: bool) -> None:
        """Masks and bus constraints (section 3)."""
        if not self.messages:
            return
        graph = self.graph
        masks = []
        if zk:
            first = graph.build(SELECTOR, FIRST)
            for k in range(5):
                cell = self._column(MAIN, f"bus mask[{k}]")
                masks.append(cell)
                label = f"bus mask[{k}] is zero but on row 0"
                self.constraints.append((label, cell - first * cell))
        target = max([3, *(value.degree for _, value in self.constraints)])
        fractions = [self._fraction(message, buses) for message in self.messages]
        while fractions:
            group = fractions.pop(0)
            if fractions:
                labels, n2, d2 = fractions[0]
                n = group[1] * d2 + n2 * group[2]
                d = group[2] * d2
                if max(d.degree + 1, n.degree) <= target:
                    group = (group[0] + labels, n, d)
                    fractions.pop(0)
            self.groups.append(group)
        columns = [graph.build(CELL, AUXILIARY, k, 0) for k in range(len(self.groups))]
        for (labels, n, d), column in zip(self.groups[:-1], columns[:-1], strict=True):
            self.constraints.append(("bus group " + ", ".join(labels), column * d - n))
        step = graph.build(CELL, AUXILIARY, len(columns) - 1, 1) - columns[-1]
        for column in columns[:-1]:
            step = step - column
        mask = graph.constant(0)
        for k, cell in enumerate(masks):
            mask = mask + graph.challenge(BASIS, k) * cell
        step = step - mask
        step = step + graph.build(TERMINAL) * graph.build(SELECTOR, LAST)
        labels, n, d = self.groups[-1]
        self.constraints.append(("bus running sum " + ", ".join(labels), step * d - n))

    def _fraction(
        self, message: tuple[str, list[Value], list[Value], str, bool], buses: dict[str, int]
    ) -> tuple[list[str], Value, Value]:
        bus, values, counts, label, received = message
        d = self.graph.challenge(ALPHA, 1) + buses[bus]
        for e, value in enumerate(values, start=1):
            d = d + self.graph.challenge(BETA, e) * value
        n = self.graph.constant(0)
        for e, count in enumerate(counts):
            n = n + self.graph.challenge(GAMMA, e) * count
        return [label], -n if received else n, d

    @property
    def degree(self) -> int:
        return max(value.degree for _, value in self.constraints)

    def next_columns(self) -> list[list[int]]:
        used: set[int] = set()
        stack = [value.index for _, value in self.constraints]
        while stack:
            index = stack.pop()
            if index not in used:
                used.add(index)
                node = self.graph.nodes[index]
                stack += node[1:] if node[0] >= ADD else ()
        cells = {self.graph.nodes[i] for i in used if self.graph.nodes[i][0] == CELL}
        return [sorted(c[2] for c in cells if c[1] == part and c[3] == 1) for part in range(3)]

    def digest(self) -> bytes:
        """Section 5."""
        data = [b"stark/table/v1", text(self.name), number(self.log_height), number(self.degree)]
        for names in self.columns:
            data += [number(len(names)), *map(text, names)]
        data += [number(len(self.groups)), number(len(self.publics)), *map(text, self.publics)]
        data.append(number(len(self.periodics)))
        for words in [*self.periodics]:
            data += [number(len(words)), *map(number, words)]
        data.append(number(len(self.graph.nodes)))
        for node in self.graph.nodes:
            data += [number(len(node)), *map(number, node)]
        data.append(number(len(self.constraints)))
        for label, value in self.constraints:
            data += [text(label), number(value.index)]
        for _, n, d in self.groups:
            data += [number(n.index), number(d.index)]
        return hashlib.sha256(b"".join(data)).digest()


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def text(value: str) -> bytes:
    return number(len(value.encode())) + value.encode()


def listed_tables(
    listings: Sequence[tuple[str, str, int]],
    zk: bool,
    names: dict[str, Any],
    whole_rows: bool = False,
) -> tuple[list[ListedTable], dict[str, int], bytes]:
    """Tables from (name, listing, log_height), the widths of the buses, the system digest.

    ``names`` holds further values that the listings use; under "prelude" a listing that is
    executed before each of them.
    """
    tables = []
    for name, listing, log_height in listings:
        table = ListedTable(name, log_height)
        scope = table.statements() | names
        exec(str(names.get("prelude", "")) + listing, scope)
        tables.append(table)
    widths: dict[str, int] = {}
    for table in tables:
        for bus, values, _, _, _ in table.messages:
            widths.setdefault(bus, len(values))
    numbers = {bus: place for place, bus in enumerate(widths, start=1)}
    for table in tables:
        table.finish(numbers, zk)
    data = [b"stark/system/v1", number(zk), number(len(widths)), number(len(tables))]
    data += [text(bus) + number(width) for bus, width in widths.items()]
    data += [table.digest() for table in tables]
    signed = set[str]().union(*(table.signed for table in tables))
    data += [text("signed bus") + number(numbers[bus] - 1) for bus in widths if bus in signed]
    data += [text("whole rows")] if whole_rows else []
    return tables, widths, hashlib.sha256(b"".join(data)).digest()


def small_tables(name: str) -> tuple[list[ListedTable], dict[str, int], bytes]:
    """The systems of the kept proofs."""
    found = blocks("systems.md", "air")
    if name == "fibonacci":
        return listed_tables([("fibonacci", found["fibonacci"], 4)], False, {})
    heights = {"work": 5, "ledger": 4, "byte table": 8}
    listings = [(table, found[table], height) for table, height in heights.items()]
    return listed_tables(listings, name == "hidden", {})


def batch_tables(
    log_rows: int, log_slots: int, log_capacity: int, constants: Sequence[Sequence[int]]
) -> tuple[list[ListedTable], dict[str, int], bytes]:
    """The system of a batch."""
    found = blocks("tables.md", "air")
    log_segments = max(0, log_rows - 14, 12 - log_capacity)
    heights = {
        "chain": log_rows,
        "tree": max(log_slots, 12),
        "totals": log_capacity + log_segments,
        "range": 15,
    }
    names = {
        "prelude": found["poseidon"],
        "p": P,
        "half": (P + 1) // 2,
        "rc": constants,
        "row": POSEIDON_ROW,
        "slots": 1 << log_slots,
    }
    listings = [(table, found[table], height) for table, height in heights.items()]
    return listed_tables(listings, True, names)


def circuit_tables(
    log_heights: dict[str, int],
    widths: Sequence[int],
    log_order: int,
    constants: Sequence[Sequence[int]],
    *,
    zk: bool,
    whole_rows: bool,
) -> tuple[list[ListedTable], dict[str, int], bytes]:
    """The system of a circuit; ``log_heights`` by the names of the tables."""
    found = blocks("circuits.md", "air")
    roots = [pow(3, (P - 1) >> k, P) for k in range(25)]
    names = {
        "prelude": blocks("tables.md", "air")["poseidon"] + found["wires"],
        "p": P,
        "half": (P + 1) // 2,
        "rc": constants,
        "row": POSEIDON_ROW,
        "root": roots,
        "inverse_root": [pow(root, -1, P) for root in roots],
        "widths": list(widths),
        "log_order": log_order,
    }
    tables = ("permutation", "arithmetic", "fold", "decomposition")
    listings = [(table, found[table], log_heights[table]) for table in tables]
    return listed_tables(listings, zk, names, whole_rows)
