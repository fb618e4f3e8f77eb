"""All that matters in a circuit follows from the inner proof.

With the values of the inner proof held fixed, and with all comparisons left out, every cell that
matters is defined by constraints and messages. This is linear algebra over the derivatives of all
constraints at the honest traces: what is neither determined nor explained is free for a cheating
prover, together with all that follows from it. Only bits are determined up to a choice, for they
satisfy b^2 = b.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_recursion_review_cells import CASES, SLICE, Bench, Cell, bench, explained

from stark.debug.faults import faults
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.recursion.circuit import STEP_WIDTH, Circuit, Operation, Rate
from stark.recursion.system import circuit_system

Variable = Any
"""A cell, or (address, coordinate) of a value on a bus."""

SIXTH = pow(6, -1, P)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Bench:
    return bench(request.param)


class Freedom:
    """Which cells constraints and messages determine, given the values of the inner proof.

    Variables are cells and the values of addresses; equations are coordinates of constraints, and
    that a message holds the value of its address. A permutation's output follows from its input.
    """

    def __init__(self, made: Bench) -> None:
        self.made = made
        self._parents: dict[Variable, Variable] = {}
        self._raw: list[tuple[Any, dict[Variable, tuple[int, bool]]]] = []
        for name in made.tables:
            self._read_constraints(name)
            self._read_messages(name)
        self.equations = [(label, self._merged(terms)) for label, terms in self._raw]
        self.bits: Counter[tuple[str, str]] = Counter()
        self.together: set[int] = set()
        self.known = {self.find(cell) for cell in self.values_of_the_proof()}
        self._solve()

    def find(self, variable: Variable) -> Variable:
        root = variable
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        self._parents[variable] = root
        return root

    def _merged(
        self, terms: Mapping[Variable, tuple[int, bool]]
    ) -> dict[Variable, tuple[int, bool]]:
        result: dict[Variable, tuple[int, bool]] = {}
        for variable, (slope, curved) in terms.items():
            root = self.find(variable)
            if root in result:
                result[root] = (result[root][0] + slope) % P, True
            else:
                result[root] = slope, curved
        return result

    # ---- equations

    def _derivatives(
        self, name: str, roots: Sequence[int], both: bool
    ) -> dict[tuple[int, int], dict[Variable, tuple[int, bool]]]:
        """By (row of the equation, coordinate): slopes by cell, and whether it is a line.

        Constraints are of degree three in a cell: three differences give the slope.
        """
        made = self.made
        main = made.main(name)
        height, width = main.shape
        columns = [c for c in range(width) if not inner(made.names[name][c])]
        rows = np.repeat(np.arange(height), len(columns))
        places = np.tile(columns, height)
        result: dict[tuple[int, int], dict[Variable, tuple[int, bool]]] = defaultdict(dict)
        for lo in range(0, len(rows), SLICE):
            at, column = rows[lo : lo + SLICE], places[lo : lo + SLICE]
            samples = []
            for step in range(4):
                changed = main[at].copy()
                changed[np.arange(len(at)), column] += np.uint64(step)
                changed %= P
                samples.append(made.around(name, at, changed, roots)[: 1 + both])
            for offset in range(1 + both):
                start = samples[0][offset]
                one, two, three = ((s[offset] + (P - start)) % P for s in samples[1:])
                slope = (18 * one + 9 * (P - two) + 2 * three) % P * SIXTH % P
                curved = (two != 2 * one % P) | (three != 3 * one % P)
                for i, j in zip(*np.nonzero((slope != 0) | curved), strict=True):
                    row = (int(at[i]) - offset) % height
                    cell = name, int(at[i]), int(column[i])
                    result[row, int(j)][cell] = int(slope[i, j]), bool(curved[i, j])
        return result

    def _read_constraints(self, name: str) -> None:
        chosen = [
            (label, root)
            for label, root in self.made.constraints(name)
            if not label.startswith(("hash.", "value is in the leaf"))
        ]
        found = self._derivatives(name, [root for _, root in chosen], name == "permutation")
        self._raw += [
            ((name, row), terms)
            for (row, _), terms in found.items()
            if not (name == "arithmetic" and self._checks(row))
        ]

    def _checks(self, row: int) -> bool:
        """Whether a row of arithmetic compares what is known: it reads its result, writes nothing.

        Comparisons are left out, so that nothing is determined backwards by what it must equal.
        """
        fixed = self.made.fixed["arithmetic"]
        # A wire that nobody reads is written with the count 0.
        written = [
            s for s in "abd" if fixed[f"address {s}"][row] and fixed[f"count {s}"][row] < P - 1
        ]
        return int(fixed["count d"][row]) == P - 1 and not written

    def _read_messages(self, name: str) -> None:
        made = self.made
        found = self._derivatives(name, made.messages(name), False)
        honest = made.honest(name)
        start = 0
        for item in made.tables[name].symbolic.interactions:
            # Digests have a number beside their address.
            keys = 1 if item.bus.name == "wire" else 2
            end = start + len(item.values) + 1
            for row, values in enumerate(honest[:, start:end].tolist()):
                if values[-1] == 0 and not (keys == 2 and made.fixed[name]["free"][row]):
                    continue
                if keys == 2 and made.fixed[name]["cap"][row]:
                    continue  # a comparison
                key = item.bus.name, *values[:keys]
                for place in range(keys, len(item.values)):
                    self._tie(name, row, (key, place), found.get((row, start + place), {}))
            start = end

    def _tie(
        self, name: str, row: int, value: Variable, terms: Mapping[Variable, tuple[int, bool]]
    ) -> None:
        """A coordinate of a message is that of its address: one variable, if it is one cell."""
        if len(terms) == 1 and next(iter(terms.values())) == (1, False):
            (cell,) = terms
            self._parents[self.find(cell)] = self.find(value)
        else:
            self._raw.append(((name, row), {**terms, value: (P - 1, False)}))

    # ---- solving

    def values_of_the_proof(self) -> Iterable[Cell]:
        """Lanes that steps take from it."""
        bits = self.made.traces["permutation"][:, self.made.names["permutation"].index("bit")]
        steps = self.made.circuit.steps
        for start in range(0, len(steps), STEP_WIDTH):
            operation, row, rate, count = steps[start : start + 4]
            if operation == Operation.PERMUTE and rate == Rate.HINTS:
                yield from (("permutation", row, lane) for lane in range(8 - count, 8))
            elif operation == Operation.PERMUTE and rate == Rate.PATH:
                first = 0 if bits[row] else 8
                yield from (("permutation", row, first + lane) for lane in range(8))

    def _solve(self) -> None:
        users: dict[Variable, list[int]] = defaultdict(list)
        for number, (_, terms) in enumerate(self.equations):
            for variable in terms:
                users[variable].append(number)
        hashes: dict[Variable, list[int]] = defaultdict(list)
        waiting = Counter[int]()
        height = len(self.made.main("permutation"))
        for row in range(height):
            for variable in {self.find(("permutation", row, lane)) for lane in range(16)}:
                hashes[variable].append(row)
                waiting[row] += 1
        unknown = [len(terms) for _, terms in self.equations]
        ready: deque[int] = deque()

        def learn(first: Variable) -> None:
            found = [first]
            while found:
                variable = found.pop()
                for number in users[variable]:
                    unknown[number] -= 1
                    if unknown[number] == 1:
                        ready.append(number)
                for row in hashes[variable]:
                    waiting[row] -= 1
                    if waiting[row] == 0:
                        outputs = {self.find(("permutation", row, 148 + k)) for k in range(16)}
                        found += outputs - self.known
                        self.known |= outputs

        def peel() -> None:
            while ready:
                number = ready.popleft()
                (table, _), terms = self.equations[number]
                rest = [variable for variable in terms if variable not in self.known]
                if len(rest) != 1:
                    continue
                slope, curved = terms[rest[0]]
                if curved and slope:
                    self.bits[self.described(rest[0], table)] += 1
                elif slope not in (1, P - 1):
                    continue
                self.known.add(rest[0])
                learn(rest[0])

        for variable in list(self.known):
            learn(variable)
        ready.extend(number for number, count in enumerate(unknown) if count == 1)
        peel()
        progress = True
        while progress:
            progress = False
            by_row: dict[Any, list[int]] = defaultdict(list)
            for number, (place, _) in enumerate(self.equations):
                if unknown[number] > 0 and place[0] == "arithmetic":
                    by_row[place].append(number)
            for (table, row), numbers in by_row.items():
                for variable, curved in self._determined(numbers):
                    if curved:
                        self.bits[self.described(variable, table)] += 1
                    else:
                        self.together.add(row)
                    self.known.add(variable)
                    learn(variable)
                    progress = True
                peel()

    def _determined(self, numbers: Sequence[int]) -> list[tuple[Variable, bool]]:
        """What the equations of a row of arithmetic determine together: by elimination."""
        terms = [self.equations[number][1] for number in numbers]
        rest = list(dict.fromkeys(v for one in terms for v in one if v not in self.known))
        if not 0 < len(rest) <= 60:
            return []
        rows = [[one.get(variable, (0, False))[0] for variable in rest] for one in terms]
        done = 0
        for column in range(len(rest)):
            pivot = next((r for r in range(done, len(rows)) if rows[r][column]), None)
            if pivot is None:
                continue
            rows[done], rows[pivot] = rows[pivot], rows[done]
            scale = pow(rows[done][column], -1, P)
            rows[done] = [value * scale % P for value in rows[done]]
            for other, line in enumerate(rows):
                if other != done and line[column]:
                    factor = line[column]
                    rows[other] = [
                        (a - factor * b) % P for a, b in zip(line, rows[done], strict=True)
                    ]
            done += 1
        result = []
        for line in rows[:done]:
            if sum(map(bool, line)) == 1:
                variable = next(v for v, value in zip(rest, line, strict=True) if value)
                curved = any(one[variable][1] for one in terms if variable in one)
                result.append((variable, curved))
        return result

    def described(self, variable: Variable, table: str) -> tuple[str, str]:
        if variable[0] in self.made.names:
            return variable[0], self.made.names[variable[0]][variable[2]].split("[")[0]
        return table, variable[0][0]

    def free(self) -> list[Cell]:
        """Cells that are not determined; those inside a permutation follow from its input."""
        return [
            (name, row, column)
            for name in self.made.tables
            for row in range(len(self.made.main(name)))
            for column, label in enumerate(self.made.names[name])
            if not inner(label) and self.find((name, row, column)) not in self.known
        ]


def inner(label: str) -> bool:
    """Cells between a permutation's input and its output."""
    return label.startswith(("hash.full", "hash.z"))


BITS = {
    ("permutation", "bit"),
    ("fold", "bit"),
    ("decomposition", "bit"),
    ("arithmetic", "wire"),
}
"""Determined by b^2 = b; the wires are the bits of indices and booleans of statements."""


def unexplained(made: Bench, freedom: Freedom) -> list[Cell]:
    """Cells that are free although something is said about them.

    A look-up's multiplicity is no equation here; that buses are balanced fixes it.
    """
    names = made.names
    return [
        cell
        for cell in freedom.free()
        if names[cell[0]][cell[2]] != "multiplicity" and not explained(made, cell)
    ]


def test_all_that_matters_follows_from_the_inner_proof(case: Bench) -> None:
    freedom = Freedom(case)
    assert unexplained(case, freedom)[:8] == []
    assert set(freedom.bits) <= BITS
    # Everything else stands alone in some equation, with the factor 1 or -1 whatever the other
    # values are; but for inverses.
    assert freedom.together
    assert {row for row in freedom.together if not inverts(case, row)} == set()


def inverts(made: Bench, row: int) -> bool:
    """Whether a row says that a b = 1, and writes b."""
    at = {name: int(values[row]) for name, values in made.fixed["arithmetic"].items()}
    one = made.traces["arithmetic"][row, 15:20].tolist() == [1, 0, 0, 0, 0]
    return one and at["ab"] == 1 and at["count d"] == P - 1 != at["count b"]


DEFINES = (
    *("zero 2", "capacity next", "rate next", "same next", "leaf next", "node next", "fresh"),
    *("digest count", "wire count"),
)
REFUSED = ("index next", "index count", "gamma here", "gamma next", "straight")


def without(circuit: Circuit, name: str, row: int) -> Circuit:
    """A circuit whose row lacks a flag or a read; then the writer counts one read less."""
    columns = {key: list(values) for key, values in circuit.permutation.items()}
    columns[name][row] = 0
    changed: dict[str, dict[str, list[int]]] = {"permutation": columns}
    if name == "fresh":
        columns["tag"][row] = columns["length"][row] = 0
    if name == "index next":
        columns["weight next"][row] = 0
    if name == "digest count":
        address = columns["digest address"][row]
        for other, count in enumerate(columns["digest count"]):
            if columns["digest address"][other] == address and 0 < count < P - 1:
                columns["digest count"][other] -= 1
    if name in ("wire count", "index count"):
        address = columns[name.replace("count", "address")][row]
        for table, pairs in WRITERS.items():
            own = changed.setdefault(
                table, {key: list(values) for key, values in circuit.tables[table].items()}
            )
            for place, offset, count in pairs:
                for other, value in enumerate(own[count]):
                    if own[place][other] + offset == address and 0 < value < P - 1:
                        own[count][other] -= 1
    return replace(circuit, **changed)


WRITERS = {
    "permutation": (("wire address", 0, "wire count"),),
    "arithmetic": tuple((f"address {s}", 0, f"count {s}") for s in "abd"),
    "fold": (("address out", 1, "count index out"),),
    "decomposition": (("address", 1, "count low"),),
}


def places(circuit: Circuit, name: str) -> list[int]:
    """Rows with a flag, or with a read."""
    values = circuit.permutation[name]
    return [row for row, v in enumerate(values) if (v == P - 1 if "count" in name else v)]


@pytest.mark.parametrize("name", DEFINES)
def test_what_is_left_out_makes_cells_free(name: str) -> None:
    """The honest traces are as good as before, so that only this analysis sees it."""
    made = bench("one table")
    changed = Bench(made.recursion, without(made.circuit, name, places(made.circuit, name)[-1]))
    assert not faults(changed.system, changed.traces, changed.publics)
    assert unexplained(changed, Freedom(changed))


@pytest.mark.parametrize("name", REFUSED)
def test_the_table_refuses_what_leaves_a_path_or_a_point_free(name: str) -> None:
    circuit = bench("three heights").circuit
    rows = places(circuit, name)
    if name == "straight":
        # Nodes that rows are injected in.
        parents = zip(*(circuit.permutation[n] for n in ("leaf next", "weight next")), strict=True)
        rows = [row + 1 for row, (leaf, weight) in enumerate(parents) if leaf and not weight]
    shape = bench("three heights").recursion.shape
    for row in (rows[0], rows[len(rows) // 2]):
        with pytest.raises(UsageError):
            circuit_system(shape, zk=False, whole_rows=False, circuit=without(circuit, name, row))
