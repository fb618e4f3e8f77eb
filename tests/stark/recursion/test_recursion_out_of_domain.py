"""The out-of-domain check in a circuit against the verifier's, on any AIR."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.circuit_rows import Unsatisfied, evaluate_rows

from air.shape import Shape
from air.tables.batch import batch_system
from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.constraints.expression import Expression
from stark.constraints.reading import read
from stark.errors import Rejected, UsageError
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P, root_of_unity
from stark.gadgets.poseidon2 import poseidon2_permutation
from stark.hash.poseidon import POSEIDON1
from stark.recursion.builder import CircuitBuilder, Wire
from stark.recursion.out_of_domain import OpenedTableWires, PointCache, check_table, check_zeta
from stark.recursion.point import interpolated
from stark.recursion.tables.arithmetic import ArithmeticAir
from stark.recursion.tables.decomposition import DecompositionAir
from stark.recursion.tables.fold import FoldAir
from stark.recursion.tables.permutation import PermutationAir
from stark.system import System, Table
from stark.verifier import out_of_domain as native
from stark.verifier.layout import TableLayout

SHAPE = Shape(12, 5, 9)
BUS = Bus("bus", 2, per_key_bound="counts are whatever the test wants", signed=True)


def element(source: random.Random) -> Element:
    return ext.from_coefficients([source.randrange(P) for _ in range(5)])


@dataclass(frozen=True)
class Claim:
    """Everything that the check of one table reads."""

    opened: native.OpenedTable
    challenges: native.LookupChallenges
    zeta: Element
    combiner: Element

    def holds(self) -> bool:
        try:
            native.check_table(self.opened, self.challenges, self.zeta, self.combiner)
        except Rejected:
            return False
        return True

    def changed(self, number: int) -> Claim:
        """With one value, public value or the terminal changed, by its number."""
        one = self.opened
        values, publics, terminal = list(one.values), list(one.publics), one.terminal
        if number < len(values):
            values[number] = ext.add(values[number], ext.BASIS[number % 5])
        elif number < len(values) + len(publics):
            publics[number - len(values)] += 1
        else:
            terminal = ext.add(terminal, ext.BASIS[3])
        opened = native.OpenedTable(one.layout, tuple(values), publics, terminal)
        return Claim(opened, self.challenges, self.zeta, self.combiner)

    @property
    def size(self) -> int:
        return len(self.opened.values) + len(self.opened.publics) + 1


def true_claim(table: Table, source: random.Random) -> Claim:
    """Random values, but for a quotient chunk that makes the check succeed."""
    layout = TableLayout.of(table)
    challenges = native.LookupChallenges(element(source), element(source), element(source))
    zeta, combiner = element(source), element(source)
    values = [element(source) for _ in range(layout.value_count)]
    publics = [source.randrange(P) for _ in range(table.public_count)]
    opened = native.OpenedTable(layout, tuple(values), publics, element(source))
    return solved(Claim(opened, challenges, zeta, combiner))


def solved(claim: Claim) -> Claim:
    """The first chunk of the quotient is what it must be."""
    one = claim.opened
    table, values = one.layout.table, list(one.values)
    arithmetic = native.PointArithmetic(one, claim.challenges, claim.zeta)
    roots = [constraint.expression.index for constraint in table.constraints]
    combined = ext.ZERO
    for value in reversed(read(table.symbolic.graph, roots, arithmetic)):
        here = ext.from_base(value) if isinstance(value, int) else value
        combined = ext.add(ext.multiply(combined, claim.combiner), here)
    step = ext.power(claim.zeta, table.height)
    quotient = ext.multiply(combined, ext.invert(ext.subtract(step, ext.ONE)))
    first = len(values) - table.quotient_chunks
    values[first] = ext.subtract(quotient, ext.evaluate((ext.ZERO, *values[first + 1 :]), step))
    opened = native.OpenedTable(one.layout, tuple(values), one.publics, one.terminal)
    return Claim(opened, claim.challenges, claim.zeta, claim.combiner)


class Written:
    """The rows that check one table, or several at one point."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tables
        self.builder = CircuitBuilder(24, ())
        self.challenges = [self.builder.wires.fresh() for _ in range(5)]
        *lookup, zeta, combiner = self.challenges
        cache = PointCache(self.builder, zeta)
        self.inputs: list[list[Wire]] = []
        self.rows: list[int] = []
        for table in tables:
            layout = TableLayout.of(table)
            count = layout.value_count + table.public_count + 1
            wires = [self.builder.wires.fresh() for _ in range(count)]
            values, publics = wires[: layout.value_count], wires[layout.value_count : -1]
            opened = OpenedTableWires.of(table, values, publics, wires[-1])
            before = self.builder.arithmetic.count
            check_table(self.builder, opened, lookup, cache, combiner)
            self.inputs.append(wires)
            self.rows.append(self.builder.arithmetic.count - before)

    def holds(self, claims: Sequence[Claim]) -> bool:
        first = claims[0]
        drawn = first.challenges
        given_values = (drawn.alpha, drawn.beta, drawn.gamma, first.zeta, first.combiner)
        values = dict(zip(self.challenges, given_values, strict=True))
        for wires, claim in zip(self.inputs, claims, strict=True):
            one = claim.opened
            publics = [ext.from_base(value) for value in one.publics]
            values |= zip(wires, (*one.values, *publics, one.terminal), strict=True)
        try:
            evaluate_rows(self.builder, values)
        except Unsatisfied:
            return False
        return True


def agree(table: Table, source: random.Random, changes: int) -> None:
    """The rows and the verifier agree on a true claim and on such with one value changed."""
    written = Written([table])
    claim = true_claim(table, source)
    assert claim.holds()
    assert written.holds([claim])
    for number in source.sample(range(claim.size), min(changes, claim.size)):
        changed = claim.changed(number)
        assert written.holds([changed]) == changed.holds()


class RandomAir(Air):
    """Sums, differences and products of whatever there is, as ``script`` says."""

    name = "random"

    def __init__(self, script: Sequence[tuple[int, int, int]], log_height: int) -> None:
        super().__init__(log_height)
        self.script = script

    def eval(self, t: AirBuilder) -> None:
        cells = [t.preprocessed("p"), *t.main_array("m", 4)]
        publics = t.public_array("public", 2)
        periods = [1 << k for k in range(self.log_height + 1)][:4]
        periodic = [t.periodic([7 * k + k * k + 3 for k in range(period)]) for period in periods]
        pool: list[Expression] = [
            *cells,
            *(cell.next for cell in cells[:3]),
            *periodic,
            *publics,
            *(t.constant(value) for value in (0, 1, 2, P - 1)),
            t.is_first_row,
            t.is_last_row,
            t.extension(cells),
        ]
        declare = (t.every_row, t.first_row, t.last_row, t.transition)

        def constrain(number: int, *values: Expression) -> None:
            """A constraint must speak of a column, and must not be of a large degree."""
            about = [value if value.degree else value + cells[1] for value in values]
            declare[number % 4](
                f"{len(names)}", *(value for value in about if value.degree <= 4), cells[number % 5]
            )
            names.append(number)

        names: list[int] = []
        for op, i, j in self.script:
            left, right = pool[i % len(pool)], pool[j % len(pool)]
            if op < 3:
                pool.append(left + right)
            elif op < 6:
                pool.append(left - right)
            elif op < 11:
                small = left.degree + right.degree <= 4
                pool.append(left * right if small else left + right * 3)
            elif op < 15:
                constrain(op, left, right if op % 2 else left * 5)
            elif not left.graph.extended[left.index] and not right.graph.extended[right.index]:
                t.send(BUS, [left, right + 1], count=[left, 3][: 1 + j % 2], bound=None)
        constrain(0, *pool[-3:], pool[-1] - pool[-3] * 4)
        constrain(0, *cells, *periodic, publics[0] * publics[1])


scripts = st.lists(
    st.tuples(st.integers(0, 16), st.integers(0, 60), st.integers(0, 60)), max_size=30
)


class TestAnyAir:
    @settings(max_examples=300, deadline=None)
    @given(scripts, st.integers(0, 4), st.booleans(), st.integers(0, 2**32))
    def test_agrees_with_the_verifier(
        self, script: list[tuple[int, int, int]], log_height: int, zk: bool, seed: int
    ) -> None:
        (table,) = System([RandomAir(script, log_height)], zk).tables
        agree(table, random.Random(seed), 4)

    def test_a_single_cell(self) -> None:
        class Zero(Air):
            name = "zero"

            def eval(self, t: AirBuilder) -> None:
                t.every_row("is zero", t.main("x"))

        (table,) = System([Zero(2)]).tables
        agree(table, random.Random(1), 9)

    def test_constraints_that_say_nothing(self) -> None:
        class Idle(Air):
            name = "idle"

            def eval(self, t: AirBuilder) -> None:
                x = t.main("x")
                t.every_row("nothing", x - x, (x + 1) * (x - x), (x - x) * 2)

        (table,) = System([Idle(2)]).tables
        agree(table, random.Random(1), 9)


class TestRealTables:
    @pytest.mark.parametrize("zk", [False, True])
    def test_a_batch(self, zk: bool) -> None:
        tables = batch_system(SHAPE, zk).tables
        written = Written(tables)
        # 2,620 rows and 2,670 when this was written.
        assert sum(written.rows) < 3000
        source = random.Random(5)
        first = true_claim(tables[0], source)
        for table, rows in zip(tables, written.rows, strict=True):
            assert rows < 8 * len(table.constraints), table.name
            agree(table, source, 8)
        assert written.holds([first, *self._others(tables[1:], first, source)])

    @staticmethod
    def _others(tables: Sequence[Table], first: Claim, source: random.Random) -> list[Claim]:
        """True claims of the other tables at the point of the first."""
        result = []
        for table in tables:
            claim = true_claim(table, source)
            moved = Claim(claim.opened, first.challenges, first.zeta, first.combiner)
            result.append(solved(moved))
        return result

    def test_the_tables_of_circuits(self) -> None:
        airs = [
            PermutationAir(4, POSEIDON1),
            ArithmeticAir(4),
            FoldAir(3),
            DecompositionAir(3, (18, 21), 21),
        ]
        tables = System(airs, zk=True, whole_rows=True).tables
        written = Written(tables)
        # 1,513 rows, 77, 275 and 156 when this was written.
        assert sum(written.rows) < 2300
        for table in tables:
            agree(table, random.Random(3), 8)

    def test_another_hash(self) -> None:
        class Permutation(Air):
            name = "permutation"

            def eval(self, t: AirBuilder) -> None:
                poseidon2_permutation(t)

        (table,) = System([Permutation(3)]).tables
        agree(table, random.Random(2), 8)
        assert Written([table]).rows[0] < 1200


class TestWhatIsGiven:
    def test_a_missing_terminal(self) -> None:
        table = batch_system(SHAPE).tables[0]
        builder = CircuitBuilder(24, ())
        zeta = builder.constant((1, 2, 3, 4, 5))
        layout = TableLayout.of(table)
        opened = OpenedTableWires.of(
            table, [zeta] * layout.value_count, [zeta] * table.public_count, None
        )
        with pytest.raises(UsageError, match="terminal"):
            check_table(builder, opened, [zeta] * 3, PointCache(builder, zeta), zeta)

    def test_missing_challenges(self) -> None:
        table = batch_system(SHAPE).tables[0]
        builder = CircuitBuilder(24, ())
        zeta = builder.constant((1, 2, 3, 4, 5))
        layout = TableLayout.of(table)
        opened = OpenedTableWires.of(
            table, [zeta] * layout.value_count, [zeta] * table.public_count, zeta
        )
        with pytest.raises(UsageError, match="challenges"):
            check_table(builder, opened, (), PointCache(builder, zeta), zeta)

    def test_a_wrong_number_of_values(self) -> None:
        table = batch_system(SHAPE).tables[0]
        with pytest.raises(UsageError, match="number of values"):
            OpenedTableWires.of(table, [1], [1] * table.public_count, 1)


class TestZeta:
    @staticmethod
    def outside(zeta: Element, log_height: int, log_blowup: int) -> bool:
        builder = CircuitBuilder(24, ())
        wire = builder.wires.fresh()
        check_zeta(builder, wire, log_height, log_blowup)
        try:
            evaluate_rows(builder, {wire: zeta})
        except Unsatisfied:
            return False
        return True

    @pytest.mark.parametrize(("log_height", "log_blowup"), [(0, 1), (3, 2), (12, 3)])
    def test_both_domains_are_forbidden(self, log_height: int, log_blowup: int) -> None:
        on_trace = pow(root_of_unity(log_height), 5, P)
        on_coset = 3 * pow(root_of_unity(log_height + log_blowup), 7, P) % P
        beside = 3 * root_of_unity(log_height + log_blowup + 1) % P
        cases = [(1, False), (3, False), (on_trace, False), (on_coset, False), (beside, True)]
        for value, outside in cases:
            zeta = ext.from_base(value)
            assert self.outside(zeta, log_height, log_blowup) is outside
            try:
                native.check_zeta(zeta, log_height, log_blowup, 3)
            except Rejected:
                assert not outside
        assert self.outside((5, 4, 3, 2, 1), log_height, log_blowup)
        assert self.outside(ext.ZERO, log_height, log_blowup)


@given(st.integers(0, 5), st.randoms(use_true_random=False))
def test_interpolation(log_size: int, source: random.Random) -> None:
    values = [source.choice((0, 1, P - 1, source.randrange(P))) for _ in range(1 << log_size)]
    coefficients = interpolated(values)
    for exponent, value in enumerate(values):
        point = pow(root_of_unity(log_size), exponent, P)
        assert sum(c * pow(point, k, P) for k, c in enumerate(coefficients)) % P == value
