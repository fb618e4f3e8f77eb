"""Extension vectors, openings, DEEP and folds: ``pytest benchmarks/test_bench_fri_kernels.py``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from bounds import EXTENSION, MULTIPLICATION, SCALING, WORD, Work, report
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from stark.field.barycentric import evaluate_columns, weights
from stark.field.evaluation import point_powers, reversed_powers
from stark.field.extension_kernels import (
    batch_inverse,
    domain_points,
    multiply,
    powers,
    running_sum,
    scale,
)
from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.fri.deep import combine_rows, inverse_differences, quotients
from stark.fri.fold import fold, interpolate_final

LOG_N = 20
N = 1 << LOG_N
POINT = (3, 1, 4, 1, 5)
SHAPES = [(20, 16), (18, 208)]

Words = NDArray[np.uint32]


def random_words(*shape: int) -> Words:
    words = aligned_empty(shape)
    words[:] = np.random.default_rng(0).integers(0, P, shape, dtype=np.uint32)
    return words


ELEMENT = 5 * WORD
INVERSE = 3 * MULTIPLICATION
"""Of one of many in the base field, by Montgomery's trick."""
DIFFERENCE = 4 * MULTIPLICATION + INVERSE + 4 * MULTIPLICATION + EXTENSION
"""1 / (x - z): the norm, its inverse, powers of x, a linear map."""


def work_of(name: str) -> Work:
    """Per element of a vector."""
    return {
        "multiply": Work(EXTENSION, bytes=3 * ELEMENT),
        "scale": Work(EXTENSION, bytes=2 * ELEMENT),
        "batch_inverse": Work(3 * EXTENSION, bytes=2 * ELEMENT),
        "running_sum": Work(bytes=2 * ELEMENT),
        "powers": Work(EXTENSION, bytes=ELEMENT),
        "domain_points": Work(MULTIPLICATION, bytes=WORD),
        "weights": Work(DIFFERENCE + MULTIPLICATION, bytes=ELEMENT),
        "inverse_differences": Work(DIFFERENCE, bytes=ELEMENT + WORD),
        "quotients": Work(2 * EXTENSION, bytes=16 * WORD + 3 * ELEMENT),
        "reversed_powers": Work(EXTENSION, bytes=ELEMENT),
        "point_powers": Work(5 * MULTIPLICATION, bytes=ELEMENT),
    }[name]


def vector_operations() -> dict[str, Callable[[], object]]:
    a, b = random_words(5, N), random_words(5, N)
    points = domain_points(LOG_N, 3)
    joint, codeword = random_words(N, 16), aligned_empty((5, 1, N))
    return {
        "multiply": lambda: multiply(a, b),
        "scale": lambda: scale(a, POINT),
        "batch_inverse": lambda: batch_inverse(a),
        "running_sum": lambda: running_sum(a),
        "powers": lambda: powers(POINT, N),
        "domain_points": lambda: domain_points(LOG_N, 3),
        "weights": lambda: weights(LOG_N, 3, POINT),
        "inverse_differences": lambda: inverse_differences(points, POINT),
        "quotients": lambda: quotients(joint, (POINT, POINT), (a, b), codeword, 0),
        "reversed_powers": lambda: reversed_powers(LOG_N, POINT),
        "point_powers": lambda: point_powers(LOG_N, [3, 5, 7, 11, 13]),
    }


NAMES = [
    "multiply",
    "scale",
    "batch_inverse",
    "running_sum",
    "powers",
    "domain_points",
    "weights",
    "inverse_differences",
    "quotients",
    "reversed_powers",
    "point_powers",
]


@pytest.mark.parametrize("name", NAMES)
def test_vector(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark(vector_operations()[name])
    report(benchmark, "element", N, work_of(name))


@pytest.mark.parametrize(("log_rows", "width"), SHAPES)
def test_evaluate_columns(benchmark: BenchmarkFixture, log_rows: int, width: int) -> None:
    matrix, row_weights = random_words(1 << log_rows, width), random_words(5, 1 << log_rows)
    benchmark(evaluate_columns, matrix, row_weights)
    report(benchmark, "cell", matrix.size, Work(5, bytes=WORD))


@pytest.mark.parametrize(("log_rows", "width"), SHAPES)
def test_combine_rows(benchmark: BenchmarkFixture, log_rows: int, width: int) -> None:
    matrix, coefficients = random_words(1 << log_rows, width), random_words(width, 5)
    benchmark(combine_rows, matrix, coefficients)
    report(benchmark, "cell", matrix.size, Work(5, bytes=WORD))


@pytest.mark.parametrize("log_arity", [1, 2, 3])
def test_fold(benchmark: BenchmarkFixture, log_arity: int) -> None:
    codeword = random_words(5, 4, N >> 2)
    benchmark(fold, codeword, log_arity, POINT, 2)
    # Each halving: for every two values one by a point of the domain, one by the challenge.
    halvings = 1 - 1 / (1 << log_arity)
    traffic = ELEMENT * (1 + 1 / (1 << log_arity))
    report(benchmark, "element", N, Work(halvings * (SCALING + EXTENSION), bytes=traffic))


def test_final_polynomial(benchmark: BenchmarkFixture) -> None:
    benchmark(interpolate_final, random_words(5, 4, 1024), 1024)
