"""Kernels of the algebraic suites against the suites on bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.errors import UsageError
from stark.field.koalabear import P
from stark.field.memory import aligned_zeros, padded_width
from stark.field.montgomery import to_montgomery
from stark.hash import sha256_kernels, sponge_kernels
from stark.hash.hashing import Hashing, hashing
from stark.hash.poseidon import permute
from stark.hash.sha256 import decode_elements, encode_elements
from stark.hash.sponge_kernels import PoseidonHashing
from stark.hash.suite import (
    POSEIDON1_SUITE,
    POSEIDON2_SUITE,
    SHA256,
    PoseidonSuite,
    Sha256Suite,
)

Words = NDArray[np.uint32]

SUITES = [POSEIDON1_SUITE, POSEIDON2_SUITE]
over_suites = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
KEY = encode_elements([0, 1, P - 1, 5, 123456789, P - 2, 7])


def random_values(shape: tuple[int, ...], seed: int) -> NDArray[np.int64]:
    """Canonical elements; a third are 0, 1 or p - 1."""
    generator = np.random.default_rng(seed)
    values = generator.integers(0, P, shape)
    edges = generator.choice([0, 1, P - 1], shape)
    return np.where(generator.random(shape) < 1 / 3, edges, values)


def digest_bytes(kernels: Hashing, digests: Words, index: int) -> bytes:
    (digest,) = kernels.encoded_digests(digests, [index])
    return digest


def padded(values: NDArray[np.int64]) -> Words:
    """In Montgomery form, with zero columns to a multiple of 16."""
    matrix = aligned_zeros((values.shape[0], padded_width(values.shape[1])))
    matrix[:, : values.shape[1]] = to_montgomery(values)
    return matrix


def check_leaves(
    suite: PoseidonSuite, rows: int, widths: list[int], salted: bool, extensions: int = 0
) -> None:
    kernels = hashing(suite)
    parts = [random_values((rows, width), rows + width) for width in widths]
    matrices = [padded(part) for part in parts]
    # What lies in padding columns must not be hashed.
    for matrix, width in zip(matrices, widths, strict=True):
        matrix[:, width:] = 99
    key = KEY if salted else None
    digests = kernels.leaf_digests(matrices, widths, key, extensions=extensions)
    assert digests.shape == (8, rows)
    for index, row in enumerate(np.concatenate(parts, axis=1).tolist()):
        salt = suite.leaf_salt(KEY, index) if salted else b""
        expected = suite.leaf_digest(encode_elements(row), salt, extensions)
        assert digest_bytes(kernels, digests, index) == expected


@over_suites
@pytest.mark.parametrize("salted", [False, True])
@pytest.mark.parametrize("base", [0, 1, 7, 8, 9, 16, 17])
@pytest.mark.parametrize("extensions", [1, 2, 3, 9])
def test_leaves_that_end_with_extension_elements(
    suite: PoseidonSuite, base: int, extensions: int, salted: bool
) -> None:
    check_leaves(suite, 3, [base + 5 * extensions], salted, extensions)


@over_suites
@pytest.mark.parametrize("salted", [False, True])
@pytest.mark.parametrize(
    ("widths", "extensions"),
    [([20, 5], 1), ([16, 17, 5], 1), ([5, 10, 15], 6), ([5, 10, 15], 3), ([3, 1, 1], 1)],
)
def test_extension_elements_over_several_matrices(
    suite: PoseidonSuite, widths: list[int], extensions: int, salted: bool
) -> None:
    """Also where an element begins in one matrix and ends in the next."""
    check_leaves(suite, 18, widths, salted, extensions)


@over_suites
@pytest.mark.parametrize("salted", [False, True])
@pytest.mark.parametrize("width", [*range(1, 41), 100, 208])
def test_leaves_of_every_width(suite: PoseidonSuite, width: int, salted: bool) -> None:
    check_leaves(suite, 3 if width > 17 else 16, [width], salted)


@over_suites
@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 31, 50])
def test_leaves_of_any_number_of_rows(suite: PoseidonSuite, rows: int) -> None:
    check_leaves(suite, rows, [5, 20], True)


@over_suites
@settings(max_examples=12, deadline=None)
@given(
    rows=st.integers(1, 34),
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    salted=st.booleans(),
    data=st.data(),
)
def test_leaves_of_several_matrices(
    suite: PoseidonSuite, rows: int, widths: list[int], salted: bool, data: st.DataObject
) -> None:
    extensions = data.draw(st.integers(0, sum(widths) // 5))
    check_leaves(suite, rows, widths, salted, extensions)


@over_suites
@pytest.mark.parametrize("extensions", [-1, 4])
def test_more_extension_elements_than_the_row_has(suite: PoseidonSuite, extensions: int) -> None:
    with pytest.raises(ValueError, match="extension elements"):
        hashing(suite).leaf_digests([aligned_zeros((16, 32))], [19], extensions=extensions)


@over_suites
def test_no_rows_give_no_digests(suite: PoseidonSuite) -> None:
    assert hashing(suite).leaf_digests([aligned_zeros((0, 16))], [3]).shape == (8, 0)


@over_suites
@pytest.mark.parametrize(("rows", "offset", "total"), [(16, 0, 40), (20, 16, 36), (3, 5, 9)])
def test_leaves_at_an_offset(suite: PoseidonSuite, rows: int, offset: int, total: int) -> None:
    kernels = hashing(suite)
    values = random_values((rows, 6), 1)
    out = np.full((8, total), 7, np.uint32)
    assert kernels.leaf_digests([padded(values)], [6], KEY, out, offset) is out
    for index, row in enumerate(values.tolist()):
        salt = suite.leaf_salt(KEY, offset + index)
        expected = suite.leaf_digest(encode_elements(row), salt)
        assert digest_bytes(kernels, out, offset + index) == expected
    assert (out[:, :offset] == 7).all()
    assert (out[:, offset + rows :] == 7).all()


@over_suites
@pytest.mark.parametrize("salted", [False, True])
@pytest.mark.parametrize(
    ("cosets", "length", "points"),
    [(1, 16, 1), (2, 64, 2), (2, 128, 8), (1, 256, 16), (4, 32, 8), (2, 8, 8), (1, 1, 1)],
)
def test_leaves_of_a_codeword(
    suite: PoseidonSuite, cosets: int, length: int, points: int, salted: bool
) -> None:
    kernels = hashing(suite)
    values = random_values((5, cosets, length), length)
    height = length // points
    codeword = to_montgomery(values)
    digests = kernels.codeword_leaf_digests(codeword, points, KEY if salted else None)
    assert digests.shape == (8, cosets * height)
    for c in range(cosets):
        for i in range(height):
            row = [int(values[e, c, i + t * height]) for t in range(points) for e in range(5)]
            place = c * height + i
            salt = suite.leaf_salt(KEY, place) if salted else b""
            expected = suite.leaf_digest(encode_elements(row), salt, points)
            assert digest_bytes(kernels, digests, place) == expected


@over_suites
@pytest.mark.parametrize(("runs", "half"), [(1, 16), (4, 16), (1, 64), (3, 48)])
@pytest.mark.parametrize("with_injected", [False, True])
def test_nodes(suite: PoseidonSuite, runs: int, half: int, with_injected: bool) -> None:
    kernels = hashing(suite)
    children = to_montgomery(random_values((8, 2 * runs * half), half))
    injected = to_montgomery(random_values((8, runs * half), runs)) if with_injected else None
    parents = kernels.node_digests(children, half, injected)
    assert parents.shape == (8, runs * half)
    for parent in range(runs * half):
        run, k = divmod(parent, half)
        left = digest_bytes(kernels, children, 2 * run * half + k)
        right = digest_bytes(kernels, children, (2 * run + 1) * half + k)
        if injected is None:
            expected = suite.node_digest(left, right)
        else:
            leaf = digest_bytes(kernels, injected, parent)
            expected = suite.injected_node_digest(left, right, leaf)
        assert digest_bytes(kernels, parents, parent) == expected


@over_suites
def test_encoded_digests(suite: PoseidonSuite) -> None:
    digests = [encode_elements(row) for row in random_values((5, 8), 3).tolist()]
    words = to_montgomery(np.array([decode_elements(digest) for digest in digests]).T.copy())
    for indices in ([], [3], [4, 0, 0, 2]):
        assert hashing(suite).encoded_digests(words, indices) == [digests[k] for k in indices]


def works(suite: PoseidonSuite, puzzle: bytes, nonce: int, bits: int) -> bool:
    state = permute(suite.permutation, [0] * 7 + [nonce, *decode_elements(puzzle)])
    return permute(suite.permutation, state)[0] % (1 << bits) == 0


@over_suites
@pytest.mark.parametrize("bits", [0, 1, 4, 9])
def test_grind_finds_the_smallest_nonce(suite: PoseidonSuite, bits: int) -> None:
    puzzle = encode_elements(random_values((8,), bits).tolist())
    smallest = next(nonce for nonce in range(1 << 14) if works(suite, puzzle, nonce, bits))
    assert hashing(suite).grind(puzzle, bits) == smallest


@over_suites
def test_grind_goes_on_beyond_its_first_chunk(
    suite: PoseidonSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    puzzle = encode_elements(range(8))
    nonce = hashing(suite).grind(puzzle, 12)
    monkeypatch.setattr(sponge_kernels, "_GRIND_CHUNK", 32)
    assert nonce >= 64
    assert hashing(suite).grind(puzzle, 12) == nonce


@over_suites
def test_grind_ends_where_nonces_end(suite: PoseidonSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sponge_kernels, "P", 33)
    monkeypatch.setattr(sponge_kernels, "_GRIND_CHUNK", 32)
    with pytest.raises(UsageError, match="no nonce"):
        hashing(suite).grind(encode_elements(range(8)), 24)


@over_suites
@pytest.mark.parametrize(
    ("puzzle", "bits"),
    [
        (bytes(28), 4),
        (bytes(64), 4),
        (bytes(32), 25),
        (bytes(32), -1),
        (encode_elements([P] + [0] * 7), 1),
    ],
)
def test_misuse_of_grind_is_an_error(suite: PoseidonSuite, puzzle: bytes, bits: int) -> None:
    with pytest.raises(ValueError, match=r"needed|\[0, p\)"):
        hashing(suite).grind(puzzle, bits)


MATRIX = np.zeros((16, 16), np.uint32)


@over_suites
@pytest.mark.parametrize(
    ("matrices", "widths", "key"),
    [
        ([], [], None),
        ([MATRIX], [1, 2], None),
        ([MATRIX], [17], None),
        ([MATRIX.astype(np.uint64)], [8], None),
        ([MATRIX], [8], bytes(27)),
        ([MATRIX], [8], bytes(32)),
        ([MATRIX], [8], encode_elements([P] + [0] * 6)),
    ],
)
def test_leaves_of_another_form_are_refused(
    suite: PoseidonSuite, matrices: Any, widths: Any, key: Any
) -> None:
    with pytest.raises(ValueError, match=r"matri|width|key of salts|\[0, p\)"):
        hashing(suite).leaf_digests(matrices, widths, key)


@over_suites
@pytest.mark.parametrize(
    ("children", "half", "injected"),
    [((8, 64), 8, None), ((7, 64), 16, None), ((8, 64), 16, (8, 31)), ((8, 65), 16, None)],
)
def test_levels_of_another_form_are_refused(
    suite: PoseidonSuite, children: Any, half: int, injected: Any
) -> None:
    extra = None if injected is None else np.zeros(injected, np.uint32)
    with pytest.raises(ValueError, match=r"digests|runs"):
        hashing(suite).node_digests(np.zeros(children, np.uint32), half, extra)


def test_every_suite_has_its_kernels() -> None:
    assert hashing(SHA256) is sha256_kernels
    assert all(isinstance(hashing(suite), PoseidonHashing) for suite in SUITES)
    with pytest.raises(UsageError):
        hashing(Sha256Suite(name="md5"))
