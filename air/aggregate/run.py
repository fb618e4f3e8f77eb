"""The proofs of a publication as a run: which work is done for which, and by whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from air.aggregate.inner import InnerKind, InnerProof, published_context
from air.aggregate.keys import aggregate_keys
from air.aggregate.proving import Node, batch_publics, joined_publics
from air.aggregate.publics import AggregatePublics
from air.aggregate.tasks import (
    KEYS_PHASE,
    batch_task,
    child_node,
    join_task,
    published_task,
    release_key,
    wrap_task,
)
from air.runs.scheduler import (
    Accept,
    Blame,
    Call,
    CallOf,
    Kept,
    MemoryStore,
    Watch,
    run_tree,
    unwatched,
)
from air.runs.tree import NodeId, ProofTree
from air.runs.workers import InProcess, Step, Workers
from air.shape import Shape
from air.witness import Batch
from stark.errors import Code, Rejected, UsageError
from stark.prover.randomness import Randomness
from stark.verifier.verify import verify

Lap = Callable[[str], None]


def aggregate_calls(
    batches: Sequence[Batch],
    shape: Shape,
    profile: str,
    context: bytes,
    *,
    lean: bool = False,
    randomness: Randomness | None = None,
) -> CallOf:
    """The work on each proof of a tree whose batches are joined; see :func:`prove_aggregate`."""
    tree = ProofTree(len(batches))

    def call(node: NodeId, children: list[bytes]) -> Call:
        kind = tree.kind(node)
        if kind == "batch":
            batch = batches[node.number]
            return Call(batch_task, (profile, shape, node.number, batch, context, lean))
        if kind == "join":
            left, right = children if len(children) == 2 else (children[0], None)
            return Call(join_task, (profile, shape, node.level, node.number, left, right))
        task = partial(wrap_task, randomness=randomness) if randomness else wrap_task
        return Call(task, (profile, shape, tree.levels, children[0]))

    return call


def published_calls(
    batches: Sequence[Batch],
    shape: Shape,
    profile: str,
    contexts: Sequence[bytes],
    *,
    lean: bool = False,
    randomness: Randomness | None = None,
) -> CallOf:
    """The work on each proof of a tree whose batches are published, each bound to its context."""

    def call(node: NodeId, children: list[bytes]) -> Call:
        number = node.number
        task = partial(published_task, randomness=randomness) if randomness else published_task
        return Call(task, (profile, shape, number, batches[number], contexts[number], lean))

    return call


Expected = Mapping[NodeId, tuple[InnerKind, AggregatePublics]]
"""Of every proof of a run its kind and what it says, which follows from the batches."""


def aggregate_expected(batches: Sequence[Batch], context: bytes) -> Expected:
    """Of batches that are joined."""
    tree = ProofTree(len(batches))
    result: dict[NodeId, tuple[InnerKind, AggregatePublics]] = {}
    for node in tree.nodes():
        below = [Node(child.level, result[child][1], proof=b"") for child in tree.children(node)]
        kind = tree.kind(node)
        if kind == "batch":
            result[node] = InnerKind.BATCH, batch_publics(batches[node.number], context)
        elif kind == "join":
            right = below[1] if len(below) == 2 else None
            result[node] = InnerKind.JOIN, joined_publics(below[0], right)
        else:
            result[node] = InnerKind.WRAP, below[0].publics
    return result


def published_expected(batches: Sequence[Batch], contexts: Sequence[bytes]) -> Expected:
    """Of batches that are published each by itself."""
    return {
        NodeId(0, number): (InnerKind.PUBLISHED, batch_publics(batch, published_context(context)))
        for number, (batch, context) in enumerate(zip(batches, contexts, strict=True))
    }


def require_expected(one: InnerProof, node: NodeId, expected: Expected) -> None:
    """A proof of something else may well be a proof: of batches that somebody made up, say.

    Raises
    ------
    Rejected
        ``Recursion`` if it is of another place or kind, or says anything else than it has to.
    """
    kind, publics = expected[node]
    if (one.kind, one.level, one.number) != (kind, node.level, node.number):
        wanted = f"{kind.name.lower()} {node.number} of level {node.level}"
        raise Rejected(Code.RECURSION, "place of an inner proof", wanted, one.name)
    for name, wanted in vars(publics).items():
        found = getattr(one.publics, name)
        if found != wanted:
            raise Rejected(Code.RECURSION, f"what {one.name} says, {name}", wanted, found)


def accept_expected(expected: Expected) -> Accept:
    """What workers give back is looked at before it is kept; whether it holds is seen later."""
    return lambda node, data: require_expected(InnerProof.decode(data), node, expected)


def aggregate_blame(
    tree: ProofTree, shape: Shape, profile: str, context: bytes, expected: Expected
) -> Blame:
    """The children of a proof that cannot be made which are no proofs, or of something else: they
    are verified here, by the verifier that does not run in a circuit."""

    def blame(node: NodeId, children: list[bytes]) -> list[NodeId]:
        wrong = []
        for child, data in zip(tree.children(node), children, strict=True):
            try:
                require_expected(InnerProof.decode(data), child, expected)
                verify_inner(data, child, shape, profile, context)
            except Rejected:
                wrong.append(child)
        return wrong

    return blame


def verify_inner(data: bytes, node: NodeId, shape: Shape, profile: str, context: bytes) -> None:
    """Whether a kept proof of a batch or join is one, of that place, by the pinned keys.

    Raises
    ------
    Rejected
        As decoding and verification do.
    """
    one = child_node(data, node.level, node.number)
    keys = aggregate_keys(profile, shape)
    key = keys.join_key(node.level) if node.level else keys.batch_key()
    verify(key, one.proof, one.inner_publics, context)


def prove_aggregate(
    batches: Sequence[Batch],
    shape: Shape,
    profile: str,
    context: bytes,
    *,
    lean: bool = False,
    kept: Kept | None = None,
    workers: Workers | None = None,
    watch: Watch = unwatched,
    step: Step | None = None,
    lap: Lap | None = None,
    randomness: Randomness | None = None,
) -> bytes:
    """The proof that is published of two or more batches.

    Parameters
    ----------
    batches
        In order; each goes on where the one before ends.
    context
        What all proofs are bound to, :func:`air.aggregate.publics.aggregate_context`.
    lean
        Whether batches are proven with less memory and more time.
    kept
        Where finished proofs are kept; by default in memory, for the time of this call.
    workers
        Who makes them; by default this process, one after the other.
    watch
        See :func:`air.runs.scheduler.run_tree`.
    step
        Called with the name of each phase of a proof that this process makes, as it begins.
    lap
        Called at the end of each part: keys (of this process), batches, joins, wrap.
    randomness
        For tests: where the masks of the published proof come from.

    Raises
    ------
    Rejected
        ``VK`` if a key made from source is not the pinned one.
    """
    tree = ProofTree(len(batches))
    kept = MemoryStore() if kept is None else kept
    seen = _Seen(tree, watch, step, lap)
    calls = aggregate_calls(batches, shape, profile, context, lean=lean, randomness=randomness)
    expected = aggregate_expected(batches, context)
    try:
        run_tree(
            tree,
            kept,
            calls,
            workers or InProcess(seen.step),
            watch=seen.watch,
            blame=aggregate_blame(tree, shape, profile, context, expected),
            accept=accept_expected(expected),
        )
    finally:
        release_key()
    return _whole(kept, tree.roots[0]).proof


def prove_published(
    batches: Sequence[Batch],
    shape: Shape,
    profile: str,
    contexts: Sequence[bytes],
    *,
    lean: bool = False,
    kept: Kept | None = None,
    workers: Workers | None = None,
    watch: Watch = unwatched,
    step: Step | None = None,
    lap: Lap | None = None,
    randomness: Randomness | None = None,
) -> list[bytes]:
    """The proofs of batches that are published each by itself.

    ``contexts`` are what they are bound to; all else is as for :func:`prove_aggregate`.
    """
    tree = ProofTree(len(batches), joined=False)
    kept = MemoryStore() if kept is None else kept
    seen = _Seen(tree, watch, step, lap)
    calls = published_calls(batches, shape, profile, contexts, lean=lean, randomness=randomness)
    try:
        run_tree(
            tree,
            kept,
            calls,
            workers or InProcess(seen.step),
            watch=seen.watch,
            accept=accept_expected(published_expected(batches, contexts)),
        )
    finally:
        release_key()
    return [_whole(kept, root).proof for root in tree.roots]


def _whole(kept: Kept, node: NodeId) -> InnerProof:
    """A proof that was kept a moment ago."""
    data = kept.find(node)
    if data is None:
        raise UsageError("a proof that was kept is gone: resume the run")
    return InnerProof.decode(data)


class _Seen:
    """What a run tells, with the ends of its parts."""

    def __init__(
        self,
        tree: ProofTree,
        watch: Watch,
        step: Step | None,
        lap: Lap | None,
    ) -> None:
        self._tree = tree
        self._watch = watch
        self._step: Step = step or (lambda phase: None)
        self._lap: Lap = lap or (lambda part: None)
        self._phase = ""

    def watch(self, event: str, node: NodeId, seconds: float) -> None:
        self._watch(event, node, seconds)
        if event == "finished":
            kind = self._tree.kind(node)
            self._lap({"batch": "batches", "join": "joins", "wrap": "wrap"}[kind])

    def step(self, phase: str) -> None:
        """In this process, which makes one proof at a time."""
        if self._phase == KEYS_PHASE:
            self._lap("keys")
        self._phase = phase
        self._step(phase)
