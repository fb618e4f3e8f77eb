"""Proving circuits: a key made of a circuit, and proofs from the values that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.recursion.circuit import Circuit
from stark.recursion.system import CircuitShape, circuit_system, fitted_shape
from stark.recursion.witness import WitnessGenerator
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.key import VerificationKey

Elements = NDArray[np.uint32]
Step = Callable[[str], None]

PUBLIC_TABLE = "permutation"
"""The table whose public values are those of a circuit: eight lanes of a digest."""


def silent(phase: str) -> None:
    """A step that nobody watches."""


@dataclass(frozen=True)
class CircuitKey:
    """What is needed to prove one circuit.

    Attributes
    ----------
    shape
        Heights of its tables.
    key
        With the fixed columns, which are the circuit.
    """

    circuit: Circuit
    shape: CircuitShape
    key: ProvingKey

    @classmethod
    def of(
        cls,
        circuit: Circuit,
        parameters: Callable[[System], ProtocolParameters],
        *,
        zk: bool = False,
        log_least: int = 0,
    ) -> CircuitKey:
        """Fit the tables of a circuit, choose parameters for them, commit to its fixed columns.

        Without ``zk`` the proofs can be verified by a circuit in turn; with it they hide what the
        circuit took. ``log_least`` is the log2 of the least height of a table.
        """
        shape = fitted_shape(circuit, log_least)
        system = circuit_system(shape, zk=zk, whole_rows=not zk, circuit=circuit)
        return cls(circuit, shape, generate_key(system, parameters(system)))

    @property
    def verification(self) -> VerificationKey:
        return self.key.verification

    @cached_property
    def _generator(self) -> WitnessGenerator:
        return WitnessGenerator(self.circuit, self.shape.log_heights)

    def prove(
        self, hints: Elements, digest: Sequence[int], context: bytes, step: Step = silent
    ) -> bytes:
        """A proof from the values that the circuit takes.

        Parameters
        ----------
        hints
            (circuit.hint_count,) canonical elements.
        digest
            The circuit's public values.
        context
            What the proof is bound to.
        step
            Called with the name of each phase as it begins.

        Raises
        ------
        Unsatisfied
            If an inner proof does not verify, or public values do not fit together.
        """
        step("witness")
        witness = self._generator.run(hints)
        return prove(self.key, witness.traces, {PUBLIC_TABLE: list(digest)}, context, step)
