"""Real proofs of joins and wraps: honest ones, forced ones, and true ones for something else.

A join that no witness satisfies is proven all the same, by a prover who goes on past what does not
fit: its tables do not hold, the verifier refuses the proof, and so does the circuit above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from support.cheating_systems import ForeignProver
from support.checks import check, check_equal
from support.forced_joins import Forced
from support.join_cheats import children, false_blocks, joined, spliced
from support.join_mutants import Mutation, Site, mutant
from support.joins import (
    CONTEXT,
    Given,
    Join,
    Offer,
    Raw,
    digest,
    join,
    join_of,
    prove_join,
    prove_said,
    real_join_of,
    real_key,
    said,
    said_publics,
    stand_in_key,
    wrap_of,
)

from air.aggregate.circuits import empty_root, join_circuit, wrap_circuit
from air.aggregate.proving import Node, joined_publics
from air.aggregate.proving import prove_wrap as real_prove_wrap
from air.aggregate.publics import AggregatePublics, context_blocks
from air.encoding import node_digest
from stark.debug.faults import BusFault, explain
from stark.errors import Code, Rejected
from stark.prover.prove import Prover
from stark.recursion.inputs import circuit_inputs
from stark.recursion.unsatisfied import Unsatisfied
from stark.verifier.header import encode_header
from stark.verifier.verify import verify

OTHER_KEY = (Code.SHAPE, Code.VK)
"""Why a proof for another key is refused: its tables are of another size, or its key is named."""

INNER = ("", "public values", "chain")
"""What a join does not refuse a child's proof in."""


def verify_join(one: Join, node: Node, publics: AggregatePublics | None = None) -> None:
    said_so = (publics or node.publics).digest()
    verify(one.key.verification, node.proof, {"permutation": said_so}, CONTEXT)


def refused(action: Callable[..., object], *arguments: Any) -> Code:
    with pytest.raises(Rejected) as caught:
        action(*arguments)
    return caught.value.code


# ---- honest


@pytest.mark.parametrize("count", [3, 4])
def test_joins_of_joins_are_accepted(count: int) -> None:
    top = join(2, 0, count)
    verify_join(real_join_of(2), top)
    check_equal((top.publics.count, top.publics.first), (count, True))
    check_equal(top.publics.digest_in, digest(0))
    check_equal(top.publics.digest_out, digest(1000 * count))
    lower = [join(1, 0, 2), join(1, 2, count - 2)]
    check_equal(top.publics.root, node_digest(lower[0].publics.root, lower[1].publics.root))


# ---- forced past a check


def no_neighbours(level: int) -> Offer:
    left = said(level - 1, 0)
    return Offer.of(left, prove_said(level - 1, said_publics(level - 1, 1, digest_in=digest(7))))


def neighbours_but_for(half: int) -> Offer:
    ends, other = said_publics(0, 0).digest_out, digest(70_000)
    starts = spliced(ends, other) if half else spliced(other, ends)
    return Offer.of(said(0, 0), prove_said(0, said_publics(0, 1, digest_in=starts)))


def false_constraint(side: int) -> Offer:
    """A child whose trace breaks its own rule, proven by somebody who does not check."""
    given = [Given(node) for node in children(1)]
    given[side] = Given(broken(side))
    return Offer(given[0], given[1])


@cache
def broken(number: int) -> Node:
    node, key = said(0, number), stand_in_key(0)
    traces = {}
    for table in key.verification.system.tables:
        columns = table.air.trace(node.inner_publics[table.name])  # type: ignore[attr-defined]
        columns["own"][5] += 1
        traces[table.name] = columns
    proof = Prover(key, node.inner_publics, CONTEXT).run(traces)
    return replace(node, proof=proof)


FORCED: dict[str, tuple[int, Callable[[], Offer]]] = {
    "a batch twice": (1, lambda: Offer.of(said(0, 0), said(0, 0))),
    "a batch missing": (1, lambda: Offer.of(said(0, 0), said(0, 2))),
    "batches in the wrong order": (1, lambda: Offer.of(said(0, 1), said(0, 0))),
    "no neighbours": (1, lambda: no_neighbours(1)),
    "no neighbouring pairs": (2, lambda: no_neighbours(2)),
    "neighbours but for low lanes": (1, lambda: neighbours_but_for(0)),
    "neighbours but for high lanes": (1, lambda: neighbours_but_for(1)),
    "first in the middle": (
        1,
        lambda: Offer.of(said(0, 0), prove_said(0, said_publics(0, 1, first=True))),
    ),
    "a left child that is not full": (
        2,
        lambda: Offer.of(prove_said(1, said_publics(1, 0, count=1)), said(1, 1)),
    ),
    "a right child twice": (1, lambda: Offer.of(*children(1), present=(2, 0, 0, 0, 0))),
    "a left proof of what is false": (1, lambda: false_constraint(0)),
    "a right proof of what is false": (1, lambda: false_constraint(1)),
}


@cache
def forced(name: str) -> Forced:
    level, make = FORCED[name]
    one = join_of(level)
    return Forced.of(one, make(), lambda: join_circuit(one.inner, level))


@pytest.mark.parametrize("name", FORCED)
def test_rows_forced_past_a_check_do_not_balance(name: str) -> None:
    level, make = FORCED[name]
    check(join_of(level).refusal(make()) != "", "the honest prover finds no witness")
    found = forced(name).faults()
    check(bool(found), "nothing is wrong with the traces")
    # The row computes what it must not: a wire that nobody has written so.
    wires = [fault for fault in found if isinstance(fault, BusFault) and fault.bus == "wire"]
    check_equal(len(wires), len(found), explain(found))
    tables = {message.table for fault in wires for message in fault.messages}
    check("arithmetic" in tables, explain(found))


def test_honest_rows_forced_past_nothing_hold() -> None:
    one = join_of(1)
    offer = Offer.of(*children(1))
    honest = Forced.of(one, offer, lambda: join_circuit(one.inner, 1))
    check_equal(honest.faults(), [])
    check_equal(honest.witness.public, one.run(offer).public)
    publics = joined_publics(*children(1))
    verify_join(one, Node(1, publics, honest.proof(CONTEXT)))


@pytest.mark.parametrize(
    "name",
    ["a batch twice", "a batch missing", "first in the middle", "a left proof of what is false"],
)
def test_a_forced_proof_is_refused_and_not_joined_again(name: str) -> None:
    one = forced(name)
    proof = one.proof(CONTEXT)
    publics = {"permutation": list(one.witness.public)}
    check_equal(refused(verify, one.join.key.verification, proof, publics, CONTEXT), Code.BUS)
    # What it says, as far as the circuit above can tell: the batches of the offer.
    offer = FORCED[name][1]()
    said_so = joined(1, offer.left.node.publics, offer.right.node.publics, 1)
    check_equal(tuple(publics["permutation"]), said_so.digest())
    above = Offer.of(Node(1, said_so, proof), None)
    check_equal(real_join_of(2).refusal(above), "out of domain")


def test_a_proof_of_what_is_false_is_refused_by_both_verifiers() -> None:
    node = broken(0)
    key = stand_in_key(0).verification
    check_equal(refused(verify, key, node.proof, node.inner_publics, CONTEXT), Code.OOD)
    check_equal(join_of(1).refusal(false_constraint(0)), "out of domain")


def test_tables_of_two_witnesses_do_not_fit_together() -> None:
    """Half of the rows speak of one pair of proofs, half of another."""
    one = join_of(1)
    honest = one.run(Offer.of(*children(1)))
    other = one.run(Offer.of(said(0, 2), said(0, 3)))
    for table in ("arithmetic", "decomposition"):
        mixed = replace(honest, traces={**honest.traces, table: other.traces[table]})
        found = Forced(one, mixed).faults()
        check(bool(found) and all(isinstance(fault, BusFault) for fault in found), table)
    mixed = replace(honest, traces={**honest.traces, "arithmetic": other.traces["arithmetic"]})
    proof = Forced(one, mixed).proof(CONTEXT)
    publics = {"permutation": list(honest.public)}
    check_equal(refused(verify, one.key.verification, proof, publics, CONTEXT), Code.BUS)


# ---- true proofs of something else


def false_claims() -> list[AggregatePublics]:
    """What a join of the first two batches does not say."""
    left, right = (node.publics for node in children(1))
    honest = joined(1, left, right, 1)
    return [
        *(replace(honest, **change) for change in false_blocks() if "context" not in change),
        replace(honest, count=1),
        replace(honest, first=False),
        replace(honest, root=node_digest(right.root, left.root)),
        replace(honest, root=node_digest(left.root, left.root)),
        replace(honest, root=node_digest(left.root, empty_root(0))),
        replace(honest, digest_in=honest.digest_out, digest_out=honest.digest_in),
        replace(honest, digest_out=left.digest_out),
    ]


def test_a_join_does_not_prove_what_it_does_not_say() -> None:
    one = join_of(1)
    honest = join(1, 0, 2)
    for number, claim in enumerate(false_claims()):
        # The honest proof with other public values: all challenges are others.
        check(refused(verify_join, one, honest, claim) in (Code.OOD, Code.MERKLE), "refused")
        if number % 3 == 0:
            node = prove_join(one, Offer.of(*children(1)), claim)
            check_equal(refused(verify_join, one, node), Code.OOD)
    # And the level above is no easier to convince.
    above = real_join_of(2)
    check_equal(above.refusal(Offer.of(node, None)), "out of domain")
    told = [int(value) for value in replace(honest, publics=claim).hints]
    offer = Offer(Given(honest, told), Given(honest), (0, 0, 0, 0, 0))
    check(above.refusal(offer) not in INNER, "by the proof")


def test_an_absent_child_is_nothing_but_absent() -> None:
    """Empty subtrees of another level, zeros, or the copy in its place."""
    one = real_join_of(2)
    left = join(1, 0, 2)
    honest = joined_publics(left, None)
    for root in (empty_root(0), empty_root(2), left.publics.root):
        claim = replace(honest, root=node_digest(left.publics.root, root))
        check(claim != honest, "another root")
        check(one.run(Offer.of(left, None)).public != claim.digest(), "not said")
    claim = replace(honest, root=node_digest(empty_root(1), left.publics.root))
    check(one.run(Offer.of(left, None)).public != claim.digest(), "absent on the left")
    node = prove_join(one, Offer.of(left, None), claim)
    check_equal(refused(verify_join, one, node), Code.OOD)


def test_a_real_child_that_is_not_full() -> None:
    offer = Offer.of(join(1, 0, 1), join(1, 2, 2))
    check_equal(real_join_of(2).refusal(offer), "chain")
    # Even if its one batch ends where the right child begins: absence is at the end alone.
    alone = prove_said(0, said_publics(0, 0, digest_out=digest(2000)))
    publics = joined_publics(alone, None)
    short = prove_join(join_of(1), Offer.of(alone, None), publics)
    check_equal(short.publics.digest_out, join(1, 2, 2).publics.digest_in)
    check_equal(real_join_of(2).refusal(Offer.of(short, join(1, 2, 2))), "chain")


def test_a_real_child_says_nothing_but_the_truth() -> None:
    node = join(1, 0, 1)
    told = [int(value) for value in replace(node, publics=replace(node.publics, count=2)).hints]
    offer = Offer(Given(node, told), Given(node), (0, 0, 0, 0, 0))
    check(real_join_of(2).refusal(offer) not in INNER, "by the proof")


def test_overlapping_real_joins() -> None:
    check_equal(real_join_of(2).refusal(Offer.of(join(1, 0, 2), join(1, 1, 2))), "chain")


# ---- twins of the joins themselves


@dataclass(frozen=True)
class Twin:
    """A join like the real one but for what it lets pass, with a proof that the real one has not.

    Attributes
    ----------
    publics
        What that proof says.
    above
        The joins over the real one.
    """

    real: Join
    twin: Join
    offer: Offer
    publics: AggregatePublics
    above: Join

    @property
    def node(self) -> Node:
        return prove_join(self.twin, self.offer, self.publics)


def without_a_chain() -> Twin:
    twin = mutant(1, Mutation(Site("require", 2), "unchecked"))
    offer = neighbours_but_for(0)
    publics = joined(1, offer.left.node.publics, offer.right.node.publics, 1)
    return Twin(join_of(1), twin, offer, publics, real_join_of(2))


def over_other_batches() -> Twin:
    """Its batches lack a rule: each of them is refused, and a join of them is as well."""
    key = stand_in_key(0, bound=False)
    batches = [prove_said(0, said_publics(0, number), key=key) for number in (0, 1)]
    twin = Join(join_circuit(key.verification, 1), key.verification)
    offer = Offer.of(*batches)
    publics = joined(1, batches[0].publics, batches[1].publics, 1)
    return Twin(join_of(1), twin, offer, publics, real_join_of(2))


def of_another_level() -> Twin:
    """Levels from the second on have joins of one form; what is full differs, and what is empty."""
    key = stand_in_key(1).verification
    real, twin = join_of(2), Join(join_circuit(key, 3), key)
    offer = Offer.of(said(1, 0), None)
    publics = joined(3, offer.left.node.publics, offer.left.node.publics, 0)
    above = Join(join_circuit(real.key.verification, 3), real.key.verification)
    return Twin(real, twin, offer, publics, above)


TWINS = (without_a_chain, over_other_batches, of_another_level)


@pytest.mark.parametrize("make", TWINS)
def test_a_join_for_another_key_is_not_joined_again(make: Callable[[], Twin]) -> None:
    """The twin proves what the real one does not; its proof has the form, and not the key."""
    case = make()
    twin, real, above = case.twin, case.real, case.above
    check_equal(twin.key.shape, real.key.shape)
    check(twin.key.verification.digest != real.key.verification.digest, "another key")
    node = case.node
    verify_join(twin, node)
    check_equal(refused(verify_join, real, node), Code.VK)
    check_equal(refused(Offer.of(node, None).hints, above.inner), Code.VK)
    values = Raw(Offer.of(node, None).hints(twin.key.verification))
    check(above.refusal(values) not in INNER, "by the proof")
    # The same with the twin's header exchanged for the real one's.
    heads = [encode_header(one.key.verification) for one in (real, twin)]
    dressed = replace(node, proof=heads[0] + node.proof[len(heads[1]) :])
    check(refused(verify_join, real, dressed) in (Code.OOD, Code.MERKLE), "its key is bound")


@pytest.mark.parametrize("make", TWINS)
def test_a_twin_that_is_proven_under_the_name_of_the_real_key(make: Callable[[], Twin]) -> None:
    """All challenges are those for the real key; rows of other fixed columns do not hash to its
    root."""
    case = make()

    class Named(ForeignProver):
        claimed = case.real.key.verification

    witness = case.twin.run(case.offer)
    said_so = {"permutation": list(case.publics.digest())}
    check_equal(list(witness.public), said_so["permutation"])
    proof = Named(case.twin.key.key, said_so, CONTEXT).run(witness.traces)
    level = case.offer.left.node.level + 1
    node = Node(level, case.publics, proof)
    check_equal(refused(verify_join, case.real, node), Code.MERKLE)
    check_equal(case.above.refusal(Offer.of(node, None)), "query 0")


# ---- wraps


@cache
def wrapped(level: int, first: int, count: int) -> bytes:
    return real_prove_wrap(wrap_of(level).key, real_key(level), join(level, first, count))


def verify_wrap(level: int, proof: bytes, publics: AggregatePublics) -> None:
    said_so = {"permutation": publics.wrap_digest()}
    verify(wrap_of(level).key.verification, proof, said_so, CONTEXT)


def test_a_wrap_is_of_the_last_join_alone() -> None:
    """A partial aggregate, in place of one of all batches."""
    whole = join(2, 0, 4).publics
    verify_wrap(2, wrapped(2, 0, 4), whole)
    other = join(2, 0, 3).publics
    verify_wrap(2, wrapped(2, 0, 3), other)
    refusals = (Code.OOD, Code.MERKLE)
    check(refused(verify_wrap, 2, wrapped(2, 0, 3), whole) in refusals, "three for four")
    check(refused(verify_wrap, 2, wrapped(2, 0, 4), other) in refusals, "four for three")
    # Each of the three values that tell them apart, alone.
    for name in ("count", "root", "digest_out"):
        mixed = replace(whole, **{name: getattr(other, name)})
        check(refused(verify_wrap, 2, wrapped(2, 0, 4), mixed) in refusals, name)
    # Of the first two batches, and of the last two: other levels have other keys.
    for first in (0, 2):
        proof = wrapped(1, first, 2)
        verify_wrap(1, proof, join(1, first, 2).publics)
        check(refused(verify_wrap, 2, proof, whole) in OTHER_KEY, "of another level")
    check(refused(verify_wrap, 1, wrapped(2, 0, 4), whole) in OTHER_KEY, "of another level")
    # The last two batches as if they were all: they are not the first.
    late = join(1, 2, 2).publics
    check(not late.first, "not the first")
    said_first = replace(late, first=True)
    check(refused(verify_wrap, 1, wrapped(1, 2, 2), said_first) in refusals, "not the first")


def test_a_wrap_passes_on_what_its_join_says() -> None:
    """The wrap is told another digest than the join's proof is about."""
    inner, node = real_key(1), join(1, 0, 2)
    values = circuit_inputs(inner, node.proof, node.inner_publics, CONTEXT).tolist()
    one = wrap_of(1)
    context = [lane for block in context_blocks(CONTEXT) for lane in block]
    other = [lane for block in context_blocks(bytes(32)) for lane in block]
    told = list(node.publics.digest())
    wrong = list(join(1, 0, 1).publics.digest())

    def offer(lanes: list[int]) -> Raw:
        return Raw(np.array([*lanes, *values], np.uint32))

    check_equal(one.refusal(offer([*context, *told])), "")
    for lanes in ([*context, *wrong], [*context, *told[::-1]], [*other, *told]):
        check(one.refusal(offer(lanes)) not in INNER, "by the proof")
    # Forced past all equations: other challenges open other rows, which do not hash to the roots.
    with pytest.raises(Unsatisfied) as caught:
        Forced.of(one, offer([*context, *wrong]), lambda: wrap_circuit(inner))
    check(caught.value.label.startswith("query"), caught.value.label)


def test_public_values_of_a_wrap_that_are_cut_or_moved() -> None:
    key, proof = wrap_of(1).key.verification, wrapped(1, 0, 2)
    said_so = list(join(1, 0, 2).publics.wrap_digest())

    def attempt(values: list[int]) -> Code:
        return refused(verify, key, proof, {"permutation": values}, CONTEXT)

    for values in ([], said_so[:7], said_so[1:], [*said_so, 0], [*said_so, *said_so]):
        check_equal(attempt(values), Code.PUBLIC)
    for values in (said_so[::-1], [*said_so[1:], said_so[0]], [*said_so[:7], said_so[7] ^ 1]):
        check(attempt(values) in (Code.OOD, Code.MERKLE), "moved")
    check(attempt(list(join(1, 0, 2).publics.digest())) in (Code.OOD, Code.MERKLE), "the join's")
    for context in (bytes(32), CONTEXT[::-1]):
        code = refused(verify, key, proof, {"permutation": said_so}, context)
        check(code in (Code.OOD, Code.MERKLE), "another context")


def test_a_join_in_place_of_its_wrap() -> None:
    node = join(1, 0, 2)
    check(refused(verify_wrap, 1, node.proof, node.publics) in OTHER_KEY, "a join")
    batch = said(0, 0)
    check(refused(verify_wrap, 1, batch.proof, batch.publics) in OTHER_KEY, "a batch")
