"""Cells of a whole circuit: none can be changed alone, but those that nobody reads.

Honest traces of a circuit that verifies a proof are changed in one cell at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.recursion_inner import Recursion, algebraic, inner_case
from support.systems import fibonacci, products

from stark.constraints.expression import Node, Op, Part
from stark.constraints.reading import read
from stark.debug.trace_reading import TraceRows, _Chunk
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery
from stark.recursion.circuit import Circuit
from stark.recursion.system import circuit_system

Words = NDArray[np.uint64]
Cell = tuple[str, int, int]
"""Table, row, column."""

SLICE = 1 << 12

FLAGS_OF_INDEX = ("index count", "cap", "index next")
USES_OF_OUTPUT = (
    *("wire y", "digest node", "digest leaf", "gamma here"),
    *("capacity next", "rate next", "node next", "leaf next"),
)
USES_OF_LANES = (
    *("wire x", "wire low", "wire high", "digest x", "digest high"),
    *("base next", "extension next"),
)

CASES = {
    "one table": lambda: (fibonacci(6), {"queries": 2, "grinding_query": 2}),
    "paths without levels": lambda: (fibonacci(3), {"queries": 2, "cap_height": 10}),
    "masks": lambda: (fibonacci(6), {"queries": 1, "zk": True, "log_slack": 3, "log_blowup": 3}),
    "three heights": lambda: (
        products(),
        {"queries": 1, "grinding_lookup": 1, "grinding_fold": 1, "grinding_batching": 2},
    ),
    "three heights with masks": lambda: (
        products(),
        {"queries": 1, "zk": True, "log_slack": 3, "log_blowup": 3, "cap_height": 1},
    ),
}


class _Rows(_Chunk):
    """Rows that are given, with the ones after them."""

    def __init__(self, rows: TraceRows, numbers: Any, here: Words, following: Words) -> None:
        super().__init__(rows, numbers)
        self.here, self.following = here, following

    def leaf(self, node: Node) -> Words:
        if node[0] == Op.CELL and node[1] == Part.MAIN:
            return (self.following if node[3] else self.here)[:, node[2]]
        return super().leaf(node)


class Bench:
    """A circuit with honest traces."""

    def __init__(self, recursion: Recursion, circuit: Circuit | None = None) -> None:
        self.recursion = recursion
        self.circuit = circuit or recursion.circuit
        self.system = circuit_system(
            recursion.shape, zk=False, whole_rows=False, circuit=self.circuit
        )
        self.tables = {table.name: table for table in self.system.tables}
        witness = recursion.generator.run(recursion.hints(recursion.inner.prove()))
        self.publics = {"permutation": list(witness.public)}
        self.traces = {}
        self.rows = {}
        self.names = {}
        for name, table in self.tables.items():
            self.names[name] = table.symbolic.columns[Part.MAIN]
            matrix = from_montgomery(witness.traces[name].matrix)[:, : len(self.names[name])]
            self.traces[name] = matrix.astype(np.int64)
            self.rows[name] = TraceRows(table, self.traces[name], self.publics.get(name, []))
        self.fixed = {
            name: dict(
                zip(
                    table.symbolic.columns[Part.PREPROCESSED],
                    self.rows[name].matrices[Part.PREPROCESSED].T,
                    strict=True,
                )
            )
            for name, table in self.tables.items()
        }

    def main(self, name: str) -> Words:
        return self.rows[name].matrices[Part.MAIN]

    def constraints(self, name: str) -> list[tuple[str, int]]:
        return [(c.label, c.expression.index) for c in self.tables[name].symbolic.constraints]

    def messages(self, name: str) -> list[int]:
        items = self.tables[name].symbolic.interactions
        return [value.index for item in items for value in item.values + item.counts]

    def evaluate(
        self, name: str, rows: Any, here: Words, following: Words, roots: Sequence[int]
    ) -> Words:
        """(rows, coordinates of all roots)."""
        chunk = _Rows(self.rows[name], rows, here, following)
        values = read(self.tables[name].symbolic.graph, roots, chunk)
        shaped = [value if value.ndim == 2 else value[None] for value in values]
        return np.concatenate([np.broadcast_to(v, (len(v), len(rows))) for v in shaped]).T

    def around(self, name: str, rows: Any, changed: Words, roots: Sequence[int]) -> list[Words]:
        """Values where the rows have other cells: on these rows, and on those before them."""
        main = self.main(name)
        height = len(main)
        following = changed if height == 1 else main[(rows + 1) % height]
        before = (rows - 1) % height
        return [
            self.evaluate(name, rows, changed, following, roots),
            self.evaluate(name, before, main[before], changed, roots),
        ]

    def honest(self, name: str) -> Words:
        main = self.main(name)
        rows = np.arange(len(main))
        return self.evaluate(name, rows, main, main[(rows + 1) % len(main)], self.messages(name))


@cache
def bench(name: str) -> Bench:
    example, changes = CASES[name]()
    return Bench(Recursion(inner_case(example, algebraic(**changes))))


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Bench:
    return bench(request.param)


# ---- cells that nobody reads


def explained(made: Bench, cell: Cell) -> bool:
    """Whether no constraint and no message says anything about a cell."""
    table, row, column = cell
    name = made.names[table][column].split("[")[0]
    at = {key: int(values[row]) for key, values in made.fixed[table].items()}
    if table == "arithmetic":
        # An operand that is no wire and has no coefficient.
        unused = {
            "a": not (at["ab"] or at["cab"] or at["qa"]),
            "b": not (at["ab"] or at["cab"] or at["qb"]),
            "c": not (at["cab"] or at["qc"]),
        }
        return unused.get(name, False) and at[f"count {name}"] == 0
    if table == "fold":
        return not at["active"]
    if table == "decomposition":
        return at["address"] == 0
    before = {key: int(values[row - 1]) for key, values in made.fixed[table].items()}
    if name == "multiplicity":
        return not at["free"]
    if name == "index":
        return not (any(at[flag] for flag in FLAGS_OF_INDEX) or before["index next"])
    if name == "gamma" or name in ("h2", "h4", "h6", "h8"):
        free = not (at["gamma here"] or at["gamma next"] or before["gamma next"])
        if free and not (at["base next"] or at["extension next"]):
            return True
    return name.startswith(("hash", "h")) and unused_output(made, row, column, name)


def unused_output(made: Bench, row: int, column: int, name: str) -> bool:
    """On rows that only move values: lanes 8 to 15, which nothing fixes, and what follows; all
    lanes on rows that write a sum alone, and on padding."""
    fixed = made.fixed["permutation"]
    first, last = row, row
    while first and fixed["same next"][first - 1]:
        first -= 1
    while fixed["same next"][last]:
        last += 1
    members = range(first, last + 1)
    if last == len(fixed["fresh"]) - 1 or any(fixed[f][r] for f in USES_OF_OUTPUT for r in members):
        return False
    lanes_read = any(fixed[f][r] for f in USES_OF_LANES for r in members)
    return not lanes_read or name != "hash.x" or column >= 8


# ---- one cell


def changes_of(made: Bench, name: str, rows: Any, rng: np.random.Generator) -> list[Any]:
    """Every cell of some rows twice: something random; a bit flipped, or one more."""
    main = made.main(name)
    width = main.shape[1]
    places = np.repeat(rows, width), np.tile(np.arange(width), len(rows))
    old = main[places]
    random = (old + rng.integers(1, P, len(old)).astype(np.uint64)) % P
    near = np.where(old <= 1, 1 - old, (old + 1) % P)
    return [np.concatenate(part) for part in ((places[0],) * 2, (places[1],) * 2, (random, near))]


def kinds(made: Bench, name: str, per_kind: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Some rows of every kind: with the same fixed columns that are not zero, here and before."""
    found: dict[Any, list[int]] = defaultdict(list)
    fixed = made.fixed[name]
    signs = np.stack([v != 0 for key, v in fixed.items() if not key.startswith("address")])
    for row in range(signs.shape[1]):
        found[signs[:, row].tobytes(), signs[:, row - 1].tobytes()].append(row)
    chosen = [rng.choice(rows, min(len(rows), per_kind), replace=False) for rows in found.values()]
    return np.sort(np.concatenate(chosen))


def unnoticed(made: Bench, name: str, per_kind: int) -> list[Cell]:
    """Cells of which a change breaks no constraint and leaves the row's messages as they are.

    A change of one cell changes the messages of its row alone. Traces are balanced, so that one
    message with another tuple or count leaves its bus unbalanced; several messages of a row have
    several addresses.
    """
    rng = np.random.default_rng(1)
    main, honest = made.main(name), made.honest(name)
    roots = [root for _, root in made.constraints(name)]
    rows, columns, values = changes_of(made, name, kinds(made, name, per_kind, rng), rng)
    survivors = []
    for lo in range(0, len(rows), SLICE):
        part = slice(lo, lo + SLICE)
        at, column = rows[part], columns[part]
        changed = main[at].copy()
        changed[np.arange(len(at)), column] = values[part]
        noticed = np.zeros(len(at), bool)
        for found in made.around(name, at, changed, roots):
            noticed |= found.any(axis=1)
        got = made.evaluate(name, at, changed, changed, made.messages(name))
        start = 0
        for item in made.tables[name].symbolic.interactions:
            end = start + len(item.values) + 1
            new, old = got[:, start:end], honest[at, start:end]
            counted = (new[:, -1] != 0) | (old[:, -1] != 0)
            noticed |= counted & (new != old).any(axis=1)
            start = end
        survivors += [
            (name, int(r), int(c)) for r, c in zip(at[~noticed], column[~noticed], strict=True)
        ]
    return survivors


def test_a_changed_cell_is_noticed_unless_nobody_reads_it(case: Bench) -> None:
    found = [cell for name in case.tables for cell in unnoticed(case, name, 2)]
    assert found
    assert [cell for cell in found if not explained(case, cell)] == []
