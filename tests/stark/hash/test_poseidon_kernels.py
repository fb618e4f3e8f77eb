"""Vector Poseidon against the scalar functions and the textbook form."""

from __future__ import annotations

from typing import Any

import numpy as np
import poseidon_reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash import poseidon_ir
from stark.hash.poseidon import POSEIDON1, compress, permute
from stark.hash.poseidon_kernels import (
    TRACE_CELLS,
    chain,
    compress_many,
    permute_many,
    trace_cells,
)

EDGES = np.array([0, 1, 2, P // 2, P // 2 + 1, P - 2, P - 1])
ROWS = [0, 1, 15, 16, 17, 48, 95]


def random_states(rows: int, width: int, seed: int) -> NDArray[np.int64]:
    """Canonical elements; every third is 0, 1, p - 1 or another edge."""
    generator = np.random.default_rng(seed)
    values = generator.integers(0, P, (rows, width))
    edges = generator.choice(EDGES, (rows, width))
    values = np.where(generator.random((rows, width)) < 1 / 3, edges, values)
    for row, value in zip(range(rows), (0, P - 1, 1), strict=False):
        values[row] = value
    return values


@pytest.mark.parametrize("rows", ROWS)
def test_permute_many_equals_the_scalar_permutation(rows: int) -> None:
    values = random_states(rows, 16, rows)
    images = from_montgomery(permute_many(to_montgomery(values)))
    assert images.tolist() == [permute(POSEIDON1, row) for row in values.tolist()]


@pytest.mark.parametrize("rows", ROWS)
def test_compress_many_equals_the_scalar_compression(rows: int) -> None:
    values = random_states(rows, 16, rows + 1)
    digests = from_montgomery(compress_many(to_montgomery(values)))
    assert digests.shape == (rows, 8)
    assert digests.tolist() == [compress(POSEIDON1, row) for row in values.tolist()]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, P - 1) | st.sampled_from(EDGES.tolist()), min_size=16, max_size=16))
def test_permute_many_on_any_state(state: list[int]) -> None:
    image = from_montgomery(permute_many(to_montgomery(np.array([state]))))
    assert image[0].tolist() == poseidon_reference.permute(POSEIDON1, state)


def test_results_are_canonical_and_inputs_untouched() -> None:
    # Extreme Montgomery words, and many of them: the last step must never leave p itself.
    states = np.random.default_rng(5).choice(EDGES, (4096, 16)).astype(np.uint32)
    before = states.copy()
    assert permute_many(states).max() < P
    assert compress_many(states).max() < P
    assert (states == before).all()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("width", [160, 208])
def test_trace_cells_equal_the_textbook_rounds(rows: int, width: int) -> None:
    values = random_states(rows, 16, rows + 2)
    out = np.full((rows, width), 7, np.uint32)
    trace_cells(to_montgomery(values), out)
    cells = from_montgomery(np.ascontiguousarray(out[:, :TRACE_CELLS]))
    expected = [poseidon_reference.trace_cells(POSEIDON1, row) for row in values.tolist()]
    assert cells.tolist() == expected
    assert (out[:, TRACE_CELLS:] == 7).all()


def reference_chain(blocks: list[list[int]], starts: list[bool], firsts: list[list[int]]) -> Any:
    inputs: list[list[int]] = []
    supply = iter(firsts)
    for block, start in zip(blocks, starts, strict=True):
        value = next(supply) if start else compress(POSEIDON1, inputs[-1])
        inputs.append(value + block)
    return inputs


@pytest.mark.parametrize(
    ("rows", "density"),
    [(0, 1.0), (1, 1.0), (2, 0.0), (31, 1.0), (33, 0.5), (257, 0.2), (100, 0.0), (300, 0.02)],
)
@pytest.mark.parametrize("kind", [np.bool_, np.uint8])
def test_chain_equals_one_compression_after_the_other(
    rows: int, density: float, kind: type[Any]
) -> None:
    generator = np.random.default_rng(rows)
    starts = generator.random(rows) < density
    starts[:1] = True
    blocks = random_states(rows, 8, rows)
    firsts = random_states(int(starts.sum()), 8, rows + 1)
    got = chain(to_montgomery(blocks), starts.astype(kind), to_montgomery(firsts))
    expected = reference_chain(blocks.tolist(), starts.tolist(), firsts.tolist())
    assert from_montgomery(got).tolist() == expected


def test_one_long_chain_among_short_ones() -> None:
    starts = np.ones(200, np.bool_)
    starts[41:171] = False
    blocks, firsts = random_states(200, 8, 1), random_states(int(starts.sum()), 8, 2)
    got = chain(to_montgomery(blocks), starts, to_montgomery(firsts))
    expected = reference_chain(blocks.tolist(), starts.tolist(), firsts.tolist())
    assert from_montgomery(got).tolist() == expected


STATES = np.zeros((16, 16), np.uint32)


@pytest.mark.parametrize(
    "states",
    [STATES[:, :15], STATES.astype(np.int64), STATES[:, ::-1], STATES[0], STATES[:, :8].copy()],
)
def test_arrays_of_another_form_are_refused(states: NDArray[Any]) -> None:
    for call in (permute_many, compress_many):
        with pytest.raises(ValueError, match="needed"):
            call(states)
    with pytest.raises(ValueError, match="needed"):
        trace_cells(states, np.zeros((16, 160), np.uint32))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((16, 144), np.uint32),
        np.zeros((16, 161), np.uint32),
        np.zeros((15, 160), np.uint32),
        np.zeros((16, 320), np.uint32)[:, :160],
        np.zeros((16, 160), np.uint64),
    ],
)
def test_traces_of_another_form_are_refused(out: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="needed"):
        trace_cells(STATES, out)


@pytest.mark.parametrize(
    ("starts", "firsts"),
    [
        (np.array([False, True]), 1),
        (np.array([True, True]), 1),
        (np.array([True, False]), 2),
        (np.array([True]), 1),
        (np.array([1.0, 0.0]), 1),
    ],
)
def test_chains_of_another_form_are_refused(starts: NDArray[Any], firsts: int) -> None:
    with pytest.raises(ValueError, match="need"):
        chain(np.zeros((2, 8), np.uint32), starts, np.zeros((firsts, 8), np.uint32))


def test_range_claims_of_the_vector_code() -> None:
    largest_sum = sum(map(abs, poseidon_ir.CYCLIC)) + sum(map(abs, poseidon_ir.NEGACYCLIC))
    plane = (largest_sum << 15) + (1 << 17)
    assert plane < 2**24.4
    assert plane + (plane >> 16) + 1 + (poseidon_ir.REDUCTION_MULTIPLIER << 15) < 2**30.02 < P
    assert P * P // 2**32 + P // 2 + 2 < P
    assert poseidon_ir.REDUCTION_MULTIPLIER * 2**16 % P == P - 1
    # 16-bit factors of the multiply-add.
    for entry in (*poseidon_ir.CYCLIC, *poseidon_ir.NEGACYCLIC, poseidon_ir.REDUCTION_MULTIPLIER):
        assert -(2**15) <= -abs(entry) < abs(entry) < 2**15
