"""The prover's trees against a plain tree in natural order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merkle_reference import ReferenceTree
from numpy.typing import NDArray

from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import P
from stark.field.memory import padded_width
from stark.field.montgomery import to_montgomery
from stark.hash.sha256 import encode_elements
from stark.hash.suite import SHA256, SUITES, Suite
from stark.merkle.multiproof import verify_opening
from stark.merkle.tree import CodewordTree, MatrixRows, MerkleTree, RowsTree

Matrix = NDArray[np.uint32]


def random_extension(cosets: int, height: int, width: int, seed: int) -> tuple[Matrix, Any]:
    """A padded array (B, N, W) in Montgomery form, and its canonical values (B, N, width)."""
    values = np.random.default_rng(seed).integers(0, P, (cosets, height, width))
    matrix = np.zeros((cosets, height, padded_width(width)), np.uint32)
    matrix[:, :, :width] = to_montgomery(values)
    return matrix, values


def natural(array: Any, cosets: int) -> list[Any]:
    """Items [c][i] in the order of j = c + B i."""
    return [array[j % cosets][j // cosets] for j in range(cosets * len(array[0]))]


def compare(tree: RowsTree, reference: ReferenceTree, cap_height: int, seed: int) -> None:
    assert tree.cap == reference.levels[1 << cap_height]
    size = max(reference.rows)
    generator = np.random.default_rng(seed)
    for indices in ([0], [size - 1], list(range(size)), generator.integers(0, size, 9).tolist()):
        opening = tree.open(indices)
        assert opening == reference.open(indices, cap_height)
        parts = (opening.rows, opening.salts, opening.siblings)
        verify_opening(tree.cap, tree.shape, indices, *parts, "test tree")


over_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=list(SUITES))


@over_suites
@settings(max_examples=40, deadline=None)
@given(
    log_cosets=st.integers(0, 5),
    matrices=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 20)), min_size=1, max_size=4),
    salted=st.booleans(),
    data=st.data(),
)
def test_trees_of_matrices(
    suite: Suite,
    log_cosets: int,
    matrices: list[tuple[int, int]],
    salted: bool,
    data: st.DataObject,
) -> None:
    if suite is not SHA256:
        # Scalar permutations take a thousand times as long as hashlib.
        log_cosets, matrices = log_cosets % 3, [(n % 5, width) for n, width in matrices]
    cosets = 1 << log_cosets
    arrays = [
        random_extension(cosets, 1 << log_height, width, seed)
        for seed, (log_height, width) in enumerate(matrices)
    ]
    heights = sorted({1 << log_height for log_height, _ in matrices}, reverse=True)
    keys = [bytes([height] * (32 if suite is SHA256 else 28)) for height in heights]
    rows, salts_by_size = {}, {}
    for height, key in zip(heights, keys, strict=True):
        chosen = [values for _, values in arrays if values.shape[1] == height]
        joined = np.concatenate(chosen, axis=2)
        size = cosets * height
        rows[size] = [encode_elements(row.tolist()) for row in natural(joined, cosets)]
        places = np.arange(size).reshape(cosets, height).tolist()
        salts_by_size[size] = [suite.leaf_salt(key, place) for place in natural(places, cosets)]
    cap_height = data.draw(st.integers(0, min(rows).bit_length() - 1))

    widths = [width for _, width in matrices]
    tree = MerkleTree([a for a, _ in arrays], widths, cap_height, keys if salted else None, suite)
    reference = ReferenceTree(rows, salts_by_size if salted else None, suite)
    compare(tree, reference, cap_height, 3)


@over_suites
@pytest.mark.parametrize(
    ("cosets", "length", "points", "cap_height"),
    [(4, 128, 8, 2), (2, 256, 16, 0), (8, 16, 4, 5), (4, 8, 8, 1), (1, 64, 1, 3)],
)
def test_trees_of_codewords(
    suite: Suite, cosets: int, length: int, points: int, cap_height: int
) -> None:
    generator = np.random.default_rng(length)
    values = generator.integers(0, P, (5, cosets, length))
    height = length // points
    size = cosets * height
    rows = []
    for j in range(size):
        c, i = j % cosets, j // cosets
        elements = [values[:, c, i + t * height].tolist() for t in range(points)]
        rows.append(encode_elements([x for element in elements for x in element]))
    tree = CodewordTree(to_montgomery(values), points, cap_height, suite)
    assert tree.shape.extensions == (points,)
    reference = ReferenceTree({size: rows}, suite=suite, extensions={size: points})
    compare(tree, reference, cap_height, 4)


@over_suites
def test_trees_whose_rows_end_with_extension_elements(suite: Suite) -> None:
    """One group with, one without: what a leaf is cut into follows from the shape."""
    arrays = [random_extension(2, height, width, height) for height, width in ((8, 17), (2, 11))]
    groups = [MatrixRows([arrays[0][0]], [17], 3), MatrixRows([arrays[1][0]], [11])]
    tree = RowsTree(groups, 1, suite=suite)
    assert tree.shape.extensions == (3, 0)
    rows = {
        values.shape[1] * 2: [encode_elements(row.tolist()) for row in natural(values, 2)]
        for _, values in arrays
    }
    compare(tree, ReferenceTree(rows, suite=suite, extensions={16: 3}), 1, 5)
    opening = tree.open([3])
    parts = (opening.rows, opening.salts, opening.siblings)
    other = replace(tree.shape, extensions=(2, 0))
    if suite is SHA256:
        verify_opening(tree.cap, other, [3], *parts, "test tree")
    else:
        with pytest.raises(Rejected) as caught:
            verify_opening(tree.cap, other, [3], *parts, "test tree")
        assert caught.value.code == Code.MERKLE


def test_rows_without_extension_elements_need_no_word_of_them() -> None:
    small = random_extension(4, 8, 3, 0)[0]
    assert MerkleTree([small], [3], 2).shape.extensions == ()


def test_shape_lists_sizes_and_whole_widths() -> None:
    small, large = (random_extension(4, height, 3, height)[0] for height in (8, 32))
    tree = MerkleTree([small, large, small], [3, 2, 1], 2)
    assert tree.shape.groups == ((7, 2), (5, 4))
    assert not tree.shape.salted


def test_cap_higher_than_the_smallest_matrix() -> None:
    small, large = (random_extension(4, height, 3, height)[0] for height in (8, 32))
    with pytest.raises(Rejected) as caught:
        MerkleTree([small, large], [3, 3], 6)
    assert caught.value.code == Code.SHAPE


@pytest.mark.parametrize("shape", [(3, 16, 16), (4, 12, 16), (4, 0, 16)])
def test_sizes_that_are_not_powers_of_two(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        MerkleTree([np.zeros(shape, np.uint32)], [5], 0)


def test_groups_that_do_not_fit() -> None:
    first, second = np.zeros((4, 16, 16), np.uint32), np.zeros((2, 32, 16), np.uint32)
    with pytest.raises(UsageError):
        MerkleTree([], [], 0)
    with pytest.raises(UsageError):
        MerkleTree([second, first], [5, 5], 0)
    with pytest.raises(UsageError):
        MatrixRows([first, second], [5, 5])
    with pytest.raises(UsageError):
        MerkleTree([first], [5], 0, [])
    with pytest.raises(ValueError, match="key of salts"):
        MerkleTree([first], [5], 0, [bytes(31)])


def test_indices_out_of_range() -> None:
    tree = MerkleTree([np.zeros((4, 16, 16), np.uint32)], [5], 0)
    for indices in ([], [64], [-1]):
        with pytest.raises(ValueError, match="indices"):
            tree.open(indices)
