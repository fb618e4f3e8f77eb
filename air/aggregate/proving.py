"""Proving over batches: inner proofs, joins of two, and the wrap that is published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from air.aggregate.circuits import WRAP_LOG_LEAST, join_circuit, wrap_circuit
from air.aggregate.publics import AggregatePublics, context_blocks
from air.encoding import Digest, node_digest
from air.shape import Shape
from air.tables.batch import batch_system
from air.tree import EMPTY_BATCH

from air.witness import Batch
from stark.field.extension import DEGREE
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.recursion.circuit import Circuit
from stark.recursion.inputs import circuit_inputs
from stark.recursion.system import CircuitShape, circuit_system, fitted_shape
from stark.recursion.witness import WitnessGenerator
from stark.soundness import PROFILES
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey

Elements = NDArray[np.uint32]
Step = Callable[[str], None]


def _silent(phase: str) -> None:
    pass


@dataclass(frozen=True)
class Node:
    """A proof in the tree: of a batch (level 0) or of a join.

    Attributes
    ----------
    values
        Its public values as the circuit above takes them.
    publics
        What the proof was made with, by table.
    """

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


@dataclass(frozen=True)
class CircuitKey:
    """What is needed to prove one circuit.

    Attributes
    ----------
    inner
        The key of the proofs that it verifies.
    """

    circuit: Circuit
    shape: CircuitShape
    inner: VerificationKey
    key: ProvingKey

    @classmethod
    def of(cls, circuit: Circuit, inner: VerificationKey, profile: str, role: str) -> CircuitKey:
        """Fit the tables of a circuit, find its parameters, commit to its fixed columns."""
        zk = role == "wrap"
        shape = fitted_shape(circuit, WRAP_LOG_LEAST if zk else 0)
        system = circuit_system(shape, zk=zk, whole_rows=not zk, circuit=circuit)
        return cls(
            circuit, shape, inner, generate_key(system, circuit_parameters(profile, role, system))
        )

    @property
    def verification(self) -> VerificationKey:
        return self.key.verification

    @cached_property
    def _generator(self) -> WitnessGenerator:
        return WitnessGenerator(self.circuit, self.shape.log_heights)

    def prove(self, hints: Elements, digest: Digest, context: bytes, step: Step = _silent) -> bytes:
        """A proof from the values that the circuit takes.

        Raises
        ------
        Unsatisfied
            If an inner proof does not verify, or public values do not fit together.
        """
        step("witness")
        witness = self._generator.run(hints)
        publics = {"permutation": list(digest)}
        return prove(self.key, witness.traces, publics, context, step)


def circuit_parameters(profile: str, role: str, system: System) -> ProtocolParameters:
    """The parameters of a circuit's proofs."""
    return PROFILES[profile].find(system_figures(system), role, zk=role == "wrap")


def inner_batch_system(shape: Shape) -> System:
    """The tables of a batch for proofs that a circuit verifies."""
    return batch_system(shape, zk=False, whole_rows=True)


def inner_batch_key(profile: str, shape: Shape) -> ProvingKey:
    """The key of batches that are joined."""
    system = inner_batch_system(shape)
    return generate_key(system, circuit_parameters(profile, "batch", system))


def join_key(inner: VerificationKey, level: int, profile: str) -> CircuitKey:
    """The key of joins of a level, 1 being above the batches."""
    return CircuitKey.of(join_circuit(inner, level), inner, profile, "join")


def wrap_key(inner: VerificationKey, profile: str) -> CircuitKey:
    """The key of the wrap over the last join."""
    return CircuitKey.of(wrap_circuit(inner), inner, profile, "wrap")


def prove_batch(
    key: ProvingKey, batch: Batch, context: bytes, *, lean: bool = False, step: Step = _silent
) -> Node:
    """The inner proof of a batch."""
    proof = prove(key, batch.traces(), batch.publics, context, step, lean=lean)
    publics = AggregatePublics(
        context, 1, batch.first, batch.digest_in, batch.digest_out, batch.root
    )
    return Node(0, publics, proof)


def joined_publics(left: Node, right: Node | None) -> AggregatePublics:
    """What the join of two nodes says; ``None`` for an absent right child."""
    absent = EMPTY_BATCH
    for _ in range(left.level):
        absent = node_digest(absent, absent)
    return AggregatePublics(
        context=left.publics.context,
        count=left.publics.count + (right.publics.count if right else 0),
        first=left.publics.first,
        digest_in=left.publics.digest_in,
        digest_out=(right or left).publics.digest_out,
        root=node_digest(left.publics.root, right.publics.root if right else absent),
    )


def prove_join(key: CircuitKey, left: Node, right: Node | None, step: Step = _silent) -> Node:
    """The join of two neighbouring nodes, or of one with nothing to its right."""
    step("values of the inner proofs")
    context = left.publics.context
    second = right or left
    hints = [
        *(np.array(block, np.uint32) for block in context_blocks(context)),
        np.array([int(right is not None)] + [0] * (DEGREE - 1), np.uint32),
        left.hints,
        second.hints,
        *(
            circuit_inputs(key.inner, node.proof, node.inner_publics, context)
            for node in (left, second)
        ),
    ]
    publics = joined_publics(left, right)
    proof = key.prove(np.concatenate(hints), publics.digest(), context, step)
    return Node(left.level + 1, publics, proof)


def prove_wrap(key: CircuitKey, node: Node, step: Step = _silent) -> bytes:
    """The proof that is published, over the last join."""
    step("values of the inner proof")
    context = node.publics.context
    hints = [
        *(np.array(block, np.uint32) for block in context_blocks(context)),
        np.array(node.publics.digest(), np.uint32),
        circuit_inputs(key.inner, node.proof, node.inner_publics, context),
    ]
    return key.prove(np.concatenate(hints), node.publics.wrap_digest(), context, step)
