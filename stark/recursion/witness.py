"""From the values of inner proofs to the main traces of a circuit's tables (prover wing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.errors import UsageError
from stark.field.extension import DEGREE
from stark.field.extension_kernels import frobenius_matrices
from stark.field.koalabear import P
from stark.field.memory import LANES, aligned_empty, aligned_zeros, padded_width
from stark.field.montgomery import R, from_montgomery, to_montgomery
from stark.hash.poseidon import DIGEST_LANES
from stark.hash.poseidon_kernels import trace_cells
from stark.hash.poseidon_single import single_state_table
from stark.prover.trace import MontgomeryTrace
from stark.recursion.circuit import Circuit
from stark.recursion.unsatisfied import unsatisfied
from stark.recursion.witness_kernels import DONE, run_steps, sum_lanes
from stark.recursion.witness_program import WitnessProgram
from stark.recursion.witness_sponge import MULTIPLICITY, SCRATCH
from stark.recursion.witness_words import UNWRITTEN

Words = NDArray[np.uint32]

ARITHMETIC_WIDTH = 20
PERMUTATION_WIDTH = 197
FOLD_WIDTH = 115
_FIRST_OUTPUT = 148
_SHIFT = 114
_FIRST_POWER = 34


@dataclass(frozen=True)
class CircuitWitness:
    """What the tables of a circuit hold for some inner proofs.

    Attributes
    ----------
    traces
        Main traces by table: arithmetic, permutation, fold, decomposition.
    public
        The circuit's public values, canonical: eight lanes of a digest.
    wires
        By address, (wires + 1, 5), Montgomery form; for tests and messages.
    """

    traces: Mapping[str, MontgomeryTrace]
    public: tuple[int, ...]
    wires: Words


class WitnessGenerator:
    """Computes witnesses of one circuit.

    Parameters
    ----------
    circuit
        The circuit.
    log_heights
        log2 of the rows of each table.

    Raises
    ------
    UsageError
        If a table does not fit its height (that of permutations fills it), or the circuit's steps
        refer to what it does not have.
    """

    def __init__(self, circuit: Circuit, log_heights: Mapping[str, int]) -> None:
        rows = circuit.rows
        if set(log_heights) != set(rows):
            raise UsageError(f"heights are needed for {sorted(rows)}, got {sorted(log_heights)}")
        for name, count in rows.items():
            height = 1 << log_heights[name]
            if count > height or (name == "permutation" and count != height):
                raise UsageError(f"{name}: {count} rows in a table of {height}")
        self.circuit = circuit
        self.heights = {name: 1 << log_height for name, log_height in log_heights.items()}
        self._program = WitnessProgram.of(circuit)

    def run(self, hints: NDArray[Any]) -> CircuitWitness:
        """The traces for the values of some inner proofs.

        Parameters
        ----------
        hints
            Integers (circuit.hint_count,), canonical, in the order in which the steps take them.

        Raises
        ------
        Unsatisfied
            At the first step whose row no values satisfy.
        UsageError
            For another number of values, values that are no field elements, or a circuit that reads
            what it has not written.
        """
        program = self._program
        if hints.shape != (self.circuit.hint_count,):
            raise UsageError(f"{self.circuit.hint_count} values are needed, got {hints.shape}")
        try:
            elements = to_montgomery(hints)
        except ValueError as error:
            raise UsageError(f"values of an inner proof: {error}") from error
        wires = np.full((self.circuit.wire_count + 1, DEGREE), UNWRITTEN, np.uint32)
        wires[0] = 0
        digest_count = int(program.places[-1])
        digests = np.full(digest_count * DIGEST_LANES, UNWRITTEN, np.uint32)
        counts = np.zeros(digest_count, np.int64)
        matrices = self._matrices()
        inputs = aligned_zeros((self.heights["permutation"], LANES))
        result = run_steps(
            *(program.steps, elements, program.operands.reshape(-1)),
            *(program.coefficients.reshape(-1), frobenius_matrices(), program.flags),
            *(program.numbers.reshape(-1), program.places, program.folds.reshape(-1)),
            *(program.decompositions.reshape(-1), program.powers, single_state_table()),
            *(wires.reshape(-1), digests, counts, aligned_empty(SCRATCH)),
            *(matrices["arithmetic"], inputs, matrices["permutation"]),
            *(matrices["fold"], matrices["decomposition"]),
        )
        if result != DONE:
            if result & 1:
                raise UsageError(f"step {result // 2} of a circuit reads what is not written")
            raise unsatisfied(self.circuit, result // 2)
        self._finish_permutations(inputs, matrices["permutation"], counts)
        last = matrices["permutation"][-1, _FIRST_OUTPUT : _FIRST_OUTPUT + DIGEST_LANES]
        return CircuitWitness(
            {name: MontgomeryTrace(matrix) for name, matrix in matrices.items()},
            tuple(from_montgomery(np.ascontiguousarray(last)).tolist()),
            wires,
        )

    def _matrices(self) -> dict[str, Words]:
        """Traces of rows that no step computes: zero, but for factors of products, which are one.

        The cells of permutations are filled later.
        """
        powers = (self.circuit.log_order + 1) // 2
        widths = {
            "arithmetic": ARITHMETIC_WIDTH,
            "permutation": PERMUTATION_WIDTH,
            "fold": FOLD_WIDTH,
            "decomposition": _FIRST_POWER + powers + 1,
        }
        matrices = {
            name: aligned_zeros((self.heights[name], padded_width(width)))
            for name, width in widths.items()
        }
        matrices["fold"][:, _SHIFT] = R
        matrices["decomposition"][:, _FIRST_POWER : _FIRST_POWER + powers] = R
        return matrices

    def _finish_permutations(self, inputs: Words, matrix: Words, counts: NDArray[np.int64]) -> None:
        """The cells that are functions of others in their row, and multiplicities."""
        program = self._program
        trace_cells(inputs, matrix, output_lanes=LANES)

        def call(lo: int, hi: int) -> None:
            sum_lanes(matrix, lo, hi)

        parallel.run(call, len(matrix))
        lookups = (counts[program.writer_places] - program.fixed_counts) % P
        matrix[program.writers, MULTIPLICITY] = to_montgomery(lookups)
