"""Signed buses, and constraints over the extension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.debug.faults import BusFault, ConstraintFault, faults
from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.system import System

SIGNED = Bus("values", 1, "every value is sent on three rows", signed=True)
PLAIN = Bus("values", 1, "every value is sent on three rows")


class Sender(Air):
    """Sends x with the count of its row."""

    name = "sender"

    def __init__(self, bus: Bus, twice: bool = False) -> None:
        super().__init__(2)
        self.bus = bus
        self.twice = twice

    def eval(self, t: AirBuilder) -> None:
        x, count = t.main("x"), t.preprocessed("count")
        t.send(self.bus, [x], count=count, bound=None, label="x")
        if self.twice:
            t.receive(self.bus, [x], count=count, bound=None, label="x again")

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"count": [2, P - 1, P - 1, 0]}


def test_a_signed_bus_says_why_its_counts_cannot_wrap() -> None:
    with pytest.raises(UsageError):
        Bus("values", 1, signed=True)


def test_a_signed_bus_has_no_receivers() -> None:
    System([Sender(SIGNED)])
    with pytest.raises(UsageError):
        System([Sender(PLAIN)])
    with pytest.raises(UsageError):
        System([Sender(SIGNED, twice=True)])
    System([Sender(PLAIN, twice=True)])


def test_counts_carry_their_sign() -> None:
    system = System([Sender(SIGNED)])
    assert faults(system, {"sender": np.array([[7], [7], [7], [1]])}, {}) == []
    found = faults(system, {"sender": np.array([[7], [7], [8], [1]])}, {})
    totals = {(f.values, f.total) for f in found if isinstance(f, BusFault)}
    assert totals == {((7,), 1), ((8,), P - 1)}


class Pair(Air):
    """Two buses, with two messages each."""

    name = "pair"

    def __init__(self, first: bool, second: bool) -> None:
        super().__init__(2)
        self.buses = (
            Bus("first", 1, "few", signed=first),
            Bus("second", 1, "few", signed=second),
        )

    def eval(self, t: AirBuilder) -> None:
        x = t.main("x")
        for bus in self.buses:
            t.send(bus, [x], label=f"{bus.name} sent")
            if bus.signed:
                # The fraction of a received message.
                t.send(bus, [x], count=t.constant(0) - 1, label=f"{bus.name} received")
            else:
                t.receive(bus, [x], label=f"{bus.name} received")


def test_the_digest_says_which_buses_are_signed() -> None:
    digests = {System([Pair(a, b)]).digest() for a in (False, True) for b in (False, True)}
    assert len(digests) == 4


class Product(Air):
    """c = a b in the extension, and not on the last row."""

    name = "product"

    def eval(self, t: AirBuilder) -> None:
        a, b, c = (t.extension(t.main_array(name, 5)) for name in "abc")
        t.transition("c is the product", 2 * (a * b) - (c + c) + 3 * t.constant(0))


elements = st.tuples(*[st.sampled_from([0, 1, P - 1]) | st.integers(0, P - 1)] * 5)


@settings(max_examples=30, deadline=None)
@given(elements, elements)
def test_constraints_over_the_extension(a: Element, b: Element) -> None:
    system = System([Product(1)])
    row = [*a, *b, *ext.multiply(a, b)]
    assert faults(system, {"product": np.array([row, [1] * 15])}, {}) == []
    for k in range(5):
        wrong = list(row)
        wrong[10 + k] = (wrong[10 + k] + 1) % P
        (fault,) = faults(system, {"product": np.array([wrong, row])}, {})
        assert isinstance(fault, ConstraintFault)
        assert (fault.row, fault.value) == (0, P - 2)


@pytest.mark.parametrize("count", [0, 4, 6])
def test_an_element_has_five_cells(count: int) -> None:
    builder = AirBuilder("x", 2)
    with pytest.raises(UsageError):
        builder.extension(builder.main_array("a", count))


def test_messages_hold_base_elements() -> None:
    builder = AirBuilder("x", 2)
    element = builder.extension(builder.main_array("a", 5))
    with pytest.raises(UsageError):
        builder.send(SIGNED, [element], label="element")
    with pytest.raises(UsageError):
        builder.send(SIGNED, [1], count=element, label="count")
