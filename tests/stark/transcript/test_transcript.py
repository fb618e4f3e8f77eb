"""The Fiat-Shamir transcript: what is said binds what is drawn, and only the schema can be said."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checks import check, check_equal

from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import P
from stark.hash.sha256 import grind_succeeds
from stark.transcript import cores
from stark.transcript.encoding import (
    Kind,
    Reader,
    decode_extension,
    decode_field,
    encode_extension,
    encode_field,
    split_digests,
)
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known, Sent
from stark.transcript.transcript import ProverTranscript, Transcript, VerifierTranscript

SCHEMA: list[Item] = [
    Known("protocol", Kind.BYTE, 3),
    Known("publics", Kind.FIELD, 2),
    Sent("first", Kind.DIGEST, 2),
    Grinding("work alpha", 3),
    Drawn("alpha", 2),
    Sent("terminals", Kind.EXTENSION, 1),
    Drawn("beta", 1),
    Sent("counts", Kind.FIELD, 3),
    Grinding("work queries", 5),
    DrawnIndices("queries", 6, 7),
]

MESSAGES: dict[str, bytes] = {
    "protocol": b"abc",
    "publics": encode_field([5, 7]),
    "first": bytes(range(64)),
    "terminals": encode_extension([(1, 2, 3, 4, 5)]),
    "counts": encode_field([0, 1, 54321]),
}


def least_nonce(state: bytes, bits: int, above: int = 0) -> int:
    nonce = above
    while not grind_succeeds(state, nonce, bits):
        nonce += 1
    return nonce


def say(transcript: Transcript, item: Item, messages: dict[str, bytes], above: int = 0) -> Any:
    """One item, as the prover says it; what is drawn is returned."""
    if isinstance(item, Known):
        return transcript.known(item.label, messages[item.label])
    if isinstance(item, Drawn):
        return transcript.draw(item.label)
    if isinstance(item, DrawnIndices):
        return transcript.draw_indices(item.label)
    if not isinstance(transcript, ProverTranscript):
        raise TypeError("the verifier sends nothing")
    if isinstance(item, Grinding):
        return transcript.send_nonce(item.label, least_nonce(transcript.state, item.bits, above))
    if item.kind is Kind.DIGEST:
        return transcript.send_digests(item.label, split_digests(messages[item.label]))
    if item.kind is Kind.EXTENSION:
        values = decode_extension(messages[item.label], item.label)
        return transcript.send_extension(item.label, values)
    return transcript.send_field(item.label, decode_field(messages[item.label], item.label))


def run(
    messages: dict[str, bytes] = MESSAGES, schema: Sequence[Item] = SCHEMA, above: int = 0
) -> tuple[dict[str, Any], bytes]:
    """What an honest run draws, by label, and its proof."""
    transcript = ProverTranscript(schema)
    drawn = {}
    for item in schema:
        result = say(transcript, item, messages, above)
        if isinstance(item, Drawn | DrawnIndices):
            drawn[item.label] = result
    transcript.finish()
    return drawn, bytes(transcript.proof)


def listen(proof: bytes, messages: dict[str, bytes] = MESSAGES) -> dict[str, Any]:
    """What the verifier draws."""
    reader = Reader(proof)
    transcript = VerifierTranscript(SCHEMA, reader)
    transcript.known("protocol", messages["protocol"])
    transcript.known("publics", messages["publics"])
    transcript.receive_digests("first")
    transcript.check_work("work alpha")
    drawn: dict[str, Any] = {"alpha": transcript.draw("alpha")}
    transcript.receive_extension("terminals")
    drawn["beta"] = transcript.draw("beta")
    transcript.receive_field("counts")
    transcript.check_work("work queries")
    drawn["queries"] = transcript.draw_indices("queries")
    transcript.finish()
    reader.finish()
    return drawn


# ---- both sides


def test_prover_and_verifier_draw_the_same() -> None:
    drawn, proof = run()
    check_equal(listen(proof), drawn)
    check_equal(run(), (drawn, proof))


def test_the_state_is_the_documented_chain_of_hashes() -> None:
    transcript = Transcript([Known("a", Kind.BYTE, 2), Drawn("b", 2), DrawnIndices("c", 9, 5)])
    transcript.known("a", b"xy")
    state = bytes(32)

    def absorbed(state: bytes, label: bytes, data: bytes) -> bytes:
        sizes = [len(part).to_bytes(8, "little") for part in (label, data)]
        message = b"SLt1" + state + sizes[0] + label + sizes[1] + data
        return hashlib.sha256(message).digest()

    def words(state: bytes) -> list[int]:
        blocks = [
            hashlib.sha256(b"SLs1" + state + counter.to_bytes(8, "little")).digest()
            for counter in range(8)
        ]
        stream = b"".join(blocks)
        return [int.from_bytes(stream[i : i + 4], "little") for i in range(0, len(stream), 4)]

    state = absorbed(state, b"a", b"xy")
    check_equal(transcript.state, state)
    state = absorbed(state, b"b", b"")
    low = [word & (2**31 - 1) for word in words(state)]
    flat = [value for value in low if value < P]
    check_equal(transcript.draw("b"), (tuple(flat[:5]), tuple(flat[5:10])))
    state = absorbed(state, b"c", b"")
    check_equal(transcript.draw_indices("c"), tuple(word & 31 for word in words(state)[:9]))


# ---- injectivity


def states_of(*runs: Sequence[tuple[str, Kind, bytes]]) -> list[bytes]:
    states = []
    for messages in runs:
        transcript = Transcript(
            [Known(label, kind, len(data) // kind.value) for label, kind, data in messages]
        )
        for label, _, data in messages:
            transcript.known(label, data)
        states.append(transcript.state)
    return states


def test_e6_boundaries_and_lengths_are_bound() -> None:
    def fields(label: str, *values: int) -> tuple[str, Kind, bytes]:
        return label, Kind.FIELD, encode_field(values)

    def raw(label: str, data: bytes) -> tuple[str, Kind, bytes]:
        return label, Kind.BYTE, data

    states = states_of(
        [fields("a", 5, 7)],
        [fields("a", 5, 7, 0, 0)],
        [fields("a", 5, 7, 0)],
        [fields("a", 0, 5, 7)],
        [fields("a", 5), fields("a", 7)],
        [fields("a", 5), fields("b", 7)],
        [fields("a"), fields("a", 5, 7)],
        [fields("a", 5, 7), fields("a")],
        [fields("a", 7, 5)],
        [fields("b", 5, 7)],
        [],
        [fields("a")],
        [fields("a"), fields("a")],
        [fields("", 5, 7)],
        [raw("a\5", b"\0\0\0\7\0\0\0")],
        [raw("a", b"\5\0\0\0\7\0\0\0\0")],
        [raw("ab", b"c")],
        [raw("a", b"bc")],
        [raw("", b"abc")],
        [raw("abc", b"")],
    )
    check_equal(len(set(states)), len(states))


def test_a_challenge_is_no_empty_message_with_an_output() -> None:
    # A drawn item absorbs its label: two draws in a row differ, and so does what follows one.
    schema: list[Item] = [Drawn("a", 1), Drawn("b", 1), Drawn("a", 1), DrawnIndices("i", 4, 31)]
    transcript = Transcript(schema)
    states = [transcript.state]
    drawn = []
    for label in ("a", "b", "a"):
        drawn.append(transcript.draw(label))
        states.append(transcript.state)
    transcript.draw_indices("i")
    states.append(transcript.state)
    check_equal(len(set(states)), 5)
    check_equal(len(set(drawn)), 3)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=9)), max_size=4),
    st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=9)), max_size=4),
)
def test_two_sequences_of_messages_never_share_a_state(
    first: list[tuple[str, bytes]], second: list[tuple[str, bytes]]
) -> None:
    runs = [[(label, Kind.BYTE, data) for label, data in one] for one in (first, second)]
    states = states_of(*runs)
    check_equal(states[0] == states[1], first == second)


# ---- sensitivity


def order(label: str) -> int:
    return next(number for number, item in enumerate(SCHEMA) if item.label == label)


@pytest.mark.parametrize("label", list(MESSAGES))
def test_a_message_changes_every_later_challenge_and_no_earlier_one(label: str) -> None:
    honest, _ = run()
    for position in range(len(MESSAGES[label])):
        data = bytearray(MESSAGES[label])
        data[position] ^= 1
        drawn, _ = run({**MESSAGES, label: bytes(data)})
        for challenge, value in drawn.items():
            later = order(challenge) > order(label)
            check_equal(value != honest[challenge], later, f"{challenge} after {label}")


@pytest.mark.parametrize("label", ["work alpha", "work queries"])
def test_a_nonce_changes_every_later_challenge_and_no_earlier_one(label: str) -> None:
    honest, _ = run()
    transcript = ProverTranscript(SCHEMA)
    for item in SCHEMA:
        above = 100 if item.label == label else 0
        value = say(transcript, item, MESSAGES, above)
        if isinstance(item, Drawn | DrawnIndices):
            later = order(item.label) > order(label)
            check_equal(value != honest[item.label], later, f"{item.label} after {label}")


def test_a_label_changes_every_challenge() -> None:
    renamed: list[Item] = [Known("Protocol", Kind.BYTE, 3), *SCHEMA[1:]]
    drawn, _ = run({**MESSAGES, "Protocol": b"abc"}, renamed)
    honest, _ = run()
    check(all(drawn[label] != honest[label] for label in honest), "all differ")


def test_every_bit_of_the_proof_matters() -> None:
    honest, proof = run()
    for position in range(len(proof)):
        forged = bytearray(proof)
        forged[position] ^= 1
        try:
            drawn = listen(bytes(forged))
        except Rejected as rejected:
            check(rejected.code in (Code.POW, Code.CANONICAL), f"{rejected}")
        else:
            check(drawn["queries"] != honest["queries"], f"byte {position}")


# ---- the schema is the only thing that can be said


def act(transcript: Any, label: str, kind: type[Item]) -> None:
    """Say or draw something, whether or not it is its turn."""
    if kind is Known:
        transcript.known(label, MESSAGES[label])
    elif kind is Drawn:
        transcript.draw(label)
    elif kind is DrawnIndices:
        transcript.draw_indices(label)
    elif kind is Grinding:
        transcript.send_nonce(label, 0)
    else:
        say(transcript, next(i for i in SCHEMA if i.label == label), MESSAGES)


@pytest.mark.parametrize("turn", range(len(SCHEMA)))
@pytest.mark.parametrize("said", range(len(SCHEMA)))
def test_nothing_can_be_skipped_or_said_out_of_order(turn: int, said: int) -> None:
    if turn == said:
        return
    transcript = ProverTranscript(SCHEMA)
    for item in SCHEMA[:turn]:
        say(transcript, item, MESSAGES)
    state, proof = transcript.state, bytes(transcript.proof)
    with pytest.raises(UsageError, match="is not the next item"):
        act(transcript, SCHEMA[said].label, type(SCHEMA[said]))
    check_equal((transcript.state, bytes(transcript.proof)), (state, proof))


@pytest.mark.parametrize("missing", range(len(SCHEMA)))
def test_nothing_can_be_forgotten_at_the_end(missing: int) -> None:
    transcript = ProverTranscript(SCHEMA)
    for item in SCHEMA[:missing]:
        say(transcript, item, MESSAGES)
    with pytest.raises(UsageError, match=f"{SCHEMA[missing].label} is missing"):
        transcript.finish()


def test_nothing_can_be_said_twice_or_after_the_end() -> None:
    transcript = ProverTranscript(SCHEMA)
    for item in SCHEMA:
        say(transcript, item, MESSAGES)
        with pytest.raises(UsageError, match="is not the next item"):
            act(transcript, item.label, type(item))
    transcript.finish()


@pytest.mark.parametrize("label", ["protocol", "publics"])
@pytest.mark.parametrize("size", [-1, 1, 4])
def test_a_known_message_of_another_size(label: str, size: int) -> None:
    transcript = Transcript(SCHEMA)
    if label == "publics":
        transcript.known("protocol", b"abc")
    data = (MESSAGES[label] + bytes(8))[: len(MESSAGES[label]) + size]
    with pytest.raises(UsageError, match=label):
        transcript.known(label, data)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_sent_message_of_another_size(count: int) -> None:
    transcript = ProverTranscript([Sent("first", Kind.DIGEST, 2)])
    with pytest.raises(UsageError, match="first takes 64 bytes"):
        transcript.send_digests("first", [bytes(32)] * count)
    check_equal(bytes(transcript.proof), b"")


def test_a_message_of_another_kind() -> None:
    # Eight field elements are 32 bytes, and no digest.
    schema: list[Item] = [Sent("first", Kind.DIGEST, 1)]
    with pytest.raises(UsageError, match="first takes"):
        ProverTranscript(schema).send_field("first", [0] * 8)
    for receive in ("receive_field", "receive_extension"):
        transcript = VerifierTranscript(schema, Reader(bytes(32)))
        with pytest.raises(UsageError, match="of kind"):
            getattr(transcript, receive)("first")


def test_the_verifier_cannot_skip_either() -> None:
    _, proof = run()
    transcript = VerifierTranscript(SCHEMA, Reader(proof))
    for attempt in (
        lambda: transcript.receive_digests("first"),
        lambda: transcript.draw("alpha"),
        lambda: transcript.draw_indices("queries"),
        lambda: transcript.known("publics", MESSAGES["publics"]),
        transcript.finish,
    ):
        with pytest.raises(UsageError):
            attempt()
    transcript.known("protocol", b"abc")
    transcript.known("publics", MESSAGES["publics"])
    transcript.receive_digests("first")
    # A proof of work that is due stands in the way of the challenge.
    with pytest.raises(UsageError, match="alpha is not the next item"):
        transcript.draw("alpha")
    with pytest.raises(UsageError, match="work other"):
        transcript.check_work("work other")


# ---- proofs of work


def test_e9_nonces_that_do_not_pass() -> None:
    _, proof = run()
    place = 64
    check_equal(listen(proof) is None, False)
    state = ProverTranscript(SCHEMA)
    for item in SCHEMA[:3]:
        say(state, item, MESSAGES)
    refused = 0
    for nonce in range(200):
        passes = grind_succeeds(state.state, nonce, 3)
        forged = proof[:place] + nonce.to_bytes(8, "little") + proof[place + 8 :]
        try:
            listen(forged)
        except Rejected as rejected:
            check_equal(rejected.code, Code.POW)
            refused += not passes
            check("work alpha" in rejected.check or passes, f"{rejected}")
    check(refused > 150, f"{refused} of 200")


def test_a_nonce_is_eight_bytes_and_work_of_no_bits_is_left_out() -> None:
    transcript = VerifierTranscript([Drawn("a", 1)], Reader(b""))
    transcript.check_work("work a")
    transcript.draw("a")
    transcript.finish()
    short = VerifierTranscript([Grinding("work", 1)], Reader(bytes(7)))
    with pytest.raises(Rejected) as caught:
        short.check_work("work")
    check_equal(caught.value.code, Code.FORMAT)


# ---- distribution


def test_e14_indices_are_uniform() -> None:
    count, log_bound = 1 << 18, 6
    drawn = Transcript([DrawnIndices("i", count, log_bound)]).draw_indices("i")
    check_equal(len(drawn), count)
    counts = Counter(drawn)
    check(set(counts) <= set(range(64)), "below the bound")
    expected = count / 64
    chi_square = sum((counts[i] - expected) ** 2 / expected for i in range(64))
    # 63 degrees of freedom: mean 63, deviation sqrt(126) = 11.2; six of those.
    check(abs(chi_square - 63) < 67, f"{chi_square}")
    for bit in range(log_bound):
        ones = sum(i >> bit & 1 for i in drawn)
        check(abs(ones - count / 2) < 6 * (count / 4) ** 0.5, f"bit {bit}: {ones}")


@pytest.mark.parametrize("log_bound", [0, 1, 5, 29, 31])
def test_indices_are_below_their_bound(log_bound: int) -> None:
    # H14: reduced by a mask of the verifier's own, never read from a file.
    drawn = Transcript([DrawnIndices("i", 300, log_bound)]).draw_indices("i")
    check(all(0 <= index < 1 << log_bound for index in drawn), "below the bound")
    check(max(drawn) >= (1 << log_bound) // 2, "and not far below")


def test_elements_are_canonical_and_uniform() -> None:
    drawn = Transcript([Drawn("a", 1 << 15)]).draw("a")
    flat = [value for element in drawn for value in element]
    check(all(0 <= value < P for value in flat), "canonical")
    check_equal(len(set(drawn)), len(drawn))
    counts = Counter(value * 64 // P for value in flat)
    expected = len(flat) / 64
    chi_square = sum((counts[i] - expected) ** 2 / expected for i in range(64))
    check(abs(chi_square - 63) < 67, f"{chi_square}")


def test_words_of_p_or_more_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    # No reduction mod p, which would favour small values; the top bit of a word is not used.
    words = iter([P, 2**31 - 1, P - 1, 2**31 + 5, P + 2**31, 0, 1, 2, 3])
    monkeypatch.setattr(cores, "_words", lambda state: words)
    check_equal(Transcript([Drawn("a", 1)]).draw("a"), ((P - 1, 5, 0, 1, 2),))


def test_draws_of_different_states_do_not_overlap() -> None:
    generator = random.Random(0)
    seen: list[set[Any]] = []
    for _ in range(6):
        data = generator.randbytes(4)
        transcript = Transcript([Known("m", Kind.BYTE, 4), Drawn("a", 50), Drawn("b", 50)])
        transcript.known("m", data)
        seen += [set(transcript.draw("a")), set(transcript.draw("b"))]
    check(all(not one & other for one, other in combinations(seen, 2)), "disjoint")


# ---- encodings


@pytest.mark.parametrize("value", [P, P + 1, 2**31, 2**32 - 1])
def test_decoding_refuses_other_representatives(value: int) -> None:
    data = encode_field([0, value, 1, 2, 3])
    for decode in (decode_field, decode_extension):
        with pytest.raises(Rejected) as caught:
            decode(data, "name")
        check_equal(caught.value.code, Code.CANONICAL)


@given(st.lists(st.integers(0, P - 1), max_size=20))
def test_field_elements_survive_encoding(values: list[int]) -> None:
    check_equal(decode_field(encode_field(values), "name"), tuple(values))


@given(st.lists(st.tuples(*[st.integers(0, P - 1)] * 5), max_size=6))
def test_extension_elements_survive_encoding(values: list[Any]) -> None:
    check_equal(decode_extension(encode_extension(values), "name"), tuple(values))


def test_the_reader_ends_where_the_data_ends() -> None:
    reader = Reader(b"abcdef")
    check_equal(
        (reader.take(2, "a"), reader.take(0, "b"), reader.take(3, "c")), (b"ab", b"", b"cde")
    )
    with pytest.raises(Rejected) as caught:
        reader.take(2, "d")
    check_equal(caught.value.code, Code.FORMAT)
    with pytest.raises(Rejected) as caught:
        reader.finish()
    check_equal(caught.value.code, Code.FORMAT)
    check_equal(reader.take(1, "e"), b"f")
    reader.finish()
