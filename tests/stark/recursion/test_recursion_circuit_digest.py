"""A circuit's digest names all of it, and its tables refuse what does not fit."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest
from support.recursion_systems import KINDS, recursion

from stark.errors import UsageError
from stark.recursion.circuit import Circuit
from stark.recursion.system import circuit_system, fitted_shape


def circuit() -> Circuit:
    return recursion(next(iter(KINDS))).circuit


def test_every_part_is_in_the_digest() -> None:
    one = circuit()
    steps = array("q", one.steps)
    steps[-1] += 1
    column = array("q", one.arithmetic["q0"])
    column[0] ^= 1
    # Equal values under other names, and an equal sequence of values cut otherwise.
    names = list(one.arithmetic)
    swapped = dict(zip([names[1], names[0], *names[2:]], one.arithmetic.values(), strict=True))
    others = [
        replace(one, steps=steps),
        replace(one, arithmetic={**one.arithmetic, "q0": column}),
        replace(one, arithmetic=swapped),
        replace(one, hint_count=one.hint_count + 1),
        replace(one, wire_count=one.wire_count + 1),
        replace(one, digest_count=one.digest_count + 1),
        replace(one, cap_heights={**one.cap_heights, 1 << 20: 0}),
        replace(one, widths=(*one.widths, 30)),
        replace(one, log_order=one.log_order + 1),
    ]
    digests = {one.digest, *(other.digest for other in others)}
    assert len(digests) == 1 + len(others)
    assert replace(one, labels=()).digest == one.digest


def test_a_circuit_of_other_bits_than_its_shape() -> None:
    one = circuit()
    shape = fitted_shape(one)
    for wrong in (
        replace(shape, widths=(*shape.widths, 30)),
        replace(shape, log_order=shape.log_order + 1),
    ):
        with pytest.raises(UsageError, match="takes other bits than its shape"):
            circuit_system(wrong, zk=False, whole_rows=True, circuit=one)


@pytest.mark.parametrize("field", ["log_arithmetic", "log_decompositions"])
def test_a_circuit_that_does_not_fit_its_shape(field: str) -> None:
    one = circuit()
    shape = replace(fitted_shape(one), **{field: 1})
    with pytest.raises(UsageError, match="rows do not fit 2\\^1"):
        circuit_system(shape, zk=False, whole_rows=True, circuit=one)
