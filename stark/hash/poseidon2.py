"""Poseidon2 over KoalaBear, width 16, with its layers and rounds by name; scalars.

Source: Poseidon2, ePrint 2023/323, sections 5 and 6. Round numbers, constants and internal diagonal
are those of ``POSEIDON2``, which are Plonky3's. The layers take anything that adds and can be
multiplied by integers: canonical integers here, the expressions of the AIR gadget.

The permutation multiplies by the external matrix, then has 4 full rounds (add constants, S-box
x -> x^3 on all lanes, external matrix), 20 partial rounds (add a constant to lane 0, S-box on lane
0, internal matrix) and 4 full rounds again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON2, round_constants

WIDTH = POSEIDON2.width
HALF_FULL_ROUNDS = POSEIDON2.full_rounds // 2
PARTIAL_ROUNDS = POSEIDON2.partial_rounds
PARTIAL_END = HALF_FULL_ROUNDS + PARTIAL_ROUNDS
"""Index of the first full round after the partial rounds."""

DIAGONAL = POSEIDON2.internal_diagonal
"""V of the internal matrix 1 + diag(V)."""

CELLS = WIDTH * (1 + POSEIDON2.full_rounds) + PARTIAL_ROUNDS
"""Cells of one permutation in a trace, 164: see :func:`trace_cells`."""


class Linear(Protocol):
    """Values that can be combined linearly over the field."""

    def __add__(self: Value, other: Value, /) -> Value: ...

    def __mul__(self: Value, factor: int, /) -> Value: ...


Value = TypeVar("Value", bound=Linear)


def external_layer(state: Sequence[Value]) -> list[Value]:
    """The external matrix circ(2 M4, M4, M4, M4), M4 = circ(2, 3, 1, 1), in 72 additions.

    M4 on each block of four lanes; then every lane gains the sum of its column of blocks.
    """
    mixed: list[Value] = []
    for start in range(0, WIDTH, 4):
        a, b, c, d = state[start : start + 4]
        ab, cd = a + b, c + d
        total = ab + cd
        with_b, with_d = total + b, total + d
        mixed += [with_b + ab, with_b + (c + c), with_d + cd, with_d + (a + a)]
    sums = [(mixed[k] + mixed[4 + k]) + (mixed[8 + k] + mixed[12 + k]) for k in range(4)]
    return [value + sums[k % 4] for k, value in enumerate(mixed)]


def internal_layer(state: Sequence[Value]) -> list[Value]:
    """The internal matrix 1 + diag(V): the sum of all lanes, plus V times the lane."""
    total = state[0]
    for value in state[1:]:
        total = total + value
    return [total + value * factor for value, factor in zip(state, DIAGONAL, strict=True)]


def permute(state: Sequence[int]) -> list[int]:
    """The permutation of 16 canonical elements.

    Raises
    ------
    ValueError
        If the state has another length or an element is not in [0, p).
    """
    return trace_cells(state)[-WIDTH:]


def trace_cells(state: Sequence[int]) -> list[int]:
    """The 164 values of a permutation that a trace commits to; errors as :func:`permute`.

    ====================  =======================================================================
    cells 0 ... 15        the input
    16 ... 79             the states after full rounds 1, 2, 3, 4, 16 cells each
    80 ... 99             the outputs of the partial rounds' S-boxes
    100 ... 163           the states after full rounds 5, 6, 7, 8; the last is the output
    ====================  =======================================================================
    """
    if len(state) != WIDTH or min(state) < 0 or max(state) >= P:
        raise ValueError(f"the state must be {WIDTH} canonical field elements")
    cells = list(state)
    lanes = external_layer(cells)
    for index, constants in enumerate(round_constants(POSEIDON2)):
        if POSEIDON2.is_full(index):
            cubes = [pow(x + c, 3, P) for x, c in zip(lanes, constants, strict=True)]
            lanes = [x % P for x in external_layer(cubes)]
            cells += lanes
        else:
            cells.append(pow(lanes[0] + constants[0], 3, P))
            lanes = [x % P for x in internal_layer([cells[-1], *lanes[1:]])]
    return cells
