"""Security bits of error bounds, the same to the last digit on every machine.

Error bounds are exact rationals (:class:`fractions.Fraction`). Only two operations leave the
rationals: square roots, taken here to 200 binary digits, and logarithms, taken by :mod:`decimal`,
whose ``ln`` and ``exp`` are correctly rounded and therefore platform independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from math import isqrt

PRECISION = 60
"""Decimal digits of logarithms. Bits stay below 10^5, so their error stays below 10^-54."""

_MARGIN = Decimal("1e-30")
_STEP = Decimal("0.0001")


def _context(rounding: str = ROUND_HALF_EVEN) -> Context:
    # A fresh context each time: contexts carry flags and are not to be shared between threads.
    return Context(prec=PRECISION, rounding=rounding)


def square_root(value: Fraction) -> Fraction:
    """Square root of a positive rational, from below, relative error under 2^-190.

    The relative error holds for values of at least 2^-20; rates are at least 2^-5.
    """
    return Fraction(isqrt((value.numerator << 400) // value.denominator), 1 << 200)


def log2(value: Fraction) -> Decimal:
    """Logarithm to base 2 of a positive rational, with an error below 10^-54."""
    context = _context()
    natural = context.subtract(
        context.ln(Decimal(value.numerator)), context.ln(Decimal(value.denominator))
    )
    return context.divide(natural, context.ln(Decimal(2)))


def round_down(bits: Decimal) -> Decimal:
    """Bits rounded down to a ten-thousandth.

    A margin of 10^-30 is taken off first. It exceeds the errors of square roots and logarithms by
    far (2^-190 in a root becomes at most 1024 * 2^-188 < 10^-53 bits after 1024 queries), so the
    result never lies above the true number of bits.
    """
    context = _context(ROUND_FLOOR)
    return context.quantize(context.subtract(bits, _MARGIN), _STEP)


def security_bits(error: Fraction) -> Decimal:
    """-log2 of a positive error bound, rounded down to a ten-thousandth."""
    return round_down(-log2(error))


def combine(bits: Iterable[Decimal | int]) -> Decimal:
    """Union bound: -log2 of the sum of the errors 2^-bits, rounded down to a ten-thousandth.

    Raises
    ------
    ValueError
        If ``bits`` is empty: no error at all has no finite number of bits.
    """
    context = _context()
    natural = context.ln(Decimal(2))
    total = Decimal(0)
    for value in bits:
        exponent = context.multiply(context.minus(Decimal(value)), natural)
        total = context.add(total, context.exp(exponent))
    if not total:
        raise ValueError("the union bound needs at least one error")
    return round_down(-context.divide(context.ln(total), natural))
