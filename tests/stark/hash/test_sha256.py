"""Tagged SHA-256 of the verifier, spelled out with hashlib."""

from __future__ import annotations

from hashlib import sha256

import pytest

from stark.field.koalabear import P
from stark.hash.sha256 import (
    decode_elements,
    encode_elements,
    grind_succeeds,
    injected_node_digest,
    leaf_digest,
    node_digest,
)

LEFT, RIGHT, EXTRA, SALT = (bytes([value]) * 32 for value in range(4))


def test_messages_are_tag_then_parts() -> None:
    row = encode_elements([1, P - 1, 0x01020304])
    assert row == bytes.fromhex("01000000 0000007f 04030201")
    assert leaf_digest(row) == sha256(b"SLl1" + row).digest()
    assert leaf_digest(row, SALT) == sha256(b"SLl1" + SALT + row).digest()
    assert node_digest(LEFT, RIGHT) == sha256(b"SLn1" + LEFT + RIGHT).digest()
    injected = sha256(b"SLi1" + LEFT + RIGHT + EXTRA).digest()
    assert injected_node_digest(LEFT, RIGHT, EXTRA) == injected


def test_elements_round_trip() -> None:
    values = (0, 1, P - 1, 2**31)
    assert decode_elements(encode_elements(values)) == values
    assert decode_elements(b"") == ()


def test_same_bytes_under_different_tags_differ() -> None:
    assert leaf_digest(LEFT + RIGHT) != node_digest(LEFT, RIGHT)
    both = {
        injected_node_digest(LEFT, RIGHT, EXTRA),
        leaf_digest(LEFT + RIGHT + EXTRA),
        node_digest(LEFT + RIGHT, EXTRA),
    }
    assert len(both) == 3


def test_proof_of_work_counts_low_bits_of_the_first_eight_bytes() -> None:
    state = bytes(range(32))
    for nonce in (0, 1, 255, 256, 2**64 - 1):
        digest = sha256(b"SLg1" + state + nonce.to_bytes(8, "little")).digest()
        value = int.from_bytes(digest[:8], "little")
        zeros = (value & -value).bit_length() - 1
        assert grind_succeeds(state, nonce, 0)
        assert grind_succeeds(state, nonce, zeros)
        assert not grind_succeeds(state, nonce, zeros + 1)


@pytest.mark.parametrize("nonce", [-1, 2**64, 2**70])
def test_nonce_outside_eight_bytes_fails(nonce: int) -> None:
    assert not grind_succeeds(bytes(32), nonce, 0)


@pytest.mark.parametrize(("state", "bits"), [(bytes(31), 1), (bytes(33), 1), (bytes(32), -1)])
def test_misuse_of_the_proof_of_work_is_an_error(state: bytes, bits: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        grind_succeeds(state, 0, bits)
    with pytest.raises(ValueError, match="32 bytes"):
        grind_succeeds(bytes(32), 0, 64)
