"""What an honest verifier sees of a masked proof, as vectors over the field, coins held fixed.

Zero knowledge is a claim about the interactive protocol: for every choice of the verifier's coins,
what is shown has the same distribution whatever the witness. So challenges and positions of queries
are constants here, and only masks and salts vary from proof to proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.constraints.expression import Part
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.hash.sha256 import decode_elements
from stark.merkle.tree import CodewordTree
from stark.prover.commitment import Commitment
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.masks import Masks
from stark.prover.prove import Prover
from stark.prover.randomness import field_elements
from stark.system import System
from stark.transcript.transcript import ProverTranscript
from stark.verifier.layout import TableLayout, Tree, cells, tables_in
from stark.verifier.protocol import fri_leaf_log_size, schema
from support.cheating import SILENT, Seeded, configured
from support.systems import Columns, parameters

Matrix = NDArray[np.uint32]
View = dict[str, NDArray[np.int64]]
"""Canonical elements of one proof by component."""

VALUES = Bus("values", width=2)


class Line(Air):
    """Points of a line that ends at a public value. All constraints are linear: with fixed coins,
    everything that a proof shows of this table is an affine function of the masks."""

    name = "line"

    def __init__(self) -> None:
        super().__init__(6)

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        t.transition("moves on", a.next - a - b, b.next - b)
        t.last_row("ends at the result", a - t.public("result"))


class Sender(Air):
    """Sends values with their squares, from flagged rows."""

    name = "sender"

    def __init__(self) -> None:
        super().__init__(7)

    def eval(self, t: AirBuilder) -> None:
        value, square, flag = t.main("value"), t.main("square"), t.main("flag")
        t.every_row("square", square - value * value)
        t.every_row("flag is boolean", flag * (flag - 1))
        t.send(VALUES, [value, square], count=flag, label="flagged")
        t.send(VALUES, [value, square], count=1 - flag, label="others")
        t.send(VALUES, [value, square], label="all once more")


class Receiver(Air):
    """Receives as many tuples as its counts say."""

    name = "receiver"

    def __init__(self) -> None:
        super().__init__(6)

    def eval(self, t: AirBuilder) -> None:
        value, square, count = t.main("value"), t.main("square"), t.main("count")
        t.receive(VALUES, [value, square], count=count, bound=None, label="all")


LINE, SENT, RECEIVED = 1 << 6, 1 << 7, 1 << 6
"""Rows of the three tables."""

RESULT = 1234567
PUBLICS = {"line": [RESULT]}


def witness(seed: int) -> Columns:
    """One of very many witnesses of the same public value; number 0 is as plain as can be."""
    rng = np.random.default_rng(seed)
    slope = int(rng.integers(1, P)) if seed else 0
    known = rng.integers(0, P, RECEIVED) if seed else np.zeros(RECEIVED, np.int64)
    sent = [int(known[i]) for i in rng.integers(0, RECEIVED, SENT)]
    flags = [int(flag) for flag in rng.integers(0, 2, SENT)] if seed else [0] * SENT
    counted = sorted(set(sent))
    padding = RECEIVED - len(counted)
    received = counted + [1] * padding
    return {
        "line": {
            "a": [(RESULT - (LINE - 1 - i) * slope) % P for i in range(LINE)],
            "b": [slope] * LINE,
        },
        "sender": {"value": sent, "square": [v * v % P for v in sent], "flag": flags},
        "receiver": {
            "value": received,
            "square": [v * v % P for v in received],
            "count": [2 * sent.count(value) for value in counted] + [0] * padding,
        },
    }


@cache
def toy_key(alone: bool = False) -> ProvingKey:
    """Tables of 64, 128 and 64 rows, whose masks have 16, 32 and 16 coefficients a column.

    One query takes of a column one value at x, one at w x, five each at zeta and w zeta: 12.
    ``alone``, the line is the only table, and FRI stops at 16 coefficients and 4 of slack.
    """
    airs = [Line()] if alone else [Line(), Sender(), Receiver()]
    chosen = parameters(
        **SILENT | {"queries": 1},
        zk=True,
        log_slack=2,
        log_blowup=2,
        log_max_arity=2,
        log_final_length=4 if alone else 2,
    )
    return generate_key(System(airs, zk=True), chosen)


# ---- the view


class Coins(ProverTranscript):
    """A transcript whose challenges are constants: an honest verifier's coins, once thrown."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.messages: dict[str, Sequence[Element]] = {}

    def draw(self, label: str) -> tuple[Element, ...]:
        count = len(super().draw(label))
        flat = field_elements(Seeded(b"coins"), label, 5 * count).reshape(count, 5)
        return tuple(tuple(element) for element in flat.tolist())

    def draw_indices(self, label: str) -> tuple[int, ...]:
        super().draw_indices(label)
        return (INDEX,)

    def send_extension(self, label: str, values: Sequence[Element]) -> None:
        super().send_extension(label, values)
        self.messages[label] = list(values)


INDEX = 45
"""The queried position; the smallest domain has 4 * 64 points."""


class Interactive(Prover):
    """An honest prover before fixed coins; keeps what it shows."""

    masks: Masks
    masks_type: type[Masks] = Masks
    alone: bool = False

    def __init__(self, seed: bytes) -> None:
        key = toy_key(self.alone)
        super().__init__(key, PUBLICS)
        self.transcript = Coins(schema(key.verification, 0))
        self.masks = self.masks_type(self.parameters, Seeded(seed))
        self.view: View = {}
        self.salts: set[bytes] = set()

    def open(
        self,
        commitments: Mapping[Tree, Commitment],
        layers: Sequence[CodewordTree],
        indices: Sequence[int],
    ) -> bytes:
        self._see_rows(commitments, indices)
        self._see_values()
        for layer, tree in enumerate(layers):
            size = 1 << fri_leaf_log_size(self.verification, layer)
            (leaves,) = tree.open([index % size for index in indices]).rows
            self._see(f"FRI layer {layer}", *(decode_elements(leaf) for leaf in leaves))
        return super().open(commitments, layers, indices)

    def _see(self, component: str, *values: Iterable[int]) -> None:
        own = np.array([v for part in values for v in part], np.int64)
        before = self.view.get(component, own[:0])
        self.view[component] = np.concatenate([before, own])

    def _see_rows(self, commitments: Mapping[Tree, Commitment], indices: Sequence[int]) -> None:
        for tree in (Tree.MAIN, Tree.AUXILIARY, Tree.QUOTIENT):
            merkle = commitments[tree].tree if tree in commitments else None
            if merkle is None:
                continue
            size = 1 << merkle.shape.log_size
            opening = merkle.open([index % size for index in indices])
            self.salts |= {salt for group in opening.salts for salt in group}
            for (log_size, _), rows in zip(merkle.shape.groups, opening.rows, strict=True):
                members = tables_in(self.tables, tree, log_size - self.parameters.log_blowup)
                for row in rows:
                    elements, start = decode_elements(row), 0
                    for number in members:
                        end = start + cells(self.tables[number], tree)
                        self._see(
                            f"{tree.label} rows of {self.tables[number].name}",
                            elements[start:end],
                        )
                        start = end
                    if tree is Tree.MAIN:
                        self._see("codeword masks", elements[start:])

    def _see_values(self) -> None:
        messages = self.transcript.messages  # type: ignore[attr-defined]
        # The terminals add up to zero: the last one says nothing.
        if "terminals" in messages:
            self._see("terminals", *messages["terminals"][:-1])
        self._see("final polynomial", *messages["final polynomial"])
        for table in self.tables:
            layout = TableLayout.of(table)
            parts = [part for part, _ in (*layout.here, *layout.following)]
            values = messages[f"values {table.name}"]
            for part, value in zip(parts, values, strict=False):
                name = Part(part).name.lower()
                self._see(f"{name} values of {table.name}", value)
            self._see(f"quotient values of {table.name}", *values[len(parts) :])


@cache
def views(
    number: int, proofs: int, prover: type[Interactive] = Interactive, seed: str = ""
) -> dict[str, NDArray[np.int64]]:
    """Components of ``proofs`` proofs of a witness with independent masks, (proofs, elements)."""
    columns = witness(number)
    found = []
    for run_number in range(proofs):
        run = prover(f"{seed} {number} {run_number}".encode())
        run.run({table.name: columns[table.name] for table in run.tables})
        found.append(run.view)
    return {name: np.stack([view[name] for view in found]) for name in found[0]}


def honest_views(number: int) -> dict[str, NDArray[np.int64]]:
    """Enough proofs of a witness to span all that they show: it has 318 elements."""
    return views(number, 324)


# ---- provers that hide less


class _Zero(Masks):
    """Masks of which some are zero."""

    trees: tuple[Tree, ...] = ()
    parts: tuple[str, ...] = ()

    def columns(self, table: Any, tree: Tree, padded: int) -> Matrix:
        drawn = super().columns(table, tree, padded)
        return np.zeros_like(drawn) if tree in self.trees else drawn

    def terminals(self, tables: Any) -> list[Matrix]:
        drawn = super().terminals(tables)
        return [np.zeros_like(one) for one in drawn] if "terminals" in self.parts else drawn

    def chunks(self, table: Any) -> list[Matrix]:
        drawn = super().chunks(table)
        return [np.zeros_like(one) for one in drawn] if "chunks" in self.parts else drawn

    def codeword(self, log_height: int) -> tuple[Matrix, Matrix]:
        low, high = super().codeword(log_height)
        if "codewords" in self.parts:
            return np.zeros_like(low), np.zeros_like(high)
        return low, high


class _Short(Masks):
    """Column masks of fewer coefficients than openings take."""

    coefficients = 1

    def columns(self, table: Any, tree: Tree, padded: int) -> Matrix:
        drawn = super().columns(table, tree, padded)
        drawn[self.coefficients :] = 0
        return drawn


def _with(masks: type[Masks], **attributes: Any) -> type[Interactive]:
    own = type(masks.__name__, (masks,), attributes)
    return configured(Interactive, masks_type=own)  # type: ignore[return-value]


BARE_MAIN = _with(_Zero, trees=(Tree.MAIN,))
BARE_AUXILIARY = _with(_Zero, trees=(Tree.AUXILIARY,))
BARE_TERMINALS = _with(_Zero, parts=("terminals",))
BARE_CHUNKS = _with(_Zero, parts=("chunks",))
BARE_CODEWORDS = _with(_Zero, parts=("codewords",))


def alone(prover: type[Interactive]) -> type[Interactive]:
    """The same prover of the line alone."""
    return configured(prover, alone=True)  # type: ignore[return-value]


def short_masks(coefficients: int) -> type[Interactive]:
    """A prover whose column masks have only so many coefficients."""
    return _with(_Short, coefficients=coefficients)


class _Equal(Masks):
    """One mask for all columns of a matrix."""

    def columns(self, table: Any, tree: Tree, padded: int) -> Matrix:
        drawn = super().columns(table, tree, padded)
        drawn[:, : cells(table, tree)] = drawn[:, :1]
        return drawn


EQUAL_COLUMNS = _with(_Equal)


# ---- linear algebra


def rank(matrix: NDArray[np.int64]) -> int:
    """Rank mod p by elimination; products of two elements below 2^31 fit 62 bits."""
    rows = matrix % P
    found = 0
    for column in range(rows.shape[1]):
        pivots = np.flatnonzero(rows[found:, column])
        if not len(pivots):
            continue
        pivot = found + int(pivots[0])
        rows[[found, pivot]] = rows[[pivot, found]]
        rows[found] = rows[found] * pow(int(rows[found, column]), -1, P) % P
        below = rows[found + 1 :, column:]
        below -= below[:, :1] * rows[found, column:] % P
        below %= P
        found += 1
        if found == len(rows):
            break
    return found


def affine_rank(vectors: NDArray[np.int64]) -> int:
    """Dimension of the smallest affine space over F_p that holds all the rows."""
    return rank(vectors[1:] - vectors[0])


def joined(components: Mapping[str, NDArray[np.int64]], *prefixes: str) -> NDArray[np.int64]:
    """Components whose names begin with one of the prefixes (all, without any), side by side."""
    chosen = [own for name, own in components.items() if name.startswith(prefixes or "")]
    return np.concatenate(chosen, axis=1)
