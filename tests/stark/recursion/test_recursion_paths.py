"""Paths of single queries: each, hashed from its leaf by the suite's scalars, ends in the cap."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import P
from stark.hash.sha256 import encode_elements
from stark.hash.suite import POSEIDON1_SUITE, POSEIDON2_SUITE, SHA256, PoseidonSuite
from stark.merkle.multiproof import (
    MultiOpening,
    TreeShape,
    group_indices,
    missing_siblings,
    verify_opening,
)
from stark.recursion.paths import expanded_paths

Levels = dict[int, list[bytes]]


class ScalarTree:
    """All digests of a tree, from random rows."""

    def __init__(self, shape: TreeShape, seed: int) -> None:
        generator = random.Random(seed)
        suite = shape.suite

        def elements(count: int) -> bytes:
            return encode_elements(
                [generator.choice((0, P - 1, generator.randrange(P))) for _ in range(count)]
            )

        self.shape = shape
        self.rows = [[elements(width) for _ in range(1 << log)] for log, width in shape.groups]
        self.salts = [
            [
                encode_elements([generator.randrange(P) for _ in range(8)]) if shape.salted else b""
                for _ in range(1 << log)
            ]
            for log, _ in shape.groups
        ]
        leaves = {
            log: [
                suite.leaf_digest(row, salt, shape.extensions_of(group))
                for row, salt in zip(self.rows[group], self.salts[group], strict=True)
            ]
            for group, (log, _) in enumerate(shape.groups)
        }
        nodes = leaves[shape.log_size]
        self.levels: Levels = {shape.log_size: nodes}
        for log in range(shape.log_size - 1, shape.cap_height - 1, -1):
            pairs = zip(nodes[: 1 << log], nodes[1 << log :], strict=True)
            if log in leaves:
                nodes = [
                    suite.injected_node_digest(left, right, leaf)
                    for (left, right), leaf in zip(pairs, leaves[log], strict=True)
                ]
            else:
                nodes = [suite.node_digest(left, right) for left, right in pairs]
            self.levels[log] = nodes

    def open(self, indices: list[int]) -> MultiOpening:
        opened = group_indices(self.shape, indices)
        missing = missing_siblings(self.shape, indices)
        logs = range(self.shape.log_size, self.shape.cap_height, -1)
        return MultiOpening(
            tuple(tuple(rows[j] for j in js) for rows, js in zip(self.rows, opened, strict=True)),
            tuple(
                tuple(salts[j] for j in js) if self.shape.salted else ()
                for salts, js in zip(self.salts, opened, strict=True)
            ),
            tuple(self.levels[log][j] for log, js in zip(logs, missing, strict=True) for j in js),
        )


@st.composite
def cases(draw: st.DrawFn) -> tuple[TreeShape, list[int]]:
    logs = sorted(draw(st.sets(st.integers(0, 5), min_size=1, max_size=3)), reverse=True)
    groups = tuple((log, draw(st.integers(1, 23))) for log in logs)
    shape = TreeShape(
        groups,
        draw(st.booleans()),
        draw(st.integers(0, logs[-1])),
        draw(st.sampled_from([POSEIDON1_SUITE, POSEIDON2_SUITE])),
        tuple(draw(st.integers(0, width // 5)) for _, width in groups),
    )
    indices = draw(st.lists(st.integers(0, (1 << logs[0]) - 1), min_size=1, max_size=9))
    return shape, indices


def encoded(values: np.ndarray) -> bytes:
    return encode_elements([int(value) for value in values])


@settings(max_examples=40, deadline=None)
@given(cases())
def test_each_path_leads_from_its_leaf_to_the_cap(case: tuple[TreeShape, list[int]]) -> None:
    shape, indices = case
    tree = ScalarTree(shape, 1)
    opening = tree.open(indices)
    cap = tree.levels[shape.cap_height]
    verify_opening(
        cap, shape, indices, opening.rows, opening.salts, opening.siblings, "the test's tree"
    )
    paths = expanded_paths(opening, shape, indices)
    suite = shape.suite
    assert isinstance(suite, PoseidonSuite)
    for query, index in enumerate(indices):
        leaves = {}
        for group, (log, _) in enumerate(shape.groups):
            salts = paths.salts[group]
            salt = b"" if salts is None else encoded(salts[query])
            row = encoded(paths.rows[group][query])
            assert row == tree.rows[group][index % (1 << log)]
            leaves[log] = suite.leaf_digest(row, salt, shape.extensions_of(group))
        digest = leaves[shape.log_size]
        for step, log in enumerate(range(shape.log_size - 1, shape.cap_height - 1, -1)):
            sibling = encoded(paths.siblings[query, step])
            pair = (sibling, digest) if index >> log & 1 else (digest, sibling)
            if log in leaves:
                digest = suite.injected_node_digest(*pair, leaves[log])
            else:
                digest = suite.node_digest(*pair)
        assert digest == cap[index % (1 << shape.cap_height)]


SHAPE = TreeShape(((3, 7), (1, 5)), True, 0, POSEIDON1_SUITE, (1, 0))
INDICES = [6, 1, 6]


def test_malformed_openings_are_refused() -> None:
    opening = ScalarTree(SHAPE, 2).open(INDICES)
    for changed in (
        replace(opening, siblings=opening.siblings[:-1]),
        replace(opening, siblings=(b"", *opening.siblings[1:])),
        replace(opening, rows=opening.rows[:1]),
        replace(opening, rows=((opening.rows[0][0],), opening.rows[1])),
        replace(opening, rows=((b"\0" * 24, opening.rows[0][1]), opening.rows[1])),
        replace(opening, salts=((), opening.salts[1])),
    ):
        with pytest.raises(Rejected) as caught:
            expanded_paths(changed, SHAPE, INDICES)
        assert caught.value.code is Code.MERKLE


def test_other_suites_and_indices_are_refused() -> None:
    opening = ScalarTree(SHAPE, 2).open(INDICES)
    with pytest.raises(UsageError, match="sha256"):
        expanded_paths(opening, TreeShape(SHAPE.groups, True, 0, SHA256), INDICES)
    with pytest.raises(ValueError, match="indices"):
        expanded_paths(opening, SHAPE, [8])
