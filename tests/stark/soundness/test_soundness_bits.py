"""Logarithms against exact powers of integers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.soundness.bits import combine, log2, round_down, security_bits, square_root


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2**40), st.integers(1, 2**160))
def test_bits_bound_the_error_within_a_ten_thousandth(numerator: int, more: int) -> None:
    denominator = numerator + more
    thousandths = int(security_bits(Fraction(numerator, denominator)) * 1000)
    top, bottom = numerator**1000, denominator**1000
    # error^1000 <= 2^-thousandths, which with two thousandths more would be false.
    assert top << thousandths <= bottom
    assert top << (thousandths + 2) >= bottom


def test_a_power_of_two_is_not_rounded_up() -> None:
    assert security_bits(Fraction(1, 2**128)) == Decimal("127.9999")
    assert security_bits(Fraction(1, 2**128 + 1)) == Decimal("127.9999")
    assert security_bits(Fraction(1, 2**128 + 2**100)) == Decimal("128.0000")


def test_log2_of_powers_of_two() -> None:
    for exponent in (-200, -1, 0, 1, 31, 155):
        assert abs(log2(Fraction(2) ** exponent) - exponent) < Decimal("1e-54")


@given(st.integers(1, 2**64), st.integers(1, 2**20))
def test_square_root(numerator: int, denominator: int) -> None:
    value = Fraction(numerator, denominator)
    root = square_root(value)
    assert root**2 <= value < (root + Fraction(1, 2**200)) ** 2


def test_square_root_of_even_rates_is_exact() -> None:
    assert square_root(Fraction(1, 16)) == Fraction(1, 4)


def test_round_down_goes_down_also_below_zero() -> None:
    assert round_down(Decimal("1.23459")) == Decimal("1.2345")
    assert round_down(Decimal("-1.23451")) == Decimal("-1.2346")


def test_union_bound() -> None:
    assert combine([129, 129]) == Decimal("127.9999")
    assert combine([Decimal("100.5"), 1000]) == Decimal("100.4999")
    # 2^-10 + 2^-11 + 2^-12 = 7/4096
    assert combine([10, 11, 12]) == security_bits(Fraction(7, 4096))
    with pytest.raises(ValueError, match="at least one"):
        combine([])
