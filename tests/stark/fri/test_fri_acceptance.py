"""How often FRI accepts a bad word: as often as the theory says, at few queries.

H7 and H11 of ``tests/vectors/negative_tests.json``. Each query is refused with the probability that
it meets a wrong point; q of them accept with (1 - delta)^q. The trials differ in the context that
they are bound to, so that every run of the tests is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from support.cheating import (
    SILENT,
    Case,
    LyingInCodewords,
    LyingInMain,
    LyingInValues,
    Matrix,
    bump,
    case,
    configured,
    fibonacci_case,
    plus,
)
from support.checks import check, check_equal
from support.systems import parameters

from stark.errors import Code, Rejected
from stark.field.extension import Element
from stark.fri.fold import interpolate_final
from stark.prover.commitment import Commitment
from stark.prover.prove import Prover
from stark.verifier.protocol import fri_schedule

TRIALS = 160
"""Four standard deviations of a rate are then 0.16 or less."""

COSETS, ROWS, LEAVES = 4, 16, 16
"""64 points, coset c + 4 i; the one fold by 4 makes 16 leaves of them, by the index mod 16."""


@cache
def toy(queries: int) -> Case:
    """16 rows, blowup 4, one fold to 16 points of a polynomial with 4 coefficients."""
    one = case(fibonacci_case(4).example, parameters(**SILENT, queries=queries))
    check_equal(fri_schedule(one.key.verification), (2,))
    return one


def accepted(one: Case, prover: type[Prover], code: Code, where: str) -> int:
    """How many of the trials pass; all others are refused with this class."""
    count = 0
    for trial in range(TRIALS):
        context = trial.to_bytes(2, "little")
        proof = one.prove(prover, context=context)
        try:
            one.verify(proof, context=context)
            count += 1
        except Rejected as rejected:
            check(rejected.code is code and where in rejected.check, f"{rejected}")
    return count


def check_rate(count: int, expected: float) -> None:
    deviation = (expected * (1 - expected) / TRIALS) ** 0.5
    check(
        abs(count / TRIALS - expected) < 4 * deviation,
        f"{count} of {TRIALS} accepted, expected {expected:.3f} of them",
    )


def coset_0(self: Any, word: Matrix) -> list[Element]:
    """The polynomial that agrees with what is left on coset 0, a quarter of its points."""
    return interpolate_final(np.ascontiguousarray(word[:, :1]), word.shape[2])


@pytest.mark.parametrize("queries", [1, 2, 4])
def test_h11_a_word_that_is_not_that_of_the_columns(queries: int) -> None:
    # A quarter of the leaves of the first layer are wrong: one coset of four.
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        word = codewords[4].copy()
        word[0, 1] = plus(word[0, 1], 1)
        codewords[4] = word

    lying = configured(LyingInCodewords, change=change, final_polynomial=coset_0)
    count = accepted(toy(queries), lying, Code.FRI_FOLD, "fri layer 0")
    check_rate(count, 0.75**queries)


class WrongRows(LyingInMain):
    """Column a is wrong on some rows of coset 3, which the quotient does not need."""

    rows: Sequence[int]

    def change(self, extensions: list[Matrix]) -> None:
        for row in self.rows:
            extensions[0][3, row, :1] = plus(extensions[0][3, row, :1], 1)


class WrongLeaves(WrongRows):
    """Its tree alone is wrong: all later rounds are those of the true columns."""

    def commit_main(self, main: Sequence[Matrix]) -> Commitment:
        own = Prover.commit_main
        transcript, self.transcript = self.transcript, _Silent()  # type: ignore[assignment]
        honest = own(self, main)
        self.transcript = transcript
        forged = super().commit_main(main)
        forged.columns = honest.columns
        return forged


class _Silent:
    def send_digests(self, label: str, digests: Sequence[bytes]) -> None:
        pass


@pytest.mark.parametrize("rows", [[0], [0, 5, 10, 15, 3, 6], list(range(ROWS))])
def test_h11_columns_at_a_known_distance_and_the_word_of_the_true_ones(rows: list[int]) -> None:
    # A query meets a wrong point with exactly the relative distance of the column from its
    # codeword: the points are compared one by one.
    queries = 4
    distance = len(rows) / (COSETS * ROWS)
    count = accepted(toy(queries), configured(WrongLeaves, rows=rows), Code.FRI_FOLD, "fri layer 0")
    check_rate(count, (1 - distance) ** queries)


@pytest.mark.parametrize(("rows", "wrong"), [([0], 1), ([0, 5, 10, 15], 4), ([0, 4, 8, 12], 1)])
def test_h11_columns_at_a_known_distance_and_their_own_word(rows: list[int], wrong: int) -> None:
    # FRI runs on the word as it is: a fold is wrong where one of the four points of its leaf is.
    queries = 3
    check_equal(len({(3 + COSETS * row) % LEAVES for row in rows}), wrong)
    lying = configured(WrongRows, rows=rows, final_polynomial=coset_0)
    count = accepted(toy(queries), lying, Code.FRI_FINAL, "final polynomial")
    check_rate(count, (1 - wrong / LEAVES) ** queries)


@pytest.mark.parametrize("queries", [1, 2])
def test_h7_a_false_claim_is_accepted_with_the_rate_to_the_queries(queries: int) -> None:
    # (f(x) - v) / (x - z) for another v than f(z) is as far from every codeword as a word can
    # be; the best a prover can do is a final polynomial that agrees with its fold on as many
    # points as it has coefficients: 4 of 16, the rate.
    def change(self: Any, parts: Any, values: list[list[Element]]) -> None:
        values[0][1] = bump(values[0][1])

    lying = configured(LyingInValues, change=change, solved=True, final_polynomial=coset_0)
    count = accepted(toy(queries), lying, Code.FRI_FINAL, "final polynomial")
    check_rate(count, 0.25**queries)


def test_h7_a_random_word_is_never_that_of_the_columns() -> None:
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        noise = np.random.default_rng(len(self.context)).integers(1, 1 << 30, (4, 16), np.uint32)
        codewords[4] = codewords[4].copy()
        codewords[4][2] = (codewords[4][2].astype(np.uint64) + noise) % (2**31 - 2**24 + 1)

    lying = configured(LyingInCodewords, change=change, final_polynomial=coset_0)
    check_equal(accepted(toy(1), lying, Code.FRI_FOLD, "fri layer 0"), 0)
