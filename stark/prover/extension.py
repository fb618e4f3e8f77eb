"""Low-degree extension of polynomials that are longer than their table.

A masked polynomial is f(X) = a(X) + X^N b(X) with deg a < N and a short *overflow* b. On a coset
s <w> of N points X^N is the constant k = s^N, so that f agrees there with a + k b, a polynomial of
N coefficients: the transforms of the unmasked case serve, and b costs a few rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stark.field.barycentric import evaluate_columns, weights
from stark.field.extension import Element, add, multiply, power, subtract
from stark.field.extension_kernels import powers
from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.field.montgomery import multiply_by_scalar, scalar_to_montgomery
from stark.field.ntt import bit_reversal, coset_shift, evaluate_on_coset, interpolate

Matrix = NDArray[np.uint32]


def add_mod(a: Matrix, b: Matrix) -> Matrix:
    """Element-wise sum; two canonical values fit 32 bits."""
    total = a + b
    return np.where(total >= P, total - np.uint32(P), total).astype(np.uint32)


def subtract_mod(a: Matrix, b: Matrix) -> Matrix:
    """Element-wise difference of canonical values."""
    return np.where(a >= b, a - b, a + (np.uint32(P) - b)).astype(np.uint32)


class ExtendedColumns:
    """Columns of one table on its evaluation domain.

    Attributes
    ----------
    values
        (blowup, rows, padded width): the low-degree extension.
    overflow
        (slack, padded width): coefficients of b, natural order; ``None`` if columns are not masked.
    """

    def __init__(self, values: Matrix, overflow: Matrix | None) -> None:
        self.values = values
        self.overflow = overflow

    @property
    def log_height(self) -> int:
        return self.values.shape[1].bit_length() - 1

    @property
    def log_blowup(self) -> int:
        return self.values.shape[0].bit_length() - 1

    def at(self, point: Element, row_weights: Matrix | None = None) -> list[Element]:
        """All columns at an out-of-domain point, padding included.

        Coset 0 gives (a + k b)(point); what is missing is (point^N - k) b(point).
        """
        shift = coset_shift(self.log_height, self.log_blowup, 0)
        if row_weights is None:
            row_weights = weights(self.log_height, shift, point)
        result = _elements(evaluate_columns(self.values[0], row_weights))
        if self.overflow is None:
            return result
        height = 1 << self.log_height
        factor = subtract(power(point, height), (pow(shift, height, P), 0, 0, 0, 0))
        rest = _elements(evaluate_columns(self.overflow, powers(point, len(self.overflow))))
        return [
            add(value, multiply(factor, extra)) for value, extra in zip(result, rest, strict=True)
        ]


def extend(coefficients: Matrix, overflow: Matrix | None, log_blowup: int) -> ExtendedColumns:
    """Evaluate a + X^N b on all cosets.

    Parameters
    ----------
    coefficients
        (rows, padded width): a, rows in bit-reversed order, as transforms give them. Its first
        coefficients change while the function runs, and are restored.
    overflow
        b, in natural order, or ``None``.
    """
    log_height = len(coefficients).bit_length() - 1
    values = aligned_empty((1 << log_blowup, *coefficients.shape))
    rows = None if overflow is None else bit_reversal(log_height)[: len(overflow)]
    original = None if rows is None else coefficients[rows].copy()
    for coset in range(1 << log_blowup):
        shift = coset_shift(log_height, log_blowup, coset)
        if overflow is not None and rows is not None and original is not None:
            constant = scalar_to_montgomery(pow(shift, len(coefficients), P))
            coefficients[rows] = add_mod(original, multiply_by_scalar(overflow, constant))
        evaluate_on_coset(coefficients, shift, values[coset])
    if rows is not None and original is not None:
        coefficients[rows] = original
    return ExtendedColumns(values, overflow)


def extend_masked(values: Matrix, mask: Matrix | None, log_blowup: int) -> ExtendedColumns:
    """Extension of t + (X^N - 1) r for columns t given on the trace domain and coefficients r."""
    coefficients = interpolate(values)
    if mask is not None:
        rows = bit_reversal(len(values).bit_length() - 1)[: len(mask)]
        coefficients[rows] = subtract_mod(coefficients[rows], mask)
    return extend(coefficients, mask, log_blowup)


def _elements(values: NDArray[np.uint32]) -> list[Element]:
    return [(a, b, c, d, e) for a, b, c, d, e in values.tolist()]
