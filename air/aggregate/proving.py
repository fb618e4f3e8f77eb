"""Proving over batches: inner proofs, joins of two, and the wrap that is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from air.aggregate.circuits import WRAP_LOG_LEAST, empty_root, join_circuit, wrap_circuit
from air.aggregate.keys import inner_batch_system, layer_parameters
from air.aggregate.publics import AggregatePublics, context_blocks
from air.encoding import node_digest
from air.shape import Shape
from air.witness import Batch
from stark.field.extension import DEGREE
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.prover.randomness import Randomness
from stark.recursion.circuit import Circuit
from stark.recursion.inputs import circuit_inputs
from stark.recursion.prover import PUBLIC_TABLE, CircuitKey, Step, silent
from stark.recursion.single import said_values
from stark.recursion.witness import WitnessGenerator
from stark.verifier.key import VerificationKey

Elements = NDArray[np.uint32]


@dataclass(frozen=True)
class Node:
    """A proof in the tree: of a batch (level 0) or of a join, and what it says."""

    level: int
    publics: AggregatePublics
    proof: bytes

    @property
    def inner_publics(self) -> dict[str, Sequence[int]]:
        """The public values of the proof's tables."""
        if self.level:
            return {"permutation": self.publics.digest()}
        one = self.publics
        return {"chain": [int(one.first), *one.digest_in, *one.digest_out], "tree": one.root}

    @property
    def hints(self) -> Elements:
        """The public values in the order in which a join takes them."""
        one = self.publics
        header = one.blocks()[2] if self.level else (int(one.first), *[0] * (DEGREE - 1))
        return np.array([*header, *one.digest_in, *one.digest_out, *one.root], np.uint32)


def inner_batch_key(profile: str, shape: Shape) -> ProvingKey:
    """The key of batches that are joined."""
    system = inner_batch_system(shape)
    return generate_key(system, layer_parameters(profile, "batch", system))


def join_key(inner: VerificationKey, level: int, profile: str) -> CircuitKey:
    """The key of joins of a level, 1 being above the batches; from source."""
    return circuit_key(join_circuit(inner, level), "join", profile)


def wrap_key(inner: VerificationKey, profile: str) -> CircuitKey:
    """The key of the wrap over the last join; from source."""
    return circuit_key(wrap_circuit(inner), "wrap", profile)


def circuit_key(circuit: Circuit, role: str, profile: str) -> CircuitKey:
    """The key of a circuit that is a ``join`` or a ``wrap``, which is published: it hides.

    Raises
    ------
    UsageError
        For columns that are not those of a circuit.
    """
    published = role == "wrap"
    return CircuitKey.of(
        circuit,
        partial(layer_parameters, profile, role),
        zk=published,
        log_least=WRAP_LOG_LEAST if published else 0,
    )


def prove_batch(
    key: ProvingKey, batch: Batch, context: bytes, *, lean: bool = False, step: Step = silent
) -> Node:
    """The inner proof of a batch."""
    proof = prove(key, batch.traces(), batch.publics, context, step, lean=lean)
    return Node(0, batch_publics(batch, context), proof)


def batch_publics(batch: Batch, context: bytes) -> AggregatePublics:
    """What the proof of a batch says; it counts as one."""
    return AggregatePublics(context, 1, batch.first, batch.digest_in, batch.digest_out, batch.root)


def joined_publics(left: Node, right: Node | None) -> AggregatePublics:
    """What the join of two nodes says; ``None`` for an absent right child."""
    return AggregatePublics(
        context=left.publics.context,
        count=left.publics.count + (right.publics.count if right else 0),
        first=left.publics.first,
        digest_in=left.publics.digest_in,
        digest_out=(right or left).publics.digest_out,
        root=node_digest(
            left.publics.root, right.publics.root if right else empty_root(left.level)
        ),
    )


def prove_join(
    key: CircuitKey, inner: VerificationKey, left: Node, right: Node | None, step: Step = silent
) -> Node:
    """The join of two neighbouring nodes, or of one with nothing to its right.

    ``inner`` is the key of their proofs.
    """
    step("values of the inner proofs")
    context = left.publics.context
    second = right or left
    hints = [
        *(np.array(block, np.uint32) for block in context_blocks(context)),
        np.array([int(right is not None)] + [0] * (DEGREE - 1), np.uint32),
        left.hints,
        second.hints,
        *(
            circuit_inputs(inner, node.proof, node.inner_publics, context)
            for node in (left, second)
        ),
    ]
    publics = joined_publics(left, right)
    proof = key.prove(np.concatenate(hints), publics.digest(), context, step)
    return Node(left.level + 1, publics, proof)


def prove_wrap(
    key: CircuitKey,
    inner: VerificationKey,
    node: Node,
    step: Step = silent,
    randomness: Randomness | None = None,
) -> bytes:
    """The proof that is published, over the last join; ``inner`` is the key of that.

    ``randomness`` is for tests, see :func:`stark.prover.prove.prove`.
    """
    step("values of the inner proof")
    context = node.publics.context
    hints = [
        np.array(said_values(inner, node.inner_publics, context), np.uint32),
        circuit_inputs(inner, node.proof, node.inner_publics, context),
    ]
    step("witness")
    witness = WitnessGenerator(key.circuit, key.shape.log_heights).run(np.concatenate(hints))
    publics = {PUBLIC_TABLE: list(node.publics.wrap_digest())}
    return prove(key.key, witness.traces, publics, context, step, randomness)
