"""Scalar Poseidon against published answers and against its textbook form."""

from __future__ import annotations

from itertools import pairwise

import poseidon_reference
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stark.field.koalabear import P
from stark.hash.poseidon import (
    POSEIDON1,
    POSEIDON2,
    PoseidonParameters,
    compress,
    full_matrix,
    permute,
    round_constants,
    run_blocks,
    sponge_hash,
)

BOTH = pytest.mark.parametrize("parameters", [POSEIDON1, POSEIDON2], ids=lambda p: p.name)
elements = st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1))
states = st.lists(elements, min_size=16, max_size=16)


@pytest.mark.parametrize("case", poseidon_reference.known_answers("poseidon1"))
def test_poseidon1_known_answers(case: dict[str, list[int]]) -> None:
    assert permute(POSEIDON1, case["input"]) == case["output"]


@pytest.mark.parametrize("case", poseidon_reference.known_answers("poseidon2"))
def test_poseidon2_known_answers(case: dict[str, list[int]]) -> None:
    assert permute(POSEIDON2, case["input"]) == case["output"]


@BOTH
@settings(max_examples=25, deadline=None)
@given(state=states)
@example(state=[0] * 16)
@example(state=[1] * 16)
@example(state=[P - 1] * 16)
def test_permutation_equals_the_textbook_form(
    parameters: PoseidonParameters, state: list[int]
) -> None:
    assert permute(parameters, state) == poseidon_reference.permute(parameters, state)


def test_parameter_names_state_the_round_counts() -> None:
    for parameters in (POSEIDON1, POSEIDON2):
        counts = f"w{parameters.width}-{parameters.full_rounds}-{parameters.partial_rounds}"
        assert parameters.name.endswith(counts)
        assert len(round_constants(parameters)) == parameters.rounds == 28


def test_circulant_rows_rotate_to_the_right() -> None:
    matrix = full_matrix(POSEIDON1)
    for above, below in pairwise(matrix):
        assert below == above[-1:] + above[:-1]


@BOTH
@settings(max_examples=10, deadline=None)
@given(state=states)
def test_compression_is_the_truncated_feed_forward(
    parameters: PoseidonParameters, state: list[int]
) -> None:
    image = poseidon_reference.permute(parameters, state)
    expected = [(x + y) % P for x, y in zip(image, state, strict=True)][:8]
    assert compress(parameters, state) == expected


@BOTH
@pytest.mark.parametrize(
    "state", [[0] * 15, [0] * 17, [0] * 15 + [P], [-1] + [0] * 15, []], ids=str
)
def test_states_that_are_not_canonical_are_refused(
    parameters: PoseidonParameters, state: list[int]
) -> None:
    with pytest.raises(ValueError, match="16 canonical"):
        permute(parameters, state)
    with pytest.raises(ValueError, match="16 canonical"):
        compress(parameters, state)


def reference_blocks(run: list[int]) -> list[list[int]]:
    """The run from its end, eight elements at a time; zeros come in front of what is left."""
    if not run:
        return []
    if len(run) <= 8:
        return [[0] * (8 - len(run)) + run]
    return [*reference_blocks(run[:-8]), run[-8:]]


def reference_sponge(tag: int, runs: list[list[int]]) -> list[int]:
    state = [0] * 8 + [tag, sum(map(len, runs))] + [0] * 6
    blocks = [block for run in runs for block in reference_blocks(run)]
    for block in blocks or [[0] * 8]:
        state = poseidon_reference.permute(POSEIDON1, block + state[8:])
    return state[:8]


@given(run=st.lists(elements, max_size=40))
@example(run=[])
@example(run=[1])
@example(run=[2, 3, 4, 5, 6, 7, 8])
@example(run=[0] * 8)
@example(run=[P - 1] * 9)
@example(run=[*range(16)])
@example(run=[*range(17)])
def test_blocks_of_a_run_are_filled_in_front(run: list[int]) -> None:
    blocks = run_blocks(run)
    assert [list(block) for block in blocks] == reference_blocks(run)
    assert len(blocks) == -(-len(run) // 8)


@settings(max_examples=20, deadline=None)
@given(tag=elements, runs=st.lists(st.lists(elements, max_size=20), max_size=4))
@example(tag=0, runs=[])
@example(tag=0, runs=[[], []])
@example(tag=5, runs=[[7]])
@example(tag=1, runs=[[P - 1] * 7])
@example(tag=1, runs=[[P - 1] * 8])
@example(tag=1, runs=[[P - 1] * 9, [1, 2, 3, 4, 5]])
@example(tag=1, runs=[[*range(16)], [1]])
@example(tag=1, runs=[[*range(17)]])
def test_sponge_equals_its_definition(tag: int, runs: list[list[int]]) -> None:
    assert sponge_hash(POSEIDON1, tag, *runs) == reference_sponge(tag, runs)


def test_sponge_binds_length_and_tag() -> None:
    messages: list[list[int]] = [
        [],
        [0],
        [0] * 7,
        [0] * 8,
        [0] * 9,
        [5, 7],
        [5, 7, 0],
        [5, 7, 0, 0],
        [0, 5, 7],
        [0, 0, 5, 7],
    ]
    digests = {tuple(sponge_hash(POSEIDON1, tag, m)) for tag in (0, 1, 2) for m in messages}
    assert len(digests) == 3 * len(messages)


@pytest.mark.parametrize(("tag", "message"), [(P, []), (-1, []), (0, [P]), (0, [-1])])
def test_sponge_refuses_elements_that_are_not_canonical(tag: int, message: list[int]) -> None:
    with pytest.raises(ValueError, match="canonical"):
        sponge_hash(POSEIDON1, tag, message)
