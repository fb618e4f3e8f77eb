"""Which slot an account gets: one keyed pseudorandom permutation of all slots of all batches.

Slots tell a customer nothing about other customers or about how many there are: with accounts in
keyed *order* instead, a few customers who compare their slots could estimate that number.
"""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
from numpy.typing import NDArray

PLACEMENT_TAG = b"stark-liabilities/placement/v1"


def placement(master_key: bytes, epoch: int, nonce: bytes, slots: int) -> NDArray[np.int64]:
    """The permutation: account number i goes to slot ``result[i]``, 0 <= i < ``slots``.

    Slots are sorted by 64-bit keys, the output of SHAKE-256 on
    HMAC-SHA256(master key, tag, epoch as 8 bytes, nonce).
    """
    message = PLACEMENT_TAG + epoch.to_bytes(8, "big") + nonce
    seed = hmac.new(master_key, message, hashlib.sha256).digest()
    keys = np.frombuffer(hashlib.shake_256(seed).digest(8 * slots), "<u8")
    return np.argsort(keys, kind="stable")
