"""Accounts in their slots: the batch and the leaf of each, and what stands in the other leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from air.account_hashing import account_commitments, account_salts
from air.placement import placement
from air.planning import DEFAULT_MAX_LOG_ROWS, Aggregates, Fits, Plan, make_plan
from air.runs.seed import RunSeed
from air.snapshot.table import Snapshot
from air.witness import BatchAccounts
from stark.errors import UsageError

_EMPTY = -1


@dataclass(frozen=True)
class PlacedAccounts:
    """A snapshot in its slots, before anything is hashed.

    Attributes
    ----------
    slots
        (accounts,) slot of each account.
    salts
        (accounts, 32) uint8.
    batches
        The slots of each batch with all that the witness needs.
    """

    plan: Plan
    slots: NDArray[np.int64]
    salts: NDArray[np.uint8]
    batches: list[BatchAccounts]


def place(
    snapshot: Snapshot,
    master_key: bytes,
    nonce: bytes,
    max_log_rows: int = DEFAULT_MAX_LOG_ROWS,
    fixed: Plan | None = None,
    fits: Fits | None = None,
    aggregates: Aggregates | None = None,
    seed: RunSeed | None = None,
) -> PlacedAccounts:
    """Put every account into its slot; salts and commitments included.

    Without a fixed plan, a placement that overfills a batch (rows vary at random) is discarded for
    one more batch; with one, that is a ``UsageError``. Commitments of empty slots derive from
    ``seed``, by default a fresh one: never from the master key, so that a key that comes to light
    opens accounts and no empty slot.
    """
    seed = seed or RunSeed.fresh()
    rows = np.diff(snapshot.offsets)
    plan = fixed or make_plan(
        rows, len(snapshot.registry), max_log_rows, fits=fits, aggregates=aggregates
    )
    epoch = snapshot.manifest.epoch
    while True:
        order = placement(master_key, epoch, nonce, plan.slots)
        slots = order[: snapshot.accounts]
        account_of = np.full(plan.slots, _EMPTY)
        account_of[slots] = np.arange(snapshot.accounts)
        rows_of = np.where(account_of == _EMPTY, 1, rows[account_of])
        filled = rows_of.reshape(plan.batches, plan.shape.slots).sum(axis=1)
        if filled.max() <= plan.shape.holding_rows:
            break
        if fixed is not None:
            raise UsageError("by chance the placement overfills a batch; prove again")
        plan = make_plan(
            *(rows, len(snapshot.registry), max_log_rows, plan.batches + 1, fits, aggregates)
        )
    salts, commitments = _commitments(snapshot, master_key, nonce)
    batches = []
    for number in range(plan.batches):
        first = number * plan.shape.slots
        inside = account_of[first : first + plan.shape.slots]
        blank = seed.empty_commitments(number, int((inside == _EMPTY).sum()))
        batches.append(_batch_accounts(snapshot, inside, rows, commitments, blank))
    return PlacedAccounts(plan, slots, salts, batches)


def _commitments(
    snapshot: Snapshot, master_key: bytes, nonce: bytes
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Salts (accounts, 32) and commitments (accounts, 8) of all accounts."""
    ids = (snapshot.id_bytes, snapshot.id_offsets)
    salts = account_salts(master_key, snapshot.manifest.epoch, nonce, *ids)
    return salts, account_commitments(*ids, salts)


def _batch_accounts(
    snapshot: Snapshot,
    account_of: NDArray[np.int64],
    rows: NDArray[np.int64],
    commitments: NDArray[np.uint32],
    empty_commitments: NDArray[np.uint32],
) -> BatchAccounts:
    """The rows of one batch's slots; empty slots get their commitments and one zero row."""
    empty = account_of == _EMPTY
    account = np.where(empty, 0, account_of)
    counts = np.where(empty, 1, rows[account])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    # Row r of slot s is row r - offsets[s] of its account.
    slot_of_row = np.repeat(np.arange(len(account_of)), counts)
    source = snapshot.offsets[account][slot_of_row] + np.arange(offsets[-1]) - offsets[slot_of_row]
    blank = empty[slot_of_row]
    source[blank] = 0
    values = commitments[account]
    values[empty] = empty_commitments
    assets, limbs = snapshot.assets[source], snapshot.amount_limbs[source]
    assets[blank], limbs[blank] = 0, 0
    return BatchAccounts(commitments=values, offsets=offsets, assets=assets, limbs=limbs)
