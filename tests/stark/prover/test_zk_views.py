"""The whole view of an honest verifier: where it lies, and where it lies without some masks.

With fixed coins all that a proof shows of a table with linear constraints is an affine function of
the masks, and so is everything but quotients for any table. Uniform masks then make the view
uniform on an affine space, the *hull*; it is independent of the witness exactly if two witnesses
have one hull. Enough proofs span it, so that a rank shows it: this is no test of chance beyond that
few uniform vectors more than the dimension fail to span with probability below 2^-31.

Quotients of nonlinear constraints are not affine; equal hulls are then necessary, and the
distribution is looked at in ``test_zk_distribution.py``.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.zk import (
    BARE_AUXILIARY,
    BARE_CHUNKS,
    BARE_CODEWORDS,
    BARE_MAIN,
    BARE_TERMINALS,
    EQUAL_COLUMNS,
    Interactive,
    affine_rank,
    alone,
    honest_views,
    joined,
    rank,
    short_masks,
    views,
)

SPARE = 4
"""Proofs beyond the dimension."""

BUSES = ("auxiliary", "terminals")


def hulls(prover: type[Interactive], *prefixes: str, few: bool = True) -> tuple[int, int]:
    """Dimensions of the hull of one witness's view, and of that with another's added.

    Where masks have one span but the hulls differ, one proof of the other leaves the first hull:
    ``few`` will do. Equality is looked for in both directions.
    """
    width = joined(views(0, 1, prover), *prefixes).shape[1]
    enough = width + SPARE
    one = joined(views(0, enough, prover), *prefixes)
    other = joined(views(1, 2 if few else enough, prover, "other"), *prefixes)
    if not few:
        assert affine_rank(one) == affine_rank(other)
    return affine_rank(one), affine_rank(np.concatenate([one, other]))


def test_rank_of_known_matrices() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 1 << 15, (9, 4)), rng.integers(0, 1 << 15, (4, 7))
    assert rank(left @ right) == 4
    assert rank(np.eye(5, dtype=np.int64)[:, ::-1]) == 5
    assert rank(np.zeros((3, 2), np.int64)) == 0
    assert affine_rank(np.array([[5, 1], [5, 2], [5, 9]])) == 1


def test_all_that_is_shown_has_one_hull_whatever_the_witness() -> None:
    """And its dimension is what the verifier's own equations leave.

    Linear ones, over F_p: the line's quotient at zeta follows from its columns (5); at x it depends
    on a(x), b(x), a(wx), b(wx), of which two are shown, so that a, b, Q(x) have four dimensions
    of seven (3); the first FRI value is that of the opened rows (5), the second layer's is its fold
    and the rows of smaller tables (5), the third's and the final polynomial's are folds (10).
    """
    first, second = honest_views(0), honest_views(1)
    one, other = joined(first), joined(second)
    assert len(one) >= one.shape[1] + SPARE
    expected = one.shape[1] - (5 + 3 + 5 + 5 + 10)
    assert affine_rank(one) == affine_rank(other) == expected
    assert affine_rank(np.concatenate([one, other])) == expected


@pytest.mark.parametrize("prefixes", [("main",), BUSES])
def test_opened_columns_and_terminals_are_all_independent(prefixes: tuple[str, ...]) -> None:
    """Not one linear relation: the hull is everything."""
    own = joined(honest_views(1), *prefixes)
    assert affine_rank(own) == own.shape[1]


@pytest.mark.parametrize("prover", [BARE_AUXILIARY, BARE_TERMINALS])
def test_a_missing_mask_of_buses_shows(prover: type[Interactive]) -> None:
    one, both = hulls(prover, *BUSES)
    assert one < joined(honest_views(0), *BUSES).shape[1]
    assert both > one


# ---- the line alone: its whole view is affine, so that equal hulls are equal distributions


def test_proofs_of_linear_constraints_show_nothing_at_all() -> None:
    """Relations as above: 5 and 3 of the quotient, 5 and 5 of the one FRI layer and the end."""
    prover = alone(Interactive)
    expected = joined(views(0, 1, prover)).shape[1] - (5 + 3 + 5 + 5)
    assert hulls(prover, few=False) == (expected, expected)


@pytest.mark.parametrize(
    "prover", [BARE_MAIN, EQUAL_COLUMNS, BARE_CHUNKS, BARE_CODEWORDS, short_masks(11)]
)
def test_a_missing_reused_or_short_mask_shows(prover: type[Interactive]) -> None:
    one, both = hulls(alone(prover))
    assert one < both


def test_as_many_coefficients_as_functionals_suffice() -> None:
    """12 of a column: at x and wx, and five each at zeta and w zeta. (The value at wx is not
    opened: with 11 it shows only together with the quotient.)"""
    one, both = hulls(alone(short_masks(12)))
    assert one == both


def test_codeword_masks_are_opened_where_the_queries_are() -> None:
    assert not views(0, 2, BARE_CODEWORDS)["codeword masks"].any()
    own = honest_views(0)["codeword masks"]
    assert affine_rank(own) == own.shape[1] == 10
