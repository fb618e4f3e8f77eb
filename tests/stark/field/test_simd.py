"""Lane arithmetic against Python integers, on edge values and random ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field import simd
from stark.field.koalabear import P
from stark.field.memory import aligned_empty, aligned_zeros
from stark.jit import Kernel, device, kernel

R_INVERSE = pow(1 << 32, -1, P)
EDGES = [0, 1, 2, P - 2, P - 1, P // 2, P // 2 + 1, (1 << 32) % P]
PAIRS = [(x, y) for x in EDGES for y in EDGES]
WORDS = [0, 1, 0x80000000, 0xFFFFFFFF, 0x01020304, 0xDEADBEEF]

elements = st.integers(0, P - 1)
words = st.integers(0, (1 << 32) - 1)


def binary_kernel(operation: object) -> Kernel:
    """A kernel that applies a lane operation to whole vectors of two arrays."""

    @kernel("void(u4[::1], u4[::1], u4[::1])")
    def apply(x: NDArray[np.uint32], y: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
        for i in range(0, x.size, 16):
            simd.store(out, i, operation(simd.load(x, i), simd.load(y, i)))  # type: ignore

    return apply


def apply_to(compiled: Kernel, pairs: list[tuple[int, int]]) -> list[int]:
    """Results for all pairs, padded to whole vectors."""
    padded = pairs + [(0, 0)] * (-len(pairs) % 16)
    x = np.array([pair[0] for pair in padded], np.uint32)
    y = np.array([pair[1] for pair in padded], np.uint32)
    out = np.empty_like(x)
    compiled(x, y, out)
    return [int(value) for value in out[: len(pairs)]]


@device
def _lazy_then_mul(x, y):  # type: ignore
    return simd.field_mul(simd.field_sub_lazy(x, y), y)


@device
def _mul_by_first_lane(x, y):  # type: ignore
    return simd.field_mul_splat(x, simd.splat(simd.lane(y, 0)))


@device
def _halve_sum(x, y):  # type: ignore
    return simd.field_halve(simd.field_add(x, y))


FIELD_OPERATIONS: dict[str, tuple[Kernel, Callable[[int, int], int]]] = {
    "field_add": (binary_kernel(simd.field_add), lambda x, y: (x + y) % P),
    "field_sub": (binary_kernel(simd.field_sub), lambda x, y: (x - y) % P),
    "field_mul": (binary_kernel(simd.field_mul), lambda x, y: x * y * R_INVERSE % P),
    "field_sub_lazy": (binary_kernel(_lazy_then_mul), lambda x, y: (x - y) * y * R_INVERSE % P),
    "field_halve": (binary_kernel(_halve_sum), lambda x, y: (x + y) * pow(2, -1, P) % P),
}


@pytest.mark.parametrize("name", FIELD_OPERATIONS)
@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(st.tuples(elements, elements), max_size=40))
def test_field_operation_matches_integers(name: str, pairs: list[tuple[int, int]]) -> None:
    compiled, reference = FIELD_OPERATIONS[name]
    every = PAIRS + pairs
    assert apply_to(compiled, every) == [reference(x, y) for x, y in every]
