"""DEEP quotients against the scalar extension."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.barycentric import evaluate_columns, weights
from stark.field.extension import Element
from stark.field.extension_kernels import domain_points, multiply
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.fri.deep import combine_rows, inverse_differences, quotients

Words = NDArray[np.uint32]

R = 1 << 32
POINT = (P - 2, 7, 1, 8, 2)


def tuples(vector: Words) -> list[Element]:
    return [tuple(column) for column in from_montgomery(vector).T.tolist()]


def random_words(shape: tuple[int, ...], seed: int) -> Words:
    return np.random.default_rng(seed).integers(0, P, shape, dtype=np.uint32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.sampled_from([16, 32, 80]), st.integers(0, 2**32 - 1), st.data())
def test_combine_rows(rows: int, width: int, seed: int, data: st.DataObject) -> None:
    given_rows = data.draw(st.integers(0, width))
    matrix = random_words((rows, width), seed)
    coefficients = random_words((given_rows, 5), seed + 1)
    coefficients[
        data.draw(st.lists(st.integers(0, max(0, given_rows - 1)))) if given_rows else []
    ] = 0
    got = combine_rows(to_montgomery(matrix), coefficients)
    assert got.shape == (5, rows)
    rows_of = [tuple(row) for row in coefficients.tolist()]
    assert tuples(got) == [
        ext.total(ext.scale(c, cell) for c, cell in zip(rows_of, row[:given_rows], strict=True))
        for row in matrix.tolist()
    ]


@pytest.mark.parametrize("width", [16, 32, 1024])
def test_combine_largest_words(width: int) -> None:
    # The largest words of Montgomery form, whose canonical value is -1/R.
    word = (P - 1) * pow(R, -1, P) % P
    got = combine_rows(np.full((16, width), P - 1, np.uint32), [(word,) * 5] * width)
    assert tuples(got) == [(width * word * word % P,) * 5] * 16


def test_blocks_with_zero_coefficients_are_skipped() -> None:
    matrix = random_words((16, 64), 3)
    coefficients = np.zeros((64, 5), np.uint32)
    coefficients[40] = [1, 2, 3, 4, 5]
    expected = [ext.scale((1, 2, 3, 4, 5), int(cell)) for cell in matrix[:, 40]]
    words = to_montgomery(matrix)
    assert tuples(combine_rows(words, coefficients)) == expected
    assert not combine_rows(words, []).any()


@pytest.mark.parametrize("coset", [0, 2])
@pytest.mark.parametrize("rows", [1, 2, 16, 17, 100])
def test_quotients(rows: int, coset: int) -> None:
    numerators = random_words((rows, 16), 1)
    here, following = (random_words((5, rows), seed) for seed in (2, 3))
    numerators[0, :7], here[:, :1] = P - 1, P - 1
    values = (P - 1, 0, 5, P - 2, 1), (0, P - 1, 2, 3, 4)
    out = np.full((5, 3, rows), 7, np.uint32)
    words = to_montgomery(numerators)
    quotients(words, values, (here, following), out, coset)
    pairs = zip(from_montgomery(words).tolist(), tuples(here), tuples(following), strict=True)
    expected = [
        ext.add(
            ext.add(
                ext.multiply(ext.subtract(tuple(row[:5]), values[0]), a),
                ext.multiply(ext.subtract(tuple(row[5:10]), values[1]), b),
            ),
            tuple(row[10:15]),
        )
        for row, a, b in pairs
    ]
    assert tuples(np.ascontiguousarray(out[:, coset])) == expected
    assert (np.delete(out, coset, axis=1) == 7).all()


@pytest.mark.parametrize("n", [0, 1, 16, 33])
def test_inverse_differences(n: int) -> None:
    xs = random_words((n,), 9)
    got = tuples(inverse_differences(to_montgomery(xs), POINT))
    assert got == [ext.invert(ext.subtract(ext.from_base(x), POINT)) for x in xs.tolist()]


def test_inverse_difference_of_a_point() -> None:
    with pytest.raises(ZeroDivisionError):
        inverse_differences(domain_points(4, 3), ext.from_base(3))


@pytest.mark.parametrize("error", [0, 1])
@pytest.mark.parametrize("log_n", [2, 7])
def test_quotient_has_lower_degree_only_for_the_true_value(log_n: int, error: int) -> None:
    """The coefficient of x^(n-1) of q is sum of x_i q(x_i), up to a constant."""
    n = 1 << log_n
    matrix = random_words((n, 16), 4)
    coefficients = [tuple(row) for row in random_words((16, 5), 5).tolist()]
    opened = evaluate_columns(matrix, weights(log_n, 3, POINT)).tolist()
    value = ext.total(ext.multiply(c, tuple(v)) for c, v in zip(coefficients, opened, strict=True))
    value = ext.add(value, ext.from_base(error))
    points = domain_points(log_n, 3)
    quotient, joint = np.zeros((5, 1, n), np.uint32), np.zeros((n, 16), np.uint32)
    joint[:, :5] = combine_rows(matrix, coefficients).T
    none = np.zeros((5, n), np.uint32)
    quotients(joint, (value, ext.ZERO), (inverse_differences(points, POINT), none), quotient, 0)
    lifted = np.zeros((5, n), np.uint32)
    lifted[0] = points
    top = ext.total(tuples(multiply(lifted, np.ascontiguousarray(quotient[:, 0]))))
    assert (top == ext.ZERO) == (error == 0)


def test_one_and_several_threads_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, coefficients = random_words((30000, 32), 6), random_words((32, 5), 7)
    joint, inverses = random_words((30000, 16), 8), random_words((5, 30000), 9)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("STARK_THREADS", threads)
        numerators = combine_rows(matrix, coefficients)
        target = np.zeros((5, 1, 30000), np.uint32)
        quotients(joint, (POINT, POINT), (inverses, inverses), target, 0)
        results.append((numerators, target))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    last = from_montgomery(matrix[-1:])[0].tolist()
    assert tuples(results[1][0][:, -1:].copy())[0] == ext.total(
        ext.scale(tuple(c), x) for c, x in zip(coefficients.tolist(), last, strict=True)
    )


def test_rejects_other_arguments() -> None:
    good = np.zeros((16, 16), np.uint32)
    with pytest.raises(ValueError, match="uint32 matrix"):
        combine_rows(good.astype(np.uint64), np.zeros((16, 5), np.uint32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="uint32 matrix"):
        combine_rows(np.zeros((16, 32), np.uint32)[:, ::2], np.zeros((16, 5), np.uint32))
    for shape in ((17, 5), (16, 4), (80,)):
        with pytest.raises(ValueError, match="does not fit"):
            combine_rows(good, np.ones(shape, np.uint32))
    with pytest.raises(ValueError, match="does not fit"):
        combine_rows(np.zeros((16, 8), np.uint32), np.ones((8, 5), np.uint32))
    with pytest.raises(ValueError, match="must be in"):
        combine_rows(good, np.full((16, 5), P, np.uint32))
    vector, out, zeros = np.zeros((5, 16), np.uint32), np.zeros((5, 2, 16), np.uint32), ext.ZERO
    for bad in (np.zeros((5, 32), np.uint32), np.zeros((4, 16), np.uint32)):
        for pair in ((bad, vector), (vector, bad)):
            with pytest.raises(ValueError, match=r"shape|must be"):
                quotients(good, (zeros, zeros), pair, out, 0)
    for matrix in (np.zeros((32, 16), np.uint32), np.zeros((16, 32), np.uint32), good.T[:, ::-1]):
        with pytest.raises(ValueError, match="numerators"):
            quotients(matrix, (zeros, zeros), (vector, vector), out, 0)
    for coset in (-1, 2):
        with pytest.raises(ValueError, match="coset"):
            quotients(good, (zeros, zeros), (vector, vector), out, coset)
    with pytest.raises(ValueError, match="out"):
        quotients(good, (zeros, zeros), (vector, vector), vector, 0)
    with pytest.raises(ValueError, match="five integers"):
        quotients(good, ((P, 0, 0, 0, 0), zeros), (vector, vector), out, 0)
