"""The kernel that runs programs over blocks of rows.

A block's columns are transposed into the workspace, sixteen columns by sixteen rows at a time, then
each operation runs over all rows of the block before the next one starts.
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
_DOT, _ACCUMULATE = int(Opcode.DOT), int(Opcode.ACCUMULATE)
_PREPROCESSED, _MAIN, _AUXILIARY = (int(source) for source in list(Source)[:3])
_SELECTOR = int(Source.SELECTOR)
_FIRST, _LAST = int(Selector.FIRST), int(Selector.LAST)


@device
def _gather_tile(
    matrix: Any, width: int, tile: int, rows: int, row: int, count: int, workspace: Any,
    address: int, stride: int,
) -> None:  # fmt: skip
    """Sixteen columns of rows row ... row + count + 15, cyclically, to sixteen slots."""
    for k in range(0, count + 16, 16):
        source = row + k
        if source >= rows:
            source -= rows
        columns = load_tile_transposed(matrix, source * width + 16 * tile, width)
        store_tile(workspace, address + k, stride, columns)


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
def _dot(code: Any, position: int, count: int, workspace: Any, destination: int) -> None:
    """Sums of products, reduced once.

    Two products are added, then p 2^32 is conditionally subtracted: see ``conditional_subtract``
    for why nothing overflows. A last, single product is below p^2 < p 2^32.
    """
    terms = code[position + 2]
    pairs = position + 3 + 8 * (terms // 2)
    for i in range(0, count, 16):
        even = wide_zero()
        odd = wide_zero()
        for at in range(position + 3, pairs, 8):
            a = load(workspace, code[at] + (i & code[at + 1]))
            b = load(workspace, code[at + 2] + (i & code[at + 3]))
            c = load(workspace, code[at + 4] + (i & code[at + 5]))
            d = load(workspace, code[at + 6] + (i & code[at + 7]))
            even = wide_conditional_subtract(
                wide_add(even, wide_add(wide_product_even(a, b), wide_product_even(c, d)))
            )
            odd = wide_conditional_subtract(
                wide_add(odd, wide_add(wide_product_odd(a, b), wide_product_odd(c, d)))
            )
        if terms & 1:
            a = load(workspace, code[pairs] + (i & code[pairs + 1]))
            b = load(workspace, code[pairs + 2] + (i & code[pairs + 3]))
            even = wide_conditional_subtract(wide_add(even, wide_product_even(a, b)))
            odd = wide_conditional_subtract(wide_add(odd, wide_product_odd(a, b)))
        store(workspace, destination + i, wide_reduce(even, odd))


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
            even = wide_conditional_subtract(
                wide_add(even, wide_add(wide_product_even(va, ka), wide_product_even(vb, kb)))
            )
            odd = wide_conditional_subtract(
                wide_add(
                    odd,
                    wide_add(wide_product_odd_splat(va, ka), wide_product_odd_splat(vb, kb)),
                )
            )
            even = wide_conditional_subtract(
                wide_add(even, wide_add(wide_product_even(vc, kc), wide_product_even(vd, kd)))
            )
            odd = wide_conditional_subtract(
                wide_add(
                    odd,
                    wide_add(wide_product_odd_splat(vc, kc), wide_product_odd_splat(vd, kd)),
                )
            )
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
    """Rows lo ... hi - 1 of ``rows`` (all multiples of 16) to columns lo - out_start ... of out."""
    stride = block + 16
    for row in range(lo, hi, block):
        count = min(block, hi - row)
        for g in range(gathers.shape[0]):
            source, index, address = gathers[g, 0], gathers[g, 1], gathers[g, 2] * stride
            if source == _PREPROCESSED:
                _gather_tile(
                    preprocessed, widths[0], index, rows, row, count, workspace, address, stride
                )
            elif source == _MAIN:
                _gather_tile(main, widths[1], index, rows, row, count, workspace, address, stride)
            elif source == _AUXILIARY:
                _gather_tile(
                    auxiliary, widths[2], index, rows, row, count, workspace, address, stride
                )
            elif source == _SELECTOR:
                if index == _FIRST:
                    _gather_values(first, 0, rows, row, count, workspace, address)
                elif index == _LAST:
                    _gather_values(last, 0, rows, row, count, workspace, address)
                else:
                    _gather_values(transition, 0, rows, row, count, workspace, address)
            else:
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
            if op == _ACCUMULATE:
                _accumulate(code, position, count, workspace, weights, accumulators)
                position += 2 + ACCUMULATED
                continue
            a = code[position + 2]
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
