"""Salts and commitments of many accounts against those of one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from air import account_hashing
from air.account_hashing import account_commitments, account_salts
from air.encoding import account_commitment, account_salt
from stark.field.koalabear import P

KEY, NONCE = bytes(range(100, 132)), bytes(range(32))
EPOCH = 2**63 + 7


def packed(ids: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(account_id) for account_id in ids], out=offsets[1:])
    return np.frombuffer(b"".join(ids), np.uint8), offsets


def check(ids: list[bytes], key: bytes = KEY, epoch: int = EPOCH) -> None:
    salts = account_salts(key, epoch, NONCE, *packed(ids))
    commitments = account_commitments(*packed(ids), salts)
    assert (salts.dtype, salts.shape) == (np.uint8, (len(ids), 32))
    assert (commitments.dtype, commitments.shape) == (np.uint32, (len(ids), 8))
    assert not len(ids) or commitments.max() < P
    for number, account_id in enumerate(ids):
        salt = account_salt(key, epoch, NONCE, account_id)
        assert salts[number].tobytes() == salt
        assert tuple(commitments[number].tolist()) == account_commitment(account_id, salt)


def test_ids_of_all_lengths_in_any_order() -> None:
    generator = np.random.default_rng(5)
    lengths = generator.permutation(np.repeat(np.arange(301), 3))
    check([generator.bytes(length) for length in lengths.tolist()])


@settings(max_examples=100)
@given(st.lists(st.text(max_size=60).map(str.encode), max_size=40), st.integers(0, 2**64 - 1))
def test_unicode_ids(ids: list[bytes], epoch: int) -> None:
    check(ids, epoch=epoch)


@pytest.mark.parametrize("ids", [[], [b""], [b"", b"", b"a"], [b"\0"], [b"same"] * 33])
def test_few_ids(ids: list[bytes]) -> None:
    check(ids)


@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65, 200])
def test_keys_of_all_lengths(length: int) -> None:
    """A key longer than a block of SHA-256 is hashed first (RFC 2104)."""
    check([b"u-1", b"customer 2"], key=bytes(range(length)))


def test_several_chunks_of_one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_hashing, "_ACCOUNTS_PER_CHUNK", 16)
    for count in (15, 16, 17, 32, 50):
        check([b"u-%04d" % number for number in range(count)] + [b"other"] * 3)
