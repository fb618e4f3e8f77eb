"""What is wrong with a trace: failing rows with their labels and values, tuples that do not cancel.

The check is exact: constraints row by row on the trace domain, buses by counting every tuple. It
needs neither challenges nor a proof, and it is what the prover's work must agree with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.constraints.air import Constraint
from stark.constraints.bus import Interaction
from stark.constraints.expression import Op, Part
from stark.debug.trace_reading import TraceRows, Values
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.system import System, Table

SHOWN_CELLS = 12


@dataclass(frozen=True)
class Cell:
    """A named value on a row."""

    name: str
    row: int
    value: int


@dataclass(frozen=True)
class ConstraintFault:
    """A row on which a constraint does not hold.

    Attributes
    ----------
    value
        Of the expression, without the factor that picks the rows; for a constraint over the
        extension its first coefficient that is not zero.
    cells
        The trace cells in the expression.
    failing_rows
        Number of rows on which this constraint fails, whether or not they are listed.
    """

    table: str
    label: str
    row: int
    value: int
    cells: tuple[Cell, ...]
    failing_rows: int


@dataclass(frozen=True)
class Message:
    """What one row put on a bus; ``count`` is canonical, negated if the message was received."""

    table: str
    label: str
    row: int
    count: int


@dataclass(frozen=True)
class BusFault:
    """A tuple that was not received as often as it was sent.

    Attributes
    ----------
    power
        The entry of the vector of counts that does not cancel.
    total
        What remains of the counts, in 1 ... p - 1.
    messages
        Those with this tuple and a count that is not zero.
    message_count, failing_tuples
        Number of such messages, and of such tuples on the bus, whether or not they are listed.
    """

    bus: str
    values: tuple[int, ...]
    power: int
    total: int
    messages: tuple[Message, ...]
    message_count: int
    failing_tuples: int


Fault = ConstraintFault | BusFault


def faults(
    system: System,
    traces: Mapping[str, NDArray[Any]],
    publics: Mapping[str, Sequence[int]],
    *,
    limit: int = 8,
) -> list[Fault]:
    """Everything that keeps ``traces`` from satisfying ``system``; empty if they do.

    Parameters
    ----------
    traces
        Main columns per table, integers of shape (rows, columns), canonical.
    publics
        Public values per table, canonical; tables without any may be left out.
    limit
        Most rows listed per constraint, most tuples per bus and power, most messages per tuple.

    Raises
    ------
    UsageError
        If a trace or a preprocessed column is missing, has another shape, or holds a value
        outside 0 ... p - 1, or if public values are missing or too many.
    """
    names = {table.name for table in system.tables}
    if set(traces) != names or not set(publics) <= names:
        raise UsageError(f"expected traces of {sorted(names)}, got {sorted(traces)}")
    rows = {
        table.name: TraceRows(table, traces[table.name], publics.get(table.name, ()))
        for table in system.tables
    }
    found: list[Fault] = []
    for table in system.tables:
        found += _constraint_faults(table, rows[table.name], limit)
    for bus in system.buses:
        messages = [
            _Messages.of(table, interaction, rows[table.name])
            for table in system.tables
            for interaction in table.symbolic.interactions
            if interaction.bus == bus
        ]
        found += _bus_faults(bus.name, messages, limit)
    return found


def explain(found: Iterable[Fault]) -> str:
    """The faults as text, one paragraph each; empty for no faults."""
    return "\n".join(
        _explain_constraint(fault) if isinstance(fault, ConstraintFault) else _explain_bus(fault)
        for fault in found
    )


# ---- constraints


def _constraint_faults(table: Table, rows: TraceRows, limit: int) -> list[Fault]:
    constraints = table.symbolic.constraints
    failing = [0] * len(constraints)
    listed: list[list[tuple[int, int]]] = [[] for _ in constraints]
    for lo, values in rows.read([constraint.expression.index for constraint in constraints]):
        for number, value in enumerate(values):
            value = _first_coefficient(value)
            bad = np.flatnonzero(value)
            failing[number] += len(bad)
            room = limit - len(listed[number])
            listed[number] += [(lo + int(k), int(value[k])) for k in bad[:room]]
    return [
        ConstraintFault(
            table.name, constraint.label, row, value, _cells(rows, constraint, row), count
        )
        for constraint, entries, count in zip(constraints, listed, failing, strict=True)
        for row, value in entries
    ]


def _first_coefficient(value: Values) -> Values:
    """Base elements as they are; of elements of the extension a coefficient, 0 only for zero."""
    if value.ndim == 1:
        return value
    places = (value != 0).argmax(axis=0)
    return np.asarray(value[places, np.arange(value.shape[1])])


def _cells(rows: TraceRows, constraint: Constraint, row: int) -> tuple[Cell, ...]:
    """The cells that a constraint reads on a row and the next."""
    table = rows.table
    graph = table.symbolic.graph
    cells = []
    for index in graph.reachable([constraint.expression.index]):
        op, *rest = graph.nodes[index]
        if op == Op.CELL:
            part, column, offset = Part(rest[0]), rest[1], rest[2]
            at = (row + offset) % table.height
            value = int(rows.matrices[part][at, column])
            cells.append(Cell(table.column_name(part, column), at, value))
    return tuple(cells)


# ---- buses


@dataclass(frozen=True)
class _Messages:
    """The messages of one interaction whose counts are not all zero.

    ``keys`` is (m, width), ``counts`` (m, powers), signed by direction mod p, ``rows`` (m,).
    """

    table: str
    label: str
    keys: Values
    counts: Values
    rows: NDArray[np.int64]

    @staticmethod
    def of(table: Table, interaction: Interaction, rows: TraceRows) -> _Messages:
        width = len(interaction.values)
        roots = [value.index for value in interaction.values + interaction.counts]
        pieces = [np.stack(values, axis=1) for _, values in rows.read(roots)]
        table_values = np.concatenate(pieces)
        keys, counts = table_values[:, :width], table_values[:, width:]
        if interaction.received:
            counts = (P - counts) % P
        kept = np.flatnonzero(counts.any(axis=1))
        return _Messages(table.name, interaction.label, keys[kept], counts[kept], kept)


def _bus_faults(bus: str, sources: Sequence[_Messages], limit: int) -> list[Fault]:
    """Messages are sorted by tuple, and the counts of equal tuples added.

    Fewer than 2^33 counts below 2^31 cannot overflow 64 bits.
    """
    powers = max(messages.counts.shape[1] for messages in sources)
    keys = np.concatenate([messages.keys for messages in sources])
    counts = np.concatenate([_widened(messages.counts, powers) for messages in sources])
    origin = np.repeat(np.arange(len(sources)), [len(messages.rows) for messages in sources])
    rows = np.concatenate([messages.rows for messages in sources])
    if not len(keys):
        return []
    order = np.lexsort(keys.T[::-1]) if keys.shape[1] else np.arange(len(keys))
    keys, counts, origin, rows = keys[order], counts[order], origin[order], rows[order]
    starts = np.flatnonzero(np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)]))
    ends = np.append(starts[1:], len(keys))
    totals = np.add.reduceat(counts, starts, axis=0) % P
    found: list[Fault] = []
    for power in range(powers):
        failing = np.flatnonzero(totals[:, power])
        for group in failing[:limit]:
            members = np.arange(starts[group], ends[group])
            members = members[counts[members, power] != 0]
            messages = tuple(
                Message(
                    sources[origin[k]].table,
                    sources[origin[k]].label,
                    int(rows[k]),
                    int(counts[k, power]),
                )
                for k in members[:limit]
            )
            values = tuple(keys[starts[group]].tolist())
            total = int(totals[group, power])
            found.append(BusFault(bus, values, power, total, messages, len(members), len(failing)))
    return found


def _widened(counts: Values, powers: int) -> Values:
    """Messages with shorter vectors of counts have zeros in the higher powers."""
    result = np.zeros((len(counts), powers), np.uint64)
    result[:, : counts.shape[1]] = counts
    return result


# ---- text


def _signed(value: int) -> int:
    """The representative of least absolute value."""
    return value if value <= P // 2 else value - P


def _explain_constraint(fault: ConstraintFault) -> str:
    shown = [f"{c.name}[row {c.row}] = {c.value}" for c in fault.cells[:SHOWN_CELLS]]
    if len(fault.cells) > SHOWN_CELLS:
        shown.append(f"{len(fault.cells) - SHOWN_CELLS} more cells")
    return (
        f"{fault.table}, row {fault.row}: {fault.label!r} is {_signed(fault.value)}, not 0 "
        f"({fault.failing_rows} such rows)\n    {', '.join(shown)}"
    )


def _explain_bus(fault: BusFault) -> str:
    power = f" in power {fault.power}" if fault.power else ""
    total = _signed(fault.total)
    lines = [
        f"bus {fault.bus!r}: {fault.values} leaves {total}{power} ({fault.failing_tuples} such)"
    ]
    lines += [
        f"    {_signed(m.count):+d} by {m.label!r} of {m.table}, row {m.row}"
        for m in fault.messages
    ]
    if fault.message_count > len(fault.messages):
        lines.append(f"    {fault.message_count - len(fault.messages)} more messages")
    return "\n".join(lines)
