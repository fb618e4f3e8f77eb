"""Limbs, blocks, commitments and digests of the statement."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from air.encoding import (
    account_commitment,
    account_salt,
    header_lane,
    leaf_digest,
    limbs,
    node_digest,
    totals_digest,
)
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1, compress


@given(st.integers(0, 2**105 - 1))
def test_limbs_recompose(value: int) -> None:
    parts = limbs(value, 7)
    assert all(0 <= limb < 2**15 for limb in parts)
    assert sum(limb << 15 * j for j, limb in enumerate(parts)) == value


@given(st.integers(0, 2**15 - 1), st.booleans(), st.booleans(), st.sampled_from([8, 16]))
def test_header_lanes_can_be_read_back(asset: int, first: bool, last: bool, tag: int) -> None:
    lane = header_lane(tag, first, last, asset)
    assert lane < P
    assert (lane >> 6, bool(lane & 2), bool(lane & 4), lane & 24) == (asset, first, last, tag)


def test_commitments_and_salts_are_as_documented() -> None:
    salt = bytes(range(32))
    data = b"stark-liabilities/account/v1" + (3).to_bytes(8, "big") + b"u-1" + salt
    words = hashlib.sha256(data).digest()
    expected = [int.from_bytes(words[i : i + 4], "big") % P for i in range(0, 32, 4)]
    assert list(account_commitment(b"u-1", salt)) == expected
    message = (
        b"stark-liabilities/salt/v1" + (7).to_bytes(8, "big") + b"n" * 32 + (3).to_bytes(8, "big")
    )
    assert account_salt(b"k" * 32, 7, b"n" * 32, b"u-1") == hmac.digest(
        b"k" * 32, message + b"u-1", "sha256"
    )


def test_a_leaf_is_a_chain_of_its_holdings() -> None:
    commitment = tuple(range(8))
    first = compress(POSEIDON1, [*commitment, 8 + 2, *limbs(5, 5), 0, 0])
    second = compress(POSEIDON1, [*first, 8 + 4 + 64 * 3, *limbs(2**75 - 1, 5), 0, 0])
    assert leaf_digest(commitment, [(0, 5), (3, 2**75 - 1)]) == tuple(second)


def test_first_and_last_marks_separate_chains() -> None:
    """A leaf cannot be taken for a longer one that starts with another commitment."""
    commitment = tuple(range(8))
    middle = leaf_digest(commitment, [(0, 5)])
    assert leaf_digest(middle, [(1, 6)]) != leaf_digest(commitment, [(0, 5), (1, 6)])


def test_totals_are_padded_with_zeros_to_the_capacity() -> None:
    blind = tuple(range(8))
    assert totals_digest(blind, [7], 4) == totals_digest(blind, [7, 0, 0, 0], 4)
    assert totals_digest(blind, [7], 4) != totals_digest(blind, [7], 5)


def test_nodes_bind_their_order() -> None:
    left, right = tuple(range(8)), tuple(range(8, 16))
    assert node_digest(left, right) == tuple(compress(POSEIDON1, list(range(16))))
    assert node_digest(left, right) != node_digest(right, left)
