"""What the sponge and the transcript absorb determines what was said.

Equal digests of different messages would otherwise need no collision of the permutation. For the
sponge this is shown on what enters the permutation, not on digests.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.checks import check, check_equal

import stark.hash.poseidon as poseidon
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1, RATE, PoseidonParameters, compress, sponge_hash
from stark.hash.suite import SUITES, Suite
from stark.transcript.encoding import Kind, encode_field
from stark.transcript.schema import Known
from stark.transcript.transcript import Transcript

elements = st.one_of(st.sampled_from([0, 1, 5, 7, P - 1]), st.integers(0, P - 1))
messages = st.lists(elements, max_size=20)


def absorbed(tag: int, *runs: Sequence[int]) -> list[tuple[int, ...]]:
    """The states that enter the permutation, in order."""
    states: list[tuple[int, ...]] = []
    original = poseidon.permute

    def recorded(parameters: PoseidonParameters, state: Sequence[int]) -> list[int]:
        states.append(tuple(state))
        return original(parameters, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poseidon, "permute", recorded)
        sponge_hash(POSEIDON1, tag, *runs)
    return states


def read_back(states: Sequence[tuple[int, ...]]) -> tuple[int, list[int]]:
    """Tag and message from the states that entered the permutation."""
    tag, length, *rest = states[0][RATE:]
    check(not any(rest), "the rest of the capacity starts as zero")
    lanes = [lane for state in states for lane in state[:RATE]]
    start = len(lanes) - length
    check(not any(lanes[:start]), "the first block is filled with zeros in front")
    return tag, lanes[start:]


@settings(max_examples=60, deadline=None)
@given(elements, messages)
@example(0, [])
@example(0, [0] * 8)
@example(P - 1, [0] * 9)
def test_what_a_sponge_absorbs_tells_tag_and_message(tag: int, message: list[int]) -> None:
    check_equal(read_back(absorbed(tag, message)), (tag, message))


@settings(max_examples=60, deadline=None)
@given(elements, messages, elements, messages)
@example(1, [5, 7], 1, [5, 7, 0])
@example(1, [5, 7], 1, [5, 7, 0, 0, 0, 0, 0, 0])
@example(1, [5, 7], 1, [0, 5, 7])
@example(1, [], 1, [0])
@example(1, [0] * 8, 1, [0] * 16)
@example(0, [1], 1, [0])
@example(2, [5], 5, [2])
def test_two_messages_never_enter_the_permutation_alike(
    tag: int, message: list[int], other_tag: int, other: list[int]
) -> None:
    assume((tag, message) != (other_tag, other))
    check(absorbed(tag, message) != absorbed(other_tag, other), "different states")
    digests = [sponge_hash(POSEIDON1, t, m) for t, m in ((tag, message), (other_tag, other))]
    check(digests[0] != digests[1], "different digests")


rows = st.lists(elements, max_size=20)


@settings(max_examples=60, deadline=None)
@given(rows, rows, st.integers(0, 4))
@example([0, 5, 6, 7, 8, 9], [5, 6, 7, 8, 9], 1)
@example([0] * 3 + [1] * 5, [1] * 5, 1)
def test_rows_cut_alike_never_enter_the_permutation_alike(
    first: list[int], second: list[int], extensions: int
) -> None:
    """Base elements as one run, the last extension elements as runs of five, as in leaves."""
    assume(first != second and min(len(first), len(second)) >= 5 * extensions)

    def cut(row: list[int]) -> list[list[int]]:
        base = len(row) - 5 * extensions
        return [row[:base], *(row[at : at + 5] for at in range(base, len(row), 5))]

    check(absorbed(1, *cut(first)) != absorbed(1, *cut(second)), "different states")


def test_one_message_of_two_is_not_two_messages() -> None:
    """[5, 7] and [5], [7]: digests of parts, and their compression, are none of the whole."""
    whole = sponge_hash(POSEIDON1, 1, [5, 7])
    parts = [sponge_hash(POSEIDON1, 1, [value]) for value in (5, 7)]
    nested = sponge_hash(POSEIDON1, 1, [*parts[0], *parts[1]])
    node = compress(POSEIDON1, [*parts[0], *parts[1]])
    check_equal(len({tuple(one) for one in (whole, *parts, nested, node)}), 5)


Message = tuple[str, list[int]]


def state_of(sequence: Sequence[Message], suite: Suite) -> bytes:
    items = [Known(label, Kind.FIELD, len(values)) for label, values in sequence]
    transcript = Transcript(items, suite)
    for label, values in sequence:
        transcript.known(label, encode_field(values))
    return transcript.state


sequences = st.lists(
    st.tuples(st.sampled_from(["a", "b", "ab"]), st.lists(elements, max_size=4)), max_size=4
)


over_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=list(SUITES))


@over_suites
@settings(max_examples=150, deadline=None)
@given(first=sequences, second=sequences)
@example(first=[("a", [5, 7])], second=[("a", [5, 7, 0])])
@example(first=[("a", [5, 7])], second=[("a", [5]), ("a", [7])])
@example(first=[("a", [5]), ("b", [7])], second=[("b", [5]), ("a", [7])])
@example(first=[("a", []), ("a", [5])], second=[("a", [5]), ("a", [])])
def test_two_sequences_of_field_elements_never_share_a_state(
    suite: Suite, first: list[Message], second: list[Message]
) -> None:
    check_equal(state_of(first, suite) == state_of(second, suite), first == second)


@over_suites
@settings(max_examples=60, deadline=None)
@given(values=st.lists(elements, min_size=2, max_size=12), data=st.data())
def test_where_a_message_is_cut_matters(
    suite: Suite, values: list[int], data: st.DataObject
) -> None:
    cuts = st.integers(0, len(values))
    first, second = data.draw(cuts), data.draw(cuts)
    states = [
        state_of([("a", values[:cut]), ("a", values[cut:])], suite) for cut in (first, second)
    ]
    check_equal(states[0] == states[1], first == second)
    check(state_of([("a", values)], suite) not in states, "one message is not two")
