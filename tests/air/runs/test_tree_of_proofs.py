"""Trees of proofs: every batch is under the root exactly once, in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.checks import check, check_equal

from air.runs.tree import NodeId, ProofTree
from stark.errors import UsageError


def batches_under(tree: ProofTree, node: NodeId) -> list[int]:
    if node.level == 0:
        return [node.number]
    return [one for child in tree.children(node) for one in batches_under(tree, child)]


@given(st.integers(2, 200))
def test_every_batch_is_joined_once_and_in_order(leaves: int) -> None:
    tree = ProofTree(leaves)
    (root,) = tree.roots
    check_equal(batches_under(tree, root), list(range(leaves)))
    check_equal(1 << tree.levels, 1 << (leaves - 1).bit_length())


@given(st.integers(2, 200))
def test_nodes_are_listed_once_and_in_order(leaves: int) -> None:
    tree = ProofTree(leaves)
    nodes = list(tree.nodes())
    check_equal(nodes, sorted(set(nodes)))
    check_equal(len(tree), len(nodes))
    check(all(node in tree for node in nodes), "all are in it")
    for node in nodes:
        for child in tree.children(node):
            check_equal(tree.parent(child), node)
    reached = {child for node in nodes for child in tree.children(node)} | set(tree.roots)
    check_equal(reached, set(nodes))
    # A right child that is there has a full left one.
    for node in nodes:
        if len(tree.children(node)) == 2:
            check_equal(len(batches_under(tree, tree.children(node)[0])), 1 << (node.level - 1))


def test_a_tree_of_five() -> None:
    tree = ProofTree(5)
    check_equal(tree.levels, 3)
    check_equal(tree.children(NodeId(0, 4)), ())
    check_equal(tree.children(NodeId(1, 2)), (NodeId(0, 4),))
    check_equal(tree.children(NodeId(2, 1)), (NodeId(1, 2),))
    check_equal(tree.children(NodeId(3, 0)), (NodeId(2, 0), NodeId(2, 1)))
    check_equal(tree.children(NodeId(4, 0)), (NodeId(3, 0),))
    check_equal(tree.roots, (NodeId(4, 0),))
    kinds = [tree.kind(NodeId(level, 0)) for level in range(5)]
    check_equal(kinds, ["batch", "join", "join", "join", "wrap"])
    names = [tree.name(node) for node in (NodeId(0, 4), NodeId(1, 2), NodeId(4, 0))]
    check_equal(names, ["batch 4", "join 2 of level 1", "wrap"])
    check_equal(len(tree), 5 + 3 + 2 + 1 + 1)


@pytest.mark.parametrize("leaves", [1, 2, 7])
def test_batches_by_themselves(leaves: int) -> None:
    tree = ProofTree(leaves, joined=False)
    check_equal(list(tree.nodes()), [NodeId(0, number) for number in range(leaves)])
    check_equal(list(tree.roots), list(tree.nodes()))
    check_equal((tree.levels, len(tree)), (0, leaves))
    check(all(tree.children(node) == () for node in tree.nodes()), "nothing below")
    check(all(tree.parent(node) is None for node in tree.nodes()), "nothing above")


@pytest.mark.parametrize(
    "node", [NodeId(0, 5), NodeId(0, -1), NodeId(-1, 0), NodeId(1, 3), NodeId(4, 1), NodeId(5, 0)]
)
def test_what_is_no_place(node: NodeId) -> None:
    check(node not in ProofTree(5), str(node))
    check((0, 1) not in ProofTree(5), "a pair")


@pytest.mark.parametrize(("leaves", "joined"), [(1, True), (0, True), (0, False), (-1, False)])
def test_trees_that_do_not_exist(leaves: int, joined: bool) -> None:
    with pytest.raises(UsageError):
        ProofTree(leaves, joined)
