"""Inner proofs of small systems, and circuits that verify them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.errors import Rejected
from stark.hash.poseidon import POSEIDON1, sponge_hash
from stark.recursion import reference
from stark.recursion.builder import RATE, CircuitBuilder
from stark.recursion.circuit import Circuit
from stark.recursion.inputs import circuit_inputs
from stark.recursion.system import CircuitShape, fitted_shape
from stark.recursion.unsatisfied import Unsatisfied
from stark.recursion.verifier import log_domain, public_blocks, taken_widths, verify_in_circuit
from stark.recursion.witness import CircuitWitness, WitnessGenerator
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.key import VerificationKey
from stark.verifier.verify import PublicValues
from support.cheating import SILENT, Case, case
from support.systems import Example, parameters

CONTEXT = bytes(range(200, 232))
TAG = 77
"""Of the sponge over a statement."""


def algebraic(**changes: Any) -> ProtocolParameters:
    """Small parameters that a circuit can verify: three queries, no proof of work."""
    values = SILENT | {"queries": 3, "batching": "powers", "hash_suite": POSEIDON1.name}
    return parameters(**(values | changes))


def inner_case(example: Example, chosen: ProtocolParameters) -> Case:
    """The example with rows opened whole, for proofs that are bound to a context of 32 bytes."""
    airs = [table.air for table in example.system.tables]
    system = System(airs, zk=chosen.zk, whole_rows=True)
    made = case(Example(system, example.traces, example.publics), chosen)
    return Case(made.example, made.key, CONTEXT)


def statement_lanes(key: VerificationKey, publics: PublicValues, context: bytes) -> list[int]:
    """The lanes of the digests that a statement consists of."""
    lanes = list(struct.unpack("<16H", context))
    for table in key.system.tables:
        own = list(publics.get(table.name, ()))
        lanes += own + [0] * (-len(own) % RATE)
    return lanes


def statement_of(builder: CircuitBuilder, key: VerificationKey) -> tuple[list[int], dict[str, Any]]:
    """Digests that the prover chooses, two for the context, and the public values in the others."""
    digests = [builder.digest_hint(), builder.digest_hint()]
    publics = {}
    for table in key.system.tables:
        lanes: list[int] = []
        for start in range(0, table.public_count, RATE):
            digests.append(builder.digest_hint())
            used = min(RATE, table.public_count - start)
            found = builder.lanes_of(digests[-1])
            lanes += found[:used]
            for lane in found[used:]:
                builder.assert_zero(lane)
        publics[table.name] = public_blocks(builder, lanes)
    return digests, publics


def circuit_of(key: VerificationKey) -> Circuit:
    """Verifies one proof for the key; its public value is the digest of the proof's statement."""
    return written(CircuitBuilder(log_domain(key), sorted(taken_widths(key))), key)


def written(builder: CircuitBuilder, key: VerificationKey) -> Circuit:
    """The same, from a builder of some kind."""
    digests, publics = statement_of(builder, key)
    verify_in_circuit(builder, key, digests[:2], publics)
    return builder.finish(digests, TAG)


@dataclass(frozen=True)
class Recursion:
    """A case of an inner system with the circuit that verifies its proofs."""

    inner: Case
    memory: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def key(self) -> VerificationKey:
        return self.inner.key.verification

    @cached_property
    def circuit(self) -> Circuit:
        return circuit_of(self.key)

    @cached_property
    def shape(self) -> CircuitShape:
        return fitted_shape(self.circuit)

    @cached_property
    def generator(self) -> WitnessGenerator:
        return WitnessGenerator(self.circuit, self.shape.log_heights)

    def statement(
        self, publics: PublicValues | None = None, context: bytes | None = None
    ) -> list[int]:
        return statement_lanes(
            self.key,
            self.inner.publics if publics is None else publics,
            self.inner.context if context is None else context,
        )

    def hints(
        self, proof: bytes, publics: PublicValues | None = None, context: bytes | None = None
    ) -> NDArray[np.uint32]:
        """What the circuit takes from a statement and its proof; Rejected for its form."""
        inputs = circuit_inputs(
            self.key,
            proof,
            self.inner.publics if publics is None else publics,
            self.inner.context if context is None else context,
        )
        return np.concatenate([np.array(self.statement(publics, context), np.uint32), inputs])

    def public(
        self, publics: PublicValues | None = None, context: bytes | None = None
    ) -> tuple[int, ...]:
        """The public value that the circuit should have."""
        return tuple(sponge_hash(POSEIDON1, TAG, self.statement(publics, context)))

    def witness(
        self, proof: bytes, publics: PublicValues | None = None, context: bytes | None = None
    ) -> CircuitWitness:
        return self.generator.run(self.hints(proof, publics, context))

    # ---- three verifiers

    def natively(
        self, proof: bytes, publics: PublicValues | None = None, context: bytes | None = None
    ) -> str:
        """Why the verifier rejects a proof; empty if it does not."""
        try:
            self.inner.verify(proof, publics, context)
        except Rejected as rejected:
            return rejected.code.value
        return ""

    def in_circuit(
        self, proof: bytes, publics: PublicValues | None = None, context: bytes | None = None
    ) -> str:
        """Why there is no witness: ``form``, or the part of the circuit; empty if there is one."""
        try:
            hints = self.hints(proof, publics, context)
        except Rejected:
            return "form"
        return self.failing(hints)

    def failing(self, hints: NDArray[np.uint32]) -> str:
        """The part of the circuit that these values do not satisfy; empty if there is none."""
        try:
            self.generator.run(hints)
        except Unsatisfied as error:
            return error.label or "statement"
        return ""

    def failing_plainly(self, hints: Sequence[int] | NDArray[np.uint32]) -> str:
        """The same by plain execution."""
        try:
            reference.run(self.circuit, [int(value) for value in hints])
        except Unsatisfied as error:
            return error.label or "statement"
        return ""


@cache
def cached(maker: Any, *arguments: Any) -> Recursion:
    """The recursion over a case that is made once."""
    return Recursion(maker(*arguments))
