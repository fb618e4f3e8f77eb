"""FRI bounds the quotient (f - v) / (x - z): f itself may have one coefficient more."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cheating import configured, fibonacci_case, refused

from stark.errors import Code
from stark.field.koalabear import P
from stark.prover.commitment import Commitment
from stark.prover.polynomials import interpolated
from stark.prover.prove import Prover
from stark.soundness.regimes import johnson, unique_decoding
from stark.verifier.deep import domain_point
from stark.verifier.layout import Tree


class LongColumns(Prover):
    """Commits to t + (X^N - 1) r: columns of N + ``extra`` coefficients, without zk."""

    extra = 1

    def commit_main(self, main: Sequence[NDArray[np.uint32]]) -> Commitment:
        columns = []
        for matrix in main:
            mask = np.zeros((self.extra, matrix.shape[1]), np.uint32)
            mask[-1, :2] = 12345
            columns.append(interpolated(matrix, mask, self.parameters.log_blowup, keep=True))
        commitment = Commitment(self.tables, Tree.MAIN, columns, self.parameters, self.masks)
        self.transcript.send_digests("main commitment", commitment.cap)
        return commitment


def test_columns_with_one_coefficient_more_than_the_dimension_are_accepted() -> None:
    """What the list size allows for: the code of the columns has dimension k + 1."""
    one = fibonacci_case()
    one.verify(one.prove(configured(LongColumns, extra=1)))
    refused(one, one.prove(configured(LongColumns, extra=2)), Code.OOD, Code.FRI_FINAL)


@pytest.mark.parametrize("multiplicity", [3, 14, 50, 1024])
@pytest.mark.parametrize("dimension", [16, 64, 4352])
def test_the_list_size_holds_for_columns_of_that_degree(dimension: int, multiplicity: int) -> None:
    """Guruswami and Sudan: a polynomial Q(X, Y) that vanishes m times at the n places of a word,
    of (1, k)-weighted degree D = sqrt(n k m (m + 1)), has Y - f for a factor, for every f of degree
    up to k that agrees with the word at more than D/m places; there are at most D/k of them."""
    length = 8 * dimension
    regime = johnson(Fraction(dimension, length), multiplicity)
    squared = length * dimension * multiplicity * (multiplicity + 1)
    # Unknowns: monomials X^a Y^b with a + k b <= D, more than D^2 / 2k; equations: m (m + 1) / 2
    # for each place.
    assert Fraction(squared, 2 * dimension) >= Fraction(length * multiplicity**2, 2)
    agreement = (1 - regime.theta) * length
    assert (multiplicity * agreement) ** 2 > squared
    curve = (multiplicity + Fraction(1, 2)) ** 2 / Fraction(dimension, length)
    assert Fraction(squared, dimension**2) < curve
    # Johnson: distance 1 - k/n between columns of degree up to k.
    distance = 1 - Fraction(dimension, length)
    classical = distance / ((1 - regime.theta) ** 2 - (1 - distance))
    assert classical <= Fraction(multiplicity * length, dimension)


def test_at_most_one_column_is_closer_than_the_distance_of_unique_decoding() -> None:
    """0 and prod (x - x_i) over k points, both of k + 1 coefficients, agree on these k points; a
    word that takes turns between them elsewhere is at the very distance from both, not closer."""
    dimension, log_length = 16, 6
    points = [domain_point(log_length, index) for index in range(1 << log_length)]
    zero = [0] * len(points)
    product = [prod(x - other for other in points[:dimension]) % P for x in points]
    word = [(zero, product)[index % 2][index] for index in range(len(points))]
    regime = unique_decoding(Fraction(dimension, len(points)))
    distances = [
        Fraction(sum(a != b for a, b in zip(column, word, strict=True)), len(points))
        for column in (zero, product)
    ]
    assert distances == [regime.theta] * 2
    closer = [distance for distance in distances if distance < regime.theta]
    assert len(closer) <= regime.list_size
