"""Small inner systems of many kinds: whatever a circuit does differently, one of them has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.field.koalabear import P
from stark.system import System
from support.recursion_inner import Recursion, algebraic, inner_case
from support.systems import Example, fibonacci, products

PAIRS = Bus("pairs", width=2)


class Pairs(Air):
    """Numbers with their squares, beside fixed columns; which are used on the next row is chosen.

    Parameters
    ----------
    sends
        Whether the pairs are sent, received, or (``None``) neither.
    fixed_next, main_next
        Whether fixed columns and columns of the trace are used on the next row.
    """

    def __init__(
        self, name: str, log_height: int, sends: bool | None, fixed_next: bool, main_next: bool
    ) -> None:
        super().__init__(log_height)
        self.name = name
        self.sends = sends
        self.fixed_next = fixed_next
        self.main_next = main_next

    def eval(self, t: AirBuilder) -> None:
        row, double = t.preprocessed("row"), t.preprocessed("double")
        number, square = t.main("number"), t.main("square")
        t.every_row("square", square - number * number)
        t.every_row("double", double - row - row)
        if self.fixed_next:
            t.transition("rows are counted", row.next - row - 1)
        if self.main_next:
            step = 1 if self.sends is not False else -1
            t.transition("numbers are counted", number.next - number - step)
        if self.sends is not None:
            exchange = t.send if self.sends else t.receive
            exchange(PAIRS, [number, square], label="pairs")

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        rows = range(1 << self.log_height)
        return {"row": rows, "double": [2 * row for row in rows]}


class Publics(Air):
    """Multiples of one number, in public."""

    name = "publics"

    def __init__(self, log_height: int, count: int) -> None:
        super().__init__(log_height)
        self.count = count

    def eval(self, t: AirBuilder) -> None:
        number = t.main("number")
        values = t.public_array("multiple", self.count)
        t.first_row("multiples", *(number * (k + 1) - v for k, v in enumerate(values)))
        t.transition("stays", number.next - number)


class Periodic(Air):
    """A column that is the sum of periodic ones."""

    name = "periodic"

    def eval(self, t: AirBuilder) -> None:
        total, *columns = (t.periodic(column) for column in self.periods())
        for column in columns:
            total = total + column
        t.every_row("total", t.main("total") - total)

    def periods(self) -> list[list[int]]:
        return [
            [(k * k + 3 * k + 7 + length) % P for k in range(length)]
            for length in (1, 2, 4, 1 << self.log_height)
        ]

    def trace(self) -> dict[str, list[int]]:
        rows = range(1 << self.log_height)
        return {"total": [sum(c[row % len(c)] for c in self.periods()) for row in rows]}


def pairs(
    log_height: int = 4, *, bus: bool = True, fixed_next: bool = False, main_next: bool = False
) -> Example:
    """Two tables of one height that exchange pairs, or one without a bus."""
    rows = range(1 << log_height)
    numbers = [3 + row for row in rows]
    own = {"number": numbers, "square": [n * n for n in numbers]}
    other = {name: column[::-1] for name, column in own.items()}
    if not bus:
        return Example(
            System([Pairs("sender", log_height, None, fixed_next, main_next)]), {"sender": own}, {}
        )
    tables = [
        Pairs("sender", log_height, True, fixed_next, main_next),
        Pairs("receiver", log_height, False, fixed_next, main_next),
    ]
    return Example(System(tables), {"sender": own, "receiver": other}, {})


def publics(count: int, log_height: int = 3) -> Example:
    number = 1234567
    return Example(
        System([Publics(log_height, count)]),
        {"publics": {"number": [number] * (1 << log_height)}},
        {"publics": [number * (k + 1) % P for k in range(count)]},
    )


def periodic(log_height: int = 4) -> Example:
    air = Periodic(log_height)
    return Example(System([air]), {"periodic": air.trace()}, {})


def joined(*examples: Example) -> Example:
    """Their tables, in one system."""
    return Example(
        System([table.air for one in examples for table in one.system.tables]),
        {name: trace for one in examples for name, trace in one.traces.items()},
        {name: values for one in examples for name, values in one.publics.items()},
    )


ZK = {"zk": True, "log_slack": 3, "log_blowup": 3}
WORK = {
    "grinding_lookup": 1,
    "grinding_ali": 2,
    "grinding_deep": 3,
    "grinding_batching": 4,
    "grinding_fold": 5,
    "grinding_query": 6,
}
"""At every site, another number of bits each."""

KINDS: Mapping[str, tuple[Callable[[], Example], Mapping[str, Any]]] = {
    "one table": (lambda: fibonacci(6), {}),
    "a table of two rows": (lambda: fibonacci(1), {"log_final_length": 0}),
    "one row": (lambda: publics(3, 0), {"log_final_length": 0}),
    "one row beside others": (lambda: joined(publics(3, 0), products()), {"log_final_length": 0}),
    "no layer": (lambda: fibonacci(2), {}),
    "no layer of several tables": (lambda: joined(pairs(2), fibonacci(2)), {}),
    "folds of two": (lambda: fibonacci(5), {"log_max_arity": 1}),
    "folds of four": (lambda: fibonacci(6), {"log_max_arity": 2}),
    "folds of eight down to a constant": (lambda: fibonacci(6), {"log_final_length": 0}),
    "three heights": (products, {}),
    "three heights, folds of two": (products, {"log_max_arity": 1}),
    "two tables at final length": (lambda: joined(products(), pairs(4)), {"log_final_length": 4}),
    "largest without bus and fixed columns": (lambda: joined(products(), fibonacci(10)), {}),
    "smallest without bus and fixed columns": (lambda: joined(products(), fibonacci(3)), {}),
    "equal heights": (lambda: joined(pairs(4), periodic(4), fibonacci(4), publics(3, 4)), {}),
    "fixed columns on the next row": (lambda: pairs(fixed_next=True), {}),
    "all columns on the next row": (lambda: pairs(fixed_next=True, main_next=True), {}),
    "fixed columns alone on the next row": (lambda: pairs(bus=False, fixed_next=True), {}),
    "nothing on the next row": (lambda: pairs(bus=False), {}),
    "periodic columns": (periodic, {}),
    "five public values": (lambda: publics(5), {"queries": 2}),
    "eight public values": (lambda: publics(8), {}),
    "nine public values": (lambda: publics(9), {}),
    "a hundred public values": (lambda: publics(100, 2), {}),
    "many public values": (lambda: joined(publics(19), fibonacci(4), products()), {}),
    "caps as high as the smallest tree": (products, {"cap_height": 10}),
    "caps as high as the only tree": (lambda: fibonacci(3), {"cap_height": 10}),
    "roots": (products, {"cap_height": 0}),
    "blowup of two": (lambda: fibonacci(4), {"log_blowup": 1}),
    "blowup of 32": (lambda: fibonacci(3), {"log_blowup": 5}),
    "a hundred queries": (lambda: fibonacci(4), {"queries": 100}),
    "queries everywhere": (lambda: fibonacci(3), {"queries": 40}),
    "one query": (products, {"queries": 1}),
    "six queries": (products, {"queries": 6}),
    "work": (products, WORK),
    "work without a bus": (lambda: fibonacci(2), WORK),
    "masks": (products, ZK),
    "masks and work": (products, ZK | WORK),
    "masks of one table": (lambda: fibonacci(6), ZK),
    "masks without a layer": (lambda: fibonacci(4), ZK | {"log_final_length": 4}),
    "masks under a high cap": (lambda: joined(pairs(4), products()), ZK | {"cap_height": 10}),
    "masks, largest without bus": (lambda: joined(products(), fibonacci(9)), ZK),
}
"""By name: an example, and parameters."""


@cache
def recursion(name: str) -> Recursion:
    example, changes = KINDS[name]
    return Recursion(inner_case(example(), algebraic(**changes)))
