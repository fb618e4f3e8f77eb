"""Scalar Poseidon2 against published answers, published constants and its textbook form."""

from __future__ import annotations

import json

import poseidon_reference
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stark.field.koalabear import P
from stark.hash import poseidon
from stark.hash.poseidon import POSEIDON2, full_matrix, partial_matrix, round_constants
from stark.hash.poseidon2 import CELLS, external_layer, internal_layer, permute, trace_cells

elements = st.sampled_from([0, 1, P - 1]) | st.integers(0, P - 1)
states = st.lists(elements, min_size=16, max_size=16)


@pytest.mark.parametrize("case", poseidon_reference.known_answers("poseidon2"))
def test_known_answers(case: dict[str, list[int]]) -> None:
    assert permute(case["input"]) == case["output"]


def test_constants_are_the_published_ones() -> None:
    published = json.loads((poseidon_reference.VECTORS / "poseidon2_constants.json").read_text())
    tables = published["poseidon2_koalabear_16"]
    rows = round_constants(POSEIDON2)
    assert [list(row) for row in rows[:4]] == tables["external_initial"]
    assert [row[0] for row in rows[4:24]] == tables["internal"]
    assert [list(row) for row in rows[24:]] == tables["external_final"]
    assert all(row[1:] == (0,) * 15 for row in rows[4:24])


@settings(max_examples=25, deadline=None)
@given(states)
@example([0] * 16)
@example([1] * 16)
@example([P - 1] * 16)
def test_permutation_equals_the_textbook_form(state: list[int]) -> None:
    assert permute(state) == poseidon_reference.permute(POSEIDON2, state)
    assert permute(state) == poseidon.permute(POSEIDON2, state)


@settings(max_examples=25, deadline=None)
@given(states)
def test_layers_are_the_matrices(state: list[int]) -> None:
    for layer, matrix in ((external_layer, full_matrix), (internal_layer, partial_matrix)):
        expected = poseidon_reference.multiply(matrix(POSEIDON2), state)
        assert [x % P for x in layer(state)] == expected


@settings(max_examples=10, deadline=None)
@given(states)
def test_cells_are_the_rounds_of_the_textbook_form(state: list[int]) -> None:
    after, outputs = poseidon_reference.rounds(POSEIDON2, state)
    expected = [state, *after[:4], outputs, *after[-4:]]
    cells = trace_cells(state)
    assert cells == [cell for piece in expected for cell in piece]
    assert len(cells) == CELLS == 164


@pytest.mark.parametrize(
    "state", [[], [0] * 15, [0] * 17, [0] * 15 + [P], [-1] + [0] * 15], ids=str
)
def test_states_that_are_not_canonical_are_refused(state: list[int]) -> None:
    with pytest.raises(ValueError, match="16 canonical"):
        permute(state)
