"""K7: what is opened is uniform, and distributed alike for two witnesses.

Every element of the view is looked at over many proofs with fixed coins (:mod:`support.zk`): its
high bits and its low bits fall into 16 cells each. Pearson's statistics of all elements of a
component are added up. Elements are pairwise independent in an ideal view (relations between them,
as those of a fold, have more than two terms), so that the sum has mean and variance of a chi-square
variable with 15 degrees of freedom an element.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cheating import Seeded, hidden_case
from support.mutations import ProofMap
from support.systems import Example, products
from support.zk import (
    BARE_AUXILIARY,
    BARE_CODEWORDS,
    BARE_MAIN,
    BARE_TERMINALS,
    Interactive,
    honest_views,
    views,
)

from stark.field.koalabear import P
from stark.merkle.multiproof import opening_bytes
from stark.prover.prove import prove

CELLS = 16
TAIL = 14.0
"""Thresholds have a chance of e^-14, one in a million, to be passed by uniform values; some 150
statistics are looked at. With fixed seeds, none is random from run to run."""

Samples = NDArray[np.int64]


def threshold(freedom: int) -> float:
    """Laurent and Massart (2000), lemma 1: P(chi^2_k >= k + 2 sqrt(k t) + 2 t) <= e^-t."""
    return freedom + 2 * sqrt(freedom * TAIL) + 2 * TAIL


def counts(values: Samples, high: bool, bound: int = P) -> Samples:
    """Elements by cell, (elements, CELLS); of 2^31 - 2^24 + 1 values each cell has its sixteenth
    to within 2^-26."""
    cells = values * CELLS // bound if high else values % CELLS
    return np.stack([(cells == cell).sum(axis=0) for cell in range(CELLS)], axis=1)


def distance_from_uniform(values: Samples, high: bool, bound: int = P) -> float:
    """Pearson's statistic, as a multiple of its threshold."""
    expected = len(values) / CELLS
    statistic = ((counts(values, high, bound) - expected) ** 2 / expected).sum()
    return float(statistic) / threshold((CELLS - 1) * values.shape[1])


def distance(one: Samples, other: Samples, high: bool, bound: int = P) -> float:
    """The two-sample statistic for samples of one size, as a multiple of its threshold."""
    a, b = counts(one, high, bound), counts(other, high, bound)
    statistic = ((a - b) ** 2 / np.maximum(a + b, 1)).sum()
    return float(statistic) / threshold((CELLS - 1) * one.shape[1])


COMPONENTS = [
    *("main rows of line", "main rows of sender", "main rows of receiver"),
    *("auxiliary rows of sender", "auxiliary rows of receiver"),
    *("quotient rows of line", "quotient rows of sender", "quotient rows of receiver"),
    *("main values of line", "main values of sender", "main values of receiver"),
    *("auxiliary values of sender", "auxiliary values of receiver"),
    *("quotient values of line", "quotient values of sender", "quotient values of receiver"),
    *("terminals", "codeword masks", "FRI layer 0", "FRI layer 1", "FRI layer 2"),
    "final polynomial",
]


def test_no_component_is_left_out() -> None:
    assert sorted(honest_views(0)) == sorted(COMPONENTS)


@pytest.mark.parametrize("high", [True, False], ids=["high bits", "low bits"])
@pytest.mark.parametrize("component", COMPONENTS)
def test_what_is_shown_is_uniform_for_both_witnesses(component: str, high: bool) -> None:
    one, other = honest_views(0)[component], honest_views(1)[component]
    assert distance_from_uniform(one, high) < 1
    assert distance_from_uniform(other, high) < 1
    assert distance(one, other, high) < 1


@pytest.mark.parametrize(
    ("prover", "component", "differs"),
    [
        (BARE_MAIN, "main rows of line", True),
        (BARE_MAIN, "main values of receiver", True),
        (BARE_AUXILIARY, "auxiliary rows of sender", True),
        (BARE_AUXILIARY, "auxiliary values of sender", True),
        (BARE_TERMINALS, "terminals", True),
        # Zero for either witness.
        (BARE_CODEWORDS, "codeword masks", False),
    ],
)
def test_the_same_statistics_notice_a_missing_mask(
    prover: type[Interactive], component: str, differs: bool
) -> None:
    """Of masks whose lack leaves other masks in sight, the ranks of the views tell."""
    one, other = (views(seed, 40, prover)[component] for seed in (0, 1))
    for high in (True, False):
        assert distance_from_uniform(one, high) > 1
        assert (distance(one, other, high) > 1) is differs


def test_values_of_few_bits_are_noticed() -> None:
    """Masks of 30 bits: the statistic sees more than constants."""
    rng = np.random.default_rng(3)
    narrow = rng.integers(0, 1 << 30, (324, 5))
    assert distance_from_uniform(narrow, True) > 1
    assert distance(narrow, rng.integers(0, P, (324, 5)), True) > 1
    even = 2 * rng.integers(0, P // 2, (324, 5))
    assert distance_from_uniform(even, False) > 1


# ---- what the size of a proof says


def hidden_runs(example: Example, count: int) -> list[tuple[ProofMap, int]]:
    key = hidden_case().key
    result = []
    for number in range(count):
        source = Seeded(f"{example.publics} {number}".encode())
        proof = prove(key, example.traces, example.publics, randomness=source)
        result.append((ProofMap(key.verification, proof, example.publics), len(proof)))
    return result


def test_sizes_follow_from_query_positions_and_these_say_nothing() -> None:
    """A proof's size is a function of the positions alone, which are a hash of a transcript that
    begins with a fresh salt of 32 bytes and holds roots of salted leaves: uniform and independent
    of the witness in the random-oracle model. 80 proofs of 12 queries, three domains."""
    positions, rests = [], set()
    for real in (2, 11):
        own = []
        for map_, size in hidden_runs(products(real=real), 80):
            opened = [opening_bytes(tree.shape, tree.indices) for tree in map_.trees.values()]
            rests.add(size - sum(opened))
            own.append(map_.indices)
        positions.append(np.array(own, np.int64).reshape(-1, 1))
    assert len(rests) == 1
    log_size = map_.trees["main"].shape.log_size
    for high in (True, False):
        for one in positions:
            assert distance_from_uniform(one, high, 1 << log_size) < 1
        assert distance(*positions, high, 1 << log_size) < 1
