"""Sums of products, powers and weights: their values, and how many rows they take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.circuit_rows import evaluate_rows

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.recursion.builder import CircuitBuilder, Wire
from stark.recursion.constraint_sum import Weight
from stark.recursion.linear import Combiner, Term
from stark.recursion.point import PointCache

VALUES: list[Element] = [(k + 3, k * k, 7, P - k, 11 * k) for k in range(1, 6)]
coefficients = st.sampled_from((0, 1, 2, P - 1, P - 2, 12345))
wires = st.integers(1, 5)
terms = st.builds(Term, coefficients, wires, wires, coefficients, coefficients)


def inputs(builder: CircuitBuilder) -> dict[Wire, Element]:
    return {builder.wires.fresh(): value for value in VALUES}


def shifted(value: Element, shift: int) -> Element:
    return ext.add(value, ext.from_base(shift))


@given(st.lists(terms, max_size=6), st.dictionaries(wires, coefficients), coefficients)
def test_a_sum_of_products(products: list[Term], linear: dict[Wire, int], constant: int) -> None:
    builder = CircuitBuilder(24, ())
    values = inputs(builder)
    result = Combiner(builder).total(products, linear, constant)
    expected = ext.from_base(constant)
    for factor, a, b, left, right in products:
        product = ext.multiply(shifted(values[a], left), shifted(values[b], right))
        expected = ext.add(expected, ext.scale(product, factor))
    for wire, factor in linear.items():
        expected = ext.add(expected, ext.scale(values[wire], factor))
    evaluate_rows(builder, values)
    assert values[result] == expected
    count = sum(term.coefficient != 0 for term in products)
    others = sum(factor != 0 for factor in linear.values())
    assert builder.arithmetic.count <= max(1, count + others // 2)


def test_terms_in_the_operands_of_a_product_are_free() -> None:
    builder = CircuitBuilder(24, ())
    inputs(builder)
    Combiner(builder).total([Term(2, 1, 2), Term(3, 3, 4)], {1: 5, 2: 6, 3: 7, 4: 8, 5: 9}, 10)
    assert builder.arithmetic.count == 2


def test_a_sum_is_written_once() -> None:
    builder = CircuitBuilder(24, ())
    inputs(builder)
    combiner = Combiner(builder)
    first = combiner.total((), {1: 2, 2: 3, 3: 4, 4: 5, 5: 6}, 7)
    assert builder.arithmetic.count == 2
    assert combiner.total((), {5: 6, 4: 5, 3: 4, 2: 3, 1: 2}, 7) == first
    assert combiner.total((), {3: 1}) == 3
    assert builder.arithmetic.count == 2


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_powers(exponents: list[int]) -> None:
    builder = CircuitBuilder(24, ())
    values = inputs(builder)
    combiner = Combiner(builder)
    results = [combiner.power(1, exponent) for exponent in exponents]
    evaluate_rows(builder, values)
    for exponent, result in zip(exponents, results, strict=True):
        assert values[result] == ext.power(values[1], exponent)


def test_a_power_of_two_is_squarings() -> None:
    builder = CircuitBuilder(24, ())
    inputs(builder)
    Combiner(builder).power(1, 1 << 20)
    assert builder.arithmetic.count == 20


class TestWeights:
    @staticmethod
    def evaluated(weights: list[Weight]) -> int:
        """Rows for some weights, whose values are compared."""
        builder = CircuitBuilder(24, ())
        values = inputs(builder)
        cache = PointCache(builder, 2)
        powers = max(exponent for weight in weights for exponent, _ in weight)
        for exponent in range(powers + 1):
            cache.combiner.power(1, exponent)
        before = builder.arithmetic.count
        results = [cache.weight(1, weight) for weight in weights]
        rows = builder.arithmetic.count - before
        evaluate_rows(builder, values)
        for weight, result in zip(weights, results, strict=True):
            expected = ext.ZERO
            for exponent, value in weight:
                expected = ext.add(expected, ext.scale(ext.power(values[1], exponent), value))
            assert values[result] == expected
        return rows

    def test_a_circulant_matrix_takes_a_row_for_each_further_weight(self) -> None:
        row = [pow(5, k, P) + k for k in range(16)]
        weights = [tuple((j, row[(i - j) % 16]) for j in range(16)) for i in range(16)]
        assert self.evaluated(weights) == 8 + 15

    def test_a_shifted_weight_takes_a_row(self) -> None:
        one = tuple((j, j * j + 1) for j in range(9))
        assert self.evaluated([one, tuple((j + 6, value * 9) for j, value in one)]) == 4 + 1

    @given(
        st.lists(
            st.dictionaries(st.integers(0, 9), st.integers(1, 3), min_size=1).map(
                lambda weight: tuple(sorted(weight.items()))
            ),
            min_size=1,
            max_size=6,
        )
    )
    def test_any_weights(self, weights: list[Weight]) -> None:
        assert self.evaluated(weights) <= sum(map(len, weights))
