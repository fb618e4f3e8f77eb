"""SHA-256 of many messages against hashlib."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.hash import sha256_messages
from stark.hash.sha256_messages import hash_messages


def check(messages: NDArray[np.uint8]) -> None:
    digests = hash_messages(messages)
    assert digests.dtype == np.uint8
    assert digests.shape == (len(messages), 32)
    assert digests.flags.c_contiguous
    for message, digest in zip(messages, digests, strict=True):
        assert digest.tobytes() == hashlib.sha256(message.tobytes()).digest()


def random_messages(rows: int, length: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1000 * rows + length).integers(0, 256, (rows, length), np.uint8)


@pytest.mark.parametrize("length", range(200))
def test_every_padding_of_up_to_four_blocks(length: int) -> None:
    check(random_messages(17, length))


@pytest.mark.parametrize("byte", [0, 1, 0x7F, 0x80, 0xFF])
@pytest.mark.parametrize("length", [0, 1, 3, 55, 56, 64])
def test_extreme_bytes(length: int, byte: int) -> None:
    check(np.full((3, length), byte, np.uint8))


@pytest.mark.parametrize("rows", [0, 1, 2, 15, 16, 17, 31, 33, 100])
def test_any_number_of_messages(rows: int) -> None:
    check(random_messages(rows, 61))
    check(random_messages(rows, 0))


@settings(max_examples=60)
@given(st.integers(0, 40), st.integers(0, 700), st.integers(0, 2**32))
def test_random_shapes(rows: int, length: int, seed: int) -> None:
    check(np.random.default_rng(seed).integers(0, 256, (rows, length), np.uint8))


def test_a_length_in_bits_of_more_than_two_bytes() -> None:
    check(random_messages(3, 70_001))


def test_layouts_other_than_contiguous() -> None:
    messages = random_messages(40, 150)
    check(messages[::3])
    check(messages[:, 5:90:2])
    check(messages.T)
    check(np.broadcast_to(messages[0], (20, 150)))


def test_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sha256_messages, "_CHUNK_BYTES", 32 * 128)
    for rows in (31, 32, 33, 64, 95):
        check(random_messages(rows, 100))


@pytest.mark.parametrize(
    "messages",
    [np.zeros((2, 3), np.int8), np.zeros((2, 3), np.uint32), np.zeros(3, np.uint8)],
)
def test_other_arrays_are_refused(messages: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        hash_messages(messages)
