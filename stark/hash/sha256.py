"""Tagged SHA-256: leaves and nodes of Merkle trees, and proofs of work.

A message starts with a four-byte ASCII tag, and for each tag its layout is fixed by parameters
that both sides know, so that a leaf can never be read as a node or the reverse:

============  ====================================================================
``SLl1``      leaf: salt (0 or 32 bytes), then the row
``SLn1``      node: left child, right child
``SLi1``      node with injected rows: left child, right child, leaf digest of the rows
``SLg1``      proof of work: state (32 bytes), nonce (8 bytes little-endian)
``SLk1``      salt of a leaf: the tree's key (32 bytes), the leaf's place (8 bytes big-endian)
============  ====================================================================

A row is a sequence of field elements, each four bytes, little-endian, canonical.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256

LEAF_TAG = b"SLl1"
NODE_TAG = b"SLn1"
INJECTED_NODE_TAG = b"SLi1"
GRIND_TAG = b"SLg1"
SALT_TAG = b"SLk1"

DIGEST_BYTES = 32
SALT_BYTES = 32
ELEMENT_BYTES = 4
NONCE_LIMIT = 1 << 64
"""Nonces are below it: eight bytes."""

MAXIMAL_GRIND_BITS = 63
"""More could never be found, and the mask of a digest's first eight bytes has no more."""


def encode_elements(elements: Sequence[int]) -> bytes:
    """Canonical elements as bytes. ``struct.error`` for one outside 0 ... 2^32 - 1."""
    return struct.pack(f"<{len(elements)}I", *elements)


def decode_elements(row: bytes) -> tuple[int, ...]:
    """The elements of a row; the inverse of :func:`encode_elements`, without a range check."""
    return struct.unpack(f"<{len(row) // ELEMENT_BYTES}I", row)


def leaf_digest(row: bytes, salt: bytes = b"") -> bytes:
    """Digest of a leaf; ``salt`` has 32 bytes in a salted tree, none in another."""
    return sha256(LEAF_TAG + salt + row).digest()


def leaf_salt(key: bytes, place: int) -> bytes:
    """The prover's salt of one leaf, from a secret key of the tree.

    A pseudorandom function, with a key for one group of leaves of one proof: no verifier looks at
    where salts come from, and no salt has to be kept. Raises ``ValueError`` for a key that is not
    32 bytes.
    """
    if len(key) != SALT_BYTES:
        raise ValueError(f"a key of {SALT_BYTES} bytes is needed, got {len(key)}")
    return sha256(SALT_TAG + key + place.to_bytes(8, "big")).digest()


def node_digest(left: bytes, right: bytes) -> bytes:
    """Digest of an inner node from its children's."""
    return sha256(NODE_TAG + left + right).digest()


def injected_node_digest(left: bytes, right: bytes, leaf: bytes) -> bytes:
    """Digest of an inner node at whose level further rows, of digest ``leaf``, are committed."""
    return sha256(INJECTED_NODE_TAG + left + right + leaf).digest()


def grind_succeeds(state: bytes, nonce: int, bits: int) -> bool:
    """Whether ``nonce`` is a proof of ``bits`` bits of work on a 32-byte transcript state.

    The digest's first eight bytes, as a little-endian integer, must have their low ``bits`` bits
    zero. False for a nonce outside 0 ... 2^64 - 1. Raises ``ValueError`` for a state that is not
    32 bytes or bits outside 0 ... 63: those are the caller's, never a proof's.
    """
    if len(state) != DIGEST_BYTES or not 0 <= bits <= MAXIMAL_GRIND_BITS:
        raise ValueError("a state of 32 bytes and 0 ... 63 bits are needed")
    if not 0 <= nonce < NONCE_LIMIT:
        return False
    digest = sha256(GRIND_TAG + state + nonce.to_bytes(8, "little")).digest()
    return int.from_bytes(digest[:8], "little") & ((1 << bits) - 1) == 0
