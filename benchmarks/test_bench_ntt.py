"""Transforms and the low-degree extension: ``pytest benchmarks/test_bench_ntt.py``."""

from __future__ import annotations

import numpy as np
import pytest
from bounds import MULTIPLICATION, WORD, Work, report
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.field.ntt import evaluate_on_coset, interpolate, low_degree_extend
from stark.field.remainders import remainder

SIZES = [(10, 64), (16, 64), (20, 16), (18, 256)]


def random_matrix(log_n: int, width: int) -> NDArray[np.uint32]:
    matrix = aligned_empty((1 << log_n, width))
    matrix[:] = np.random.default_rng(0).integers(0, P, matrix.shape, dtype=np.uint32)
    return matrix


def butterfly(log_n: int) -> Work:
    """A multiplication; a pass over the matrix for all of log_n / 2 butterflies a cell, or two."""
    passes = 1 if log_n <= 10 else 2
    return Work(MULTIPLICATION, bytes=2 * WORD * passes / (log_n / 2))


@pytest.mark.parametrize(("log_n", "width"), SIZES)
@pytest.mark.parametrize("direction", ["inverse", "forward"])
def test_transform(benchmark: BenchmarkFixture, direction: str, log_n: int, width: int) -> None:
    values, out = random_matrix(log_n, width), random_matrix(log_n, width)
    if direction == "inverse":
        benchmark(interpolate, values, out)
    else:
        benchmark(evaluate_on_coset, values, 3, out)
    report(benchmark, "butterfly", log_n * values.size / 2, butterfly(log_n))


@pytest.mark.parametrize(("log_n", "width"), SIZES)
@pytest.mark.parametrize("log_blowup", [1, 2])
def test_low_degree_extend(
    benchmark: BenchmarkFixture, log_blowup: int, log_n: int, width: int
) -> None:
    values = random_matrix(log_n, width)
    out = aligned_empty((1 << log_blowup, *values.shape))
    out.fill(0)  # the first touch of the pages is not what is measured
    benchmark.pedantic(low_degree_extend, (values, log_blowup, out), rounds=5, warmup_rounds=1)
    count = (1 + (1 << log_blowup)) * log_n * values.size / 2
    report(benchmark, "butterfly", count, butterfly(log_n))


@pytest.mark.parametrize(("log_n", "width"), SIZES)
def test_remainder(benchmark: BenchmarkFixture, log_n: int, width: int) -> None:
    values = random_matrix(log_n, width)
    benchmark(remainder, values, 3, 1 << min(log_n, 10))
    report(benchmark, "cell", values.size, Work(MULTIPLICATION, bytes=WORD))
