"""Placement is a permutation that depends on the key, the epoch and the nonce."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from air.placement import placement


@given(st.integers(0, 300), st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1))
def test_it_is_a_permutation(slots: int, key: bytes, epoch: int) -> None:
    order = placement(key, epoch, bytes(32), slots)
    assert sorted(order.tolist()) == list(range(slots))


def test_it_depends_on_everything() -> None:
    base = placement(bytes(32), 1, bytes(32), 64)
    assert np.array_equal(base, placement(bytes(32), 1, bytes(32), 64))
    for other in (
        placement(b"\1" + bytes(31), 1, bytes(32), 64),
        placement(bytes(32), 2, bytes(32), 64),
        placement(bytes(32), 1, b"\1" + bytes(31), 64),
    ):
        assert not np.array_equal(base, other)


def test_accounts_fall_evenly_into_batches() -> None:
    """Of 4,096 accounts in 8,192 slots each half holds about 2,048 (standard deviation 32)."""
    inside = placement(b"k" * 32, 1, bytes(32), 8192)[:4096] < 4096
    assert abs(int(inside.sum()) - 2048) < 6 * 32
