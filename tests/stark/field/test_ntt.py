"""Transforms against direct evaluation of polynomials."""

from __future__ import annotations

import galois
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field import ntt
from stark.field.koalabear import GENERATOR, P, root_of_unity
from stark.field.memory import aligned_empty
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.field.ntt import (
    bit_reversal,
    coset_shift,
    evaluate_on_coset,
    interpolate,
    interpolate_from_coset,
    low_degree_extend,
)
from stark.field.twiddles import LOG_SINGLE_PASS, powers

Matrix = NDArray[np.uint32]
EDGES = (0, 1, P - 1)


def random_matrix(log_n: int, width: int, seed: int = 0) -> Matrix:
    """Canonical elements, a few of them edge values."""
    generator = np.random.default_rng([seed, log_n, width])
    matrix = generator.integers(0, P, (1 << log_n, width), dtype=np.uint32)
    matrix.reshape(-1)[: len(EDGES)] = EDGES
    return matrix


def evaluate_columns(coefficients: Matrix, point: int) -> list[int]:
    """Values of all columns at a point; canonical coefficients in natural order."""
    terms = powers(point, len(coefficients))[:, None] * coefficients.astype(np.uint64)
    # At most 2^24 terms below 2^31: the sum fits 55 bits.
    return [int(total) % P for total in (terms % np.uint64(P)).sum(axis=0)]


def natural(coefficients: Matrix) -> Matrix:
    """Canonical coefficients in natural order, of a result of the transforms."""
    log_n = len(coefficients).bit_length() - 1
    return from_montgomery(coefficients)[bit_reversal(log_n)]


def sample_rows(count: int) -> list[int]:
    return sorted({0, 1 % count, count // 3, count // 2, count - 1})


@pytest.fixture(params=[False, True], ids=["cached", "streaming"])
def streaming(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways of writing, whatever the size."""
    monkeypatch.setattr(ntt, "_STREAMING_BYTES", 0 if request.param else 1 << 60)
    return bool(request.param)


@pytest.mark.parametrize("log_n", range(7))
def test_interpolation_inverts_the_definition(log_n: int) -> None:
    coefficients = random_matrix(log_n, 16).astype(object)
    root = root_of_unity(log_n)
    rows = range(1 << log_n)
    values = [
        [sum(int(c) * pow(root, i * k, P) for k, c in enumerate(column)) % P for i in rows]
        for column in coefficients.T
    ]
    result = interpolate(to_montgomery(np.array(values, np.int64).T))
    np.testing.assert_array_equal(natural(result), coefficients)


@pytest.mark.parametrize("log_n", [1, 4, 8])
def test_transforms_match_galois(log_n: int) -> None:
    values = random_matrix(log_n, 16)
    coefficients = natural(interpolate(to_montgomery(values)))
    for column in (0, 15):
        # galois takes the same root, 3^((p-1)/N): 3 is its primitive element too.
        expected = galois.intt(values[:, column].tolist(), modulus=P)
        assert coefficients[:, column].tolist() == [int(c) for c in expected]


@pytest.mark.usefixtures("streaming")
@pytest.mark.parametrize("width", [16, 48, 208])
@pytest.mark.parametrize("log_n", range(LOG_SINGLE_PASS + 4))
def test_extension_is_evaluation_at_the_documented_points(log_n: int, width: int) -> None:
    values, log_blowup = random_matrix(log_n, width), 1 + log_n % 2
    extension, reversed_coefficients = low_degree_extend(to_montgomery(values), log_blowup)
    blowup, count = 1 << log_blowup, 1 << log_n
    assert extension.shape == (blowup, count, width)
    coefficients = natural(reversed_coefficients)
    canonical = from_montgomery(extension)
    full_root = root_of_unity(log_n + log_blowup)
    for row in sample_rows(count):
        point = pow(root_of_unity(log_n), row, P)
        assert evaluate_columns(coefficients, point) == values[row].tolist()
        for coset in range(blowup):
            point = GENERATOR * pow(full_root, coset + blowup * row, P) % P
            assert evaluate_columns(coefficients, point) == canonical[coset, row].tolist()


@pytest.mark.parametrize("threads", ["1", "3"])
@settings(max_examples=25, deadline=None)
@given(
    log_n=st.integers(0, 12),
    strips=st.integers(1, 5),
    shift=st.one_of(st.sampled_from([1, 3, P - 1]), st.integers(1, P - 1)),
    in_place=st.booleans(),
    seed=st.integers(0, 1 << 32),
)
def test_coset_transforms_are_inverse(
    threads: str, log_n: int, strips: int, shift: int, in_place: bool, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STARK_THREADS", threads)
        coefficients = random_matrix(log_n, 16 * strips, seed)
        work = coefficients.copy()
        values = evaluate_on_coset(work, shift, out=work if in_place else None)
        point = shift * pow(root_of_unity(log_n), (1 << log_n) // 3, P) % P
        # Linear in the elements: Montgomery form or not makes no difference here.
        expected = evaluate_columns(coefficients[bit_reversal(log_n)], point)
        assert values[(1 << log_n) // 3].tolist() == expected
        again = interpolate_from_coset(values, shift, out=values if in_place else None)
        np.testing.assert_array_equal(again, coefficients)
        assert (values is work) == (again is work) == in_place
        if not in_place:
            np.testing.assert_array_equal(work, coefficients)


@pytest.mark.usefixtures("streaming")
def test_unaligned_and_preallocated_results() -> None:
    raw = np.zeros((2 << 11) * 32 + 1, np.uint32)
    values = to_montgomery(random_matrix(11, 32))
    extension, coefficients = low_degree_extend(values, 1)
    out = raw[1:].reshape(2, 1 << 11, 32)
    same, _ = low_degree_extend(values, 1, out=out)
    assert same is out
    np.testing.assert_array_equal(out, extension)
    target = aligned_empty(values.shape)
    assert interpolate(values, out=target) is target
    np.testing.assert_array_equal(target, coefficients)


def test_passes_of_unequal_length() -> None:
    """2^17 rows: passes of 8 and 9 layers, and streaming is on by itself."""
    values = random_matrix(17, 32)
    coefficients = interpolate(to_montgomery(values))
    for row in (0, 1, 77_777, (1 << 17) - 1):
        point = pow(root_of_unity(17), row, P)
        assert evaluate_columns(natural(coefficients), point) == values[row].tolist()


def test_a_constant_column_extends_to_itself() -> None:
    values = np.full((64, 16), P - 1, np.uint32)
    extension, coefficients = low_degree_extend(values, 3)
    assert (extension == P - 1).all()
    assert (coefficients[0] == P - 1).all()
    assert not coefficients[1:].any()


@pytest.mark.parametrize("log_n", [0, 1, 2, 5, 13])
def test_bit_reversal_reverses_bits(log_n: int) -> None:
    permutation = bit_reversal(log_n)
    assert permutation.dtype == np.int64
    expected = [int(format(k, f"0{log_n}b")[::-1] or "0", 2) for k in range(1 << log_n)]
    assert permutation.tolist() == (expected if log_n else [0])


def test_unfit_matrices_are_refused() -> None:
    good = np.zeros((8, 32), np.uint32)
    bad = [
        np.zeros((8, 32), np.int64),
        np.zeros((6, 16), np.uint32),
        np.zeros((0, 16), np.uint32),
        np.zeros((8, 8), np.uint32),
        np.zeros((8, 0), np.uint32),
        np.zeros(16, np.uint32),
        good[:, :16],
    ]
    for matrix in bad:
        with pytest.raises(ValueError, match="values"):
            interpolate(matrix)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="coefficients"):
            evaluate_on_coset(matrix, 3)  # type: ignore[arg-type]


def test_unfit_results_are_refused() -> None:
    good = np.zeros((16, 16), np.uint32)
    read_only = good.copy()
    read_only.flags.writeable = False
    for out, message in (
        (np.zeros((8, 16), np.uint32), "shape"),
        (read_only, "writeable"),
        (np.zeros((16, 16), np.int64), "uint32"),
    ):
        with pytest.raises(ValueError, match=message):
            interpolate(good, out=out)  # type: ignore[arg-type]
    both = np.zeros((3, 8, 16), np.uint32).reshape(24, 16)
    with pytest.raises(ValueError, match="overlaps"):
        interpolate(both[:16], out=both[8:])
    with pytest.raises(ValueError, match="shape"):
        low_degree_extend(good, 1, out=np.zeros((4, 16, 16), np.uint32))


@pytest.mark.parametrize("shift", [0, P, -1])
def test_a_shift_outside_the_group_is_refused(shift: int) -> None:
    with pytest.raises(ValueError, match="shift"):
        evaluate_on_coset(np.zeros((4, 16), np.uint32), shift)
    with pytest.raises(ValueError, match="shift"):
        interpolate_from_coset(np.zeros((4, 16), np.uint32), shift)


def test_domains_longer_than_the_group_are_refused() -> None:
    with pytest.raises(ValueError, match="log_blowup"):
        low_degree_extend(np.zeros((4, 16), np.uint32), 23)
    with pytest.raises(ValueError, match="log_blowup"):
        low_degree_extend(np.zeros((4, 16), np.uint32), -1)
    with pytest.raises(ValueError, match="log_n"):
        bit_reversal(25)


def test_no_coset_meets_the_subgroup() -> None:
    shifts = [coset_shift(5, 3, coset) for coset in range(8)]
    assert all(pow(shift, 32, P) != 1 for shift in shifts)
    assert len({pow(shift, 32, P) for shift in shifts}) == 8
