"""Reading expressions in an arithmetic: one pass over the nodes that the roots use.

The arithmetic may be that of field elements (the verifier at its out-of-domain point), of arrays
(the debugger on whole columns) or of wires (a circuit): whatever implements :class:`Arithmetic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from stark.constraints.expression import Graph, Node, Op

Value = TypeVar("Value")


class Arithmetic(Protocol[Value]):
    """What a reading needs: values for leaves, and the three operations."""

    def leaf(self, node: Node) -> Value:
        """The value of a leaf node (anything but ADD, SUBTRACT, MULTIPLY)."""

    def add(self, left: Value, right: Value) -> Value: ...

    def subtract(self, left: Value, right: Value) -> Value: ...

    def multiply(self, left: Value, right: Value) -> Value: ...


def read(graph: Graph, roots: Sequence[int], arithmetic: Arithmetic[Value]) -> list[Value]:
    """The values of the nodes ``roots``, in their order."""
    values: dict[int, Value] = {}
    for index in graph.reachable(roots):
        node = graph.nodes[index]
        op = node[0]
        if op == Op.ADD:
            values[index] = arithmetic.add(values[node[1]], values[node[2]])
        elif op == Op.SUBTRACT:
            values[index] = arithmetic.subtract(values[node[1]], values[node[2]])
        elif op == Op.MULTIPLY:
            values[index] = arithmetic.multiply(values[node[1]], values[node[2]])
        else:
            values[index] = arithmetic.leaf(node)
    return [values[root] for root in roots]
