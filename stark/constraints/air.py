"""The language in which AIRs are written.

An AIR is a class with a name, a height and one method, ``eval``, that declares the columns of its
table and says which expressions vanish on which rows::

    class Fibonacci(Air):
        name = "fibonacci"

        def eval(self, t: AirBuilder) -> None:
            a, b = t.main("a"), t.main("b")
            result = t.public("result")
            t.first_row("starts at 1, 1", a - 1, b - 1)
            t.transition("moves on", a.next - b, b.next - (a + b))
            t.last_row("ends at the result", b - result)

``eval`` runs once, on symbols; the prover's kernels, the verifier and the debugger read the
resulting expressions, so they cannot disagree.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stark.constraints.bus import Bus, Interaction
from stark.constraints.expression import (
    Challenge,
    Column,
    Expression,
    Graph,
    Op,
    Part,
    Selector,
)
from stark.errors import UsageError
from stark.field.extension import DEGREE
from stark.field.koalabear import TWO_ADICITY, P


class Air(ABC):
    """A table: its columns and constraints (``eval``), its height, its preprocessed values.

    Parameters
    ----------
    log_height
        log2 of the number of rows; fixed, part of the verification key.
    """

    name: str

    def __init__(self, log_height: int) -> None:
        if not 0 <= log_height <= TWO_ADICITY:
            raise UsageError(f"log_height must be in 0 ... {TWO_ADICITY}, got {log_height}")
        self.log_height = log_height

    @abstractmethod
    def eval(self, t: AirBuilder) -> None:
        """Declare columns, constraints and bus messages on ``t``."""

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        """Values of the preprocessed columns by name, each of length ``2**log_height``."""
        return {}


@dataclass(frozen=True)
class Constraint:
    """An expression that vanishes on every row of the trace domain."""

    label: str
    expression: Expression


@dataclass
class SymbolicAir:
    """What ``eval`` wrote down."""

    name: str
    log_height: int
    graph: Graph = field(default_factory=Graph)
    columns: dict[Part, list[str]] = field(
        default_factory=lambda: {Part.PREPROCESSED: [], Part.MAIN: []}
    )
    publics: list[str] = field(default_factory=list)
    periodic: list[tuple[int, ...]] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)
    mask_width: int = 0
    """Main columns at the end that the prover adds itself (see :mod:`stark.lookup.logup`)."""

    def width(self, part: Part) -> int:
        return len(self.columns[part])

    @property
    def constraint_degree(self) -> int:
        """The largest degree of a constraint, in trace columns (bus constraints not counted)."""
        return max((c.expression.degree for c in self.constraints), default=0)


class AirBuilder:
    """Collects what an AIR's ``eval`` declares."""

    def __init__(self, name: str, log_height: int) -> None:
        self._air = SymbolicAir(name, log_height)
        self._labels: set[str] = set()

    # ---- columns and values

    def main(self, name: str) -> Column:
        """A witness column."""
        return self._column(Part.MAIN, name)

    def main_array(self, name: str, count: int) -> tuple[Column, ...]:
        """``count`` witness columns, named ``name[0]``, ``name[1]``, ..."""
        return tuple(self.main(f"{name}[{index}]") for index in range(count))

    def preprocessed(self, name: str) -> Column:
        """A column whose values are fixed by the AIR (see :meth:`Air.preprocessed`)."""
        return self._column(Part.PREPROCESSED, name)

    def periodic(self, values: Sequence[int]) -> Expression:
        """A column that repeats ``values`` (a power of two of them); evaluated, never committed."""
        period = len(values)
        if period == 0 or period & (period - 1) or period > 1 << self._air.log_height:
            raise UsageError(
                f"{self._air.name}: a period must be a power of two that divides the height, "
                f"got {period}"
            )
        self._air.periodic.append(tuple(value % P for value in values))
        return self._air.graph.periodic(len(self._air.periodic) - 1)

    def public(self, name: str) -> Expression:
        """A public value: known to the verifier, the same on all rows."""
        if name in self._air.publics:
            raise UsageError(f"{self._air.name}: two public values are named {name!r}")
        self._air.publics.append(name)
        return self._air.graph.public(len(self._air.publics) - 1)

    def public_array(self, name: str, count: int) -> tuple[Expression, ...]:
        """``count`` public values, named ``name[0]``, ``name[1]``, ..."""
        return tuple(self.public(f"{name}[{index}]") for index in range(count))

    def constant(self, value: int) -> Expression:
        return self._air.graph.constant(value)

    def extension(self, cells: Sequence[Expression]) -> Expression:
        """The element of F with the coefficients ``cells``: the sum of cells[i] x^i, i < 5.

        Cells are base elements on the trace domain, so that a constraint on such elements says
        that all five coefficients vanish: one product in F instead of its five formulas. Messages
        take base elements only.

        Raises
        ------
        UsageError
            If there are not five cells.
        """
        if len(cells) != DEGREE:
            raise UsageError(
                f"{self._air.name}: an element of F has {DEGREE} coefficients, got {len(cells)}"
            )
        element = cells[0]
        for power in range(1, DEGREE):
            element = element + self._air.graph.challenge(Challenge.BASIS, power) * cells[power]
        return element

    @property
    def is_first_row(self) -> Expression:
        """1 on the first row, 0 elsewhere; of degree 1."""
        return self._air.graph.selector(Selector.FIRST)

    @property
    def is_last_row(self) -> Expression:
        """1 on the last row, 0 elsewhere; of degree 1."""
        return self._air.graph.selector(Selector.LAST)

    # ---- constraints: expressions that vanish

    def every_row(self, label: str, *expressions: Expression) -> None:
        """The expressions are zero on all rows; ``next`` on the last row is the first row."""
        self._constrain(label, expressions, None)

    def first_row(self, label: str, *expressions: Expression) -> None:
        """The expressions are zero on the first row."""
        self._constrain(label, expressions, Selector.FIRST)

    def last_row(self, label: str, *expressions: Expression) -> None:
        """The expressions are zero on the last row."""
        self._constrain(label, expressions, Selector.LAST)

    def transition(self, label: str, *expressions: Expression) -> None:
        """The expressions are zero on all rows but the last."""
        self._constrain(label, expressions, Selector.TRANSITION)

    # ---- buses

    def send(
        self,
        bus: Bus,
        values: Sequence[Expression | int],
        *,
        count: Expression | int | Sequence[Expression | int] = 1,
        bound: int | None = 1,
        label: str = "",
    ) -> None:
        """Send ``values`` on ``bus``, ``count`` times; see :class:`Interaction` for ``bound``."""
        self._interact(bus, values, count, bound, label, received=False)

    def receive(
        self,
        bus: Bus,
        values: Sequence[Expression | int],
        *,
        count: Expression | int | Sequence[Expression | int] = 1,
        bound: int | None = 1,
        label: str = "",
    ) -> None:
        """Receive ``values`` from ``bus``, ``count`` times; not from a signed bus."""
        if bus.signed:
            raise UsageError(
                f"{self._air.name}: bus {bus.name!r} is signed: send with a negative count"
            )
        self._interact(bus, values, count, bound, label, received=True)

    # ---- helpers

    def build(self) -> SymbolicAir:
        return self._air

    def _column(self, part: Part, name: str) -> Column:
        names = self._air.columns[part]
        if name in names:
            raise UsageError(f"{self._air.name}: two columns are named {name!r}")
        names.append(name)
        return Column(self._air.graph, part, len(names) - 1)

    def _unique(self, label: str) -> str:
        if label in self._labels:
            raise UsageError(f"{self._air.name}: two constraints are labelled {label!r}")
        self._labels.add(label)
        return label

    def _constrain(
        self, label: str, expressions: Sequence[Expression], selector: Selector | None
    ) -> None:
        if not expressions:
            raise UsageError(f"{self._air.name}: {label!r} constrains nothing")
        for index, expression in enumerate(expressions):
            name = self._unique(label if len(expressions) == 1 else f"{label} [{index}]")
            self._own(name, expression)
            if expression.degree == 0:
                raise UsageError(f"{self._air.name}: {name!r} is about no column")
            if selector is not None:
                expression = self._air.graph.selector(selector) * expression
            self._air.constraints.append(Constraint(name, expression))

    def _interact(
        self,
        bus: Bus,
        values: Sequence[Expression | int],
        count: Expression | int | Sequence[Expression | int],
        bound: int | None,
        label: str,
        *,
        received: bool,
    ) -> None:
        if len(values) != bus.width:
            raise UsageError(
                f"{self._air.name}: bus {bus.name!r} carries {bus.width} elements, "
                f"got {len(values)}"
            )
        counts = (count,) if isinstance(count, Expression | int) else tuple(count)
        name = self._unique(label or f"{bus.name} {len(self._air.interactions)}")
        if not counts:
            raise UsageError(f"{self._air.name}: {name!r} counts nothing")
        if bound is not None and bound < 0:
            raise UsageError(f"{self._air.name}: {name!r} has the negative bound {bound}")
        for value in counts:
            if bound is not None and isinstance(value, int) and abs(value) > bound:
                raise UsageError(f"{self._air.name}: {name!r} counts {value}, beyond its bound")
        self._air.interactions.append(
            Interaction(
                name,
                bus,
                tuple(self._expression(name, value) for value in values),
                tuple(self._expression(name, value) for value in counts),
                received,
                bound,
            )
        )

    def _expression(self, label: str, value: Expression | int) -> Expression:
        if isinstance(value, int):
            return self.constant(value)
        self._own(label, value)
        if self._air.graph.extended[value.index]:
            raise UsageError(f"{self._air.name}: the message {label!r} holds an element of F")
        return value

    def _own(self, label: str, expression: Expression) -> None:
        """Refuse what is no expression of this table: its index would name another node here."""
        if not isinstance(expression, Expression) or expression.graph is not self._air.graph:
            raise UsageError(
                f"{self._air.name}: {label!r} uses something that is no expression of this table"
            )


def symbolic(air: Air) -> SymbolicAir:
    """Run ``air.eval`` on symbols.

    Raises
    ------
    UsageError
        If the AIR has no constraint and no bus message, or a column that nothing touches: such a
        table proves nothing about its cells.
    """
    builder = AirBuilder(air.name, air.log_height)
    air.eval(builder)
    result = builder.build()
    if not result.constraints and not result.interactions:
        raise UsageError(f"{air.name}: an AIR without constraints and buses proves nothing")
    if not result.columns[Part.MAIN]:
        raise UsageError(f"{air.name}: an AIR needs at least one main column")
    _refuse_untouched(result)
    return result


def _refuse_untouched(air: SymbolicAir) -> None:
    """Columns and values that no constraint and no message uses are bound to nothing."""
    roots = [constraint.expression.index for constraint in air.constraints]
    for interaction in air.interactions:
        roots += [expression.index for expression in interaction.values + interaction.counts]
    used = [air.graph.nodes[index] for index in air.graph.reachable(roots)]
    columns = {node[1:3] for node in used if node[0] == Op.CELL}
    for part, names in air.columns.items():
        for column, name in enumerate(names):
            if (part, column) not in columns:
                raise UsageError(f"{air.name}: no constraint or bus touches column {name!r}")
    publics = {node[1] for node in used if node[0] == Op.PUBLIC}
    for index, name in enumerate(air.publics):
        if index not in publics:
            raise UsageError(f"{air.name}: no constraint or bus touches public value {name!r}")
    periodic = {node[1] for node in used if node[0] == Op.PERIODIC}
    for index in range(len(air.periodic)):
        if index not in periodic:
            raise UsageError(f"{air.name}: no constraint or bus touches periodic column {index}")
