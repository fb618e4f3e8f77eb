"""Columns of all tables as polynomials, and the Merkle tree over their evaluations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stark.field.memory import aligned_empty
from stark.hash import sha256_kernels
from stark.hash.hashing import Hashing
from stark.hash.suite import SUITES
from stark.merkle.tree import RowsTree
from stark.prover.masks import Masks
from stark.prover.polynomials import Polynomials, interpolated
from stark.soundness.parameters import ProtocolParameters
from stark.system import Table
from stark.verifier.layout import Tree, cells, mask_cells, tree_shape

Words = NDArray[np.uint32]


class PolynomialRows:
    """Joint rows of polynomials of one height, evaluated coset by coset while they are hashed.

    Parameters
    ----------
    polynomials
        Of one height and blowup.
    widths
        How many columns of each are meant.
    extensions
        How many extension elements the joint rows end with.
    """

    def __init__(
        self, polynomials: Sequence[Polynomials], widths: Sequence[int], extensions: int = 0
    ) -> None:
        self.cosets = 1 << polynomials[0].log_blowup
        self.height = 1 << polynomials[0].log_height
        self.width = sum(widths)
        self.extensions = extensions
        self._polynomials = list(polynomials)
        self._widths = list(widths)

    def digests(self, key: bytes | None, kernels: Hashing = sha256_kernels) -> Words:
        """Leaf digests, words (8, B N), of row (c, i) at column c N + i."""
        digests = aligned_empty((8, self.cosets * self.height))
        scratch = [aligned_empty(one.coefficients.shape) for one in self._polynomials]
        for coset in range(self.cosets):
            pairs = zip(self._polynomials, scratch, strict=True)
            values = [one.coset(coset, buffer) for one, buffer in pairs]
            offset = coset * self.height
            kernels.leaf_digests(values, self._widths, key, digests, offset, self.extensions)
        return digests

    def select(self, cosets: NDArray[np.int64], rows: NDArray[np.int64]) -> Words:
        """The rows (cosets[k], rows[k]) as canonical elements, (count, width)."""
        pairs = zip(self._polynomials, self._widths, strict=True)
        parts = [one.rows(cosets, rows)[:, :width] for one, width in pairs]
        return np.concatenate(parts, axis=1)


class Commitment:
    """The columns of all tables in one tree.

    Attributes
    ----------
    columns
        Polynomials per table, ``None`` for a table without columns here.
    codeword_masks
        By log2 height, the polynomials that hide the DEEP codewords; in the main tree alone.
    tree
        ``None`` if no table has columns here.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        tree: Tree,
        columns: Sequence[Polynomials | None],
        parameters: ProtocolParameters,
        masks: Masks | None = None,
    ) -> None:
        self.columns = list(columns)
        self.codeword_masks: dict[int, Polynomials] = {}
        if masks is not None and mask_cells(tree, parameters.zk):
            self.codeword_masks = _codeword_masks(tables, masks, parameters)
        self.tree: RowsTree | None = None
        suite = SUITES[parameters.hash_suite]
        shape = tree_shape(
            tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk, suite
        )
        if shape is None:
            return
        keys = None
        if masks is not None and shape.salted:
            keys = [masks.salt_key(f"{tree.label} {log_size}") for log_size, _ in shape.groups]
        groups = [
            self._joint_rows(
                *(tables, tree, log_size - parameters.log_blowup), shape.extensions_of(number)
            )
            for number, (log_size, _) in enumerate(shape.groups)
        ]
        self.tree = RowsTree(groups, shape.cap_height, keys, suite)

    @property
    def cap(self) -> list[bytes]:
        return [] if self.tree is None else self.tree.cap

    def _joint_rows(
        self, tables: Sequence[Table], tree: Tree, log_height: int, extensions: int
    ) -> PolynomialRows:
        """The rows of the tables of one height, in their order, then the mask of that height."""
        parts = [
            (one, cells(table, tree))
            for table, one in zip(tables, self.columns, strict=True)
            if one is not None and table.log_height == log_height
        ]
        if log_height in self.codeword_masks:
            parts.append((self.codeword_masks[log_height], mask_cells(tree, True)))
        return PolynomialRows([one for one, _ in parts], [width for _, width in parts], extensions)


def commit(
    tables: Sequence[Table],
    tree: Tree,
    matrices: Sequence[Words | None],
    parameters: ProtocolParameters,
    masks: Masks | None = None,
    *,
    keep_values: bool = True,
    keep_cosets: bool = False,
) -> Commitment:
    """Mask, interpolate and commit values on the trace domains, one matrix or ``None`` per table.

    Parameters
    ----------
    keep_values
        If not, matrices are overwritten with coefficients.
    keep_cosets
        Whether the cosets that quotients are made from stay in memory, once they are evaluated.
    """
    columns = [
        None
        if matrix is None
        else interpolated(
            matrix,
            None if masks is None else masks.columns(table, tree, matrix.shape[1]),
            parameters.log_blowup,
            keep=keep_values,
        )
        for table, matrix in zip(tables, matrices, strict=True)
    ]
    if keep_cosets:
        for table, one in zip(tables, columns, strict=True):
            if one is not None:
                one.keep(table.whole_chunks)
    return Commitment(tables, tree, columns, parameters, masks)


def _codeword_masks(
    tables: Sequence[Table], masks: Masks, parameters: ProtocolParameters
) -> dict[int, Polynomials]:
    """A random codeword for each height."""
    heights = sorted({table.log_height for table in tables}, reverse=True)
    return {
        log_height: Polynomials(*masks.codeword(log_height), parameters.log_blowup)
        for log_height in heights
    }
