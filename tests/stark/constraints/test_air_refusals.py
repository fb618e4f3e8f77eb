"""What is wrong with an AIR is refused where it is written, each with its own words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stark.constraints.air import Air, AirBuilder, symbolic
from stark.constraints.bus import Bus
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.system import System

Eval = Callable[[AirBuilder], None]
PAIRS = Bus("pairs", 2)


def air(write: Eval) -> Air:
    class Written(Air):
        name = "table"

        def eval(self, t: AirBuilder) -> None:
            write(t)

    return Written(3)


def foreign() -> object:
    """A column of another table."""
    return AirBuilder("other", 3).main("x")


def no_expression(t: AirBuilder) -> None:
    t.main("x")
    t.every_row("nothing")


def no_column(t: AirBuilder) -> None:
    t.every_row("x is boolean", t.main("x") * (t.main("y") - 1))
    t.every_row("a value alone", t.public("value") - 3)


def another_table(t: AirBuilder) -> None:
    t.every_row("of two tables", foreign())  # type: ignore[arg-type]


def no_expression_at_all(t: AirBuilder) -> None:
    t.every_row("a text", "x")  # type: ignore[arg-type]


def truth_value(t: AirBuilder) -> None:
    x = t.main("x")
    t.every_row("compared instead of subtracted", x == 1)  # type: ignore[arg-type]


def message_of_another_table(t: AirBuilder) -> None:
    t.send(PAIRS, [t.main("x"), foreign()])  # type: ignore[list-item]


def count_of_another_table(t: AirBuilder) -> None:
    t.send(PAIRS, t.main_array("x", 2), count=foreign())  # type: ignore[arg-type]


def no_count(t: AirBuilder) -> None:
    t.send(PAIRS, t.main_array("x", 2), count=())


def negative_bound(t: AirBuilder) -> None:
    t.send(PAIRS, t.main_array("x", 2), count=t.main("count"), bound=-1)


def count_beyond_its_bound(t: AirBuilder) -> None:
    t.send(PAIRS, t.main_array("x", 2), count=4, bound=3)


def negative_count_beyond_its_bound(t: AirBuilder) -> None:
    t.send(PAIRS, t.main_array("x", 2), count=(1, -4), bound=3)


def untouched_value(t: AirBuilder) -> None:
    used, _ = t.public("used"), t.public("unused")
    t.every_row("x is the value", t.main("x") - used)


def untouched_period(t: AirBuilder) -> None:
    used, _ = t.periodic([0, 1]), t.periodic([1, 2])
    t.every_row("x is the parity", t.main("x") - used)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (no_expression, "'nothing' constrains nothing"),
        (no_column, "'a value alone' is about no column"),
        (another_table, "'of two tables' uses something that is no expression of this table"),
        (no_expression_at_all, "'a text' uses something that is no expression of this table"),
        (truth_value, "'compared instead of subtracted' uses something that is no expression"),
        (message_of_another_table, "'pairs 0' uses something that is no expression of this table"),
        (count_of_another_table, "'pairs 0' uses something that is no expression of this table"),
        (no_count, "'pairs 0' counts nothing"),
        (negative_bound, "'pairs 0' has the negative bound -1"),
        (count_beyond_its_bound, "'pairs 0' counts 4, beyond its bound"),
        (negative_count_beyond_its_bound, "'pairs 0' counts -4, beyond its bound"),
        (untouched_value, "touches public value 'unused'"),
        (untouched_period, "touches periodic column 1"),
    ],
)
def test_refused(write: Eval, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        symbolic(air(write))


def test_a_count_may_be_its_bound_and_a_bound_zero() -> None:
    def write(t: AirBuilder) -> None:
        t.send(PAIRS, t.main_array("x", 2), count=(3, -3), bound=3)
        t.receive(PAIRS, t.main_array("y", 2), count=0, bound=0)
        t.receive(PAIRS, t.main_array("z", 2), count=10, bound=None)

    assert len(symbolic(air(write)).interactions) == 3


def test_counts_of_two_buses_are_not_added() -> None:
    # 8 rows with counts of up to p / 12 each: two thirds of p on either bus, more on both.
    buses = [Bus("left", 1), Bus("right", 1)]
    bound = P // 12

    class Sender(Air):
        name = "sender"

        def eval(self, t: AirBuilder) -> None:
            for bus in buses:
                t.send(bus, [t.main(bus.name)], count=t.main(f"{bus.name} count"), bound=bound)

    class Receiver(Air):
        name = "receiver"

        def eval(self, t: AirBuilder) -> None:
            for bus in buses:
                value, count = t.main(bus.name), t.main(f"{bus.name} count")
                t.receive(bus, [value], count=count, bound=None)

    assert 8 * bound < P <= 2 * 8 * bound
    assert len(System([Sender(3), Receiver(3)]).buses) == 2
