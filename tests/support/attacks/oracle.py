"""An exact and fast judge of forged witnesses.

It starts from a witness that satisfies everything and looks only at what differs: constraints on
the rows that changed (and the rows before them, which read them as their next row), messages of
these rows before and after. A system without some of its rules is judged as well: what passes then
shows that these rules are needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.constraints.bus import Interaction
from stark.constraints.expression import Graph, Op, Part, Selector
from stark.debug.faults import explain, faults
from stark.field.koalabear import P
from stark.system import System, Table
from support.checks import check

Integers = NDArray[np.int64]
Rule = tuple[str, str]
"""(table, label of a constraint or message), or ("bus", name) for a bus that does not balance."""

NONE: frozenset[Rule] = frozenset()

FEW_ROWS = 12


@dataclass(frozen=True)
class Witness:
    """Main columns by table, canonical integers (rows, columns), and public values."""

    traces: dict[str, Integers]
    publics: dict[str, list[int]]


@dataclass(frozen=True)
class Unbalanced:
    """What a bus leaves: tuples (n, width) with the counts (n, powers) that do not cancel."""

    tuples: Integers
    counts: Integers


class Oracle:
    """Judges witnesses by what they change in an honest one."""

    def __init__(self, system: System, honest: Witness) -> None:
        found = faults(system, honest.traces, honest.publics)
        check(not found, f"the honest witness is refused: {explain(found)}")
        self.system = system
        self.honest = honest
        self._fixed = {table.name: _preprocessed(table) for table in system.tables}
        self._public_readers = {table.name: _public_readers(table) for table in system.tables}
        self._orders: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        self._affected_rows: dict[str, tuple[Integers, Integers]] = {}

    def refusals(
        self,
        witness: Witness,
        without: Iterable[Rule] = (),
        blinded: tuple[str, int] | None = None,
    ) -> frozenset[Rule]:
        """The rules that a witness breaks, after its prover has counted look-ups as best it can.

        Parameters
        ----------
        without
            Constraints and messages to leave out of the system.
        blinded
            (bus, position): leave one element out of all tuples of a bus.
        """
        left_out = frozenset(without)
        settled = self.settled(witness, left_out, blinded)
        broken = {rule for rule in self._broken_constraints(settled) if rule not in left_out}
        for bus in self.system.buses:
            if len(self.unbalanced(settled, bus.name, left_out, blinded).tuples):
                broken.add(("bus", bus.name))
        return frozenset(broken)

    def settled(
        self,
        witness: Witness,
        without: frozenset[Rule] = NONE,
        blinded: tuple[str, int] | None = None,
    ) -> Witness:
        """The witness with the multiplicities that absorb all look-ups of values in the table."""
        left = self.unbalanced(witness, "range", without, blinded)
        if not len(left.tuples):
            return witness
        table = witness.traces["range"].copy()
        if blinded == ("range", 0):
            table[0, 1] = (table[0, 1] + int(left.counts.sum())) % P
        else:
            order = np.argsort(table[:, 0], kind="stable")
            values = table[order, 0]
            place = np.minimum(np.searchsorted(values, left.tuples[:, 0]), len(values) - 1)
            present = values[place] == left.tuples[:, 0]
            rows = order[place[present]]
            table[rows, 1] = (table[rows, 1] + left.counts[present, 0]) % P
        return Witness({**witness.traces, "range": table}, witness.publics)

    def unbalanced(
        self,
        witness: Witness,
        bus: str,
        without: frozenset[Rule] = NONE,
        blinded: tuple[str, int] | None = None,
    ) -> Unbalanced:
        """Tuples of one bus whose counts do not cancel.

        All messages of the honest witness cancel. So what is left is the difference on changed
        rows, less all messages that are left out.
        """
        keys, counts = [], []
        for table in self.system.tables:
            rows = self._affected(table, witness)
            for interaction in table.symbolic.interactions:
                if interaction.bus.name != bus:
                    continue
                parts = []
                if len(rows):
                    parts.append((witness, rows, 1))
                    parts.append((self.honest, rows, -1))
                if (table.name, interaction.label) in without:
                    parts.append((witness, np.arange(table.height), -1))
                for source, where, sign in parts:
                    key, count = self._messages(table, interaction, source, where)
                    keys.append(key)
                    counts.append(sign * count % P)
        if not keys:
            return Unbalanced(np.zeros((0, 1), np.int64), np.zeros((0, 1), np.int64))
        powers = max(count.shape[1] for count in counts)
        all_counts = np.concatenate(
            [np.pad(count, ((0, 0), (0, powers - count.shape[1]))) for count in counts]
        )
        all_keys = np.concatenate(keys)
        if blinded is not None and blinded[0] == bus:
            all_keys[:, blinded[1]] = 0
        return _left(all_keys, all_counts)

    # ---- readings

    def _affected(self, table: Table, witness: Witness) -> Integers:
        """Rows on which the table differs from the honest one, or whose next row does."""
        new, old = witness.traces[table.name], self.honest.traces[table.name]
        if new is old:
            return np.zeros(0, np.int64)
        known = self._affected_rows.get(table.name)
        if known is None or known[0] is not new:
            check(new.shape == old.shape, f"{table.name}: a witness of another shape")
            changed = np.flatnonzero((new != old).any(axis=1))
            cells = new[changed]
            check(bool(((cells >= 0) & (cells < P)).all()), f"{table.name}: not canonical")
            known = new, np.union1d(changed, (changed - 1) % table.height)
            self._affected_rows[table.name] = known
        return known[1]

    def _broken_constraints(self, witness: Witness) -> set[Rule]:
        broken = set()
        for table in self.system.tables:
            constraints = table.symbolic.constraints
            every = np.arange(table.height)
            passes = [(self._affected(table, witness), constraints)]
            if witness.publics.get(table.name) != self.honest.publics.get(table.name):
                public = self._public_readers[table.name]
                passes.append((every, [c for c in constraints if c.label in public]))
            for rows, chosen in passes:
                if not len(rows):
                    continue
                roots = tuple(constraint.expression.index for constraint in chosen)
                values = self._read(table, witness, rows, roots)
                broken |= {
                    (table.name, constraint.label)
                    for constraint, value in zip(chosen, values.T, strict=True)
                    if value.any()
                }
        return broken

    def _messages(
        self, table: Table, interaction: Interaction, witness: Witness, rows: Integers
    ) -> tuple[Integers, Integers]:
        expressions = interaction.values + interaction.counts
        roots = tuple(expression.index for expression in expressions)
        values = self._read(table, witness, rows, roots)
        width = len(interaction.values)
        keys, counts = values[:, :width], values[:, width:]
        kept = counts.any(axis=1)
        return keys[kept].copy(), counts[kept] * (-1 if interaction.received else 1)

    def _read(
        self, table: Table, witness: Witness, rows: Integers, roots: tuple[int, ...]
    ) -> Integers:
        """Values of expressions on some rows of the trace domain, canonical: (rows, roots).

        On few rows in Python's integers, which are faster than arrays of few.
        """
        order = self._orders.get((table.name, roots))
        if order is None:
            order = self._orders[table.name, roots] = table.symbolic.graph.reachable(roots)
        result = np.empty((len(rows), len(roots)), np.int64)
        if len(rows) <= FEW_ROWS:
            for number, row in enumerate(rows.tolist()):
                result[number] = self._evaluate(table, witness, row, roots, order)
        else:
            for number, value in enumerate(self._evaluate(table, witness, rows, roots, order)):
                result[:, number] = value
        return result

    def _evaluate(
        self, table: Table, witness: Witness, rows: Any, roots: tuple[int, ...], order: list[int]
    ) -> list[Any]:
        """One pass over the nodes; ``rows`` is a row or an array of them, and so are the values."""
        nodes, height = table.symbolic.graph.nodes, table.height
        sources = {
            Part.MAIN: witness.traces[table.name],
            Part.PREPROCESSED: self._fixed[table.name],
        }
        publics = witness.publics.get(table.name, [])
        single = isinstance(rows, int)
        here = {
            (part, offset): (source[(rows + offset) % height].tolist() if single else source)
            for part, source in sources.items()
            for offset in (0, 1)
        }
        values: dict[int, Any] = {}
        for index in order:
            node = nodes[index]
            op = node[0]
            if op == Op.MULTIPLY:
                values[index] = values[node[1]] * values[node[2]] % P
            elif op == Op.ADD:
                values[index] = (values[node[1]] + values[node[2]]) % P
            elif op == Op.SUBTRACT:
                values[index] = (values[node[1]] - values[node[2]]) % P
            elif op == Op.CONSTANT:
                values[index] = node[1]
            elif op == Op.CELL:
                _, part, column, offset = node
                source = here[Part(part), offset]
                values[index] = (
                    source[column] if single else source[(rows + offset) % height, column]
                )
            elif op == Op.PUBLIC:
                values[index] = publics[node[1]]
            else:
                check(op == Op.SELECTOR, f"no reading of {Op(op)}")
                values[index] = _selector(Selector(node[1]), rows, height)
        return [values[root] for root in roots]


def _selector(selector: Selector, rows: Any, height: int) -> Any:
    """1 on the rows that are picked, else 0."""
    if selector is Selector.FIRST:
        return (rows == 0) * 1
    return ((rows == height - 1) if selector is Selector.LAST else (rows != height - 1)) * 1


def _preprocessed(table: Table) -> Integers:
    columns = table.air.preprocessed()
    names = table.symbolic.columns[Part.PREPROCESSED]
    if not names:
        return np.zeros((table.height, 0), np.int64)
    return np.stack([np.asarray(columns[name]).astype(np.int64) for name in names], axis=1)


def _public_readers(table: Table) -> set[str]:
    """Labels of the constraints that read a public value."""
    graph: Graph = table.symbolic.graph
    return {
        constraint.label
        for constraint in table.symbolic.constraints
        if any(
            graph.nodes[i][0] == Op.PUBLIC for i in graph.reachable([constraint.expression.index])
        )
    }


def _left(keys: Integers, counts: Integers) -> Unbalanced:
    if not len(keys):
        return Unbalanced(keys, counts)
    order = np.lexsort(keys.T[::-1])
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)]))
    totals = np.add.reduceat(counts, starts, axis=0) % P
    kept = totals.any(axis=1)
    return Unbalanced(keys[starts][kept], totals[kept])


def messages_of(system: System) -> list[Rule]:
    """All messages of all tables, from their AIRs."""
    return [
        (table.name, interaction.label)
        for table in system.tables
        for interaction in table.symbolic.interactions
    ]


def constraints_of(system: System) -> list[Rule]:
    """All constraints of all tables, from their AIRs; those of the bus argument not among them."""
    return [
        (table.name, constraint.label)
        for table in system.tables
        for constraint in table.symbolic.constraints
    ]


def tuple_positions(system: System) -> list[tuple[str, int]]:
    """Every element of the tuples of every bus."""
    return [(bus.name, position) for bus in system.buses for position in range(bus.width)]
