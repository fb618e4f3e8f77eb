"""Proof files that must be refused: groups A, B, C and D of ``tests/vectors/negative_tests.json``
for whole publications, and what can be done with batches and statements.

The order of the checks: Limit (size), Format (magic), Version, Limit and Format (the statement's
length and bytes), what the statement itself raises, Limit (batches), Canonical and Format (digests
and proofs), Format (trailing bytes); then Statement (expected digest), Policy, VK (shape),
Statement (depth, totals, root), and batch by batch what :mod:`stark.verifier.verify` says.
"""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.checks import check, check_equal
from support.publications import (
    PROFILE,
    SHAPE,
    accounts,
    context,
    hollow,
    prove_batch,
    proven,
    proving_key,
    statement_of,
    with_batch,
    with_statement,
)

from air import verification
from air.canonical_json import encode
from air.context import Context, Statement
from air.context import Shape as ContextShape
from air.encoding import totals_digest
from air.publication import MAGIC, MAXIMUM_PROOF, MAXIMUM_STATEMENT, Publication
from air.registry import Asset, Registry
from air.tree import upper_levels
from air.verification import MAXIMUM_FILE, batch_contexts, verify_publication
from air.witness import prepare_batch
from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.prover.prove import prove

SECONDS = 2.0
"""No file of this size, whatever it holds, keeps the verifier longer."""


def rejection(data: bytes, **options: Any) -> Rejected:
    """The rejection, which must come in time, as ``Rejected`` and nothing else."""
    options.setdefault("profiles", (PROFILE,))
    start = time.perf_counter()
    try:
        verify_publication(data, **options)
    except Rejected as rejected:
        check(time.perf_counter() - start < SECONDS, f"{time.perf_counter() - start} s")
        return rejected
    raise AssertionError("a forged publication was accepted")


def expect(data: bytes | Publication, code: Code, **options: Any) -> Rejected:
    found = rejection(data if isinstance(data, bytes) else data.encode(), **options)
    check(found.code is code, f"expected {code}, got {found}")
    return found


def decoded(data: bytes) -> Rejected | Publication:
    """What decoding says, which is in time, and nothing but ``Rejected`` if it fails."""
    start = time.perf_counter()
    try:
        result: Rejected | Publication = Publication.decode(data)
    except Rejected as rejected:
        result = rejected
    check(time.perf_counter() - start < SECONDS, f"{time.perf_counter() - start} s")
    return result


def undecodable(data: bytes, *codes: Code) -> None:
    result = decoded(data)
    check(isinstance(result, Rejected) and result.code in codes, f"{result}")


def test_honest_publications_are_accepted() -> None:
    for count in (1, 3):
        own = proven(count)
        digest = own.publication.statement.digest()
        accepted = verify_publication(own.data, digest, (PROFILE,))
        check_equal(accepted.statement, own.publication.statement)
        check_equal(len(accepted.checks), 4 + count)
        check_equal(Publication.decode(own.data), own.publication)
    check_equal(Publication.decode(hollow().encode()), hollow())


# ---- the file


@pytest.mark.parametrize("data", [b"", b"\0", b"LIABprf", MAGIC[:-1], bytes(8), bytes(1000)])
def test_a1_empty_or_tiny(data: bytes) -> None:
    expect(data, Code.FORMAT)


@pytest.mark.parametrize("magic", [b"STARKprf", b"LIABprf\1", b"liabprf\0", b"\xef\xbb\xbfLIABp"])
def test_a2_wrong_magic(magic: bytes) -> None:
    expect(magic + hollow().encode()[8:], Code.FORMAT)


@pytest.mark.parametrize("version", [0, 3, 256, 65535])
def test_a3_unknown_version(version: int) -> None:
    data = hollow().encode()
    expect(data[:8] + version.to_bytes(2, "little") + data[10:], Code.VERSION)


def test_a4_truncation_at_every_byte() -> None:
    data = hollow().encode()
    for end in range(len(data)):
        undecodable(data[:end], Code.FORMAT)


def test_a4_truncation_of_a_proof_inside_the_file() -> None:
    publication = proven(1).publication
    proof = publication.batches[0].proof
    for end in [*range(0, 200, 31), *range(0, len(proof), 40_009), len(proof) - 1]:
        expect(with_batch(publication, 0, proof=proof[:end]), Code.FORMAT)
    expect(with_batch(publication, 0, proof=proof + b"\0"), Code.FORMAT)


@pytest.mark.parametrize("extra", [b"\0", b"\n", bytes(100), b"LIABprf\0"])
def test_trailing_data(extra: bytes) -> None:
    undecodable(hollow().encode() + extra, Code.FORMAT)
    expect(proven(1).data + extra, Code.FORMAT)


def lengths() -> list[tuple[str, int, int]]:
    """(what, where its length stands, the most that it may be)."""
    publication = hollow()
    statement = len(publication.statement.encode())
    result = [("statement", 10, MAXIMUM_STATEMENT)]
    position = 14 + statement + 64
    for number, batch in enumerate(publication.batches):
        result.append((f"proof {number}", position + 64, MAXIMUM_PROOF))
        position += 68 + len(batch.proof)
    return result


@pytest.mark.parametrize(("what", "start", "most"), lengths())
def test_a6_lengths_that_are_too_large(what: str, start: int, most: int) -> None:
    # -1 and 2^32 - 1 are one pattern of four bytes; 2^32 and 2^63 do not fit in them.
    data = hollow().encode()
    rest = data[start + 4 :]
    tracemalloc.start()
    for length in (2**32 - 1, 2**31, 2**31 - 1, most + 1):
        undecodable(data[:start] + length.to_bytes(4, "little") + rest, Code.LIMIT)
    # Within the limit, but more than there is.
    for length in (most, most - 1, len(data)):
        undecodable(data[:start] + length.to_bytes(4, "little") + rest, Code.FORMAT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    check(peak < 1 << 20, f"{peak} bytes for a promise")


@pytest.mark.parametrize(("what", "start", "most"), lengths())
@pytest.mark.parametrize("difference", [-1, 1])
def test_a6_lengths_that_are_off_by_one(what: str, start: int, most: int, difference: int) -> None:
    data = hollow().encode()
    length = int.from_bytes(data[start : start + 4], "little") + difference
    codes = (Code.FORMAT, Code.LIMIT, Code.CANONICAL)
    undecodable(data[:start] + length.to_bytes(4, "little") + data[start + 4 :], *codes)


def test_a6_a_file_that_is_too_long_is_refused_unread() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return MAXIMUM_FILE + 1

    expect(Long(), Code.LIMIT)


def digest_places() -> list[int]:
    """Where the eight-lane digests outside the statement begin."""
    publication = hollow()
    start = 14 + len(publication.statement.encode())
    places = [start, start + 32]
    position = start + 64
    for batch in publication.batches:
        places += [position, position + 32]
        position += 68 + len(batch.proof)
    return places


@pytest.mark.parametrize("value", [P, P + 1, 2**31, 2**32 - 1])
def test_a7_lanes_that_are_not_canonical(value: int) -> None:
    data = hollow().encode()
    for place in digest_places():
        for lane in range(8):
            start = place + 4 * lane
            undecodable(
                data[:start] + value.to_bytes(4, "little") + data[start + 4 :], Code.CANONICAL
            )


def test_a7_aliases_of_true_lanes() -> None:
    own = proven(1)
    statement = len(own.publication.statement.encode())
    start = 14 + statement
    for place in range(start, start + 128, 12):
        value = int.from_bytes(own.data[place : place + 4], "little") + P
        forged = own.data[:place] + value.to_bytes(4, "little") + own.data[place + 4 :]
        expect(forged, Code.CANONICAL)


def test_a9_parts_doubled_dropped_or_in_another_order() -> None:
    publication = hollow()
    data = publication.encode()
    batches = publication.batches
    for others in (batches[:2], (*batches, batches[0]), ()):
        undecodable(replace(publication, batches=others).encode(), Code.FORMAT)
    start = 14 + len(publication.statement.encode())
    shifted = data[:start] + data[start - 10 : start] + data[start:]
    undecodable(shifted, Code.FORMAT, Code.LIMIT, Code.CANONICAL)
    undecodable(data[:8] + data[:8] + data[8:], Code.VERSION)
    undecodable(data + data[start:], Code.FORMAT)


# ---- the statement's JSON


def texts() -> dict[str, Callable[[bytes], bytes]]:
    """Ways of writing the statement that mean the same, or nothing."""

    def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        def change(data: bytes) -> bytes:
            check(old in data, f"{old!r}")
            return data.replace(old, new, 1)

        return change

    return {
        "a number 1": swap(b'"batches":"3"', b'"batches":3'),
        "a number 3.0": swap(b'"batches":"3"', b'"batches":3.0'),
        "a number 3e0": swap(b'"batches":"3"', b'"batches":3e0'),
        "text 3.0": swap(b'"batches":"3"', b'"batches":"3.0"'),
        "text 3e0": swap(b'"batches":"3"', b'"batches":"3e0"'),
        "a leading zero": swap(b'"batches":"3"', b'"batches":"03"'),
        "a plus sign": swap(b'"batches":"3"', b'"batches":"+3"'),
        "a minus sign": swap(b'"batches":"3"', b'"batches":"-3"'),
        "a space": swap(b'"batches":"3"', b'"batches":" 3"'),
        "an underscore": swap(b'"epoch":"7"', b'"epoch":"7_0"'),
        "other digits": swap(b'"epoch":"7"', '"epoch":"\u0667"'.encode()),
        "NaN": swap(b'"epoch":"7"', b'"epoch":NaN'),
        "Infinity": swap(b'"epoch":"7"', b'"epoch":-Infinity'),
        "null": swap(b'"epoch":"7"', b'"epoch":null'),
        "a boolean": swap(b'"epoch":"7"', b'"epoch":true'),
        "a list": swap(b'"epoch":"7"', b'"epoch":["7"]'),
        "a duplicate key": swap(b'"epoch":"7"', b'"epoch":"7","epoch":"7"'),
        "an unknown key": swap(b'"epoch":"7"', b'"epoch":"7","extra":"1"'),
        "a missing key": swap(b'"epoch":"7",', b""),
        "keys in another order": lambda data: _reordered(data),
        "white space": swap(b'"epoch":"7"', b'"epoch": "7"'),
        "a line feed at the end": lambda data: data + b"\n",
        "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
        "a needless escape": swap(b"spot", b"\\u0073pot"),
        "an escaped slash": swap(b"Example", b"Example\\/"),
        "upper-case hexadecimal": swap(b"0c0d0e0f", b"0C0D0E0F"),
        "a lone surrogate": swap(b"Example", b"\\ud800"),
        "no UTF-8": swap(b"Example", b"\xff"),
        "UTF-16": lambda data: data.decode().encode("utf-16"),
        "a comment": swap(b"{", b"{/**/"),
        "two values": lambda data: data + data,
        "nothing": lambda data: b"",
        "a list of one": lambda data: b"[" + data + b"]",
        "half of it": lambda data: data[: len(data) // 2],
    }


def _reordered(data: bytes) -> bytes:
    value = json.loads(data)
    return json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()


@pytest.mark.parametrize("name", list(texts()))
def test_a10_json_that_is_not_canonical(name: str) -> None:
    publication = hollow()
    statement = publication.statement.encode()
    forged = texts()[name](statement)
    check(forged != statement, "another text")
    undecodable(with_statement(publication.encode(), forged), Code.FORMAT)


@pytest.mark.parametrize("depth", [17, 1000, 100_000])
def test_a10_json_that_nests_too_deep(depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        text = opening * depth + b'""' + closing * depth
        undecodable(with_statement(hollow().encode(), text), Code.LIMIT)
        undecodable(with_statement(hollow().encode(), opening * depth), Code.LIMIT)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"log_rows":"12"', b'"log_rows":"-1"', Code.FORMAT),
        (b'"log_rows":"12"', b'"log_rows":"0"', Code.STATEMENT),
        (b'"log_rows":"12"', b'"log_rows":"25"', Code.STATEMENT),
        (b'"log_rows":"12"', b'"log_rows":"2130706445"', Code.CANONICAL),
        (b'"log_rows":"12"', b'"log_rows":"4294967308"', Code.CANONICAL),
        (b'"log_rows":"12"', b'"log_rows":"18446744073709551628"', Code.CANONICAL),
        (b'"log_slots":"5"', b'"log_slots":"13"', Code.STATEMENT),
        (b'"asset_capacity":"512"', b'"asset_capacity":"0"', Code.STATEMENT),
        (b'"asset_capacity":"512"', b'"asset_capacity":"2"', Code.STATEMENT),
        (b'"asset_capacity":"512"', b'"asset_capacity":"16385"', Code.CANONICAL),
        (b'"depth":"7"', b'"depth":"4"', Code.STATEMENT),
        (b'"depth":"7"', b'"depth":"41"', Code.STATEMENT),
        (b'"batches":"3"', b'"batches":"0"', Code.STATEMENT),
        (b'"batches":"3"', b'"batches":"5"', Code.STATEMENT),
        (b'"batches":"3"', b'"batches":"99999999999999"', Code.CANONICAL),
        (b'"format":"1"', b'"format":"0"', Code.VERSION),
        (b'"format":"1"', b'"format":"2"', Code.VERSION),
        (b'"kind":"spot"', b'"kind":"margin"', Code.STATEMENT),
        (b'"totals":["1","2","3"]', b'"totals":["1","2"]', Code.STATEMENT),
        (b'"totals":["1","2","3"]', b'"totals":["1","2","3","0"]', Code.STATEMENT),
        (b'"totals":["1","2","3"]', b'"totals":["1","2","-3"]', Code.FORMAT),
        (b'"totals":["1","2","3"]', b'"totals":{}', Code.FORMAT),
        (b'"epoch":"7"', b'"epoch":"18446744073709551616"', Code.CANONICAL),
        (b'"symbol":"ETH"', b'"symbol":"BTC"', Code.STATEMENT),
        (b'"symbol":"ETH"', '"symbol":"BT\u200bC"'.encode(), Code.STATEMENT),
        (b'"decimals":"18"', b'"decimals":"31"', Code.CANONICAL),
    ],
)
def test_a12_d6_d7_values_out_of_range(old: bytes, new: bytes, code: Code) -> None:
    # Heights of the catalogue's D6 and D7 among them: as text they are Format or Canonical before
    # they are anything else.
    data = hollow().statement.encode()
    check(old in data, f"{old!r}")
    undecodable(with_statement(hollow().encode(), data.replace(old, new, 1)), code)


def test_totals_of_2_to_105_or_more() -> None:
    data = hollow().statement.encode()
    for total in (2**105, 2**105 + 1, 2**128, 10**5000, P**4):
        forged = data.replace(b'["1",', b'["' + str_of(total) + b'",', 1)
        undecodable(with_statement(hollow().encode(), forged), Code.CANONICAL)
    largest = data.replace(b'["1",', b'["' + str_of(2**105 - 1) + b'",', 1)
    check(isinstance(decoded(with_statement(hollow().encode(), largest)), Publication), "fits")


def str_of(value: int) -> bytes:
    """Decimal digits of any number of digits."""
    digits = b""
    while value >= 10**1000:
        value, low = divmod(value, 10**1000)
        digits = str(low).zfill(1000).encode() + digits
    return str(value).encode() + digits


@pytest.mark.parametrize("lane", range(8))
def test_a7_root_with_a_lane_that_is_not_canonical(lane: int) -> None:
    publication = hollow()
    value = publication.statement.to_json()
    root = bytearray(bytes.fromhex(str(value["root"])))
    root[4 * lane : 4 * lane + 4] = (P + lane).to_bytes(4, "little")
    forged = encode({**value, "root": root.hex()})
    undecodable(with_statement(publication.encode(), forged), Code.CANONICAL)


def test_more_batches_than_any_file_may_have() -> None:
    value = hollow().statement.to_json()
    value["batches"] = str((1 << 12) + 1)
    inner = dict(value["context"])  # type: ignore[arg-type]
    value["context"] = {**inner, "depth": "20"}
    undecodable(with_statement(hollow().encode(), encode(value)), Code.LIMIT)


# ---- totality


def test_a14_what_decodes_encodes_to_itself() -> None:
    data = hollow().encode()
    generator = random.Random(14)
    understood = 0
    for _ in range(4000):
        forged = bytearray(data)
        for _ in range(generator.choice((1, 1, 2, 8))):
            forged[generator.randrange(len(forged))] = generator.randrange(256)
        result = decoded(bytes(forged))
        if isinstance(result, Publication):
            understood += 1
            check_equal(result.encode(), bytes(forged))
    check(understood > 500, f"only {understood} of the mutations were understood")


def test_a15_random_flips_cuts_and_pastes() -> None:
    generator = random.Random(15)
    data = hollow().encode()
    for _ in range(3000):
        first, second = sorted(generator.randrange(len(data) + 1) for _ in range(2))
        filling = generator.randbytes(generator.choice((0, 1, 3, 32, 200)))
        forged = generator.choice(
            (
                data[:first] + filling + data[second:],
                data[:first] + data[second:] + data[first:second],
                data[:second] + data[first:],
                data[:8] + filling + data[first:],
                filling,
            )
        )
        result = decoded(forged)
        if isinstance(result, Publication):
            check_equal(result.encode(), forged)


def test_a15_random_flips_of_a_real_file() -> None:
    generator = random.Random(16)
    data = proven(1).data
    head = 14 + len(proven(1).publication.statement.encode()) + 128
    places = [generator.randrange(head) for _ in range(60)]
    places += [generator.randrange(len(data)) for _ in range(25)]
    for place in places:
        forged = bytearray(data)
        forged[place] ^= 1 << generator.randrange(8)
        rejection(bytes(forged))


def test_a15_text_that_looks_like_a_statement() -> None:
    generator = random.Random(17)
    tokens = [b"{", b"}", b"[", b"]", b",", b":", b'"', b'"a"', b"1", b"null", b"\\u0000", b"\xc3"]
    for _ in range(2000):
        text = b"".join(generator.choice(tokens) for _ in range(generator.randrange(30)))
        result = decoded(with_statement(hollow().encode(), text))
        check(isinstance(result, Rejected), f"{text!r} was understood")


class Trap:
    """Its pickle would set a flag when it is loaded."""

    sprung = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Trap, "sprung", True)


def test_a16_pickles_are_never_loaded() -> None:
    payload = pickle.dumps(Trap())
    expect(payload, Code.FORMAT)
    undecodable(MAGIC + b"\1\0" + len(payload).to_bytes(4, "little") + payload, Code.FORMAT)
    expect(with_batch(proven(1).publication, 0, proof=payload), Code.FORMAT)
    check(not Trap.sprung, "a pickle was loaded")


# ---- policy and keys


def test_b11_a_profile_that_is_not_accepted() -> None:
    own = proven(1)
    for profiles in (("proven128",), (), ("PROVEN100",)):
        expect(own.data, Code.POLICY, profiles=profiles)
    with pytest.raises(Rejected) as caught:
        verify_publication(own.data)
    check_equal(caught.value.code, Code.POLICY, "the default accepts proven128 alone")


def changed_context(**changes: Any) -> Publication:
    """The honest publication of one batch with something else in its context."""
    publication = proven(1).publication
    statement = publication.statement
    return replace(
        publication, statement=replace(statement, context=replace(statement.context, **changes))
    )


def test_b11_a_stronger_name_on_a_weaker_proof() -> None:
    forged = changed_context(policy="proven128")
    # The name chooses the key, the key the parameters: the proof's are others.
    found = expect(forged, Code.POLICY, profiles=("proven128", PROFILE))
    check("parameters" in found.check, f"{found}")


@pytest.mark.parametrize("policy", ["proven99", "none", "default", "proven100-"])
def test_b11_a_profile_that_does_not_exist(policy: str) -> None:
    forged = changed_context(policy=policy)
    expect(forged, Code.POLICY)
    expect(forged, Code.POLICY, profiles=(policy, PROFILE))


@pytest.mark.parametrize(
    ("shape", "depth", "code"),
    [
        # Of other pinned shapes, whose keys state other heights, or even other parameters.
        (ContextShape(13, 6, 512), 6, Code.SHAPE),
        (ContextShape(14, 7, 512), 7, Code.POLICY),
        (ContextShape(13, 6, 512), 7, Code.STATEMENT),
        # Of the same heights, as the tree's table is never smaller: another key.
        (ContextShape(12, 6, 512), 6, Code.VK),
        # Not pinned, not possible, not a power of two.
        (ContextShape(20, 5, 512), 5, Code.VK),
        (ContextShape(12, 5, 4096), 5, Code.VK),
        (ContextShape(12, 5, 500), 5, Code.VK),
        (ContextShape(12, 5, 513), 5, Code.VK),
        (ContextShape(12, 5, 1023), 5, Code.VK),
        (ContextShape(12, 5, 256), 5, Code.VK),
        (ContextShape(11, 5, 512), 5, Code.VK),
        (ContextShape(24, 5, 512), 5, Code.VK),
        (ContextShape(12, 12, 512), 12, Code.VK),
        (ContextShape(12, 0, 512), 0, Code.VK),
    ],
)
def test_d5_c5_another_shape(shape: ContextShape, depth: int, code: Code) -> None:
    expect(changed_context(shape=shape, depth=depth), code)


# ---- the statement


UNBOUND = {
    "exchange": {"exchange": "Another Exchange"},
    "time": {"time": "2026-02-01T00:00:00Z"},
    "epoch": {"epoch": 8},
    "nonce": {"nonce": bytes(32)},
    "previous": {"previous": None},
    "another previous": {"previous": bytes(31) + b"\1"},
    "symbol": {"registry": Registry((Asset("BTX", 8), Asset("ETH", 18), Asset("USDT", 6)))},
    "decimals": {"registry": Registry((Asset("BTC", 9), Asset("ETH", 18), Asset("USDT", 6)))},
    "assets exchanged": {
        "registry": Registry((Asset("ETH", 18), Asset("BTC", 8), Asset("USDT", 6)))
    },
}
"""Changes of what no number in a proof depends on."""


@pytest.mark.parametrize("name", list(UNBOUND))
def test_c10_a_field_that_no_constraint_reads(name: str) -> None:
    forged = changed_context(**UNBOUND[name])
    honest = proven(1).publication.statement.digest()
    # Against the digest that was published; and without it, as each batch's proof is bound to it.
    expect(forged, Code.STATEMENT, expected_digest=honest)
    found = expect(forged, Code.OOD)
    check("chain" in found.check, f"{found}")


def test_c10_an_asset_more_with_a_total_of_zero() -> None:
    # Assets that are not listed count zero in the digest of totals: it does not change.
    publication = proven(1).publication
    statement = publication.statement
    listed = Registry((*statement.context.registry.assets, Asset("NEW", 0)))
    more = Statement(
        replace(statement.context, registry=listed),
        (*statement.totals, 0),
        statement.root,
        statement.batches,
    )
    expect(replace(publication, statement=more), Code.OOD)
    expect(replace(publication, statement=more), Code.STATEMENT, expected_digest=statement.digest())


@pytest.mark.parametrize("digest", [bytes(32), b"", b"\xff" * 32])
def test_an_expected_digest_that_is_another(digest: bytes) -> None:
    expect(proven(1).data, Code.STATEMENT, expected_digest=digest)


@pytest.mark.parametrize("asset", [0, 1, 2])
@pytest.mark.parametrize("difference", [1, -1, P, 2**15, -(2**60)])
def test_c11_another_total(asset: int, difference: int) -> None:
    publication = proven(1).publication
    totals = list(publication.statement.totals)
    totals[asset] += difference
    if totals[asset] < 0:
        totals[asset] = 1
    forged = replace(publication, statement=replace(publication.statement, totals=tuple(totals)))
    expect(forged, Code.STATEMENT)


def test_c11_another_total_with_a_digest_that_it_opens() -> None:
    # The printed totals, the blind and the last digest fit each other; the proof is of another.
    own = proven(1)
    publication = own.publication
    totals = (*publication.statement.totals[:1], 0, *publication.statement.totals[2:])
    digest = totals_digest(publication.blind, totals, SHAPE.capacity)
    statement = replace(publication.statement, totals=totals)
    forged = replace(with_batch(publication, 0, digest_out=digest), statement=statement)
    found = expect(forged, Code.OOD)
    check("chain" in found.check, f"{found}")
    # Proven with the transcript of the false statement: refused by the constraints.
    batch = own.batches[0]
    publics = {**batch.publics, "chain": [1, *batch.digest_in, *digest]}
    proof = prove(proving_key(), batch.traces(), publics, batch_contexts(statement)[0])
    found = expect(with_batch(forged, 0, proof=proof), Code.OOD)
    check("chain" in found.check, f"{found}")


def test_c2_the_blind_and_the_digests() -> None:
    publication = proven(3).publication

    def moved(digest: tuple[int, ...]) -> tuple[int, ...]:
        return (*digest[:7], (digest[7] + 1) % P)

    expect(replace(publication, blind=moved(publication.blind)), Code.STATEMENT)
    found = expect(replace(publication, digest_start=moved(publication.digest_start)), Code.OOD)
    check("chain" in found.check, f"{found}")
    last = publication.batches[2]
    expect(with_batch(publication, 2, digest_out=moved(last.digest_out)), Code.STATEMENT)
    middle = publication.batches[1]
    expect(with_batch(publication, 1, digest_out=moved(middle.digest_out)), Code.OOD)
    for number, batch in enumerate(publication.batches):
        expect(with_batch(publication, number, root=moved(batch.root)), Code.STATEMENT)


def test_another_root() -> None:
    publication = proven(3).publication
    for lane in range(8):
        root = list(publication.statement.root)
        root[lane] = (root[lane] + 1) % P
        statement = replace(publication.statement, root=tuple(root))
        expect(replace(publication, statement=statement), Code.STATEMENT)


@pytest.mark.parametrize("depth", [5, 6, 8, 40])
def test_a_depth_that_is_not_that_of_the_batches(depth: int) -> None:
    # A level more, and a value inside a customer's chain would pass as a commitment.
    publication = proven(3).publication
    if depth < 7:
        with pytest.raises(Rejected) as caught:
            replace(publication.statement, context=replace(context(3), depth=depth))
        check_equal(caught.value.code, Code.STATEMENT)
        return
    statement = replace(publication.statement, context=replace(context(3), depth=depth))
    found = expect(replace(publication, statement=statement), Code.STATEMENT)
    check("depth" in found.check, f"{found}")


# ---- batches


def rebuilt(publication: Publication, numbers: tuple[int, ...]) -> Publication:
    """Some batches in some order, with the statement made to fit: root, number and depth."""
    batches = tuple(publication.batches[number] for number in numbers)
    statement = Statement(
        context(len(batches)),
        publication.statement.totals,
        upper_levels([batch.root for batch in batches])[-1][0],
        len(batches),
    )
    return replace(publication, batches=batches, statement=statement)


@pytest.mark.parametrize("numbers", [(1, 0, 2), (0, 2, 1), (0, 0, 2), (2, 2, 2)])
def test_batches_in_another_order_or_twice(numbers: tuple[int, ...]) -> None:
    publication = proven(3).publication
    batches = tuple(publication.batches[number] for number in numbers)
    expect(replace(publication, batches=batches), Code.STATEMENT)
    # With a root that fits: every proof is bound to the statement and to its place in it.
    code = Code.OOD if numbers[-1] == 2 else Code.STATEMENT
    expect(rebuilt(publication, numbers), code)


@pytest.mark.parametrize("numbers", [(1, 2), (0, 2), (2,), (0, 1, 2, 2), (0, 0, 1, 2)])
def test_batches_left_out_or_put_in(numbers: tuple[int, ...]) -> None:
    expect(rebuilt(proven(3).publication, numbers), Code.OOD)


def test_l6_the_first_batches_alone() -> None:
    # Their prover can open the digest after the second: the statement fits in every number.
    own = proven(3)
    shortened = rebuilt(own.publication, (0, 1))
    totals = tuple(own.batches[1].totals_out[:3])
    forged = replace(
        shortened,
        blind=own.blinds[2],
        statement=replace(shortened.statement, totals=totals),
    )
    expect(forged, Code.OOD)


def test_a_proof_in_the_place_of_another() -> None:
    publication = proven(3).publication
    for number, other in ((0, 1), (1, 2), (2, 0)):
        forged = with_batch(publication, number, proof=publication.batches[other].proof)
        expect(forged, Code.OOD)


def test_m14_two_roots_for_one_proof() -> None:
    one, three = proven(1).publication, proven(3).publication
    expect(with_batch(one, 0, root=three.batches[1].root), Code.STATEMENT)
    statement = replace(one.statement, root=three.batches[1].root)
    forged = with_batch(replace(one, statement=statement), 0, root=three.batches[1].root)
    # The chain's table comes first, and its challenges are others already.
    expect(forged, Code.OOD)


def test_a_proof_of_another_publication() -> None:
    # The same batch, number 0 of 1 and number 0 of 3.
    one, three = proven(1).publication, proven(3).publication
    check_equal(one.batches[0].root, three.batches[0].root)
    check(one.batches[0].proof != three.batches[0].proof, "bound to different statements")
    expect(with_batch(one, 0, proof=three.batches[0].proof), Code.OOD)


def test_a_first_batch_that_does_not_start_at_zero() -> None:
    # Everything is consistent, except that totals are carried in from nowhere.
    own = proven(1)
    totals = [0] * SHAPE.capacity
    totals[0] = 5
    batch = prepare_batch(SHAPE, accounts(0), totals, *own.blinds[:2], True)
    statement = statement_of([batch])
    check_equal(statement.totals[0], own.publication.statement.totals[0] + 5)
    proof = prove_batch(statement, 0, batch)
    forged = Publication(statement, own.blinds[1], batch.digest_in, (proof,))
    found = expect(forged, Code.OOD)
    check("chain" in found.check, f"{found}")


def test_a_batch_that_starts_from_other_totals_than_the_one_before_ended_with() -> None:
    # The second batch forgets what the first one owed.
    own = proven(3)
    first = own.batches[0]
    blinds = own.blinds
    second = prepare_batch(SHAPE, accounts(1), [0] * SHAPE.capacity, blinds[1], blinds[2], False)
    statement = statement_of([first, second])
    proofs = [prove_batch(statement, 0, first)]
    # With its own incoming digest in the transcript, and with the one that the verifier will use.
    proofs.append(prove_batch(statement, 1, second))
    forged = Publication(statement, blinds[2], first.digest_in, tuple(proofs))
    found = expect(forged, Code.OOD)
    check("chain" in found.check, f"{found}")
    publics = {**second.publics, "chain": [0, *first.digest_out, *second.digest_out]}
    adapted = prove(proving_key(), second.traces(), publics, batch_contexts(statement)[1])
    found = expect(with_batch(forged, 1, proof=adapted), Code.OOD)
    check("chain" in found.check, f"{found}")


def test_each_check_of_a_publication_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the check, the forgery passes everything up to the proof, which is not run here.
    publication = proven(1).publication
    deeper = replace(publication.statement, context=replace(publication.statement.context, depth=6))
    totals = replace(publication.statement, totals=(1, 2, 3))
    root = replace(publication.statement, root=tuple(range(8)))
    monkeypatch.setattr(verification, "verify", lambda *_: None)
    for name, statement in (
        ("check_depth", deeper),
        ("check_totals", totals),
        ("check_root", root),
    ):
        forged = replace(publication, statement=statement).encode()
        expect(forged, Code.STATEMENT)
        with monkeypatch.context() as patched:
            patched.setattr(verification, name, lambda *_: None)
            verify_publication(forged, None, (PROFILE,))
            others = {"check_depth", "check_totals", "check_root"} - {name}
            for other in others:
                patched.setattr(verification, other, _forbidden)
            with pytest.raises(LookupError):
                verify_publication(forged, None, (PROFILE,))


def _forbidden(*arguments: object) -> None:
    raise LookupError("the other checks do run")


def test_contexts_of_batches_are_told_apart() -> None:
    one, three = proven(1).publication.statement, proven(3).publication.statement
    contexts = [context for statement in (one, three) for context in batch_contexts(statement)]
    check_equal((len(contexts), len(set(contexts))), (4, 4))
    check(isinstance(one.context, Context), "a context")


BARRIER = """
import sys
from importlib.abc import MetaPathFinder


class Barrier(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"stark", "air"}:
            raise ImportError(f"{name} is not in the standard library")


sys.meta_path.insert(0, Barrier())
sys.path.insert(0, sys.argv[1])
from air.verification import verify_publication
from stark.errors import Rejected

honest, forged = (open(path, "rb").read() for path in sys.argv[2:4])
verify_publication(honest, None, (sys.argv[4],))
try:
    verify_publication(forged, None, (sys.argv[4],))
except Rejected as rejected:
    print(rejected.code)
"""


@pytest.mark.parametrize("options", [(), ("-O",)], ids=["plain", "-O"])
def test_a_forged_total_without_packages_and_without_assertions(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    publication = proven(1).publication
    totals = (*publication.statement.totals[:2], 1)
    forged = replace(publication, statement=replace(publication.statement, totals=totals))
    for name, one in (("honest", publication), ("forged", forged)):
        (tmp_path / name).write_bytes(one.encode())
    root = Path(__file__).parents[2]
    arguments = [root, tmp_path / "honest", tmp_path / "forged", PROFILE]
    result = subprocess.run(
        [sys.executable, "-I", "-S", *options, "-c", BARRIER, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    check_equal((result.returncode, result.stdout.strip()), (0, "Statement"), result.stderr)
