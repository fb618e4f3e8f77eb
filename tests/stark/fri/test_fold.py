"""Folds of whole codewords against the definition and against the verifier's fold of a leaf."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P, root_of_unity
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.fri.fold import fold, interpolate_final
from stark.fri.verifier import fold_leaf

Words = NDArray[np.uint32]

BETA = (P - 1, 2, 7, 1, P - 8)
coefficients = st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1))
challenges = st.tuples(*[coefficients] * 5)


def random_elements(n: int, seed: int) -> list[Element]:
    words = np.random.default_rng(seed).integers(0, P, (n, 5)).tolist()
    return [tuple(row) for row in words]


def random_codeword(cosets: int, rows: int, seed: int = 1) -> Words:
    return np.random.default_rng(seed).integers(0, P, (5, cosets, rows), dtype=np.uint32)


def encode(polynomial: list[Element], cosets: int, rows: int) -> Words:
    """Canonical values at w^(c + B i), by Horner's rule."""
    root = root_of_unity((cosets * rows).bit_length() - 1)
    word = np.zeros((5, cosets, rows), np.uint32)
    for c in range(cosets):
        for i in range(rows):
            point = ext.from_base(pow(root, c + cosets * i, P))
            word[:, c, i] = ext.evaluate(polynomial, point)
    return word


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.integers(1, 6), st.data(), challenges)
def test_fold_of_a_polynomial(
    log_blowup: int, log_rows: int, data: st.DataObject, beta: Element
) -> None:
    """sum of beta^t f_t, where f_t has every k-th coefficient from the t-th."""
    log_arity = data.draw(st.integers(1, min(3, log_rows)))
    cosets, rows, arity = 1 << log_blowup, 1 << log_rows, 1 << log_arity
    polynomial = random_elements(rows, data.draw(st.integers(0, 99)))
    folded = [
        ext.evaluate(polynomial[start : start + arity], beta) for start in range(0, rows, arity)
    ]
    got = fold(to_montgomery(encode(polynomial, cosets, rows)), log_arity, beta, log_blowup)
    assert np.array_equal(from_montgomery(got), encode(folded, cosets, rows // arity))
    assert interpolate_final(got, rows // arity) == folded


@pytest.mark.parametrize("log_arity", [1, 2, 3])
@pytest.mark.parametrize(("cosets", "rows"), [(1, 8), (2, 64), (8, 128), (4, 1 << 14)])
def test_fold_of_any_word_matches_the_verifier(cosets: int, rows: int, log_arity: int) -> None:
    word = random_codeword(cosets, rows)
    log_size = (cosets * rows).bit_length() - 1
    got = from_montgomery(fold(to_montgomery(word), log_arity, BETA, cosets.bit_length() - 1))
    short = rows >> log_arity
    assert got.shape == (5, cosets, short)
    for c in range(cosets):
        for i in {0, 1, short // 2, short - 2, short - 1} & set(range(short)):
            leaf = [tuple(word[:, c, i + t * short].tolist()) for t in range(1 << log_arity)]
            expected = fold_leaf(leaf, c + cosets * i, log_size, BETA)
            assert tuple(got[:, c, i].tolist()) == expected


@pytest.mark.parametrize("log_arity", [1, 2, 3])
def test_fold_of_largest_words(log_arity: int) -> None:
    word = np.full((5, 2, 128), P - 1, np.uint32)
    # All values equal: the codeword of a constant, whatever the challenge.
    assert (fold(word, log_arity, (P - 1,) * 5, 1) == P - 1).all()


def test_fold_by_eight_is_three_folds_by_two() -> None:
    word = random_codeword(4, 256)
    squares = [BETA, ext.power(BETA, 2), ext.power(BETA, 4)]
    step = word
    for beta in squares:
        step = fold(step, 1, beta, 2)
    assert np.array_equal(fold(word, 3, BETA, 2), step)


def test_one_and_several_threads_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    word = random_codeword(2, 1 << 14)
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("STARK_THREADS", threads)
        results.append(fold(word, 1, BETA, 1))
    assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize("rows", [1, 2, 16, 64])
def test_final_polynomial(rows: int) -> None:
    polynomial = random_elements(rows, rows)
    word = to_montgomery(encode(polynomial, 2, rows))
    assert interpolate_final(word, rows) == polynomial
    assert interpolate_final(word, 2 * rows) == polynomial + [ext.ZERO] * rows
    assert interpolate_final(np.zeros_like(word), rows) == [ext.ZERO] * rows


def test_rejects_other_arguments() -> None:
    word = np.zeros((5, 2, 16), np.uint32)
    for bad in (word.astype(np.int64), np.zeros((4, 2, 16), np.uint32), word.reshape(5, 32)):
        with pytest.raises(ValueError, match="expected uint32"):
            fold(bad, 1, BETA, 1)
        with pytest.raises(ValueError, match="expected uint32"):
            interpolate_final(bad, 1)
    for count in (0, 33):
        with pytest.raises(ValueError, match="count"):
            interpolate_final(word, count)
    with pytest.raises(ValueError, match="C-contiguous"):
        fold(np.zeros((5, 2, 32), np.uint32)[:, :, ::2], 1, BETA, 1)
    for shape in ((5, 3, 16), (5, 2, 12), (5, 0, 16)):
        with pytest.raises(ValueError, match="powers of two"):
            fold(np.zeros(shape, np.uint32), 1, BETA, 1)
    with pytest.raises(ValueError, match="cosets"):
        fold(word, 1, BETA, 2)
    for log_arity in (0, 4):
        with pytest.raises(ValueError, match="cannot fold"):
            fold(word, log_arity, BETA, 1)
    with pytest.raises(ValueError, match="cannot fold"):
        fold(np.zeros((5, 2, 4), np.uint32), 3, BETA, 1)
    with pytest.raises(ValueError, match="five integers"):
        fold(word, 1, (P, 0, 0, 0, 0), 1)
