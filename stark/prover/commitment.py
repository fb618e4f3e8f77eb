"""Low-degree extensions of the tables and the Merkle trees over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stark.constraints.system import Table
from stark.field.ntt import low_degree_extend
from stark.merkle.tree import MerkleTree
from stark.soundness.parameters import ProtocolParameters
from stark.verifier.layout import Tree, cells, tree_shape

Extension = NDArray[np.uint32]
"""(blowup, rows, padded width), Montgomery form; see :mod:`stark.field.ntt`."""


class Commitment:
    """The columns of all tables in one tree.

    Attributes
    ----------
    extensions
        Low-degree extension per table, ``None`` for a table without columns here.
    tree
        ``None`` if no table has columns here.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        tree: Tree,
        extensions: Sequence[Extension | None],
        parameters: ProtocolParameters,
    ) -> None:
        self.extensions = list(extensions)
        present = [
            (extension, cells(table, tree))
            for table, extension in zip(tables, extensions, strict=True)
            if extension is not None
        ]
        self.tree: MerkleTree | None = None
        shape = tree_shape(
            tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk
        )
        if shape is not None:
            matrices, widths = zip(*present, strict=True)
            self.tree = MerkleTree(matrices, widths, shape.cap_height)

    @property
    def cap(self) -> list[bytes]:
        return [] if self.tree is None else self.tree.cap


def commit(
    tables: Sequence[Table],
    tree: Tree,
    matrices: Sequence[NDArray[np.uint32] | None],
    parameters: ProtocolParameters,
) -> Commitment:
    """Extend and commit matrices of values on the trace domains, one (or ``None``) per table."""
    extensions = [
        None if matrix is None else low_degree_extend(matrix, parameters.log_blowup)[0]
        for matrix in matrices
    ]
    return Commitment(tables, tree, extensions, parameters)
