"""Products with a circulant matrix, in few operations.

x -> M x with M[i][j] = row[(j - i) mod n] is a product of polynomials mod X^n - 1. It is split by
X^n - 1 = (X^(n/2) - 1)(X^(n/2) + 1), and products mod X^m + 1 by Karatsuba over even and odd
coefficients: about 200 operations for n = 16, against 496 for the dense product. Works on anything
that adds, subtracts, and multiplies by integers: expressions here, integers in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from stark.field.koalabear import P, inverse

_HALF = inverse(2)


class Linear(Protocol):
    """Values that can be combined linearly over the field."""

    def __add__(self: Value, other: Value, /) -> Value: ...

    def __sub__(self: Value, other: Value, /) -> Value: ...

    def __mul__(self: Value, factor: int, /) -> Value: ...


Value = TypeVar("Value", bound=Linear)


def circulant_product(row: Sequence[int], x: Sequence[Value]) -> list[Value]:
    """M x for the circulant M with first row ``row``; the length is a power of two."""
    return _cyclic(x, [row[-k % len(row)] % P for k in range(len(row))])


def _cyclic(x: Sequence[Value], c: Sequence[int]) -> list[Value]:
    """x * c mod X^n - 1: Chinese remainders of the products mod X^(n/2) - 1 and X^(n/2) + 1."""
    if len(x) == 1:
        return [x[0] * c[0]]
    half = len(x) // 2
    low, high = x[:half], x[half:]
    plus = [(c[i] + c[i + half]) * _HALF % P for i in range(half)]
    minus = [(c[i] - c[i + half]) * _HALF % P for i in range(half)]
    even = _cyclic([a + b for a, b in zip(low, high, strict=True)], plus)
    odd = _negacyclic([a - b for a, b in zip(low, high, strict=True)], minus)
    pairs = list(zip(even, odd, strict=True))
    return [a + b for a, b in pairs] + [a - b for a, b in pairs]


def _negacyclic(x: Sequence[Value], c: Sequence[int]) -> list[Value]:
    """x * c mod X^n + 1."""
    if len(x) == 1:
        return [x[0] * c[0]]
    if len(x) == 2:
        return [x[0] * c[0] - x[1] * c[1], x[0] * c[1] + x[1] * c[0]]
    x_even, x_odd, c_even, c_odd = x[0::2], x[1::2], c[0::2], c[1::2]
    low = _negacyclic(x_even, c_even)
    high = _negacyclic(x_odd, c_odd)
    x_sum = [a + b for a, b in zip(x_even, x_odd, strict=True)]
    both = _negacyclic(x_sum, [(a + b) % P for a, b in zip(c_even, c_odd, strict=True)])
    # Multiplying by Y = X^2 shifts, with the sign of Y^(n/2) = -1.
    result: list[Value] = []
    for i in range(len(low)):
        result.append(low[i] + high[i - 1] if i else low[0] - high[-1])
        result.append(both[i] - low[i] - high[i])
    return result
