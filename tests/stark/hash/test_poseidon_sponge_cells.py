"""Cells of a permutation with all lanes of its output."""

from __future__ import annotations

import numpy as np
import poseidon_reference
import pytest

from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash.poseidon import POSEIDON1, permute
from stark.hash.poseidon_kernels import trace_cells


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 33])
@pytest.mark.parametrize("width", [176, 208])
def test_sixteen_output_lanes_are_cells(rows: int, width: int) -> None:
    values = np.random.default_rng(rows).integers(0, P, (rows, 16))
    out = np.full((rows, width), 7, np.uint32)
    trace_cells(to_montgomery(values), out, output_lanes=16)
    cells = from_montgomery(np.ascontiguousarray(out[:, :164]))
    for got, state in zip(cells.tolist(), values.tolist(), strict=True):
        assert got[:156] == poseidon_reference.trace_cells(POSEIDON1, state)
        assert got[148:] == permute(POSEIDON1, state)
    assert (out[:, 164:] == 7).all()


def test_other_numbers_of_lanes_and_narrow_traces_are_refused() -> None:
    states = np.zeros((16, 16), np.uint32)
    with pytest.raises(ValueError, match="lanes"):
        trace_cells(states, np.zeros((16, 208), np.uint32), output_lanes=12)
    with pytest.raises(ValueError, match="176 columns"):
        trace_cells(states, np.zeros((16, 160), np.uint32), output_lanes=16)
