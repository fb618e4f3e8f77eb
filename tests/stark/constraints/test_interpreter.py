"""The kernel against reading.read with Python integers, on random expressions."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.constraints.expression import (
    Challenge,
    Expression,
    Graph,
    Node,
    Op,
    Part,
    Selector,
)
from stark.constraints.interpreter import Constants, RowInputs, evaluate, evaluate_roots
from stark.constraints.program import compile_fold, compile_store
from stark.constraints.reading import read
from stark.field import extension
from stark.field.extension import Element
from stark.field.koalabear import P

WIDTHS = {Part.PREPROCESSED: 3, Part.MAIN: 21, Part.AUXILIARY: 4}
PERIODS = (1, 2, 32)
EDGES = (0, 1, P - 1)


@dataclass
class Rows:
    """Random canonical inputs of one table, with edge values."""

    rows: int
    matrices: dict[Part, NDArray[np.uint64]]
    selectors: NDArray[np.uint64]
    periodic: list[NDArray[np.uint64]]
    constants: Constants
    source: random.Random = field(repr=False)

    def inputs(self) -> RowInputs:
        matrices = [to_montgomery(self.matrices[part]) for part in Part]
        selectors = [to_montgomery(values) for values in self.selectors]
        periodic = [to_montgomery(values) for values in self.periodic]
        return RowInputs(*matrices, *selectors, periodic)


def to_montgomery(values: NDArray[np.uint64]) -> NDArray[np.uint32]:
    return (values * np.uint64((1 << 32) % P) % np.uint64(P)).astype(np.uint32)


def from_montgomery(values: NDArray[np.uint32]) -> NDArray[np.uint64]:
    return values.astype(np.uint64) * np.uint64(pow(1 << 32, -1, P)) % np.uint64(P)


def random_rows(rows: int, seed: int) -> Rows:
    generator = np.random.default_rng(seed)
    source = random.Random(seed)

    def values(*shape: int) -> NDArray[np.uint64]:
        array = generator.integers(0, P, shape, dtype=np.uint64)
        array[generator.random(shape) < 0.2] = source.choice(EDGES)
        return array

    widths = {Part.PREPROCESSED: 16, Part.MAIN: 32, Part.AUXILIARY: 32}
    element = [tuple(source.randrange(P) for _ in range(5)) for _ in range(4)]
    return Rows(
        rows,
        {part: values(rows, width) for part, width in widths.items()},
        values(3, rows),
        [values(min(period, rows)) for period in PERIODS],
        Constants([source.randrange(P) for _ in range(3)], *element),
        source,
    )


@dataclass
class OneRow:
    """The reference arithmetic: extension elements, at one row."""

    data: Rows
    row: int

    def leaf(self, node: Node) -> Element:
        op, *rest = node
        data, constants = self.data, self.data.constants
        if op == Op.CELL:
            part, column, offset = rest
            line = data.matrices[Part(part)][(self.row + offset) % data.rows].tolist()
            if part == Part.AUXILIARY:
                return tuple(line[5 * column : 5 * column + 5])
            return extension.from_base(line[column])
        if op == Op.PERIODIC:
            values = data.periodic[rest[0]]
            return extension.from_base(int(values[self.row % len(values)]))
        if op == Op.SELECTOR:
            return extension.from_base(int(data.selectors[rest[0]][self.row]))
        if op == Op.PUBLIC:
            return extension.from_base(constants.publics[rest[0]])
        if op == Op.CHALLENGE:
            base = (constants.alpha, constants.beta, constants.gamma, (0, 1, 0, 0, 0))[rest[0]]
            return extension.power(base, rest[1])
        if op == Op.TERMINAL:
            return constants.terminal
        return extension.from_base(rest[0])

    add = staticmethod(extension.add)
    subtract = staticmethod(extension.subtract)
    multiply = staticmethod(extension.multiply)


def leaves(graph: Graph) -> list[Expression]:
    cells = [
        graph.cell(part, column, offset)
        for part, width in WIDTHS.items()
        for column in range(width)
        for offset in (0, 1)
    ]
    return [
        *cells,
        *(graph.selector(selector) for selector in Selector),
        *(graph.periodic(index) for index in range(len(PERIODS))),
        *(graph.public(index) for index in range(3)),
        *(graph.challenge(challenge, power) for challenge in Challenge for power in (1, 2, 5)),
        graph.terminal(),
        *(graph.constant(value) for value in (0, 1, 2, P - 1, 12345)),
    ]


def random_roots(graph: Graph, size: int, source: random.Random) -> list[int]:
    """Nodes of a random graph: sums and products of leaves and, mostly, of recent nodes.

    Sums are twice as frequent as products, so that long and nested sums of products arise; what
    was used once is seldom used again, so that many sums are not shared.
    """
    every_leaf = leaves(graph)
    fresh: list[Expression] = []
    for _ in range(size):
        left, right = (
            fresh.pop(source.randrange(len(fresh)))
            if fresh and source.random() < 0.6
            else source.choice(every_leaf)
            for _ in range(2)
        )
        made = source.choice([left + right, left - right, left - right, left * right, -left])
        fresh.append(made)
        if source.random() < 0.3:
            fresh.append(left)
    pool = fresh + source.choices(every_leaf, k=3)
    return [source.choice(pool).index for _ in range(source.randrange(1, 9))] + [pool[0].index]


def reference(graph: Graph, roots: list[int], data: Rows, row: int) -> list[Element]:
    return read(graph, roots, OneRow(data, row))


def check_rows(graph: Graph, roots: list[int], data: Rows, rows: list[int]) -> None:
    weights = [tuple(data.source.randrange(P) for _ in range(5)) for _ in roots]
    inputs = data.inputs()
    folded = from_montgomery(evaluate(compile_fold(graph, roots), inputs, data.constants, weights))
    program = compile_store(graph, roots)
    stored = [from_montgomery(x) for x in evaluate_roots(program, inputs, data.constants)]
    assert folded.shape == (5, data.rows)
    for row in rows:
        expected = reference(graph, roots, data, row)
        products = [extension.multiply(w, e) for w, e in zip(weights, expected, strict=True)]
        assert tuple(folded[:, row].tolist()) == extension.total(products)
        assert [tuple(values[:, row].tolist()) for values in stored] == expected


@settings(deadline=None, max_examples=200)
@given(
    log_rows=st.sampled_from([0, 1, 2, 3, 4, 5, 7]),
    size=st.integers(0, 100),
    seed=st.integers(0, 2**32),
)
def test_random_expressions_on_few_rows(log_rows: int, size: int, seed: int) -> None:
    data = random_rows(1 << log_rows, seed)
    graph = Graph()
    roots = random_roots(graph, size, data.source)
    rows = sorted({0, 1 % data.rows, data.rows // 2, data.rows - 1})
    check_rows(graph, roots, data, rows)


@pytest.mark.parametrize("log_rows", [9, 10, 12])
def test_rows_of_several_blocks_and_threads(log_rows: int) -> None:
    data = random_rows(1 << log_rows, log_rows)
    graph = Graph()
    roots = random_roots(graph, 300, data.source)
    edges = [0, 1, 15, 16, 127, 128, 511, 512, 513, 1024, 2047, 2048, data.rows - 1]
    check_rows(graph, roots, data, [row for row in edges if row < data.rows])


@pytest.mark.parametrize("log_rows", [3, 9, 12])
@pytest.mark.parametrize("size", [20, 300])
def test_tiles_gathered_one_by_one(
    log_rows: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a table of many columns: each tile before its first use, in slots of another."""
    monkeypatch.setattr("stark.constraints.program.MAX_RESIDENT_TILES", 0)
    for seed in range(5):
        data = random_rows(1 << log_rows, seed)
        graph = Graph()
        roots = random_roots(graph, size, data.source)
        assert not any(source < 3 for source, *_ in compile_fold(graph, roots).gathers.tolist())
        edges = [0, 1, 15, 16, 127, 511, 512, 513, 2047, data.rows - 1]
        check_rows(graph, roots, data, [row for row in edges if row < data.rows])
