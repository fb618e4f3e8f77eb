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

import numpy as np
import pytest
from support.checks import check, check_equal
from support.cheating_systems import Dropping, ForeignProver
from support.joins import Given, Join, Offer
from support.mutations import ProofMap, byte_places, flipped, next_element
from support.publications import REGISTRY, SHAPE, accounts, with_statement
from support.small_aggregates import (
    LEVELS,
    TINY,
    bound_to,
    context,
    snapshot,
    tiny_keys,
    tiny_profile,
    tiny_publication,
)

from air.aggregate.circuits import join_circuit
from air.aggregate.keys import AggregateKeys, TrustedKeys, decode_aggregates, encode_aggregates
from air.aggregate.proving import Node, inner_batch_key, joined_publics, prove_batch
from air.aggregate.publics import AggregatePublics, aggregate_context
from air.aggregate.run import prove_aggregate
from air.canonical_json import encode
from air.context import Statement
from air.encoding import totals_digest
from air.publication import AggregatedPublication
from air.registry import Asset, Registry
from air.shape import Shape
from air.verification import Acceptance, aggregate_publics, verify_publication
from air.witness import Batch, prepare_batch
from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.prover.keygen import ProvingKey, generate_key
from stark.recursion.unsatisfied import Unsatisfied
from stark.system import System
from stark.verifier.verify import verify

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
    with pytest.raises(Rejected) as caught:
        encoded = data if isinstance(data, bytes) else data.encode()
        verify_publication(encoded, profiles=(TINY,), **options)
    return caught.value


def silent(*_: object) -> None:
    pass


def aggregated(batches: list[Batch] | tuple[Batch, ...], bound: bytes) -> bytes:
    return prove_aggregate(batches, SHAPE, TINY, bound, report=silent, lap=silent)


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


def with_statement_of(
    publication: AggregatedPublication, **changes: Any
) -> AggregatedPublication:
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
    named = {name: place for name, place in places}
    for name, place in [*named.items(), *places[::7]]:
        found = refused(replace(publication, proof=flipped(proof.proof, place)))
        allowed = header_codes if place < proof.header_end else proof_codes
        check(found.code in allowed, f"{name}: {found}")
        seen.add(name)
    check(seen >= HEADER, "all of the header")
    for place in list(proof.elements())[::211]:
        found = refused(replace(publication, proof=next_element(proof.proof, place)))
        check(found.code in proof_codes, f"{place}: {found}")


# ---- adaptive: whole trees of proofs about what is false


def test_a_tree_of_proofs_for_totals_that_are_too_low() -> None:
    """All proofs are made for the context of the false statement; the last digest opens to the
    totals that there are."""
    one = snapshot(2)
    honest = one.statement
    lower = replace(honest, totals=(honest.totals[0] - 1, *honest.totals[1:]))
    proof = aggregated(one.batches, bound_to(lower))
    forged = AggregatedPublication(lower, one.blinds[-1], one.batches[0].digest_in, proof)
    check(refused(forged).code in OTHER_PUBLICS, "another digest")
    # It is the honest statement's in all but the context.
    check(refused(replace(forged, statement=honest)).code in OTHER_PUBLICS, "another context")
    said = aggregate_publics(replace(forged, statement=honest), SHAPE)
    own = replace(said, context=bound_to(lower))
    key = tiny_keys().wrap_key(1)
    verify(key, proof, {"permutation": own.wrap_digest()}, own.context)


def test_equal_contexts_with_different_statements() -> None:
    """What proofs are bound to is both: two statements of one snapshot do not share a proof."""
    honest = snapshot(2).statement
    other = replace(honest, totals=(honest.totals[0], *reversed(honest.totals[1:])))
    check_equal(honest.context.digest(), other.context.digest())
    check(bound_to(honest) != bound_to(other), "the same")
    digests = (honest.context.digest(), honest.digest())
    check(aggregate_context(*digests) != aggregate_context(*reversed(digests)), "reversed")


def last_batches() -> list[Batch]:
    return list(snapshot(3).batches[1:])


TREES: dict[str, Callable[[], list[Batch]]] = {
    "a batch twice": lambda: [snapshot(3).batches[0]] * 2,
    "a batch missing": lambda: [snapshot(3).batches[0], snapshot(3).batches[2]],
    "the wrong order": lambda: list(reversed(snapshot(2).batches)),
    "other blinds": lambda: [snapshot(2).batches[0], snapshot(2, 1000).batches[1]],
    "a first one in the middle": lambda: [snapshot(2).batches[0], first_again()],
    "a first one in the middle, after nothing": lambda: [empty_first(), first_again(0)],
}


def first_again(seed: int = 1) -> Batch:
    """Batch 1 as if nothing came before, under the blind that it should have."""
    blinds = snapshot(2).blinds
    return prepare_batch(SHAPE, accounts(seed), [0] * SHAPE.capacity, blinds[1], blinds[2], True)


def empty_first() -> Batch:
    """A first batch that owes nothing: its totals go on being zero, as a first batch's are."""
    blinds = snapshot(2).blinds
    none = replace(accounts(0), limbs=np.zeros_like(accounts(0).limbs))
    return prepare_batch(SHAPE, none, [0] * SHAPE.capacity, blinds[0], blinds[1], True)


@cache
def batch_key() -> ProvingKey:
    return inner_batch_key(TINY, SHAPE)


@cache
def joins() -> Join:
    inner = batch_key().verification
    return Join(join_circuit(inner, 1), inner)


BOUND = bytes(range(32))


def prove_one(batch: Batch, bound: bytes = BOUND) -> Node:
    return prove_batch(batch_key(), batch, bound)


@pytest.mark.parametrize("name", TREES)
def test_batches_that_are_no_snapshot(name: str) -> None:
    left, right = TREES[name]()
    check_equal(joins().refusal(Offer.of(prove_one(left), prove_one(right))), "chain")


def test_the_prover_itself_says_so() -> None:
    with pytest.raises(Unsatisfied) as caught:
        aggregated(TREES["a batch twice"](), BOUND)
    check_equal(caught.value.label, "chain")


def test_a_batch_of_another_statement() -> None:
    one, two = snapshot(2).batches
    for left, right in ((BOUND, bytes(32)), (bytes(32), BOUND)):
        given = [Given(prove_one(one, left)), Given(prove_one(two, right))]
        offer = Offer(given[0], given[1], context=BOUND)
        check_equal(joins().refusal(offer), "out of domain")


def test_the_last_batches_as_if_they_were_all() -> None:
    """A true aggregate of batches 1 and 2: it starts from the totals of batch 0, and says so."""
    batches = last_batches()
    statement = replace(snapshot(2).statement, totals=tuple(batches[-1].totals_out[:3]))
    proof = aggregated(batches, bound_to(statement))
    key = tiny_keys().wrap_key(1)
    nodes = [
        AggregatePublics(
            bound_to(statement), 1, False, batch.digest_in, batch.digest_out, batch.root
        )
        for batch in batches
    ]
    said = joined_publics(Node(0, nodes[0], b""), Node(0, nodes[1], b""))
    verify(key, proof, {"permutation": said.wrap_digest()}, said.context)
    # The statement of it: its root and totals, but no first batch.
    forged = AggregatedPublication(
        replace(statement, root=said.root), snapshot(3).blinds[-1], said.digest_in, proof
    )
    opened = totals_digest(forged.blind, forged.statement.totals, SHAPE.capacity)
    check_equal(opened, said.digest_out)
    check(refused(forged).code in OTHER_PUBLICS, "not the first")


# ---- proofs for other keys in the place of batches


def test_a_batch_of_another_shape_or_profile() -> None:
    real = joins().inner
    wide = Shape(12, 6, 9)
    key = inner_batch_key(TINY, wide)
    rows = replace(
        accounts(0),
        commitments=np.tile(accounts(0).commitments, (2, 1)),
        offsets=np.arange(wide.slots + 1),
    )
    batch = prepare_batch(
        wide, rows, [0] * wide.capacity, *snapshot(2).blinds[:2], True
    )
    node = prove_batch(key, batch, BOUND)
    with pytest.raises(Rejected) as caught:
        Offer.of(node, None).hints(real)
    check(caught.value.code in OTHER_KEY, str(caught.value))
    other = generate_key(real.system, replace(real.parameters, queries=1))
    node = prove_batch(other, snapshot(2).batches[0], BOUND)
    with pytest.raises(Rejected) as caught:
        Offer.of(node, None).hints(real)
    check_equal(caught.value.code, Code.POLICY)


def test_a_batch_without_a_rule_under_the_name_of_a_real_one() -> None:
    """The first batch starts from what it likes; proven for the key of the real tables."""
    real = joins().inner
    dropped = "the first batch starts from zero"
    airs = [
        Dropping(table.air, dropped) if table.name == "chain" else table.air
        for table in real.system.tables
    ]
    twin = generate_key(System(airs, False, whole_rows=True), real.parameters)
    check(twin.verification.digest != real.digest, "another key")
    blinds = snapshot(2).blinds
    totals = [7] + [0] * (SHAPE.capacity - 1)
    batch = prepare_batch(SHAPE, accounts(0), totals, blinds[0], blinds[1], True)
    node = prove_batch(twin, batch, BOUND)
    own = Join(join_circuit(twin.verification, 1), twin.verification)
    check_equal(own.refusal(Offer.of(node, None)), "")
    with pytest.raises(Rejected) as caught:
        Offer.of(node, None).hints(real)
    check_equal(caught.value.code, Code.VK)

    class Named(ForeignProver):
        claimed = real

    proof = Named(twin, node.inner_publics, BOUND).run(batch.traces())
    forged = replace(node, proof=proof)
    with pytest.raises(Rejected) as caught:
        verify(real, proof, forged.inner_publics, BOUND)
    check_equal(caught.value.code, Code.OOD)
    check_equal(joins().refusal(Offer.of(forged, None)), "out of domain")


# ---- keys in each other's place


def swapped() -> dict[str, AggregateKeys]:
    keys = tiny_keys()
    low, high = keys.wraps
    zeros = bytes(32)
    taller = replace(high, shape=replace(high.shape, log_folds=high.shape.log_folds + 1))
    return {
        "wraps of other levels": replace(keys, wraps=(high, low)),
        "another root": replace(keys, wraps=(low, replace(high, root=zeros[:-1] + b"\1"))),
        "another shape": replace(keys, wraps=(low, taller)),
    }


@pytest.mark.parametrize(
    "name", ["wraps of other levels", "another root", "another shape"]
)
def test_keys_in_the_wrong_place(name: str) -> None:
    keys = swapped()[name]
    trusted = TrustedKeys((keys,), keys.digest(LEVELS))
    check(refused(tiny_publication(3), trusted=trusted).code in (*OTHER_KEY, Code.FORMAT), name)


def test_joins_in_the_place_of_wraps() -> None:
    """Tables that are too short for masks."""
    keys = replace(tiny_keys(), wraps=tiny_keys().joins)
    found = refused(tiny_publication(3), trusted=TrustedKeys((keys,), tiny_keys().digest(LEVELS)))
    check(found.code in (Code.VK, Code.ZK), str(found))


def test_the_digest_of_the_keys_is_of_all_of_them() -> None:
    """Layers below the wrap are not read by the verifier; who trusts a digest trusts them all."""
    keys = tiny_keys()
    (one, two) = keys.joins
    root = bytes(31) + b"\1"
    others = [
        replace(keys, batch_root=root),
        replace(keys, joins=(two, one)),
        replace(keys, joins=(replace(one, root=root), two)),
        replace(keys, joins=(one, replace(two, root=root))),
        *swapped().values(),
    ]
    trusted = keys.digest(LEVELS)
    accept(tiny_publication(3), trusted=TrustedKeys((keys,), trusted))
    for other in others:
        found = refused(tiny_publication(3), trusted=TrustedKeys((other,), trusted))
        check_equal((found.code, found.check), (Code.VK, "digest of the given keys"))


def test_placeholders_are_no_keys() -> None:
    keys = tiny_keys()
    blank = encode_aggregates((keys,)).decode()
    check_equal(decode_aggregates(blank.encode()), (keys,))
    roots = [keys.batch_root, *(one.root for one in (*keys.joins, *keys.wraps))]
    for root in roots:
        with pytest.raises(Rejected) as caught:
            decode_aggregates(blank.replace(root.hex(), "00" * 32).encode())
        check_equal(caught.value.code, Code.VK)


def test_keys_are_those_of_this_source() -> None:
    """The circuits decide what is accepted: a join more or less is another key."""
    keys = tiny_keys()
    check_equal(len({one.root for one in (*keys.joins, *keys.wraps)}), 2 * LEVELS)
    check_equal(keys.batch_key().digest, batch_key().verification.digest)


def test_statements_name_what_they_need() -> None:
    """The helper's context is the real one: a statement that says nothing would prove nothing."""
    statement: Statement = tiny_publication(2).statement
    check_equal(statement.context, context(2))
    check_equal(statement.context.registry, REGISTRY)
