"""The Poseidon2 gadget: honest cells satisfy it, and the input determines every other cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.systems import parameters

from stark.constraints.air import Air, AirBuilder, symbolic
from stark.constraints.expression import Op, Part
from stark.debug.faults import ConstraintFault, faults
from stark.errors import Rejected
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.gadgets.poseidon2 import poseidon2_permutation
from stark.hash.poseidon2 import CELLS, permute
from stark.hash.poseidon2_kernels import permutation_trace
from stark.prover.keygen import generate_key
from stark.prover.prove import prove
from stark.prover.trace import MontgomeryTrace
from stark.system import System
from stark.verifier.verify import verify

ROWS = 16
PER_ROW = 2


class Hashes(Air):
    """Two permutations per row."""

    name = "hashes"

    def eval(self, t: AirBuilder) -> None:
        for number in range(PER_ROW):
            poseidon2_permutation(t, f"hash{number}")


SYSTEM = System([Hashes(4)])


def inputs(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, P, (ROWS * PER_ROW, 16))


def failing(system: System, name: str, trace: np.ndarray) -> list[ConstraintFault]:
    found = faults(system, {name: trace}, {}, limit=ROWS)
    return [fault for fault in found if isinstance(fault, ConstraintFault)]


def honest(states: np.ndarray) -> np.ndarray:
    trace = permutation_trace(to_montgomery(states), PER_ROW)
    return from_montgomery(trace)[:, : CELLS * PER_ROW]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_honest_cells_satisfy_the_constraints(seed: int) -> None:
    states = inputs(seed)
    states[0], states[1], states[2] = 0, P - 1, 1
    assert faults(SYSTEM, {"hashes": honest(states)}, {}) == []


@pytest.mark.parametrize("start", range(0, CELLS, ROWS))
@pytest.mark.parametrize("number", range(PER_ROW))
def test_every_cell_is_determined(start: int, number: int) -> None:
    """Changing one cell of a row breaks a constraint of this row and permutation, and no other.

    Rows are independent, so each row has another cell changed.
    """
    columns = dict(enumerate(range(start, min(start + ROWS, CELLS))))
    trace = honest(inputs(1))
    for row, column in columns.items():
        cell = trace[row, number * CELLS + column]
        trace[row, number * CELLS + column] = (int(cell) + 1) % P
    found = failing(SYSTEM, "hashes", trace)
    assert {fault.row for fault in found} == set(columns)
    assert all(fault.label.startswith(f"hash{number}.") for fault in found)


def test_each_constraint_gives_the_next_cell() -> None:
    """The n-th constraint is a polynomial in the cells before, minus the n-th cell: so the inputs
    determine all others, for every input and not only for those tried."""
    air = symbolic(Hashes(4))
    graph = air.graph
    columns = air.width(Part.MAIN)
    assert len(air.constraints) == PER_ROW * (CELLS - 16)
    cells = [column for column in range(columns) if column % CELLS >= 16]
    for cell, constraint in zip(cells, air.constraints, strict=True):
        op, left, right = graph.nodes[constraint.expression.index]
        assert op == Op.SUBTRACT
        assert graph.nodes[right] == (Op.CELL, Part.MAIN, cell, 0)
        used = [graph.nodes[index] for index in graph.reachable([left])]
        read = {node[2] for node in used if node[0] == Op.CELL}
        assert read
        assert max(read) < cell
        assert min(read) >= cell // CELLS * CELLS
        assert all(node[3] == 0 for node in used if node[0] == Op.CELL)


def test_degree_three_164_cells_and_one_row() -> None:
    (table,) = SYSTEM.tables
    assert table.degree == 3
    assert table.quotient_chunks == 2
    assert table.width(Part.MAIN) == PER_ROW * CELLS == 328
    assert not any(table.next_columns.values())


class Images(Air):
    """One permutation per row, compared with a witness of 16 columns."""

    name = "images"

    def eval(self, t: AirBuilder) -> None:
        cells = poseidon2_permutation(t)
        image = t.main_array("image", 16)
        t.every_row("image", *(y - x for y, x in zip(cells.outputs, image, strict=True)))


def test_outputs_are_the_permutation() -> None:
    states = inputs(2)[:ROWS]
    trace = from_montgomery(permutation_trace(to_montgomery(states), 1))[:, :CELLS]
    images = np.array([permute(row) for row in states.tolist()], np.uint32)
    both = np.concatenate([trace, images], axis=1)
    system = System([Images(4)])
    assert faults(system, {"images": both}, {}) == []
    both[3, CELLS] ^= 1
    assert [fault.row for fault in failing(system, "images", both)] == [3]


def test_a_proof_of_random_permutations_verifies() -> None:
    """At blowup 2, the smallest that degree 3 admits, with the trace as the kernel fills it."""
    system = System([Hashes(4)])
    chosen = parameters(log_blowup=1, batching="powers")
    key = generate_key(system, chosen)
    trace = permutation_trace(to_montgomery(inputs(3)), PER_ROW)
    verify(key.verification, prove(key, {"hashes": MontgomeryTrace(trace)}, {}), {})
    trace[7, 200] ^= 1
    with pytest.raises(Rejected):
        verify(key.verification, prove(key, {"hashes": MontgomeryTrace(trace)}, {}), {})
