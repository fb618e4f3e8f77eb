"""What an AIR and a system refuse, what they derive, and what their digests bind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from stark.constraints.air import Air, AirBuilder, symbolic
from stark.constraints.bus import Bus
from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.system import System, table_digest

Eval = Callable[[AirBuilder], None]
PAIRS = Bus("pairs", 2)


def air(write: Eval, log_height: int = 3, name: str = "table") -> Air:
    """An AIR whose ``eval`` is ``write``."""

    class Written(Air):
        def eval(self, t: AirBuilder) -> None:
            write(t)

    Written.name = name
    return Written(log_height)


def fibonacci(t: AirBuilder) -> None:
    a, b = t.main("a"), t.main("b")
    result = t.public("result")
    t.first_row("starts at 1, 1", a - 1, b - 1)
    t.transition("moves on", a.next - b, b.next - (a + b))
    t.last_row("ends at the result", b - result)


def sends(**options: object) -> Eval:
    def write(t: AirBuilder) -> None:
        t.send(PAIRS, t.main_array("x", 2), **options)  # type: ignore[arg-type]

    return write


def receives(**options: object) -> Eval:
    def write(t: AirBuilder) -> None:
        t.receive(PAIRS, t.main_array("x", 2), **options)  # type: ignore[arg-type]

    return write


def both(send: Eval, receive: Eval, log_height: int = 3) -> System:
    return System([air(send, log_height, "sender"), air(receive, log_height, "receiver")])


# ---- what is derived


def test_fibonacci() -> None:
    (table,) = System([air(fibonacci)]).tables
    assert [constraint.label for constraint in table.constraints] == [
        "starts at 1, 1 [0]",
        "starts at 1, 1 [1]",
        "moves on [0]",
        "moves on [1]",
        "ends at the result",
    ]
    assert (table.height, table.public_count, table.width(Part.MAIN)) == (8, 1, 2)
    assert table.next_columns == {Part.PREPROCESSED: (), Part.MAIN: (0, 1), Part.AUXILIARY: ()}
    assert (table.degree, table.quotient_chunks) == (2, 1)
    assert table.column_name(Part.MAIN, 1) == "b"
    assert table.column_name(Part.AUXILIARY, 0) == "auxiliary[0]"


@pytest.mark.parametrize(("degree", "chunks"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 7)])
def test_chunks_follow_from_the_degree(degree: int, chunks: int) -> None:
    (table,) = System([air(lambda t: t.every_row("power", t.main("a") ** degree))]).tables
    assert (table.degree, table.quotient_chunks) == (degree, chunks)


def test_only_used_next_rows_are_opened() -> None:
    def write(t: AirBuilder) -> None:
        a, b, fixed = t.main("a"), t.main("b"), t.preprocessed("fixed")
        t.every_row("mixes", a * fixed.next - b.next + fixed)
        _ = a.next  # written, never used

    (table,) = System([air(write)]).tables
    assert table.next_columns[Part.MAIN] == (1,)
    assert table.next_columns[Part.PREPROCESSED] == (0,)


def test_whole_next_rows_are_opened_part_by_part_and_height_by_height() -> None:
    def fixed_next(t: AirBuilder) -> None:
        a, b = t.preprocessed("a"), t.preprocessed("b")
        t.every_row("mixes", a.next * t.main("x") + b + t.main("y"))

    def main_next(t: AirBuilder) -> None:
        x, fixed = t.main_array("x", 3), t.preprocessed("fixed")
        t.every_row("moves", x[1].next - x[0] + x[2] * fixed)

    def none_next(t: AirBuilder) -> None:
        t.every_row("zero", t.main("x") * t.main("y"))

    tables = [
        air(fixed_next, 4, "fixed next"),
        air(none_next, 3, "lower"),
        air(main_next, 4, "main next"),
        air(none_next, 4, "none next"),
    ]

    def next_columns(whole_rows: bool) -> dict[str, tuple[tuple[int, ...], ...]]:
        system = System(tables, whole_rows=whole_rows)
        return {table.name: tuple(table.next_columns.values()) for table in system.tables}

    assert next_columns(False) == {
        "fixed next": ((0,), (), ()),
        "lower": ((), (), ()),
        "main next": ((), (1,), ()),
        "none next": ((), (), ()),
    }
    assert next_columns(True) == {
        "fixed next": ((0, 1), (0, 1), ()),
        "lower": ((), (), ()),
        "main next": ((0,), (0, 1, 2), ()),
        "none next": ((), (0, 1), ()),
    }


def test_whole_next_rows_of_bus_columns() -> None:
    tables = [air(sends(), 3, "sender"), air(receives(), 3, "receiver"), air(fibonacci, 3)]
    whole = System(tables, whole_rows=True)
    for table in whole.tables:
        width = table.width(Part.AUXILIARY)
        assert table.next_columns[Part.AUXILIARY] == tuple(range(width))
        assert table.next_columns[Part.MAIN] == tuple(range(table.width(Part.MAIN)))
    assert [table.width(Part.AUXILIARY) for table in whole.tables][2] == 0


def test_digests_tell_whole_next_rows() -> None:
    """Also where they change nothing, as all columns are opened on the next row anyway."""
    one, whole = System([air(fibonacci)]), System([air(fibonacci)], whole_rows=True)
    assert one.tables[0].next_columns == whole.tables[0].next_columns
    assert table_digest(one.tables[0]) == table_digest(whole.tables[0])
    assert one.digest() != whole.digest()
    assert System([air(fibonacci)], whole_rows=False).digest() == one.digest()


def test_heights_are_listed_once_largest_first() -> None:
    tables = [air(fibonacci, height, f"t{k}") for k, height in enumerate((3, 5, 3, 4))]
    assert System(tables).log_heights == (5, 4, 3)
    assert System(tables).degree == 2


# ---- what an AIR refuses


def refused(write: Eval, message: str, log_height: int = 3) -> None:
    with pytest.raises(UsageError, match=message):
        symbolic(air(write, log_height))


def test_an_air_without_constraints_is_refused() -> None:
    refused(lambda t: None, "without constraints")
    refused(lambda t: t.main("a"), "without constraints")


def test_an_air_without_main_columns_is_refused() -> None:
    refused(lambda t: t.every_row("fixed", t.preprocessed("a")), "at least one main column")


@pytest.mark.parametrize("declare", [AirBuilder.main, AirBuilder.preprocessed])
def test_an_untouched_column_is_refused(declare: Callable[[AirBuilder, str], object]) -> None:
    def write(t: AirBuilder) -> None:
        t.every_row("zero", t.main("a"))
        declare(t, "forgotten")

    refused(write, "touches column 'forgotten'")


def test_a_column_in_a_message_is_touched() -> None:
    def write(t: AirBuilder) -> None:
        t.send(PAIRS, [t.main("key"), t.main("other").next], count=t.main("count"))

    symbolic(air(write))


def test_names_and_labels_are_unique() -> None:
    def twice(declare: Callable[[AirBuilder], object]) -> Eval:
        def write(t: AirBuilder) -> None:
            declare(t)
            declare(t)

        return write

    refused(twice(lambda t: t.main("a")), "two columns are named 'a'")
    refused(twice(lambda t: t.preprocessed("a")), "two columns are named 'a'")
    refused(twice(lambda t: t.public("a")), "two public values are named 'a'")
    refused(twice(lambda t: t.every_row("same", t.is_last_row)), "labelled 'same'")
    refused(twice(lambda t: t.send(PAIRS, [1, 2], label="same")), "labelled 'same'")


@pytest.mark.parametrize("period", [0, 3, 6, 16])
def test_a_period_divides_the_height(period: int) -> None:
    refused(lambda t: t.periodic([1] * period), "period must be a power of two")


def test_a_period_may_be_the_height() -> None:
    def write(t: AirBuilder) -> None:
        t.every_row("repeats", t.main("a") - t.periodic(list(range(-4, 4))))

    assert symbolic(air(write)).periodic == [(P - 4, P - 3, P - 2, P - 1, 0, 1, 2, 3)]


@pytest.mark.parametrize("log_height", [-1, 25])
def test_heights_are_bounded(log_height: int) -> None:
    with pytest.raises(UsageError, match="log_height"):
        air(fibonacci, log_height)


def test_a_message_has_the_width_of_its_bus() -> None:
    refused(lambda t: t.send(PAIRS, [1]), "carries 2 elements, got 1")
    refused(lambda t: t.receive(PAIRS, [1, 2, 3]), "carries 2 elements, got 3")


# ---- what a system refuses


def test_a_system_needs_tables_with_unique_names() -> None:
    with pytest.raises(UsageError, match="at least one table"):
        System([])
    with pytest.raises(UsageError, match="share a name"):
        System([air(fibonacci), air(fibonacci)])


def test_a_bus_has_a_sender_and_a_receiver() -> None:
    with pytest.raises(UsageError, match="bus 'pairs' has no receiver"):
        System([air(sends())])
    with pytest.raises(UsageError, match="bus 'pairs' has no sender"):
        System([air(receives())])
    both(sends(), receives())


def test_two_buses_do_not_share_a_name() -> None:
    other = Bus("pairs", 2, per_key_bound="because")

    def write(t: AirBuilder) -> None:
        t.receive(other, t.main_array("x", 2))

    with pytest.raises(UsageError, match="two different buses"):
        both(sends(), write)


def test_a_sender_needs_a_bound() -> None:
    with pytest.raises(UsageError, match="sends on 'pairs' without a bound"):
        both(sends(bound=None), receives())
    both(sends(), receives(bound=None))


def test_counts_cannot_wrap_around() -> None:
    largest = (P - 1) // 8 - 1  # 8 rows; the receiver counts 1 a row
    both(sends(bound=largest), receives())
    with pytest.raises(UsageError, match="not below p"):
        both(sends(bound=largest + 1), receives())
    both(sends(bound=largest + 1), receives(bound=None))


def test_counts_stay_below_p_itself() -> None:
    both(sends(bound=P - 2), receives(), log_height=0)
    with pytest.raises(UsageError, match="not below p"):
        both(sends(bound=P - 1), receives(), log_height=0)


def test_a_bus_may_bound_its_counts_per_key() -> None:
    bus = Bus("keyed", 1, per_key_bound="a key occurs in one row")

    def write(t: AirBuilder) -> None:
        a = t.main("a")
        t.send(bus, [a], bound=P)
        t.receive(bus, [a], bound=P)

    System([air(write)])


# ---- digests


def digest(*writes: Eval, log_height: int = 3) -> bytes:
    return System([air(w, log_height, f"t{k}") for k, w in enumerate(writes)]).digest()


def rows(*constraints: tuple[str, int]) -> Eval:
    """Constraints a - value, labelled; the cells are always interned in the same order."""

    def write(t: AirBuilder) -> None:
        a = t.main("a")
        expressions = {value: a - value for value in (1, 2, 3)}
        for label, value in constraints:
            t.every_row(label, expressions[value])

    return write


def renamed(t: AirBuilder) -> None:
    a = t.main("b")
    for value in (1, 2):
        t.every_row("xy"[value - 1], a - value)


def publicly(*names: str) -> Eval:
    def write(t: AirBuilder) -> None:
        a = t.main("a")
        for name in names:
            t.every_row(name, a - t.public(name))

    return write


def periodically(values: Sequence[int]) -> Eval:
    return lambda t: t.every_row("repeats", t.main("a") - t.periodic(values))


def test_digests_bind_the_constraints() -> None:
    digests = [
        digest(rows(("x", 1), ("y", 2))),
        digest(rows(("y", 2), ("x", 1))),
        digest(rows(("x", 2), ("y", 1))),
        digest(rows(("x", 1))),
        digest(rows(("x", 1), ("z", 2))),
        digest(rows(("x", 1), ("y", 3))),
        digest(rows(("x", 1), ("y", 2)), log_height=4),
        digest(renamed),
        digest(publicly("x", "y")),
        digest(publicly("y", "x")),
        digest(periodically([1, 2])),
        digest(periodically([2, 1])),
        digest(periodically([1, 2, 1, 2])),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(rows(("x", 1), ("y", 2))) == digests[0]


def test_digests_bind_selectors_and_rows() -> None:
    def on(rows: str, offset: int) -> Eval:
        def write(t: AirBuilder) -> None:
            a = t.main("a")
            getattr(t, rows)("zero", a.next if offset else a)

        return write

    kinds = ("every_row", "first_row", "last_row", "transition")
    digests = {digest(on(kind, offset)) for kind in kinds for offset in (0, 1)}
    assert len(digests) == 8


def test_digests_bind_buses() -> None:
    def pair(
        bus: Bus = PAIRS, swapped: bool = False, count: int = 1, turned: bool = False
    ) -> System:
        def left(t: AirBuilder) -> None:
            x, y = t.main_array("x", 2)
            message = t.receive if turned else t.send
            message(bus, [y, x] if swapped else [x, y], count=count, bound=2)

        def right(t: AirBuilder) -> None:
            (t.send if turned else t.receive)(bus, t.main_array("x", 2))

        return both(left, right)

    systems = [
        pair(),
        pair(bus=Bus("others", 2)),
        pair(swapped=True),
        pair(count=2),
        pair(turned=True),
    ]
    assert len({system.digest() for system in systems}) == len(systems)


def test_the_order_of_tables_is_bound() -> None:
    tables = [air(fibonacci, 3, "one"), air(fibonacci, 3, "two")]
    assert System(tables).digest() != System(tables[::-1]).digest()
    one, two = System(tables).tables
    assert table_digest(one) != table_digest(two)
