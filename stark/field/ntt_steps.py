"""Fused butterfly layers: k = 1, 2 or 3 layers of a transform, with the rows in registers.

One intrinsic emits the loop nest of a step. Its source and its destination are addresses with a row
stride, so that the same code reads the matrix, works in the buffer, and writes the matrix.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from stark.field import vector_ir
from stark.field.vector_ir import I32, I64


@intrinsic
def address(typing_context: Any, array: Any, index: Any) -> Any:
    """Address in memory, as int64, of element ``index`` of a C-contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = vector_ir.element_pointer(
            context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1]
        )
        return builder.ptrtoint(pointer, I64)

    return types.int64(array, index), generate


def _butterfly(builder: Any, inverse: bool, x: Any, y: Any, twiddle: Any) -> tuple[Any, Any]:
    """Decimation in frequency (inverse) multiplies after the difference, in time before it."""
    if inverse:
        difference = vector_ir.field_sub_lazy(builder, x, y)
        product = vector_ir.field_mul_splat(builder, difference, twiddle)
        return vector_ir.field_add(builder, x, y), product
    product = vector_ir.field_mul_splat(builder, y, twiddle)
    return vector_ir.field_add(builder, x, product), vector_ir.field_sub(builder, x, product)


def _fused(builder: Any, inverse: bool, rows: list[Any], twiddles: list[list[Any]]) -> list[Any]:
    """All layers on 2^k rows in registers; twiddles[q] are those of layer q, outermost first."""
    count = len(rows)
    layers = range(len(twiddles)) if inverse else reversed(range(len(twiddles)))
    for layer in layers:
        half = count >> (layer + 1)
        for block in range(0, count, 2 * half):
            for t in range(half):
                a, b = block + t, block + t + half
                rows[a], rows[b] = _butterfly(
                    builder, inverse, rows[a], rows[b], twiddles[layer][t]
                )
    return rows


def _pointer(builder: Any, base: Any, index: Any) -> Any:
    """Pointer to the uint32 at ``base`` (an address) plus ``index`` elements."""
    return builder.gep(builder.inttoptr(base, I32.as_pointer()), [index])


def _step(fused: int, inverse: bool) -> Any:
    """The intrinsic of ``fused`` layers."""

    @intrinsic
    def step(
        typing_context: Any,
        source: Any,
        source_stride: Any,
        destination: Any,
        destination_stride: Any,
        rows: Any,
        layer: Any,
        twiddles: Any,
    ) -> Any:
        """Layers ``layer`` ... of a transform of ``rows`` rows of 16 lanes.

        ``source`` and ``destination`` are addresses of the first row, the strides count elements
        between rows, ``twiddles`` is the address of a pass's table (see ``stark.field.twiddles``).
        All are int64.
        """

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _emit_step(builder, fused, inverse, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), generate

    return step


def _emit_step(
    builder: Any,
    fused: int,
    inverse: bool,
    source: Any,
    source_stride: Any,
    destination: Any,
    destination_stride: Any,
    rows: Any,
    layer: Any,
    twiddles: Any,
) -> None:
    count = 1 << fused
    distance = builder.lshr(rows, builder.add(layer, I64(fused)))
    block_rows = builder.shl(distance, I64(fused))
    blocks = builder.shl(I64(1), layer)
    # Layer q of the table starts at rows - (rows >> q).
    starts = [
        builder.sub(rows, builder.lshr(rows, builder.add(layer, I64(q)))) for q in range(fused)
    ]
    with cgutils.for_range(builder, distance) as outer:
        position = outer.index
        factors = [
            [
                _broadcast(builder, twiddles, [starts[q], position, builder.mul(distance, I64(t))])
                for t in range(count >> (q + 1))
            ]
            for q in range(fused)
        ]
        with cgutils.for_range(builder, blocks) as loop:
            first = builder.add(builder.mul(loop.index, block_rows), position)
            numbers = [builder.add(first, builder.mul(distance, I64(t))) for t in range(count)]
            values = [
                vector_ir.load(builder, _pointer(builder, source, builder.mul(n, source_stride)))
                for n in numbers
            ]
            for n, value in zip(numbers, _fused(builder, inverse, values, factors), strict=True):
                offset = builder.mul(n, destination_stride)
                vector_ir.store(builder, _pointer(builder, destination, offset), value)


def _broadcast(builder: Any, table: Any, terms: list[Any]) -> Any:
    """The element of ``table`` at the sum of the terms, in all lanes."""
    index = builder.add(builder.add(terms[0], terms[1]), terms[2])
    return vector_ir.splat(builder, builder.load(_pointer(builder, table, index), align=4))


forward_1, forward_2, forward_3 = (_step(fused, inverse=False) for fused in (1, 2, 3))
inverse_1, inverse_2, inverse_3 = (_step(fused, inverse=True) for fused in (1, 2, 3))
