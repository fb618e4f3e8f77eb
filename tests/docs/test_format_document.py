"""The documents of the format say what the code does: values, listings, keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from golden import derived, listing
from golden.make import load
from golden.printed import printed, resolve
from support.checks import check, check_equal

from air.keys import shipped_shapes
from air.shape import Shape
from air.tables.batch import batch_system
from stark.constraints.expression import Part
from stark.field.koalabear import GENERATOR, P, root_of_unity
from stark.hash.poseidon import POSEIDON1, round_constants
from stark.hash.sha256 import encode_elements, injected_node_digest, leaf_digest, node_digest
from stark.recursion.system import CircuitShape, circuit_system
from stark.system import System, Table, table_digest
from stark.verifier.layout import TableLayout

SHAPES = [Shape(12, 5, 9), Shape(14, 13, 12), Shape(17, 12, 14), Shape(20, 19, 9)]


@cache
def computed(name: str) -> Any:
    return json.loads(json.dumps(derived.derive(name)))


@pytest.mark.parametrize("document", ["format.md", "systems.md", "tables.md", "circuits.md"])
def test_printed_values_are_recomputed(document: str) -> None:
    lines = printed(document)
    check(len(lines) > 5, f"{document}: only {len(lines)} values")
    for file, path, value in lines:
        check_equal(value, resolve(computed(file), path), f"{document}: {file}: {path}")


CIRCUITS = [
    CircuitShape(15, 15, 12, 12, (2, 6, 20), 20),
    CircuitShape(16, 16, 13, 10, (1, 5, 19, 20), 19),
    CircuitShape(4, 4, 4, 4, (31,), 1),
    CircuitShape(7, 3, 5, 0, (3, 1), 24),
]


def compare_system(
    listed: tuple[list[listing.ListedTable], dict[str, int], bytes],
    system: System,
) -> None:
    tables, widths, digest = listed
    check_equal(widths, {bus.name: bus.width for bus in system.buses})
    check_equal([table.name for table in tables], [table.name for table in system.tables])
    for own, table in zip(tables, system.tables, strict=True):
        nodes = [tuple(map(int, node)) for node in table.symbolic.graph.nodes]
        check_equal(len(own.graph.nodes), len(nodes), f"nodes of {table.name}")
        for index, (one, other) in enumerate(zip(own.graph.nodes, nodes, strict=True)):
            check_equal(one, other, f"node {index} of {table.name}")
        check_equal([c[0] for c in own.constraints], [c.label for c in table.constraints])
        check_equal(own.digest().hex(), table_digest(table).hex(), table.name)
        if not system.whole_rows:
            check_equal(own.next_columns(), [list(table.next_columns[part]) for part in Part])
        degree = own.degree
        check_equal(degree, table.degree)
        chunks = max(2, degree) if system.zk else max(1, degree - 1)
        check_equal(chunks, table.quotient_chunks)
    check_equal(digest.hex(), system.digest().hex())


@pytest.mark.parametrize("name", ["fibonacci", "products", "hidden"])
def test_listings_of_small_systems(name: str) -> None:
    compare_system(listing.small_tables(name), load(name).example.system)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_listings_of_a_batch(shape: Shape) -> None:
    constants = computed("primitives")["poseidon"]["round_constants"]
    check_equal(constants, [list(row) for row in round_constants(POSEIDON1)])
    sizes = shape.log_rows, shape.log_slots, shape.log_capacity
    compare_system(listing.batch_tables(*sizes, constants), batch_system(shape, zk=True))


@pytest.mark.parametrize("shape", CIRCUITS, ids=str)
@pytest.mark.parametrize("zk", [False, True])
@pytest.mark.parametrize("whole_rows", [False, True])
def test_listings_of_a_circuit(shape: CircuitShape, zk: bool, whole_rows: bool) -> None:
    constants = [list(row) for row in round_constants(POSEIDON1)]
    listed = listing.circuit_tables(
        shape.log_heights, shape.widths, shape.log_order, constants, zk=zk, whole_rows=whole_rows
    )
    compare_system(listed, circuit_system(shape, zk=zk, whole_rows=whole_rows))


def documented_columns(shape: Shape) -> dict[str, dict[str, Sequence[int]]]:
    """The formulas of the tables of preprocessed columns in ``docs/tables.md``."""
    rows, slots, capacity = shape.rows, shape.slots, shape.capacity
    log_segments = max(0, shape.log_rows - 14, 12 - shape.log_capacity)
    log_segment = shape.log_rows - log_segments
    start, k = rows - 2 * capacity, 1 << log_segments
    chain, tree = range(rows), range(1 << max(shape.log_slots, 12))
    totals = range(capacity << log_segments)
    return {
        "chain": {
            "segment": [r >> log_segment for r in chain],
            "region": [int(r >= start) for r in chain],
            "side": [int(r >= start + capacity) for r in chain],
            "fixed asset": [(r - start) % capacity if r >= start else 0 for r in chain],
            "fixed first": [int(r in (start, start + capacity)) for r in chain],
            "fixed last": [int(r in (start + capacity - 1, rows - 1)) for r in chain],
            "this and the next row hold": [int(r < start - 1) for r in chain],
            "last holding row": [int(r == start - 1) for r in chain],
        },
        "tree": {
            "number": [r + 1 if r < slots - 1 else 0 for r in tree],
            "is node": [int(r < slots - 1) for r in tree],
        },
        "totals": {
            "asset": [r // k for r in totals],
            "segment": [r % k for r in totals],
            "begin": [int(r % k == 0) for r in totals],
            "end": [int(r % k == k - 1) for r in totals],
        },
    }


@pytest.mark.parametrize("shape", SHAPES[:3], ids=lambda shape: shape.name)
def test_formulas_of_preprocessed_columns(shape: Shape) -> None:
    for table in batch_system(shape, zk=True).tables:
        expected = documented_columns(shape).get(table.name, {})
        values = table.air.preprocessed()
        check_equal(sorted(values), sorted(expected))
        for name, column in expected.items():
            check(list(values[name]) == list(column), f"{table.name}: {name}")


def extended(column: Sequence[int], blowup: int) -> list[int]:
    """The column's polynomial at 3 w_m^j, straight from the formula: slow and plain."""
    n = len(column)
    m = n * blowup
    inverse_root = pow(root_of_unity(n.bit_length() - 1), -1, P)
    powers = [pow(inverse_root, i, P) for i in range(n)]
    coefficients = [
        sum(value * powers[i * k % n] for i, value in enumerate(column)) * pow(n, -1, P) % P
        for k in range(n)
    ]
    result = []
    for j in range(m):
        x = GENERATOR * pow(root_of_unity(m.bit_length() - 1), j, P) % P
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * x + coefficient) % P
        result.append(value)
    return result


def test_preprocessed_tree_by_the_recipe() -> None:
    """Sections 6 of systems.md and 7 of format.md, on `products`: 1024 leaves, 128 injected."""
    golden = load("products")
    work, _, values = golden.example.system.tables
    rows = {
        size: [encode_elements([value]) for value in extended(range(height), 4)]
        for table, height, size in ((values, 256, 1024), (work, 32, 128))
        if height == table.height
    }
    nodes = [leaf_digest(row) for row in rows[1024]]
    while len(nodes) > 1:
        half = len(nodes) // 2
        pairs = [(nodes[j], nodes[j + half]) for j in range(half)]
        nodes = (
            [
                injected_node_digest(*pair, leaf_digest(row))
                for pair, row in zip(pairs, rows[half], strict=True)
            ]
            if half in rows
            else [node_digest(*pair) for pair in pairs]
        )
    check_equal(tuple(nodes), golden.key.preprocessed_cap)


def test_table_of_keys() -> None:
    """Every shape is in the table; one shape of each set of parameters is computed again."""
    kept = json.loads(derived.KEYS.read_text(encoding="ascii"))
    check_equal(kept["format"], "1")
    shapes = {shape.name: shape for shape in shipped_shapes()}
    check_equal(sorted(kept["shapes"]), sorted(shapes))
    chosen = {
        (profile, entry[profile]["parameters"]): name
        for name, entry in kept["shapes"].items()
        for profile in ("proven128", "proven100")
    }
    for name in sorted(set(chosen.values())):
        check_equal(kept["shapes"][name], derived.key_entry(shapes[name]), name)


def stated_widths(table: Table) -> tuple[int, ...]:
    return (
        *(table.width(part) for part in Part),
        len(table.constraints),
        table.degree,
        table.quotient_chunks,
    )


def test_table_of_widths() -> None:
    text = (listing.DOCUMENTS / "tables.md").read_text(encoding="utf-8").split("## 7.")[1]
    for table in batch_system(SHAPES[0], zk=True).tables:
        line = next(one for one in text.splitlines() if one.startswith(f"| `{table.name}` |"))
        cells = [cell.split("(")[0].strip() for cell in line.strip("|").split("|")][1:7]
        check_equal(tuple(map(int, cells)), stated_widths(table), table.name)
        check(TableLayout.of(table).value_count > sum(stated_widths(table)[:3]), table.name)


@pytest.mark.parametrize("shape", CIRCUITS, ids=str)
def test_table_of_widths_of_a_circuit(shape: CircuitShape) -> None:
    text = (listing.DOCUMENTS / "circuits.md").read_text(encoding="utf-8").split("## 6.")[1]
    terms = {"w": len(shape.widths), "y": -(-shape.log_order // 2)}
    plain, hidden = (circuit_system(shape, zk=zk, whole_rows=False) for zk in (False, True))
    for table, masked in zip(plain.tables, hidden.tables, strict=True):
        line = next(one for one in text.splitlines() if one.startswith(f"| `{table.name}` |"))
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        stated = [sum(terms.get(t) or int(t) for t in one.split(" + ")) for one in cells[1:6]]
        check_equal(tuple(stated), stated_widths(table)[:5], table.name)
        chunks = f"{masked.quotient_chunks}, {table.quotient_chunks}"
        check_equal(cells[6], chunks, table.name)
        check_equal(masked.width(Part.MAIN), stated[1] + 5, table.name)
        check_equal(len(masked.constraints), stated[3] + 5, table.name)
        check_equal(str(table.next_columns[Part.AUXILIARY][0]), cells[8], table.name)
        following = list(table.next_columns[Part.MAIN])
        check_equal(following, stated_columns(cells[7]), table.name)


def stated_columns(text: str) -> list[int]:
    """Columns from ranges like ``0 … 15, 164 … 175``."""
    ranges = [] if text == "none" else [part.split(" … ") for part in text.split(", ")]
    return [column for low, high in ranges for column in range(int(low), int(high) + 1)]
