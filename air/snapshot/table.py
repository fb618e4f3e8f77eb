"""A snapshot in memory: all accounts and holdings of one exchange at one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from air.registry import AMOUNT_LIMBS, LIMB_BITS, Registry
from air.snapshot.manifest import Manifest

MAX_HOLDINGS = 1 << 32
"""As many rows as 4,096 batches of 2^20 rows have: no publication has more."""

UNADDED_HOLDINGS = 1 << 30
"""2^30 amounts below 2^75 sum to less than 2^105, the bound of a total: up to so many rows nobody
needs to add them up to know that."""

_TOTALS_SLICE = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """Accounts in the order of the file, each with its holdings sorted by asset.

    Within an account assets strictly increase; a zero amount occurs only as the one row
    (asset 0, amount 0) of an account that holds nothing. Arrays are C-contiguous.

    Parameters
    ----------
    manifest
        Exchange, time, epoch and the registry.
    id_bytes, id_offsets
        uint8, and int64 of length accounts + 1: id of account i is
        ``id_bytes[id_offsets[i]:id_offsets[i + 1]]``.
    offsets
        int64, accounts + 1: rows of account i are ``offsets[i]`` to ``offsets[i + 1]``.
    assets
        uint16, one per row: index in the registry.
    amount_limbs
        uint16, (rows, 5): minor units, amount = sum of limb k times 2^(15 k), limbs below 2^15.
    """

    manifest: Manifest
    id_bytes: NDArray[np.uint8]
    id_offsets: NDArray[np.int64]
    offsets: NDArray[np.int64]
    assets: NDArray[np.uint16]
    amount_limbs: NDArray[np.uint16]

    @property
    def registry(self) -> Registry:
        """The listed assets."""
        return self.manifest.registry

    @property
    def accounts(self) -> int:
        """Number of accounts."""
        return len(self.offsets) - 1

    @property
    def holdings(self) -> int:
        """Number of rows, those of accounts that hold nothing included."""
        return len(self.assets)

    def account_id(self, account: int) -> bytes:
        """Id of the account at this position."""
        start, end = self.id_offsets[account : account + 2]
        return self.id_bytes[start:end].tobytes()

    def account_holdings(self, account: int) -> list[tuple[int, int]]:
        """(asset index, minor units) of each row of the account at this position."""
        rows = range(self.offsets[account], self.offsets[account + 1])
        return [(int(self.assets[row]), self.amount(row)) for row in rows]

    def amount(self, row: int) -> int:
        """Minor units of one row."""
        limbs = self.amount_limbs[row].tolist()
        return sum(limb << (LIMB_BITS * k) for k, limb in enumerate(limbs))

    def limbs(self, first: int = 0, last: int | None = None) -> NDArray[np.uint32]:
        """Limbs of rows ``first`` to ``last``: uint32, (rows, 5), a copy."""
        return self.amount_limbs[first:last].astype(np.uint32)

    def find(self, account_id: bytes) -> int | None:
        """Position of the account with this id, ``None`` if there is none; looks at all ids."""
        found = np.flatnonzero(np.diff(self.id_offsets) == len(account_id))
        for position, byte in enumerate(account_id):
            found = found[self.id_bytes[self.id_offsets[found] + position] == byte]
        return int(found[0]) if len(found) else None

    def totals(self) -> list[int]:
        """Total of each asset in minor units, exact."""
        sums = np.zeros((AMOUNT_LIMBS, len(self.registry)))
        for first in range(0, self.holdings, _TOTALS_SLICE):
            rows = slice(first, first + _TOTALS_SLICE)
            for limb in range(AMOUNT_LIMBS):
                # At most 2^32 limbs below 2^15 sum to less than 2^47: exact in float64, which
                # bincount computes in.
                sums[limb] += np.bincount(
                    self.assets[rows], self.amount_limbs[rows, limb], len(self.registry)
                )
        return [
            sum(int(limb) << (LIMB_BITS * k) for k, limb in enumerate(column)) for column in sums.T
        ]
