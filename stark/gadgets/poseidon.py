"""Poseidon as constraints: one permutation per row, 156 cells (164 with all outputs), degree 3.

The cells of a row, in order:

======= ===== =========================================================
 first  count
======= ===== =========================================================
     0     16 the input x
    16     64 the state after full rounds 1, 2, 3, 4
    80     20 the outputs z of the S-boxes of the partial rounds
   100     48 the state after full rounds 5, 6, 7
   148  8, 16 lanes 0 to 7 of the output P(x), or all of them
======= ===== =========================================================

Each group is an expression of degree 3 in the group before it. In the partial phase the state is an
affine form in the 16 lanes before it and the z so far, so that a partial round costs one cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import mul

from stark.constraints.air import AirBuilder
from stark.constraints.expression import Column, Expression
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.gadgets.circulant import circulant_product
from stark.hash.poseidon import DIGEST_LANES, PoseidonParameters, round_constants

CELLS = 156
SPONGE_CELLS = 164
"""Cells with all lanes of the output, whose capacity a sponge goes on with."""


@dataclass(frozen=True)
class PoseidonCells:
    """The input lanes of a row's permutation, its compression C(x) = (P(x) + x)[0..8], and the
    lanes of P(x) that are cells."""

    inputs: tuple[Column, ...]
    compressed: tuple[Expression, ...]
    outputs: tuple[Column, ...]


def poseidon_permutation(
    t: AirBuilder,
    parameters: PoseidonParameters,
    name: str = "hash",
    output_lanes: int = DIGEST_LANES,
) -> PoseidonCells:
    """Declare the cells of one permutation per row, and constrain them on every row.

    Parameters
    ----------
    output_lanes
        How many lanes of P(x) become cells: 8 for a compression, 16 for a sponge.

    Raises
    ------
    UsageError
        For a parameter set other than Poseidon with width 16 and eight full rounds, or another
        number of output lanes.
    """
    if output_lanes not in (DIGEST_LANES, 16):
        raise UsageError(f"a permutation keeps 8 or 16 of its outputs, not {output_lanes}")
    if not parameters.circulant_row or parameters.width != 16 or parameters.full_rounds != 8:
        raise UsageError(f"no AIR gadget for {parameters.name}")
    constants = round_constants(parameters)
    first_partial = parameters.full_rounds // 2
    first_final = first_partial + parameters.partial_rounds
    inputs = t.main_array(f"{name}.x", 16)
    state: Sequence[Expression] = inputs
    for number in range(first_partial):
        state = _full_round(t, parameters, state, constants[number], f"{name}.full{number + 1}")
    state = _partial_rounds(t, parameters, state, name)
    for number in range(first_final, parameters.rounds - 1):
        label = f"{name}.full{number - parameters.partial_rounds + 1}"
        state = _full_round(t, parameters, state, constants[number], label)
    outputs = _full_round(
        t, parameters, state, constants[parameters.rounds - 1], f"{name}.y", output_lanes
    )
    compressed = tuple(y + x for y, x in zip(outputs[:DIGEST_LANES], inputs, strict=False))
    return PoseidonCells(inputs, compressed, outputs)


def _full_round(
    t: AirBuilder,
    parameters: PoseidonParameters,
    state: Sequence[Expression],
    constants: Sequence[int],
    name: str,
    kept: int = 16,
) -> tuple[Column, ...]:
    """A full round whose first ``kept`` output lanes become cells."""
    cubes = [(lane + constant) ** 3 for lane, constant in zip(state, constants, strict=True)]
    mixed = circulant_product(parameters.circulant_row, cubes)
    cells = t.main_array(name, kept)
    t.every_row(name, *(value - cell for value, cell in zip(mixed, cells, strict=False)))
    return cells


def _partial_rounds(
    t: AirBuilder, parameters: PoseidonParameters, state: Sequence[Expression], name: str
) -> list[Expression]:
    """All partial rounds; an S-box input is an affine form over (state, z_1, ..., z_n, 1)."""
    z = t.main_array(f"{name}.z", parameters.partial_rounds)
    basis: list[Expression] = [*state, *z]
    inputs, outputs = _partial_phase(parameters)
    for number, form in enumerate(inputs):
        t.every_row(f"{name}.z{number + 1}", _combination(t, form, basis) ** 3 - z[number])
    return [_combination(t, form, basis) for form in outputs]


Form = tuple[int, ...]
"""Coefficients of an affine form over (16 lanes, z_1, ..., z_n, 1)."""


@cache
def _partial_phase(parameters: PoseidonParameters) -> tuple[tuple[Form, ...], tuple[Form, ...]]:
    """The inputs of the partial rounds' S-boxes, and the state after them, as affine forms."""
    width, rounds = parameters.width, parameters.partial_rounds
    first = parameters.full_rounds // 2
    row = parameters.circulant_row
    forms = [tuple(int(i == j) for j in range(width + rounds + 1)) for i in range(width)]
    inputs = []
    for number, constants in enumerate(round_constants(parameters)[first : first + rounds]):
        forms = [(*form[:-1], form[-1] + c) for form, c in zip(forms, constants, strict=True)]
        inputs.append(tuple(value % P for value in forms[0]))
        forms[0] = tuple(int(j == width + number) for j in range(width + rounds + 1))
        columns = list(zip(*forms, strict=True))
        matrix = [row[-i % width :] + row[: -i % width] for i in range(width)]
        forms = [tuple(sum(map(mul, line, c)) % P for c in columns) for line in matrix]
    return tuple(inputs), tuple(forms)


def _combination(t: AirBuilder, form: Form, basis: Sequence[Expression]) -> Expression:
    result = t.constant(form[-1])
    for coefficient, value in zip(form, basis, strict=False):
        if coefficient:
            result = result + value * coefficient
    return result
