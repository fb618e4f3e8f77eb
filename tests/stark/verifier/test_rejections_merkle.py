"""Group F of ``tests/vectors/negative_tests.json``: openings of the trees of real proofs.

A file's openings have no lengths, counts or indices: what follows from the queries is read, and no
more. So each forgery is made twice where it can be: in the file, and as rows, salts and siblings of
other numbers and sizes given to :func:`verify_opening`, the check that the verifier runs on them.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from support.cheating import Case, LyingInOpenings, case, configured, products_case
from support.checks import check, check_equal
from support.mutations import OpenedTree, ProofMap, flipped, next_element, overwritten
from support.systems import fibonacci, parameters

from stark.errors import Code, Rejected
from stark.hash.sha256 import LEAF_TAG, NODE_TAG, leaf_digest, node_digest
from stark.merkle.multiproof import MultiOpening, TreeShape, missing_siblings, verify_opening

TREES = ["preprocessed", "main", "auxiliary", "quotient", "fri 0", "fri 1", "fri 2"]


NOTHING = MultiOpening((), (), ())


def mapped(one: Case) -> ProofMap:
    return ProofMap(one.key.verification, one.honest(), one.publics, one.context)


def expect(one: Case, proof: bytes, tree: str, *codes: Code) -> None:
    """Refused with one of the codes (Merkle by default), by the check of this tree."""
    rejection = one.rejection(proof)
    check(rejection.code in (codes or (Code.MERKLE,)), f"{rejection}")
    if rejection.code is Code.MERKLE:
        name = tree.replace("fri", "fri layer") if tree.startswith("fri") else f"{tree} tree"
        check(name in rejection.check, f"{name}: {rejection}")


def verified(tree: OpenedTree, opening: MultiOpening, shape: TreeShape | None = None) -> None:
    parts = (opening.rows, opening.salts, opening.siblings)
    verify_opening(tree.cap, shape or tree.shape, tree.indices, *parts, tree.name)


def refused(
    tree: OpenedTree,
    opening: MultiOpening,
    code: Code = Code.MERKLE,
    shape: TreeShape | None = None,
) -> None:
    with pytest.raises(Rejected) as caught:
        verified(tree, opening, shape)
    check_equal(caught.value.code, code, tree.name)


def with_rows(opening: MultiOpening, group: int, rows: tuple[bytes, ...]) -> MultiOpening:
    groups = list(opening.rows)
    groups[group] = rows
    return replace(opening, rows=tuple(groups))


def test_the_openings_of_the_map_are_the_verifiers() -> None:
    trees = mapped(products_case()).trees
    check_equal(list(trees), TREES)
    for tree in trees.values():
        verified(tree, tree.opening)
    check_equal([len(trees[name].shape.groups) for name in TREES], [2, 3, 3, 3, 1, 1, 1])


@pytest.mark.parametrize("name", TREES)
def test_f1_a_leaf_value_altered(name: str) -> None:
    one = products_case()
    tree = mapped(one).trees[name]
    for group, rows in enumerate(tree.opening.rows):
        for place in (0, len(rows) - 1):
            start, size = tree.row(group, place)
            for position in (start, start + size - 4):
                expect(one, next_element(one.honest(), position), name)


@pytest.mark.parametrize("name", TREES)
def test_f2_a_sibling_altered(name: str) -> None:
    one = products_case()
    tree = mapped(one).trees[name]
    for start in tree.siblings:
        for position in (start, start + 31):
            expect(one, flipped(one.honest(), position), name)


@pytest.mark.parametrize("name", TREES)
def test_a_root_altered_in_the_key_or_by_the_prover(name: str) -> None:
    # The commitment is bound before the challenges: change it, and all that follows is another
    # transcript. A prover who sends another root than that of its tree gets as far as the opening.
    # A digest of a cap under which no query falls is never looked at: 64 queries fall under all.
    one = case(products_case().example, parameters(queries=64))

    def send(self, label, digests):  # type: ignore[no-untyped-def]
        forged = list(digests)
        if label in (f"{name} commitment", name):
            # All of a cap: the few queries of these parameters do not meet every part of a tree.
            forged = [hashlib.sha256(digest).digest() for digest in forged]
        return type(self).send_digests(self, label, forged)

    if name == "preprocessed":
        key = one.key.verification
        other = replace(key, preprocessed_cap=(hashlib.sha256(key.preprocessed_cap[0]).digest(),))
        own = replace(one, key=replace(one.key, verification=other), memory={})
        expect(own, own.prove(), name)
        return

    class Sending(LyingInOpenings):
        def run(self, traces):  # type: ignore[no-untyped-def]
            transcript = self.transcript
            transcript.send_digests = send.__get__(transcript)  # type: ignore[method-assign]
            return super().run(traces)

    expect(one, one.prove(Sending), name)


@pytest.mark.parametrize("name", TREES)
def test_f4_h3_other_leaves_than_those_asked_for(name: str) -> None:
    # The true rows and siblings of the indices q ^ 1, which have as many, where q is asked for.
    one = products_case()
    lying = configured(LyingInOpenings, trees=frozenset({name}))
    proof = one.prove(lying)
    check_equal(len(proof), len(one.honest()))
    expect(one, proof, name)


@pytest.mark.parametrize("name", TREES)
def test_f4_rows_exchanged_between_indices(name: str) -> None:
    one = products_case()
    tree = mapped(one).trees[name]
    for group, rows in enumerate(tree.opening.rows):
        other = next((k for k, row in enumerate(rows) if row != rows[0]), None)
        if other is None:
            continue
        first, _ = tree.row(group, 0)
        second, _ = tree.row(group, other)
        proof = overwritten(one.honest(), first, rows[other])
        expect(one, overwritten(proof, second, rows[0]), name)


@pytest.mark.parametrize("name", TREES)
def test_f5_rows_of_other_lengths_with_the_same_concatenation(name: str) -> None:
    # In the file rows have no boundaries that could move; given as such, they are measured.
    tree = mapped(products_case()).trees[name]
    opening = tree.opening
    first, second, *rest = opening.rows[0]
    refused(tree, with_rows(opening, 0, (first + second[:4], second[4:], *rest)))
    refused(tree, with_rows(opening, 0, (first[:-1], first[-1:] + second, *rest)))
    refused(tree, with_rows(opening, 0, (first + second, b"", *rest)))


@pytest.mark.parametrize("name", TREES)
def test_f5_f8_an_element_more_or_less_in_the_file(name: str) -> None:
    one = products_case()
    tree = mapped(one).trees[name]
    start, size = tree.row(0, 0)
    proof = one.honest()
    codes = (Code.MERKLE, Code.CANONICAL, Code.FORMAT)
    expect(one, proof[: start + size] + bytes(4) + proof[start + size :], name, *codes)
    expect(one, proof[: start + size - 4] + proof[start + size :], name, *codes)


@pytest.mark.parametrize("name", TREES)
def test_f6_an_inner_node_presented_as_a_leaf(name: str) -> None:
    # The tree cut off above its leaves: the two children's digests as the row of their parent.
    tree = mapped(products_case()).trees[name]
    shape = tree.shape
    first = tree.indices[0]
    leaves = dict(
        zip(sorted(set(tree.indices)), map(leaf_digest, tree.opening.rows[0]), strict=True)
    )
    level = missing_siblings(shape, tree.indices)[0]
    leaves.update(zip(level, tree.opening.siblings, strict=False))
    half = 1 << (shape.log_size - 1)
    children = leaves[first] + leaves[first ^ half]
    # A leaf whose row is those 64 bytes is not the node, as their tags differ.
    check(leaf_digest(children) != node_digest(children[:32], children[32:]), "tags")
    cut = TreeShape(((shape.log_size - 1, 16), *shape.groups[1:]), False, shape.cap_height)
    if len(shape.groups) > 1 and shape.groups[1][0] >= shape.log_size - 1:
        return
    rows = []
    for index in sorted({index % half for index in tree.indices}):
        rows.append(leaves.get(index, bytes(32)) + leaves.get(index + half, bytes(32)))
    below = len(level)
    forged = MultiOpening(
        (tuple(rows), *tree.opening.rows[1:]), tree.opening.salts, tree.opening.siblings[below:]
    )
    inside = replace(tree, indices=tuple(index % half for index in tree.indices))
    refused(inside, forged, shape=cut)


@pytest.mark.parametrize("name", TREES)
def test_f7_a_leaf_presented_as_a_node(name: str) -> None:
    # Row and sibling exchanged for their parents', one level up: the row must hash as a leaf.
    tree = mapped(products_case()).trees[name]
    row = tree.opening.rows[0][0]
    check(leaf_digest(row) != hashlib.sha256(NODE_TAG + row).digest(), "tags")
    check_equal(leaf_digest(row), hashlib.sha256(LEAF_TAG + row).digest())
    siblings = (leaf_digest(row), *tree.opening.siblings[1:])
    refused(tree, replace(tree.opening, siblings=siblings))


@pytest.mark.parametrize("name", TREES)
def test_f8_a_zero_padded_row(name: str) -> None:
    tree = mapped(products_case()).trees[name]
    for group, rows in enumerate(tree.opening.rows):
        padded = tuple(row + bytes(4) for row in rows)
        refused(tree, with_rows(tree.opening, group, padded))
        groups = list(tree.shape.groups)
        groups[group] = (groups[group][0], groups[group][1] + 1)
        wider = replace(tree.shape, groups=tuple(groups))
        refused(tree, with_rows(tree.opening, group, padded), shape=wider)


@pytest.mark.parametrize("filling", [bytes(4), b"\0"])
def test_f8_a_tree_committed_over_padded_rows(filling: bytes) -> None:
    # Its digests fit the longer rows; the width is the verifier's.
    rows = tuple(bytes([n]) * 8 + filling for n in range(2))
    cap = tuple(map(leaf_digest, rows))
    tree = OpenedTree("padded", 0, 0, TreeShape(((1, 2),), False, 1), (0, 1), cap, NOTHING)
    refused(tree, MultiOpening((rows,), ((),), ()))
    short = tuple(row[:8] for row in rows)
    own = replace(tree, cap=tuple(map(leaf_digest, short)))
    verified(own, MultiOpening((short,), ((),), ()))


@pytest.mark.parametrize("name", TREES)
def test_f10_siblings_missing_superfluous_doubled_or_out_of_order(name: str) -> None:
    one = products_case()
    tree = mapped(one).trees[name]
    own = tree.opening.siblings
    check(len(own) > 2, "several siblings")
    first = tree.siblings[0]
    proof = one.honest()
    forgeries = [
        own[1:],
        own[:-1],
        (*own, own[-1]),
        (own[0], *own),
        (*own, bytes(32)),
        (own[0], own[0], *own[2:]),
        (own[1], own[0], *own[2:]),
        own[::-1],
    ]
    for siblings in forgeries:
        refused(tree, replace(tree.opening, siblings=siblings))
        forged = proof[:first] + b"".join(siblings) + proof[tree.end :]
        codes = (Code.MERKLE, Code.CANONICAL, Code.FORMAT)
        if len(siblings) == len(own):
            codes = (Code.MERKLE,)
        rejection = one.rejection(forged)
        check(rejection.code in codes, f"{rejection}")


def test_f11_one_index_queried_twice_with_different_values() -> None:
    # 100 queries of 16 points: a point that is asked for many times has one row in the file, and
    # all queries of it see that row.
    one = case(fibonacci(2), parameters(queries=100))
    parts = mapped(one)
    check(len(set(parts.indices)) < len(parts.indices), "an index occurs twice")
    tree = parts.trees["main"]
    rows = tree.opening.rows[0]
    check_equal(len(rows), len(set(tree.indices)))
    twice = (rows[0], next_row(rows[0]), *rows[1:])
    refused(tree, with_rows(tree.opening, 0, twice))
    refused(tree, with_rows(tree.opening, 0, (next_row(rows[0]), *rows)))
    start, size = tree.row(0, 0)
    proof = one.honest()
    doubled = proof[: start + size] + next_row(rows[0]) + proof[start + size :]
    check(one.rejection(doubled).code in (Code.MERKLE, Code.CANONICAL), "one row too many")


def next_row(row: bytes) -> bytes:
    return next_element(row, 0)


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 64])
def test_f12_a_cap_of_another_length(name: str, count: int) -> None:
    tree = mapped(products_case()).trees[name]
    if count == len(tree.cap):
        return
    cap = (tree.cap * 64)[:count]
    refused(replace(tree, cap=cap), tree.opening, Code.SHAPE)


@pytest.mark.parametrize("cap_height", [-1, 11, 25, 64])
def test_f12_a_cap_larger_than_the_tree(cap_height: int) -> None:
    tree = mapped(products_case()).trees["fri 2"]
    with pytest.raises(Rejected) as caught:
        replace(tree.shape, cap_height=cap_height)
    check_equal(caught.value.code, Code.SHAPE)


def test_f13_trees_have_no_odd_levels() -> None:
    # Every size is a power of two, so that no leaf is ever taken twice for want of another.
    a, b, c = (leaf_digest(bytes([n]) * 4) for n in range(3))
    three = node_digest(node_digest(a, b), c)
    doubled = node_digest(node_digest(a, b), node_digest(c, c))
    check(three != doubled, "roots differ")
    for name in TREES:
        for log_size, _ in mapped(products_case()).trees[name].shape.groups:
            check(isinstance(log_size, int), "a size is given by its logarithm")


@pytest.mark.parametrize("name", TREES)
def test_f14_salts_where_there_are_none_and_none_where_there_are(name: str) -> None:
    tree = mapped(products_case()).trees[name]
    salted = replace(tree.shape, salted=True)
    own = [
        tuple(bytes([g, k]) * 16 for k in range(len(rows)))
        for g, rows in enumerate(tree.opening.rows)
    ]
    refused(tree, replace(tree.opening, salts=tuple(own)), Code.ZK)
    refused(tree, tree.opening, Code.ZK, shape=salted)
    first = own[0]
    for wrong in (
        first[1:],
        (first[0][:-1], *first[1:]),
        (first[1], *first[1:]),
        (b"", *first[1:]),
    ):
        salts = (wrong, *own[1:])
        refused(tree, replace(tree.opening, salts=salts), Code.ZK, shape=salted)
    # Of the right form, but not what was committed.
    refused(tree, replace(tree.opening, salts=tuple(own)), Code.MERKLE, shape=salted)
