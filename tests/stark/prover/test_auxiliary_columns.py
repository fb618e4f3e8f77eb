"""Auxiliary columns satisfy the constraints of the bus argument on every row."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus, Interaction
from stark.constraints.expression import Node, Op, Part, Selector
from stark.constraints.reading import read
from stark.debug.faults import faults
from stark.errors import UsageError
from stark.field import extension
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.prover import auxiliary
from stark.prover.auxiliary import VanishingDenominatorError, auxiliary_columns
from stark.system import System, Table

PAIRS = Bus("pairs", 2)
SUMS = Bus("sums", 1, per_key_bound="four limbs a row, too few rows to reach p")


class Sender(Air):
    """Sends under many guises: next rows, periodic keys, vector counts, the first row only."""

    name = "sender"

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        flag = t.main("flag")
        public = t.public("offset")
        key = t.periodic([5, 6] if self.log_height else [5])
        t.every_row("flag is boolean", flag * flag - flag)
        t.send(PAIRS, [a, b.next + public])
        t.send(PAIRS, [key, a], count=flag)
        t.send(SUMS, [b], count=[a, b, flag])
        t.send(PAIRS, [t.preprocessed("fixed") * a, 7], count=t.is_first_row)

    def preprocessed(self) -> dict[str, list[int]]:
        return {"fixed": list(range(1 << self.log_height))}


class Receiver(Air):
    name = "receiver"

    def eval(self, t: AirBuilder) -> None:
        x, y, n = t.main("x"), t.main("y"), t.main("n")
        t.receive(PAIRS, [x, y], count=n, bound=None)
        t.receive(SUMS, [x], count=[y, n], bound=None)


def to_montgomery(values: NDArray[np.uint64], width: int) -> NDArray[np.uint32]:
    matrix = np.zeros((len(values), width), np.uint32)
    matrix[:, : values.shape[1]] = values * np.uint64((1 << 32) % P) % np.uint64(P)
    return matrix


def from_montgomery(values: NDArray[np.uint32]) -> NDArray[np.uint64]:
    return values.astype(np.uint64) * np.uint64(pow(1 << 32, -1, P)) % np.uint64(P)


class OneRow:
    """Values of leaves at a row of the trace domain, as extension elements."""

    def __init__(
        self,
        table: Table,
        matrices: dict[Part, NDArray[np.uint64]],
        publics: list[int],
        challenges: list[Element],
        terminal: Element,
        row: int,
    ) -> None:
        self.table, self.matrices, self.publics = table, matrices, publics
        self.challenges, self.terminal, self.row = challenges, terminal, row

    def leaf(self, node: Node) -> Element:
        op, *rest = node
        height = self.table.height
        if op == Op.CELL:
            part, column, offset = rest
            line = self.matrices[Part(part)][(self.row + offset) % height].tolist()
            if part == Part.AUXILIARY:
                return tuple(line[5 * column : 5 * column + 5])
            return extension.from_base(line[column])
        if op == Op.PERIODIC:
            values = self.table.symbolic.periodic[rest[0]]
            return extension.from_base(values[self.row % len(values)])
        if op == Op.SELECTOR:
            wanted = 0 if rest[0] == Selector.FIRST else height - 1
            return extension.from_base(int(self.row == wanted))
        if op == Op.PUBLIC:
            return extension.from_base(self.publics[rest[0]])
        if op == Op.CHALLENGE:
            return extension.power(self.challenges[rest[0]], rest[1])
        if op == Op.TERMINAL:
            return self.terminal
        return extension.from_base(rest[0])

    add = staticmethod(extension.add)
    subtract = staticmethod(extension.subtract)
    multiply = staticmethod(extension.multiply)


def random_case(
    log_height: int, number: int, seed: int
) -> tuple[Table, dict[Part, NDArray[np.uint64]], list[int], list[Element]]:
    generator = np.random.default_rng(seed)
    table = System([Sender(log_height), Receiver(log_height)]).tables[number]
    main = generator.integers(0, P, (table.height, 3), dtype=np.uint64)
    matrices = {
        Part.MAIN: main,
        Part.PREPROCESSED: np.arange(table.height, dtype=np.uint64)[:, None],
    }
    source = random.Random(seed)
    challenges = [tuple(source.randrange(P) for _ in range(5)) for _ in range(3)]
    return table, matrices, [source.randrange(P)], challenges


def columns_of(
    table: Table,
    matrices: dict[Part, NDArray[np.uint64]],
    publics: list[int],
    challenges: list[Element],
) -> tuple[NDArray[np.uint32], Element]:
    fixed = to_montgomery(matrices[Part.PREPROCESSED], 16)
    if not table.width(Part.PREPROCESSED):
        fixed = None
    main = to_montgomery(matrices[Part.MAIN], 16)
    return auxiliary_columns(table, fixed, main, publics, *challenges)


@pytest.mark.parametrize("log_height", [0, 1, 3, 4, 6])
@pytest.mark.parametrize("number", [0, 1])
def test_bus_constraints_vanish_on_all_rows(log_height: int, number: int) -> None:
    table, matrices, publics, challenges = random_case(log_height, number, log_height)
    matrix, terminal = columns_of(table, matrices, publics, challenges)
    width = table.bus_argument.width
    assert matrix.shape == (table.height, -(-5 * width // 16) * 16)
    assert not matrix[:, 5 * width :].any()
    matrices[Part.AUXILIARY] = from_montgomery(matrix)
    roots = [constraint.expression.index for constraint in table.bus_argument.constraints]
    for row in range(table.height):
        at = OneRow(table, matrices, publics, challenges, terminal, row)
        assert read(table.symbolic.graph, roots, at) == [extension.ZERO] * len(roots)


@pytest.mark.parametrize("number", [0, 1])
def test_terminal_is_the_sum_of_all_fractions(number: int) -> None:
    table, matrices, publics, challenges = random_case(3, number, 7)
    _, terminal = columns_of(table, matrices, publics, challenges)
    assert terminal == extension.total(
        fraction(interaction, OneRow(table, matrices, publics, challenges, extension.ZERO, row))
        for row in range(table.height)
        for interaction in table.symbolic.interactions
    )


def fraction(interaction: Interaction, at: OneRow) -> Element:
    """n / d of one message, from its definition."""
    alpha, beta, gamma = at.challenges
    roots = [value.index for value in interaction.counts + interaction.values]
    elements = read(at.table.symbolic.graph, roots, at)
    counts, values = elements[: len(interaction.counts)], elements[len(interaction.counts) :]
    bus_number = {"pairs": 1, "sums": 2}[interaction.bus.name]
    denominator = extension.add(alpha, extension.from_base(bus_number))
    for exponent, value in enumerate(values, start=1):
        term = extension.multiply(extension.power(beta, exponent), value)
        denominator = extension.add(denominator, term)
    numerator = extension.evaluate(counts, gamma)
    if interaction.received:
        numerator = extension.negate(numerator)
    return extension.multiply(numerator, extension.invert(denominator))


def test_a_balanced_bus_has_opposite_terminals() -> None:
    """Exact counts and fractions agree: what the debugger accepts, the terminals accept."""
    sent = np.array([[1, 2, 1], [3, 2, 0], [5, 2, 0], [1, 2, 0]], np.uint64)
    system = System([Plain(2, "left", False), Plain(2, "right", True)])
    source = random.Random(1)
    challenges = [tuple(source.randrange(P) for _ in range(5)) for _ in range(3)]

    def total(received: NDArray[np.uint64]) -> Element:
        return extension.total(
            auxiliary_columns(table, None, to_montgomery(trace, 16), [], *challenges)[1]
            for table, trace in zip(system.tables, (sent, received), strict=True)
        )

    balanced, unbalanced = sent[[2, 0, 3, 1]], sent.copy()
    unbalanced[3, 2] = 1
    assert total(balanced) == extension.ZERO
    assert faults(system, {"left": sent, "right": balanced}, {}) == []
    assert total(unbalanced) != extension.ZERO
    assert faults(system, {"left": sent, "right": unbalanced}, {}) != []


class Plain(Air):
    """One message per row: x, y, n times."""

    def __init__(self, log_height: int, name: str, received: bool) -> None:
        super().__init__(log_height)
        self.name = name
        self.received = received

    def eval(self, t: AirBuilder) -> None:
        x, y, n = t.main("x"), t.main("y"), t.main("n")
        (t.receive if self.received else t.send)(PAIRS, [x, y], count=n)


def test_chunks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(10, 0, 3)
    whole, terminal = columns_of(*case)
    monkeypatch.setattr(auxiliary, "CHUNK_ROWS", 64)
    pieces, terminal_of_pieces = columns_of(*case)
    assert np.array_equal(whole, pieces)
    assert terminal == terminal_of_pieces


def test_a_vanishing_denominator_aborts() -> None:
    table, matrices, publics, challenges = random_case(3, 1, 5)
    # On row 6 alpha + bus + beta x + beta^2 y = 0, for beta = 2 and bus number 1.
    x, y = (int(v) for v in matrices[Part.MAIN][6, :2])
    alpha = extension.from_base(-1 - 2 * x - 4 * y)
    challenges = [alpha, extension.from_base(2), challenges[2]]
    with pytest.raises(VanishingDenominatorError, match="receiver"):
        columns_of(table, matrices, publics, challenges)


def test_wrong_shapes_are_refused() -> None:
    table, matrices, publics, challenges = random_case(3, 0, 5)
    main = to_montgomery(matrices[Part.MAIN], 16)
    fixed = to_montgomery(matrices[Part.PREPROCESSED], 16)
    with pytest.raises(ValueError, match="preprocessed"):
        auxiliary_columns(table, None, main, publics, *challenges)
    with pytest.raises(ValueError, match="expected 8 rows, got 4"):
        auxiliary_columns(table, fixed[:4].copy(), main[:4].copy(), publics, *challenges)
    with pytest.raises(ValueError, match="public value 0"):
        auxiliary_columns(table, fixed, main, [], *challenges)


def test_a_table_without_buses_has_none() -> None:
    class Lonely(Air):
        name = "lonely"

        def eval(self, t: AirBuilder) -> None:
            t.every_row("zero", t.main("a"))

    (table,) = System([Lonely(2)]).tables
    with pytest.raises(UsageError, match="without buses"):
        auxiliary_columns(table, None, np.zeros((4, 16), np.uint32), [], *[extension.ONE] * 3)
