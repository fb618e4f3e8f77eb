"""Columns of a table as polynomials, evaluated where they are needed.

A masked polynomial is f(X) = a(X) + X^N b(X) with deg a < N and a short *overflow* b. On a coset
s <w> of N points X^N is the constant k = s^N, so that f agrees there with a + k b, a polynomial of
N coefficients: the transforms of the unmasked case serve, and b costs a few rows.

Coefficients are kept, extensions are not: a blowup of 8 would make them eight times as large, and
on many machines the first touch of that memory costs more than a transform. A coset is evaluated
again where it is needed again, and single rows are evaluated point by point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stark.field.barycentric import evaluate_columns
from stark.field.evaluation import point_powers, reversed_powers
from stark.field.extension import DEGREE, Element, add, multiply, power
from stark.field.extension_kernels import powers
from stark.field.koalabear import P, root_of_unity
from stark.field.montgomery import from_montgomery
from stark.field.ntt import bit_reversal, coset_shift, evaluate_on_coset, interpolate
from stark.field.remainders import remainder
from stark.field.rows import add_multiple

Matrix = NDArray[np.uint32]


def add_mod(a: Matrix, b: Matrix) -> Matrix:
    """Element-wise sum; two canonical values fit 32 bits."""
    total = a + b
    return np.minimum(total, total - np.uint32(P))


def subtract_mod(a: Matrix, b: Matrix) -> Matrix:
    """Element-wise difference of canonical values."""
    difference = a - b
    return np.minimum(difference, difference + np.uint32(P))


class Polynomials:
    """The columns of one table, with an evaluation domain of 2^log_blowup cosets.

    Parameters
    ----------
    coefficients
        (N, padded width) uint32, Montgomery form: a, rows in bit-reversed order.
    overflow
        (slack, padded width): coefficients of b, natural order, a power of two up to N of them;
        ``None`` if columns are not masked.
    """

    def __init__(self, coefficients: Matrix, overflow: Matrix | None, log_blowup: int) -> None:
        self.coefficients = coefficients
        self.overflow = overflow
        self.log_height = len(coefficients).bit_length() - 1
        self.log_blowup = log_blowup
        self._kept: dict[int, Matrix | None] = {}
        self._spread = None if overflow is None else _Spread.of(overflow, self.log_height)

    @property
    def width(self) -> int:
        """Columns, padding included."""
        return self.coefficients.shape[1]

    def shift(self, coset: int) -> int:
        return coset_shift(self.log_height, self.log_blowup, coset)

    def keep(self, cosets: int) -> None:
        """Keep the values of the first ``cosets`` cosets once they are computed; none with 0."""
        self._kept = {number: self._kept.get(number) for number in range(cosets)}

    def coset(self, number: int, out: Matrix | None = None) -> Matrix:
        """Values on a coset, (N, padded width), Montgomery form; not to be written to.

        They are in ``out``, unless they are kept. Coefficients change while this runs, and are
        restored: one call at a time.
        """
        if number not in self._kept:
            return self._evaluate(number, out)
        values = self._kept[number]
        if values is None:
            values = self._kept[number] = self._evaluate(number, None)
        return values

    def _evaluate(self, number: int, out: Matrix | None) -> Matrix:
        shift = self.shift(number)
        if self._spread is None:
            return evaluate_on_coset(self.coefficients, shift, out)
        constant = pow(shift, len(self.coefficients), P)
        self._spread.add_to(self.coefficients, constant)
        try:
            return evaluate_on_coset(self.coefficients, shift, out)
        finally:
            # Sums mod p are exact: this restores what was there.
            self._spread.add_to(self.coefficients, -constant)

    def few(self, shift: int, length: int) -> Matrix:
        """Values at shift * w^i for the root w of order ``length``, (length, padded width).

        ``length`` is a power of two, up to N and not below the overflow's.
        """
        coefficients = remainder(self.coefficients, pow(shift, length, P), length)
        if self.overflow is not None:
            spread = _Spread.of(self.overflow, length.bit_length() - 1)
            spread.add_to(coefficients, pow(shift, len(self.coefficients), P))
        return evaluate_on_coset(coefficients, shift, coefficients)

    def at(self, point: Element, weights: Matrix | None = None) -> list[Element]:
        """All columns at a point of the extension, padding included.

        ``weights`` are the point's :func:`reversed_powers`, if there are some already.
        """
        if weights is None:
            weights = reversed_powers(self.log_height, point)
        result = _elements(evaluate_columns(self.coefficients, weights))
        if self.overflow is None:
            return result
        factor = power(point, 1 << self.log_height)
        rest = _elements(evaluate_columns(self.overflow, powers(point, len(self.overflow))))
        return [
            add(value, multiply(factor, extra)) for value, extra in zip(result, rest, strict=True)
        ]

    def rows(self, cosets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint32]:
        """The rows (cosets[k], rows[k]) of the extension, canonical, (count, padded width).

        Those of cosets that are kept are read. For others, five points at a time share a pass over
        the coefficients, as five coefficients of an extension element would.
        """
        result = np.empty((len(rows), self.width), np.uint32)
        kept, left = [], []
        for number, (coset, row) in enumerate(zip(cosets.tolist(), rows.tolist(), strict=True)):
            values = self._kept.get(coset)
            if values is None:
                left.append(number)
            else:
                kept.append(number)
                result[number] = values[row]
        if kept:
            result[kept] = from_montgomery(result[kept])
        root = root_of_unity(self.log_height)
        for start in range(0, len(left), DEGREE):
            some = left[start : start + DEGREE]
            points = [
                self.shift(int(cosets[number])) * pow(root, int(rows[number]), P) % P
                for number in some
            ]
            columns = evaluate_columns(self.coefficients, point_powers(self.log_height, points))
            if self.overflow is not None:
                columns = self._with_overflow(columns, points)
            result[some] = columns.T[: len(some)]
        return result

    def _with_overflow(self, values: Matrix, points: Sequence[int]) -> Matrix:
        """Canonical values (width, 5) of a at some points to values of a + X^N b."""
        if self._spread is None:
            return values
        log_length = len(self._spread.rows).bit_length() - 1
        rest = evaluate_columns(self._spread.rows, point_powers(log_length, points))
        factors = np.zeros(DEGREE, np.uint64)
        factors[: len(points)] = [pow(point, 1 << self.log_height, P) for point in points]
        # Below 2^31 + 2^62.
        return ((values + rest * factors) % np.uint64(P)).astype(np.uint32)


def interpolated(
    values: Matrix, mask: Matrix | None, log_blowup: int, *, keep: bool
) -> Polynomials:
    """The polynomials t + (X^N - 1) r for columns t given on the trace domain.

    Parameters
    ----------
    values
        (N, padded width): t.
    mask
        (slack, padded width): coefficients of r, or ``None``.
    keep
        Whether ``values`` must stay as they are; otherwise they make room for the coefficients.
    """
    coefficients = interpolate(values, None if keep else values)
    if mask is not None:
        _Spread.of(mask, len(values).bit_length() - 1).add_to(coefficients, -1)
    return Polynomials(coefficients, mask, log_blowup)


@dataclass(frozen=True)
class _Spread:
    """A short polynomial as a summand of coefficients in bit-reversed order.

    Place rev(j) of N holds the coefficient of X^j; for j below a power of two M those places are
    the multiples of N / M, in the bit-reversed order of M.
    """

    rows: Matrix
    step: int

    @classmethod
    def of(cls, polynomial: Matrix, log_height: int) -> _Spread:
        length = len(polynomial)
        if length.bit_count() != 1 or length > 1 << log_height:
            raise ValueError(f"{length} coefficients are no power of two up to 2^{log_height}")
        order = bit_reversal(length.bit_length() - 1)
        return cls(np.ascontiguousarray(polynomial[order]), (1 << log_height) // length)

    def add_to(self, coefficients: Matrix, factor: int) -> None:
        add_multiple(coefficients, self.rows, factor, self.step)


def _elements(values: NDArray[np.uint32]) -> list[Element]:
    return [(a, b, c, d, e) for a, b, c, d, e in values.tolist()]
