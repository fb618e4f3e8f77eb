"""Evaluating programs over the rows of a table: checked inputs, constants, threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stark.constraints.expression import Challenge, Graph, Node, Op, Part, Selector
from stark.constraints.interpreter_kernels import interpret
from stark.constraints.lowering import Kind
from stark.constraints.program import GROUP, LANES, Mode, Program, Source
from stark.constraints.reading import read
from stark.field import extension
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.parallel import run

Array = NDArray[np.uint32]


@dataclass(frozen=True)
class RowInputs:
    """The rows on which a program runs: those of one coset, or of the trace domain.

    All values uint32, Montgomery form, canonical; all arrays C-contiguous.

    Parameters
    ----------
    preprocessed, main, auxiliary
        (N, width), N a power of two, width a multiple of 16; the next row of row N - 1 is row 0.
        Extension column k of the auxiliary matrix is its base columns 5k ... 5k + 4.
    first, last, transition
        (N,): the selectors' values.
    periodic
        Per periodic column, its values on rows 0 ... period - 1; the period divides N.

    Whatever the program does not use may be ``None`` (``()`` for ``periodic``).
    """

    preprocessed: Array | None = None
    main: Array | None = None
    auxiliary: Array | None = None
    first: Array | None = None
    last: Array | None = None
    transition: Array | None = None
    periodic: Sequence[Array] = ()

    @property
    def rows(self) -> int:
        """N. Raises ``ValueError`` if there is nothing to take it from."""
        for array in (
            self.main, self.preprocessed, self.auxiliary, self.first, self.last, self.transition
        ):  # fmt: skip
            if array is not None:
                return len(array)
        raise ValueError("inputs without rows")


@dataclass(frozen=True)
class Constants:
    """Values that are the same on all rows; canonical. What is not used may be left out."""

    publics: Sequence[int] = ()
    alpha: Element = extension.ZERO
    beta: Element = extension.ZERO
    gamma: Element = extension.ZERO
    terminal: Element = extension.ZERO


def evaluate(
    program: Program, inputs: RowInputs, constants: Constants, weights: Sequence[Element]
) -> Array:
    """The combination of the roots, weighted: sum over k of ``weights[k] * root[k]``, on each row.

    Parameters
    ----------
    program
        Of mode ``FOLD``.
    weights
        One canonical extension element per root.

    Returns
    -------
    uint32 (5, N), Montgomery form.

    Raises
    ------
    ValueError
        If the inputs do not have the shapes that the program needs.
    """
    if program.mode is not Mode.FOLD:
        raise ValueError("the program stores its roots; use evaluate_roots")
    if len(weights) != len(program.extended):
        raise ValueError(f"expected {len(program.extended)} weights, got {len(weights)}")
    flat: list[int] = []
    for component in program.components:
        weight = extension.ZERO
        if component is not None:
            root, coefficient = component
            basis = [0] * DEGREE
            basis[coefficient] = 1
            weight = extension.multiply(weights[root], tuple(basis))  # type: ignore[arg-type]
        flat.extend(weight)
    return _run(program, inputs, constants, _montgomery_words(flat), (0, inputs.rows))[0]


def evaluate_roots(
    program: Program,
    inputs: RowInputs,
    constants: Constants,
    rows: tuple[int, int] | None = None,
) -> list[Array]:
    """The values of each root on the rows lo ... hi - 1 of ``rows`` (all rows by default).

    The program must be of mode ``STORE``; lo and hi are multiples of 64, or 0 and N.

    Returns
    -------
    One uint32 array (5, hi - lo) per root, Montgomery form; base-field roots have zeros in
    coefficients 1 ... 4.

    Raises
    ------
    ValueError
        If the inputs do not have the shapes that the program needs.
    """
    if program.mode is not Mode.STORE:
        raise ValueError("the program folds its roots; use evaluate")
    lo, hi = rows or (0, inputs.rows)
    if not 0 <= lo < hi <= inputs.rows or any(x % GROUP for x in (lo, hi) if x != inputs.rows):
        raise ValueError(f"rows {lo} ... {hi} of {inputs.rows} are not whole groups of {GROUP}")
    return list(_run(program, inputs, constants, np.zeros(0, np.uint32), (lo, hi)))


def _montgomery_words(values: Sequence[int]) -> Array:
    """Canonical integers as uint32 in Montgomery form."""
    return np.array([value * (1 << 32) % P for value in values], np.uint32)


# ---- constants


class _Scalars:
    """Arithmetic of extension elements for the constant nodes of a graph."""

    def __init__(self, constants: Constants) -> None:
        self._publics = constants.publics
        self._terminal = constants.terminal
        self._challenges = {
            Challenge.ALPHA: constants.alpha,
            Challenge.BETA: constants.beta,
            Challenge.GAMMA: constants.gamma,
            Challenge.BASIS: extension.BASIS[1],
        }

    def leaf(self, node: Node) -> Element:
        op = node[0]
        if op == Op.CONSTANT:
            return extension.from_base(node[1])
        if op == Op.PUBLIC:
            return extension.from_base(self._publics[node[1]])
        if op == Op.CHALLENGE:
            return extension.power(self._challenges[Challenge(node[1])], node[2])
        return self._terminal

    def add(self, left: Element, right: Element) -> Element:
        return extension.add(left, right)

    def subtract(self, left: Element, right: Element) -> Element:
        return extension.subtract(left, right)

    def multiply(self, left: Element, right: Element) -> Element:
        return extension.multiply(left, right)


def _constant_pool(program: Program, constants: Constants) -> Array:
    """Values of the constant pool, Montgomery form."""
    graph = program.graph
    nodes = sorted({entry[1] for entry in program.constants if entry[0] == Kind.CONSTANT})
    _check_publics(graph, nodes, constants)
    elements = dict(zip(nodes, read(graph, nodes, _Scalars(constants)), strict=True))
    pool: list[int] = []
    for kind, *arguments in program.constants:
        if kind == Kind.CONSTANT:
            pool.append(elements[arguments[0]][arguments[1]])
        elif kind == Kind.ZERO:
            pool.append(0)
        else:
            left, right = pool[arguments[0]], pool[arguments[1]]
            if kind == Kind.ADD:
                pool.append((left + right) % P)
            elif kind == Kind.SUBTRACT:
                pool.append((left - right) % P)
            else:
                pool.append(left * right % P)
    return _montgomery_words(pool)


def _check_publics(graph: Graph, nodes: Sequence[int], constants: Constants) -> None:
    used = [graph.nodes[k][1] for k in graph.reachable(nodes) if graph.nodes[k][0] == Op.PUBLIC]
    if used and max(used) >= len(constants.publics):
        raise ValueError(f"public value {max(used)} is used, got {len(constants.publics)}")


# ---- running


@dataclass
class _Bound:
    """Inputs as the kernel takes them: checked, tiled to at least one group of rows, flat."""

    rows: int
    matrices: list[Array] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    selectors: list[Array] = field(default_factory=list)
    periodic: Array = field(default_factory=lambda: np.zeros(0, np.uint32))
    starts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    periods: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


_MATRICES = {
    Source.PREPROCESSED: Part.PREPROCESSED,
    Source.MAIN: Part.MAIN,
    Source.AUXILIARY: Part.AUXILIARY,
}


def _bind(program: Program, inputs: RowInputs) -> _Bound:
    if inputs.rows < 1 or inputs.rows & (inputs.rows - 1):
        raise ValueError(f"rows must be a power of two, got {inputs.rows}")
    used: dict[int, int] = {}
    for source, index in program.inputs:
        key = LANES * source + index if source == Source.SELECTOR else source
        used[key] = max(used.get(key, -1), index)
    bound = _Bound(max(inputs.rows, GROUP))
    matrices = (inputs.preprocessed, inputs.main, inputs.auxiliary)
    for (source, part), matrix in zip(_MATRICES.items(), matrices, strict=True):
        tiles = used.get(source, -1) + 1
        flat, width = _matrix(part.name.lower(), matrix if tiles else None, inputs.rows, tiles)
        bound.matrices.append(flat)
        bound.widths.append(width)
    selectors = (inputs.first, inputs.last, inputs.transition)
    for selector, values in zip(Selector, selectors, strict=True):
        wanted = LANES * Source.SELECTOR + selector in used
        bound.selectors.append(_selector(selector, values if wanted else None, inputs.rows, wanted))
    _bind_periodic(bound, inputs, used.get(Source.PERIODIC, -1) + 1)
    return bound


def _check_words(name: str, array: Array) -> None:
    if array.dtype != np.uint32 or not array.flags.c_contiguous or not array.flags.writeable:
        raise ValueError(f"{name}: expected a writeable C-contiguous uint32 array")


def _tiled(array: Array) -> Array:
    """At least one group of rows, by repetition: the next row, cyclically, stays what it was."""
    repeats = max(1, GROUP // len(array))
    return array if repeats == 1 else np.concatenate([array] * repeats)


def _matrix(name: str, matrix: Array | None, rows: int, tiles: int) -> tuple[Array, int]:
    if matrix is None:
        if tiles:
            raise ValueError(f"the program uses {name} columns, but the inputs have none")
        return np.zeros(0, np.uint32), 0
    _check_words(name, matrix)
    if matrix.ndim != 2 or len(matrix) != rows or matrix.shape[1] % LANES:
        raise ValueError(f"{name}: expected ({rows}, a multiple of 16), got {matrix.shape}")
    if matrix.shape[1] < tiles * LANES:
        raise ValueError(f"{name}: {matrix.shape[1]} columns are too few for the program")
    return _tiled(matrix).reshape(-1), matrix.shape[1]


def _selector(selector: Selector, values: Array | None, rows: int, wanted: bool) -> Array:
    if values is None:
        if wanted:
            raise ValueError(f"the program uses the selector {selector.name}, got None")
        return np.zeros(0, np.uint32)
    _check_words(selector.name, values)
    if values.shape != (rows,):
        raise ValueError(f"{selector.name}: expected shape ({rows},), got {values.shape}")
    return _tiled(values)


def _bind_periodic(bound: _Bound, inputs: RowInputs, count: int) -> None:
    if count > len(inputs.periodic):
        raise ValueError(f"the program uses {count} periodic columns, got {len(inputs.periodic)}")
    arrays = []
    for number, values in enumerate(inputs.periodic[:count]):
        _check_words(f"periodic {number}", values)
        if values.ndim != 1 or not len(values) or inputs.rows % len(values):
            raise ValueError(f"periodic {number}: a period of {values.shape} does not divide N")
        arrays.append(_tiled(values))
    if arrays:
        bound.periodic = np.concatenate(arrays)
        bound.periods = np.array([len(values) for values in arrays], np.int64)
        bound.starts = np.cumsum(bound.periods) - bound.periods


def _run(
    program: Program,
    inputs: RowInputs,
    constants: Constants,
    weights: Array,
    rows: tuple[int, int],
) -> Array:
    bound = _bind(program, inputs)
    start, count = rows[0], rows[1] - rows[0]
    words = max(count, GROUP)
    outputs = 1 if program.mode is Mode.FOLD else len(program.extended)
    out = np.zeros((outputs, DEGREE, words), np.uint32)
    pool = np.repeat(_constant_pool(program, constants), LANES)
    preprocessed, main, auxiliary = bound.matrices
    first, last, transition = bound.selectors
    widths = np.array(bound.widths, np.int64)

    def piece(lo: int, hi: int) -> None:
        workspace = aligned_empty(max(LANES, program.workspace_words))
        workspace[program.slots * program.stride :][: len(pool)] = pool
        accumulators = np.empty(DEGREE * program.block, np.uint64)
        interpret(
            program.code, program.gathers, weights,
            preprocessed, main, auxiliary, widths, first, last, transition,
            bound.periodic, bound.starts, bound.periods,
            program.block, bound.rows, start + lo, start + hi, start,
            program.mode is Mode.FOLD, workspace, accumulators, out.reshape(-1), words,
        )  # fmt: skip

    run(piece, words, program.block)
    return out[:, :, :count]
