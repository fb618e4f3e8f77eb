"""The kernel that runs programs over blocks of rows.

A block's columns are transposed into the workspace, sixteen columns by sixteen rows at a time, then
each operation runs over all rows of the block before the next one starts. Numbers of rows are
multiples of 64.
"""

from __future__ import annotations

from typing import Any

from stark.constraints.expression import Selector
from stark.constraints.program import ACCUMULATED, Opcode, Source
from stark.field.simd import (
    field_add,
    field_mul,
    field_sub,
    load,
    load_tile_transposed,
    splat,
    store,
    store_tile,
    wide_add,
    wide_conditional_subtract,
    wide_load,
    wide_product_even,
    wide_product_odd,
    wide_product_odd_splat,
    wide_reduce,
    wide_store,
    wide_zero,
)
from stark.jit import device, kernel

# Compile-time constants of the kernel.
_ADD, _SUBTRACT, _MULTIPLY = int(Opcode.ADD), int(Opcode.SUBTRACT), int(Opcode.MULTIPLY)
_DOT, _COMBINE, _ACCUMULATE = int(Opcode.DOT), int(Opcode.COMBINE), int(Opcode.ACCUMULATE)
_GATHER = int(Opcode.GATHER)
_PREPROCESSED, _MAIN, _AUXILIARY = (int(source) for source in list(Source)[:3])
_SELECTOR = int(Source.SELECTOR)
_FIRST, _LAST = int(Selector.FIRST), int(Selector.LAST)


@device
def _gather_tiles(
    source: int, matrix: Any, width: int, gathers: Any, rows: int, row: int, count: int,
    workspace: Any, stride: int,
) -> None:  # fmt: skip
    """The used tiles of a matrix, rows row ... row + count + 15, cyclically, to their slots.

    Sixteen rows at a time, so that memory is read in order.
    """
    for k in range(0, count + 16, 16):
        line = row + k
        if line >= rows:
            line -= rows
        for g in range(gathers.shape[0]):
            if gathers[g, 0] == source:
                tile = load_tile_transposed(matrix, line * width + 16 * gathers[g, 1], width)
                store_tile(workspace, gathers[g, 2] * stride + k, stride, tile)


@device
def _gather_tile(
    matrix: Any, width: int, tile: int, rows: int, row: int, count: int,
    workspace: Any, address: int, stride: int,
) -> None:  # fmt: skip
    """One tile of a matrix, rows row ... row + count + 15, cyclically, to its slots."""
    for k in range(0, count + 16, 16):
        line = row + k
        if line >= rows:
            line -= rows
        values = load_tile_transposed(matrix, line * width + 16 * tile, width)
        store_tile(workspace, address + k, stride, values)


@device
def _gather_values(
    values: Any, start: int, period: int, row: int, count: int, workspace: Any, address: int
) -> None:
    """Rows row ... row + count - 1 of a column of ``period`` values (a multiple of 16)."""
    source = row % period
    for k in range(0, count, 16):
        store(workspace, address + k, load(values, start + source))
        source += 16
        if source == period:
            source = 0


@device
def _add_two(total: Any, first: Any, second: Any) -> Any:
    """total + first + second for a total below p 2^32 and two products: below p 2^32 again.

    See ``conditional_subtract`` for why nothing overflows.
    """
    return wide_conditional_subtract(wide_add(total, wide_add(first, second)))


@device
def _dot(code: Any, position: int, count: int, workspace: Any, destination: int) -> None:
    """Sums of products, reduced once. Thirty-two rows at a time share the decoding of a term."""
    terms = code[position + 2]
    pairs = position + 3 + 8 * (terms // 2)
    for i in range(0, count, 32):
        even0, odd0 = wide_zero(), wide_zero()
        even1, odd1 = wide_zero(), wide_zero()
        for at in range(position + 3, pairs, 8):
            a, a_next = code[at] + (i & code[at + 1]), 16 & code[at + 1]
            b, b_next = code[at + 2] + (i & code[at + 3]), 16 & code[at + 3]
            c, c_next = code[at + 4] + (i & code[at + 5]), 16 & code[at + 5]
            d, d_next = code[at + 6] + (i & code[at + 7]), 16 & code[at + 7]
            x, y = load(workspace, a), load(workspace, b)
            u, v = load(workspace, c), load(workspace, d)
            even0 = _add_two(even0, wide_product_even(x, y), wide_product_even(u, v))
            odd0 = _add_two(odd0, wide_product_odd(x, y), wide_product_odd(u, v))
            x1, y1 = load(workspace, a + a_next), load(workspace, b + b_next)
            u1, v1 = load(workspace, c + c_next), load(workspace, d + d_next)
            even1 = _add_two(even1, wide_product_even(x1, y1), wide_product_even(u1, v1))
            odd1 = _add_two(odd1, wide_product_odd(x1, y1), wide_product_odd(u1, v1))
        if terms & 1:
            a, a_next = code[pairs] + (i & code[pairs + 1]), 16 & code[pairs + 1]
            b, b_next = code[pairs + 2] + (i & code[pairs + 3]), 16 & code[pairs + 3]
            x, y = load(workspace, a), load(workspace, b)
            even0 = _add_two(even0, wide_product_even(x, y), wide_zero())
            odd0 = _add_two(odd0, wide_product_odd(x, y), wide_zero())
            x1, y1 = load(workspace, a + a_next), load(workspace, b + b_next)
            even1 = _add_two(even1, wide_product_even(x1, y1), wide_zero())
            odd1 = _add_two(odd1, wide_product_odd(x1, y1), wide_zero())
        store(workspace, destination + i, wide_reduce(even0, odd0))
        store(workspace, destination + i + 16, wide_reduce(even1, odd1))


@device
def _combine(code: Any, position: int, count: int, workspace: Any, destination: int) -> None:
    """Like :func:`_dot` where every second factor is a constant. Sixty-four rows at a time."""
    terms = code[position + 2]
    end = position + 3 + 2 * terms
    for i in range(0, count, 64):
        even0, odd0 = wide_zero(), wide_zero()
        even1, odd1 = wide_zero(), wide_zero()
        even2, odd2 = wide_zero(), wide_zero()
        even3, odd3 = wide_zero(), wide_zero()
        for at in range(position + 3, end, 4):
            a, j = code[at] + i, load(workspace, code[at + 1])
            b, k = code[at + 2] + i, load(workspace, code[at + 3])
            x0, y0 = load(workspace, a), load(workspace, b)
            even0 = _add_two(even0, wide_product_even(x0, j), wide_product_even(y0, k))
            odd0 = _add_two(odd0, wide_product_odd_splat(x0, j), wide_product_odd_splat(y0, k))
            x1, y1 = load(workspace, a + 16), load(workspace, b + 16)
            even1 = _add_two(even1, wide_product_even(x1, j), wide_product_even(y1, k))
            odd1 = _add_two(odd1, wide_product_odd_splat(x1, j), wide_product_odd_splat(y1, k))
            x2, y2 = load(workspace, a + 32), load(workspace, b + 32)
            even2 = _add_two(even2, wide_product_even(x2, j), wide_product_even(y2, k))
            odd2 = _add_two(odd2, wide_product_odd_splat(x2, j), wide_product_odd_splat(y2, k))
            x3, y3 = load(workspace, a + 48), load(workspace, b + 48)
            even3 = _add_two(even3, wide_product_even(x3, j), wide_product_even(y3, k))
            odd3 = _add_two(odd3, wide_product_odd_splat(x3, j), wide_product_odd_splat(y3, k))
        store(workspace, destination + i, wide_reduce(even0, odd0))
        store(workspace, destination + i + 16, wide_reduce(even1, odd1))
        store(workspace, destination + i + 32, wide_reduce(even2, odd2))
        store(workspace, destination + i + 48, wide_reduce(even3, odd3))


@device
def _accumulate(
    code: Any, position: int, count: int, workspace: Any, weights: Any, accumulators: Any
) -> None:
    """Four values times their weights, onto the accumulators of the five coefficients."""
    first = 5 * code[position + 1]
    a, b = code[position + 2], code[position + 3]
    c, d = code[position + 4], code[position + 5]
    for q in range(5):
        ka = splat(weights[first + q])
        kb = splat(weights[first + 5 + q])
        kc = splat(weights[first + 10 + q])
        kd = splat(weights[first + 15 + q])
        for i in range(0, count, 16):
            va = load(workspace, a + i)
            vb = load(workspace, b + i)
            vc = load(workspace, c + i)
            vd = load(workspace, d + i)
            at = 5 * i + 16 * q
            even = wide_load(accumulators, at)
            odd = wide_load(accumulators, at + 8)
            even = _add_two(even, wide_product_even(va, ka), wide_product_even(vb, kb))
            even = _add_two(even, wide_product_even(vc, kc), wide_product_even(vd, kd))
            odd = _add_two(odd, wide_product_odd_splat(va, ka), wide_product_odd_splat(vb, kb))
            odd = _add_two(odd, wide_product_odd_splat(vc, kc), wide_product_odd_splat(vd, kd))
            wide_store(accumulators, at, even)
            wide_store(accumulators, at + 8, odd)


@kernel(
    "void(i8[::1], i8[:, ::1], u4[::1], u4[::1], u4[::1], u4[::1], i8[::1], u4[::1], u4[::1],"
    "u4[::1], u4[::1], i8[::1], i8[::1], i8, i8, i8, i8, i8, b1, u4[::1], u8[::1], u4[::1], i8)"
)
def interpret(
    code: Any, gathers: Any, weights: Any,
    preprocessed: Any, main: Any, auxiliary: Any, widths: Any,
    first: Any, last: Any, transition: Any,
    periodic: Any, starts: Any, periods: Any,
    block: int, rows: int, lo: int, hi: int, out_start: int,
    folding: bool, workspace: Any, accumulators: Any, out: Any, out_rows: int,
) -> None:  # fmt: skip
    """Rows lo ... hi - 1 of ``rows`` (all multiples of 64) to columns lo - out_start ... of out."""
    stride = block + 16
    for row in range(lo, hi, block):
        count = min(block, hi - row)
        _gather_tiles(
            _PREPROCESSED, preprocessed, widths[0], gathers, rows, row, count, workspace, stride
        )
        _gather_tiles(_MAIN, main, widths[1], gathers, rows, row, count, workspace, stride)
        _gather_tiles(
            _AUXILIARY, auxiliary, widths[2], gathers, rows, row, count, workspace, stride
        )
        for g in range(gathers.shape[0]):
            source, index, address = gathers[g, 0], gathers[g, 1], gathers[g, 2] * stride
            if source == _SELECTOR:
                if index == _FIRST:
                    _gather_values(first, 0, rows, row, count, workspace, address)
                elif index == _LAST:
                    _gather_values(last, 0, rows, row, count, workspace, address)
                else:
                    _gather_values(transition, 0, rows, row, count, workspace, address)
            elif source > _SELECTOR:
                _gather_values(
                    periodic, starts[index], periods[index], row, count, workspace, address
                )
        if folding:
            for i in range(0, 5 * count, 8):
                wide_store(accumulators, i, wide_zero())
        position = 0
        while position < code.shape[0]:
            op = code[position]
            d = code[position + 1]
            if op == _DOT:
                _dot(code, position, count, workspace, d)
                position += 3 + 4 * code[position + 2]
                continue
            if op == _COMBINE:
                _combine(code, position, count, workspace, d)
                position += 3 + 2 * code[position + 2]
                continue
            if op == _ACCUMULATE:
                _accumulate(code, position, count, workspace, weights, accumulators)
                position += 2 + ACCUMULATED
                continue
            a = code[position + 2]
            if op == _GATHER:
                address = code[position + 3]
                if d == _MAIN:
                    _gather_tile(main, widths[1], a, rows, row, count, workspace, address, stride)
                elif d == _AUXILIARY:
                    _gather_tile(
                        auxiliary, widths[2], a, rows, row, count, workspace, address, stride
                    )
                else:
                    _gather_tile(
                        preprocessed, widths[0], a, rows, row, count, workspace, address, stride
                    )
                position += 4
                continue
            if op > _ACCUMULATE:
                for i in range(0, count, 16):
                    store(out, d * out_rows + row - out_start + i, load(workspace, a + i))
                position += 3
                continue
            am, b, bm = code[position + 3], code[position + 4], code[position + 5]
            position += 6
            if op == _ADD:
                for i in range(0, count, 16):
                    x = load(workspace, a + (i & am))
                    y = load(workspace, b + (i & bm))
                    store(workspace, d + i, field_add(x, y))
            elif op == _SUBTRACT:
                for i in range(0, count, 16):
                    x = load(workspace, a + (i & am))
                    y = load(workspace, b + (i & bm))
                    store(workspace, d + i, field_sub(x, y))
            else:
                for i in range(0, count, 16):
                    x = load(workspace, a + (i & am))
                    y = load(workspace, b + (i & bm))
                    store(workspace, d + i, field_mul(x, y))
        if folding:
            for i in range(0, count, 16):
                for q in range(5):
                    at = 5 * i + 16 * q
                    even, odd = wide_load(accumulators, at), wide_load(accumulators, at + 8)
                    store(out, q * out_rows + row - out_start + i, wide_reduce(even, odd))
