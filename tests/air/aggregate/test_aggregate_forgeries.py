"""Whole trees of proofs about what is false, and keys in the wrong place: real tables and circuits.

Parameters have next to no security; all that is refused here is refused for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from support.cheating_systems import Dropping, ForeignProver
from support.checks import check, check_equal
from support.joins import Given, Join, Offer
from support.publications import REGISTRY, SHAPE, accounts
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
from air.context import Statement
from air.encoding import totals_digest
from air.publication import AggregatedPublication
from air.shape import Shape
from air.verification import Acceptance, aggregate_publics, verify_publication
from air.witness import Batch, prepare_batch
from stark.errors import Code, Rejected
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
    encoded = data if isinstance(data, bytes) else data.encode()
    with pytest.raises(Rejected) as caught:
        verify_publication(encoded, profiles=(TINY,), **options)
    return caught.value


def aggregated(batches: list[Batch] | tuple[Batch, ...], bound: bytes) -> bytes:
    return prove_aggregate(batches, SHAPE, TINY, bound)


# ---- whole trees of proofs about what is false


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
    batch = prepare_batch(wide, rows, [0] * wide.capacity, *snapshot(2).blinds[:2], True)
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
    dropped = "the first batch starts from zero [0]"
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


@pytest.mark.parametrize("name", ["wraps of other levels", "another root", "another shape"])
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
    """The context of the attack is the real one: a statement that says nothing proves nothing."""
    statement: Statement = tiny_publication(2).statement
    check_equal(statement.context, context(2))
    check_equal(statement.context.registry, REGISTRY)
