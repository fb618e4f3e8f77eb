"""Speed of Poseidon2: ``pytest benchmarks/test_bench_poseidon2.py``.

``extra_info`` of each result has the time per permutation in nanoseconds, on all cores unless
``STARK_THREADS=1``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from bounds import SBOXES, WORD, Work, report

from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.hash import poseidon_kernels
from stark.hash.poseidon2 import permute
from stark.hash.poseidon2_kernels import permutation_trace, permute_many

PERMUTATIONS = 1 << 16


def measure(benchmark: Any, call: Callable[[], object]) -> None:
    benchmark.pedantic(call, rounds=7, warmup_rounds=1)
    report(benchmark, "permutation", PERMUTATIONS, Work(SBOXES, bytes=32 * WORD))


@pytest.fixture
def states() -> Any:
    array = aligned_empty((PERMUTATIONS, 16))
    array[...] = np.random.default_rng(0).integers(0, P, array.shape, np.uint32)
    return array


@pytest.mark.parametrize(
    "function", [permute_many, poseidon_kernels.permute_many], ids=["poseidon2", "poseidon1"]
)
def test_permutations(benchmark: Any, states: Any, function: Callable[[Any], object]) -> None:
    measure(benchmark, lambda: function(states))


def test_trace_of_eight_permutations_a_row(benchmark: Any, states: Any) -> None:
    measure(benchmark, lambda: permutation_trace(states, 8))


@pytest.mark.parametrize("state", [list(range(16))], ids=["scalar"])
def test_scalar_permutation(benchmark: Any, state: Sequence[int]) -> None:
    benchmark(permute, state)
