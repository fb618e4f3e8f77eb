"""What the hash kernels of all suites share: how rows lie in memory, and arrays of digests.

Digests are arrays (8, n) of uint32: word w of digest k is ``digests[w, k]``. What a word is, is the
suite's: four bytes of SHA-256, or a field element in Montgomery form. Stored word by word, 16
neighbouring digests load as vectors.

Rows of leaves come from several *sources*: source s has ``widths[s]`` elements per row, at
``addresses[s] + row * strides[s]``. A stride of four bytes means a single column, whose elements
are already neighbours. A row may end with extension elements, of five elements each: algebraic
suites hash them in blocks of their own (docs/suites.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stark.field.extension import DEGREE
from stark.field.memory import LANES, aligned_empty, padded_width

Words = NDArray[np.uint32]

DIGEST_WORDS = 8
NO_DIGESTS = np.empty((DIGEST_WORDS, 0), np.uint32)


@dataclass(frozen=True)
class Sources:
    """Where the elements of the rows are, for kernels; the caller keeps the arrays alive."""

    addresses: NDArray[np.uint64]
    strides: NDArray[np.uint64]
    widths: NDArray[np.int64]
    extensions: int = 0
    """Extension elements at the end of each row, of five of its elements each."""

    @property
    def width(self) -> int:
        """Elements per row."""
        return int(self.widths.sum())


class RowHasher(Protocol):
    """Hashes the first ``rows`` rows, a multiple of 16, of some sources into columns of ``out``.

    The digest of row r goes to column ``column`` + r, and its leaf is at ``place`` + r of its tree.
    """

    def __call__(
        self, sources: Sources, out: Words, column: int, place: int, rows: int, /
    ) -> None: ...


def hash_matrices(
    hasher: RowHasher,
    matrices: Sequence[Words],
    widths: Sequence[int],
    out: Words | None,
    offset: int,
    extensions: int = 0,
) -> Words:
    """Digests of the concatenated rows of matrices; see ``sha256_kernels.leaf_digests``."""
    if not matrices or len(matrices) != len(widths):
        raise ValueError("at least one matrix, and a width for each, are needed")
    rows = matrices[0].shape[0]
    for matrix, width in zip(matrices, widths, strict=True):
        _check_matrix(matrix, rows, width)
    if not 0 <= DEGREE * extensions <= sum(widths):
        raise ValueError(f"{extensions} extension elements in rows of {sum(widths)}")
    result = aligned_empty((DIGEST_WORDS, offset + rows)) if out is None else out
    if result.dtype != np.uint32 or not result.flags.carray or result.shape[0] != DIGEST_WORDS:
        raise ValueError("out must be a contiguous (8, m) uint32 array")
    if not 0 <= offset <= result.shape[1] - rows:
        raise ValueError(f"{rows} digests from {offset} on do not fit {result.shape[1]}")
    whole = rows - rows % LANES
    if whole:
        sources = _sources(matrices, widths, extensions)
        hasher(sources, result, offset, offset, whole)
    if whole < rows:
        tails = [_last_rows(matrix, whole) for matrix in matrices]
        last = np.empty((DIGEST_WORDS, LANES), np.uint32)
        hasher(_sources(tails, widths, extensions), last, 0, offset + whole, LANES)
        result[:, offset + whole : offset + rows] = last[:, : rows - whole]
    return result


def _check_matrix(matrix: Words, rows: int, width: int) -> None:
    if matrix.ndim != 2 or matrix.dtype != np.uint32 or not matrix.flags.c_contiguous:
        raise ValueError("matrices must be contiguous two-dimensional uint32 arrays")
    if matrix.shape[0] != rows or matrix.shape[1] % LANES:
        raise ValueError(f"matrices must have {rows} rows and a multiple of {LANES} columns")
    if not 0 < width <= matrix.shape[1]:
        raise ValueError(f"a width must be in 1 ... {matrix.shape[1]}, got {width}")


def _last_rows(array: Words, start: int) -> Words:
    """A copy of the rows from ``start`` on, extended with zeros to 16."""
    tail = np.zeros((LANES, array.shape[1]), np.uint32)
    tail[: array.shape[0] - start] = array[start:]
    return tail


def _sources(matrices: Sequence[Words], widths: Sequence[int], extensions: int) -> Sources:
    return Sources(
        np.array([matrix.ctypes.data for matrix in matrices], np.uint64),
        np.array([matrix.strides[0] for matrix in matrices], np.uint64),
        np.array(widths, np.int64),
        extensions,
    )


def hash_codeword(hasher: RowHasher, codeword: Words, points: int) -> Words:
    """Digests of a codeword's leaves; see ``sha256_kernels.codeword_leaf_digests``."""
    rows = codeword_rows(codeword, points)
    degree, cosets, length = codeword.shape
    height = length // points
    if height < LANES:
        matrix = np.zeros((cosets * height, padded_width(degree * points)), np.uint32)
        matrix[:, : degree * points] = rows.reshape(cosets * height, degree * points)
        return hash_matrices(hasher, [matrix], [degree * points], None, 0, points)
    out = aligned_empty((DIGEST_WORDS, cosets * height))
    # Column t * 5 + e of the leaves of a coset is a run of coefficient e: no transposition.
    starts = [4 * (e * cosets * length + t * height) for t in range(points) for e in range(degree)]
    strides = np.full(len(starts), 4, np.uint64)
    widths = np.ones(len(starts), np.int64)
    for coset in range(cosets):
        base = codeword.ctypes.data + 4 * coset * length
        addresses = np.array([base + start for start in starts], np.uint64)
        offset = coset * height
        hasher(Sources(addresses, strides, widths, points), out, offset, offset, height)
    return out


def codeword_rows(codeword: Words, points: int) -> Words:
    """The leaves of a codeword (5, B, N) as a view (B, N/k, k, 5) of it, k being ``points``.

    Raises ``ValueError`` if a shape, dtype or layout is another.
    """
    if codeword.ndim != 3 or codeword.dtype != np.uint32 or not codeword.flags.c_contiguous:
        raise ValueError("a codeword must be a contiguous (5, B, N) uint32 array")
    degree, cosets, length = codeword.shape
    if degree != DEGREE or points < 1 or points & (points - 1) or length % points:
        raise ValueError(f"{points} points of a codeword of shape {codeword.shape} make no leaf")
    return codeword.reshape(degree, cosets, points, length // points).transpose(1, 3, 2, 0)


def checked_nodes(children: Words, half: int, injected: Words | None) -> tuple[int, Words]:
    """The number of parents, and the injected digests or none of them, as an array.

    ``ValueError`` if a shape, dtype or layout is not that of ``sha256_kernels.node_digests``.
    """
    parents = children.shape[1] // 2
    if half < LANES or half % LANES or parents % half or children.shape[1] % 2:
        raise ValueError(f"runs must be multiples of {LANES} that divide the level, got {half}")
    extra = NO_DIGESTS if injected is None else injected
    for array in (children, extra):
        if array.dtype != np.uint32 or not array.flags.c_contiguous or array.shape[0] != 8:
            raise ValueError("digests must be contiguous (8, n) uint32 arrays")
    if injected is not None and injected.shape[1] != parents:
        raise ValueError(f"{parents} injected digests are needed, got {injected.shape[1]}")
    return parents, extra
