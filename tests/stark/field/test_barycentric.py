"""Out-of-domain values against Horner's rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.barycentric import (
    characteristic_polynomial,
    evaluate_columns,
    scaled_inverse_differences,
    weights,
)
from stark.field.extension import Element
from stark.field.extension_kernels import domain_points
from stark.field.koalabear import P, root_of_unity
from stark.field.montgomery import from_montgomery, to_montgomery

Words = NDArray[np.uint32]

R = 1 << 32
coefficients = st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1))
points = st.tuples(coefficients, *[coefficients] * 3, st.integers(1, P - 1))
POINT = (3, 1, 4, 1, 5)


def tuples(vector: Words) -> list[Element]:
    return [tuple(column) for column in from_montgomery(vector).T.tolist()]


def coset(log_n: int, shift: int) -> list[int]:
    return [shift * pow(root_of_unity(log_n), i, P) % P for i in range(1 << log_n)]


def columns_of(polynomials: list[list[int]], domain: list[int]) -> Words:
    """Values of base-field polynomials, a column each, padded to 16 columns."""
    matrix = np.zeros((len(domain), -(-len(polynomials) // 16) * 16), np.uint32)
    for column, polynomial in enumerate(polynomials):
        for row, x in enumerate(domain):
            value = 0
            for coefficient in reversed(polynomial):
                value = (value * x + coefficient) % P
            matrix[row, column] = value
    return to_montgomery(matrix)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.sampled_from([1, 3, 7, P - 1]), points, st.data())
def test_values_of_polynomials(log_n: int, shift: int, point: Element, data: st.DataObject) -> None:
    n = 1 << log_n
    some = data.draw(st.lists(st.lists(coefficients, max_size=n), min_size=1, max_size=3))
    top = [0] * (n - 1) + [1]
    polynomials = [top, [P - 1] * n, *some]
    matrix = columns_of(polynomials, coset(log_n, shift))
    values = evaluate_columns(matrix, weights(log_n, shift, point))
    assert values.shape == (16, 5)
    for column in range(16):
        polynomial = polynomials[column] if column < len(polynomials) else []
        expected = ext.evaluate([ext.from_base(c) for c in polynomial], point)
        assert tuple(values[column].tolist()) == expected


def test_degree_n_is_not_reproduced() -> None:
    # x^n - s^n vanishes on the coset, so its column is zero and so is the sum: not its value.
    matrix = columns_of([[P - pow(3, 8, P), *[0] * 7, 1]], coset(3, 3))
    assert not evaluate_columns(matrix, weights(3, 3, POINT)).any()


@pytest.mark.parametrize("point", [(0,) * 5, (P - 1, 0, 0, 0, 0), (5, 0, 0, 0, 0)])
def test_base_field_points_off_the_coset(point: Element) -> None:
    polynomial = [7, P - 1, 3, 0, 1, 2, P - 5, 9]
    values = evaluate_columns(columns_of([polynomial], coset(3, 3)), weights(3, 3, point))
    assert tuple(values[0].tolist()) == ext.evaluate([ext.from_base(c) for c in polynomial], point)


@pytest.mark.parametrize("log_n", [0, 1, 4, 6])
@pytest.mark.parametrize("shift", [1, 3])
def test_points_of_the_coset_are_refused(log_n: int, shift: int) -> None:
    for point in {coset(log_n, shift)[0], coset(log_n, shift)[-1]}:
        with pytest.raises(ValueError, match="lies on the coset"):
            weights(log_n, shift, ext.from_base(point))


@settings(max_examples=50, deadline=None)
@given(st.one_of(points, st.builds(ext.from_base, coefficients)))
def test_characteristic_polynomial(z: Element) -> None:
    norm, cofactors = characteristic_polynomial(z)
    monic = [ext.from_base(c) for c in [*norm, 1]]
    assert ext.evaluate(monic, z) == ext.ZERO
    shifted = [ext.ZERO, *cofactors]
    subtracted = [ext.multiply(z, c) for c in [*cofactors, ext.ZERO]]
    assert [ext.subtract(a, b) for a, b in zip(shifted, subtracted, strict=True)] == monic


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 2049])
@pytest.mark.parametrize("times_point", [False, True])
def test_inverse_differences(n: int, times_point: bool) -> None:
    xs = np.random.default_rng(n).integers(0, P, n, dtype=np.uint32)
    xs[:3] = [0, 1, P - 1][:n]
    factor = (P - 1, 2, 0, P - 3, 4)
    got = scaled_inverse_differences(to_montgomery(xs), POINT, factor, times_point=times_point)
    for x, value in zip(xs.tolist(), tuples(got), strict=True):
        numerator = ext.scale(factor, x) if times_point else factor
        assert ext.multiply(value, ext.subtract(ext.from_base(x), POINT)) == numerator


@pytest.mark.parametrize(("n", "position"), [(1, 0), (17, 16), (2049, 2048), (20000, 19999)])
def test_inverse_difference_of_equal_points(n: int, position: int) -> None:
    xs = to_montgomery(np.arange(1, n + 1, dtype=np.uint32))
    with pytest.raises(ZeroDivisionError):
        scaled_inverse_differences(xs, ext.from_base(position + 1), ext.ONE)
    # The filling of incomplete vectors invents no equality, not even with zero.
    scaled_inverse_differences(xs, ext.ZERO, ext.ONE)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5, 33, 4096])
@pytest.mark.parametrize("width", [16, 48])
def test_sums_of_largest_words(rows: int, width: int) -> None:
    matrix = np.full((rows, width), P - 1, np.uint32)
    values = evaluate_columns(matrix, np.full((5, rows), P - 1, np.uint32))
    expected = rows * (P - 1) ** 2 * pow(R, -2, P) % P
    assert values.shape == (width, 5)
    assert (values == expected).all()


def test_one_and_several_threads_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    matrix = generator.integers(0, P, (40000, 32), dtype=np.uint32)
    row_weights = generator.integers(0, P, (5, 40000), dtype=np.uint32)
    monkeypatch.setenv("STARK_THREADS", "3")
    several = evaluate_columns(matrix, row_weights)
    unit = pow(R, -2, P)
    products = [
        sum(a * b for a, b in zip(matrix[:, 31].tolist(), row.tolist(), strict=True)) * unit % P
        for row in row_weights
    ]
    assert several[31].tolist() == products
    monkeypatch.setenv("STARK_THREADS", "1")
    assert np.array_equal(evaluate_columns(matrix, row_weights), several)


def test_large_coset() -> None:
    row_weights = weights(15, 3, POINT)
    # The weights of the constant 1 add up to 1, those of x to the point.
    table = np.zeros((1 << 15, 16), np.uint32)
    table[:, 0] = R % P
    table[:, 1] = domain_points(15, 3)
    values = evaluate_columns(table, row_weights)
    assert values[0].tolist() == [1, 0, 0, 0, 0]
    assert tuple(values[1].tolist()) == POINT


def test_rejects_other_arguments() -> None:
    good = np.zeros((8, 16), np.uint32)
    row_weights = np.zeros((5, 8), np.uint32)
    for bad in (good.astype(np.int64), good.reshape(-1), np.zeros((16, 8), np.uint32).T):
        with pytest.raises(ValueError, match="uint32 matrix"):
            evaluate_columns(bad, row_weights)
    for bad in (np.zeros((8, 8), np.uint32), np.zeros((4, 16), np.uint32)):
        with pytest.raises(ValueError, match="does not fit"):
            evaluate_columns(bad, row_weights)
    for shift in (0, P, -1):
        with pytest.raises(ValueError, match="shift"):
            weights(3, shift, POINT)
    with pytest.raises(ValueError, match="five integers"):
        weights(3, 3, (P, 0, 0, 0, 0))
    with pytest.raises(ValueError, match="log_order"):
        weights(25, 3, POINT)
    with pytest.raises(ValueError, match="points"):
        scaled_inverse_differences(np.zeros(16, np.int64), POINT, ext.ONE)  # type: ignore[arg-type]
