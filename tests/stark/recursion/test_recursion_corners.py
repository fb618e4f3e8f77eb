"""Values that transcripts all but never give: points in domains, inverses of zero, aliases.

Small circuits, written by hand, take them as the prover's choice. Where a step of the program would
not even try, the cells of the tables are set by hand, and their constraints say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cheating import LyingInWork, configured
from support.mutations import ProofMap, overwritten
from support.recursion_inner import inner_case
from support.recursion_systems import recursion
from support.systems import fibonacci

from stark.constraints.expression import Part
from stark.debug.faults import BusFault, ConstraintFault, faults
from stark.errors import Rejected
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import GENERATOR, P, inverse, root_of_unity
from stark.field.montgomery import from_montgomery
from stark.recursion import reference
from stark.recursion.builder import WRITES, CircuitBuilder, Wire
from stark.recursion.circuit import Capacity, Circuit, Rate
from stark.recursion.deep import HeightDeep
from stark.recursion.folds import begin_fold, low_bits
from stark.recursion.out_of_domain import check_zeta
from stark.recursion.system import circuit_system, fitted_shape
from stark.recursion.unsatisfied import Unsatisfied
from stark.recursion.verifier import taken_widths
from stark.recursion.witness import WitnessGenerator
from stark.verifier.layout import TableLayout, Tree

LOG_ORDER = 8
WIDTHS = (3, 8)
A, B, D = 0, 5, 15
"""First cells of operands in a row of the arithmetic table."""

FRONT = {f"zero {lane}": 1 for lane in range(3)}
EDGES = [0, 1, 2, P - 1, P - 2, 1 << 24, (1 << 24) - 1, 127 << 24, (127 << 24) - 1]


class Small:
    """A builder whose wires the prover chooses."""

    def __init__(self) -> None:
        self.builder = CircuitBuilder(LOG_ORDER, WIDTHS)
        self.hints: list[int] = []

    def wire(self, value: Element | int) -> Wire:
        element = ext.from_base(value) if isinstance(value, int) else value
        builder = self.builder
        result = builder.wires.fresh()
        builder.hints(5)
        builder.permute(
            *(Rate.HINTS, 5, Capacity.ZERO),
            fixed={"straight": 1, "wire address": result, "wire count": WRITES, "wire x": 1}
            | FRONT,
        )
        self.hints += element
        return result

    def finish(self) -> Circuit:
        digest = self.builder.digest_hint()
        self.hints += [0] * 8
        return self.builder.finish([digest], 1)


def satisfied(write: Callable[[Small], Any]) -> bool:
    """Whether plain execution and the kernel end; they must agree."""
    small = Small()
    write(small)
    circuit = small.finish()
    generator = WitnessGenerator(circuit, fitted_shape(circuit).log_heights)
    ends = []
    for run in (
        lambda: reference.run(circuit, small.hints),
        lambda: generator.run(np.array(small.hints, np.uint32)),
    ):
        try:
            run()
            ends.append(True)
        except Unsatisfied:
            ends.append(False)
    assert ends[0] == ends[1]
    return ends[0]


class Cells:
    """The witness of a small circuit, to be changed; what its tables say of it."""

    def __init__(self, write: Callable[[Small], Any]) -> None:
        small = Small()
        write(small)
        self.circuit = small.finish()
        shape = fitted_shape(self.circuit)
        witness = WitnessGenerator(self.circuit, shape.log_heights).run(
            np.array(small.hints, np.uint32)
        )
        self.system = circuit_system(shape, zk=False, whole_rows=False, circuit=self.circuit)
        self.public = list(witness.public)
        self.names = {
            table.name: list(table.symbolic.columns[Part.MAIN]) for table in self.system.tables
        }
        self.traces: dict[str, NDArray[np.int64]] = {
            name: from_montgomery(witness.traces[name].matrix)[:, : len(columns)].astype(np.int64)
            for name, columns in self.names.items()
        }

    def broken(self) -> set[str]:
        """Labels of constraints and names of buses."""
        found = set()
        for fault in faults(self.system, self.traces, {"permutation": self.public}):
            if isinstance(fault, ConstraintFault):
                found.add(fault.label)
            if isinstance(fault, BusFault):
                found.add(fault.bus)
        return found


# ---- points


@pytest.mark.parametrize(("log_height", "log_blowup"), [(1, 1), (3, 2), (5, 3), (6, 2)])
def test_zeta_in_a_domain(log_height: int, log_blowup: int) -> None:
    def checked(zeta: Element) -> bool:
        return satisfied(
            lambda small: check_zeta(small.builder, small.wire(zeta), log_height, log_blowup)
        )

    for smaller in range(log_height + 1):
        root = root_of_unity(smaller)
        assert not checked(ext.from_base(root))
        assert not checked(ext.from_base(inverse(root)))
        shifted = GENERATOR * root_of_unity(smaller + log_blowup) % P
        assert not checked(ext.from_base(shifted))
        # 3^2 / (3 w) = 3 w^-1.
        assert not checked(ext.from_base(GENERATOR * GENERATOR * inverse(shifted) % P))
    # Of the next larger domains, of no domain, and none of the base field.
    for zeta in (
        ext.from_base(root_of_unity(log_height + 1)),
        ext.from_base(GENERATOR * root_of_unity(log_height + log_blowup + 1) % P),
        ext.from_base(5),
        ext.ZERO,
        ext.BASIS[1],
        (root_of_unity(log_height), 0, 0, 0, 1),
    ):
        assert checked(zeta)


@pytest.mark.parametrize("next_row", [False, True])
def test_a_query_at_an_opening_point(next_row: bool) -> None:
    table = fibonacci(6).system.tables[0]
    layout = TableLayout.of(table)
    root = root_of_unity(6)
    place = root_of_unity(LOG_ORDER) ** 7 % P

    def deep(zeta: Element) -> bool:
        def write(small: Small) -> None:
            opened = [small.wire((k, 1, 2, 3, 4)) for k in range(layout.value_count)]
            deep = HeightDeep.of(
                *(small.builder, [table], {table.name: opened}),
                *(small.wire((3, 1, 4, 1, 5)), small.wire(zeta)),
            )
            sums = {Tree.MAIN: small.wire((9, 9, 9, 9, 9)), Tree.QUOTIENT: small.wire(8)}
            deep.at(small.builder, sums, small.wire(inverse(place)))

        return satisfied(write)

    point = GENERATOR * place % P
    zeta = point * inverse(root) % P if next_row else point
    assert not deep(ext.from_base(zeta))
    assert deep(ext.from_base(zeta + 1))
    assert deep((zeta, 0, 1, 0, 0))


# ---- inverses and bits


def test_zero_has_no_inverse() -> None:
    def inverted(value: Element) -> bool:
        return satisfied(lambda small: small.builder.invert(small.wire(value)))

    assert not inverted(ext.ZERO)
    for value in (ext.ONE, ext.BASIS[4], (P - 1, 0, 0, 0, 0), (0, 0, 7, 0, 1)):
        assert inverted(value)


@pytest.mark.parametrize("claimed", [0, 1, P - 1, 12345])
def test_no_cell_is_the_inverse_of_zero(claimed: int) -> None:
    # The wire is zero for everybody who reads it, and the row claims some inverse.
    cells = Cells(lambda small: small.builder.invert(small.wire(1)))
    assert not cells.broken()
    row = next(row for row, ab in enumerate(cells.circuit.arithmetic["ab"]) if ab)
    arithmetic = cells.traces["arithmetic"]
    arithmetic[row, A : A + 5] = 0
    arithmetic[row, B : B + 5] = [claimed, 0, 0, 0, 0]
    assert cells.broken() == {"d is the row's formula", "wire"}


@pytest.mark.parametrize("value", [2, P - 1, inverse(2)])
def test_a_bit_is_zero_or_one(value: int) -> None:
    cells = Cells(lambda small: small.builder.bit(small.wire(1), 0))
    assert not cells.broken()
    row = next(row for row, ab in enumerate(cells.circuit.arithmetic["ab"]) if ab)
    arithmetic = cells.traces["arithmetic"]
    # All three cells are one wire; with equal cells the product is wrong.
    arithmetic[row, [A, B, D]] = value
    assert cells.broken() == {"d is the row's formula"}
    # With the product right, the cells are not one wire.
    arithmetic[row, D] = value * value % P
    assert cells.broken() == {"wire"}


def test_the_other_bit_gives_a_place_outside() -> None:
    # Nothing ties a bit to the index but the place that is left: it must be below the tree's size.
    def left(index: int, bits: Sequence[int]) -> int:
        small = Small()
        wire = small.wire(index)
        forged = iter(bits)
        original = small.builder.bit
        small.builder.bit = lambda source, number: original(  # type: ignore[method-assign]
            small.wire(next(forged)), 0
        )
        result = low_bits(small.builder, wire, 8, 6)
        circuit = small.finish()
        return reference.run(circuit, small.hints).wires[result][0]

    for index in (0, 63, 64, 150, 255):
        places = {(a, b): left(index, (a, b)) for a in (0, 1) for b in (0, 1)}
        assert [place for place in places.values() if place < 64] == [index % 64]
        assert places[index >> 6 & 1, index >> 7 & 1] == index % 64


@pytest.mark.parametrize("log_arity", [1, 2, 3])
@pytest.mark.parametrize("index", [0, 1, 31, 32, 128, 255])
def test_places_in_leaves(log_arity: int, index: int) -> None:
    small = Small()
    y = pow(root_of_unity(8), -index, P)
    fold = begin_fold(small.builder, small.wire(index), small.wire(y), 8 - log_arity, log_arity)
    if fold.row >= 0:
        leaf = [small.wire(number) for number in range(8)]
        slot = index >> 5
        fold.finish(small.builder, leaf[0], small.wire((1, 2, 3, 4, 5)), leaf[slot])
    wires = reference.run(small.finish(), small.hints).wires
    assert wires[fold.index_out] == ext.from_base(index % (1 << (8 - log_arity)))
    assert wires[fold.y_out] == ext.from_base(pow(y, 1 << log_arity, P))


# ---- decompositions


@pytest.mark.parametrize("value", EDGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_low_bits_and_places_of_elements(value: int, width: int) -> None:
    for coordinate in range(5):
        element = [P - 1 - k for k in range(5)]
        element[coordinate] = value
        small = Small()
        wire = small.wire(tuple(element))  # type: ignore[arg-type]
        parts = small.builder.decompose(wire, {coordinate: width})
        wires = reference.run(small.finish(), small.hints).wires
        v, low, y = (wires[part] for part in parts[coordinate])
        assert v == ext.from_base(value)
        assert low == ext.from_base(value % (1 << width))
        expected = pow(root_of_unity(LOG_ORDER), -(value % (1 << LOG_ORDER)), P)
        assert y == ext.from_base(expected)


def aliased(value: int, bits: int) -> set[str]:
    """What is broken if the coordinate ``value`` is taken apart as the bits of another integer."""
    cells = Cells(lambda small: small.builder.decompose(small.wire(value), {0: WIDTHS[0]}))
    assert not cells.broken()
    own = cells.traces["decomposition"][0]
    digits = [bits >> k & 1 for k in range(31)]
    own[:31] = digits
    own[31] = digits[24] * digits[25] * digits[26]
    own[32] = own[31] * digits[27] * digits[28]
    own[33] = own[32] * digits[29] * digits[30]
    step = [pow(root_of_unity(LOG_ORDER), -(1 << k), P) for k in range(LOG_ORDER)]
    factors = [s if digit else 1 for s, digit in zip(step, digits, strict=False)]
    names = cells.names["decomposition"]
    y = 1
    for number in range(LOG_ORDER // 2):
        y = y * factors[2 * number] * factors[2 * number + 1] % P
        own[34 + number] = y
    assert len(names) == 34 + LOG_ORDER // 2 + 1
    own[-1] = bits % (1 << WIDTHS[0])
    # What reads the low bits and the place is not there: nobody asked for them.
    return cells.broken()


@pytest.mark.parametrize("value", [0, 1, 5, (1 << 24) - 2])
def test_an_integer_above_p_is_no_decomposition(value: int) -> None:
    # v and v + p are the same element, and v + p < 2^31 has other low bits.
    assert aliased(value, value) == set()
    assert aliased(value, value + P) == {"v is canonical"}


@pytest.mark.parametrize("value", EDGES)
def test_another_integer_is_no_decomposition(value: int) -> None:
    for other in (value ^ 1, value ^ 1 << 30, 0, (1 << 31) - 1):
        if other != value:
            assert aliased(value, other)


@pytest.mark.parametrize("coordinate", [1, 2, 3, 4])
def test_an_index_is_a_base_element(coordinate: int) -> None:
    element = [6, 0, 0, 0, 0]
    element[coordinate] = 1

    def place(value: Sequence[int]) -> bool:
        def write(small: Small) -> None:
            wire = small.wire(tuple(value))  # type: ignore[arg-type]
            fold = begin_fold(small.builder, wire, small.wire(1), 5, 3)
            leaf = [small.wire(7) for _ in range(8)]
            fold.finish(small.builder, leaf[0], small.wire(2), small.wire(7))

        return satisfied(write)

    assert place([6, 0, 0, 0, 0])
    assert not place(element)


# ---- nonces


def test_no_bits_no_nonce() -> None:
    silent, working = recursion("no layer"), recursion("work without a bus")
    assert taken_widths(silent.key) == {4}
    assert working.circuit.hint_count == silent.circuit.hint_count + 4
    assert not [label for _, label in silent.circuit.labels if "work" in label]


@pytest.mark.parametrize("nonce", [0, 1, 2, 3, P - 1, P - 2, 1 << 24, 127 << 24])
def test_nonces_of_one_bit(nonce: int) -> None:
    one = recursion("work without a bus")
    chosen = replace(one.key.parameters, grinding_ali=1, grinding_deep=0)
    inner = inner_case(one.inner.example, chosen)
    working = type(one)(inner)
    works: list[bool] = []

    def given(self: Any, bits: int) -> int:
        works.append(self.transcript.works(nonce, bits))
        return nonce

    proof = inner.prove(configured(LyingInWork, site="work constraints", nonce=given))
    assert works == [working.natively(proof) == ""] == [working.in_circuit(proof) == ""]
    assert works[0] or working.in_circuit(proof) in ("transcript", "form")


def test_nonces_that_are_no_elements() -> None:
    one = recursion("work without a bus")
    proof = one.inner.honest()
    for section in ProofMap(one.key, proof, one.inner.publics, one.inner.context).nonces():
        nonce = int.from_bytes(proof[section.start : section.end], "little")
        for alias in (nonce + P, nonce + (1 << 32), nonce + (1 << 63), P, (1 << 64) - 1):
            changed = overwritten(proof, section.start, alias.to_bytes(8, "little"))
            assert one.natively(changed)
            with pytest.raises(Rejected):
                one.hints(changed)
