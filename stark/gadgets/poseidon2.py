"""Poseidon2 as constraints: one permutation, 164 cells, degree 3, all on one row.

The cells, in order, are those of :func:`stark.hash.poseidon2.trace_cells`, as many as Plonky3's
AIR has for x^3: x -> x^3 has degree 3 itself, so no cell is spent inside an S-box.

======= ===== =========================================================
 first  count
======= ===== =========================================================
     0     16 the input x
    16     64 the states after full rounds 1, 2, 3, 4
    80     20 the outputs z of the S-boxes of the partial rounds
   100     64 the states after full rounds 5, 6, 7, 8; the last is P(x)
======= ===== =========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stark.constraints.air import AirBuilder
from stark.constraints.expression import Column, Expression
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON2, round_constants
from stark.hash.poseidon2 import (
    DIAGONAL,
    HALF_FULL_ROUNDS,
    PARTIAL_ROUNDS,
    WIDTH,
    external_layer,
)

BLOCK = 10
"""Partial rounds between two states that are written out; it divides their number. Each round of a
block adds a term to each of the later ones, 15 terms are those of the block's first state: 10 keeps
every dot product within 32 terms, and the total is nearly flat from 5 to 10."""


@dataclass(frozen=True)
class Poseidon2Cells:
    """Input and output of one permutation on a row."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]


def poseidon2_permutation(t: AirBuilder, name: str = "hash") -> Poseidon2Cells:
    """Declare the 164 cells of one permutation per row, and constrain them on every row.

    A table may have several under different names.
    """
    rounds = round_constants(POSEIDON2)
    inputs = t.main_array(f"{name}.x", WIDTH)
    state: Sequence[Expression] = external_layer(inputs)
    for number in range(HALF_FULL_ROUNDS):
        state = _full_round(t, state, rounds[number], f"{name}.full{number + 1}")
    partial = [row[0] for row in rounds[HALF_FULL_ROUNDS : HALF_FULL_ROUNDS + PARTIAL_ROUNDS]]
    z = t.main_array(f"{name}.z", PARTIAL_ROUNDS)
    for start in range(0, PARTIAL_ROUNDS, BLOCK):
        chosen = slice(start, start + BLOCK)
        label = f"{name}.partial{start + 1}"
        state = _partial_rounds(t, state, z[chosen], partial[chosen], label)
    cells: tuple[Column, ...] = ()
    for number in range(HALF_FULL_ROUNDS, 2 * HALF_FULL_ROUNDS):
        constants = rounds[PARTIAL_ROUNDS + number]
        cells = _full_round(t, state, constants, f"{name}.full{number + 1}")
        state = cells
    return Poseidon2Cells(inputs, cells)


def _full_round(
    t: AirBuilder, state: Sequence[Expression], constants: Sequence[int], name: str
) -> tuple[Column, ...]:
    cubes = [(lane + constant) ** 3 for lane, constant in zip(state, constants, strict=True)]
    cells = t.main_array(name, WIDTH)
    mixed = external_layer(cubes)
    t.every_row(name, *(value - cell for value, cell in zip(mixed, cells, strict=True)))
    return cells


def _partial_rounds(
    t: AirBuilder,
    state: Sequence[Expression],
    z: Sequence[Column],
    constants: Sequence[int],
    name: str,
) -> list[Expression]:
    """Some partial rounds, as dot products rather than round by round.

    With t_r the sum of all lanes in round r and V the diagonal, lane i >= 1 after n rounds is
    V_i^n x_i + sum_(k < n) V_i^(n-1-k) t_k, hence t_r = z_r + sum_(i >= 1) V_i^r x_i
    + sum_(k < r) C_(r-1-k) t_k with C_m = sum_(i >= 1) V_i^m. Lane 0 is t_(n-1) + V_0 z_(n-1).
    """
    count = len(z)
    powers = [[pow(factor, m, P) for m in range(count + 1)] for factor in DIAGONAL]
    sums = [sum(lane[m] for lane in powers[1:]) % P for m in range(count)]
    totals: list[Expression] = []
    first = state[0]
    for r, (output, constant) in enumerate(zip(z, constants, strict=True)):
        t.every_row(f"{name}+{r}", (first + constant) ** 3 - output)
        terms = [state[i] * powers[i][r] for i in range(1, WIDTH)]
        terms += [total * sums[r - 1 - k] for k, total in enumerate(totals)]
        totals.append(_sum([*terms, output]))
        first = totals[-1] + output * DIAGONAL[0]
    after = [
        _sum(
            [state[i] * powers[i][count]]
            + [total * powers[i][count - 1 - k] for k, total in enumerate(totals)]
        )
        for i in range(1, WIDTH)
    ]
    return [first, *after]


def _sum(terms: Sequence[Expression]) -> Expression:
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result
