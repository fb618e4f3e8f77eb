"""Quotients: constraints evaluated on cosets, divided by the vanishing polynomial, split.

On the coset s <w> of N points, X^N is the constant k = s^N, so that X^N - 1 is one too, and the
quotient Q = sum over j of X^(N j) q_j agrees there with sum over j of k^j q_j, a polynomial of
degree below N. As many cosets as there are chunks determine the q_j: a Vandermonde system.

Masks make the quotient longer than that by a few coefficients per mask coefficient. These take no
coset of N points more: what the whole cosets leave open is a multiple of their joint vanishing
polynomial by a short one, which a coset of few points determines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stark.constraints.interpreter import Constants, RowInputs, evaluate
from stark.constraints.program import Program, compile_fold
from stark.field.extension import DEGREE, Element, powers
from stark.field.extension_kernels import domain_points
from stark.field.koalabear import P, inverse, root_of_unity
from stark.field.memory import aligned_empty, aligned_zeros, padded_width
from stark.field.montgomery import multiply_by_scalar, scalar_to_montgomery
from stark.field.ntt import bit_reversal, coset_shift, interpolate_from_coset
from stark.field.remainders import remainder
from stark.field.rows import add_multiple
from stark.field.transposition import columns_to_rows
from stark.prover.polynomials import Polynomials, subtract_mod
from stark.prover.selectors import coset_periodic, coset_selectors, selectors_at
from stark.system import Table

Extension = NDArray[np.uint32]
Evaluate = Callable[[RowInputs], Extension]


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
    combined = partial(_combined, program, constants, weights)
    shifts = [
        coset_shift(table.log_height, log_blowup, coset) for coset in range(table.whole_chunks)
    ]
    coefficients = _whole_cosets(table, parts, combined, shifts)
    if masks is None:
        return Polynomials(coefficients, None, log_blowup)
    length = _rest_length(table, parts)
    shift = coset_shift(table.log_height, log_blowup, len(shifts))
    values = combined(_few_rows(table, parts, shift, length))[:, ::2]
    _add_rest(coefficients, np.ascontiguousarray(values), table.height, shifts, shift)
    return Polynomials(coefficients, _lend(coefficients, masks, table), log_blowup)


def _combined(
    program: Program, constants: Constants, weights: Sequence[Element], rows: RowInputs
) -> Extension:
    """All constraints on some rows, weighted: (5, rows)."""
    return evaluate(program, rows, constants, weights)


def _whole_cosets(
    table: Table,
    parts: Sequence[Polynomials | None],
    combined: Evaluate,
    shifts: Sequence[int],
) -> Extension:
    """The quotient modulo the vanishing polynomials of whole cosets, in chunks.

    Coefficients, (N, padded 5 chunks) in bit-reversed order.
    """
    solution = _inverse_vandermonde([pow(shift, table.height, P) for shift in shifts])
    scratch = [None if part is None else aligned_empty(part.coefficients.shape) for part in parts]
    coefficients = aligned_zeros((0, 0))
    for coset, shift in enumerate(shifts):
        fixed, main, auxiliary = (
            None if part is None else part.coset(coset, buffer)
            for part, buffer in zip(parts, scratch, strict=True)
        )
        selectors = coset_selectors(table.log_height, shift)
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
        share = _share(
            np.ascontiguousarray(combined(inputs)),
            shift,
            table,
            [row[coset] for row in solution],
        )
        if coset:
            add_multiple(coefficients, share, 1)
        else:
            coefficients = share
    return coefficients


def _share(values: Extension, shift: int, table: Table, solution: Sequence[int]) -> Extension:
    """What one coset contributes to the chunks: coefficients, (rows, padded 5 chunks).

    The Vandermonde system is linear, and so is interpolation: the values, divided by X^N - 1, go
    into the columns of every chunk with that chunk's factor, before they are interpolated.
    """
    divisor = inverse(pow(shift, table.height, P) - 1)
    columns = aligned_zeros((padded_width(DEGREE * table.quotient_chunks), table.height))
    for chunk, factor in enumerate(solution):
        own = columns[_chunk(chunk)]
        multiply_by_scalar(values, scalar_to_montgomery(factor * divisor), own)
    rows = aligned_empty((table.height, len(columns)))
    columns_to_rows(columns, rows)
    return interpolate_from_coset(rows, shift, rows)


# ---- what masks add


def _rest_length(table: Table, parts: Sequence[Polynomials | None]) -> int:
    """A power of two not below the number of coefficients that masks add to the quotient.

    A constraint of degree d in columns of N + L coefficients has up to d (N + L). Verification keys
    see to it that d L is at most N: what is longer fits no chunk, whatever comes out.
    """
    overflows = (part.overflow for part in parts if part is not None)
    longest = max((len(one) for one in overflows if one is not None), default=1)
    return min(table.height, 1 << (table.degree * longest - 1).bit_length())


def _few_rows(
    table: Table, parts: Sequence[Polynomials | None], shift: int, length: int
) -> RowInputs:
    """The rows at ``length`` points of a coset, each with the one that follows it in the table.

    So every other row is one of them, and what comes out at the rest means nothing.
    """
    step = root_of_unity(table.log_height)
    starts = shift, shift * step % P
    log_length = length.bit_length() - 1
    points = np.stack([domain_points(log_length, start) for start in starts], axis=1).reshape(-1)
    matrices: list[Extension | None] = []
    for part in parts:
        matrix = None
        if part is not None:
            matrix = aligned_empty((2 * length, part.width))
            for place, start in enumerate(starts):
                matrix[place::2] = part.few(start, length)
        matrices.append(matrix)
    fixed, main, auxiliary = matrices
    selectors = selectors_at(points, table.log_height, shift)
    places = np.arange(length) * (table.height // length)
    rows = np.stack([places, places + 1], axis=1).reshape(-1)
    return RowInputs(
        preprocessed=fixed,
        main=main,
        auxiliary=auxiliary,
        first=selectors.first,
        last=selectors.last,
        transition=selectors.transition,
        periodic=tuple(
            coset_periodic(values, table.log_height, shift)[rows % len(values)]
            for values in table.symbolic.periodic
        ),
    )


def _add_rest(
    coefficients: Extension, values: Extension, height: int, shifts: Sequence[int], shift: int
) -> None:
    """Complete the quotient that whole cosets determine.

    Q - A is a multiple of V, the product of X^N - k_j over the whole cosets, if A is what these
    determined. On another coset, where X^N is k, V is a constant: Q - A there, divided by it, are
    values of the factor R. Q = A + V R, and V is one in X^N: each chunk gets a multiple of R.

    Parameters
    ----------
    coefficients
        Of the chunks of A; they become those of Q.
    values
        (5, M) constraints combined, at M points of a coset; R has up to M coefficients.
    """
    length = values.shape[1]
    constant = pow(shift, height, P)
    nodes = [pow(one, height, P) for one in shifts]
    vanishing = _from_roots(nodes)
    columns = aligned_zeros((padded_width(DEGREE), length))
    divisor = inverse(constant - 1)
    multiply_by_scalar(values, scalar_to_montgomery(divisor), columns[:DEGREE])
    rows = aligned_empty((length, len(columns)))
    columns_to_rows(columns, rows)
    difference = interpolate_from_coset(rows, shift, rows)[:, :DEGREE]
    known = remainder(coefficients, pow(shift, length, P), length)
    for chunk in range(len(nodes)):
        summand = _multiple(known[:, _chunk(chunk)], pow(constant, chunk, P))
        difference = subtract_mod(difference, summand)
    at_constant = sum(factor * pow(constant, k, P) for k, factor in enumerate(vanishing))
    rest = _multiple(difference, inverse(at_constant))
    added = aligned_zeros((length, coefficients.shape[1]))
    for chunk, factor in enumerate(vanishing):
        added[:, _chunk(chunk)] = _multiple(rest, factor)
    # Coefficient i < M of a chunk stands at the place of i in the order of M, N / M apart.
    add_multiple(coefficients, added, 1, height // length)


def _multiple(rows: Extension, factor: int) -> Extension:
    return multiply_by_scalar(np.ascontiguousarray(rows), scalar_to_montgomery(factor % P))


def _lend(coefficients: Extension, masks: Sequence[Extension], table: Table) -> Extension:
    """Take each mask off the chunk after its own; the chunks' overflows, (slack, padded width)."""
    slack = len(masks[0])
    rows = bit_reversal(table.log_height)[:slack]
    overflow = aligned_zeros((slack, coefficients.shape[1]))
    for chunk, mask in enumerate(masks):
        overflow[:, _chunk(chunk)] = mask
        own = _chunk(chunk + 1)
        coefficients[rows, own] = subtract_mod(coefficients[rows, own], mask)
    return overflow


def _chunk(number: int) -> slice:
    """Columns, or rows of a transposed matrix, of a chunk."""
    return slice(DEGREE * number, DEGREE * (number + 1))


def _from_roots(nodes: Sequence[int]) -> list[int]:
    """Coefficients of the product of Y - node, lowest first."""
    product = [1]
    for node in nodes:
        product = [
            (low - node * high) % P for low, high in zip([0, *product], [*product, 0], strict=True)
        ]
    return product


def _inverse_vandermonde(nodes: Sequence[int]) -> list[list[int]]:
    """The matrix that maps values at the nodes to coefficients (Lagrange basis)."""
    columns = []
    for node in nodes:
        others = [other for other in nodes if other != node]
        scale = 1
        for other in others:
            scale = scale * (node - other) % P
        factor = inverse(scale)
        columns.append([coefficient * factor % P for coefficient in _from_roots(others)])
    return [list(row) for row in zip(*columns, strict=True)]
