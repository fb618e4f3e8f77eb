"""From accounts to a file of version 2 and back: batches, joins, wrap, and every field of the file.

Tables, circuits and formats are the real ones; the parameters have next to no security, so that a
tree of proofs takes seconds. What a proof of so few queries lets pass by chance is not tested here:
all that is refused is refused for certain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from support.checks import check, check_equal
from support.mutations import ProofMap, byte_places, flipped, next_element
from support.publications import SHAPE, with_statement
from support.small_aggregates import (
    LEVELS,
    TINY,
    snapshot,
    tiny_keys,
    tiny_profile,
    tiny_publication,
)

from air.aggregate.run import prove_aggregate
from air.canonical_json import encode
from air.publication import AggregatedPublication
from air.registry import Asset, Registry
from air.verification import Acceptance, aggregate_publics, verify_publication
from air.witness import Batch
from stark.errors import Code, Rejected
from stark.field.koalabear import P

OTHER_PUBLICS = (Code.OOD, Code.MERKLE)
"""What a proof is refused for whose transcript begins otherwise: the values do not fit the
constraints under another challenge, or rows are opened that the file does not have."""

OTHER_KEY = (Code.SHAPE, Code.VK)


@pytest.fixture(autouse=True)
def profile() -> Iterator[None]:
    with tiny_profile():
        yield


def accept(publication: AggregatedPublication, **options: Any) -> Acceptance:
    return verify_publication(publication.encode(), profiles=(TINY,), **options)


def refused(data: bytes | AggregatedPublication, **options: Any) -> Rejected:
    encoded = data if isinstance(data, bytes) else data.encode()
    with pytest.raises(Rejected) as caught:
        verify_publication(encoded, profiles=(TINY,), **options)
    return caught.value


def aggregated(batches: list[Batch] | tuple[Batch, ...], bound: bytes) -> bytes:
    return prove_aggregate(batches, SHAPE, TINY, bound)


# ---- honest


@pytest.mark.parametrize("count", [2, 3])
def test_a_publication_is_accepted(count: int) -> None:
    publication = tiny_publication(count)
    statement = publication.statement
    acceptance = accept(publication, expected_digest=statement.digest())
    check_equal(acceptance.statement, statement)
    check_equal(statement.totals, tuple(snapshot(count).batches[-1].totals_out[:3]))
    check_equal([one.name for one in acceptance.checks], ["statement", "key", "aggregate"])
    security = acceptance.aggregate
    check(security is not None, "an aggregate")
    if security is not None:
        levels = (count - 1).bit_length()
        counts = [-(-count // 2**level) for level in range(levels + 1)] + [1]
        check_equal([entry.layer.count for entry in security.layers], counts)
        check_equal(security.key_digest, tiny_keys().digest(levels))


def test_files_of_two_and_three_batches_have_one_size() -> None:
    """No more than a few bytes: those of the statement."""
    sizes = [len(tiny_publication(count).proof) for count in (2, 3)]
    check(abs(sizes[0] - sizes[1]) < 4096, str(sizes))


# ---- fields of the statement


def changed_statements() -> dict[str, tuple[Callable[[Any], None], tuple[Code, ...]]]:
    """A change of every field of the statement, as JSON, and why it is refused."""
    other_text = "Other Exchange"

    def put(*path: str | int, value: Any) -> Callable[[Any], None]:
        def change(tree: Any) -> None:
            for step in path[:-1]:
                tree = tree[step]
            check(tree[path[-1]] != value, "a change")
            tree[path[-1]] = value

        return change

    c = "context"
    zeros = "00" * 32
    return {
        "format": (put("format", value="9"), (Code.VERSION, Code.FORMAT)),
        "kind": (put(c, "kind", value="margin"), (*OTHER_PUBLICS, Code.STATEMENT)),
        "exchange": (put(c, "exchange", value=other_text), OTHER_PUBLICS),
        "time": (put(c, "time", value="2026-02-28T00:00:00Z"), OTHER_PUBLICS),
        "epoch": (put(c, "epoch", value="8"), OTHER_PUBLICS),
        "nonce": (put(c, "nonce", value=zeros), OTHER_PUBLICS),
        "previous": (put(c, "previous", value="11" * 32), OTHER_PUBLICS),
        "no previous": (put(c, "previous", value=None), OTHER_PUBLICS),
        "depth": (put(c, "depth", value="8"), (Code.STATEMENT,)),
        "policy": (put(c, "policy", value="proven128"), (Code.POLICY,)),
        "batches": (put("batches", value="4"), OTHER_PUBLICS),
        "more batches": (put("batches", value="5"), (Code.VK, Code.STATEMENT)),
        "two batches": (put("batches", value="2"), (Code.STATEMENT,)),
        "one batch": (put("batches", value="1"), (Code.STATEMENT,)),
    }


def leaves(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Any = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        yield path
    for key, value in items:
        yield from leaves(value, (*path, key))


def with_tree(publication: AggregatedPublication, tree: Any) -> bytes:
    return with_statement(publication.encode(), encode(tree))


@pytest.mark.parametrize("name", [name for name in changed_statements() if name != "format"])
def test_a_field_of_the_statement(name: str) -> None:
    change, codes = changed_statements()[name]
    publication = tiny_publication(3)
    tree = json.loads(publication.statement.encode())
    change(tree)
    found = refused(with_tree(publication, tree))
    check(found.code in codes, str(found))


def test_every_leaf_of_the_statement() -> None:
    """The next digit or letter in each, whatever it means: nothing in it is free."""
    publication = tiny_publication(3)
    honest = json.loads(publication.statement.encode())
    seen = 0
    for path in leaves(honest):
        tree = json.loads(publication.statement.encode())
        place = tree
        for step in path[:-1]:
            place = place[step]
        text = place[path[-1]]
        if not isinstance(text, str):
            continue
        last = text[-1]
        place[path[-1]] = text[:-1] + ("1" if last == "0" else chr(ord(last) - 1))
        check(tree != honest, "a change")
        found = refused(with_tree(publication, tree))
        allowed = (*OTHER_PUBLICS, *OTHER_KEY, Code.STATEMENT, Code.POLICY, Code.FORMAT)
        check(found.code in (*allowed, Code.VERSION, Code.CANONICAL), f"{path}: {found}")
        seen += 1
    check(seen >= 20, f"{seen} fields")


def with_statement_of(publication: AggregatedPublication, **changes: Any) -> AggregatedPublication:
    return replace(publication, statement=replace(publication.statement, **changes))


def test_totals_root_and_registry() -> None:
    publication = tiny_publication(3)
    totals, root = publication.statement.totals, publication.statement.root
    forged = [
        with_statement_of(publication, totals=(totals[0] - 1, *totals[1:])),
        with_statement_of(publication, totals=(*totals[:2], totals[2] + 1)),
        with_statement_of(publication, totals=(totals[1], totals[0], totals[2])),
        with_statement_of(publication, root=(*root[:7], root[7] ^ 1)),
        with_statement_of(publication, root=snapshot(3).batches[0].root),
    ]
    others = (
        Registry((Asset("BTC", 8), Asset("ETH", 18), Asset("USDC", 6))),
        Registry((Asset("BTC", 9), Asset("ETH", 18), Asset("USDT", 6))),
        Registry((Asset("ETH", 18), Asset("BTC", 8), Asset("USDT", 6))),
    )
    for registry in others:
        changed = replace(publication.statement.context, registry=registry)
        forged.append(with_statement_of(publication, context=changed))
    for one in forged:
        check(refused(one).code in OTHER_PUBLICS, "what the proof is about")
        expected = publication.statement.digest()
        check_equal(refused(one, expected_digest=expected).code, Code.STATEMENT)


def test_the_statement_of_another_number_of_batches() -> None:
    """Two batches for three and the reverse, with the depth that belongs to it."""
    two, three = tiny_publication(2), tiny_publication(3)
    for one, other in ((two, three), (three, two)):
        found = refused(replace(one, proof=other.proof))
        check(found.code in (*OTHER_KEY, Code.FORMAT), str(found))
    # All that stands in the file but the statement, of the same number of batches and levels.
    four = replace(three.statement, batches=4)
    check(refused(replace(three, statement=four)).code in OTHER_PUBLICS, "four for three")


# ---- the other fields


def test_every_lane_of_both_digests() -> None:
    publication = tiny_publication(3)
    data = publication.encode()
    start = 14 + len(publication.statement.encode())
    for lane in range(16):
        at = start + 4 * lane
        check(refused(next_element(data, at)).code in OTHER_PUBLICS, f"lane {lane}")
        alias = int.from_bytes(data[at : at + 4], "little") + P
        if alias < 1 << 32:
            forged = data[:at] + alias.to_bytes(4, "little") + data[at + 4 :]
            check_equal(refused(forged).code, Code.CANONICAL)


def test_head_and_lengths() -> None:
    data = tiny_publication(3).encode()
    size = len(tiny_publication(3).statement.encode())
    codes = {
        range(8): (Code.FORMAT,),
        range(8, 10): (Code.VERSION, Code.FORMAT),
        range(10, 14): (Code.FORMAT, Code.LIMIT),
        range(14 + size + 64, 14 + size + 68): (Code.FORMAT, Code.LIMIT),
    }
    for places, allowed in codes.items():
        for place in places:
            for mask in (1, 128):
                found = refused(flipped(data, place, mask))
                check(found.code in (*allowed, Code.CANONICAL), f"{place}: {found}")
    # The version of batches by themselves, with this content.
    found = refused(data[:8] + b"\1\0" + data[10:])
    check(found.code in (Code.FORMAT, Code.CANONICAL, Code.LIMIT), str(found))
    for more in (b"\0", data[:1], data):
        check_equal(refused(data + more).code, Code.FORMAT)
    for length in (len(data) - 1, len(data) - 500, 14 + size + 64, 14 + size, 13, 0):
        check_equal(refused(data[:length]).code, Code.FORMAT)


@cache
def parts() -> ProofMap:
    publication = tiny_publication(3)
    publics = aggregate_publics(publication, SHAPE)
    key = tiny_keys().wrap_key(LEVELS)
    said = {"permutation": publics.wrap_digest()}
    return ProofMap(key, publication.proof, said, publics.context)


HEADER = {"magic", "version", "parameters", "shape", "key digest"}


def test_every_field_of_the_proof() -> None:
    publication, proof = tiny_publication(3), parts()
    header_codes = (
        *(Code.FORMAT, Code.VERSION, Code.SUITE, Code.POLICY, Code.PARAMS, Code.SHAPE, Code.VK),
        Code.CANONICAL,
    )
    proof_codes = (
        *(Code.OOD, Code.BUS, Code.MERKLE, Code.POW, Code.FRI_FOLD, Code.FRI_FINAL),
        *(Code.FORMAT, Code.CANONICAL),
    )
    seen = set()
    places = list(byte_places(proof))
    named = dict(places)
    for name, place in [*named.items(), *places[::7]]:
        found = refused(replace(publication, proof=flipped(proof.proof, place)))
        allowed = header_codes if place < proof.header_end else proof_codes
        check(found.code in allowed, f"{name}: {found}")
        seen.add(name)
    check(seen >= HEADER, "all of the header")
    for place in list(proof.elements())[::211]:
        found = refused(replace(publication, proof=next_element(proof.proof, place)))
        check(found.code in proof_codes, f"{place}: {found}")
