"""Vector Poseidon2 against the scalar functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash.poseidon2 import CELLS, DIAGONAL, permute, trace_cells
from stark.hash.poseidon2_ir import diagonal_factors
from stark.hash.poseidon2_kernels import permutation_trace, permute_many

EDGES = np.array([0, 1, 2, P // 2, P // 2 + 1, P - 2, P - 1])
ROWS = [0, 1, 15, 16, 17, 48, 95]


def random_states(rows: int, seed: int) -> NDArray[np.int64]:
    """Canonical elements; every third is 0, 1, p - 1 or another edge."""
    generator = np.random.default_rng(seed)
    values = generator.integers(0, P, (rows, 16))
    edges = generator.choice(EDGES, (rows, 16))
    values = np.where(generator.random((rows, 16)) < 1 / 3, edges, values)
    for row, value in zip(range(rows), (0, P - 1, 1), strict=False):
        values[row] = value
    return values


@pytest.mark.parametrize("rows", ROWS)
def test_permute_many_equals_the_scalar_permutation(rows: int) -> None:
    values = random_states(rows, rows)
    images = from_montgomery(permute_many(to_montgomery(values)))
    assert images.tolist() == [permute(row) for row in values.tolist()]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, P - 1) | st.sampled_from(EDGES.tolist()), min_size=16, max_size=16))
def test_permute_many_on_any_state(state: list[int]) -> None:
    image = from_montgomery(permute_many(to_montgomery(np.array([state]))))
    assert image[0].tolist() == permute(state)


def test_results_are_canonical_and_inputs_untouched() -> None:
    # Extreme Montgomery words, and many of them: no step may leave p itself.
    states = np.random.default_rng(5).choice(EDGES, (4096, 16)).astype(np.uint32)
    before = states.copy()
    images = permute_many(states)
    assert images.max() < P
    assert (states == before).all()
    chosen = slice(0, 4096, 64)
    scalar = [permute(row) for row in from_montgomery(states[chosen].copy()).tolist()]
    assert from_montgomery(images[chosen].copy()).tolist() == scalar


@pytest.mark.parametrize("rows", [0, 1, 16, 33])
@pytest.mark.parametrize("per_row", [1, 3, 8])
def test_trace_equals_the_scalar_cells(rows: int, per_row: int) -> None:
    values = random_states(rows * per_row, rows + per_row)
    trace = permutation_trace(to_montgomery(values), per_row)
    assert trace.shape == (rows, {1: 176, 3: 496, 8: 1312}[per_row])
    cells = from_montgomery(np.ascontiguousarray(trace[:, : CELLS * per_row]))
    expected = [trace_cells(row) for row in values.tolist()]
    assert cells.reshape(-1, CELLS).tolist() == expected
    assert not trace[:, CELLS * per_row :].any()


def test_factors_of_the_diagonal() -> None:
    factors = diagonal_factors()
    assert [sign * n * pow(2, -k, P) % P for sign, n, k in factors] == list(DIAGONAL)
    assert factors[0] == (-1, 2, 0)  # the emitted code takes lane 0 as t - 2 z
    assert max(k for _, _, k in factors) <= 24


STATES = np.zeros((16, 16), np.uint32)


@pytest.mark.parametrize(
    "states",
    [STATES[:, :15], STATES.astype(np.int64), STATES[:, ::-1], STATES[0], STATES[:, :8].copy()],
)
def test_arrays_of_another_form_are_refused(states: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="needed"):
        permute_many(states)
    with pytest.raises(ValueError, match="needed"):
        permutation_trace(states, 1)


@pytest.mark.parametrize("per_row", [0, -1, 3, 32])
def test_states_must_fill_whole_rows(per_row: int) -> None:
    with pytest.raises(ValueError, match="do not fill"):
        permutation_trace(STATES, per_row)
