"""Poseidon as constraints: one permutation per row, 156 cells, degree 3.

The cells of a row, in order:

======= ===== =========================================================
 first  count
======= ===== =========================================================
     0     16 the input x
    16     64 the state after full rounds 1, 2, 3, 4
    80     20 the outputs z of the S-boxes of the partial rounds
   100     48 the state after full rounds 5, 6, 7
   148      8 lanes 0 to 7 of the output P(x)
======= ===== =========================================================

Each group is an expression of degree 3 in the group before it. In the partial phase the state is an
affine form in the 16 lanes before it and the z so far, so that a partial round costs one cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stark.constraints.air import AirBuilder
from stark.constraints.expression import Column, Expression
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.gadgets.circulant import circulant_product
from stark.hash.poseidon import DIGEST_LANES, PoseidonParameters, round_constants

CELLS = 156


@dataclass(frozen=True)
class PoseidonCells:
    """The input lanes of a row's permutation, and its compression C(x) = (P(x) + x)[0..8]."""

    inputs: tuple[Column, ...]
    compressed: tuple[Expression, ...]


def poseidon_permutation(
    t: AirBuilder, parameters: PoseidonParameters, name: str = "hash"
) -> PoseidonCells:
    """Declare the 156 cells of one permutation per row, and constrain them on every row.

    Raises
    ------
    UsageError
        For a parameter set other than Poseidon with width 16 and eight full rounds.
    """
    if not parameters.circulant_row or parameters.width != 16 or parameters.full_rounds != 8:
        raise UsageError(f"no AIR gadget for {parameters.name}")
    constants = round_constants(parameters)
    first_partial = parameters.full_rounds // 2
    first_final = first_partial + parameters.partial_rounds
    inputs = t.main_array(f"{name}.x", 16)
    state: Sequence[Expression] = inputs
    for number in range(first_partial):
        state = _full_round(t, parameters, state, constants[number], f"{name}.full{number + 1}")
    state = _partial_rounds(t, parameters, state, constants[first_partial:first_final], name)
    for number in range(first_final, parameters.rounds - 1):
        label = f"{name}.full{number - parameters.partial_rounds + 1}"
        state = _full_round(t, parameters, state, constants[number], label)
    outputs = _full_round(
        t, parameters, state, constants[parameters.rounds - 1], f"{name}.y", DIGEST_LANES
    )
    compressed = tuple(y + x for y, x in zip(outputs, inputs, strict=False))
    return PoseidonCells(inputs, compressed)


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
    t: AirBuilder,
    parameters: PoseidonParameters,
    state: Sequence[Expression],
    constants: Sequence[Sequence[int]],
    name: str,
) -> list[Expression]:
    """All partial rounds; lanes are affine forms over (state, z_1, ..., z_n, 1)."""
    rounds = len(constants)
    width = parameters.width
    z = t.main_array(f"{name}.z", rounds)
    basis: list[Expression] = [*state, *z]
    forms = [[int(i == j) for j in range(width + rounds + 1)] for i in range(width)]
    for number, row in enumerate(constants):
        for form, constant in zip(forms, row, strict=True):
            form[-1] = (form[-1] + constant) % P
        t.every_row(f"{name}.z{number + 1}", _combination(t, forms[0], basis) ** 3 - z[number])
        forms[0] = [int(j == width + number) for j in range(width + rounds + 1)]
        forms = _mixed_forms(parameters.circulant_row, forms)
    return [_combination(t, form, basis) for form in forms]


def _mixed_forms(row: Sequence[int], forms: Sequence[Sequence[int]]) -> list[list[int]]:
    """The matrix applied to a vector of affine forms."""
    width = len(forms)
    return [
        [
            sum(row[(j - i) % width] * forms[j][k] for j in range(width)) % P
            for k in range(len(forms[0]))
        ]
        for i in range(width)
    ]


def _combination(t: AirBuilder, form: Sequence[int], basis: Sequence[Expression]) -> Expression:
    result = t.constant(form[-1])
    for coefficient, value in zip(form, basis, strict=False):
        if coefficient:
            result = result + value * coefficient
    return result
