"""Where the rows of accounts lie in the chain table, and what that saves."""

from __future__ import annotations

import numpy as np
import pytest
from support.attacks.bases import SMALL, base
from support.checks import check_equal

from air.shape import Shape
from air.witness import BatchAccounts, RowPlaces

LARGE = Shape(18, 15, 9)


def accounts(shape: Shape, counts: list[int]) -> BatchAccounts:
    """Slots of so many rows, then of one each."""
    lengths = np.array(counts + [1] * (shape.slots - len(counts)))
    rows = int(lengths.sum())
    return BatchAccounts(
        commitments=np.zeros((shape.slots, 8), np.uint32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        assets=np.zeros(rows, np.int64),
        limbs=np.zeros((rows, 5), np.int64),
    )


def longest_chain(shape: Shape, places: RowPlaces) -> int:
    """Rows from one start to the next: what one lane must hash alone."""
    bounds = np.append(places.firsts, shape.holding_rows)
    return int(np.diff(bounds).max())


@pytest.mark.parametrize("counts", [[], [5] * 1000, [1, 400, 2, 1], [700] * 9])
@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_rows_keep_their_order_and_accounts_stay_whole(shape: Shape, counts: list[int]) -> None:
    if sum(counts) + shape.slots - len(counts) > shape.holding_rows or len(counts) > shape.slots:
        counts = counts[:2]
    own = accounts(shape, counts)
    places = RowPlaces.of(shape, own)
    assert places.rows[0] == 0
    assert (np.diff(places.rows) > 0).all()
    assert places.rows[-1] < shape.holding_rows
    np.testing.assert_array_equal(places.lasts - places.firsts, np.diff(own.offsets) - 1)
    np.testing.assert_array_equal(places.firsts, places.rows[own.offsets[:-1]])


def test_no_chain_is_much_longer_than_the_longest_account() -> None:
    """Two thirds of these rows are not real: behind the last account they were one chain."""
    own = accounts(LARGE, [40, 300])
    spare = LARGE.holding_rows - len(own.assets)
    assert spare > LARGE.rows // 2
    assert longest_chain(LARGE, RowPlaces.of(LARGE, own)) <= 300 + 2 * 1024


def test_a_full_batch_has_no_room_between() -> None:
    own = base("full")
    places = RowPlaces.of(SMALL, own.accounts)
    check_equal(places.rows.tolist(), list(range(SMALL.holding_rows)))
