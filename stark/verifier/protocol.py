"""The protocol as a schema: every message and challenge between prover and verifier, in order.

The rounds are those of DEEP-ALI (Ben-Sasson et al., ePrint 2019/336) with a LogUp round before the
constraints and one batched FRI after them. A nonce is absorbed before the challenge it protects.
"""

from __future__ import annotations

from collections.abc import Sequence

from stark.system import Table
from stark.transcript.encoding import DIGEST_SIZE, Kind
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known, Sent
from stark.verifier.key import VerificationKey
from stark.verifier.layout import TableLayout, Tree, tree_shape

PROTOCOL = b"stark/protocol/v1"


def bus_tables(tables: Sequence[Table]) -> list[Table]:
    """The tables that take part in a bus, each with a terminal."""
    return [table for table in tables if table.bus_argument.width]


def schema(key: VerificationKey, context_size: int) -> list[Item]:
    """All items for ``key``, with a context of ``context_size`` bytes."""
    tables = key.system.tables
    parameters = key.parameters
    items: list[Item] = [
        Known("protocol", Kind.BYTE, len(PROTOCOL)),
        Known("parameters", Kind.BYTE, len(parameters.encode())),
        Known("key", Kind.BYTE, DIGEST_SIZE),
        Known("context", Kind.BYTE, context_size),
    ]
    items += [Known(f"public {table.name}", Kind.FIELD, table.public_count) for table in tables]
    items.append(Known("heights", Kind.FIELD, len(tables)))
    if parameters.zk:
        items.append(Sent("salt", Kind.DIGEST, 1))
    items.append(_cap(key, Tree.MAIN))
    if bus_tables(tables):
        items += _work("lookup", parameters.grinding_lookup)
        items += [
            Drawn("lookup", 3),
            _cap(key, Tree.AUXILIARY),
            Sent("terminals", Kind.EXTENSION, len(bus_tables(tables))),
        ]
    items += _work("constraints", parameters.grinding_ali)
    items += [Drawn("constraints", 1), _cap(key, Tree.QUOTIENT)]
    items += _work("zeta", parameters.grinding_deep)
    items.append(Drawn("zeta", 1))
    items += [
        Sent(f"values {table.name}", Kind.EXTENSION, TableLayout.of(table).value_count)
        for table in tables
    ]
    items += _work("batching", parameters.grinding_batching)
    items.append(Drawn("batching", batching_count(key)))
    for layer in range(len(fri_schedule(key))):
        items.append(Sent(f"fri {layer}", Kind.DIGEST, 1 << fri_cap_height(key, layer)))
        items += _work(f"fold {layer}", parameters.grinding_fold)
        items.append(Drawn(f"fold {layer}", 1))
    items.append(Sent("final polynomial", Kind.EXTENSION, parameters.final_length))
    items += _work("queries", parameters.grinding_query)
    items.append(
        DrawnIndices(
            "queries", parameters.queries, key.system.log_heights[0] + parameters.log_blowup
        )
    )
    return items


def opened_value_count(key: VerificationKey) -> int:
    """Functions in the FRI batch: one per opened value."""
    return sum(TableLayout.of(table).value_count for table in key.system.tables)


def batching_count(key: VerificationKey) -> int:
    """Random elements that the batching coefficients are made of."""
    return opened_value_count(key) if key.parameters.batching == "independent" else 1


def fri_schedule(key: VerificationKey) -> tuple[int, ...]:
    """log2 of the arity of each fold."""
    return key.parameters.schedule(key.system.log_heights)


def fri_leaf_log_size(key: VerificationKey, layer: int) -> int:
    """log2 of the number of leaves of a FRI layer's tree; each holds one fold's inputs."""
    folded = sum(fri_schedule(key)[: layer + 1])
    return key.system.log_heights[0] + key.parameters.log_blowup - folded


def fri_cap_height(key: VerificationKey, layer: int) -> int:
    return min(key.parameters.cap_height, fri_leaf_log_size(key, layer))


def _cap(key: VerificationKey, tree: Tree) -> Sent:
    parameters = key.parameters
    shape = tree_shape(
        key.system.tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk
    )
    cap_height = 0 if shape is None else shape.cap_height
    return Sent(f"{tree.label} commitment", Kind.DIGEST, 1 << cap_height)


def _work(label: str, bits: int) -> list[Item]:
    return [Grinding(f"work {label}", bits)] if bits else []
