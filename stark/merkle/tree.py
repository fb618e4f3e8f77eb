"""Building Merkle trees over low-degree extensions, and opening them (prover wing).

The tree is the one of ``stark.merkle.multiproof``. Arrays come coset by coset: B cosets of N rows,
row (c, i) being the point of natural index j = c + B i of a domain of size m = B N. Digests are
kept in that order, (c, i) at position c N + i: the children j and j + m/2 of a node are (c, i) and
(c, i + N/2), each a contiguous run, until N = 1; then they are the cosets c and c + B/2. So every
level is hashed from two contiguous halves of runs, and nothing is ever permuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stark.errors import UsageError
from stark.field.extension import DEGREE
from stark.field.memory import LANES
from stark.field.montgomery import from_montgomery
from stark.hash import sha256_kernels
from stark.hash.digest_arrays import DIGEST_WORDS, Words, codeword_rows
from stark.hash.hashing import Hashing, hashing
from stark.hash.suite import SHA256, Suite
from stark.merkle.multiproof import MultiOpening, TreeShape, group_indices, missing_siblings


class Rows(Protocol):
    """Rows to be committed, all of one size of domain."""

    @property
    def cosets(self) -> int:
        """B."""

    @property
    def height(self) -> int:
        """N: rows per coset."""

    @property
    def width(self) -> int:
        """Field elements per row, padding not counted."""

    @property
    def extensions(self) -> int:
        """Extension elements, five field elements each, at the end of every row."""

    def digests(self, key: bytes | None, kernels: Hashing) -> Words:
        """Leaf digests, words (8, B N), of row (c, i) at column c N + i: its place.

        With a key, leaves are salted (:meth:`stark.hash.suite.Suite.leaf_salt`).
        """

    def select(self, cosets: NDArray[np.int64], rows: NDArray[np.int64]) -> Words:
        """The rows (cosets[k], rows[k]) as canonical elements, (count, width)."""


class MatrixRows:
    """The concatenated rows of matrices of one height.

    Parameters
    ----------
    matrices
        Arrays (B, N, padded width) of Montgomery elements, C-contiguous, equal in B and N.
    widths
        Their widths without padding.
    extensions
        How many extension elements the concatenated rows end with.

    Raises
    ------
    UsageError
        If B or N differ, or are not powers of two.
    """

    def __init__(
        self, matrices: Sequence[Words], widths: Sequence[int], extensions: int = 0
    ) -> None:
        shapes = {matrix.shape[:2] for matrix in matrices}
        if len(shapes) != 1 or len(matrices) != len(widths):
            raise UsageError(f"matrices of one height and a width for each, got {shapes}")
        ((self.cosets, self.height),) = shapes
        _check_powers_of_two(self.cosets, self.height)
        self.width = sum(widths)
        self.extensions = extensions
        self._matrices = list(matrices)
        self._widths = list(widths)

    def digests(self, key: bytes | None, kernels: Hashing = sha256_kernels) -> Words:
        flat = [matrix.reshape(-1, matrix.shape[2]) for matrix in self._matrices]
        return kernels.leaf_digests(flat, self._widths, key, extensions=self.extensions)

    def select(self, cosets: NDArray[np.int64], rows: NDArray[np.int64]) -> Words:
        pairs = zip(self._matrices, self._widths, strict=True)
        parts = [matrix[cosets, rows, :width] for matrix, width in pairs]
        return from_montgomery(np.concatenate(parts, axis=1))


class CodewordRows:
    """A codeword over the extension, ``points`` values to a row: the tree of a FRI layer.

    Row (c, i), i < N / points, holds the values at i, i + N/points, ... of coset c: those that the
    fold maps to one value.

    Parameters
    ----------
    codeword
        Array (5, B, N) of Montgomery elements, C-contiguous.
    points
        A power of two, at most N.

    Raises
    ------
    ValueError, UsageError
        If the shape or ``points`` is not as above.
    """

    def __init__(self, codeword: Words, points: int) -> None:
        self._view = codeword_rows(codeword, points)
        self._codeword = codeword
        self._points = points
        self.cosets, self.height = self._view.shape[:2]
        _check_powers_of_two(self.cosets, self.height)
        self.width = DEGREE * points
        self.extensions = points

    def digests(self, key: bytes | None, kernels: Hashing = sha256_kernels) -> Words:
        return kernels.codeword_leaf_digests(self._codeword, self._points, key)

    def select(self, cosets: NDArray[np.int64], rows: NDArray[np.int64]) -> Words:
        return from_montgomery(self._view[cosets, rows].reshape(len(rows), self.width))


class RowsTree:
    """A commitment to rows of one or several sizes.

    Parameters
    ----------
    groups
        Rows in descending order of distinct sizes, of one number B of cosets.
    cap_height
        The commitment is the level of size 2^cap_height.
    keys
        Nothing, or for each group the key of its leaves' salts, fresh from a cryptographic
        generator: 32 bytes, or 7 elements for an algebraic suite.
    suite
        What leaves and nodes are hashed with.

    Attributes
    ----------
    shape
        What a verifier needs to know.
    cap
        The commitment: 2^cap_height digests of 32 bytes in the order of their indices.

    Raises
    ------
    UsageError
        If the groups do not fit each other.
    Rejected
        ``Shape``, for a shape that no verifier accepts.
    """

    def __init__(
        self,
        groups: Sequence[Rows],
        cap_height: int,
        keys: Sequence[bytes] | None = None,
        suite: Suite = SHA256,
    ) -> None:
        self._suite = suite
        self._kernels = hashing(suite)
        self._groups = list(groups)
        self._keys = None if keys is None else list(keys)
        if not groups or any(group.cosets != groups[0].cosets for group in groups):
            raise UsageError("a tree needs groups of rows of one number of cosets")
        if keys is not None and len(keys) != len(groups):
            raise UsageError(f"{len(groups)} groups need a key each, got {len(keys)}")
        self._cosets = groups[0].cosets
        sizes = [group.cosets * group.height for group in groups]
        logs_and_widths = (
            (size.bit_length() - 1, group.width) for size, group in zip(sizes, groups, strict=True)
        )
        extensions = tuple(group.extensions for group in groups)
        self.shape = TreeShape(
            *(tuple(logs_and_widths), keys is not None, cap_height, suite),
            extensions if any(extensions) else (),
        )

        self._levels = [self._leaves(0)]
        by_size = {size: number for number, size in enumerate(sizes)}
        while self._levels[-1].shape[1] > 1 << cap_height:
            number = by_size.get(self._levels[-1].shape[1] // 2)
            injected = None if number is None else self._leaves(number)
            self._levels.append(self._parents(self._levels[-1], injected))
        top = self._levels[-1]
        positions = self._positions(range(1 << cap_height), 1 << cap_height)
        self.cap = self._kernels.encoded_digests(top, positions)

    def open(self, indices: Sequence[int]) -> MultiOpening:
        """The rows at the indices (of the largest size; in any order) and what proves them.

        Raises ``ValueError`` for no index or one that is out of range.
        """
        rows: list[tuple[bytes, ...]] = []
        salts: list[tuple[bytes, ...]] = []
        for number, values in enumerate(group_indices(self.shape, indices)):
            group = self._groups[number]
            chosen = np.array(values, np.int64)
            cosets, places = chosen % self._cosets, chosen // self._cosets
            elements = group.select(cosets, places).astype("<u4")
            rows.append(tuple(row.tobytes() for row in elements))
            if self._keys is None:
                salts.append(())
            else:
                picked = (cosets * group.height + places).tolist()
                key = self._keys[number]
                salts.append(tuple(self._suite.leaf_salt(key, place) for place in picked))
        siblings: list[bytes] = []
        levels_and_missing = zip(self._levels, missing_siblings(self.shape, indices), strict=False)
        for level, missing in levels_and_missing:
            positions = self._positions(missing, level.shape[1])
            siblings += self._kernels.encoded_digests(level, positions)
        return MultiOpening(tuple(rows), tuple(salts), tuple(siblings))

    def _leaves(self, number: int) -> Words:
        key = None if self._keys is None else self._keys[number]
        return self._groups[number].digests(key, self._kernels)

    def _parents(self, level: Words, injected: Words | None) -> Words:
        """The level above. Runs shorter than a vector are gathered into one, filled with zeros."""
        size = level.shape[1]
        half = size // 2 if size <= self._cosets else size // self._cosets // 2
        if half >= LANES:
            return self._kernels.node_digests(level, half, injected)
        count = size // 2
        parents = np.arange(count)
        left = parents + parents // half * half
        run = -(-count // LANES) * LANES
        children = np.zeros((DIGEST_WORDS, 2 * run), np.uint32)
        children[:, :count] = level[:, left]
        children[:, run : run + count] = level[:, left + half]
        extra = None
        if injected is not None:
            extra = np.zeros((DIGEST_WORDS, run), np.uint32)
            extra[:, :count] = injected
        return self._kernels.node_digests(children, run, extra)[:, :count]

    def _positions(self, indices: Sequence[int] | range, size: int) -> list[int]:
        """Where the nodes j of a level of ``size`` stand in its array."""
        cosets = min(self._cosets, size)
        height = size // cosets
        return [j % cosets * height + j // cosets for j in indices]


class MerkleTree(RowsTree):
    """The tree of low-degree extensions of one or several heights.

    Parameters
    ----------
    matrices
        Arrays (B, N, padded width) of Montgomery elements, C-contiguous, in any order of heights;
        within a height the rows are concatenated in the order given.
    widths
        Their widths without padding.
    cap_height, keys, suite
        As for :class:`RowsTree`; one key of salts per distinct height, descending.
    """

    def __init__(
        self,
        matrices: Sequence[Words],
        widths: Sequence[int],
        cap_height: int,
        keys: Sequence[bytes] | None = None,
        suite: Suite = SHA256,
    ) -> None:
        by_height: dict[int, tuple[list[Words], list[int]]] = {}
        for matrix, width in zip(matrices, widths, strict=True):
            members, member_widths = by_height.setdefault(matrix.shape[1], ([], []))
            members.append(matrix)
            member_widths.append(width)
        groups = [MatrixRows(*by_height[height]) for height in sorted(by_height, reverse=True)]
        super().__init__(groups, cap_height, keys, suite)


class CodewordTree(RowsTree):
    """The tree of one FRI layer (see :class:`CodewordRows`); its leaves are not salted."""

    def __init__(
        self, codeword: Words, points: int, cap_height: int, suite: Suite = SHA256
    ) -> None:
        super().__init__([CodewordRows(codeword, points)], cap_height, suite=suite)


def _check_powers_of_two(cosets: int, height: int) -> None:
    for value in (cosets, height):
        if value < 1 or value & (value - 1):
            raise UsageError(f"cosets and rows must be powers of two, got {cosets} and {height}")
