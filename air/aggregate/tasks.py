"""What a worker does for a run: one proof, from what can be sent to it to what is kept of it.

The functions stand at the top of their module, take what can be pickled, and give back the bytes of
an :class:`air.aggregate.inner.InnerProof`. A process makes one proof at a time, whatever number of
threads calls, and holds one proving key: its memory is planned for that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any

from air.aggregate.inner import InnerKind, InnerProof, published_context
from air.aggregate.keys import aggregate_keys
from air.aggregate.pinned_circuits import pinned_join_key, pinned_wrap_key, require_pinned
from air.aggregate.proving import (
    Node,
    batch_publics,
    inner_batch_key,
    prove_batch,
    prove_join,
    prove_wrap,
)
from air.keys import profile_parameters
from air.shape import Shape
from air.tables.batch import batch_system
from air.witness import Batch
from stark.errors import Code, Rejected
from stark.field.memory import buffers
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.prover.randomness import Randomness
from stark.recursion.prover import CircuitKey, Step, silent
from stark.verifier.key import VerificationKey

KEYS_PHASE = "keys"
"""The name of a task's phase in which it makes a proving key."""


class _OneKey:
    """The proving key of this process; another takes its place, never a place beside it."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._name: Hashable = None
        self._key: Any = None

    def of(self, name: Hashable, make: Callable[[], Any], step: Step) -> Any:
        """The key of that name. Call it, and use the key, only while the lock is held."""
        if self._name != name:
            self.release()
            step(KEYS_PHASE)
            self._key = make()
            self._name = name
        return self._key

    def release(self) -> None:
        """Let go of the key, and give all buffers that are not in use back to the system."""
        with self.lock:
            self._name = self._key = None
            buffers.release()


_held = _OneKey()


def release_key() -> None:
    """Let go of what this process holds between tasks: the proving key, and unused buffers."""
    _held.release()


def batch_task(
    profile: str,
    shape: Shape,
    number: int,
    batch: Batch,
    context: bytes,
    lean: bool,
    *,
    step: Step = silent,
) -> bytes:
    """The inner proof of a batch.

    Raises
    ------
    Rejected
        ``VK`` if the key made from source is not the pinned one; so do all tasks with pinned keys.
    """
    pinned = aggregate_keys(profile, shape).batch_key()
    with _held.lock:
        key: ProvingKey = _held.of(pinned.digest, lambda: _batch_key(profile, shape, pinned), step)
        node = prove_batch(key, batch.received(), context, lean=lean, step=step)
    return InnerProof(InnerKind.BATCH, 0, number, node.publics, node.proof).encode()


def join_task(
    profile: str,
    shape: Shape,
    level: int,
    number: int,
    left: bytes,
    right: bytes | None,
    *,
    step: Step = silent,
) -> bytes:
    """The join of two neighbours, or of one with nothing to its right; they are given encoded.

    Raises
    ------
    Unsatisfied
        If one of them does not verify, or they do not fit together.
    Rejected
        If one is no such file, or of another place; ``VK`` as :func:`batch_task`.
    """
    nodes = [
        child_node(data, level - 1, 2 * number + side)
        for side, data in enumerate((left, right))
        if data is not None
    ]
    keys = aggregate_keys(profile, shape)
    inner = keys.join_key(level - 1) if level > 1 else keys.batch_key()
    pinned = keys.join_key(level)

    def make() -> CircuitKey:
        return pinned_join_key(inner, level, profile, pinned)

    with _held.lock:
        key: CircuitKey = _held.of(pinned.digest, make, step)
        node = prove_join(key, inner, nodes[0], nodes[1] if len(nodes) > 1 else None, step)
    return InnerProof(InnerKind.JOIN, level, number, node.publics, node.proof).encode()


def wrap_task(
    profile: str,
    shape: Shape,
    levels: int,
    last: bytes,
    *,
    step: Step = silent,
    randomness: Randomness | None = None,
) -> bytes:
    """The proof that is published, over the last join, of that many levels, which is given encoded.

    ``randomness`` is for tests. Raises as :func:`join_task`.
    """
    node = child_node(last, levels, 0)
    keys = aggregate_keys(profile, shape)
    inner, pinned = keys.join_key(levels), keys.wrap_key(levels)

    def make() -> CircuitKey:
        return pinned_wrap_key(inner, profile, pinned)

    with _held.lock:
        key: CircuitKey = _held.of(pinned.digest, make, step)
        proof = prove_wrap(key, inner, node, step, randomness)
    return InnerProof(InnerKind.WRAP, levels + 1, 0, node.publics, proof).encode()


def published_task(
    profile: str,
    shape: Shape,
    number: int,
    batch: Batch,
    context: bytes,
    lean: bool,
    *,
    step: Step = silent,
    randomness: Randomness | None = None,
) -> bytes:
    """The proof of a batch that is published without aggregation; it hides the batch.

    ``context`` is what it is bound to, of any length. ``randomness`` is for tests.
    """
    parameters = profile_parameters(profile, shape)

    def make() -> ProvingKey:
        return generate_key(batch_system(shape, zk=True), parameters)

    with _held.lock:
        key: ProvingKey = _held.of(("published", shape, parameters), make, step)
        step("trace")
        traces = batch.received().traces()
        proof = prove(key, traces, batch.publics, context, step, randomness, lean=lean)
    publics = batch_publics(batch, published_context(context))
    return InnerProof(InnerKind.PUBLISHED, 0, number, publics, proof).encode()


def child_node(data: bytes, level: int, number: int) -> Node:
    """A proof to be verified by the one above it.

    Raises
    ------
    Rejected
        As decoding does; ``Recursion`` for a proof of another place.
    """
    one = InnerProof.decode(data)
    expected = (InnerKind.JOIN if level else InnerKind.BATCH, level, number)
    if (one.kind, one.level, one.number) != expected:
        wanted = f"{number} of level {level}"
        raise Rejected(Code.RECURSION, "place of an inner proof", wanted, one.name)
    return Node(one.level, one.publics, one.proof)


def _batch_key(profile: str, shape: Shape, pinned: VerificationKey) -> ProvingKey:
    made = inner_batch_key(profile, shape)
    require_pinned(made.verification, pinned)
    return made
