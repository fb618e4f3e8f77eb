"""The quintic extension on tuples, against galois."""

from __future__ import annotations

import galois
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P

BASE = galois.GF(P)
MODULUS = galois.Poly([1, 0, 0, 1, 0, P - 1], field=BASE)
COEFFICIENT = st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1))
ELEMENT = st.tuples(*[COEFFICIENT] * 5)


def polynomial(a: Element) -> galois.Poly:
    return galois.Poly(list(reversed(a)), field=BASE)


def element(a: galois.Poly) -> Element:
    coefficients = [int(c) for c in reversed(a.coefficients())]
    return tuple(coefficients + [0] * (5 - len(coefficients)))  # type: ignore[return-value]


def test_the_modulus_is_irreducible() -> None:
    """Ring identities hold for any modulus; only irreducibility makes this a field."""
    assert MODULUS.is_irreducible()


@given(ELEMENT, ELEMENT)
def test_products_are_those_of_polynomials(a: Element, b: Element) -> None:
    expected = element((polynomial(a) * polynomial(b)) % MODULUS)
    assert ext.multiply(a, b) == expected


@given(ELEMENT, ELEMENT, COEFFICIENT)
def test_sums_differences_and_scaling(a: Element, b: Element, c: int) -> None:
    assert ext.add(a, b) == tuple((x + y) % P for x, y in zip(a, b, strict=True))
    assert ext.subtract(a, b) == tuple((x - y) % P for x, y in zip(a, b, strict=True))
    assert ext.add(a, ext.negate(a)) == ext.ZERO
    assert ext.scale(a, c) == ext.multiply(a, ext.from_base(c))


@given(ELEMENT)
def test_inverse_and_frobenius(a: Element) -> None:
    assert ext.frobenius(a) == ext.power(a, P)
    if a == ext.ZERO:
        with pytest.raises(ZeroDivisionError):
            ext.invert(a)
    else:
        assert ext.multiply(a, ext.invert(a)) == ext.ONE


@given(st.lists(ELEMENT.filter(lambda a: a != ext.ZERO), max_size=7))
def test_batch_inverse(values: list[Element]) -> None:
    assert ext.batch_invert(values) == [ext.invert(value) for value in values]


def test_batch_inverse_refuses_zero() -> None:
    with pytest.raises(ZeroDivisionError):
        ext.batch_invert([ext.ONE, ext.ZERO])


@given(ELEMENT, st.integers(0, 40))
def test_powers(a: Element, count: int) -> None:
    powers = ext.powers(a, count)
    assert len(powers) == count
    for exponent, value in enumerate(powers):
        assert value == ext.power(a, exponent)


@given(st.lists(ELEMENT, max_size=6), ELEMENT)
def test_evaluation_and_total(coefficients: list[Element], point: Element) -> None:
    terms = [ext.multiply(c, ext.power(point, exponent)) for exponent, c in enumerate(coefficients)]
    assert ext.evaluate(coefficients, point) == ext.total(terms)


@given(st.lists(st.tuples(ELEMENT, COEFFICIENT), max_size=30))
def test_packed_dot_products(terms: list[tuple[Element, int]]) -> None:
    packed = sum(ext.pack(a) * c for a, c in terms)
    assert ext.unpack(packed) == ext.total(ext.scale(a, c) for a, c in terms)


def test_packed_slots_hold_the_largest_row() -> None:
    """2^16 products of the largest values do not spill into the next coefficient."""
    largest: Element = (P - 1,) * 5
    packed = ext.pack(largest) * (P - 1) * 2**16
    expected = np.full(5, pow(P - 1, 2, P) * 2**16 % P)
    assert list(ext.unpack(packed)) == expected.tolist()
