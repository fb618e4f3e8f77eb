"""Group H of ``tests/vectors/negative_tests.json``: words that are no codewords, folds, layers.

How often a bad word passes is measured in ``tests/stark/fri/test_fri_acceptance.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cheating import (
    SILENT,
    LyingInCodewords,
    LyingInMain,
    Matrix,
    bump,
    case,
    configured,
    everywhere_case,
    fibonacci_case,
    plus,
    products_case,
    random_words,
    refused,
)
from support.cheating_fri import LyingInFri, OtherSchedule
from support.checks import check, check_equal
from support.systems import fibonacci, parameters

from stark.errors import Code
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.verifier.protocol import fri_schedule

# ---- words that are no codewords


def test_main_columns_that_are_no_codewords() -> None:
    # The cosets that the quotient is computed from are honest, so that the identity holds.
    def change(self: Any, extensions: list[Matrix]) -> None:
        extensions[0][2:] = random_words(extensions[0][2:].shape, 1)

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInMain, change=change)), Code.FRI_FINAL)


def test_random_main_columns() -> None:
    # H7
    def change(self: Any, extensions: list[Matrix]) -> None:
        for extension in extensions:
            extension[:] = random_words(extension.shape, 2)

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInMain, change=change)), Code.OOD)


def test_random_word_into_fri() -> None:
    # H7: FRI runs on a word that has nothing to do with the columns.
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        height = max(codewords)
        codewords[height] = random_words(codewords[height].shape, 3)

    one = products_case()
    refused(one, one.prove(configured(LyingInCodewords, change=change)), Code.FRI_FOLD)


@pytest.mark.parametrize("height", [4, 5])
def test_table_left_out_of_the_batch(height: int) -> None:
    # H12: a shorter table does not join the folded word.
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        del codewords[height]

    one = products_case()
    rejection = refused(one, one.prove(configured(LyingInCodewords, change=change)), Code.FRI_FOLD)
    check("fri layer 0" not in rejection.check, rejection.check)


def test_codeword_on_a_rotated_domain() -> None:
    # H15: the generator's powers in another order, or the coset shifted.
    def rotated(self: Any, codewords: dict[int, Matrix]) -> None:
        height = max(codewords)
        codewords[height] = np.ascontiguousarray(np.roll(codewords[height], 1, axis=2))

    def shifted(self: Any, codewords: dict[int, Matrix]) -> None:
        height = max(codewords)
        codewords[height] = np.ascontiguousarray(np.roll(codewords[height], 1, axis=1))

    one = products_case()
    for change in (rotated, shifted):
        refused(one, one.prove(configured(LyingInCodewords, change=change)), Code.FRI_FOLD)


# ---- FRI itself


def test_the_lying_fri_is_honest_without_a_lie() -> None:
    one = fibonacci_case()
    check_equal(one.prove(LyingInFri), one.honest())


@pytest.mark.parametrize("layer", [0, 1])
def test_fri_layer_is_another_word(layer: int) -> None:
    def committed(self: Any, number: int, word: Matrix) -> Matrix:
        return random_words(word.shape, 4) if number == layer else word

    one = fibonacci_case()
    rejection = refused(one, one.prove(configured(LyingInFri, committed=committed)), Code.FRI_FOLD)
    check(f"fri layer {layer}" in rejection.check, rejection.check)


def test_last_fold_is_another_word() -> None:
    def folded(self: Any, number: int, word: Matrix) -> Matrix:
        return random_words(word.shape, 5) if number == 1 else word

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInFri, folded=folded)), Code.FRI_FINAL)


@pytest.mark.parametrize("coefficient", [0, 1, 2, 3])
@pytest.mark.parametrize("limb", [0, 4])
def test_final_polynomial_altered(coefficient: int, limb: int) -> None:
    # H5
    def ended(self: Any, final: list[Element]) -> list[Element]:
        own = list(final[coefficient])
        own[limb] = (own[limb] + 1) % P
        final[coefficient] = tuple(own)  # type: ignore[assignment]
        return final

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInFri, ended=ended)), Code.FRI_FINAL)


def test_final_polynomial_of_another_length_cannot_be_said() -> None:
    # H6, H2, H8: its length, the layers and their arities follow from the key; the prover's own
    # transcript refuses another length, and in the file it would shift everything behind it.
    one = fibonacci_case()
    for ended in (
        lambda self, final: [*final, ext.ZERO],
        lambda self, final: final[:-1],
    ):
        with pytest.raises(Exception, match="final polynomial takes") as caught:
            one.prove(configured(LyingInFri, ended=ended))
        check(type(caught.value).__name__ == "UsageError", f"{caught.value!r}")


def test_one_wrong_point_in_every_leaf() -> None:
    # A word far from the code whose every leaf is wrong at one place.
    def committed(self: Any, number: int, word: Matrix) -> Matrix:
        changed = word.copy()
        if number == 0:
            rows = word.shape[2] // 8
            changed[0, :, :rows] = plus(changed[0, :, :rows], 1)
        return changed

    one = everywhere_case()
    refused(one, one.prove(configured(LyingInFri, committed=committed)), Code.FRI_FOLD)


# ---- folds and joins


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_fold_with_another_challenge(layer: int) -> None:
    def folding(self: Any, number: int, beta: Element) -> Element:
        return bump(beta) if number == layer else beta

    one = products_case()
    code = Code.FRI_FINAL if layer == 2 else Code.FRI_FOLD
    rejection = refused(one, one.prove(configured(LyingInFri, folding=folding)), code)
    where = "final polynomial" if layer == 2 else f"fri layer {layer + 1}"
    check(where in rejection.check, rejection.check)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_h12_a_codeword_that_joins_with_another_power(power: int) -> None:
    # With beta^0 or beta^1 it would meet the fold's own terms.
    def joining(self: Any, layer: int, beta: Element, arity: int) -> Element:
        return ext.power(beta, power)

    one = products_case()
    rejection = refused(one, one.prove(configured(LyingInFri, joining=joining)), Code.FRI_FOLD)
    check("fri layer 1" in rejection.check, rejection.check)


@pytest.mark.parametrize(("key", "prover", "code"), [(3, 1, Code.CANONICAL), (1, 3, Code.POW)])
def test_h2_h8_a_layer_more_or_fewer(key: int, prover: int, code: Code) -> None:
    # The number of layers and their arities are the key's; no field says them. A layer more is
    # read as the final polynomial, whose elements digests are not; for a layer that is missing
    # the final polynomial is read, behind which there is no nonce.
    work = SILENT | {"grinding_fold": 12}
    one, other = (
        case(fibonacci(6), parameters(**work, log_max_arity=arity)) for arity in (key, prover)
    )
    lengths = [len(fri_schedule(either.key.verification)) for either in (one, other)]
    check_equal(lengths, [2, 4] if key == 3 else [4, 2])
    lying = configured(OtherSchedule, other=other.key.verification)
    refused(one, one.prove(lying), code)
