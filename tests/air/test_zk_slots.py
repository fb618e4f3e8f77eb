"""An empty slot cannot be told from an account, nor a place in the tree from any other."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from air.encoding import leaf_digest
from air.placement import placement
from air.placing import PlacedAccounts, place
from air.planning import Plan
from air.registry import Asset, Registry
from air.runs.seed import RunSeed
from air.shape import Shape
from air.snapshot.manifest import Manifest
from air.snapshot.table import Snapshot
from air.witness import Batch, prepare_batch
from stark.field.koalabear import P
from stark.field.montgomery import to_montgomery
from stark.gadgets.poseidon import CELLS

KEY = bytes(range(32))
NONCE = bytes(range(32, 64))
SHAPE = Shape(12, 5, 9)
PLAN = Plan(SHAPE, 1)
BLIND = (0,) * 8


def snapshot(accounts: int, amount: int = 0) -> Snapshot:
    """Accounts u-0, u-1, ... with one row each; the amount 0 is that of accounts without any."""
    ids = [f"u-{number:03}".encode() for number in range(accounts)]
    registry = Registry((Asset("BTC", 8),))
    limbs = np.zeros((accounts, 5), np.uint16)
    limbs[:, 0] = amount
    return Snapshot(
        Manifest("Example Exchange", "2026-11-01T00:00:00Z", 1, "spot", None, registry),
        np.frombuffer(b"".join(ids), np.uint8),
        5 * np.arange(accounts + 1),
        np.arange(accounts + 1),
        np.zeros(accounts, np.uint16),
        limbs,
    )


def placed(accounts: int, nonce: bytes = NONCE, amount: int = 0) -> PlacedAccounts:
    return place(snapshot(accounts, amount), KEY, nonce, fixed=PLAN)


def hashed(chosen: PlacedAccounts) -> Batch:
    return prepare_batch(SHAPE, chosen.batches[0], [0] * SHAPE.capacity, BLIND, BLIND, True)


def taken(chosen: PlacedAccounts) -> NDArray[np.bool_]:
    """By slot, whether an account is there."""
    result = np.zeros(SHAPE.slots, np.bool_)
    result[chosen.slots] = True
    return result


# ---- empty slots


def test_an_empty_slot_is_hashed_like_an_account_that_holds_nothing() -> None:
    """One block, asset 0 and amount 0, over a commitment: nothing else is in either leaf."""
    chosen = placed(20)
    (batch,) = chosen.batches
    leaves = hashed(chosen).nodes[SHAPE.slots :]
    assert np.diff(batch.offsets).tolist() == [1] * SHAPE.slots
    for commitment, leaf in zip(batch.commitments.tolist(), leaves.tolist(), strict=True):
        assert tuple(leaf) == leaf_digest(tuple(commitment), [(0, 0)])
    assert 0 < taken(chosen).sum() < SHAPE.slots


def test_empty_slots_are_fresh_even_under_one_nonce() -> None:
    """Not derived from the key: one that comes to light opens accounts and no empty slot, and two
    proofs of one snapshot share no leaf of an empty slot. Accounts are the same under one nonce."""
    one, other = placed(20), placed(20)
    same = (one.batches[0].commitments == other.batches[0].commitments).all(axis=1)
    assert same.tolist() == taken(one).tolist() == taken(other).tolist()
    first, second = (hashed(chosen).nodes[SHAPE.slots :] for chosen in (one, other))
    assert (first == second).all(axis=1).tolist() == taken(one).tolist()
    commitments = one.batches[0].commitments
    assert len(np.unique(commitments, axis=0)) == SHAPE.slots


def test_commitments_of_empty_slots_are_distributed_like_those_of_accounts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both are 32-bit words mod p, not uniform elements: the values below 2^32 - 2p come three
    times in 2^32, the others twice, and an exact uniform draw would be told from a hash."""
    words = [0, 1, P - 1, P, 2 * P - 1, 2 * P, (1 << 32) - 1, 77]
    drawn = np.array(words, "<u4").tobytes()
    monkeypatch.setattr(
        RunSeed, "_derived", lambda self, label, size, *numbers: (drawn * size)[:size]
    )
    chosen = placed(20)
    empty = chosen.batches[0].commitments[~taken(chosen)]
    assert (empty == np.array([word % P for word in words], np.uint32)).all()
    # An account's commitment is SHA-256 in eight words mod p, see test_encoding.py.


def test_neither_kind_of_leaf_has_a_mark() -> None:
    """Leaves of 32 slots of 40 snapshots, half of them empty, in 16 cells by their high bits.

    Two-sample chi-square per lane: 8 lanes of 15 degrees of freedom; P(chi^2_120 >= 120 +
    2 sqrt(120 * 14) + 28 = 230) <= e^-14 (Laurent and Massart 2000). Nonces are fixed, empty slots
    are not.
    """
    counts = np.zeros((2, 8, 16))
    for number in range(40):
        chosen = placed(16, hashlib.sha256(b"%d" % number).digest(), amount=number)
        leaves = hashed(chosen).nodes[SHAPE.slots :].astype(np.int64)
        for kind, own in enumerate((leaves[taken(chosen)], leaves[~taken(chosen)])):
            for lane in range(8):
                counts[kind, lane] += np.bincount(own[:, lane] * 16 // P, minlength=16)
    accounts, empty = counts
    statistic = ((accounts - empty) ** 2 / (accounts + empty)).sum()
    assert statistic < 120 + 2 * sqrt(120 * 14) + 28
    # A mark, say a small first lane, is seen.
    empty[0] = [empty[0].sum()] + [0] * 15
    assert ((accounts - empty) ** 2 / (accounts + empty)).sum() > 230


def test_two_proofs_of_one_snapshot_place_accounts_and_empty_slots_anew() -> None:
    one, other = placed(20), placed(20, bytes(32))
    assert taken(one).tolist() != taken(other).tolist()
    first, second = (hashed(chosen).nodes[1:] for chosen in (one, other))
    assert not {tuple(node) for node in first.tolist()} & {tuple(n) for n in second.tolist()}


# ---- heights


def test_heights_are_those_of_the_shape_whatever_the_number_of_accounts() -> None:
    seen = set()
    for accounts in (1, 20, 32):
        chosen = placed(accounts, amount=accounts)
        batch = hashed(chosen)
        traces = batch.traces()
        seen.add(
            (
                tuple((name, trace.matrix.shape) for name, trace in traces.items()),
                tuple(len(values) for values in batch.publics.values()),
                batch.nodes.shape,
            )
        )
    assert len(seen) == 1


def test_the_trace_has_no_row_that_tells_an_empty_slot() -> None:
    """The flags of the chain table are those of an account of one row."""
    chosen = placed(20)
    chain = hashed(chosen).traces()["chain"].matrix
    one = int(to_montgomery(np.ones(1, np.uint32))[0])
    real, first, last = (chain[: SHAPE.holding_rows, CELLS + flag] for flag in range(3))
    assert (real == one).sum() == SHAPE.slots
    assert (first == real).all()
    assert (last == real).all()


# ---- placement


def test_placement_does_not_look_at_accounts() -> None:
    """Slots follow from the key, the nonce and the number of slots: not from ids or balances."""
    chosen = placed(20, amount=5).slots
    assert chosen.tolist() == placed(20, amount=9).slots.tolist()
    assert chosen[:7].tolist() == placed(7).slots.tolist()
    renamed = replace(snapshot(20), id_bytes=snapshot(20).id_bytes[::-1].copy())
    assert place(renamed, KEY, NONCE, fixed=PLAN).slots.tolist() == chosen.tolist()


SLOTS = 16
KEYS = 1600


def orders() -> NDArray[np.int64]:
    """Placements of 16 slots under many keys, (keys, slots)."""
    keys = (hashlib.sha256(b"key %d" % number).digest() for number in range(KEYS))
    return np.stack([placement(key, 1, NONCE, SLOTS) for key in keys])


def single(orders: NDArray[np.int64]) -> float:
    """Where each account goes: chi-square over slots, all accounts."""
    counts = np.stack([(orders == slot).sum(axis=0) for slot in range(SLOTS)])
    expected = KEYS / SLOTS
    return float(((counts - expected) ** 2 / expected).sum())


def pairs(orders: NDArray[np.int64], first: int, second: int) -> float:
    """How far one account is to the right of another, cyclically: 15 distances, alike often."""
    distances = (orders[:, second] - orders[:, first]) % SLOTS
    counts = np.bincount(distances, minlength=SLOTS)[1:]
    expected = KEYS / (SLOTS - 1)
    return float(((counts - expected) ** 2 / expected).sum())


SINGLE_LIMIT = 225 + 2 * sqrt(225 * 14) + 28
"""A table of 16 by 16 with fixed margins has 225 degrees of freedom; Laurent and Massart, e^-14.
Under uniform permutations the statistic is 16/15 of its chi-square; the limit leaves room."""

PAIR_LIMIT = 14 + 2 * sqrt(14 * 14) + 28
"""14 degrees of freedom."""


def test_placement_is_uniform_over_keys() -> None:
    found = orders()
    assert single(found) < SINGLE_LIMIT
    for first, second in ((0, 1), (0, 15), (7, 8), (3, 12)):
        assert pairs(found, first, second) < PAIR_LIMIT


def test_placements_that_keep_the_order_of_accounts_are_noticed() -> None:
    """A keyed rotation puts every account everywhere, and neighbours side by side."""
    shifts = np.arange(KEYS) % SLOTS
    rotated = (np.arange(SLOTS) + shifts[:, None]) % SLOTS
    assert single(rotated) < SINGLE_LIMIT
    assert pairs(rotated, 0, 1) > PAIR_LIMIT
    unkeyed = np.tile(placement(KEY, 1, NONCE, SLOTS), (KEYS, 1))
    assert single(unkeyed) > SINGLE_LIMIT
