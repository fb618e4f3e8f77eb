"""Quotients: constraints evaluated on cosets, divided by the vanishing polynomial, split.

On the coset s <w> of N points, X^N is the constant k = s^N, so that X^N - 1 is one too, and the
quotient Q = sum over j of X^(N j) q_j agrees there with sum over j of k^j q_j, a polynomial of
degree below N. As many cosets as there are chunks determine the q_j: a Vandermonde system.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stark.constraints.interpreter import Constants, RowInputs, evaluate
from stark.constraints.program import compile_fold
from stark.errors import UsageError
from stark.field.extension import DEGREE, Element, powers
from stark.field.koalabear import P, inverse
from stark.field.memory import aligned_empty, aligned_zeros, padded_width
from stark.field.montgomery import multiply_by_scalar, scalar_to_montgomery
from stark.field.ntt import bit_reversal, coset_shift, interpolate_from_coset
from stark.field.rows import add_multiple
from stark.field.transposition import columns_to_rows
from stark.prover.polynomials import Polynomials, subtract_mod
from stark.prover.selectors import coset_periodic, coset_selectors
from stark.system import Table

Extension = NDArray[np.uint32]


def quotient_columns(
    table: Table,
    parts: Sequence[Polynomials | None],
    constants: Constants,
    constraint_challenge: Element,
    log_blowup: int,
    masks: Sequence[Extension] | None,
) -> Polynomials:
    """A table's quotient chunks.

    Parameters
    ----------
    parts
        The preprocessed, main and auxiliary columns.
    constants
        Public values, bus challenges, terminal.
    masks
        (slack, 5) per pair of neighbouring chunks: m_j makes chunk j longer by X^N m_j and is
        taken off chunk j + 1, so that the sum of X^(N j) q_j stays and each chunk alone is random.
    """
    roots = [constraint.expression.index for constraint in table.constraints]
    program = compile_fold(table.symbolic.graph, roots)
    weights = powers(constraint_challenge, len(table.constraints))
    cosets = range(table.quotient_chunks)
    shifts = [coset_shift(table.log_height, log_blowup, coset) for coset in cosets]
    solution = _inverse_vandermonde([pow(shift, table.height, P) for shift in shifts])
    scratch = [None if part is None else aligned_empty(part.coefficients.shape) for part in parts]
    coefficients: Extension | None = None
    for coset, shift in enumerate(shifts):
        selectors = coset_selectors(table.log_height, shift)
        fixed, main, auxiliary = (
            None if part is None else part.coset(coset, buffer)
            for part, buffer in zip(parts, scratch, strict=True)
        )
        inputs = RowInputs(
            preprocessed=fixed,
            main=main,
            auxiliary=auxiliary,
            first=selectors.first,
            last=selectors.last,
            transition=selectors.transition,
            periodic=tuple(
                coset_periodic(values, table.log_height, shift)
                for values in table.symbolic.periodic
            ),
        )
        values = np.ascontiguousarray(evaluate(program, inputs, constants, weights))
        share = _share(values, shift, table.height, [row[coset] for row in solution])
        if coefficients is None:
            coefficients = share
        else:
            add_multiple(coefficients, share, 1)
    if coefficients is None:
        raise UsageError(f"{table.name}: a quotient needs at least one chunk")
    overflow = None if masks is None else _lend(coefficients, masks, table)
    return Polynomials(coefficients, overflow, log_blowup)


def _share(values: Extension, shift: int, height: int, solution: Sequence[int]) -> Extension:
    """What one coset contributes to the chunks: coefficients, (rows, padded 5 chunks).

    The Vandermonde system is linear, and so is interpolation: the values, divided by X^N - 1, go
    into the columns of every chunk with that chunk's factor, before they are interpolated.
    """
    divisor = inverse(pow(shift, height, P) - 1)
    columns = aligned_zeros((padded_width(DEGREE * len(solution)), height))
    for chunk, factor in enumerate(solution):
        own = columns[DEGREE * chunk : DEGREE * (chunk + 1)]
        multiply_by_scalar(values, scalar_to_montgomery(factor * divisor), own)
    rows = aligned_empty((height, len(columns)))
    columns_to_rows(columns, rows)
    return interpolate_from_coset(rows, shift, rows)


def _lend(coefficients: Extension, masks: Sequence[Extension], table: Table) -> Extension:
    """Take each mask off the chunk after its own; the chunks' overflows, (slack, padded width)."""
    slack = len(masks[0])
    rows = bit_reversal(table.log_height)[:slack]
    overflow = aligned_zeros((slack, coefficients.shape[1]))
    for chunk, mask in enumerate(masks):
        overflow[:, DEGREE * chunk : DEGREE * (chunk + 1)] = mask
        own = slice(DEGREE * (chunk + 1), DEGREE * (chunk + 2))
        coefficients[rows, own] = subtract_mod(coefficients[rows, own], mask)
    return overflow


def _inverse_vandermonde(nodes: Sequence[int]) -> list[list[int]]:
    """The matrix that maps values at the nodes to coefficients (Lagrange basis)."""
    columns = []
    for node in nodes:
        others = [other for other in nodes if other != node]
        basis = [1]
        scale = 1
        for other in others:
            basis = [
                (low - other * high) % P for low, high in zip([0, *basis], [*basis, 0], strict=True)
            ]
            scale = scale * (node - other) % P
        factor = inverse(scale)
        columns.append([coefficient * factor % P for coefficient in basis])
    return [list(row) for row in zip(*columns, strict=True)]
