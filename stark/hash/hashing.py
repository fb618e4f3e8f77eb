"""The kernels of a hash suite (prover wing)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stark.errors import UsageError
from stark.hash import sha256_kernels
from stark.hash.digest_arrays import Words
from stark.hash.sponge_kernels import PoseidonHashing
from stark.hash.suite import SHA256, PoseidonSuite, Suite


class Hashing(Protocol):
    """Leaves, nodes and proofs of work, many at a time.

    Shapes and errors are those of the functions of these names in ``stark.hash.sha256_kernels``.
    """

    def leaf_digests(
        self,
        matrices: Sequence[Words],
        widths: Sequence[int],
        key: bytes | None = None,
        out: Words | None = None,
        offset: int = 0,
        extensions: int = 0,
    ) -> Words:
        """Leaves whose rows are the concatenated rows of several matrices.

        The last 5 * ``extensions`` elements of a row are that many extension elements.
        """

    def codeword_leaf_digests(
        self, codeword: Words, points: int, key: bytes | None = None
    ) -> Words:
        """Leaves that group values of a codeword over the extension."""

    def node_digests(self, children: Words, half: int, injected: Words | None = None) -> Words:
        """The level above."""

    def encoded_digests(self, digests: Words, indices: Sequence[int]) -> list[bytes]:
        """The digests at some indices, 32 bytes each."""

    def grind(self, puzzle: bytes, bits: int) -> int:
        """The smallest nonce for a transcript's ``puzzle``."""


def hashing(suite: Suite) -> Hashing:
    """The kernels of a suite. Raises ``UsageError`` for one that has none."""
    if suite == SHA256:
        return sha256_kernels
    if isinstance(suite, PoseidonSuite):
        return PoseidonHashing(suite)
    raise UsageError(f"there are no kernels for {suite.name}")
