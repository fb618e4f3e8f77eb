"""Many-lane SHA-256 against hashlib."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field.koalabear import P
from stark.field.memory import padded_width
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash.digest_arrays import codeword_rows
from stark.hash.sha256 import (
    encode_elements,
    grind_succeeds,
    injected_node_digest,
    leaf_digest,
    leaf_salt,
    node_digest,
)
from stark.hash.sha256_kernels import (
    codeword_leaf_digests,
    digest_bytes,
    grind,
    leaf_digests,
    node_digests,
)

Words = NDArray[np.uint32]


def random_matrix(rows: int, width: int, seed: int) -> tuple[Words, list[list[int]]]:
    """A padded matrix in Montgomery form and its canonical rows; some cells are 0, 1, p - 1."""
    generator = np.random.default_rng(seed)
    values = generator.integers(0, P, (rows, width))
    edges = generator.choice([0, 1, P - 1], (rows, width))
    values = np.where(generator.random((rows, width)) < 0.2, edges, values)
    matrix = np.zeros((rows, padded_width(width)), np.uint32)
    matrix[:, :width] = to_montgomery(values)
    return matrix, values.tolist()


KEY = bytes(range(32))


def check_leaves(rows: int, widths: list[int], salted: bool) -> None:
    matrices = [random_matrix(rows, width, width) for width in widths]
    digests = leaf_digests([matrix for matrix, _ in matrices], widths, KEY if salted else None)
    assert digests.shape == (8, rows)
    for index in range(rows):
        row = encode_elements([x for _, values in matrices for x in values[index]])
        salt = leaf_salt(KEY, index) if salted else b""
        assert digest_bytes(digests, index) == leaf_digest(row, salt)


@pytest.mark.parametrize("salted", [False, True])
@pytest.mark.parametrize("width", [1, 7, 12, 13, 16, 27, 28, 100, 164])
def test_leaves_of_one_matrix(width: int, salted: bool) -> None:
    check_leaves(48, [width], salted)


@pytest.mark.parametrize("salted", [False, True])
@pytest.mark.parametrize("width", range(1, 36))
def test_leaves_around_block_boundaries(width: int, salted: bool) -> None:
    # 1 + 8 + width words: every residue modulo a block of 16 words, and with it every padding.
    check_leaves(16, [width], salted)


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 31, 50])
def test_leaves_of_any_number_of_rows(rows: int) -> None:
    check_leaves(rows, [5, 20], True)


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(1, 40),
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    salted=st.booleans(),
)
def test_leaves_of_several_matrices(rows: int, widths: list[int], salted: bool) -> None:
    check_leaves(rows, widths, salted)


@pytest.mark.parametrize("salted", [False, True])
@pytest.mark.parametrize(
    ("cosets", "length", "points"),
    [
        (1, 16, 1),
        (2, 64, 2),
        (4, 256, 8),
        (2, 256, 16),
        (4, 32, 8),
        (2, 8, 8),
        (1, 2, 1),
        (1, 1, 1),
    ],
)
def test_leaves_of_a_codeword(cosets: int, length: int, points: int, salted: bool) -> None:
    generator = np.random.default_rng(length)
    values = generator.integers(0, P, (5, cosets, length))
    codeword = to_montgomery(values)
    height = length // points
    digests = codeword_leaf_digests(codeword, points, KEY if salted else None)
    rows = codeword_rows(codeword, points)
    assert digests.shape == (8, cosets * height)
    for c in range(cosets):
        for i in range(height):
            row = [int(values[e, c, i + t * height]) for t in range(points) for e in range(5)]
            assert from_montgomery(rows[c, i].copy()).reshape(-1).tolist() == row
            salt = leaf_salt(KEY, c * height + i) if salted else b""
            expected = leaf_digest(encode_elements(row), salt)
            assert digest_bytes(digests, c * height + i) == expected


@pytest.mark.parametrize(("runs", "half"), [(1, 16), (4, 16), (1, 64), (3, 48)])
@pytest.mark.parametrize("with_injected", [False, True])
def test_nodes(runs: int, half: int, with_injected: bool) -> None:
    generator = np.random.default_rng(half)
    children = generator.integers(0, 2**32, (8, 2 * runs * half), np.uint32)
    injected = generator.integers(0, 2**32, (8, runs * half), np.uint32) if with_injected else None
    parents = node_digests(children, half, injected)
    assert parents.shape == (8, runs * half)
    for run in range(runs):
        for k in range(half):
            left = digest_bytes(children, 2 * run * half + k)
            right = digest_bytes(children, (2 * run + 1) * half + k)
            parent = run * half + k
            if injected is None:
                expected = node_digest(left, right)
            else:
                expected = injected_node_digest(left, right, digest_bytes(injected, parent))
            assert digest_bytes(parents, parent) == expected


@pytest.mark.parametrize("bits", [0, 1, 5, 9, 13])
@pytest.mark.parametrize("state", [bytes(32), bytes(range(32)), b"\xff" * 32])
def test_grind_finds_the_smallest_nonce(state: bytes, bits: int) -> None:
    smallest = next(nonce for nonce in range(1 << 20) if grind_succeeds(state, nonce, bits))
    assert grind(state, bits) == smallest


def test_grind_goes_on_beyond_its_first_chunk() -> None:
    # About 2^20 tries, four chunks; that no smaller nonce exists is not checked.
    state = b"\x05" * 32
    nonce = grind(state, 20)
    assert nonce >= 1 << 18
    assert grind_succeeds(state, nonce, 20)


MATRIX = np.zeros((16, 16), np.uint32)


@pytest.mark.parametrize(
    ("matrices", "widths", "key"),
    [
        ([], [], None),
        ([MATRIX], [1, 2], None),
        ([MATRIX], [0], None),
        ([MATRIX], [17], None),
        ([MATRIX[:, :8].copy()], [8], None),
        ([MATRIX.T[::2]], [8], None),
        ([MATRIX.astype(np.uint64)], [8], None),
        ([MATRIX, np.zeros((32, 16), np.uint32)], [8, 8], None),
        ([MATRIX], [8], bytes(31)),
        ([MATRIX], [8], b""),
    ],
)
def test_leaves_of_another_form_are_refused(matrices: Any, widths: Any, key: Any) -> None:
    with pytest.raises(ValueError, match=r"matri|width|key of salts"):
        leaf_digests(matrices, widths, key)


@pytest.mark.parametrize(("rows", "offset", "total"), [(16, 0, 40), (20, 16, 36), (3, 5, 9)])
def test_leaves_at_an_offset(rows: int, offset: int, total: int) -> None:
    """Places count from the offset: cosets hashed one by one have the salts of one tree."""
    matrix, values = random_matrix(rows, 6, 1)
    out = np.full((8, total), 7, np.uint32)
    assert leaf_digests([matrix], [6], KEY, out, offset) is out
    for index in range(rows):
        expected = leaf_digest(encode_elements(values[index]), leaf_salt(KEY, offset + index))
        assert digest_bytes(out, offset + index) == expected
    assert (out[:, :offset] == 7).all()
    assert (out[:, offset + rows :] == 7).all()


@pytest.mark.parametrize(
    ("out", "offset"),
    [
        (np.zeros((8, 20), np.uint32), 5),
        (np.zeros((8, 20), np.uint32), -1),
        (np.zeros((7, 20), np.uint32), 0),
        (np.zeros((8, 20), np.int64), 0),
        (np.zeros((8, 40), np.uint32)[:, ::2], 0),
    ],
)
def test_digests_that_have_no_room(out: Any, offset: int) -> None:
    with pytest.raises(ValueError, match=r"out|fit"):
        leaf_digests([MATRIX], [8], None, out, offset)


def test_a_key_of_salts_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        leaf_salt(bytes(31), 0)


@pytest.mark.parametrize(
    ("shape", "points"), [((4, 2, 16), 2), ((5, 2, 16), 3), ((5, 2, 16), 0), ((5, 2, 16), 32)]
)
def test_codewords_of_another_form_are_refused(shape: tuple[int, ...], points: int) -> None:
    with pytest.raises(ValueError, match="leaf"):
        codeword_leaf_digests(np.zeros(shape, np.uint32), points)


@pytest.mark.parametrize(
    ("children", "half", "injected"),
    [
        *[((8, 64), 8, None), ((8, 64), 24, None), ((8, 64), 64, None), ((7, 64), 16, None)],
        *[((8, 64), 16, (8, 31)), ((8, 64), 0, None), ((8, 65), 16, None)],
    ],
)
def test_levels_of_another_form_are_refused(children: Any, half: int, injected: Any) -> None:
    extra = None if injected is None else np.zeros(injected, np.uint32)
    with pytest.raises(ValueError, match=r"digests|runs"):
        node_digests(np.zeros(children, np.uint32), half, extra)


@pytest.mark.parametrize(("state", "bits"), [(bytes(31), 4), (bytes(32), 64), (bytes(32), -1)])
def test_misuse_of_grind_is_an_error(state: bytes, bits: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        grind(state, bits)
