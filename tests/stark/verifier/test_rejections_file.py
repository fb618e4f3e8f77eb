"""Group A of ``tests/vectors/negative_tests.json``: the proof file as bytes.

The verifier meets its checks in this order: Limit (size), Public and Canonical (the caller's public
values), then along the file Format (magic), Version, Suite and Params (parameters that are not
legal), Policy (legal, but not the key's), Shape, VK; per message Format (the file ends) and
Canonical, per nonce PoW; Bus after the terminals, Domain after zeta, OOD after the out-of-domain
values; then per tree Format, Canonical and Merkle, Domain at the queried points, FriFold and
FriFinal query by query, and Format for what follows the end.
"""

from __future__ import annotations

import io
import pickle
import random
import time
import tracemalloc
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from support.cheating import Case, LyingInOpenings, configured, fibonacci_case, products_case
from support.checks import check, check_equal
from support.mutations import ProofMap, flipped, overwritten

from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.soundness.parameters import ProtocolParameters
from stark.transcript.encoding import Kind
from stark.transcript.schema import Sent
from stark.verifier.header import encode_header
from stark.verifier.protocol import schema
from stark.verifier.verify import MAXIMUM_PROOF_SIZE

SECONDS = 2.0
"""No file, whatever it holds, keeps the verifier longer."""


def mapped(one: Case) -> ProofMap:
    return ProofMap(one.key.verification, one.honest(), one.publics, one.context)


def timed_rejection(one: Case, proof: bytes) -> Rejected:
    """The rejection, which must come within the limit, as ``Rejected`` and nothing else."""
    start = time.perf_counter()
    rejection = one.rejection(proof)
    check(time.perf_counter() - start < SECONDS, f"took {time.perf_counter() - start} s")
    return rejection


def expect(one: Case, proof: bytes, code: Code) -> Rejected:
    rejection = timed_rejection(one, proof)
    check(rejection.code is code, f"expected {code}, got {rejection}")
    return rejection


@pytest.mark.parametrize("one", [fibonacci_case(), products_case()], ids=["fibonacci", "products"])
def test_the_map_covers_the_file(one: Case) -> None:
    # What the other tests change is all that there is.
    parts = mapped(one)
    position = 0
    for part in [*parts.sections.values(), *parts.trees.values()]:
        check_equal(part.start, position, part.name)
        position = part.end
    check_equal(position, len(one.honest()))
    check_equal(one.honest()[: parts.header_end], encode_header(one.key.verification))
    one.verify(one.honest())


def test_a1_empty_file() -> None:
    expect(fibonacci_case(), b"", Code.FORMAT)


@pytest.mark.parametrize(
    "magic", [b"STARKprg", b"starkprf", bytes(8), b"LIABprf\0", b"\x89PNG\r\n\x1a\n"]
)
def test_a2_wrong_magic(magic: bytes) -> None:
    one = fibonacci_case()
    expect(one, overwritten(one.honest(), 0, magic), Code.FORMAT)


@pytest.mark.parametrize("version", [0, 2, 255, 256, 65535])
def test_a3_unknown_version(version: int) -> None:
    one = fibonacci_case()
    data = version.to_bytes(2, "little")
    expect(one, mapped(one).changed("version", 0, data), Code.VERSION)


def test_a4_truncation_at_every_byte() -> None:
    one = fibonacci_case(2)
    proof = one.honest()
    for end in range(len(proof)):
        expect(one, proof[:end], Code.FORMAT)


def test_a4_truncation_of_a_larger_proof() -> None:
    one = products_case()
    proof = one.honest()
    parts = mapped(one)
    ends = {part.end - 1 for part in [*parts.sections.values(), *parts.trees.values()]}
    ends |= {part.start for part in [*parts.sections.values(), *parts.trees.values()]}
    ends |= set(range(0, len(proof), 211))
    for end in sorted(ends):
        expect(one, proof[:end], Code.FORMAT)


@pytest.mark.parametrize("extra", [b"\0", b"\n", bytes(32), b"STARKprf"])
def test_trailing_data(extra: bytes) -> None:
    for one in (fibonacci_case(), products_case()):
        expect(one, one.honest() + extra, Code.FORMAT)
    expect(fibonacci_case(), fibonacci_case().honest() * 2, Code.FORMAT)


def test_a6_no_length_is_read_from_the_file() -> None:
    # Every size of the schema comes from the key: there is no length prefix to inflate.
    for one in (fibonacci_case(), products_case()):
        key = one.key.verification
        sizes = [item.size for item in schema(key, len(one.context)) if isinstance(item, Sent)]
        own = [s.size for s in mapped(one).sections.values() if s.kind is not None]
        check_equal(own, sizes)


def test_a6_a_file_that_is_too_long_is_refused_unread() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return MAXIMUM_PROOF_SIZE + 1

    expect(fibonacci_case(), Long(), Code.LIMIT)


def test_a6_nothing_is_allocated_for_what_a_header_promises() -> None:
    one = products_case()
    parts = mapped(one)
    forged = [
        parts.changed("shape", 0, b"\xff\xff"),
        parts.changed("shape", 4, b"\xff\xff"),
        parts.changed("parameters", 1, b"\xff\xff"),
        parts.changed("parameters", 7, b"\xff"),
        parts.changed("parameters", 8, b"\xff"),
        b"STARKprf" + b"\xff" * 200,
    ]
    one.rejection(forged[0])
    tracemalloc.start()
    for proof in forged:
        one.rejection(proof)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    check(peak < 1 << 20, f"{peak} bytes")


@pytest.mark.parametrize("value", [P, P + 1, 2**32 - 1, 2**31, 2**31 + 1])
def test_a7_a_field_element_that_is_not_canonical(value: int) -> None:
    one = products_case()
    parts = mapped(one)
    places = list(parts.elements())
    # All of the messages, a sample of the opened rows.
    early = [place for place in places if place < parts.messages_end]
    sample = random.Random(value).sample(places, 40)
    for place in [*early[:: 1 if value == P else 7], *sample]:
        forged = overwritten(one.honest(), place, value.to_bytes(4, "little"))
        rejection = timed_rejection(one, forged)
        check(rejection.code is Code.CANONICAL, f"at {place}: {rejection}")


@pytest.mark.parametrize(
    "tree", ["preprocessed", "main", "auxiliary", "quotient", "fri 0", "fri 2"]
)
@pytest.mark.parametrize("aliased", [0, 1])
def test_a7_alias_of_a_value_in_every_tree(tree: str, aliased: int) -> None:
    # v + p stands for v in every sum mod p: only the range check can tell them apart.
    one = products_case()
    opened = mapped(one).trees[tree]
    start, size = opened.row(0, aliased)
    for place in (start, start + size - 4):
        value = int.from_bytes(one.honest()[place : place + 4], "little") + P
        expect(one, overwritten(one.honest(), place, value.to_bytes(4, "little")), Code.CANONICAL)


@pytest.mark.parametrize("limb", range(5))
@pytest.mark.parametrize(
    "name", ["terminals", "values work", "values byte table", "final polynomial"]
)
def test_a8_an_extension_element_with_one_limb_that_is_not_canonical(name: str, limb: int) -> None:
    one = products_case()
    parts = mapped(one)
    data = parts.data(name)
    for start in range(4 * limb, len(data), 20):
        value = int.from_bytes(data[start : start + 4], "little") + P
        expect(one, parts.changed(name, start, value.to_bytes(4, "little")), Code.CANONICAL)


def test_a9_sections_duplicated_or_in_another_order() -> None:
    # Sections carry no tags and no lengths: one more, or one in another place, moves the meaning
    # of every byte behind it. What follows the last one is refused as such.
    one = products_case(silent=True)
    proof = one.honest()
    parts = mapped(one)
    sections = [*parts.sections.values(), *parts.trees.values()]
    for section in sections:
        piece = proof[section.start : section.end]
        if not piece:
            continue
        doubled = proof[: section.end] + piece + proof[section.end :]
        timed_rejection(one, doubled)
        expect(one, proof + piece, Code.FORMAT)
        dropped = timed_rejection(one, parts.without(section.start, section.end))
        if section.name == "magic":
            check_equal(dropped.code, Code.FORMAT)
    for first, second in pairwise(sections):
        pieces = (proof[first.start : first.end], proof[second.start : second.end])
        swapped = proof[: first.start] + pieces[1] + pieces[0] + proof[second.end :]
        if swapped != proof:
            timed_rejection(one, swapped)
    unknown = proof[: parts.header_end] + b"new section" + proof[parts.header_end :]
    timed_rejection(one, unknown)


def test_a9_two_messages_of_one_size_exchanged() -> None:
    one = products_case(silent=True)
    parts = mapped(one)
    for first, second, code in (
        ("main commitment", "quotient commitment", Code.OOD),
        ("main commitment", "auxiliary commitment", Code.OOD),
    ):
        pieces = parts.data(first), parts.data(second)
        check_equal(len(pieces[0]), len(pieces[1]))
        exchanged = parts.changed(first, 0, pieces[1])
        start = parts.sections[second].start
        expect(one, overwritten(exchanged, start, pieces[0]), code)


def test_a10_numbers_have_one_encoding() -> None:
    # No varints, no text: every message has a fixed size, and each of its values one encoding.
    kinds = {Kind.FIELD: 4, Kind.EXTENSION: 20, Kind.DIGEST: 32, Kind.BYTE: 1}
    check_equal({kind: kind.value for kind in Kind}, kinds)


def test_a13_a_boolean_encoded_as_2() -> None:
    one = fibonacci_case()
    parts = mapped(one)
    for value in (2, 3, 128, 255):
        rejection = timed_rejection(one, parts.changed("parameters", 16, bytes([value])))
        check(rejection.code is Code.CANONICAL, f"{rejection}")


def test_a14_no_two_headers_mean_the_same() -> None:
    # Decoding the parameters accepts exactly what encodes: any accepted header is the key's own.
    one = fibonacci_case()
    own = one.key.verification.parameters
    for field in fields(ProtocolParameters):
        check_equal(ProtocolParameters.decode(own.encode()), own, field.name)
    generator = random.Random(14)
    encoded = own.encode()
    for _ in range(2000):
        position = generator.randrange(len(encoded))
        changed = overwritten(encoded, position, bytes([generator.randrange(256)]))
        try:
            decoded = ProtocolParameters.decode(changed)
        except Rejected:
            continue
        check_equal(decoded.encode(), changed)


def test_a14_what_may_differ_between_accepted_proofs_is_a_nonce_alone() -> None:
    # Without proofs of work and masks there is one proof of a witness, and it is the honest one:
    # every single-byte change of it is refused.
    one = fibonacci_case(2, silent=True)
    proof = one.honest()
    generator = random.Random(141)
    for position in range(len(proof)):
        timed_rejection(one, flipped(proof, position, generator.randrange(1, 256)))


@pytest.mark.parametrize("seed", range(4))
def test_a15_random_byte_flips(seed: int) -> None:
    generator = random.Random(seed)
    one = (fibonacci_case(3), fibonacci_case(6, silent=True), products_case(), products_case(True))[
        seed
    ]
    proof = one.honest()
    for _ in range(700):
        forged = bytearray(proof)
        for _ in range(generator.choice((1, 1, 1, 2, 5, 50))):
            forged[generator.randrange(len(forged))] ^= 1 << generator.randrange(8)
        if forged == proof:
            continue
        timed_rejection(one, bytes(forged))


def test_a15_random_cuts_and_pastes() -> None:
    generator = random.Random(15)
    one = products_case()
    proof = one.honest()
    for _ in range(500):
        first, second, third = sorted(generator.randrange(len(proof) + 1) for _ in range(3))
        filling = generator.randbytes(generator.choice((0, 1, 4, 20, 32, 100)))
        forged = generator.choice(
            (
                proof[:first] + filling + proof[second:],
                proof[:first] + proof[second:third] + proof[first:second] + proof[third:],
                proof[:first] + filling,
                proof[:second] + proof[first:],
            )
        )
        if forged != proof:
            timed_rejection(one, forged)


def test_a15_random_bytes() -> None:
    generator = random.Random(16)
    one = products_case()
    header = encode_header(one.key.verification)
    for size in (0, 1, 7, 8, 9, 50, 100, 1000, 20000):
        for _ in range(20):
            expect(one, generator.randbytes(size), Code.FORMAT)
            timed_rejection(one, header + generator.randbytes(size))
            timed_rejection(one, header + bytes(size))
            timed_rejection(one, header + b"\xff" * size)


class Trap:
    """Its pickle would set a flag when it is loaded."""

    sprung = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Trap, "sprung", True)


def test_a16_pickles_and_object_arrays_are_never_loaded() -> None:
    pickled = pickle.dumps(Trap())
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    header = encode_header(fibonacci_case().key.verification)
    for payload in (pickled, buffer.getvalue()):
        expect(fibonacci_case(), payload, Code.FORMAT)
        timed_rejection(fibonacci_case(), header + payload)
    check(not Trap.sprung, "a pickle was loaded")
    pickle.loads(pickled)
    check(Trap.sprung, "the trap works")


def test_a12_heights_have_no_room_for_a_sign_or_more_than_8_bits() -> None:
    one = products_case()
    parts = mapped(one)
    for table in range(3):
        for height in (0, 25, 63, 64, 65, 127, 128, 255):
            forged = parts.changed("shape", 2 + 14 * table, bytes([height]))
            expect(one, forged, Code.SHAPE)


def test_the_first_of_several_faults_is_reported() -> None:
    # The order of the checks, from the end of the file to its beginning.
    one = products_case(silent=True)
    parts = mapped(one)
    proof = one.prove(configured(LyingInOpenings, trees=frozenset({"fri 1"})))
    proof += b"\0"
    expect(one, proof, Code.MERKLE)

    def add(code: Code, start: int, data: bytes) -> None:
        nonlocal proof
        proof = overwritten(proof, start, data)
        expect(one, proof, code)

    first_row = parts.trees["preprocessed"].start
    add(Code.CANONICAL, first_row, b"\xff" * 4)
    values = parts.sections["values work"].start
    add(Code.OOD, values, bytes(20))
    add(Code.CANONICAL, values + 20, b"\xff" * 4)
    terminals = parts.sections["terminals"].start
    add(Code.BUS, terminals, bytes(20))
    add(Code.VK, parts.sections["key digest"].start, bytes(32))
    add(Code.SHAPE, parts.sections["shape"].start, bytes(2))
    queries = one.key.verification.parameters.queries + 1
    add(Code.POLICY, parts.sections["parameters"].start + 1, queries.to_bytes(2, "little"))
    add(Code.PARAMS, parts.sections["parameters"].start, b"\0")
    add(Code.VERSION, parts.sections["version"].start, b"\0\0")
    add(Code.FORMAT, 0, b"x")
    rejection = one.rejection(proof, publics={})
    check_equal(rejection.code, Code.PUBLIC)
    noisy = replace(one, context=b"another")
    check_equal(noisy.rejection(one.honest()).code, Code.OOD)
