"""Wrong traces of the small systems: each breaks one constraint, or one bus, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stark.constraints.expression import Part
from stark.debug.faults import BusFault, ConstraintFault, faults
from stark.field.koalabear import P
from stark.system import System
from stark.verifier.verify import PublicValues
from support.cheating import altered, fibonacci_case, products_case
from support.systems import Columns

FIBONACCI = (
    "starts at 1, 1 [0]",
    "starts at 1, 1 [1]",
    "moves on [0]",
    "moves on [1]",
    "ends at the result",
)
"""Labels of all its constraints."""


def fibonacci_from(a: int, b: int, length: int, kinks: Mapping[int, tuple[int, int]]) -> Columns:
    """A trace of the recurrence whose pair is replaced on some rows."""
    first, second = [], []
    for row in range(length):
        a, b = kinks.get(row, (a, b))
        first.append(a)
        second.append(b)
        a, b = b, (a + b) % P
    return {"fibonacci": {"a": first, "b": second}}


def broken_fibonacci() -> dict[str, tuple[Columns, list[int] | None]]:
    """By label: a trace that breaks one constraint alone, and its public value if another."""
    honest = fibonacci_case().example.traces["fibonacci"]
    a, b = honest["a"], honest["b"]
    result: dict[str, tuple[Columns, list[int] | None]] = {}
    for label, start in (("starts at 1, 1 [0]", (2, 1)), ("starts at 1, 1 [1]", (1, 2))):
        trace = fibonacci_from(*start, 64, {})
        result[label] = (trace, [trace["fibonacci"]["b"][-1]])
    for label, row in (("moves on [0]", 1), ("moves on [1]", 1)):
        pair = (a[row] + 1, b[row]) if label.endswith("[0]") else (a[row], b[row] + 1)
        trace = fibonacci_from(1, 1, 64, {row: pair})
        result[label] = (trace, [trace["fibonacci"]["b"][-1]])
    result["ends at the result"] = (dict(fibonacci_case().example.traces), [b[-1] + 1])
    return result


def failing_labels(system: System, traces: Columns, publics: PublicValues) -> set[str]:
    """Labels of the constraints, and names of the buses, that a witness breaks."""
    arrays = {
        table.name: np.stack(
            [np.array(traces[table.name][name]) for name in table.symbolic.columns[Part.MAIN]],
            axis=1,
        )
        for table in system.tables
    }
    found = set()
    for fault in faults(system, arrays, publics):
        if isinstance(fault, ConstraintFault):
            found.add(fault.label)
        if isinstance(fault, BusFault):
            found.add(fault.bus)
    return found


def work_row(columns: Columns, row: int, **values: int) -> Columns:
    for column, value in values.items():
        columns = altered(columns, "work", column, row, value)
    return columns


def recount(columns: Columns) -> Columns:
    """The traces with the multiplicities that the work table needs."""
    work = columns["work"]
    used = list(work["x"])
    for y, real in zip(work["y"], work["real"], strict=True):
        used += [y] * real
    counts = [used.count(value) for value in range(256)]
    return {**columns, "byte table": {"multiplicity": counts}}


def broken_products() -> dict[str, tuple[str, Columns, list[int], set[str]]]:
    """By name: table, traces, public values of ``work``, and the labels that break."""
    one = products_case()
    honest, publics = one.example.traces, one.publics["work"]
    work = honest["work"]
    result: dict[str, tuple[str, Columns, list[int], set[str]]] = {}

    # The last real row sends its product twice, and two rows of the ledger receive it.
    twice = work_row(honest, 10, real=2)
    for name in ("x", "y", "z"):
        twice = altered(twice, "ledger", name, 11, work[name][10])
    twice = recount(altered(twice, "ledger", "real", 11, 1))
    result["real is boolean"] = ("work", twice, publics, {"real is boolean"})

    wrong = work_row(honest, 20, z=work["z"][20] + 1)
    result["z is the product"] = ("work", wrong, publics, {"z is the product"})

    wrong = work_row(honest, 5, power=work["power"][5] + 1)
    result["power is x^4 on odd rows, 0 on even ones"] = (
        "work",
        wrong,
        publics,
        {"power is x^4 on odd rows, 0 on even ones"},
    )
    result["first product"] = ("work", honest, [publics[0] + 1, publics[1]], {"first product"})
    result["last position"] = ("work", honest, [publics[0], publics[1] + 1], {"last position"})

    # Row 10 and row 11 change places as far as being real goes.
    swapped = {name: list(column) for name, column in work.items()}
    for name in ("x", "y", "z"):
        swapped[name][10], swapped[name][11] = work[name][11], work[name][10]
    swapped["real"][10], swapped["real"][11] = 0, 1
    swapped["power"] = [pow(x, 4, P) * (i % 2) for i, x in enumerate(swapped["x"])]
    moved = recount({**honest, "work": swapped})
    result["real rows come first"] = ("work", moved, publics, {"real rows come first"})

    # Two equal products are received by one row of the ledger.
    equal = work_row(honest, 10, **{name: work[name][9] for name in ("x", "y", "z")})
    equal = recount(work_row(equal, 10, power=0))
    ledger = equal["ledger"]
    gone, kept = (
        next(row for row in range(11) if ledger["x"][row] == work["x"][source])
        for source in (10, 9)
    )
    equal = altered(altered(equal, "ledger", "real", gone, 0), "ledger", "real", kept, 2)
    result["real is boolean in the ledger"] = ("ledger", equal, publics, {"real is boolean"})
    return result


def bus_forgeries() -> dict[str, Columns]:
    honest = products_case().example.traces
    work, ledger = honest["work"], honest["ledger"]
    counts = honest["byte table"]["multiplicity"]
    x = work["x"]
    outside = work_row(honest, 20, x=256, z=256 * work["y"][20], power=0)
    negative = work_row(honest, 20, x=P - 1, z=P - work["y"][20], power=0)
    missing = {**honest, "byte table": {"multiplicity": [*counts[:-1], counts[-1] + 1]}}
    fewer = altered(honest, "byte table", "multiplicity", x[0], counts[x[0]] - 1)
    other = altered(honest, "ledger", "z", 0, ledger["z"][0] + 1)
    dropped = altered(honest, "ledger", "real", 0, 0)
    added = altered(honest, "ledger", "real", 15, 1)
    hidden = work_row(honest, 10, real=0)
    doubled = {name: list(column) for name, column in ledger.items()}
    for name in doubled:
        doubled[name][1] = doubled[name][0]
    # Moves a look-up to another entry, of which p - 1 are then taken: a negative multiplicity.
    borrowed = altered(fewer, "byte table", "multiplicity", 255, counts[255] + 1)
    return {
        "value 256 is no byte": recount(outside),
        "value -1 is no byte": recount(negative),
        "I2 an extra receive": missing,
        "a receive too few": fewer,
        "another product received": other,
        "a product not received": dropped,
        "I7 a padding row received": added,
        "a real row that does not send": recount(hidden),
        "one product received twice for two": {**honest, "ledger": doubled},
        "I10 an entry taken for another": borrowed,
    }
