"""A system as data: every node, constraint and group, and the digests that are taken of them."""

from __future__ import annotations

from typing import Any

from stark.constraints.expression import Part
from stark.system import System, Table, table_digest
from stark.verifier.key import VerificationKey


def describe_table(table: Table) -> dict[str, Any]:
    """Columns, graph, constraints and groups of one table, in the order of its digest."""
    graph = table.symbolic.graph
    return {
        "name": table.name,
        "log_height": table.log_height,
        "degree": table.degree,
        "quotient_chunks": table.quotient_chunks,
        "preprocessed": table.symbolic.columns[Part.PREPROCESSED],
        "main": table.symbolic.columns[Part.MAIN],
        "auxiliary": table.width(Part.AUXILIARY),
        "publics": table.symbolic.publics,
        "periodic": [list(values) for values in table.symbolic.periodic],
        "next": [list(table.next_columns[part]) for part in Part],
        "nodes": [[int(word) for word in node] for node in graph.nodes],
        "constraints": [
            [one.label, one.expression.index, one.expression.degree] for one in table.constraints
        ],
        "groups": [
            [
                [message.label for message in group.interactions],
                group.numerator.index,
                group.denominator.index,
            ]
            for group in table.bus_argument.groups
        ],
        "digest": table_digest(table).hex(),
    }


def describe_system(system: System) -> dict[str, Any]:
    """All tables and buses, and the system digest."""
    return {
        "zk": system.zk,
        "buses": [[bus.name, bus.width] for bus in system.buses],
        "tables": [describe_table(table) for table in system.tables],
        "digest": system.digest().hex(),
    }


def describe_key(key: VerificationKey) -> dict[str, Any]:
    """What goes into the key digest."""
    return {
        "system": key.system.digest().hex(),
        "parameters": key.parameters.encode().hex(),
        "shape": key.shape.hex(),
        "preprocessed": [digest.hex() for digest in key.preprocessed_cap],
        "digest": key.digest.hex(),
    }
