"""The intermediate values of one verification, as data.

The walk is that of ``stark.verifier.verify.verify``, with its own functions; what a second verifier
would like to compare is written down on the way. Standard library alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from golden.describe import describe_key

from stark.constraints.reading import read
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import GENERATOR, root_of_unity
from stark.fri.verifier import fold_leaf
from stark.hash.sha256 import injected_node_digest, leaf_digest, node_digest
from stark.merkle.multiproof import (
    MultiOpening,
    TreeShape,
    group_indices,
    missing_siblings,
    read_opening,
    verify_opening,
)
from stark.transcript.encoding import Reader
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known
from stark.transcript.transcript import VerifierTranscript
from stark.verifier.deep import TableDeep, domain_point
from stark.verifier.header import check_header
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, cells, mask_cells, tables_in, tree_shape
from stark.verifier.out_of_domain import (
    LookupChallenges,
    OpenedTable,
    PointArithmetic,
    TableLayout,
    check_table,
    check_zeta,
    periodic_at,
    selectors_at,
)
from stark.verifier.protocol import (
    bus_tables,
    fri_cap_height,
    fri_leaf_log_size,
    fri_schedule,
    schema,
)
from stark.verifier.verify import (
    PublicValues,
    batched,
    batching_coefficients,
    bind,
    check_buses,
    checked_publics,
    split_rows,
    verify,
)

BRIEF_VALUES = 8
"""Values of a long list that a brief annotation shows."""

BRIEF_QUERIES = 2


class Recorder(VerifierTranscript):
    """A verifier's transcript that notes every item with the state after it."""

    def __init__(self, items: Sequence[Item], reader: Reader) -> None:
        super().__init__(items, reader)
        self.notes: list[dict[str, Any]] = []

    def _absorb(self, label: str, data: bytes) -> None:
        item = self._schema[self._cursor - 1]
        super()._absorb(label, data)
        note: dict[str, Any] = {"label": label}
        if isinstance(item, Drawn | DrawnIndices):
            note["kind"] = "challenge"
        else:
            note["kind"] = {Known: "known", Grinding: "work"}.get(type(item), "sent")
            note["data"] = data.hex()
            if not isinstance(item, Known):
                note["offset"] = self._reader.position - len(data)
        self.notes.append(note | {"state": self.state.hex()})

    def draw(self, label: str) -> tuple[Element, ...]:
        values = super().draw(label)
        self.notes[-1]["values"] = [list(value) for value in values]
        return values

    def draw_indices(self, label: str) -> tuple[int, ...]:
        values = super().draw_indices(label)
        self.notes[-1]["values"] = list(values)
        return values


def annotate(
    key: VerificationKey, proof: bytes, publics: PublicValues, context: bytes, brief: bool = False
) -> dict[str, Any]:
    """Every step of the verification of a proof that is accepted.

    ``brief`` leaves out long data and most of the queries.
    """
    verify(key, proof, publics, context)
    tables = key.system.tables
    values = checked_publics(tables, publics)
    reader = Reader(proof)
    check_header(reader, key)
    transcript = Recorder(schema(key, len(context)), reader)
    result: dict[str, Any] = {
        "key": describe_key(key),
        "publics": {name: list(values[name]) for name in values},
        "context": context.hex(),
        "header_bytes": reader.position,
        "items": transcript.notes,
    }
    bind(transcript, key, values, context)
    if key.parameters.zk:
        transcript.receive_digests("salt")
    caps = {Tree.PREPROCESSED: key.preprocessed_cap}
    caps[Tree.MAIN] = transcript.receive_digests("main commitment")
    challenges, terminals = LookupChallenges(ext.ZERO, ext.ZERO, ext.ZERO), {}
    if bus_tables(tables):
        transcript.check_work("work lookup")
        challenges = LookupChallenges(*transcript.draw("lookup"))
        caps[Tree.AUXILIARY] = transcript.receive_digests("auxiliary commitment")
        names = [table.name for table in bus_tables(tables)]
        terminals = dict(zip(names, transcript.receive_extension("terminals"), strict=True))
        check_buses(terminals)
    transcript.check_work("work constraints")
    (combiner,) = transcript.draw("constraints")
    caps[Tree.QUOTIENT] = transcript.receive_digests("quotient commitment")
    transcript.check_work("work zeta")
    (zeta,) = transcript.draw("zeta")
    check_zeta(zeta, key.system.log_heights[0], key.parameters.log_blowup, GENERATOR)
    opened = [
        OpenedTable(
            TableLayout.of(table),
            transcript.receive_extension(f"values {table.name}"),
            values[table.name],
            terminals.get(table.name, ext.ZERO),
        )
        for table in tables
    ]
    shown = BRIEF_VALUES if brief else None
    result["out_of_domain"] = [
        _out_of_domain(one, challenges, zeta, combiner, shown) for one in opened
    ]
    transcript.check_work("work batching")
    drawn = transcript.draw("batching")
    coefficients = batching_coefficients(key, drawn)
    result["batching"] = {
        "count": len(coefficients),
        "first": [list(value) for value in coefficients[:BRIEF_VALUES]],
    }
    deeps = batched(key, opened, zeta, drawn)
    layer_caps, folds = [], []
    for layer in range(len(fri_schedule(key))):
        layer_caps.append(transcript.receive_digests(f"fri {layer}"))
        transcript.check_work(f"work fold {layer}")
        folds += transcript.draw(f"fold {layer}")
    final = transcript.receive_extension("final polynomial")
    transcript.check_work("work queries")
    indices = transcript.draw_indices("queries")
    transcript.finish()
    result["schedule"] = list(fri_schedule(key))
    result["openings"] = []
    rows, masks = _open_columns(key, reader, caps, indices, result["openings"], brief)
    leaves = _open_layers(key, reader, layer_caps, indices, result["openings"], brief)
    reader.finish()
    distinct = sorted(set(indices))
    result["queries"] = [
        _query(key, deeps, rows, masks, leaves, folds, final, index)
        for index in (distinct[:BRIEF_QUERIES] if brief else distinct)
    ]
    if brief:
        for note in transcript.notes:
            if len(note.get("data", "")) > 2048:
                note["data_bytes"] = len(note["data"]) // 2
                note["data"] = note["data"][:64] + "..."
            if note["label"] == "batching":
                note["values"] = note["values"][:BRIEF_VALUES]
    return result


def _out_of_domain(
    one: OpenedTable,
    challenges: LookupChallenges,
    zeta: Element,
    combiner: Element,
    shown: int | None,
) -> dict[str, Any]:
    """Both sides of a table's identity, with the pieces that they are made of."""
    check_table(one, challenges, zeta, combiner)
    table = one.layout.table
    roots = [constraint.expression.index for constraint in table.constraints]
    found = [
        ext.from_base(value) if isinstance(value, int) else value
        for value in read(table.symbolic.graph, roots, PointArithmetic(one, challenges, zeta))
    ]
    left = ext.evaluate(found, combiner)
    power = ext.power(zeta, table.height)
    first, last, transition = selectors_at(table.log_height, zeta).values()
    return {
        "table": table.name,
        "zeta_power": list(power),
        "next_point": list(ext.scale(zeta, root_of_unity(table.log_height))),
        "first": list(first),
        "last": list(last),
        "transition": list(transition),
        "periodic": [
            list(periodic_at(values, table.log_height, zeta)) for values in table.symbolic.periodic
        ],
        "values": [list(value) for value in one.values[:shown]],
        "constraints": [list(value) for value in found[:shown]],
        "quotient": list(ext.evaluate(one.quotient_values(), power)),
        "left": list(left),
        "right": list(
            ext.multiply(ext.subtract(power, ext.ONE), ext.evaluate(one.quotient_values(), power))
        ),
    }


Rows = dict[tuple[int, Tree], dict[int, tuple[int, ...]]]


def _open_columns(
    key: VerificationKey,
    reader: Reader,
    caps: Mapping[Tree, Sequence[bytes]],
    indices: Sequence[int],
    openings: list[dict[str, Any]],
    brief: bool,
) -> tuple[Rows, dict[int, dict[int, Element]]]:
    tables, parameters = key.system.tables, key.parameters
    rows: Rows = {}
    masks: dict[int, dict[int, Element]] = {}
    for tree in Tree:
        shape = tree_shape(
            tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk
        )
        if shape is None:
            continue
        opening = _open(reader, caps[tree], shape, indices, tree.label, openings, brief)
        for (log_size, _), group in zip(shape.groups, opening.rows, strict=True):
            positions = sorted({index % (1 << log_size) for index in indices})
            log_height = log_size - parameters.log_blowup
            members = tables_in(tables, tree, log_height)
            found = split_rows(tables, tree, members, positions, group, rows)
            if mask_cells(tree, parameters.zk):
                masks[log_height] = found
    return rows, masks


def _open_layers(
    key: VerificationKey,
    reader: Reader,
    caps: Sequence[Sequence[bytes]],
    indices: Sequence[int],
    openings: list[dict[str, Any]],
    brief: bool,
) -> list[dict[int, list[Element]]]:
    layers = []
    for layer, log_arity in enumerate(fri_schedule(key)):
        log_leaves = fri_leaf_log_size(key, layer)
        shape = TreeShape(
            ((log_leaves, ext.DEGREE << log_arity),), False, fri_cap_height(key, layer)
        )
        opening = _open(reader, caps[layer], shape, indices, f"fri {layer}", openings, brief)
        positions = sorted({index % (1 << log_leaves) for index in indices})
        leaves = {}
        for position, data in zip(positions, opening.rows[0], strict=True):
            words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
            leaves[position] = [
                ext.from_coefficients(words[i : i + 5]) for i in range(0, len(words), 5)
            ]
        layers.append(leaves)
    return layers


def _open(
    reader: Reader,
    cap: Sequence[bytes],
    shape: TreeShape,
    indices: Sequence[int],
    name: str,
    openings: list[dict[str, Any]],
    brief: bool,
) -> MultiOpening:
    inside = [index % (1 << shape.log_size) for index in indices]
    start = reader.position
    opening, reader.position = read_opening(reader.data, start, shape, inside)
    verify_opening(cap, shape, inside, opening.rows, opening.salts, opening.siblings, name)
    note: dict[str, Any] = {
        "tree": name,
        "offset": start,
        "bytes": reader.position - start,
        "salted": shape.salted,
        "cap_height": shape.cap_height,
        "groups": [
            {"log_size": log_size, "width": width, "rows": len(positions)}
            for (log_size, width), positions in zip(
                shape.groups, group_indices(shape, inside), strict=True
            )
        ],
        "siblings": [len(level) for level in missing_siblings(shape, inside)],
        "cap": [digest.hex() for digest in cap],
    }
    if not brief:
        note["levels"] = _levels(shape, inside, opening, cap)
    openings.append(note)
    return opening


def _levels(
    shape: TreeShape, indices: Sequence[int], opening: MultiOpening, cap: Sequence[bytes]
) -> list[dict[str, Any]]:
    """Computed digests by index, level by level from the leaves."""
    leaves: dict[int, dict[int, bytes]] = {}
    for (log_size, _), positions, rows, salts in zip(
        shape.groups, group_indices(shape, indices), opening.rows, opening.salts, strict=True
    ):
        salted = salts or [b""] * len(rows)
        leaves[log_size] = dict(zip(positions, map(leaf_digest, rows, salted), strict=True))
    nodes = leaves[shape.log_size]
    notes = [_level("leaf", shape.log_size, nodes)]
    supply = iter(opening.siblings)
    for log_parent, missing in zip(
        range(shape.log_size - 1, -1, -1), missing_siblings(shape, indices), strict=False
    ):
        known = nodes | {j: next(supply) for j in missing}
        half = 1 << log_parent
        injected = leaves.get(log_parent)
        nodes = {}
        for j in sorted({j % half for j in known}):
            pair = known[j], known[j + half]
            nodes[j] = (
                node_digest(*pair) if injected is None else injected_node_digest(*pair, injected[j])
            )
        if injected is not None:
            notes.append(_level("rows to inject", log_parent, injected))
        notes.append(_level("node" if injected is None else "injected node", log_parent, nodes))
    if any(digest != cap[j] for j, digest in nodes.items()):
        raise AssertionError("the levels do not lead to the cap")
    return notes


def _level(kind: str, log_size: int, nodes: Mapping[int, bytes]) -> dict[str, Any]:
    digests = {str(j): digest.hex() for j, digest in sorted(nodes.items())}
    return {"kind": kind, "log_size": log_size, "digests": digests}


def _query(
    key: VerificationKey,
    deeps: Sequence[TableDeep],
    rows: Rows,
    masks: Mapping[int, Mapping[int, Element]],
    leaves: Sequence[Mapping[int, Sequence[Element]]],
    folds: Sequence[Element],
    final: Sequence[Element],
    index: int,
) -> dict[str, Any]:
    """One query: the DEEP value at every height, every fold, the final polynomial."""
    log_blowup = key.parameters.log_blowup
    words: dict[int, Element] = {}
    heights = []
    for log_height in key.system.log_heights:
        log_size = log_height + log_blowup
        position = index % (1 << log_size)
        x = domain_point(log_size, position)
        mask = masks.get(log_height, {}).get(position, ext.ZERO)
        total, parts = mask, {}
        for number, deep in enumerate(deeps):
            if deep.table.log_height == log_height:
                row = {
                    tree: rows[number, tree][position] for tree in Tree if cells(deep.table, tree)
                }
                parts[deep.table.name] = deep.at(row, x)
                total = ext.add(total, parts[deep.table.name])
        words[log_height] = total
        heights.append(
            {
                "log_height": log_height,
                "position": position,
                "x": x,
                "mask": list(mask),
                "tables": {name: list(value) for name, value in parts.items()},
                "deep": list(total),
            }
        )
    log_height = key.system.log_heights[0]
    value = words[log_height]
    steps = []
    for layer, log_arity in enumerate(fri_schedule(key)):
        log_size = log_height + log_blowup
        log_leaves = log_size - log_arity
        position, slot = index % (1 << log_leaves), (index % (1 << log_size)) >> log_leaves
        leaf = leaves[layer][position]
        if leaf[slot] != value:
            raise AssertionError("a layer does not continue")
        folded = fold_leaf(leaf, position, log_size, folds[layer])
        log_height -= log_arity
        value = folded
        if log_height in words:
            power = ext.power(folds[layer], 1 << log_arity)
            value = ext.add(value, ext.multiply(power, words[log_height]))
        steps.append(
            {
                "log_size": log_size,
                "leaf": position,
                "slot": slot,
                "y": pow(root_of_unity(log_size), position, (1 << 31) - (1 << 24) + 1),
                "values": [list(one) for one in leaf],
                "folded": list(folded),
                "joined": log_height in words,
                "next": list(value),
            }
        )
    log_size = log_height + log_blowup
    y = pow(root_of_unity(log_size), index % (1 << log_size), (1 << 31) - (1 << 24) + 1)
    if ext.evaluate(final, ext.from_base(y)) != value:
        raise AssertionError("the final polynomial differs")
    return {
        "index": index,
        "heights": heights,
        "layers": steps,
        "final": {"y": y, "value": list(value)},
    }
