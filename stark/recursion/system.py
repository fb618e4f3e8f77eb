"""The tables of a circuit as a system of the proof system itself."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stark.errors import UsageError
from stark.hash.poseidon import POSEIDON1
from stark.recursion.circuit import Circuit
from stark.recursion.tables.arithmetic import ArithmeticAir
from stark.recursion.tables.decomposition import DecompositionAir
from stark.recursion.tables.fold import FoldAir
from stark.recursion.tables.permutation import PermutationAir
from stark.system import System

LARGEST_LOG_ARITY = 3
"""log2 of the arity of FRI's folds, see ``stark.soundness.schedule``."""


@dataclass(frozen=True)
class CircuitShape:
    """What a verifier needs to know of a circuit besides the root of its fixed columns.

    Attributes
    ----------
    log_permutations, log_arithmetic, log_folds, log_decompositions
        log2 of the tables' heights.
    widths, log_order
        Parameters of the table of decompositions.
    """

    log_permutations: int
    log_arithmetic: int
    log_folds: int
    log_decompositions: int
    widths: tuple[int, ...]
    log_order: int

    @property
    def log_heights(self) -> dict[str, int]:
        """By table."""
        return {
            "permutation": self.log_permutations,
            "arithmetic": self.log_arithmetic,
            "fold": self.log_folds,
            "decomposition": self.log_decompositions,
        }


def fitted_shape(circuit: Circuit, log_least: int = 0) -> CircuitShape:
    """Heights for a circuit: powers of eight below that of the permutations where that is enough.

    FRI folds by eight wherever no table joins in between: heights that differ by powers of eight
    cost the fewest layers. ``log_least`` is the log2 of the least height.
    """
    rows = circuit.rows
    top = (rows["permutation"] - 1).bit_length()

    def fitted(name: str) -> int:
        needed = max(log_least, (rows[name] - 1).bit_length())
        return max(needed, top - (top - needed) // LARGEST_LOG_ARITY * LARGEST_LOG_ARITY)

    return CircuitShape(
        max(top, log_least),
        fitted("arithmetic"),
        fitted("fold"),
        fitted("decomposition"),
        circuit.widths,
        circuit.log_order,
    )


def circuit_system(
    shape: CircuitShape, *, zk: bool, whole_rows: bool, circuit: Circuit | None = None
) -> System:
    """The four tables; with their fixed columns if a circuit is given, to make a key of.

    ``whole_rows`` as in :class:`stark.system.System`: for proofs that a circuit will verify.

    Raises
    ------
    UsageError
        If the circuit does not fit the shape.
    """
    columns: dict[str, Mapping[str, Sequence[int]] | None] = dict.fromkeys(
        ("permutation", "arithmetic", "fold", "decomposition")
    )
    if circuit is not None:
        if (circuit.widths, circuit.log_order) != (shape.widths, shape.log_order):
            raise UsageError("the circuit takes other bits than its shape")
        for name, log_height in shape.log_heights.items():
            columns[name] = _padded(name, circuit.tables[name], log_height)
    return System(
        [
            PermutationAir(shape.log_permutations, POSEIDON1, columns["permutation"]),
            ArithmeticAir(shape.log_arithmetic, columns["arithmetic"]),
            FoldAir(shape.log_folds, columns["fold"]),
            DecompositionAir(
                shape.log_decompositions, shape.widths, shape.log_order, columns["decomposition"]
            ),
        ],
        zk,
        whole_rows,
    )


def _padded(
    name: str, columns: Mapping[str, Sequence[int]], log_height: int
) -> dict[str, Sequence[int]]:
    # Arrays, which numpy takes as they are: of a list it looks at every number.
    result: dict[str, Sequence[int]] = {}
    for column, values in columns.items():
        missing = (1 << log_height) - len(values)
        if missing < 0:
            raise UsageError(f"{name}: {len(values)} rows do not fit 2^{log_height}")
        padded = result[column] = array("q", values)
        padded.frombytes(bytes(padded.itemsize * missing))
    return result
