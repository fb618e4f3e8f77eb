"""Wrong traces, proven honestly: constraints on all rows, on the first, the last, between rows.

Items of group J, and G8 and G9, of ``tests/vectors/negative_tests.json``, on small systems; those
of the statement itself are in ``tests/air``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from support.cheating import (
    ForeignProver,
    case,
    configured,
    fibonacci_case,
    products_case,
    refused,
    without_constraint,
)
from support.checks import check, check_equal
from support.forged_traces import (
    FIBONACCI,
    broken_fibonacci,
    broken_products,
    failing_labels,
    fibonacci_from,
)
from support.systems import Example

from stark.constraints.air import Air, AirBuilder
from stark.errors import Code
from stark.field.koalabear import P
from stark.system import System


@pytest.mark.parametrize("label", FIBONACCI)
def test_every_constraint_of_fibonacci_holds_alone(label: str) -> None:
    traces, result = broken_fibonacci()[label]
    one = fibonacci_case()
    publics = {"fibonacci": result or one.publics["fibonacci"]}
    check_equal(failing_labels(one.example.system, traces, publics), {label})
    proof = one.prove(traces=traces, publics=publics)
    refused(one, proof, Code.OOD, publics=publics)
    # Without the constraint the same witness is proven and accepted.
    weaker = without_constraint(one.example.system, "fibonacci", label)
    twin = case(Example(weaker, traces, publics), one.key.verification.parameters)
    twin.verify(twin.prove())


def test_last_row_and_first_row_are_not_joined_by_a_transition() -> None:
    # G8, J8: the honest trace breaks "moves on" on the wrap row alone, and is accepted ...
    one = fibonacci_case()
    trace = one.example.traces["fibonacci"]
    check(trace["a"][0] != trace["b"][-1], "the wrap row breaks the recurrence")
    one.verify(one.honest())
    # ... while any other row counts: the first, one in the middle, the last but one.
    for row in (0, 31, 62):
        kinks = {row + 1: (trace["a"][row + 1], trace["b"][row + 1] + 1)}
        broken = fibonacci_from(1, 1, 64, kinks)
        publics = {"fibonacci": [broken["fibonacci"]["b"][-1]]}
        refused(one, one.prove(traces=broken, publics=publics), Code.OOD, publics=publics)


class Cyclic(Air):
    """Fibonacci with the selectors of the first and the last row exchanged, or none at all."""

    name = "fibonacci"

    def __init__(self, log_height: int, swapped: bool) -> None:
        super().__init__(log_height)
        self.swapped = swapped

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        result = t.public("result")
        first, last = (t.last_row, t.first_row) if self.swapped else (t.first_row, t.last_row)
        first("starts at 1, 1", a - 1, b - 1)
        t.transition("moves on", a.next - b, b.next - (a + b))
        last("ends at the result", b - result)


def test_first_and_last_row_selectors_swapped() -> None:
    # G9: a trace that ends where it should start, proven with exchanged selectors.
    one = fibonacci_case()
    backwards = [1, 1]
    while len(backwards) < 65:
        backwards.append((backwards[-2] - backwards[-1]) % P)
    pairs = list(zip(backwards[1:], backwards, strict=False))[::-1]
    traces = {"fibonacci": {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}}
    publics = {"fibonacci": [traces["fibonacci"]["b"][0]]}
    twin = case(
        Example(System([Cyclic(6, swapped=True)]), traces, publics),
        one.key.verification.parameters,
    )
    twin.verify(twin.prove())
    lying = configured(ForeignProver, claimed=one.key.verification)
    refused(one, twin.prove(lying), Code.OOD, publics=publics)
    honest_order = case(
        Example(System([Cyclic(6, swapped=False)]), one.example.traces, one.publics),
        one.key.verification.parameters,
    )
    check_equal(honest_order.key.verification.digest, one.key.verification.digest)


@pytest.mark.parametrize("name", list(broken_products()))
def test_every_constraint_of_products_holds(name: str) -> None:
    table, traces, values, labels = broken_products()[name]
    one = products_case()
    publics = {"work": values}
    check_equal(failing_labels(one.example.system, traces, publics), labels)
    proof = one.prove(traces=traces, publics=publics)
    rejection = refused(one, proof, Code.OOD, publics=publics)
    check(table in rejection.check, rejection.check)
    # Without the constraint the same witness is proven and accepted.
    weaker = without_constraint(one.example.system, table, *labels)
    twin = case(Example(weaker, traces, publics), one.key.verification.parameters)
    twin.verify(twin.prove())


def test_position_is_preprocessed_not_chosen() -> None:
    # "position starts at zero" concerns a fixed column alone: another column is another key.
    one = products_case()

    class Elsewhere(type(one.example.system.tables[0].air)):  # type: ignore[misc]
        def preprocessed(self) -> Mapping[str, Sequence[int]]:
            return {"position": [*range(1, 32), 31]}

    airs = [Elsewhere(5), *(table.air for table in one.example.system.tables[1:])]
    twin = case(
        Example(System(airs), one.example.traces, one.publics), one.key.verification.parameters
    )
    check_equal(twin.rejection(twin.prove()).code, Code.OOD)
    check_equal(one.rejection(twin.prove()).code, Code.VK)
    lying = configured(ForeignProver, claimed=one.key.verification)
    # The openings of the fixed columns are checked against the key's root.
    check_equal(one.rejection(twin.prove(lying)).code, Code.OOD)
