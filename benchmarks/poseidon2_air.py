"""A table of Poseidon2 permutations: the statement of the usual prover benchmark.

Several permutations stand side by side on a row, 164 columns each, as in the benchmarks of Plonky3
(8 a row). Nothing ties them to one another, no row reads the next, nothing is public: the proof
says that its prover knows that many pairs of an input and its image.
"""

from __future__ import annotations

from stark.constraints.air import Air, AirBuilder
from stark.gadgets.poseidon2 import poseidon2_permutation


class Poseidon2Air(Air):
    """2^log_rows rows of ``permutations_per_row`` permutations; constraints of degree 3."""

    name = "poseidon2"

    def __init__(self, log_rows: int, permutations_per_row: int) -> None:
        super().__init__(log_rows)
        self.permutations_per_row = permutations_per_row

    def eval(self, t: AirBuilder) -> None:
        for number in range(self.permutations_per_row):
            poseidon2_permutation(t, f"hash{number}")
