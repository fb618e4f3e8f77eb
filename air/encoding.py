"""How holdings, totals and accounts become field elements: limbs, blocks, commitments.

Every hash over field elements is the compression C(x) = (P(x) + x)[0..8] of Poseidon, used as a
chain: lanes 0 to 7 carry the chaining value, lanes 8 to 15 a block. Blocks are separated by a tag
and by flags that mark the first and the last block of a chain.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from air.registry import AMOUNT_LIMBS, LIMB_BITS, TOTAL_LIMBS
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1, compress

LIMB_MASK = (1 << LIMB_BITS) - 1

HOLDING_TAG = 8
TOTALS_TAG = 16
FIRST_WEIGHT, LAST_WEIGHT, ASSET_WEIGHT = 2, 4, 64

ACCOUNT_TAG = b"stark-liabilities/account/v1"
SALT_TAG = b"stark-liabilities/salt/v1"
SALT_SIZE = 32
DIGEST_LANES = 8
HASH = POSEIDON1

Digest = tuple[int, ...]
"""Eight canonical field elements."""


def limbs(value: int, count: int) -> tuple[int, ...]:
    """The ``count`` 15-bit limbs of a value below 2^(15 count), lowest first."""
    return tuple(value >> (LIMB_BITS * i) & LIMB_MASK for i in range(count))


def header_lane(tag: int, first: bool, last: bool, asset: int) -> int:
    """Lane 8 of a block: tag + 2 first + 4 last + 64 asset, injective for asset < 2^15."""
    return tag + FIRST_WEIGHT * first + LAST_WEIGHT * last + ASSET_WEIGHT * asset


def account_commitment(account_id: bytes, salt: bytes) -> Digest:
    """First chaining value of an account's leaf: binds the id under a secret salt.

    The eight big-endian 32-bit words of SHA-256(tag, len(id) as 8 bytes, id, salt), mod p.
    """
    data = ACCOUNT_TAG + len(account_id).to_bytes(8, "big") + account_id + salt
    digest = hashlib.sha256(data).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "big") % P for i in range(0, 32, 4))


def account_salt(master_key: bytes, epoch: int, nonce: bytes, account_id: bytes) -> bytes:
    """An account's salt in one snapshot, 32 bytes; the master key never leaves the exchange."""
    message = (
        SALT_TAG
        + epoch.to_bytes(8, "big")
        + nonce
        + len(account_id).to_bytes(8, "big")
        + account_id
    )
    return hmac.new(master_key, message, hashlib.sha256).digest()


def leaf_digest(commitment: Digest, holdings: Sequence[tuple[int, int]]) -> Digest:
    """The leaf of an account: its commitment chained over all (asset, amount), non-empty."""
    blocks = [(asset, limbs(amount, AMOUNT_LIMBS)) for asset, amount in holdings]
    return _chain(commitment, HOLDING_TAG, blocks)


def totals_digest(blind: Digest, totals: Iterable[int], capacity: int) -> Digest:
    """The blinded digest of running totals; assets beyond the listed ones count zero."""
    padded = list(totals)
    padded += [0] * (capacity - len(padded))
    return _chain(blind, TOTALS_TAG, [(a, limbs(t, TOTAL_LIMBS)) for a, t in enumerate(padded)])


def node_digest(left: Digest, right: Digest) -> Digest:
    """An inner node of the account tree."""
    return tuple(compress(HASH, [*left, *right]))


def _chain(first: Digest, tag: int, blocks: Sequence[tuple[int, tuple[int, ...]]]) -> Digest:
    value = first
    for number, (asset, lanes) in enumerate(blocks):
        lane = header_lane(tag, number == 0, number == len(blocks) - 1, asset)
        padding = (0,) * (DIGEST_LANES - 1 - len(lanes))
        value = tuple(compress(HASH, [*value, lane, *lanes, *padding]))
    return value
