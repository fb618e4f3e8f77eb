"""The tree table: the account tree, one compression per inner node.

Row r is the node with the number r + 1, in the numbering where node i has the children 2 i and
2 i + 1: row 0 is the root, the leaves are numbered from the number of slots on and come from the
chain table. Numbers are fixed, never witnessed: a cycle or a deeper subtree cannot be expressed.
The rows after the last node are idle.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from air.encoding import HASH
from air.shape import Shape
from air.tables.buses import NODE
from stark.constraints.air import Air, AirBuilder
from stark.gadgets.poseidon import poseidon_permutation


class TreeAir(Air):
    """See the module."""

    name = "tree"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.log_tree_rows)
        self.shape = shape

    def eval(self, t: AirBuilder) -> None:
        number = t.preprocessed("number")
        is_node = t.preprocessed("is node")
        permutation = poseidon_permutation(t, HASH)
        left, right = permutation.inputs[:8], permutation.inputs[8:]
        compressed = permutation.compressed
        root = t.public_array("root", 8)

        t.first_row("the root", *(compressed[j] - root[j] for j in range(8)))
        t.send(
            NODE,
            [number, *compressed],
            count=is_node - t.is_first_row,
            label="a node to its parent",
        )
        t.receive(NODE, [2 * number, *left], count=is_node, label="the left child")
        t.receive(NODE, [2 * number + 1, *right], count=is_node, label="the right child")

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        nodes = self.shape.slots - 1
        idle = array("I", [0]) * ((1 << self.log_height) - nodes)
        return {
            "number": array("I", range(1, nodes + 1)) + idle,
            "is node": array("I", [1]) * nodes + idle,
        }
