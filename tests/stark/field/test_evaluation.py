"""Weights in the transforms' order, against powers by integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.field import extension as ext
from stark.field.barycentric import evaluate_columns
from stark.field.evaluation import point_powers, reversed_powers
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.field.ntt import bit_reversal, interpolate

element = st.tuples(*[st.integers(0, P - 1) | st.sampled_from([0, 1, P - 1])] * 5)


@settings(max_examples=25, deadline=None)
@given(log_n=st.integers(0, 9), point=element)
def test_powers_of_an_extension_element(log_n: int, point: ext.Element) -> None:
    got = from_montgomery(reversed_powers(log_n, point)).T.tolist()
    powers = ext.powers(point, 1 << log_n)
    assert [tuple(row) for row in got] == [powers[place] for place in bit_reversal(log_n)]


@settings(max_examples=25, deadline=None)
@given(
    log_n=st.integers(0, 9),
    points=st.lists(st.integers(0, P - 1) | st.sampled_from([0, 1, P - 1]), max_size=5),
)
def test_powers_of_several_points(log_n: int, points: list[int]) -> None:
    got = from_montgomery(point_powers(log_n, points)).tolist()
    for point, row in zip(points, got, strict=False):
        assert row == [pow(point, int(place), P) for place in bit_reversal(log_n)]
    assert not any(any(row) for row in got[len(points) :])


@pytest.mark.parametrize("log_n", [0, 3, 12])
def test_columns_from_coefficients(log_n: int) -> None:
    """On the trace domain, where the values are known."""
    values = np.random.default_rng(log_n).integers(0, P, (1 << log_n, 16))
    coefficients = interpolate(to_montgomery(values))
    weights = point_powers(log_n, [1])
    assert evaluate_columns(coefficients, weights)[:, 0].tolist() == values[0].tolist()


def test_arguments_out_of_range() -> None:
    for log_n in (-1, 25):
        with pytest.raises(ValueError, match="log_n"):
            reversed_powers(log_n, ext.ONE)
        with pytest.raises(ValueError, match="log_n"):
            point_powers(log_n, [1])
    with pytest.raises(ValueError, match="five integers"):
        reversed_powers(3, (P, 0, 0, 0, 0))
    for points in ([1] * 6, [P], [-1]):
        with pytest.raises(ValueError, match="points"):
            point_powers(3, points)
