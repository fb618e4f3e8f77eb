"""FRI bounds the quotient (f - v) / (x - z): f itself may have one coefficient more."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cheating import configured, fibonacci_case, refused
from support.systems import parameters

from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.prover.commitment import Commitment
from stark.prover.polynomials import interpolated
from stark.prover.prove import Prover
from stark.soundness.estimate import estimate
from stark.soundness.figures import SystemFigures, TableFigures
from stark.soundness.parameters import ProtocolParameters
from stark.soundness.regimes import unique_decoding
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
    """A fact that the list size must allow for: the code of the columns has dimension k + 1."""
    one = fibonacci_case()
    one.verify(one.prove(configured(LongColumns, extra=1)))
    refused(one, one.prove(configured(LongColumns, extra=2)), Code.OOD, Code.FRI_FINAL)


def estimated(chosen: ProtocolParameters, log_height: int) -> None:
    estimate(SystemFigures((TableFigures("table", log_height, 5, 5, 2, 2),)), chosen)


@pytest.mark.xfail(strict=True, reason="list sizes are those of dimension k, not k + 1")
def test_the_distance_stays_below_the_johnson_bound_of_the_columns() -> None:
    log_height, multiplicity = 6, 1024
    chosen = parameters(regime="jbr", log_blowup=3, multiplicity=multiplicity)
    dimension = chosen.dimension(log_height)
    length = 1 << (log_height + chosen.log_blowup)
    theta = 1 - sqrt(dimension / length) * (1 + 1 / (2 * multiplicity))
    assert theta > 1 - sqrt((dimension + 1) / length)
    with pytest.raises(Rejected) as caught:
        estimated(chosen, log_height)
    assert caught.value.code is Code.PARAMS


@pytest.mark.xfail(strict=True, reason="L = 1 at distance (1 - rate)/2 holds for dimension k only")
def test_unique_decoding_counts_all_columns_near_a_word() -> None:
    """0 and prod (x - x_i) over k points, both of k + 1 coefficients, agree on these k points; a
    word that takes turns between them elsewhere is near to both."""
    dimension, log_length = 16, 6
    points = [domain_point(log_length, index) for index in range(1 << log_length)]
    zero = [0] * len(points)
    product = [prod(x - other for other in points[:dimension]) % P for x in points]
    word = [(zero, product)[index % 2][index] for index in range(len(points))]
    regime = unique_decoding(Fraction(dimension, len(points)))
    needed = (1 - regime.theta) * len(points)
    near = [
        column
        for column in (zero, product)
        if sum(a == b for a, b in zip(column, word, strict=True)) >= needed
    ]
    assert len(near) <= regime.list_size
