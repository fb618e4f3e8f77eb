"""Openings: round trips over many shapes, and every way of forging one is refused."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from merkle_reference import ReferenceTree, digest

from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.hash.sha256 import encode_elements
from stark.merkle.multiproof import (
    MultiOpening,
    TreeShape,
    encode_opening,
    group_indices,
    missing_siblings,
    opening_bytes,
    read_opening,
    sibling_count,
    verify_opening,
)


def random_tree(shape: TreeShape, seed: int = 0) -> ReferenceTree:
    generator = random.Random(seed)
    rows, salts = {}, {}
    for log_size, width in shape.groups:
        size = 1 << log_size
        rows[size] = [
            encode_elements([generator.randrange(P) for _ in range(width)]) for _ in range(size)
        ]
        salts[size] = [generator.randbytes(32) for _ in range(size)]
    return ReferenceTree(rows, salts if shape.salted else None)


def check(
    tree: ReferenceTree, shape: TreeShape, indices: Sequence[int], opening: MultiOpening
) -> None:
    cap = tree.levels[1 << shape.cap_height]
    parts = (opening.rows, opening.salts, opening.siblings)
    verify_opening(cap, shape, indices, *parts, "test tree")


def refused(
    tree: ReferenceTree, shape: TreeShape, indices: Sequence[int], opening: MultiOpening
) -> Code:
    with pytest.raises(Rejected) as caught:
        check(tree, shape, indices, opening)
    return caught.value.code


@st.composite
def shapes_and_indices(draw: st.DrawFn) -> tuple[TreeShape, list[int]]:
    logs = sorted(draw(st.sets(st.integers(0, 6), min_size=1, max_size=4)), reverse=True)
    groups = tuple((log, draw(st.integers(1, 9))) for log in logs)
    shape = TreeShape(groups, draw(st.booleans()), draw(st.integers(0, logs[-1])))
    indices = draw(st.lists(st.integers(0, (1 << logs[0]) - 1), min_size=1, max_size=12))
    return shape, indices


@settings(max_examples=80, deadline=None)
@given(shapes_and_indices())
def test_honest_openings_pass_and_survive_encoding(case: tuple[TreeShape, list[int]]) -> None:
    shape, indices = case
    tree = random_tree(shape)
    opening = tree.open(indices, shape.cap_height)
    check(tree, shape, indices, opening)
    assert sibling_count(shape, indices) == len(opening.siblings)

    encoded = encode_opening(opening)
    assert opening_bytes(shape, indices) == len(encoded)
    decoded, end = read_opening(memoryview(b"abc" + encoded + b"xyz"), 3, shape, indices)
    assert decoded == opening
    assert end == 3 + len(encoded)


@settings(max_examples=80, deadline=None)
@given(shapes_and_indices(), st.randoms(use_true_random=False))
def test_any_flipped_bit_is_refused(
    case: tuple[TreeShape, list[int]], generator: random.Random
) -> None:
    shape, indices = case
    tree = random_tree(shape)
    encoded = bytearray(encode_opening(tree.open(indices, shape.cap_height)))
    encoded[generator.randrange(len(encoded))] ^= 1 << generator.randrange(8)
    with pytest.raises(Rejected) as caught:
        check(tree, shape, indices, read_opening(bytes(encoded), 0, shape, indices)[0])
    assert caught.value.code in (Code.MERKLE, Code.CANONICAL)


@settings(max_examples=40, deadline=None)
@given(shapes_and_indices())
def test_a_wrong_cap_is_refused(case: tuple[TreeShape, list[int]]) -> None:
    shape, indices = case
    tree = random_tree(shape)
    opening = tree.open(indices, shape.cap_height)
    assert refused(random_tree(shape, 1), shape, indices, opening) == Code.MERKLE


# The forgeries below share this tree: three sizes, a cap of two, and indices that overlap lower.
SHAPE = TreeShape(((5, 3), (3, 2), (2, 4)), salted=False, cap_height=1)
SALTED = replace(SHAPE, salted=True)
INDICES = [3, 11, 18, 26]
TREE = random_tree(SHAPE)
OPENING = TREE.open(INDICES, 1)
SALTED_TREE = random_tree(SALTED)
SALTED_OPENING = SALTED_TREE.open(INDICES, 1)


def with_row(opening: MultiOpening, group: int, place: int, row: bytes) -> MultiOpening:
    rows = [list(given) for given in opening.rows]
    rows[group][place] = row
    return replace(opening, rows=tuple(map(tuple, rows)))


def test_the_shared_example_is_honest() -> None:
    check(TREE, SHAPE, INDICES, OPENING)
    check(TREE, SHAPE, INDICES, replace(OPENING, salts=()))
    check(SALTED_TREE, SALTED, INDICES, SALTED_OPENING)
    assert [len(level) for level in missing_siblings(SHAPE, INDICES)] == [4, 0, 2, 2]
    assert group_indices(SHAPE, INDICES) == [[3, 11, 18, 26], [2, 3], [2, 3]]


@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("place", [0, 1])
def test_changed_value(group: int, place: int) -> None:
    row = OPENING.rows[group][place]
    changed = bytes([row[0] ^ 1]) + row[1:]
    assert refused(TREE, SHAPE, INDICES, with_row(OPENING, group, place, changed)) == Code.MERKLE


@pytest.mark.parametrize("place", range(8))
def test_changed_sibling(place: int) -> None:
    siblings = list(OPENING.siblings)
    siblings[place] = digest(siblings[place])
    forged = replace(OPENING, siblings=tuple(siblings))
    assert refused(TREE, SHAPE, INDICES, forged) == Code.MERKLE


@pytest.mark.parametrize("indices", [[3, 11, 18, 27], [2, 11, 18, 26], [4, 12, 17, 25]])
def test_changed_index_with_the_same_rows(indices: list[int]) -> None:
    assert refused(TREE, SHAPE, indices, OPENING) == Code.MERKLE


def test_row_bytes_split_differently() -> None:
    # The concatenation of two neighbouring rows is unchanged.
    first, second = OPENING.rows[0][:2]
    forged = with_row(with_row(OPENING, 0, 0, first + second[:4]), 0, 1, second[4:])
    assert refused(TREE, SHAPE, INDICES, forged) == Code.MERKLE
    forged = with_row(with_row(OPENING, 0, 0, first[:-1]), 0, 1, first[-1:] + second)
    assert refused(TREE, SHAPE, INDICES, forged) == Code.MERKLE


def test_salt_moved_into_the_row() -> None:
    # A salted leaf of width w has the message of an unsalted one of width w + 8.
    shape = TreeShape(((2, 3),), salted=True, cap_height=0)
    tree = random_tree(shape)
    opening = tree.open([1], 0)
    merged = MultiOpening(((opening.salts[0][0] + opening.rows[0][0],),), ((),), opening.siblings)
    assert refused(tree, shape, [1], merged) == Code.MERKLE


def test_inner_node_presented_as_a_leaf() -> None:
    # Width 16 is 64 bytes: the row of a tree one level lower could be two digests.
    tree = random_tree(TreeShape(((3, 2),), False, 0))
    lower = TreeShape(((2, 16),), False, 0)
    left, right = tree.levels[8][1], tree.levels[8][5]
    honest = tree.open([1, 5], 0)
    forged = MultiOpening(((left + right,),), ((),), honest.siblings)
    assert len(forged.siblings) == sibling_count(lower, [1])
    assert refused(tree, lower, [1], forged) == Code.MERKLE


def test_leaf_presented_as_a_node() -> None:
    # Rows that are the digests of two leaves of their own, opened one level deeper.
    generator = random.Random(1)
    deeper = {j: encode_elements([generator.randrange(P)]) for j in range(8)}
    leaves = [digest(b"SLl1", deeper[j]) for j in range(8)]
    tree = ReferenceTree({4: [leaves[j] + leaves[j + 4] for j in range(4)]})
    forged = MultiOpening(((deeper[1],),), ((),), (leaves[5], *tree.open([1], 0).siblings))
    shape = TreeShape(((3, 1),), False, 0)
    assert len(forged.siblings) == sibling_count(shape, [1])
    assert refused(tree, shape, [1], forged) == Code.MERKLE


@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("filling", [bytes(4), b"", bytes(1)])
def test_zero_padded_row(group: int, filling: bytes) -> None:
    row = OPENING.rows[group][0]
    longer = with_row(OPENING, group, 0, row + filling if filling else row[:-4])
    assert refused(TREE, SHAPE, INDICES, longer) == Code.MERKLE
    # The same rows under a shape that is one element wider, all of them padded.
    groups = list(SHAPE.groups)
    groups[group] = (groups[group][0], groups[group][1] + 1)
    rows = list(OPENING.rows)
    rows[group] = tuple(row + bytes(4) for row in rows[group])
    wider = replace(SHAPE, groups=tuple(groups))
    assert refused(TREE, wider, INDICES, replace(OPENING, rows=tuple(rows))) == Code.MERKLE


def sibling_forgeries() -> list[tuple[bytes, ...]]:
    s = OPENING.siblings
    forged = [s[:-1], s[1:], (), (*s, s[0]), (*s, bytes(32)), (s[0], *s)]  # missing, extra
    forged += [(s[0], s[0], *s[2:]), (*s[:3], s[2], *s[3:])]  # duplicate
    forged += [(s[1], s[0], *s[2:]), s[::-1], (*s[4:], *s[:4])]  # order
    forged += [(s[0][:-1], *s[1:]), (s[0] + b"\0", *s[1:]), (s[0][:-1], s[0][-1:] + s[1], *s[2:])]
    return forged


@pytest.mark.parametrize("siblings", sibling_forgeries())
def test_pruned_siblings_missing_extra_duplicate_or_out_of_order(
    siblings: tuple[bytes, ...],
) -> None:
    assert refused(TREE, SHAPE, INDICES, replace(OPENING, siblings=siblings)) == Code.MERKLE


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_siblings_are_measured_before_they_are_hashed(size: int) -> None:
    siblings = (*OPENING.siblings[:-1], bytes(size))
    with pytest.raises(Rejected, match="siblings of test tree"):
        check(TREE, SHAPE, INDICES, replace(OPENING, siblings=siblings))


def test_same_index_twice_with_different_rows() -> None:
    twice = [3, 3, 11, 18, 26]
    check(TREE, SHAPE, twice, OPENING)
    other = encode_elements([1, 2, 3])
    for rows in ((other, *OPENING.rows[0]), (OPENING.rows[0][0], other, *OPENING.rows[0][1:])):
        forged = replace(OPENING, rows=(rows, *OPENING.rows[1:]))
        assert refused(TREE, SHAPE, twice, forged) == Code.MERKLE


@pytest.mark.parametrize("count", [0, 1, 3, 4, 32, 64])
def test_cap_of_another_length(count: int) -> None:
    cap = (TREE.levels[2] * 32)[:count]
    with pytest.raises(Rejected) as caught:
        verify_opening(cap, SHAPE, INDICES, OPENING.rows, OPENING.salts, OPENING.siblings, "t")
    assert caught.value.code == Code.SHAPE


@pytest.mark.parametrize("cap_height", [-1, 3, 6])
def test_cap_larger_than_the_tree(cap_height: int) -> None:
    with pytest.raises(Rejected) as caught:
        replace(SHAPE, cap_height=cap_height)
    assert caught.value.code == Code.SHAPE


def test_duplicated_last_leaf() -> None:
    # [a, b, c, c] does not stand for [a, b, c, d], whatever the last index shows.
    shape = TreeShape(((2, 1),), False, 0)
    rows = [encode_elements([j + 1]) for j in range(4)]
    honest, doubled = ReferenceTree({4: rows}), ReferenceTree({4: [*rows[:3], rows[2]]})
    assert honest.levels[1] != doubled.levels[1]
    for indices in ([3], [2, 3], [0, 1, 2, 3]):
        assert refused(honest, shape, indices, doubled.open(indices, 0)) == Code.MERKLE


@pytest.mark.parametrize(
    "rows",
    [
        (),
        OPENING.rows[:2],
        (*OPENING.rows, ()),
        (OPENING.rows[0][1:], *OPENING.rows[1:]),
        (OPENING.rows[0][::-1], *OPENING.rows[1:]),
        (*OPENING.rows[:2], ()),
        (OPENING.rows[0], OPENING.rows[2], OPENING.rows[1]),
    ],
)
def test_rows_missing_extra_or_out_of_order(rows: tuple[tuple[bytes, ...], ...]) -> None:
    assert refused(TREE, SHAPE, INDICES, replace(OPENING, rows=rows)) == Code.MERKLE


@pytest.mark.parametrize("group", [0, 1, 2])
def test_changed_salt(group: int) -> None:
    salts = [list(given) for given in SALTED_OPENING.salts]
    salts[group][0] = digest(salts[group][0])
    forged = replace(SALTED_OPENING, salts=tuple(map(tuple, salts)))
    assert refused(SALTED_TREE, SALTED, INDICES, forged) == Code.MERKLE


def salt_forgeries() -> list[tuple[tuple[bytes, ...], ...]]:
    first, *rest = SALTED_OPENING.salts
    variants = [(), first[1:], (*first, bytes(32)), (first[0][:-1], *first[1:])]
    variants += [(b"", *first[1:]), (first[0] + b"\0", *first[1:]), (first[1], *first[1:])]
    return [(variant, *rest) for variant in variants] + [(), (first, *rest, ())]


@pytest.mark.parametrize("salts", salt_forgeries())
def test_salt_missing_short_or_reused(salts: tuple[tuple[bytes, ...], ...]) -> None:
    forged = replace(SALTED_OPENING, salts=salts)
    assert refused(SALTED_TREE, SALTED, INDICES, forged) == Code.ZK


def test_salt_where_none_belongs() -> None:
    assert refused(TREE, SHAPE, INDICES, replace(OPENING, salts=SALTED_OPENING.salts)) == Code.ZK


@pytest.mark.parametrize("salted", [False, True])
def test_every_truncation_is_a_format_error(salted: bool) -> None:
    shape, opening = (SALTED, SALTED_OPENING) if salted else (SHAPE, OPENING)
    encoded = encode_opening(opening)
    for end in range(len(encoded)):
        with pytest.raises(Rejected) as caught:
            read_opening(encoded[:end], 0, shape, INDICES)
        assert caught.value.code == Code.FORMAT
    for offset in (1, len(encoded), len(encoded) + 1, -1):
        with pytest.raises(Rejected) as caught:
            read_opening(encoded, offset, shape, INDICES)
        assert caught.value.code == Code.FORMAT


@pytest.mark.parametrize("value", [P, P + 1, 2**32 - 1])
@pytest.mark.parametrize("group", [0, 1, 2])
@pytest.mark.parametrize("place", [0, -1])
def test_elements_that_are_not_canonical(value: int, group: int, place: int) -> None:
    # The tree itself commits to them: only the range check can refuse.
    row = OPENING.rows[group][place]
    for start in (0, len(row) - 4):
        raw = row[:start] + value.to_bytes(4, "little") + row[start + 4 :]
        encoded = encode_opening(with_row(OPENING, group, place, raw))
        with pytest.raises(Rejected) as caught:
            read_opening(encoded, 0, SHAPE, INDICES)
        assert caught.value.code == Code.CANONICAL


@pytest.mark.parametrize(
    "groups",
    [
        (),
        ((3, 1), (3, 1)),
        ((3, 1), (4, 1)),
        ((25, 1),),
        ((3, 0),),
        ((3, -1),),
        ((-1, 1),),
    ],
)
def test_impossible_shapes(groups: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(Rejected) as caught:
        TreeShape(groups, False, 0)
    assert caught.value.code == Code.SHAPE


@pytest.mark.parametrize("extensions", [(1,), (1, 0, 0), (3, 0), (-1, 0), (2, 2)])
def test_impossible_extension_elements(extensions: tuple[int, ...]) -> None:
    groups = ((5, 14), (3, 9))
    assert TreeShape(groups, False, 0, extensions=(2, 1)).extensions_of(1) == 1
    assert TreeShape(groups, False, 0).extensions_of(0) == 0
    with pytest.raises(Rejected) as caught:
        TreeShape(groups, False, 0, extensions=extensions)
    assert caught.value.code == Code.SHAPE


@pytest.mark.parametrize("indices", [[], [-1], [-1, 3], [32], [3, 32]])
def test_indices_out_of_range_are_the_callers_error(indices: list[int]) -> None:
    for call in (sibling_count, opening_bytes, group_indices):
        with pytest.raises(ValueError, match="indices"):
            call(SHAPE, indices)
    with pytest.raises(ValueError, match="indices"):
        check(TREE, SHAPE, indices, OPENING)
