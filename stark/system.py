"""A system: the tables that are proven together, and the buses between them.

Everything that prover and verifier must agree on about the AIRs is derived here from their source:
widths, degrees, which columns are opened on the next row, quotient chunks, bus numbers, digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stark.constraints.air import Air, Constraint, SymbolicAir, symbolic
from stark.constraints.bus import Bus
from stark.constraints.expression import Op, Part
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.lookup.logup import BusArgument, add_terminal_mask, bus_argument


@dataclass(frozen=True)
class Table:
    """One table of a system, with all that is derived from its AIR.

    Attributes
    ----------
    constraints
        Those of the AIR, then those of the bus argument; each vanishes on the trace domain.
    degree
        The largest degree of a constraint.
    quotient_chunks
        Polynomials of degree below the height that the quotient is split into.
    next_columns
        Per part, the columns that are opened on the next row too, ascending.
    """

    air: Air
    symbolic: SymbolicAir
    bus_argument: BusArgument
    constraints: tuple[Constraint, ...]
    degree: int
    quotient_chunks: int
    next_columns: dict[Part, tuple[int, ...]]

    @property
    def name(self) -> str:
        return self.symbolic.name

    @property
    def whole_chunks(self) -> int:
        """Chunks that the quotient of columns without masks fills."""
        return max(1, self.degree - 1)

    @property
    def log_height(self) -> int:
        return self.symbolic.log_height

    @property
    def height(self) -> int:
        return 1 << self.symbolic.log_height

    @property
    def witness_width(self) -> int:
        """Main columns that a trace has; the prover adds those that hide the terminal."""
        return self.width(Part.MAIN) - self.symbolic.mask_width

    @property
    def public_count(self) -> int:
        return len(self.symbolic.publics)

    def width(self, part: Part) -> int:
        """Columns of a part; auxiliary columns are counted in extension elements."""
        if part is Part.AUXILIARY:
            return self.bus_argument.width
        return self.symbolic.width(part)

    def column_name(self, part: Part, column: int) -> str:
        if part is Part.AUXILIARY:
            return f"auxiliary[{column}]"
        return self.symbolic.columns[part][column]


class System:
    """Tables in a fixed order, and the buses that tie them.

    Parameters
    ----------
    airs
        At least one, with unique names.
    zk
        Whether proofs hide the witness: terminals are masked, and quotients are split so that
        masked columns fit.
    whole_rows
        Whether a column that is used on the next row has all others opened there, too: those of its
        part, of all tables of its height. Proofs get longer, but a circuit that verifies them
        takes a joint row at both points in one way. It is part of the digest.

    Raises
    ------
    UsageError
        If an AIR is malformed (see :func:`stark.constraints.air.symbolic`), if two buses share a
        name but differ, if a bus is only sent or only received and not signed, or if its counts
        could wrap around p.
    """

    def __init__(self, airs: Sequence[Air], zk: bool = False, whole_rows: bool = False) -> None:
        if not airs:
            raise UsageError("a system needs at least one table")
        names = [air.name for air in airs]
        if len(set(names)) != len(names):
            raise UsageError(f"two tables share a name: {names}")
        self.zk = zk
        self.whole_rows = whole_rows
        symbolics = [symbolic(air) for air in airs]
        if zk:
            for written in symbolics:
                add_terminal_mask(written)
        self.buses = _collect_buses(symbolics)
        numbers = {bus.name: number for number, bus in enumerate(self.buses, start=1)}
        tables = tuple(
            _table(air, written, bus_argument(written, numbers), zk)
            for air, written in zip(airs, symbolics, strict=True)
        )
        self.tables = _with_whole_rows(tables) if whole_rows else tables
        _check_bus_bounds(self.buses, symbolics)

    @property
    def log_heights(self) -> tuple[int, ...]:
        """Distinct heights, largest first."""
        return tuple(sorted({table.log_height for table in self.tables}, reverse=True))

    @property
    def degree(self) -> int:
        return max(table.degree for table in self.tables)

    def digest(self) -> bytes:
        """SHA-256 over every constraint, width, degree, height, bus and the order of the tables."""
        state = hashlib.sha256(b"stark/system/v1")
        state.update(_number(self.zk) + _number(len(self.buses)) + _number(len(self.tables)))
        for bus in self.buses:
            state.update(_text(bus.name) + _number(bus.width))
        for table in self.tables:
            state.update(table_digest(table))
        for number, bus in enumerate(self.buses):
            if bus.signed:
                state.update(_text("signed bus") + _number(number))
        if self.whole_rows:
            # Behind as many tables as were announced: no system without it has these bytes.
            state.update(_text("whole rows"))
        return state.digest()


def table_digest(table: Table) -> bytes:
    """SHA-256 over one table: graph, constraints, columns, public values, height, groups."""
    state = hashlib.sha256(b"stark/table/v1")
    state.update(_text(table.name) + _number(table.log_height) + _number(table.degree))
    for part in (Part.PREPROCESSED, Part.MAIN):
        names = table.symbolic.columns[part]
        state.update(_number(len(names)) + b"".join(map(_text, names)))
    state.update(_number(table.bus_argument.width))
    state.update(_number(table.public_count) + b"".join(map(_text, table.symbolic.publics)))
    state.update(_number(len(table.symbolic.periodic)))
    for values in table.symbolic.periodic:
        state.update(_number(len(values)) + b"".join(map(_number, values)))
    nodes = table.symbolic.graph.nodes
    state.update(_number(len(nodes)))
    state.update(b"".join(_number(len(node)) + b"".join(map(_number, node)) for node in nodes))
    state.update(_number(len(table.constraints)))
    for constraint in table.constraints:
        state.update(_text(constraint.label) + _number(constraint.expression.index))
    for group in table.bus_argument.groups:
        state.update(_number(group.numerator.index) + _number(group.denominator.index))
    return state.digest()


def _number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _text(value: str) -> bytes:
    data = value.encode()
    return _number(len(data)) + data


def _collect_buses(airs: Sequence[SymbolicAir]) -> tuple[Bus, ...]:
    """All buses in order of first use, each with at least one sender and one receiver, unless it
    is signed."""
    buses: dict[str, Bus] = {}
    directions: dict[str, set[bool]] = {}
    for air in airs:
        for interaction in air.interactions:
            bus = interaction.bus
            if buses.setdefault(bus.name, bus) != bus:
                raise UsageError(f"{air.name}: two different buses are named {bus.name!r}")
            directions.setdefault(bus.name, set()).add(interaction.received)
    for name, used in directions.items():
        if len(used) < 2 and not buses[name].signed:
            missing = "sender" if True in used else "receiver"
            raise UsageError(f"bus {name!r} has no {missing}")
    return tuple(buses.values())


def _check_bus_bounds(buses: Sequence[Bus], airs: Sequence[SymbolicAir]) -> None:
    """LogUp sums counts mod p: what all rows together can send must stay below p."""
    for bus in buses:
        if bus.per_key_bound:
            continue
        total = 0
        for air in airs:
            for interaction in air.interactions:
                if interaction.bus != bus:
                    continue
                if interaction.bound is None:
                    if interaction.received:
                        continue
                    raise UsageError(
                        f"{air.name}: {interaction.label!r} sends on {bus.name!r} without a bound"
                    )
                total += interaction.bound << air.log_height
        if total >= P:
            raise UsageError(
                f"bus {bus.name!r}: counts may sum to {total}, which is not below p = {P}"
            )


def _table(air: Air, written: SymbolicAir, argument: BusArgument, zk: bool) -> Table:
    constraints = tuple(written.constraints) + argument.constraints
    degree = max(constraint.expression.degree for constraint in constraints)
    return Table(
        air=air,
        symbolic=written,
        bus_argument=argument,
        constraints=constraints,
        degree=degree,
        # A constraint of degree d has fewer than d N coefficients (d >= 2, X - w^-1 included);
        # divided by X^N - 1 fewer than (d - 1) N remain. With masked columns of (1 + s) N
        # coefficients they are fewer than (d - 1 + d s) N, which is at most d N; and chunks hide
        # one another only if there are two.
        quotient_chunks=max(2, degree) if zk else max(1, degree - 1),
        next_columns=_next_columns(written, constraints),
    )


def _with_whole_rows(tables: Sequence[Table]) -> tuple[Table, ...]:
    """The tables with all columns of a part opened on the next row where one of the height is."""
    used = {
        (table.log_height, part)
        for table in tables
        for part, columns in table.next_columns.items()
        if columns
    }
    return tuple(
        replace(
            table,
            next_columns={
                part: tuple(range(table.width(part))) if (table.log_height, part) in used else ()
                for part in Part
            },
        )
        for table in tables
    )


def _next_columns(
    written: SymbolicAir, constraints: Sequence[Constraint]
) -> dict[Part, tuple[int, ...]]:
    nodes = written.graph.nodes
    used: dict[Part, set[int]] = {part: set() for part in Part}
    for index in written.graph.reachable(c.expression.index for c in constraints):
        node = nodes[index]
        if node[0] == Op.CELL and node[3] == 1:
            used[Part(node[1])].add(node[2])
    return {part: tuple(sorted(columns)) for part, columns in used.items()}
