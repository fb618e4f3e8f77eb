"""Conversion to and from Montgomery form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field.koalabear import P
from stark.field.montgomery import (
    from_montgomery,
    multiply_by_scalar,
    scalar_from_montgomery,
    scalar_to_montgomery,
    to_montgomery,
)

EDGES = [0, 1, 2, P - 1, P - 2, (1 << 32) % P]
elements = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))


@settings(max_examples=60, deadline=None)
@given(values=st.lists(elements, max_size=50))
def test_arrays_convert_like_integers(values: list[int]) -> None:
    converted = to_montgomery(np.array(values, np.int64))
    assert converted.dtype == np.uint32
    assert converted.tolist() == [(value << 32) % P for value in values]
    assert from_montgomery(converted).tolist() == values


@given(value=st.integers(-(1 << 70), 1 << 70))
def test_scalars_convert_like_integers(value: int) -> None:
    converted = scalar_to_montgomery(value)
    assert converted == (value << 32) % P
    assert scalar_from_montgomery(converted) == value % P


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, np.int32, np.int64])
def test_every_integer_type_and_shape_converts(dtype: Any) -> None:
    values = np.arange(3 * 5 * 7, dtype=dtype).reshape(3, 5, 7)
    for view in (values, values[:, ::2], values.transpose(2, 0, 1)):
        converted = to_montgomery(view)
        assert converted.shape == view.shape
        assert converted.tolist() == ((view.astype(object) << 32) % P).tolist()
        np.testing.assert_array_equal(from_montgomery(converted), view)


def test_a_scalar_array_keeps_its_shape() -> None:
    assert to_montgomery(np.array(1)).shape == ()


def test_read_only_arrays_convert() -> None:
    values = np.arange(40, dtype=np.uint32)
    values.flags.writeable = False
    converted = to_montgomery(values)
    converted.flags.writeable = False
    np.testing.assert_array_equal(from_montgomery(converted), values)


def test_long_arrays_convert_on_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARK_THREADS", "3")
    values = np.random.default_rng(5).integers(0, P, 200_003, dtype=np.uint32)
    converted = to_montgomery(values)
    expected = values.astype(np.uint64) * np.uint64((1 << 32) % P) % np.uint64(P)
    np.testing.assert_array_equal(converted, expected)
    np.testing.assert_array_equal(from_montgomery(converted), values)


def test_multiplication_by_a_scalar_in_place() -> None:
    values = to_montgomery(np.arange(20))
    result = multiply_by_scalar(values, scalar_to_montgomery(P - 1), out=values)
    assert result is values
    assert from_montgomery(values).tolist() == [-k % P for k in range(20)]


@pytest.mark.parametrize(
    "values",
    [np.array([P]), np.array([-1]), np.array([1 << 40], np.uint64), np.array([0.5])],
    ids=["p", "negative", "large", "float"],
)
def test_values_outside_the_field_are_refused(values: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        to_montgomery(values)


def test_unfit_arrays_are_refused() -> None:
    values = np.zeros(32, np.uint32)
    with pytest.raises(ValueError, match="uint32"):
        from_montgomery(np.zeros(4, np.int64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="contiguous"):
        multiply_by_scalar(values[::2], 1)
    with pytest.raises(ValueError, match="shape"):
        multiply_by_scalar(values, 1, out=np.zeros(16, np.uint32))
    with pytest.raises(ValueError, match="factor"):
        multiply_by_scalar(values, P)
