"""Group D of ``tests/vectors/negative_tests.json``: the shape of the tables.

The header repeats the shape that the key implies; lengths in the rest of the file follow from the
key alone. So a file can contradict the key in its header, which is Shape, or have other lengths
than its header says, which is a file that ends too early, too late, or holds other messages.
"""

from __future__ import annotations

from typing import Any

import pytest
from support.cheating import (
    Case,
    LyingInQuotient,
    case,
    configured,
    fibonacci_case,
    products_case,
)
from support.checks import check, check_equal
from support.mutations import SHAPE_FIELDS, SHAPE_SIZE, ProofMap
from support.systems import Bytes, Example, Ledger, Work, fibonacci, parameters, products

from stark.constraints.air import Air, AirBuilder
from stark.constraints.expression import Part
from stark.errors import Code, UsageError
from stark.system import System
from stark.transcript.schema import DrawnIndices, Sent
from stark.verifier.header import encode_header
from stark.verifier.key import table_shape
from stark.verifier.layout import TableLayout
from stark.verifier.protocol import schema

WORK = {"grinding_lookup": 12, "grinding_ali": 12}
"""Bound to another key, the first nonce of a proof passes once in 4,096 times."""


def mapped(one: Case) -> ProofMap:
    return ProofMap(one.key.verification, one.honest(), one.publics, one.context)


def expect(one: Case, proof: bytes, *codes: Code) -> None:
    rejection = one.rejection(proof)
    check(rejection.code in codes, f"expected {codes}, got {rejection}")


def relabelled(one: Case, other: Case) -> bytes:
    """A proof for another key behind the header of this one."""
    start = len(encode_header(other.key.verification))
    return encode_header(one.key.verification) + other.prove()[start:]


def test_the_fields_are_all_that_a_table_has_in_the_header() -> None:
    check_equal(sum(size for _, _, size in SHAPE_FIELDS), SHAPE_SIZE)
    one = products_case()
    shape = one.key.verification.shape
    check_equal(shape[:2], b"\3\0")
    for number, table in enumerate(one.example.system.tables):
        start = 2 + SHAPE_SIZE * number
        check_equal(shape[start : start + SHAPE_SIZE], table_shape(table))


@pytest.mark.parametrize("table", [0, 1, 2])
@pytest.mark.parametrize(("field", "offset", "size"), SHAPE_FIELDS)
@pytest.mark.parametrize("difference", [1, -1, 64])
def test_d_every_field_of_the_shape(
    table: int, field: str, offset: int, size: int, difference: int
) -> None:
    # D3, D4, D5, D6, D9, D10, D11, D12 as far as a file can state them.
    one = products_case()
    parts = mapped(one)
    start = 2 + SHAPE_SIZE * table + offset
    value = int.from_bytes(parts.data("shape")[start : start + size], "little")
    changed = (value + difference) % (1 << (8 * size))
    expect(one, parts.changed("shape", start, changed.to_bytes(size, "little")), Code.SHAPE)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 255, 65535])
def test_d1_another_number_of_tables(count: int) -> None:
    one = products_case()
    forged = mapped(one).changed("shape", 0, count.to_bytes(2, "little"))
    expect(one, forged, Code.SHAPE)


class Idle(Air):
    """A table that says nothing about the others."""

    name = "idle"

    def eval(self, t: AirBuilder) -> None:
        cell = t.main("cell")
        t.every_row("zero", cell)


def extended() -> Case:
    own = products()
    return case(
        Example(
            System([Work(5), Ledger(4), Bytes(), Idle(2)]),
            own.traces | {"idle": {"cell": [0] * 4}},
            own.publics,
        ),
        parameters(**WORK),
    )


def test_d1_a_table_dropped_or_added() -> None:
    # One more table that proves nothing; and its absence where the key has it.
    one, more = case(products(), parameters(**WORK)), extended()
    more.verify(more.honest())
    expect(one, more.honest(), Code.SHAPE)
    expect(more, one.honest(), Code.SHAPE)
    expect(one, relabelled(one, more), Code.POW)
    expect(more, relabelled(more, one), Code.POW)


class NoNext(Air):
    """Fibonacci's columns without a step from row to row."""

    name = "fibonacci"

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        result = t.public("result")
        t.first_row("starts at 1, 1", a - 1, b - 1)
        t.last_row("ends at the result", b - result)


def test_d3_next_row_missing_or_superfluous() -> None:
    one = case(fibonacci(), parameters(**WORK))
    flat = case(
        Example(System([NoNext(6)]), one.example.traces, one.publics),
        one.key.verification.parameters,
    )
    for own, other in ((one, flat), (flat, one)):
        expect(own, other.prove(), Code.SHAPE)
        expect(own, relabelled(own, other), Code.POW)
    # What is opened on the next row follows from the constraints.
    check_equal(one.example.system.tables[0].next_columns[Part.MAIN], (0, 1))
    check_equal(flat.example.system.tables[0].next_columns[Part.MAIN], ())


def test_d4_quotient_chunks_follow_from_the_degree() -> None:
    one = products_case()
    chunks = [table.quotient_chunks for table in one.example.system.tables]
    check_equal(chunks, [max(1, table.degree - 1) for table in one.example.system.tables])
    # One chunk left out of, or given a second time in, the out-of-domain values.
    parts = mapped(one)
    section = parts.sections["values work"]
    codes = (Code.OOD, Code.POW, Code.CANONICAL)
    expect(one, parts.without(section.end - 20, section.end), *codes)
    doubled = one.honest()[: section.end] + one.honest()[section.end - 20 :]
    expect(one, doubled, *codes)

    # A chunk of nothing but zeros, honestly committed.
    def change(self: Any, name: str, extension: Any) -> None:
        if name == "work":
            extension[:, :, -6:-1] = 0
            extension[:, :, 5:10] = 0

    expect(one, one.prove(configured(LyingInQuotient, change=change)), Code.OOD)


@pytest.mark.parametrize("other", [5, 7])
def test_d5_another_height_with_consistent_fri(other: int) -> None:
    one, neighbour = fibonacci_case(6, silent=True), fibonacci_case(other, silent=True)
    neighbour.verify(neighbour.honest())
    expect(one, neighbour.honest(), Code.SHAPE)
    expect(one, relabelled(one, neighbour), Code.OOD)
    check_equal(one.rejection(neighbour.honest(), neighbour.publics).code, Code.SHAPE)


@pytest.mark.parametrize("height", [0, 1, 3, 12, 24, 25, 31, 32, 33, 64, 255])
def test_d6_a_height_that_is_too_small_or_too_large(height: int) -> None:
    one = fibonacci_case()
    expect(one, mapped(one).changed("shape", 2, bytes([height])), Code.SHAPE)


def test_d6_heights_that_no_table_can_have() -> None:
    for height in (-1, 25, 64):
        with pytest.raises(UsageError, match="log_height"):
            Work(height)


def test_d7_a_height_has_no_alias() -> None:
    # A height is one byte in the header and absorbed from the key as a field element below 25:
    # neither height + p nor height + 2^32 can be written down.
    one = fibonacci_case()
    field = next(entry for entry in SHAPE_FIELDS if entry[0] == "log_height")
    check_equal(field[2], 1)
    for height in range(256):
        if height != 6:
            expect(one, mapped(one).changed("shape", 2, bytes([height])), Code.SHAPE)


def test_d9_every_column_is_opened() -> None:
    # No matrix can go without an opening point: every column of every part is opened at zeta.
    for one in (fibonacci_case(), products_case()):
        for table in one.example.system.tables:
            layout = TableLayout.of(table)
            columns = {(part, c) for part in Part for c in range(table.width(part))}
            check_equal(set(layout.here), columns)
            check_equal(len(layout.here), len(columns))
            count = len(layout.here) + len(layout.following) + table.quotient_chunks
            check_equal(layout.value_count, count)
    # And a column that nothing constrains is no column of a system.

    class Loose(Air):
        name = "loose"

        def eval(self, t: AirBuilder) -> None:
            t.main("loose")
            t.every_row("zero", t.main("bound"))

    with pytest.raises(UsageError, match="no constraint or bus touches"):
        System([Loose(3)])


class Wide(Air):
    """Some columns, all zero."""

    def __init__(self, name: str, width: int) -> None:
        super().__init__(3)
        self.name = name
        self.width = width

    def eval(self, t: AirBuilder) -> None:
        t.every_row("zero", *t.main_array("cell", self.width))


def wide(first: int, second: int) -> Case:
    widths = {"first": first, "second": second}
    return case(
        Example(
            System([Wide(name, width) for name, width in widths.items()]),
            {name: {f"cell[{i}]": [0] * 8 for i in range(width)} for name, width in widths.items()},
            {},
        ),
        parameters(**WORK),
    )


def test_d10_columns_regrouped_between_tables() -> None:
    # Two tables of one height share the leaves of their tree, so that (2, 3) and (3, 2) columns
    # have the very same commitment. Which column is whose stands in the key.
    one, other = wide(2, 3), wide(3, 2)
    one.verify(one.honest())
    expect(one, other.honest(), Code.SHAPE)
    expect(one, relabelled(one, other), Code.POW)
    main = "main commitment"
    check_equal(mapped(one).data(main), mapped(other).data(main))


def test_d11_the_largest_height_is_not_stated() -> None:
    # It is the largest of the tables' heights; raising or lowering any of them is Shape.
    one = products_case()
    check_equal(one.key.verification.system.log_heights, (8, 5, 4))
    for table, height in ((2, 9), (2, 7), (0, 9), (1, 8)):
        forged = mapped(one).changed("shape", 2 + SHAPE_SIZE * table, bytes([height]))
        expect(one, forged, Code.SHAPE)


@pytest.mark.parametrize("width", [0, 1, 3, 4, 15, 65535])
def test_d12_another_auxiliary_width(width: int) -> None:
    one = products_case()
    table = one.example.system.tables[0]
    check(width != table.bus_argument.width, "another width")
    expect(one, mapped(one).changed("shape", 2 + 6, width.to_bytes(2, "little")), Code.SHAPE)


@pytest.mark.parametrize("difference", [-1, 1])
def test_d13_another_number_of_queries(difference: int) -> None:
    # The number is the key's, and no block of a query has a count: a proof made with another one
    # says so in its header (Policy). With the header exchanged its challenges are others.
    one = fibonacci_case(silent=True)
    own = one.key.verification.parameters
    drawn = [i for i in schema(one.key.verification, 0) if isinstance(i, DrawnIndices)]
    check_equal([item.count for item in drawn], [own.queries])
    changed = case(
        one.example,
        type(own)(**{**own.__dict__, "queries": own.queries + difference}),
    )
    expect(one, changed.honest(), Code.POLICY)
    expect(one, relabelled(one, changed), Code.OOD)
    # One opened row less, or one more, in any tree.
    parts = mapped(one)
    for tree in parts.trees.values():
        start, size = tree.row(0, 0)
        codes = (Code.MERKLE, Code.CANONICAL, Code.FORMAT)
        expect(one, parts.without(start, start + size), *codes)
        doubled = one.honest()[: start + size] + one.honest()[start:]
        expect(one, doubled, *codes)


@pytest.mark.parametrize("values", [[], [1, 2, 3], [0] * 5, [0] * 12, [0] * 64])
def test_d15_a_period_that_does_not_divide_the_height(values: list[int]) -> None:
    # Refused where the AIR is written (the catalogue's Params): no proof states a period.

    class Periodic(Air):
        name = "periodic"

        def eval(self, t: AirBuilder) -> None:
            t.every_row("periodic", t.main("cell") - t.periodic(values))

    with pytest.raises(UsageError, match="a period must be a power of two"):
        System([Periodic(5)])


def test_nothing_but_the_key_sizes_the_messages() -> None:
    # Two keys of one shape have one layout, whatever the proofs hold.
    one = fibonacci(6)
    twin = case(Example(one.system, one.traces, one.publics), parameters())
    sizes = [item.size for item in schema(twin.key.verification, 7) if isinstance(item, Sent)]
    own = [
        item.size for item in schema(fibonacci_case().key.verification, 7) if isinstance(item, Sent)
    ]
    check_equal(sizes, own)
