"""What of a tree's rows is extension elements (docs/suites.md, section 2)."""

from __future__ import annotations

import pytest
from support.checks import check_equal
from support.systems import products

from stark.hash.suite import POSEIDON1_SUITE, SHA256, Suite
from stark.merkle.multiproof import TreeShape
from stark.system import System
from stark.verifier.layout import Tree, tree_shape

TABLES = [table.air for table in products(4, 4).system.tables]
"""Heights 16, twice, and 256."""


def shape_of(tree: Tree, zk: bool, suite: Suite) -> TreeShape:
    shape = tree_shape(System(TABLES, zk).tables, tree, 2, 0, zk, suite)
    if shape is None:
        raise ValueError("every tree has columns here")
    return shape


@pytest.mark.parametrize("suite", [SHA256, POSEIDON1_SUITE], ids=lambda suite: suite.name)
@pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
def test_masks_and_columns_over_the_extension(zk: bool, suite: Suite) -> None:
    check_equal(shape_of(Tree.PREPROCESSED, zk, suite).extensions, ())
    check_equal(shape_of(Tree.MAIN, zk, suite).extensions, (1, 1) if zk else ())
    for tree in (Tree.AUXILIARY, Tree.QUOTIENT):
        shape = shape_of(tree, zk, suite)
        check_equal([width for _, width in shape.groups], [5 * e for e in shape.extensions])
