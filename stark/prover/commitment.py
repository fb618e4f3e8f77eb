"""Columns of all tables on their evaluation domains, and the Merkle tree over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stark.merkle.tree import MerkleTree
from stark.prover.extension import ExtendedColumns, extend, extend_masked
from stark.prover.masks import Masks
from stark.soundness.parameters import ProtocolParameters
from stark.system import Table
from stark.verifier.layout import Tree, cells, mask_cells, tree_shape


class Commitment:
    """The columns of all tables in one tree.

    Attributes
    ----------
    columns
        Extended columns per table, ``None`` for a table without columns here.
    codeword_masks
        By log2 height, the polynomials that hide the DEEP codewords; in the main tree alone.
    tree
        ``None`` if no table has columns here.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        tree: Tree,
        columns: Sequence[ExtendedColumns | None],
        parameters: ProtocolParameters,
        masks: Masks | None = None,
    ) -> None:
        self.columns = list(columns)
        self.codeword_masks: dict[int, ExtendedColumns] = {}
        if masks is not None and mask_cells(tree, parameters.zk):
            self.codeword_masks = _codeword_masks(tables, masks, parameters)
        self.tree: MerkleTree | None = None
        shape = tree_shape(
            tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk
        )
        if shape is not None:
            matrices, widths = self._joint_rows(tables, tree)
            salts = None
            if masks is not None and shape.salted:
                salts = [
                    masks.salts(f"{tree.label} {log_size}", 1 << log_size)
                    for log_size, _ in shape.groups
                ]
            self.tree = MerkleTree(matrices, widths, shape.cap_height, salts)

    @property
    def cap(self) -> list[bytes]:
        return [] if self.tree is None else self.tree.cap

    def _joint_rows(
        self, tables: Sequence[Table], tree: Tree
    ) -> tuple[list[NDArray[np.uint32]], list[int]]:
        """Matrices in the order of a joint row: the tables', then the mask of their height."""
        matrices, widths = [], []
        for table, one in zip(tables, self.columns, strict=True):
            if one is not None:
                matrices.append(one.values)
                widths.append(cells(table, tree))
        for mask in self.codeword_masks.values():
            matrices.append(mask.values)
            widths.append(mask_cells(tree, True))
        return matrices, widths


def commit(
    tables: Sequence[Table],
    tree: Tree,
    matrices: Sequence[NDArray[np.uint32] | None],
    parameters: ProtocolParameters,
    masks: Masks | None = None,
) -> Commitment:
    """Mask, extend and commit values on the trace domains, one matrix (or ``None``) per table."""
    columns = [
        None
        if matrix is None
        else extend_masked(
            matrix,
            None if masks is None else masks.columns(table, tree, matrix.shape[1]),
            parameters.log_blowup,
        )
        for table, matrix in zip(tables, matrices, strict=True)
    ]
    return Commitment(tables, tree, columns, parameters, masks)


def _codeword_masks(
    tables: Sequence[Table], masks: Masks, parameters: ProtocolParameters
) -> dict[int, ExtendedColumns]:
    """A random codeword for each height."""
    result = {}
    for log_height in sorted({table.log_height for table in tables}, reverse=True):
        low, high = masks.codeword(log_height)
        result[log_height] = extend(low, high, parameters.log_blowup)
    return result
