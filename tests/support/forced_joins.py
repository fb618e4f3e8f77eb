"""Joins whose rows go on past what refuses them: real traces that hold everywhere but there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from air.aggregate import circuits
from stark.constraints.expression import Part
from stark.debug.faults import Fault, faults
from stark.field.montgomery import from_montgomery
from stark.prover.prove import prove
from stark.recursion import single
from stark.recursion.builder import CircuitBuilder, Wire
from stark.recursion.prover import PUBLIC_TABLE
from stark.recursion.system import circuit_system
from stark.recursion.witness import CircuitWitness
from support.joins import Join


class Deaf(CircuitBuilder):
    """Whatever must equal a wire is computed, and compared with nothing: the same rows."""

    def evaluate(self, *operands: Wire, equals: Wire = 0, **coefficients: int) -> Wire:  # type: ignore[override]
        result = super().evaluate(*operands, **coefficients)
        return equals or result


@dataclass(frozen=True)
class Forced:
    """A real join with the traces of an offer that it refuses."""

    join: Join
    witness: CircuitWitness

    @classmethod
    def of(cls, join: Join, offer: Any, rebuild: Any) -> Forced:
        """``rebuild`` makes the join's circuit again."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(circuits, "CircuitBuilder", Deaf)
            patch.setattr(single, "CircuitBuilder", Deaf)
            deaf = Join(rebuild(), join.inner)
        if deaf.circuit.rows != join.circuit.rows:
            raise ValueError("other rows")
        return cls(join, deaf.run(offer))

    def faults(self) -> list[Fault]:
        """What keeps the traces from satisfying the tables of the real circuit."""
        shape = self.join.key.shape
        system = circuit_system(shape, zk=False, whole_rows=True, circuit=self.join.circuit)
        traces: dict[str, NDArray[np.int64]] = {
            table.name: from_montgomery(self.witness.traces[table.name].matrix)[
                :, : table.width(Part.MAIN)
            ].astype(np.int64)
            for table in system.tables
        }
        return faults(system, traces, {PUBLIC_TABLE: list(self.witness.public)})

    def proof(self, context: bytes) -> bytes:
        """The proof that a prover makes who does not look at what he proves."""
        publics = {PUBLIC_TABLE: list(self.witness.public)}
        return prove(self.join.key.key, self.witness.traces, publics, context)
