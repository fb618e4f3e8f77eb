"""Provers whose commitments are garbage but for one leaf: they open that leaf, and no other.

Their columns are constant, so that every word that FRI sees is zero, and any place is as good as
another; what a query asks for is then checked by nothing but its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.field.memory import aligned_zeros
from stark.field.montgomery import to_montgomery
from stark.merkle.tree import CodewordTree
from stark.prover.commitment import Commitment
from stark.prover.prove import Prover
from stark.recursion import inputs
from stark.system import System
from stark.verifier.layout import Tree, cells
from stark.verifier.protocol import fri_cap_height, fri_leaf_log_size, fri_schedule
from support.cheating import Matrix, random_words
from support.systems import Example
from support.tabulated import Tabulated

IDLE = Bus("idle", width=1)


class Idle(Air):
    """Sends and receives nothing: all auxiliary columns are zero."""

    name = "idle"

    def eval(self, t: AirBuilder) -> None:
        number, count = t.main("number"), t.main("count")
        t.every_row("no message", count)
        t.send(IDLE, [number], count=count, bound=1, label="sent")
        t.receive(IDLE, [number], count=count, bound=1, label="received")


def idle(log_height: int) -> Example:
    rows = 1 << log_height
    return Example(
        System([Idle(log_height)]), {"idle": {"number": [5] * rows, "count": [0] * rows}}, {}
    )


class Garbled(Prover):
    """Commits to garbage in the trees ``garbled``, and opens leaf 0 of them, whatever is asked."""

    garbled: frozenset[str]
    traces: Mapping[str, Mapping[str, Sequence[int]]]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.queries: tuple[int, ...] = ()
        self._fakes: dict[str, Any] = {}
        send = self.transcript.send_digests

        def send_digests(label: str, digests: Sequence[bytes]) -> None:
            name = label.removesuffix(" commitment")
            send(label, self._fake(name).cap if name in self.garbled else digests)

        self.transcript.send_digests = send_digests  # type: ignore[method-assign]

    def open(self, commitments: Any, layers: Sequence[Any], indices: Sequence[int]) -> bytes:
        type(self).queries = tuple(indices)
        columns = {
            tree: _Holder(_Stuck(self._fake(tree.label)))
            if tree.label in self.garbled and commitment.tree is not None
            else commitment
            for tree, commitment in commitments.items()
        }
        chosen = [
            _Stuck(self._fake(f"fri {number}")) if f"fri {number}" in self.garbled else layer
            for number, layer in enumerate(layers)
        ]
        return super().open(columns, chosen, indices)  # type: ignore[arg-type]

    def _fake(self, name: str) -> Any:
        if name not in self._fakes:
            make = self._layer if name.startswith("fri") else self._columns_of
            self._fakes[name] = make(name)
        return self._fakes[name]

    def _columns_of(self, name: str) -> Any:
        tree = Tree[name.upper()]
        columns: list[Tabulated | None] = []
        for number, table in enumerate(self.tables):
            width = cells(table, tree)
            if not width:
                columns.append(None)
                continue
            cosets = 1 << self.parameters.log_blowup
            values = aligned_zeros((cosets * table.height, -(-width // 16) * 16))
            garbage = random_words((cosets * table.height, width), 7 + number)
            values[:, :width] = garbage
            values[0, :width] = 0
            if tree is Tree.MAIN:
                own = self.traces[table.name].values()
                values[0, :width] = to_montgomery(np.array([cell[0] for cell in own], np.uint32))
            columns.append(Tabulated(values.reshape(cosets, table.height, -1), None))
        return Commitment(self.tables, tree, columns, self.parameters).tree

    def _layer(self, name: str) -> CodewordTree:
        layer = int(name.split(" ")[1])
        log_leaves = fri_leaf_log_size(self.verification, layer)
        log_arity = fri_schedule(self.verification)[layer]
        cosets = 1 << self.parameters.log_blowup
        rows = 1 << log_leaves + log_arity - self.parameters.log_blowup
        word: Matrix = random_words((5, cosets, rows), 11)
        # Position c + B i belongs to leaf 0 if it is a multiple of the number of leaves.
        word[:, 0, :: (1 << log_leaves) // cosets] = 0
        cap_height = fri_cap_height(self.verification, layer)
        return CodewordTree(word, 1 << log_arity, cap_height, self.verification.suite)


class _Stuck:
    """A tree that is opened at leaf 0 whatever is asked."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self.shape = tree.shape

    def open(self, indices: Sequence[int]) -> Any:
        return self._tree.open([0 for _ in indices])


class _Holder:
    def __init__(self, tree: Any) -> None:
        self.tree = tree


def stuck_inputs(patch: Any, garbled: frozenset[str]) -> None:
    """Have the circuit's inputs follow the openings of such a prover."""
    tree_of, layer_of = inputs._tree, inputs._layer

    def tree_inputs(reader: Any, key: Any, tree: Tree, indices: Sequence[int]) -> Any:
        stuck = tree.label in garbled
        return tree_of(reader, key, tree, [0 for _ in indices] if stuck else indices)

    def layer_inputs(reader: Any, key: Any, layer: int, indices: Sequence[int]) -> Any:
        stuck = f"fri {layer}" in garbled
        return layer_of(reader, key, layer, [0 for _ in indices] if stuck else indices)

    patch.setattr(inputs, "_tree", tree_inputs)
    patch.setattr(inputs, "_layer", layer_inputs)
