"""Constraints and bus columns, per row: ``pytest benchmarks/test_bench_constraints.py``.

On random cells: evaluation costs the same whether constraints hold or not. ``extra_info`` has the
time per row in nanoseconds, on all cores unless ``STARK_THREADS=1``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from bounds import EXTENSION, MULTIPLICATION, WORD, Work, report
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from air.shape import Shape
from air.tables.batch import batch_system
from stark.constraints.air import Air, AirBuilder
from stark.constraints.expression import Graph, Op, Part
from stark.constraints.interpreter import Constants, RowInputs, evaluate
from stark.constraints.program import compile_fold
from stark.field.koalabear import P
from stark.field.memory import aligned_empty, padded_width
from stark.gadgets.poseidon import poseidon_permutation
from stark.hash.poseidon import POSEIDON1
from stark.prover.auxiliary import auxiliary_columns
from stark.system import System, Table

LOG_ROWS = 16
GENERATOR = np.random.default_rng(0)
Array = NDArray[np.uint32]


class PoseidonAir(Air):
    """One permutation per row, nothing else."""

    name = "poseidon"

    def eval(self, t: AirBuilder) -> None:
        poseidon_permutation(t, POSEIDON1)


def tables() -> dict[str, Table]:
    (poseidon,) = System([PoseidonAir(LOG_ROWS)]).tables
    batch = batch_system(Shape(LOG_ROWS, LOG_ROWS - 2, 9)).tables
    return {table.name: table for table in (poseidon, *batch)}


TABLES = tables()


def cells(*shape: int) -> Array:
    array = aligned_empty(shape)
    array[:] = GENERATOR.integers(0, P, shape, dtype=np.uint32)
    return array


def inputs(table: Table) -> RowInputs:
    widths = [table.width(part) * (5 if part is Part.AUXILIARY else 1) for part in Part]
    matrices = [cells(table.height, padded_width(w)) if w else None for w in widths]
    selectors = [cells(table.height) for _ in range(3)]
    periodic = [cells(len(values)) for values in table.symbolic.periodic]
    return RowInputs(*matrices, *selectors, periodic)


def constants(table: Table) -> Constants:
    elements = [tuple(GENERATOR.integers(0, P, 5).tolist()) for _ in range(4)]
    return Constants([1] * table.public_count, *elements)


def measure(benchmark: BenchmarkFixture, call: Callable[[], object], rows: int, work: Work) -> None:
    benchmark.pedantic(call, rounds=7, warmup_rounds=1)
    report(benchmark, "row", rows, work)


def multiplications(graph: Graph, roots: list[int]) -> int:
    """Products of nodes that are reached, as if all were of the base field."""
    nodes = (graph.nodes[index] for index in graph.reachable(roots))
    return sum(node[0] == Op.MULTIPLY for node in nodes)


def row_bytes(table: Table, *parts: Part) -> int:
    return sum(WORD * table.width(p) * (5 if p is Part.AUXILIARY else 1) for p in parts)


@pytest.mark.parametrize("name", TABLES)
def test_fold(benchmark: BenchmarkFixture, name: str) -> None:
    table = TABLES[name]
    roots = [constraint.expression.index for constraint in table.constraints]
    program = compile_fold(table.symbolic.graph, roots)
    rows, values = inputs(table), constants(table)
    weights = [tuple(GENERATOR.integers(0, P, 5).tolist()) for _ in roots]
    # The weighted sum of all constraints: five addends each.
    products = MULTIPLICATION * multiplications(table.symbolic.graph, roots) + 5 * len(roots)
    work = Work(products, bytes=row_bytes(table, *Part))
    measure(benchmark, lambda: evaluate(program, rows, values, weights), table.height, work)


@pytest.mark.parametrize("name", [n for n, table in TABLES.items() if table.bus_argument.width])
def test_auxiliary_columns(benchmark: BenchmarkFixture, name: str) -> None:
    table = TABLES[name]
    rows, values = inputs(table), constants(table)
    challenges = (values.alpha, values.beta, values.gamma)
    groups = table.bus_argument.groups
    roots = [root.index for group in groups for root in (group.numerator, group.denominator)]
    products = MULTIPLICATION * multiplications(table.symbolic.graph, roots)
    # An inverse is three multiplications of a batch; the fourth makes the fraction.
    work = Work(products + 4 * EXTENSION * len(groups), bytes=row_bytes(table, *Part))
    measure(
        benchmark,
        lambda: auxiliary_columns(table, rows.preprocessed, rows.main, values.publics, *challenges),
        table.height,
        work,
    )
