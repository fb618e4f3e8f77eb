"""docs/recursion.md and docs/soundness.md say of circuits what the code does: every figure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from support.recursion_systems import KINDS, recursion

from air.aggregate.circuits import WRAP_LOG_LEAST, join_circuit, wrap_circuit
from air.aggregate.keys import inner_batch_system, layer_parameters, layer_system
from air.aggregate.publics import COUNT_LANE, FIRST_LANE, JOIN_TAG, WRAP_TAG
from air.shape import Shape
from stark.constraints.expression import Part
from stark.recursion.builder import CircuitBuilder
from stark.recursion.circuit import STEP_WIDTH, Circuit, Operation
from stark.recursion.system import CircuitShape, circuit_system, fitted_shape
from stark.soundness.bits import combine, log2
from stark.soundness.estimate import Report, estimate
from stark.system import System
from stark.transcript.cores import BYTES_PER_ELEMENT
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, cells, mask_cells, tables_in, tree_shape
from stark.verifier.protocol import fri_cap_height, fri_leaf_log_size, fri_schedule

DOCS = Path(__file__).parents[2] / "docs"
RECURSION = (DOCS / "recursion.md").read_text(encoding="utf-8")
SOUNDNESS = (DOCS / "soundness.md").read_text(encoding="utf-8")
STAND_IN = bytes([1, 0, 0, 0] * 8)
"""Stands for roots of fixed columns: no shape and no bit of security depends on them."""

PROFILE = "proven128"
LEVELS = 4


@dataclass(frozen=True)
class Level:
    """A join with its key and wrap."""

    inner: VerificationKey
    join: Circuit
    join_key: VerificationKey
    wrap: Circuit
    wrap_key: VerificationKey


def key_of(role: str, system: System) -> VerificationKey:
    return VerificationKey(system, layer_parameters(PROFILE, role, system), (STAND_IN,))


@cache
def batch_key(shape: Shape) -> VerificationKey:
    return key_of("batch", inner_batch_system(shape))


@cache
def levels(shape: Shape) -> tuple[Level, ...]:
    return tuple(_levels(shape))


def _levels(shape: Shape) -> Iterator[Level]:
    inner = batch_key(shape)
    for level in range(1, LEVELS + 1):
        join = join_circuit(inner, level)
        join_key = key_of("join", layer_system("join", fitted_shape(join)))
        wrap = wrap_circuit(join_key)
        wrap_key = key_of("wrap", layer_system("wrap", fitted_shape(wrap, WRAP_LOG_LEAST)))
        yield Level(inner, join, join_key, wrap, wrap_key)
        inner = join_key


def operations(circuit: Circuit) -> dict[str, Counter[int]]:
    """Steps by part of the program and operation."""
    steps = circuit.steps[::STEP_WIDTH]
    ends = [first for first, _ in circuit.labels[1:]] + [len(steps)]
    result: dict[str, Counter[int]] = {}
    for (first, name), end in zip(circuit.labels, ends, strict=True):
        result.setdefault(name, Counter()).update(steps[first:end])
    return result


def permutations_per_query(key: VerificationKey) -> int:
    """The formula of section 7."""
    parameters, tables = key.parameters, key.system.tables
    total = 0
    for tree in Tree:
        shape = tree_shape(
            *(tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk),
            key.suite,
        )
        if shape is None:
            continue
        total += shape.log_size - shape.cap_height
        for number, (log_size, _) in enumerate(shape.groups):
            members = tables_in(tables, tree, log_size - parameters.log_blowup)
            count = sum(cells(tables[member], tree) for member in members)
            extended = tree in (Tree.AUXILIARY, Tree.QUOTIENT)
            total += count // 5 if extended else -(-count // 8)
            total += shape.salted + bool(mask_cells(tree, parameters.zk))
            if number:
                total += 1 + (log_size == shape.cap_height)
    for layer, log_arity in enumerate(fri_schedule(key)):
        total += (1 << log_arity) + fri_leaf_log_size(key, layer) - fri_cap_height(key, layer)
    return total


def figures(name: str, circuit: Circuit, inner: VerificationKey, proofs: int) -> str:
    steps, rows = operations(circuit), circuit.rows
    total = sum(steps.values(), Counter())
    arithmetic = (Operation.EVALUATE, Operation.INVERT, Operation.BIT)
    outside = sum(steps["out of domain"][operation] for operation in arithmetic)
    query = steps["query 1"][Operation.PERMUTE] // proofs
    assert query == permutations_per_query(inner)
    values = [
        *(name, proofs, inner.parameters.queries, query, total[Operation.PERMUTE]),
        f"2^{rows['permutation'].bit_length() - 1}",
        *(rows[table] for table in ("arithmetic", "fold", "decomposition")),
        outside,
    ]
    return " ".join(map(str, values))


def test_costs() -> None:
    header, block = re.findall(r"```costs ([^\n]+)\n[^\n]+\n(.*?)```", RECURSION, re.DOTALL)[0]
    profile, name = header.split()
    assert profile == PROFILE
    made = levels(Shape.named(name))
    expected = [
        figures(f"join, level {level}", made[level - 1].join, made[level - 1].inner, 2)
        for level in (1, 2, 4)
    ] + [
        figures(f"wrap, level {level}", made[level - 1].wrap, made[level - 1].join_key, 1)
        for level in (1, 4)
    ]
    assert [" ".join(line.split()) for line in block.splitlines()] == expected


@pytest.mark.parametrize("name", KINDS)
def test_the_formula_of_permutations_of_a_query(name: str) -> None:
    one = recursion(name)
    counted = operations(one.circuit)
    # The second query, if there is one: sums that the first has left are published in it.
    settled = counted.get("query 1", counted["query 0"])[Operation.PERMUTE]
    # A leaf that is its tree's cap has no row after it that could publish its sum.
    assert 0 <= settled - permutations_per_query(one.key) <= len(Tree)


def test_joins_have_one_shape_from_some_level_on() -> None:
    # A level's circuit follows from the key below it, and of that, its shape from the shape.
    made = levels(Shape.named("rows20-slots18-assets9"))
    shapes = [fitted_shape(level.join) for level in made]
    assert shapes[2] == shapes[3] != shapes[1]


def test_widths_of_tables() -> None:
    widths = (3, 20)
    log_order = 19
    system = circuit_system(CircuitShape(6, 6, 6, 6, widths, log_order), zk=False, whole_rows=True)
    for table in system.tables:
        main, fixed = table.width(Part.MAIN), str(table.width(Part.PREPROCESSED))
        found = re.search(
            rf"^\| `{table.name}` \| ([^|]+) \| ([^|]+) \|.*\| (\d+) \|$", RECURSION, re.M
        )
        assert found is not None
        if table.name == "decomposition":
            assert found[1] == "35 + ⌈n/2⌉"
            assert main == 35 + -(-log_order // 2)
            assert found[2] == "4 and one per width"
            assert fixed == str(4 + len(widths))
        else:
            assert (found[1], found[2]) == (str(main), fixed)
        assert int(found[3]) == len(table.symbolic.interactions)
        assert table.degree == 3


def test_flags_and_methods_exist() -> None:
    names = re.findall(r"`(\w+ next|gamma here|straight|fresh|tag|length)`", RECURSION)
    system = circuit_system(CircuitShape(6, 6, 6, 6, (3,), 19), zk=False, whole_rows=True)
    columns = system.tables[0].symbolic.columns[Part.PREPROCESSED]
    assert len(names) > 10
    assert set(names) <= set(columns)
    section = RECURSION.split("## 4.")[1].split("```")[0]
    for name in re.findall(r"`(\w+)`", section):
        if name.islower() and name not in ("verifier_circuit", "fitted_shape"):
            assert hasattr(CircuitBuilder, name), name


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", RECURSION, re.DOTALL)
    exec(compile(program, "recursion.md", "exec"), {})
    assert capsys.readouterr().out.startswith("(")


def test_tags_and_lanes() -> None:
    for tag in (JOIN_TAG, WRAP_TAG):
        assert f"(tag `{tag.to_bytes(4, 'little').decode()}`" in RECURSION
    assert f"lane {COUNT_LANE}: the number of batches, lane {FIRST_LANE}: whether" in RECURSION
    assert BYTES_PER_ELEMENT == 2


# ---- the bits of docs/soundness.md


def report(key: VerificationKey) -> Report:
    return estimate(system_figures(key.system), key.parameters)


def cut(bits: Decimal) -> str:
    return str(bits.quantize(Decimal("0.1"), rounding=ROUND_FLOOR))


def layer_bits(shape: Shape, batches: int) -> list[str]:
    made = levels(shape)
    depth = (batches - 1).bit_length()
    counts = [batches, *(-(-batches >> level) for level in range(1, depth + 1)), 1]
    chosen = [made[min(level, LEVELS) - 1] for level in range(1, depth + 1)]
    keys = [batch_key(shape), *(level.join_key for level in chosen), chosen[-1].wrap_key]
    reports = [report(key) for key in keys]
    sums = [one.union - log2(Fraction(n)) for one, n in zip(reports, counts, strict=True)]
    joins = list(zip(reports, counts, strict=True))[1:-1]
    minima = [reports[0].minimum, min(one.minimum for one, _ in joins), reports[-1].minimum]
    return [
        *(str(batches), str(sum(counts))),
        *(cut(bits) for bits in minima),
        *(cut(combine([bits])) for bits in (sums[0], combine(sums[1:-1]), sums[-1])),
        cut(combine(sums)),
    ]


def test_bits_of_layers() -> None:
    ((header, block),) = re.findall(
        r"```bits ([^\n]+)\n(?:[^\n]+\n){2}(.*?)```", SOUNDNESS, re.DOTALL
    )
    profile, name = header.split()
    assert profile == PROFILE
    shape = Shape.named(name)
    expected = [layer_bits(shape, batches) for batches in (2, 8, 64)]
    assert [line.split() for line in block.splitlines()] == expected
