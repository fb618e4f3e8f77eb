"""The permutation of one state in a vector against the scalars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash.poseidon import POSEIDON1, permute
from stark.hash.poseidon_single import permute_repeatedly, single_state_table

ELEMENTS = st.integers(0, P - 1) | st.sampled_from([0, 1, P - 1])


def image(state: list[int], count: int = 1) -> list[int]:
    words = aligned_empty(16)
    words[:] = to_montgomery(np.array(state))
    permute_repeatedly(words, single_state_table(), count)
    assert words.max() < P
    return [int(value) for value in from_montgomery(words)]


@settings(max_examples=200, deadline=None)
@given(st.lists(ELEMENTS, min_size=16, max_size=16))
def test_equals_the_scalar_permutation(state: list[int]) -> None:
    assert image(state) == permute(POSEIDON1, state)


@pytest.mark.parametrize("value", [0, 1, P - 1, (P + 1) // 2])
def test_equal_lanes(value: int) -> None:
    assert image([value] * 16) == permute(POSEIDON1, [value] * 16)


def test_edges_of_montgomery_words() -> None:
    random = np.random.default_rng(3)
    for _ in range(200):
        words = random.choice(np.array([0, 1, P // 2, P // 2 + 1, P - 1], np.uint32), 16)
        state = [int(value) for value in from_montgomery(words)]
        assert image(state) == permute(POSEIDON1, state)


def test_a_long_chain() -> None:
    state = list(range(16))
    expected = state
    for _ in range(300):
        expected = permute(POSEIDON1, expected)
    assert image(state, 300) == expected
