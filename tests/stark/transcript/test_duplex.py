"""The transcript over an algebraic suite: a duplex sponge whose capacity begins with the schema."""

from __future__ import annotations

import copy
import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import P
from stark.hash.hashing import hashing
from stark.hash.poseidon import PoseidonParameters, permute
from stark.hash.suite import POSEIDON1_SUITE, POSEIDON2_SUITE, PoseidonSuite
from stark.transcript.encoding import (
    Kind,
    Reader,
    decode_extension,
    decode_field,
    encode_field,
    split_digests,
)
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known, Sent
from stark.transcript.transcript import ProverTranscript, Transcript, VerifierTranscript

SUITES = [POSEIDON1_SUITE, POSEIDON2_SUITE]
over_suites = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)

SCHEMA: list[Item] = [
    Known("protocol", Kind.BYTE, 3),
    Known("key", Kind.BYTE, 32),
    Known("publics", Kind.FIELD, 2),
    Known("nothing", Kind.FIELD, 0),
    Sent("first", Kind.DIGEST, 2),
    Grinding("work alpha", 3),
    Drawn("alpha", 3),
    Drawn("again", 1),
    Sent("terminals", Kind.EXTENSION, 1),
    Drawn("beta", 1),
    Sent("counts", Kind.FIELD, 8),
    Grinding("work queries", 4),
    DrawnIndices("queries", 11, 7),
    Sent("last", Kind.FIELD, 16),
    Drawn("gamma", 1),
]

MESSAGES: dict[str, bytes] = {
    "protocol": b"abc",
    "key": bytes(range(100, 132)),
    "publics": encode_field([5, P - 2]),
    "nothing": b"",
    "first": encode_field([*range(16)]),
    "terminals": encode_field([101, 102, 103, 104, 105]),
    "counts": encode_field([0, 1, 54321, 0, 0, 0, 0, 0]),
    "last": encode_field([9] * 16),
}


def say(transcript: ProverTranscript, item: Item, messages: dict[str, bytes], suite: Any) -> Any:
    """One item, as the prover says it; what is drawn is returned."""
    if isinstance(item, Known):
        return transcript.known(item.label, messages[item.label])
    if isinstance(item, Drawn):
        return transcript.draw(item.label)
    if isinstance(item, DrawnIndices):
        return transcript.draw_indices(item.label)
    if isinstance(item, Grinding):
        nonce = hashing(suite).grind(transcript.puzzle, item.bits)
        return transcript.send_nonce(item.label, nonce)
    data = messages[item.label]
    if item.kind is Kind.DIGEST:
        return transcript.send_digests(item.label, split_digests(data))
    if item.kind is Kind.EXTENSION:
        return transcript.send_extension(item.label, decode_extension(data, item.label))
    return transcript.send_field(item.label, decode_field(data, item.label))


def run(
    suite: PoseidonSuite,
    messages: dict[str, bytes] = MESSAGES,
    schema: Sequence[Item] = SCHEMA,
) -> tuple[dict[str, Any], bytes]:
    """What an honest run draws, by label, and its proof."""
    transcript = ProverTranscript(schema, suite)
    drawn = {}
    for item in schema:
        result = say(transcript, item, messages, suite)
        if isinstance(item, Drawn | DrawnIndices):
            drawn[item.label] = result
    transcript.finish()
    return drawn, bytes(transcript.proof)


def listen(suite: PoseidonSuite, proof: bytes, schema: Sequence[Item] = SCHEMA) -> dict[str, Any]:
    """What the verifier draws."""
    reader = Reader(proof)
    transcript = VerifierTranscript(schema, reader, suite)
    receive: dict[Kind, Callable[[str], object]] = {
        Kind.DIGEST: transcript.receive_digests,
        Kind.EXTENSION: transcript.receive_extension,
        Kind.FIELD: transcript.receive_field,
    }
    drawn = {}
    for item in schema:
        match item:
            case Known():
                transcript.known(item.label, MESSAGES[item.label])
            case Sent():
                receive[item.kind](item.label)
            case Grinding():
                transcript.check_work(item.label)
            case Drawn():
                drawn[item.label] = transcript.draw(item.label)
            case DrawnIndices():
                drawn[item.label] = transcript.draw_indices(item.label)
    transcript.finish()
    reader.finish()
    return drawn


# ---- the documented construction


def seed(suite: PoseidonSuite, schema: Sequence[Item]) -> list[int]:
    """Capacity at the start: docs/suites.md, section 4."""
    name = suite.name.encode()
    encoded = b"SLd2" + len(name).to_bytes(8, "little") + name + len(schema).to_bytes(8, "little")
    for item in schema:
        form = {
            Known: lambda i: (0, i.kind.value, i.count),
            Sent: lambda i: (1, i.kind.value, i.count),
            Grinding: lambda i: (2, i.bits, 0),
            Drawn: lambda i: (3, i.count, 0),
            DrawnIndices: lambda i: (4, i.count, i.log_bound),
        }[type(item)](item)
        label = item.label.encode()
        encoded += len(label).to_bytes(8, "little") + label
        encoded += b"".join(number.to_bytes(8, "little") for number in form)
    state = sha256(encoded).digest()
    words: list[int] = []
    for counter in range(4):
        block = sha256(b"SLs1" + state + counter.to_bytes(8, "little")).digest()
        words += [word % 2**31 for word in struct.unpack("<8I", block)]
    return [word for word in words if word < P][:8]


class Duplex:
    """The sponge with a block that waits, step by step."""

    def __init__(self, parameters: PoseidonParameters, capacity: list[int]) -> None:
        self.parameters = parameters
        self.lanes = [0] * 8 + capacity
        self.waiting: list[int] = []

    def settle(self) -> None:
        if self.waiting:
            self.lanes = permute(self.parameters, self.waiting + self.lanes[8:])
        self.waiting = []

    def absorb(self, run: Sequence[int]) -> None:
        filled = [0] * (-len(run) % 8) + list(run)
        for start in range(0, len(filled), 8):
            self.settle()
            self.waiting = filled[start : start + 8]

    def squeeze(self, count: int) -> list[int]:
        result: list[int] = []
        while len(result) < count:
            self.settle()
            self.lanes = permute(self.parameters, self.lanes)
            result += self.lanes[:5]
        return result[:count]


def message_runs(item: Known | Sent, data: bytes) -> list[list[int]]:
    size = 2 if item.kind is Kind.BYTE else 4
    data += bytes(-len(data) % size)
    flat = [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]
    match item.kind:
        case Kind.EXTENSION:
            return [flat[i : i + 5] for i in range(0, len(flat), 5)]
        case Kind.DIGEST:
            return [flat[i : i + 8] for i in range(0, len(flat), 8)]
        case _:
            return [flat]


def by_the_book(suite: PoseidonSuite, proof: bytes) -> dict[str, Any]:
    duplex = Duplex(suite.permutation, seed(suite, SCHEMA))
    reader = Reader(proof)
    drawn: dict[str, Any] = {}
    for item in SCHEMA:
        match item:
            case Known():
                for run_of_elements in message_runs(item, MESSAGES[item.label]):
                    duplex.absorb(run_of_elements)
            case Sent():
                for run_of_elements in message_runs(item, reader.take(item.size, item.label)):
                    duplex.absorb(run_of_elements)
            case Grinding():
                duplex.absorb([int.from_bytes(reader.take(8, item.label), "little")])
                assert duplex.squeeze(1)[0] % (1 << item.bits) == 0
            case Drawn():
                flat = duplex.squeeze(5 * item.count)
                drawn[item.label] = tuple(tuple(flat[i : i + 5]) for i in range(0, len(flat), 5))
            case DrawnIndices():
                squeezed = duplex.squeeze(item.count)
                drawn[item.label] = tuple(x % (1 << item.log_bound) for x in squeezed)
    return drawn


@over_suites
def test_all_challenges_are_those_of_the_documented_sponge(suite: PoseidonSuite) -> None:
    drawn, proof = run(suite)
    assert drawn == by_the_book(suite, proof)
    assert drawn == listen(suite, proof)
    assert run(suite) == (drawn, proof)
    assert len({*drawn["alpha"], *drawn["again"], *drawn["beta"], *drawn["gamma"]}) == 6


def test_permutations_draw_other_challenges() -> None:
    draws = []
    for suite in SUITES:
        transcript = Transcript([Drawn("a", 2)], suite)
        draws += transcript.draw("a")
    assert len(set(draws)) == 4


@over_suites
@settings(max_examples=25, deadline=None)
@given(
    messages=st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 17)), min_size=1, max_size=4)
)
@example(messages=[(Kind.FIELD, 0)])
@example(messages=[(Kind.FIELD, 1), (Kind.FIELD, 7), (Kind.FIELD, 8)])
@example(messages=[(Kind.FIELD, 9), (Kind.FIELD, 16), (Kind.FIELD, 17)])
@example(messages=[(Kind.BYTE, 1), (Kind.BYTE, 15), (Kind.BYTE, 16), (Kind.BYTE, 17)])
@example(messages=[(Kind.EXTENSION, 0), (Kind.EXTENSION, 1), (Kind.EXTENSION, 2)])
@example(messages=[(Kind.DIGEST, 0), (Kind.DIGEST, 1), (Kind.DIGEST, 2)])
def test_absorbing_messages_of_any_kind_and_length(
    suite: PoseidonSuite, messages: list[tuple[Kind, int]]
) -> None:
    """A message begins a block of its own, and a block waits for more to come."""
    items = [Known(f"m{k}", kind, count) for k, (kind, count) in enumerate(messages)]
    schema: list[Item] = [*items, Drawn("a", 1)]
    transcript = Transcript(schema, suite)
    duplex = Duplex(suite.permutation, seed(suite, schema))
    for k, item in enumerate(items):
        size = item.kind.value * item.count
        data = bytes((k + i) % 100 for i in range(size))
        transcript.known(item.label, data)
        for run_of_elements in message_runs(item, data):
            duplex.absorb(run_of_elements)
        assert transcript.state == encode_field(duplex.lanes + duplex.waiting)
    assert transcript.draw("a") == (tuple(duplex.squeeze(5)),)
    assert transcript.state == encode_field(duplex.lanes)


@over_suites
@pytest.mark.parametrize("count", range(17))
def test_puzzles_of_any_number_of_waiting_elements(suite: PoseidonSuite, count: int) -> None:
    """A nonce is a block of its own, whatever waits."""
    items: list[Item] = [Known("m", Kind.FIELD, count), Grinding("work", 4), Drawn("a", 1)]
    transcript = ProverTranscript(items, suite)
    transcript.known("m", encode_field(range(count)))
    nonce = hashing(suite).grind(transcript.puzzle, 4)
    assert [transcript.works(n, 4) for n in range(nonce + 1)] == [False] * nonce + [True]
    transcript.send_nonce("work", nonce)
    duplex = Duplex(suite.permutation, seed(suite, items))
    duplex.absorb(range(count))
    duplex.absorb([nonce])
    assert duplex.squeeze(1)[0] % 16 == 0
    assert transcript.draw("a") == (tuple(duplex.squeeze(5)),)


# ---- what binds what


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@over_suites
@pytest.mark.parametrize("label", [label for label, data in MESSAGES.items() if data])
def test_each_message_changes_all_later_challenges_and_no_earlier_one(
    suite: PoseidonSuite, label: str
) -> None:
    honest, _ = run(suite)
    labels = [item.label for item in SCHEMA]
    data = MESSAGES[label]
    for at in sorted({0, len(data) // 2 // 4 * 4, (len(data) - 1) // 4 * 4}):
        drawn, _ = run(suite, MESSAGES | {label: changed(data, at)})
        for name, values in honest.items():
            later = labels.index(name) > labels.index(label)
            assert (drawn[name] != values) == later
            if later and name != "queries":
                assert not set(drawn[name]) & set(values)


@over_suites
def test_nonces_change_later_challenges(suite: PoseidonSuite) -> None:
    honest, _ = run(suite)
    transcript = ProverTranscript(SCHEMA, suite)
    for item in SCHEMA[:5]:
        say(transcript, item, MESSAGES, suite)
    first = hashing(suite).grind(transcript.puzzle, 3)
    second = next(n for n in range(first + 1, 1000) if transcript.works(n, 3))
    transcript.send_nonce("work alpha", second)
    assert not set(transcript.draw("alpha")) & set(honest["alpha"])


def replaced(place: int, item: Item) -> list[Item]:
    return [*SCHEMA[:place], item, *SCHEMA[place + 1 :]]


@over_suites
def test_the_schema_is_bound_from_the_start(suite: PoseidonSuite) -> None:
    """Another label, type, kind, count or bound of any item, before or after, changes all."""
    schemas = [
        SCHEMA,
        replaced(2, Known("other", Kind.FIELD, 2)),
        replaced(2, Sent("publics", Kind.FIELD, 2)),
        replaced(2, Known("publics", Kind.EXTENSION, 2)),
        replaced(2, Known("publics", Kind.FIELD, 3)),
        replaced(5, Grinding("work alpha", 4)),
        replaced(6, Drawn("alpha", 4)),
        replaced(12, DrawnIndices("queries", 11, 8)),
        replaced(12, DrawnIndices("queries", 12, 7)),
        replaced(13, Sent("last", Kind.FIELD, 17)),
        [SCHEMA[1], SCHEMA[0], *SCHEMA[2:]],
        SCHEMA[:-1],
        [],
    ]
    states = {Transcript(schema, suite).state for schema in schemas}
    assert len(states) == len(schemas)
    for state in states:
        words = decode_field(state, "state")
        assert words[:8] == (0,) * 8
        assert all(words[8:])


@over_suites
def test_labels_cannot_run_into_each_other(suite: PoseidonSuite) -> None:
    pairs = [("ab", "c"), ("a", "bc"), ("abc", "")]
    states = {
        Transcript([Drawn(first, 1), Drawn(second, 1)], suite).state for first, second in pairs
    }
    assert len(states) == 3


@over_suites
def test_draws_without_messages_between_differ(suite: PoseidonSuite) -> None:
    """Also if the first took several squeezes: no element is ever given out again."""
    items: list[Item] = [Drawn("a", 5), Drawn("b", 5), DrawnIndices("c", 30, 24)]
    transcript = Transcript(items, suite)
    flat = [x for label in ("a", "b") for value in transcript.draw(label) for x in value]
    assert len(set(flat)) == 50
    assert not {x % 2**24 for x in flat} & set(transcript.draw_indices("c"))


@over_suites
def test_a_copy_goes_its_own_way(suite: PoseidonSuite) -> None:
    items: list[Item] = [Known("m", Kind.FIELD, 1), Drawn("a", 1)]
    transcript = Transcript(items, suite)
    ghost = copy.copy(transcript)
    before = transcript.state
    ghost.known("m", encode_field([4]))
    ghost.draw("a")
    assert transcript.state == before
    transcript.known("m", encode_field([5]))


# ---- what is refused


@over_suites
@pytest.mark.parametrize("value", [P, P + 1, 2**32 - 1])
@pytest.mark.parametrize("label", ["first", "terminals", "counts", "last"])
def test_messages_have_canonical_elements(suite: PoseidonSuite, label: str, value: int) -> None:
    _, proof = run(suite)
    at = proof.index(MESSAGES[label])
    for place in (at, at + 16):
        forged = proof[:place] + value.to_bytes(4, "little") + proof[place + 4 :]
        with pytest.raises(Rejected) as caught:
            listen(suite, forged)
        assert caught.value.code is Code.CANONICAL
        assert caught.value.check == label


@over_suites
def test_nonces_are_canonical_and_do_their_work(suite: PoseidonSuite) -> None:
    _, proof = run(suite)
    at = proof.index(MESSAGES["first"]) + 64
    nonce = int.from_bytes(proof[at : at + 8], "little")
    for value in (nonce + P, P, 2**32 + nonce, 2**64 - 1):
        with pytest.raises(Rejected) as caught:
            listen(suite, proof[:at] + value.to_bytes(8, "little") + proof[at + 8 :])
        assert caught.value.code is Code.CANONICAL
    transcript = ProverTranscript(SCHEMA, suite)
    for item in SCHEMA[:5]:
        say(transcript, item, MESSAGES, suite)
    idle = next(n for n in range(1000) if transcript.works(n, 2) and not transcript.works(n, 3))
    with pytest.raises(Rejected) as caught:
        listen(suite, proof[:at] + idle.to_bytes(8, "little") + proof[at + 8 :])
    assert caught.value.code is Code.POW


@over_suites
def test_indices_have_no_more_than_the_uniform_bits(suite: PoseidonSuite) -> None:
    transcript = Transcript([DrawnIndices("a", 3, 24), DrawnIndices("b", 1, 25)], suite)
    assert all(0 <= index < 2**24 for index in transcript.draw_indices("a"))
    with pytest.raises(UsageError, match="24"):
        transcript.draw_indices("b")


def test_low_bits_of_elements_are_uniform() -> None:
    """p = 127 * 2^24 + 1: every residue modulo 2^24 has 127 elements, and 0 one more."""
    assert P == 127 * 2**24 + 1
    assert [(P - 1 - residue) // 2**24 + 1 for residue in (0, 1, 2**24 - 1)] == [128, 127, 127]
