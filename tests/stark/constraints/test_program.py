"""Programs: what they share, how they are laid out, what the evaluation refuses."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from stark.constraints.expression import Challenge, Expression, Graph, Part, Selector
from stark.constraints.interpreter import Constants, RowInputs, evaluate, evaluate_roots
from stark.constraints.lowering import MAXIMUM_TERMS
from stark.constraints.program import Opcode, Program, compile_fold, compile_store, instructions
from stark.field import extension
from stark.field.koalabear import P

ROWS = 32
GENERATOR = np.random.default_rng(1)
CELLS = GENERATOR.integers(0, P, (ROWS, 64), dtype=np.uint64)


def to_montgomery(values: NDArray[np.uint64]) -> NDArray[np.uint32]:
    return (values * np.uint64((1 << 32) % P) % np.uint64(P)).astype(np.uint32)


def from_montgomery(values: NDArray[np.uint32]) -> NDArray[np.uint64]:
    return values.astype(np.uint64) * np.uint64(pow(1 << 32, -1, P)) % np.uint64(P)


def cells(graph: Graph, count: int) -> list[Expression]:
    return [graph.cell(Part.MAIN, column, 0) for column in range(count)]


def stored(graph: Graph, *roots: Expression, **constants: object) -> list[list[list[int]]]:
    program = compile_store(graph, [root.index for root in roots])
    inputs = RowInputs(main=to_montgomery(CELLS))
    values = evaluate_roots(program, inputs, Constants(**constants))  # type: ignore[arg-type]
    return [from_montgomery(value).tolist() for value in values]


def opcodes(program: Program) -> Counter[Opcode]:
    return Counter(opcode for opcode, _ in instructions(program.code))


def column(k: int) -> list[int]:
    return [int(value) for value in CELLS[:, k]]


def test_a_program_serves_any_constants() -> None:
    graph = Graph()
    (a,) = cells(graph, 1)
    alpha = graph.challenge(Challenge.ALPHA)
    root = a * graph.public(1) + alpha * (alpha + 3) - graph.terminal()
    assert compile_store(graph, [root.index]) is compile_store(graph, [root.index])
    for seed in (1, 2):
        source = np.random.default_rng(seed)
        alpha_value, terminal = (tuple(int(x) for x in source.integers(0, P, 5)) for _ in range(2))
        (values,) = stored(graph, root, publics=[0, seed + 9], alpha=alpha_value, terminal=terminal)
        square = extension.multiply(alpha_value, extension.add(alpha_value, extension.from_base(3)))
        for row in range(ROWS):
            expected = extension.add(
                extension.from_base(column(0)[row] * (seed + 9)),
                extension.subtract(square, terminal),
            )
            assert tuple(values[k][row] for k in range(5)) == expected


def test_constant_parts_cost_nothing_per_row() -> None:
    graph = Graph()
    (a,) = cells(graph, 1)
    alpha, beta = graph.challenge(Challenge.ALPHA), graph.challenge(Challenge.BETA, 7)
    program = compile_store(graph, [(a * (alpha * beta + graph.public(0) * 3)).index])
    assert opcodes(program) == {Opcode.MULTIPLY: 5, Opcode.STORE: 5}


def test_compiling_does_not_touch_the_graph() -> None:
    graph = Graph()
    a, b = cells(graph, 2)
    root = (a - graph.challenge(Challenge.ALPHA)) * (b - graph.terminal())
    before = list(graph.nodes)
    compile_fold(graph, [root.index])
    compile_store(graph, [root.index])
    assert graph.nodes == before


def test_constant_and_repeated_roots() -> None:
    graph = Graph()
    (a,) = cells(graph, 1)
    seven, alpha = graph.constant(7), graph.challenge(Challenge.ALPHA)
    element = (1, 2, 3, 4, P - 1)
    got = stored(graph, seven, alpha, a, a, graph.constant(0), alpha=element)
    zeros = [[0] * ROWS] * 4
    assert got[0] == [[7] * ROWS, *zeros]
    assert got[1] == [[c] * ROWS for c in element]
    assert got[2] == got[3] == [column(0), *zeros]
    assert got[4] == [[0] * ROWS, *zeros]


def lengths(program: Program) -> list[int]:
    """Numbers of products of the dot products."""
    dots = (Opcode.DOT, Opcode.COMBINE)
    return [words[1] for opcode, words in instructions(program.code) if opcode in dots]


@pytest.mark.parametrize("kind", ["cells", "constants", "mixed"])
@pytest.mark.parametrize("terms", [2, 3, 4, 31, 32, 33, 60])
def test_sums_of_products_are_reduced_once(terms: int, kind: str) -> None:
    graph = Graph()
    x = cells(graph, 64)
    total = x[63]
    expected = CELLS[:, 63].astype(object)
    for k in range(terms):
        with_constant = kind == "constants" or (kind == "mixed" and k % 2 == 0)
        product = x[k] * (k + 5) if with_constant else x[k] * x[k + 1]
        factor = k + 5 if with_constant else CELLS[:, k + 1].astype(object)
        value = CELLS[:, k].astype(object) * factor
        total = total - product if k % 3 == 2 else total + product
        expected = expected - value if k % 3 == 2 else expected + value
    total = total - x[62] + 12
    expected = (expected - CELLS[:, 62].astype(object) + 12) % P
    assert stored(graph, total)[0][0] == expected.tolist()
    program = compile_store(graph, [total.index])
    negative = terms // 3
    chunks = sum(-(-n // MAXIMUM_TERMS) for n in (terms - negative, negative) if n > 1)
    assert len(lengths(program)) == chunks
    assert max(lengths(program)) <= MAXIMUM_TERMS
    assert opcodes(program)[Opcode.MULTIPLY] == (negative == 1)


def test_signs_of_nested_sums() -> None:
    graph = Graph()
    a, b, c, d, e = cells(graph, 5)
    root = a - (b * c - (d * e - (a * b - c) - c * d) - e)
    v, w, x, y, z = (CELLS[:, k].astype(object) for k in range(5))
    expected = (v - (w * x - (y * z - (v * w - x) - x * y) - z)) % P
    assert stored(graph, root)[0][0] == expected.tolist()


def test_constants_of_a_dot_product_come_second() -> None:
    graph = Graph()
    early = graph.public(0)  # before the cells: operands are ordered by their creation
    a, b, c = cells(graph, 3)
    linear = early * a + b * 3 + c * graph.public(1)
    assert opcodes(compile_store(graph, [linear.index]))[Opcode.COMBINE] == 1
    mixed = graph.public(0) * a + b * c
    assert opcodes(compile_store(graph, [mixed.index]))[Opcode.DOT] == 1
    values = stored(graph, linear, mixed, publics=[P - 2, 7])
    for row in range(ROWS):
        x, y, z = (column(k)[row] for k in range(3))
        assert values[0][0][row] == (3 * y + 7 * z - 2 * x) % P
        assert values[1][0][row] == (y * z - 2 * x) % P


def test_shared_sums_are_computed_once() -> None:
    graph = Graph()
    a, b, c = cells(graph, 3)
    shared = a * b + b * c
    program = compile_store(graph, [(shared * a).index, (shared + c * c + a * a).index])
    assert lengths(program) == [2, 2]
    # Two products with one extension element, the operand created last, share the differences of
    # its coefficients.
    *others, factor = (graph.cell(Part.AUXILIARY, k, 0) for k in range(3))
    program = compile_store(graph, [(factor * other).index for other in others])
    assert opcodes(program)[Opcode.SUBTRACT] == 4


def test_the_largest_values_do_not_overflow() -> None:
    graph = Graph()
    x = cells(graph, 17)
    product = x[0] * x[1]
    total = product
    for k in range(2, 17, 2):
        total = total + x[k - 1] * x[k]
    alpha = graph.challenge(Challenge.ALPHA)
    roots = [total, (alpha + x[0]) * (alpha * x[1])]
    program = compile_store(graph, [root.index for root in roots])
    # Montgomery words p - 1: the largest operands of the kernel, not the largest elements.
    largest = np.full((16, 32), P - 1, np.uint32)
    value = (P - 1) * pow(1 << 32, -1, P) % P
    alpha_value = (value,) * 5
    first, second = evaluate_roots(program, RowInputs(main=largest), Constants(alpha=alpha_value))
    assert set(from_montgomery(first)[0].tolist()) == {9 * value * value % P}
    expected = extension.multiply(
        extension.add(alpha_value, extension.from_base(value)), extension.scale(alpha_value, value)
    )
    assert tuple(from_montgomery(second)[:, 5].tolist()) == expected


def test_many_columns_at_once_take_shorter_blocks() -> None:
    graph = Graph()
    columns = [graph.cell(Part.MAIN, k, 0) for k in range(800)]
    # Every tile is used early and late.
    program = compile_store(graph, [c.index for c in columns[::16] + columns[1::16]])
    assert program.block < 512


def test_the_tiles_of_wide_tables_share_slots() -> None:
    graph = Graph()
    columns = [graph.cell(Part.MAIN, k, k % 2) for k in range(800)]
    program = compile_store(graph, [c.index for c in columns[::7]])
    assert not len(program.gathers)
    assert len(program.inputs) == 50
    assert program.slots <= 4 * 16
    assert program.block == 512
    matrix = np.random.default_rng(2).integers(0, P, (1 << 11, 800), dtype=np.uint32)
    got = evaluate_roots(program, RowInputs(main=matrix), Constants())
    shifted = np.roll(matrix, -1, axis=0)
    for number, values in enumerate(got):
        k = 7 * number
        assert np.array_equal(values[0], (shifted if k % 2 else matrix)[:, k])


def test_only_used_tiles_are_gathered() -> None:
    graph = Graph()
    program = compile_store(graph, [graph.cell(Part.MAIN, 40, 0).index])
    assert program.gathers.tolist() == [[1, 2, 0]]


def test_registers_are_reused() -> None:
    graph = Graph()
    (a,) = cells(graph, 1)
    chain = a
    for k in range(200):
        chain = (chain + k + 1) * chain
    assert compile_store(graph, [chain.index]).slots <= 16 + 2


@pytest.mark.parametrize("piece", [(0, 64), (64, 128), (192, 256), (0, 256), (64, 256)])
def test_some_rows_only(piece: tuple[int, int]) -> None:
    graph = Graph()
    a, following = graph.cell(Part.MAIN, 3, 0), graph.cell(Part.MAIN, 3, 1)
    matrix = np.random.default_rng(3).integers(0, P, (256, 16), dtype=np.uint32)
    program = compile_store(graph, [a.index, following.index])
    inputs = RowInputs(main=matrix)
    lo, hi = piece
    first, second = evaluate_roots(program, inputs, Constants(), piece)
    assert first.shape == (5, hi - lo)
    assert np.array_equal(first[0], matrix[lo:hi, 3])
    assert np.array_equal(second[0], np.roll(matrix[:, 3], -1)[lo:hi])


@pytest.mark.parametrize("piece", [(0, 16), (1, 64), (64, 64), (-64, 64), (0, 320)])
def test_rows_are_whole_groups(piece: tuple[int, int]) -> None:
    graph = Graph()
    program = compile_store(graph, [graph.cell(Part.MAIN, 0, 0).index])
    with pytest.raises(ValueError, match="whole groups"):
        evaluate_roots(program, RowInputs(main=np.zeros((256, 16), np.uint32)), Constants(), piece)


# ---- refusals


def matrix(rows: int = 16, width: int = 16) -> NDArray[np.uint32]:
    return np.zeros((rows, width), np.uint32)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (RowInputs(), "without rows"),
        (RowInputs(preprocessed=matrix()), "uses main columns"),
        (RowInputs(main=matrix(12)), "power of two"),
        (RowInputs(main=matrix(0)), "power of two"),
        (RowInputs(main=matrix(16, 10)), "multiple of 16"),
        (RowInputs(main=matrix(16, 16)), "too few"),
        (RowInputs(main=matrix(16, 64)[:, :32]), "C-contiguous"),
        (RowInputs(main=matrix(16, 32).astype(np.uint64)), "uint32"),  # type: ignore[arg-type]
        (RowInputs(main=matrix(16, 32)), "uses auxiliary columns"),
        (RowInputs(main=matrix(16, 32), auxiliary=matrix(8)), "expected \\(16,"),
        (RowInputs(main=matrix(16, 32), auxiliary=matrix()), "selector LAST"),
        (
            RowInputs(main=matrix(16, 32), auxiliary=matrix(), last=matrix()[:8, 0].copy()),
            "expected shape \\(16,\\)",
        ),
        (
            RowInputs(main=matrix(16, 32), auxiliary=matrix(), last=matrix()[0]),
            "1 periodic columns, got 0",
        ),
        (
            RowInputs(
                main=matrix(16, 32),
                auxiliary=matrix(),
                last=matrix()[0],
                periodic=[matrix()[0, :3]],
            ),
            "does not divide",
        ),
    ],
)
def test_inputs_are_checked(inputs: RowInputs, message: str) -> None:
    graph = Graph()
    root = (
        graph.cell(Part.MAIN, 20, 0)
        + graph.cell(Part.AUXILIARY, 0, 1)
        + graph.selector(Selector.LAST)
        + graph.periodic(0)
    )
    with pytest.raises(ValueError, match=message):
        evaluate(compile_fold(graph, [root.index]), inputs, Constants(), [extension.ONE])


def test_modes_weights_and_publics_are_checked() -> None:
    graph = Graph()
    root = [(graph.cell(Part.MAIN, 0, 0) * graph.public(2)).index]
    inputs = RowInputs(main=matrix())
    publics = Constants(publics=[1, 2, 3])
    fold, store = compile_fold(graph, root), compile_store(graph, root)
    with pytest.raises(ValueError, match="use evaluate_roots"):
        evaluate(store, inputs, publics, [extension.ONE])
    with pytest.raises(ValueError, match="use evaluate"):
        evaluate_roots(fold, inputs, publics)
    with pytest.raises(ValueError, match="1 weights, got 2"):
        evaluate(fold, inputs, publics, [extension.ONE] * 2)
    with pytest.raises(ValueError, match="public value 2 is used, got 2"):
        evaluate(fold, inputs, Constants(publics=[1, 2]), [extension.ONE])


def test_no_roots() -> None:
    graph = Graph()
    inputs = RowInputs(main=matrix())
    assert not evaluate(compile_fold(graph, []), inputs, Constants(), []).any()
    assert evaluate_roots(compile_store(graph, []), inputs, Constants()) == []
