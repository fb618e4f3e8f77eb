"""How fast single operations are, each measured by itself at the size it is asked for.

Every method gives seconds per unit, without what its calls cost whatever their size: that is
:meth:`Speeds.fixed`. Results are kept, so that equal sizes are measured once. Inputs
are one made-up row, repeated: no operation here takes longer for some values than for others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from air.bench.kernels import Calls, KernelWatch
from stark import parallel
from stark.constraints.expression import Part
from stark.constraints.interpreter import Constants, RowInputs, evaluate, evaluate_roots
from stark.constraints.program import compile_fold, compile_store
from stark.field.barycentric import evaluate_columns
from stark.field.evaluation import point_powers, reversed_powers
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import (
    batch_inverse,
    domain_points,
    multiply,
    running_sum,
    scale,
)
from stark.field.koalabear import P
from stark.field.memory import LANES, aligned_empty, padded_width
from stark.field.montgomery import multiply_by_scalar, scalar_to_montgomery
from stark.field.ntt import evaluate_on_coset, interpolate
from stark.field.transposition import columns_to_rows
from stark.fri.deep import combine_rows, inverse_differences, quotients
from stark.fri.fold import fold
from stark.hash.poseidon_kernels import chain, trace_cells
from stark.hash.sha256 import SALT_BYTES
from stark.hash.sha256_kernels import (
    _GRIND_CHUNK,
    codeword_leaf_digests,
    grind,
    leaf_digests,
    node_digests,
)
from stark.parallel import worker_count
from stark.prover.auxiliary import CHUNK_ROWS
from stark.prover.polynomials import add_mod
from stark.prover.randomness import SystemRandomness, field_elements
from stark.system import Table

Words = NDArray[np.uint32]

_RUNS = 3
_CALLS = 200
_LEAST_PART = 0.25
_POINT: Element = (3, 1, 4, 1, 5)
_GRIND_BITS = 18
_MOST_NODES = 1 << 18
_DRAWN = 1 << 20
_CACHED = 1 << 14
_COPIED = 1 << 27
_SPREAD = 0x9E3779B1
"""2^32 over the golden ratio: its multiples mod p are made-up field elements."""


class Speeds:
    """Seconds per unit, by operation and size."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], float] = {}

    # ---- transforms and hashes

    def transform(self, height: int, width: int) -> float:
        """Per cell: coefficients to values on a coset."""
        return self._measured(("transform", height, width), self._transform, height * width)

    def _transform(self, _: str, height: int, width: int) -> Callable[[], object]:
        matrix, out = self._filled(height, width), self._filled(height, width)
        return lambda: evaluate_on_coset(matrix, 3, out)

    def interpolation(self, height: int, width: int) -> float:
        """Per cell: values to coefficients."""
        return self._measured(("interpolation", height, width), self._interpolate, height * width)

    def _interpolate(self, _: str, height: int, width: int) -> Callable[[], object]:
        matrix, out = self._filled(height, width), self._filled(height, width)
        return lambda: interpolate(matrix, out)

    def leaves(self, height: int, widths: tuple[int, ...], salted: bool) -> float:
        """Per row of ``height`` rows, joint over matrices of some widths."""
        return self._measured(("leaves", height, widths, salted), self._leaves, height)

    def _leaves(
        self, _: str, height: int, widths: tuple[int, ...], salted: bool
    ) -> Callable[[], object]:
        matrices = [self._filled(height, padded_width(width)) for width in widths]
        digests = aligned_empty((8, height))
        key = bytes(SALT_BYTES) if salted else None
        return lambda: leaf_digests(matrices, widths, key, digests, 0)

    def layer_leaves(self, cosets: int, height: int, points: int) -> float:
        """Per leaf of a FRI layer, ``points`` values of a codeword each."""
        leaves = cosets * height // points
        return self._measured(("layer", cosets, height, points), self._layer, leaves)

    def _layer(self, _: str, cosets: int, height: int, points: int) -> Callable[[], object]:
        codeword = self._filled(DEGREE, cosets, height)
        return lambda: codeword_leaf_digests(codeword, points)

    def nodes(self, leaves: int) -> float:
        """Per node above ``leaves`` leaves."""
        count = max(LANES, min(leaves // 2, _MOST_NODES))
        return self._measured(("nodes", count), self._nodes, count)

    def _nodes(self, _: str, count: int) -> Callable[[], object]:
        children = self._filled(8, 2 * count)
        return lambda: node_digests(children, count)

    def work(self) -> float:
        """Per nonce that is tried."""
        state = bytes(32)
        tries = nonces_tried(grind(state, _GRIND_BITS), _GRIND_BITS)
        return self._measured(("grind",), lambda _: lambda: grind(state, _GRIND_BITS), tries)

    def masks(self) -> float:
        """Per random field element."""
        source = SystemRandomness()
        return self._measured(
            ("masks",), lambda _: lambda: field_elements(source, "", _DRAWN), _DRAWN
        )

    def product(self) -> float:
        """Per product of two vectors' words, 16 lanes for a 16th each: multiplications in the
        extension, 25 products and five reductions of two, of vectors that the caches hold."""
        length = _CACHED * worker_count()
        return self._measured(("product", length), self._product, 35 * length)

    def _product(self, _: str, length: int) -> Callable[[], object]:
        a = self._filled(DEGREE, length)
        return lambda: scale(a, _POINT)

    def copied_byte(self) -> float:
        """Per byte read or written, by copying what no cache holds."""
        return self._measured(("copy",), self._copy, 2 * _COPIED)

    def _copy(self, _: str) -> Callable[[], object]:
        source, out = self._filled(_COPIED // 4), self._filled(_COPIED // 4)

        def copy(lo: int, hi: int) -> None:
            out[lo:hi] = source[lo:hi]

        return lambda: parallel.run(copy, len(out))

    def permutation_rows(self, rows: int, width: int) -> float:
        """Per row: the cells of a permutation in a trace."""
        return self._measured(("permutations", rows, width), self._permutations, rows)

    def _permutations(self, _: str, rows: int, width: int) -> Callable[[], object]:
        states, out = self._filled(rows, LANES), aligned_empty((rows, width))
        return lambda: trace_cells(states, out)

    def chained_rows(self, rows: int) -> float:
        """Per row: hash chains of five rows each."""
        return self._measured(("chains", rows), self._chains, rows)

    def _chains(self, _: str, rows: int) -> Callable[[], object]:
        blocks, starts = self._filled(rows, 8), np.arange(rows) % 5 == 0
        firsts = self._filled(int(starts.sum()), 8)
        return lambda: chain(blocks, starts, firsts)

    # ---- constraints

    def constraints(self, table: Table) -> float:
        """Per row: all constraints of a table, folded."""
        key = "constraints", table.name
        return self._measured(key, lambda *_: self._constraints(table), table.height)

    def _constraints(self, table: Table) -> Callable[[], object]:
        roots = [constraint.expression.index for constraint in table.constraints]
        program = compile_fold(table.symbolic.graph, roots)
        inputs, constants = self._inputs(table), _constants(table)
        return lambda: evaluate(program, inputs, constants, [_POINT] * len(roots))

    def fractions(self, table: Table) -> float:
        """Per row: numerators and denominators of a table's buses."""
        key = "fractions", table.name
        rows = min(table.height, CHUNK_ROWS)
        return self._measured(key, lambda *_: self._fractions(table), rows)

    def _fractions(self, table: Table) -> Callable[[], object]:
        groups = table.bus_argument.groups
        program = compile_store(
            table.symbolic.graph,
            [root.index for group in groups for root in (group.numerator, group.denominator)],
        )
        inputs, constants = self._inputs(table), _constants(table)
        rows = 0, min(table.height, CHUNK_ROWS)
        return lambda: evaluate_roots(program, inputs, constants, rows)

    def _inputs(self, table: Table) -> RowInputs:
        widths = [table.width(part) * (DEGREE if part is Part.AUXILIARY else 1) for part in Part]
        fixed, main, auxiliary = (
            self._filled(table.height, padded_width(width)) if width else None for width in widths
        )
        first, last, transition = (self._filled(table.height) for _ in range(3))
        periodic = [self._filled(len(values)) for values in table.symbolic.periodic]
        return RowInputs(fixed, main, auxiliary, first, last, transition, periodic)

    # ---- vectors over the extension, openings, FRI

    def vector(self, operation: str, length: int) -> float:
        """Per element of a vector: one of the names in :meth:`_vector`."""
        return self._measured(("vector", operation, length), self._vector, length)

    def _vector(self, _: str, operation: str, length: int) -> Callable[[], object]:
        log_length = length.bit_length() - 1
        a, b = self._filled(DEGREE, length), self._filled(DEGREE, length)
        calls: dict[str, Callable[[], object]] = {
            "inverse": lambda: batch_inverse(a),
            "product": lambda: multiply(a, b),
            "scaling": lambda: scale(a, _POINT),
            "base scaling": lambda: multiply_by_scalar(a, scalar_to_montgomery(7), b),
            "sum": lambda: add_mod(a, b),
            "running sum": lambda: running_sum(a),
            "points": lambda: domain_points(log_length, 3),
            "point weights": lambda: reversed_powers(log_length, _POINT),
            "query weights": lambda: point_powers(log_length, [3, 5, 7, 11, 13]),
            "shift by a row": lambda: np.roll(a, 1, axis=1),
        }
        if operation == "differences":
            points = domain_points(log_length, 3)
            return lambda: inverse_differences(points, _POINT)
        if operation == "quotients":
            joint, out = self._filled(length, LANES), aligned_empty((DEGREE, 1, length))
            return lambda: quotients(joint, (_POINT, _POINT), (a, b), out, 0)
        return calls[operation]

    def columns_at_point(self, height: int, width: int) -> float:
        """Per cell: all columns of a matrix at one point."""
        return self._measured(("columns", height, width), self._columns, height * width)

    def _columns(self, _: str, height: int, width: int) -> Callable[[], object]:
        matrix, weights = self._filled(height, width), self._filled(DEGREE, height)
        return lambda: evaluate_columns(matrix, weights)

    def combination(self, height: int, width: int, blocks: int) -> float:
        """Per cell of ``blocks`` blocks of 16 columns: a row's columns, weighted and summed."""
        cells = height * LANES * blocks
        return self._measured(("combination", height, width, blocks), self._combination, cells)

    def _combination(self, _: str, height: int, width: int, blocks: int) -> Callable[[], object]:
        matrix = self._filled(height, width)
        coefficients = np.ones((LANES * blocks, DEGREE), np.uint32)
        return lambda: combine_rows(matrix, coefficients)

    def transposition(self, width: int, height: int) -> float:
        """Per word: columns to rows."""
        return self._measured(("transposition", width, height), self._transpose, width * height)

    def _transpose(self, _: str, width: int, height: int) -> Callable[[], object]:
        columns, rows = self._filled(width, height), aligned_empty((height, width))
        return lambda: columns_to_rows(columns, rows)

    def folding(self, cosets: int, height: int, log_arity: int) -> float:
        """Per value of the codeword that is folded."""
        count = cosets * height
        return self._measured(("fold", cosets, height, log_arity), self._fold, count)

    def _fold(self, _: str, cosets: int, height: int, log_arity: int) -> Callable[[], object]:
        codeword = self._filled(DEGREE, cosets, height)
        return lambda: fold(codeword, log_arity, _POINT, cosets.bit_length() - 1)

    # ---- helpers

    def _measured(
        self, key: tuple[object, ...], prepare: Callable[..., Callable[[], object]], units: int
    ) -> float:
        if key not in self._known:
            call = prepare(*key)
            watch = KernelWatch()
            with watch.watching():
                call()
            fixed = self.fixed(watch.take_calls())
            seconds = _fastest(call)
            # A small operation is mostly calls; of noise in these, something has to be left.
            self._known[key] = max(seconds - fixed, seconds * _LEAST_PART) / units
        return self._known[key]

    def fixed(self, calls: Calls) -> float:
        """Seconds that calls take whatever they do: checks, results, threads that are woken."""
        return calls.alone * self.call(False) + calls.shared * self.call(True)

    def call(self, shared: bool) -> float:
        """Seconds per call of a kernel that has next to nothing to do."""
        key = "call", shared
        if key not in self._known:
            nothing = self._filled(LANES)
            workers = worker_count() if shared else 0

            def repeat() -> None:
                for _ in range(_CALLS):
                    multiply_by_scalar(nothing, 1)
                    if workers > 1:
                        parallel.run(lambda lo, hi: None, workers, 1)

            repeat()
            self._known[key] = _fastest(repeat) / _CALLS
        return self._known[key]

    def _filled(self, *shape: int) -> Words:
        array = aligned_empty(shape)
        array[...] = _SPREAD * np.arange(1, shape[-1] + 1) % P  # none is zero
        return array


def _fastest(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _constants(table: Table) -> Constants:
    return Constants([1] * table.public_count, _POINT, _POINT, _POINT, _POINT)


def nonces_tried(nonce: int, bits: int) -> int:
    """How many nonces are tried until the smallest that succeeds is known, by all threads.

    They come in chunks, which the threads share: in the last one each goes on to a success of its
    own, one in 2^bits, or to the end of its part.
    """
    workers = worker_count()
    done, inside = divmod(nonce, _GRIND_CHUNK)
    last = inside + 1 if workers == 1 else min(_GRIND_CHUNK, workers << bits)
    return done * _GRIND_CHUNK + max(last, inside + 1)


def block_count(columns: Sequence[int]) -> int:
    """Blocks of 16 columns that some columns lie in."""
    return len({column // LANES for column in columns})
