"""Merkle openings inside a circuit: one path per query, rows summed while they are hashed.

A tree commits to the rows of several heights at once (``stark.merkle.multiproof``). A query opens,
for each of them, one row; the rows of the largest height are the leaf of the path, the others are
hashed and injected into the path where it reaches their level. What DEEP needs of a
row is one sum, acc <- acc gamma + cell over all its cells: the rows that hash the cells compute it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stark.errors import UsageError
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.hash.suite import LEAF_TAG, SALTED_LEAF_TAG
from stark.merkle.multiproof import TreeShape
from stark.recursion.builder import RATE, WRITES, CircuitBuilder, DigestWire, Wire
from stark.recursion.circuit import Capacity, Rate
from stark.recursion.transcript import FRONT_OF_EXTENSION, Cap


@dataclass(frozen=True)
class LeafForm:
    """What a row of one group is made of.

    Attributes
    ----------
    base, extensions
        Base elements, then extension elements that are summed with them.
    mask
        Whether one more extension element follows, which is no part of the sum.
    """

    base: int
    extensions: int
    mask: bool = False

    @property
    def elements(self) -> int:
        return self.base + DEGREE * (self.extensions + self.mask)


@dataclass(frozen=True)
class OpenedRow:
    """What a circuit keeps of a row: its sum, and its mask."""

    total: Wire
    mask: Wire | None


def open_rows(
    builder: CircuitBuilder,
    cap: Cap,
    shape: TreeShape,
    forms: Sequence[LeafForm],
    index: Wire,
) -> list[OpenedRow]:
    """Check the path of one query, and sum the rows that it opens, one per group of the tree.

    ``index`` is the query's position in the tree's largest domain. Values of the inner proof are
    taken as the path meets them: the row of the first group (after its salt, if there are salts),
    siblings from the leaf upwards, and the row of another group where it is injected.
    """
    opened = [_sum_row(builder, forms[0], shape.salted, carry=False)]
    _read_index(builder, index)
    injected = {
        log_size: form for (log_size, _), form in zip(shape.groups[1:], forms[1:], strict=True)
    }
    climb(builder, cap, shape, injected, opened)
    return opened


def open_leaf(builder: CircuitBuilder, cap: Cap, shape: TreeShape, index: Wire) -> Wire:
    """Check the path of a leaf of a FRI layer; the first of its values, at consecutive wires."""
    ((_, width),) = shape.groups
    count = width // DEGREE
    values = builder.wires.fresh(count)
    for number in range(count):
        builder.hints(DEGREE)
        fixed = {"straight": 1, "wire address": values + number, "wire count": WRITES, "wire x": 1}
        fixed |= FRONT_OF_EXTENSION
        if number == 0:
            fixed |= _fresh(False, width)
            builder.permute(*(Rate.HINTS, DEGREE, Capacity.FRESH), fixed=fixed)
        else:
            builder.permute(
                *(Rate.HINTS, DEGREE, Capacity.CHAIN), fixed=fixed, before={"capacity next": 1}
            )
    _read_index(builder, index)
    climb(builder, cap, shape, {}, [])
    return values


def climb(
    builder: CircuitBuilder,
    cap: Cap,
    shape: TreeShape,
    injected: Mapping[int, LeafForm],
    opened: list[OpenedRow],
) -> None:
    """From the leaf that the last row hashed, whose row holds the index, up to the cap.

    Rows of other groups are appended to ``opened`` where they are injected.
    """
    current = "leaf"
    for level in range(shape.log_size - 1, shape.cap_height - 1, -1):
        builder.hints(RATE)
        builder.permute(
            *(Rate.PATH, 0, Capacity.WITH_RATE, 0, level),
            before={f"{current} next": 1, "index next": 1, "weight next": 1 << level},
        )
        current = "node"
        if level in injected:
            # The node waits as a digest while the row is hashed; then C(row's digest, node).
            node = builder.digests.fresh()
            _set_digest(builder, "digest node", node, WRITES)
            opened.append(_sum_row(builder, injected[level], shape.salted, carry=True))
            builder.permute(
                *(Rate.PAIR, node),
                fixed={
                    "straight": 1,
                    "digest address": builder.digests.read(node),
                    "digest count": P - 1,
                    "digest high": 1,
                },
                before={"leaf next": 1, "index next": 1},
            )
            if level == shape.cap_height:
                # This row reads a digest already: its result is looked up in the next.
                builder.permute(
                    Rate.SAME,
                    fixed={"straight": 1},
                    before={"same next": 1, "index next": 1},
                )
    row = builder.permutation.count - 1
    if cap.log_size != shape.cap_height:
        raise UsageError(f"a cap of 2^{cap.log_size} digests, expected 2^{shape.cap_height}")
    _set_digest(builder, f"digest {current}", builder.digests.read(cap.digests), P - 1)
    builder.permutation.set(row, "cap", 1)


def _sum_row(builder: CircuitBuilder, form: LeafForm, salted: bool, *, carry: bool) -> OpenedRow:
    """Hash a row of the inner proof while its cells are summed.

    With ``carry`` the rows pass on the index of the path that they interrupt.
    """
    passing = {"index next": 1} if carry else {}
    builder.settle()
    pending: list[tuple[int, dict[str, int]]] = []
    if salted:
        pending.append((RATE, {}))
    if form.base:
        first = form.base % RATE or RATE
        front = {f"zero {lane}": 1 for lane in range(RATE - first)}
        pending.append((first, front | {"base next": 1}))
        pending += [(RATE, {"base next": 1})] * ((form.base - first) // RATE)
    pending += [(DEGREE, FRONT_OF_EXTENSION | {"extension next": 1})] * form.extensions
    mask = None
    if form.mask:
        mask = builder.wires.fresh()
        publish = {"wire address": mask, "wire count": WRITES, "wire x": 1, "keep next": 1}
        pending.append((DEGREE, FRONT_OF_EXTENSION | publish))
    for number, (count, flags) in enumerate(pending):
        builder.hints(count)
        fixed = {"straight": 1} | flags
        if number == 0:
            elements = form.elements + (RATE if salted else 0)
            fixed |= _fresh(salted, elements)
            builder.permute(*(Rate.HINTS, count, Capacity.FRESH), fixed=fixed, before=passing)
        else:
            builder.permute(
                *(Rate.HINTS, count, Capacity.CHAIN),
                fixed=fixed,
                before={"capacity next": 1} | passing,
            )
    return OpenedRow(builder.publish_accumulator(), mask)


def _fresh(salted: bool, elements: int) -> dict[str, int]:
    tag = SALTED_LEAF_TAG if salted else LEAF_TAG
    return {"fresh": 1, "tag": tag, "length": elements}


def _read_index(builder: CircuitBuilder, index: Wire) -> None:
    row = builder.permutation.count - 1
    builder.permutation.set(row, "index address", builder.wires.read(index))
    builder.permutation.set(row, "index count", P - 1)


def _set_digest(builder: CircuitBuilder, flag: str, address: DigestWire, count: int) -> None:
    """Give the last row a message about a digest."""
    row = builder.permutation.count - 1
    for name, value in ((flag, 1), ("digest address", address), ("digest count", count)):
        builder.permutation.set(row, name, value)
