"""Lane arithmetic against Python integers, on edge values and random ones."""

from __future__ import annotations

import operator
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError
from numpy.typing import NDArray

from stark.field import simd
from stark.field.koalabear import P
from stark.field.memory import aligned_empty, aligned_zeros
from stark.jit import Kernel, device, kernel

R_INVERSE = pow(1 << 32, -1, P)
MASK = (1 << 32) - 1
EDGES = [0, 1, 2, P - 2, P - 1, P // 2, P // 2 + 1, (1 << 32) % P]
WORDS = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x01020304, 0xDEADBEEF]

elements = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
Pairs = list[tuple[int, int]]


def binary_kernel(operation: Any) -> Kernel:
    """A kernel that applies a lane operation to whole vectors of two arrays."""

    @kernel("void(u4[::1], u4[::1], u4[::1])")
    def apply(x: NDArray[np.uint32], y: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
        for i in range(0, x.size, 16):
            simd.store(out, i, operation(simd.load(x, i), simd.load(y, i)))

    return apply


def apply_to(compiled: Kernel, pairs: Pairs) -> list[int]:
    """Results for all pairs, padded to whole vectors."""
    padded = pairs + [(0, 0)] * (-len(pairs) % 16)
    x = np.array([pair[0] for pair in padded], np.uint32)
    y = np.array([pair[1] for pair in padded], np.uint32)
    out = np.empty_like(x)
    compiled(x, y, out)
    return [int(value) for value in out[: len(pairs)]]


def all_pairs(values: Sequence[int]) -> Pairs:
    return [(x, y) for x in values for y in values]


@device
def _lazy_difference_times_y(x, y):  # type: ignore[no-untyped-def]
    return simd.field_mul(simd.field_sub_lazy(x, y), y)


@device
def _half_of_sum(x, y):  # type: ignore[no-untyped-def]
    return simd.field_halve(simd.field_add(x, y))


@device
def _bit_soup(x, y):  # type: ignore[no-untyped-def]
    shifted = simd.bit_or(simd.shift_left(x, 5), simd.shift_right(y, 27))
    return simd.bit_xor(simd.byte_swap(shifted), simd.bit_and(simd.rotate_right(x, 7), y))


def _bit_soup_reference(x: int, y: int) -> int:
    shifted = (x << 5 & MASK) | y >> 27
    swapped = int.from_bytes(shifted.to_bytes(4, "little"), "big")
    return swapped ^ ((x >> 7 | x << 25) & MASK & y)


FIELD_OPERATIONS: dict[str, tuple[Any, Callable[[int, int], int]]] = {
    "field_add": (simd.field_add, lambda x, y: (x + y) % P),
    "field_sub": (simd.field_sub, lambda x, y: (x - y) % P),
    "field_mul": (simd.field_mul, lambda x, y: x * y * R_INVERSE % P),
    "field_sub_lazy": (_lazy_difference_times_y, lambda x, y: (x - y) * y * R_INVERSE % P),
    "field_halve": (_half_of_sum, lambda x, y: (x + y) * (P + 1) // 2 % P),
}
WORD_OPERATIONS: dict[str, tuple[Any, Callable[[int, int], int]]] = {
    "add": (simd.add, lambda x, y: (x + y) & MASK),
    "sub": (simd.sub, lambda x, y: (x - y) & MASK),
    "mul": (simd.mul, lambda x, y: x * y & MASK),
    "minimum": (simd.minimum, min),
    "xor": (simd.bit_xor, operator.xor),
    "bits": (_bit_soup, _bit_soup_reference),
}
COMPILED = {
    name: binary_kernel(operation)
    for name, (operation, _) in {**FIELD_OPERATIONS, **WORD_OPERATIONS}.items()
}


@pytest.mark.parametrize("name", FIELD_OPERATIONS)
@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(elements, elements), max_size=40))
def test_field_operation_matches_integers(name: str, pairs: Pairs) -> None:
    every = all_pairs(EDGES) + pairs
    reference = FIELD_OPERATIONS[name][1]
    assert apply_to(COMPILED[name], every) == [reference(x, y) for x, y in every]


@pytest.mark.parametrize("name", WORD_OPERATIONS)
@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, MASK), st.integers(0, MASK)), max_size=40))
def test_word_operation_matches_integers(name: str, pairs: Pairs) -> None:
    every = all_pairs(WORDS) + pairs
    reference = WORD_OPERATIONS[name][1]
    assert apply_to(COMPILED[name], every) == [reference(x, y) for x, y in every]


@kernel("void(u4[::1], u4[::1], u4[:, ::1])")
def _scalars(x: Any, y: Any, out: Any) -> None:
    for i in range(x.size):
        out[0, i] = simd.mont_add(x[i], y[i])
        out[1, i] = simd.mont_sub(x[i], y[i])
        out[2, i] = simd.mont_mul(x[i], y[i])


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(elements, elements), max_size=5))
def test_scalar_operations_match_integers(pairs: Pairs) -> None:
    every = all_pairs(EDGES) + pairs
    x, y = np.array(every, np.uint32).T.copy()
    out = np.empty((3, len(every)), np.uint32)
    _scalars(x, y, out)
    assert out[0].tolist() == [(a + b) % P for a, b in every]
    assert out[1].tolist() == [(a - b) % P for a, b in every]
    assert out[2].tolist() == [a * b * R_INVERSE % P for a, b in every]


@kernel("void(u4[:, ::1], u4[:, ::1], u4[:, ::1])")
def _dot_products(x: Any, y: Any, out: Any) -> None:
    """Row 0: all products, two at a time. Row 1: rows 0 to 3, subtracting once. Row 2: splats."""
    even, odd = simd.wide_zero(), simd.wide_zero()
    for k in range(0, x.shape[0], 2):
        a, b = simd.load(x, k * 16), simd.load(y, k * 16)
        c, d = simd.load(x, k * 16 + 16), simd.load(y, k * 16 + 16)
        even = simd.wide_add(
            even, simd.wide_add(simd.wide_product_even(a, b), simd.wide_product_even(c, d))
        )
        odd = simd.wide_add(
            odd, simd.wide_add(simd.wide_product_odd(a, b), simd.wide_product_odd(c, d))
        )
        even, odd = simd.wide_conditional_subtract(even), simd.wide_conditional_subtract(odd)
    simd.store(out, 0, simd.wide_reduce(even, odd))

    even, odd = simd.wide_zero(), simd.wide_zero()
    for k in range(4):
        a, b = simd.load(x, k * 16), simd.load(y, k * 16)
        even = simd.wide_add(even, simd.wide_product_even(a, b))
        odd = simd.wide_add(odd, simd.wide_product_odd(a, b))
    even, odd = simd.wide_conditional_subtract(even), simd.wide_conditional_subtract(odd)
    simd.store(out, 16, simd.wide_reduce(even, odd))

    a, b = simd.load(x, 0), simd.splat(simd.lane(simd.load(y, 0), 3))
    even, odd = simd.wide_product_even(a, b), simd.wide_product_odd_splat(a, b)
    simd.store(out, 32, simd.wide_reduce(even, odd))
    simd.store(out, 48, simd.field_mul_splat(a, b))


def _random_rows(seed: int, rows: int) -> NDArray[np.uint32]:
    return np.random.default_rng(seed).integers(0, P, (rows, 16), dtype=np.uint32)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (_random_rows(1, 8), _random_rows(2, 8)),
        (np.full((4, 16), P - 1, np.uint32), np.full((4, 16), P - 1, np.uint32)),
        (np.zeros((4, 16), np.uint32), _random_rows(3, 4)),
    ],
    ids=["random", "largest", "zero"],
)
def test_dot_products_match_integers(x: NDArray[np.uint32], y: NDArray[np.uint32]) -> None:
    out = np.empty((4, 16), np.uint32)
    _dot_products(x, y, out)
    for column in range(16):
        a, b = x[:, column].tolist(), y[:, column].tolist()
        products = [p * q * R_INVERSE for p, q in zip(a, b, strict=True)]
        assert int(out[0, column]) == sum(products) % P
        assert int(out[1, column]) == sum(products[:4]) % P
        assert int(out[2, column]) == int(out[3, column]) == a[0] * int(y[0, 3]) * R_INVERSE % P


@kernel("void(u4[:, ::1], u4[::1], i8)")
def _tiles(matrix: Any, out: Any, column: int) -> None:
    """The 16 x 16 tile at ``column``, four ways, one after the other."""
    width = matrix.shape[1]
    simd.store_tile(out, 0, 16, simd.load_tile(matrix, column, width))
    simd.store_tile(out, 256, 16, simd.load_tile_transposed(matrix, column, width))
    simd.store_tile_transposed(out, 512, 16, simd.load_tile(matrix, column, width))
    simd.store_tile(out, 768, 16, simd.transpose(simd.load_tile(matrix, column, width)))


def test_tiles_match_numpy() -> None:
    matrix = np.arange(16 * 48, dtype=np.uint32).reshape(16, 48)
    out = np.zeros(1024, np.uint32)
    for column in (0, 16, 29):
        _tiles(matrix, out, column)
        block = matrix[:, column : column + 16]
        direct, *transposed = out.reshape(4, 16, 16)
        np.testing.assert_array_equal(direct, block)
        for tile in transposed:
            np.testing.assert_array_equal(tile, block.T)


@kernel("void(u4[::1], u8[::1], u4[::1])")
def _memory(words: Any, double_words: Any, out: Any) -> None:
    simd.store(out, 17, simd.load(words, 1))
    simd.store_streaming(out, 48, simd.load(words, 0))
    simd.wide_store(double_words, 9, simd.wide_load(double_words, 1))
    simd.store(out, 64, simd.zero())
    out[80] = simd.lane(simd.load(words, 0), words[16])
    simd.fence()


def test_loads_and_stores_touch_exactly_their_elements() -> None:
    words = np.arange(100, 117, dtype=np.uint32)
    words[16] = 5
    double_words = np.arange(20, dtype=np.uint64) << np.uint64(40)
    out = aligned_empty(96)
    out.fill(7)
    _memory(words, double_words, out)
    expected = np.full(96, 7, np.uint32)
    expected[17:33], expected[48:64], expected[64:80] = words[1:17], words[:16], 0
    expected[80] = 105
    np.testing.assert_array_equal(out, expected)
    values = list(range(20))
    values[9:17] = values[1:9]
    assert double_words.tolist() == [value << 40 for value in values]


@kernel("void(u4[::1], i8)")
def _rotate_by_variable(out: Any, count: int) -> None:
    simd.store(out, 0, simd.rotate_right(simd.load(out, 0), count))


def test_a_variable_rotation_is_refused_when_compiling() -> None:
    with pytest.raises(TypingError, match="literal"):
        _rotate_by_variable(aligned_zeros(16), 3)


EXTEND_AND_PRINT = """
import hashlib, numpy
from stark.field.ntt import low_degree_extend
values = numpy.arange(64 * 16, dtype=numpy.uint32).reshape(64, 16) * numpy.uint32(2000003)
extension, _ = low_degree_extend(values, 1)
print(hashlib.sha256(extension.tobytes()).hexdigest())
"""


def _digest_on(processor: str | None) -> str:
    environment = {**os.environ, "STARK_THREADS": "1"}
    if processor is not None:
        # Empty features: otherwise Numba adds those of the host.
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-c", EXTEND_AND_PRINT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
def test_processors_without_wide_vectors_compute_the_same() -> None:
    results = {processor: _digest_on(processor) for processor in (None, "haswell", "nehalem")}
    assert len(set(results.values())) == 1, results
