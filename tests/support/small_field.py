"""An AIR's own constraints over a small prime field, and all their solutions.

Constraints are read from the symbols that ``eval`` writes, not typed again. Constants near p are
taken as negative numbers (p - 1 is -1), and ``scaled`` replaces those that stand for a size, as the
base of limbs does: both keep their meaning in the small field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stark.constraints.air import Constraint, SymbolicAir
from stark.constraints.expression import Node, Op, Part, Selector
from stark.constraints.reading import read
from stark.field.koalabear import P

Cell = tuple[Part, str, int]
"""Part, column's name, row."""


@dataclass
class SmallField:
    """Constraints of one table, over the integers mod ``modulus``.

    Parameters
    ----------
    air
        The table's symbols.
    modulus
        A prime.
    rows
        Rows of the window; the first row is the table's first if ``boundaries``, the last its last.
    boundaries
        Whether ``first_row``, ``last_row`` and ``transition`` see the window's ends as the table's.
    scaled
        Constants to replace, by their value as signed integers.
    """

    air: SymbolicAir
    modulus: int
    rows: int
    boundaries: bool = True
    scaled: Mapping[int, int] = field(default_factory=dict)

    def constraint(self, label: str) -> Constraint:
        """The constraint with this label."""
        return next(one for one in self.air.constraints if one.label == label)

    def cells(self, constraint: Constraint, row: int) -> set[Cell]:
        """What the constraint reads on ``row``."""
        graph = self.air.graph
        nodes = (graph.nodes[i] for i in graph.reachable([constraint.expression.index]))
        return {self._cell(node, row) for node in nodes if node[0] == Op.CELL}

    def value(self, constraint: Constraint, row: int, cells: Mapping[Cell, Any]) -> Any:
        """The constraint on ``row``; values may be integers or integer arrays."""
        arithmetic = _Row(self, row, cells)
        return read(self.air.graph, [constraint.expression.index], arithmetic)[0]

    def solutions(
        self,
        constraints: Sequence[tuple[Constraint, int]],
        unknowns: Sequence[Cell],
        given: Mapping[Cell, int],
        domain: Callable[[Cell], range] | None = None,
    ) -> Iterator[dict[Cell, int]]:
        """All values of ``unknowns``, in the whole field or ``domain``, with every constraint zero.

        Complete: values are tried in order, and a constraint is checked as soon as all cells that
        it reads have values.
        """
        places = {cell: number for number, cell in enumerate(unknowns)}
        due: list[list[tuple[Constraint, int]]] = [[] for _ in range(len(unknowns) + 1)]
        for constraint, row in constraints:
            read_cells = self.cells(constraint, row)
            missing = read_cells - set(places) - set(given)
            if missing:
                raise ValueError(f"no value for {sorted(missing)}")
            due[max((places[c] + 1 for c in read_cells if c in places), default=0)].append(
                (constraint, row)
            )
        yield from self._extend(due, list(unknowns), dict(given), domain, 0)

    def _extend(
        self,
        due: list[list[tuple[Constraint, int]]],
        unknowns: list[Cell],
        cells: dict[Cell, int],
        domain: Callable[[Cell], range] | None,
        depth: int,
    ) -> Iterator[dict[Cell, int]]:
        if any(self.value(constraint, row, cells) for constraint, row in due[depth]):
            return
        if depth == len(unknowns):
            yield {cell: cells[cell] for cell in unknowns}
            return
        cell = unknowns[depth]
        for value in range(self.modulus) if domain is None else domain(cell):
            yield from self._extend(due, unknowns, {**cells, cell: value}, domain, depth + 1)

    def _cell(self, node: Node, row: int) -> Cell:
        part = Part(node[1])
        return part, self.air.columns[part][node[2]], (row + node[3]) % self.rows


class _Row:
    """Arithmetic mod a small prime on one row."""

    def __init__(self, small: SmallField, row: int, cells: Mapping[Cell, Any]) -> None:
        self._small = small
        self._row = row
        self._cells = cells

    def leaf(self, node: Node) -> Any:
        small = self._small
        if node[0] == Op.CONSTANT:
            signed = node[1] if node[1] <= P // 2 else node[1] - P
            scaled = small.scaled.get(abs(signed), abs(signed))
            return (scaled if signed >= 0 else -scaled) % small.modulus
        if node[0] == Op.CELL:
            return self._cells[small._cell(node, self._row)]
        if node[0] == Op.SELECTOR:
            first = small.boundaries and self._row == 0
            last = small.boundaries and self._row == small.rows - 1
            selector = Selector(node[1])
            if selector is Selector.FIRST:
                return int(first)
            return int(last) if selector is Selector.LAST else int(not last)
        raise ValueError(f"no value for {node}")

    def add(self, left: Any, right: Any) -> Any:
        return (left + right) % self._small.modulus

    def subtract(self, left: Any, right: Any) -> Any:
        return (left - right) % self._small.modulus

    def multiply(self, left: Any, right: Any) -> Any:
        return left * right % self._small.modulus
