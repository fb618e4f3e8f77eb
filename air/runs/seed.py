"""The one secret that everything random about a publication's statement follows from.

A run that was stopped must place, blind and hash as before: proofs that are finished are about
that statement. Masks of zero-knowledge proofs are not derived: they stay fresh from the system, so
that whoever has the seed later learns no more from a proof than others do.

Values are SHAKE-256 of the seed, the length of a label (one byte), the label, and numbers of eight
bytes, little-endian. Keyed by its first 32 bytes, the sponge is a pseudorandom function (Bertoni,
Daemen, Peeters, Van Assche, "On the security of the keyed sponge construction", 2011); labels of
known length and a fixed count of numbers for each keep its inputs apart.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stark.field.koalabear import P

SEED_SIZE = 32
DIGEST_LANES = 8

ELEMENT_SIZE = 16
"""Bytes that an element of a blind is reduced from: its distribution is within p / 2^128 < 2^-96 of
the uniform one, that of a blind of eight within 2^-93."""


@dataclass(frozen=True)
class RunSeed:
    """32 secret bytes and what derives from them.

    Raises ``ValueError`` for another number of bytes.
    """

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_SIZE:
            raise ValueError(f"a seed has {SEED_SIZE} bytes")

    @classmethod
    def fresh(cls) -> RunSeed:
        """A seed from the system's randomness."""
        return cls(secrets.token_bytes(SEED_SIZE))

    @property
    def nonce(self) -> bytes:
        """32 bytes; they are published."""
        return self._derived("nonce", 32)

    def blind(self, number: int) -> tuple[int, ...]:
        """Eight field elements: the first chaining value of the digest of totals before a batch.

        ``number`` counts from 0; that of the number of batches is of the digest after the last.
        """
        data = self._derived("blind", DIGEST_LANES * ELEMENT_SIZE, number)
        return tuple(
            int.from_bytes(data[start : start + ELEMENT_SIZE], "little") % P
            for start in range(0, len(data), ELEMENT_SIZE)
        )

    def empty_commitments(self, batch: int, count: int) -> NDArray[np.uint32]:
        """(count, 8) canonical: commitments of a batch's empty slots, in the order of their slots.

        Distributed like commitments of accounts: 32-bit words reduced mod p.
        """
        words = np.frombuffer(self._derived("empty", 4 * DIGEST_LANES * count, batch), "<u4")
        return (words % P).reshape(count, DIGEST_LANES).astype(np.uint32)

    def _derived(self, label: str, size: int, *numbers: int) -> bytes:
        name = label.encode("ascii")
        state = hashlib.shake_256(self.seed + bytes([len(name)]) + name)
        for number in numbers:
            state.update(number.to_bytes(8, "little"))
        return state.digest(size)
