"""Hash suites: what leaves, nodes, salts and transcripts of one proof are hashed with.

``sha256`` is for proofs that people verify. The algebraic suites, over Poseidon and Poseidon2, are
for proofs that are verified inside a circuit, where SHA-256 would cost a thousand times as much.
docs/suites.md defines every function byte by byte.

A suite is found by the name in a verification key's parameters, never by one in a proof. A digest
has 32 bytes in all suites: in the algebraic ones 8 canonical field elements, little-endian.

Algebraic leaves are :func:`stark.hash.poseidon.sponge_hash`, whose capacity starts with the tag of
the use and the number of elements. A circuit that verifies a proof reads a block of the sponge as a
row of its table, so an extension element at the end of a leaf's row has a block of its own. Nodes
are :func:`stark.hash.poseidon.compress` of 16 elements.

Nodes carry no tag: which digests are leaves and which nodes follows from the shape of the tree,
which is the verifier's, so a leaf is only ever compared with a leaf. So does what of a row is an
extension element: rows of one leaf are only ever compared if they are cut into the same blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from stark.errors import Code, Rejected
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.hash import sha256
from stark.hash.poseidon import (
    DIGEST_LANES,
    POSEIDON1,
    POSEIDON2,
    PoseidonParameters,
    compress,
    sponge_hash,
)
from stark.hash.sha256 import DIGEST_BYTES, decode_elements, encode_elements


def _tag(text: bytes) -> int:
    """Four ASCII bytes as a field element: below 2^31 - 2^24 since no letter exceeds 0x7e."""
    return int.from_bytes(text, "little")


LEAF_TAG: Final = _tag(b"SLl2")
SALTED_LEAF_TAG: Final = _tag(b"SLm2")
SALT_TAG: Final = _tag(b"SLk1")

SALT_KEY_ELEMENTS: Final = 7
"""Elements of an algebraic suite's key of salts, 217 bits: with a place they are one block."""

_DIGEST = struct.Struct(f"<{DIGEST_LANES}I")


class Suite(Protocol):
    """The hash functions of one suite, on bytes."""

    @property
    def name(self) -> str:
        """How parameters and keys call it."""

    @property
    def collision_bits(self) -> int:
        """Security of its digests against collisions, in bits."""

    @property
    def permutation(self) -> PoseidonParameters | None:
        """The permutation of an algebraic suite; ``None`` for SHA-256."""

    @property
    def maximal_grind_bits(self) -> int:
        """Most bits that one proof of work can have."""

    def leaf_digest(self, row: bytes, salt: bytes = b"", extensions: int = 0) -> bytes:
        """Digest of a row of canonical elements; ``salt`` is empty or 32 bytes.

        The last 5 * ``extensions`` elements of the row are that many extension elements, which
        only algebraic suites hash in another way. ``ValueError`` if the row is too short for them.
        """

    def node_digest(self, left: bytes, right: bytes) -> bytes:
        """Digest of an inner node from its children's."""

    def injected_node_digest(self, left: bytes, right: bytes, leaf: bytes) -> bytes:
        """Digest of an inner node at whose level rows of digest ``leaf`` are committed."""

    def leaf_salt(self, key: bytes, place: int) -> bytes:
        """The prover's salt of one leaf, from a secret key of the tree.

        Raises ``ValueError`` for a key or a place of another form.
        """

    def is_digest(self, data: bytes) -> bool:
        """Whether these bytes are one that the suite's hashes can have."""


@dataclass(frozen=True)
class Sha256Suite:
    """Tagged SHA-256 (``stark.hash.sha256``)."""

    name: str = "sha256"
    collision_bits: int = 128
    permutation: None = None
    maximal_grind_bits: int = sha256.MAXIMAL_GRIND_BITS

    def leaf_digest(self, row: bytes, salt: bytes = b"", extensions: int = 0) -> bytes:
        return sha256.leaf_digest(row, salt)

    def node_digest(self, left: bytes, right: bytes) -> bytes:
        return sha256.node_digest(left, right)

    def injected_node_digest(self, left: bytes, right: bytes, leaf: bytes) -> bytes:
        return sha256.injected_node_digest(left, right, leaf)

    def leaf_salt(self, key: bytes, place: int) -> bytes:
        return sha256.leaf_salt(key, place)

    def is_digest(self, data: bytes) -> bool:
        return len(data) == DIGEST_BYTES


@dataclass(frozen=True)
class PoseidonSuite:
    """Sponge and compression over a permutation of width 16 (``stark.hash.poseidon``).

    Functions raise ``ValueError`` for bytes that are no canonical elements: callers check with
    :func:`check_digests` what they read from a file.
    """

    permutation: PoseidonParameters
    collision_bits: int = 124
    maximal_grind_bits: int = 24
    """p - 1 is a multiple of 2^24, so that many low bits of an element are uniform; and all of the
    p nonces fail with a chance of e^-127."""

    @property
    def name(self) -> str:
        return self.permutation.name

    def leaf_digest(self, row: bytes, salt: bytes = b"", extensions: int = 0) -> bytes:
        tag = SALTED_LEAF_TAG if salt else LEAF_TAG
        elements = decode_elements(row)
        base = len(elements) - DEGREE * extensions
        if not 0 <= base <= len(elements):
            raise ValueError(f"{extensions} extension elements in a row of {len(elements)}")
        tail = [elements[start : start + DEGREE] for start in range(base, len(elements), DEGREE)]
        runs = (decode_elements(salt), elements[:base], *tail)
        return encode_elements(sponge_hash(self.permutation, tag, *runs))

    def node_digest(self, left: bytes, right: bytes) -> bytes:
        return encode_elements(compress(self.permutation, decode_elements(left + right)))

    def injected_node_digest(self, left: bytes, right: bytes, leaf: bytes) -> bytes:
        # The leaf first: a circuit hashes it right before, and goes on from what it has.
        return self.node_digest(leaf, self.node_digest(left, right))

    def leaf_salt(self, key: bytes, place: int) -> bytes:
        elements = decode_elements(key)
        if len(elements) != SALT_KEY_ELEMENTS:
            raise ValueError(
                f"a key of {SALT_KEY_ELEMENTS} elements is needed, got {len(key)} bytes"
            )
        return encode_elements(sponge_hash(self.permutation, SALT_TAG, (*elements, place)))

    def is_digest(self, data: bytes) -> bool:
        return len(data) == DIGEST_BYTES and max(_DIGEST.unpack(data)) < P


SHA256: Final = Sha256Suite()
POSEIDON1_SUITE: Final = PoseidonSuite(POSEIDON1)
POSEIDON2_SUITE: Final = PoseidonSuite(POSEIDON2)

SUITES: Final[Mapping[str, Suite]] = MappingProxyType(
    {suite.name: suite for suite in (SHA256, POSEIDON1_SUITE, POSEIDON2_SUITE)}
)
"""All suites by name."""


def check_digests(suite: Suite, digests: tuple[bytes, ...], name: str) -> None:
    """Rejected(Canonical) unless all of them, of 32 bytes, are digests of the suite."""
    for digest in digests:
        if not suite.is_digest(digest):
            raise Rejected(
                Code.CANONICAL, f"digest in {name}", f"8 elements below {P}", digest.hex()
            )
