"""What a join says: the public values of every proof above the batches, as one digest.

A node of the tree of proofs stands for a run of neighbouring batches. It states the context that
all of them are bound to, how many they are, whether the first of them is the first of all, the
blinded digests of the running totals before and after them, and the root of their account trees.
Proofs have eight public values, the sponge digest of these six blocks; those of
the wrap are the digest of the context and that digest.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from air.encoding import HASH, Digest
from stark.hash.poseidon import DIGEST_LANES, sponge_hash

CONTEXT_TAG: Final = b"stark-liabilities/aggregate/v1"

JOIN_TAG: Final = int.from_bytes(b"SLj1", "little")
WRAP_TAG: Final = int.from_bytes(b"SLw1", "little")

COUNT_LANE, FIRST_LANE = 6, 7
"""Lanes of the header block that hold the number of batches and the flag; the others are zero."""


def aggregate_context(context_digest: bytes, statement_digest: bytes) -> bytes:
    """What all inner proofs of a publication are bound to: 32 bytes."""
    return hashlib.sha256(CONTEXT_TAG + context_digest + statement_digest).digest()


def context_blocks(context: bytes) -> tuple[Digest, Digest]:
    """A context as a transcript absorbs it: 16 limbs of 16 bits, two blocks."""
    limbs = struct.unpack("<16H", context)
    return limbs[:DIGEST_LANES], limbs[DIGEST_LANES:]


@dataclass(frozen=True)
class AggregatePublics:
    """The public values of a join.

    Attributes
    ----------
    context
        32 bytes.
    count
        Batches below it.
    first
        Whether the first of them is the first of the publication.
    """

    context: bytes
    count: int
    first: bool
    digest_in: Digest
    digest_out: Digest
    root: Digest

    def blocks(self) -> list[Digest]:
        """The six blocks that are hashed: context, header, digests, root."""
        header = [0] * DIGEST_LANES
        header[COUNT_LANE], header[FIRST_LANE] = self.count, int(self.first)
        low, high = context_blocks(self.context)
        return [low, high, tuple(header), self.digest_in, self.digest_out, self.root]

    def digest(self) -> Digest:
        """The public values of the join's proof."""
        return public_digest(JOIN_TAG, self.blocks())

    def wrap_digest(self) -> Digest:
        """The public values of the proof that wraps this join."""
        return public_digest(WRAP_TAG, [*context_blocks(self.context), self.digest()])


def public_digest(tag: int, blocks: list[Digest]) -> Digest:
    """The sponge digest of whole blocks, as a circuit computes it in its last rows."""
    return tuple(sponge_hash(HASH, tag, [lane for block in blocks for lane in block]))
