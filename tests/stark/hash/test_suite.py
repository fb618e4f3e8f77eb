"""Hash suites on bytes, against the definitions of docs/suites.md over plain matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from poseidon_reference import permute

from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1, POSEIDON2, PoseidonParameters
from stark.hash.sha256 import decode_elements, encode_elements
from stark.hash.suite import (
    LEAF_TAG,
    POSEIDON1_SUITE,
    POSEIDON2_SUITE,
    SALT_TAG,
    SALTED_LEAF_TAG,
    SHA256,
    SUITES,
    PoseidonSuite,
    Suite,
    check_digests,
)

ALGEBRAIC = [POSEIDON1_SUITE, POSEIDON2_SUITE]
ALL = [SHA256, *ALGEBRAIC]
over_algebraic = pytest.mark.parametrize("suite", ALGEBRAIC, ids=lambda suite: suite.name)
over_all = pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)

elements = st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1))
rows = st.lists(elements, min_size=1, max_size=40)
digests = st.lists(elements, min_size=8, max_size=8)


def sponge(parameters: PoseidonParameters, tag: int, *runs: Sequence[int]) -> list[int]:
    """Blocks of eight replace lanes 0 ... 7; the capacity begins as tag and length."""
    state = [0] * 8 + [tag, sum(map(len, runs))] + [0] * 6
    for run in runs:
        filled = [*[0] * (-len(run) % 8), *run]
        for start in range(0, len(filled), 8):
            state = permute(parameters, filled[start : start + 8] + state[8:])
    return state[:8]


def compression(parameters: PoseidonParameters, left: Sequence[int], right: Sequence[int]) -> Any:
    inputs = [*left, *right]
    image = permute(parameters, inputs)
    return [(a + b) % P for a, b in zip(image[:8], inputs, strict=False)]


def test_names_and_strengths() -> None:
    assert list(SUITES) == [
        "sha256",
        "poseidon1-koalabear-w16-8-20",
        "poseidon2-koalabear-w16-8-20",
    ]
    assert [suite.collision_bits for suite in SUITES.values()] == [128, 124, 124]
    assert [suite.permutation for suite in SUITES.values()] == [None, POSEIDON1, POSEIDON2]
    assert all(len(name) <= 32 and suite.name == name for name, suite in SUITES.items())


def test_suites_cannot_be_changed() -> None:
    for suite in ALL:
        with pytest.raises(FrozenInstanceError):
            suite.collision_bits = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        SUITES["sha256"] = POSEIDON1_SUITE  # type: ignore[index]


def test_tags_are_the_ascii_bytes() -> None:
    tags = {b"SLl2": LEAF_TAG, b"SLm2": SALTED_LEAF_TAG, b"SLk1": SALT_TAG}
    for text, tag in tags.items():
        assert tag.to_bytes(4, "little") == text
        assert tag < P


@over_algebraic
@settings(max_examples=25, deadline=None)
@given(row=rows, salt=digests)
@example(row=[0], salt=[0] * 8)
@example(row=[P - 1] * 8, salt=[P - 1] * 8)
def test_leaves_are_sponges(suite: PoseidonSuite, row: list[int], salt: list[int]) -> None:
    parameters = suite.permutation
    plain = suite.leaf_digest(encode_elements(row))
    salted = suite.leaf_digest(encode_elements(row), encode_elements(salt))
    assert decode_elements(plain) == tuple(sponge(parameters, LEAF_TAG, row))
    assert decode_elements(salted) == tuple(sponge(parameters, SALTED_LEAF_TAG, salt, row))


@over_algebraic
@pytest.mark.parametrize("salt", [[], [*range(8)]])
@pytest.mark.parametrize("base", [0, 1, 7, 8, 9, 16, 17])
@pytest.mark.parametrize("extensions", [0, 1, 3])
def test_extension_elements_are_blocks(
    suite: PoseidonSuite, base: int, extensions: int, salt: list[int]
) -> None:
    row = [P - 1 - k for k in range(base + 5 * extensions)]
    tail = [row[start : start + 5] for start in range(base, len(row), 5)]
    digest = suite.leaf_digest(encode_elements(row), encode_elements(salt), extensions)
    if not row and not salt:
        expected = permute(suite.permutation, [0] * 8 + [LEAF_TAG] + [0] * 7)[:8]
    else:
        tag = SALTED_LEAF_TAG if salt else LEAF_TAG
        expected = sponge(suite.permutation, tag, salt, row[:base], *tail)
    assert decode_elements(digest) == tuple(expected)


@over_algebraic
@pytest.mark.parametrize("extensions", [-1, 2])
def test_a_row_has_its_extension_elements(suite: PoseidonSuite, extensions: int) -> None:
    with pytest.raises(ValueError, match="extension elements in a row of 9"):
        suite.leaf_digest(bytes(36), b"", extensions)


@over_algebraic
@settings(max_examples=25, deadline=None)
@given(left=digests, right=digests, leaf=digests)
@example(left=[0] * 8, right=[P - 1] * 8, leaf=[1] * 8)
def test_nodes_are_compressions(
    suite: PoseidonSuite, left: list[int], right: list[int], leaf: list[int]
) -> None:
    parameters = suite.permutation
    node = compression(parameters, left, right)
    encoded = [encode_elements(one) for one in (left, right, leaf)]
    assert suite.node_digest(*encoded[:2]) == encode_elements(node)
    injected = encode_elements(compression(parameters, leaf, node))
    assert suite.injected_node_digest(*encoded) == injected


@over_algebraic
@settings(max_examples=15, deadline=None)
@given(key=st.lists(elements, min_size=7, max_size=7), place=st.integers(0, P - 1))
def test_salts_are_sponges_of_key_and_place(
    suite: PoseidonSuite, key: list[int], place: int
) -> None:
    salt = suite.leaf_salt(encode_elements(key), place)
    assert decode_elements(salt) == tuple(sponge(suite.permutation, SALT_TAG, [*key, place]))


def test_sha256_is_tagged() -> None:
    row, salt, left, right = bytes(range(8)), b"s" * 32, b"l" * 32, b"r" * 32
    assert SHA256.leaf_digest(row) == sha256(b"SLl1" + row).digest()
    assert SHA256.leaf_digest(row, salt) == sha256(b"SLl1" + salt + row).digest()
    assert SHA256.leaf_digest(row * 5, salt, 2) == SHA256.leaf_digest(row * 5, salt)
    assert SHA256.node_digest(left, right) == sha256(b"SLn1" + left + right).digest()
    expected = sha256(b"SLi1" + left + right + salt).digest()
    assert SHA256.injected_node_digest(left, right, salt) == expected
    assert SHA256.leaf_salt(left, 5) == sha256(b"SLk1" + left + (5).to_bytes(8, "big")).digest()


@over_all
def test_rows_that_differ_in_trailing_zeros_differ(suite: Suite) -> None:
    """[a] and [a, 0], over the lengths at which a block ends."""
    for length in (1, 7, 8, 9, 15, 16, 17):
        row = [length] * length
        found = {suite.leaf_digest(encode_elements(row + [0] * k)) for k in range(4)}
        assert len(found) == 4


@over_algebraic
def test_no_two_uses_of_the_same_elements_agree(suite: PoseidonSuite) -> None:
    """Leaf, salted leaf, node, injected node and salt of the same 16 elements, cut anywhere."""
    parts = [encode_elements(range(start, start + 8)) for start in (1, 9)]
    whole = b"".join(parts)
    found = [
        suite.leaf_digest(whole),
        suite.leaf_digest(parts[0]),
        suite.leaf_digest(parts[1]),
        suite.leaf_digest(parts[1], parts[0]),
        suite.leaf_digest(parts[0], parts[1]),
        suite.node_digest(*parts),
        suite.node_digest(*reversed(parts)),
        suite.injected_node_digest(*parts, parts[1]),
        suite.injected_node_digest(*parts, parts[0]),
        suite.leaf_salt(whole[:28], 8),
    ]
    assert all(a != b for a, b in combinations(found, 2))
    assert all(suite.is_digest(digest) for digest in found)


def test_the_two_permutations_give_other_digests() -> None:
    row = encode_elements([1, 2, 3])
    assert len({suite.leaf_digest(row) for suite in ALL}) == 3
    assert len({suite.node_digest(bytes(32), bytes(32)) for suite in ALL}) == 3


@over_algebraic
@pytest.mark.parametrize("lane", range(8))
@pytest.mark.parametrize("value", [P, P + 1, 2**31, 2**32 - 1])
def test_digests_have_canonical_elements(suite: PoseidonSuite, lane: int, value: int) -> None:
    words = [P - 1] * 8
    assert suite.is_digest(encode_elements(words))
    check_digests(suite, (encode_elements(words),), "a test")
    words[lane] = value
    alias = encode_elements(words)
    assert not suite.is_digest(alias)
    assert SHA256.is_digest(alias)
    with pytest.raises(Rejected) as caught:
        check_digests(suite, (bytes(32), alias), "a test")
    assert caught.value.code is Code.CANONICAL
    for call in (
        lambda: suite.node_digest(alias, bytes(32)),
        lambda: suite.node_digest(bytes(32), alias),
        lambda: suite.leaf_digest(alias),
        lambda: suite.leaf_digest(bytes(4), alias),
    ):
        with pytest.raises(ValueError, match="canonical"):
            call()


@over_all
@pytest.mark.parametrize("size", [0, 28, 31, 33, 36, 64])
def test_digests_have_32_bytes(suite: Suite, size: int) -> None:
    assert not suite.is_digest(bytes(size))


@over_algebraic
def test_keys_of_salts_have_seven_canonical_elements(suite: PoseidonSuite) -> None:
    for key in (bytes(24), bytes(32), b""):
        with pytest.raises(ValueError, match="7 elements"):
            suite.leaf_salt(key, 0)
    for key, place in ((encode_elements([P] + [0] * 6), 0), (bytes(28), P), (bytes(28), -1)):
        with pytest.raises(ValueError, match="canonical"):
            suite.leaf_salt(key, place)
