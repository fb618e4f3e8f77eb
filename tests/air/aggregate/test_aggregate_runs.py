"""Runs of real proofs: gone on with, from good and from bad ones that were kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from support.cheating import Seeded
from support.checks import check, check_equal
from support.publications import PROFILE, SHAPE, accounts
from support.small_aggregates import TINY, bound_to, snapshot, tiny_keys, tiny_profile

from air.aggregate.inner import InnerKind, InnerProof, published_context
from air.aggregate.run import prove_aggregate, prove_published, verify_inner
from air.aggregate.tasks import _OneKey, batch_task, join_task, wrap_task
from air.keys import profile_parameters
from air.runs.scheduler import MemoryStore
from air.runs.tree import NodeId, ProofTree
from air.runs.workers import Call, InProcess
from air.tables.batch import batch_system
from air.witness import prepare_batch
from stark.errors import Code, Rejected
from stark.prover.keygen import generate_key
from stark.verifier.verify import verify

TREE = ProofTree(3)
RANDOMNESS = Seeded(b"runs")


@pytest.fixture(autouse=True)
def profile() -> Iterator[None]:
    with tiny_profile():
        yield


class Log:
    def __init__(self) -> None:
        self.events: list[tuple[str, NodeId]] = []

    def __call__(self, event: str, node: NodeId, seconds: float) -> None:
        self.events.append((event, node))

    def of(self, event: str) -> list[NodeId]:
        return [node for name, node in self.events if name == event]


def prove(kept: MemoryStore, watch: Log, count: int = 3, **options: Any) -> bytes:
    one = snapshot(count)
    bound = bound_to(one.statement)
    return prove_aggregate(
        one.batches,
        SHAPE,
        TINY,
        bound,
        kept=kept,
        watch=watch,
        randomness=RANDOMNESS,
        **options,
    )


@cache
def _whole(count: int) -> tuple[bytes, dict[NodeId, bytes]]:
    kept, log = MemoryStore(), Log()
    proof = prove(kept, log, count)
    check_equal(log.of("finished"), list(ProofTree(count).nodes()), "in order")
    return proof, kept.proofs


def whole(count: int = 3) -> tuple[bytes, dict[NodeId, bytes]]:
    """The published proof, and all proofs of an honest run."""
    proof, made = _whole(count)
    return proof, dict(made)


def test_everything_is_kept_with_what_it_says() -> None:
    proof, kept = whole()
    bound = bound_to(snapshot(3).statement)
    counts = {NodeId(1, 0): 2, NodeId(2, 0): 3, NodeId(3, 0): 3}
    for node, data in kept.items():
        one = InnerProof.decode(data)
        check_equal((one.level, one.number, one.context), (node.level, node.number, bound))
        check_equal(one.kind.name.lower(), TREE.kind(node))
        check_equal(one.publics.count, counts.get(node, 1))
        check_equal(one.publics.first, node.number == 0)
        if one.kind is not InnerKind.WRAP:
            verify_inner(data, node, SHAPE, TINY, bound)
    wrap = InnerProof.decode(kept[TREE.roots[0]])
    check_equal(wrap.proof, proof)
    publics = {"permutation": wrap.publics.wrap_digest()}
    verify(tiny_keys().wrap_key(2), wrap.proof, publics, bound)


def test_a_run_goes_on_where_it_was() -> None:
    proof, made = whole()
    kept, log = MemoryStore(dict(made)), Log()
    check_equal(prove(kept, log), proof)
    check_equal(log.events, [("found", TREE.roots[0])])
    steps: list[str] = []
    for missing in (NodeId(3, 0), NodeId(2, 0)):
        del made[missing]
    kept, log = MemoryStore(made), Log()
    check_equal(prove(kept, log, step=steps.append), proof, "the same bytes")
    check_equal(log.of("finished"), [NodeId(2, 0), NodeId(3, 0)])
    check_equal(steps.count("keys"), 2)


def flipped(node: NodeId) -> bytes:
    """A proof with one bit of an opened row changed: of the right form, and wrong."""
    one = InnerProof.decode(whole(2)[1][node])
    changed = bytearray(one.proof)
    changed[len(changed) // 2] ^= 1
    return replace(one, proof=bytes(changed)).encode()


def of_another_run(node: NodeId) -> bytes:
    """A proof that is right, for another context."""
    other = bytes(range(32))
    batch = snapshot(2).batches[node.number]
    return batch_task(TINY, SHAPE, node.number, batch, other, False)


def of_another_place(node: NodeId) -> bytes:
    return whole(2)[1][NodeId(node.level, 1 - node.number)]


@pytest.mark.parametrize(
    ("bad", "node"),
    [
        (flipped, NodeId(0, 1)),
        (flipped, NodeId(1, 0)),
        (of_another_run, NodeId(0, 1)),
        (of_another_place, NodeId(0, 0)),
        (lambda node: b"no file", NodeId(1, 0)),
    ],
)
def test_a_bad_proof_is_found_out_and_made_again(
    bad: Callable[[NodeId], bytes], node: NodeId
) -> None:
    """It alone: what it was made of is kept, and so is its neighbour."""
    proof, made = whole(2)
    above = NodeId(node.level + 1, 0)
    there = {one: data for one, data in made.items() if one.level <= node.level}
    kept, log = MemoryStore({**there, node: bad(node)}), Log()
    check_equal(prove(kept, log, 2), proof)
    check_equal(log.of("redone"), [node])
    check(log.of("started").count(above) == 2, "begun, refused, begun again")
    check_equal(kept.proofs, made)


@dataclass(frozen=True)
class Mistaken(InProcess):
    """Makes right proofs, and gives back others for some, so often."""

    answers: dict[NodeId, list[bytes]] = field(default_factory=dict)

    def submit(self, call: Call) -> Future[bytes]:
        future = super().submit(call)
        one = InnerProof.decode(future.result())
        answers = self.answers.get(NodeId(one.level, one.number))
        if answers:
            future = Future()
            future.set_result(answers.pop(0))
        return future


def made_up() -> bytes:
    """A proof that holds, of other accounts than those of the run, in its context."""
    one = snapshot(2)
    less = prepare_batch(SHAPE, accounts(99), [0] * SHAPE.capacity, *[(1,) * 8] * 2, False)
    return batch_task(TINY, SHAPE, 1, less, bound_to(one.statement), False)


def test_what_workers_give_back_is_that_of_the_run() -> None:
    """Of another place, of another run, of other accounts: most of them hold, and none is kept."""
    proof, made = whole(2)
    batch, join, wrap = NodeId(0, 1), NodeId(1, 0), NodeId(2, 0)

    def renamed(node: NodeId) -> bytes:
        one = InnerProof.decode(made[node])
        return replace(one, publics=replace(one.publics, root=(0,) * 8)).encode()

    wrong = {
        batch: [made_up(), of_another_run(batch), of_another_place(batch)],
        join: [renamed(join), b"no file", made[wrap]],
        wrap: [renamed(wrap), made[join], bytes(1 << 20)],
    }
    for number in range(3):
        answers = {node: [others[number]] for node, others in wrong.items()}
        kept, log = MemoryStore(), Log()
        check_equal(prove(kept, log, 2, workers=Mistaken(answers=answers)), proof)
        check_equal(log.of("redone"), [batch, join, wrap])
        check_equal(kept.proofs, made)


def test_a_kept_proof_of_other_accounts_is_made_again() -> None:
    """It holds, so that its join alone could not say whether it or its neighbour is wrong."""
    proof, made = whole(2)
    node = NodeId(0, 1)
    kept, log = MemoryStore({NodeId(0, 0): made[NodeId(0, 0)], node: made_up()}), Log()
    check_equal(prove(kept, log, 2), proof)
    check_equal(log.of("redone"), [node])
    check_equal(kept.proofs, made)


def test_children_of_another_place_are_no_children() -> None:
    made = whole()[1]
    left, right, last = (made[NodeId(0, 0)], made[NodeId(0, 1)], made[NodeId(2, 0)])
    for wrong in ((right, left), (left, left), (last, None), (right, None)):
        with pytest.raises(Rejected) as caught:
            join_task(TINY, SHAPE, 1, 0, *wrong)
        check_equal(caught.value.code, Code.RECURSION)
    for one in (left, made[NodeId(1, 0)], made[NodeId(3, 0)]):
        with pytest.raises(Rejected) as caught:
            wrap_task(TINY, SHAPE, 2, one)
        check_equal(caught.value.code, Code.RECURSION)


def test_batches_that_are_published() -> None:
    batches, contexts = snapshot(2).batches, [b"the first", b"the second, longer"]
    kept, log = MemoryStore(), Log()
    proofs = prove_published(batches, SHAPE, PROFILE, contexts, kept=kept, watch=log)
    key = generate_key(batch_system(SHAPE, zk=True), profile_parameters(PROFILE, SHAPE))
    for number, proof in enumerate(proofs):
        one = InnerProof.decode(kept.proofs[NodeId(0, number)])
        batch = batches[number]
        check_equal((one.kind, one.number, one.proof), (InnerKind.PUBLISHED, number, proof))
        check_equal(one.context, published_context(contexts[number]))
        said = (one.publics.first, one.publics.digest_in, one.publics.digest_out, one.publics.root)
        check_equal(said, (batch.first, batch.digest_in, batch.digest_out, batch.root))
        verify(key.verification, proof, batch.publics, contexts[number])
    check_equal(log.of("finished"), [NodeId(0, 0), NodeId(0, 1)])
    again = prove_published(batches, SHAPE, PROFILE, contexts, kept=kept)
    check_equal(again, proofs, "masks are fresh in every proof: these are the kept ones")


def test_a_process_holds_one_key() -> None:
    held, steps, made = _OneKey(), list[str](), list[str]()

    def key(name: str) -> str:
        return str(held.of(name, lambda: made.append(name) or name, steps.append))

    check_equal([key(name) for name in "aabba"], list("aabba"))
    check_equal((made, steps), (["a", "b", "a"], ["keys"] * 3))
    held.release()
    check_equal((key("a"), made), ("a", ["a", "b", "a", "a"]))
