"""The Poseidon gadget: honest cells satisfy it, it is deterministic, its outputs are the hash."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.constraints.air import Air, AirBuilder
from stark.debug.faults import faults
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.field.memory import aligned_zeros
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.gadgets.poseidon import CELLS, poseidon_permutation
from stark.hash.poseidon import POSEIDON1, POSEIDON2, compress
from stark.hash.poseidon_kernels import trace_cells
from stark.system import System

ROWS = 16


class Hash(Air):
    """One compression per row; its digest is compared with witness columns."""

    name = "hash"

    def eval(self, t: AirBuilder) -> None:
        permutation = poseidon_permutation(t, POSEIDON1)
        digest = t.main_array("digest", 8)
        t.every_row("digest", *(c - d for c, d in zip(permutation.compressed, digest, strict=True)))


def honest(inputs: np.ndarray) -> np.ndarray:
    matrix = aligned_zeros((ROWS, 176))
    trace_cells(to_montgomery(inputs.astype(np.uint32)), matrix)
    cells = from_montgomery(matrix)[:, :CELLS]
    digests = [compress(POSEIDON1, row.tolist()) for row in inputs]
    return np.concatenate([cells, np.array(digests, np.uint32)], axis=1)


SYSTEM = System([Hash(4)])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_honest_cells_satisfy_the_constraints(seed: int) -> None:
    inputs = np.random.default_rng(seed).integers(0, P, (ROWS, 16))
    inputs[0], inputs[1], inputs[2] = 0, P - 1, 1
    assert faults(SYSTEM, {"hash": honest(inputs)}, {}) == []


@pytest.mark.parametrize("column", range(CELLS + 8))
def test_every_cell_is_determined(column: int) -> None:
    """Changing any one cell breaks a constraint of its row."""
    trace = honest(np.random.default_rng(1).integers(0, P, (ROWS, 16)))
    trace[5, column] = (int(trace[5, column]) + 1) % P
    found = faults(SYSTEM, {"hash": trace}, {})
    assert found
    assert all(fault.row == 5 for fault in found)


def test_constraints_have_degree_three_and_156_cells() -> None:
    table = SYSTEM.tables[0]
    assert table.degree == 3
    assert len(table.symbolic.columns[1]) == CELLS + 8  # type: ignore[index]


def test_other_permutations_are_refused() -> None:
    with pytest.raises(UsageError):
        poseidon_permutation(AirBuilder("x", 2), POSEIDON2)
