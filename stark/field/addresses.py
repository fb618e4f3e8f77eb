"""Intrinsics that load vectors from raw addresses, for kernels that read a list of arrays.

Numba has no array of arrays; a kernel gets the addresses and strides of several, as integers. The
caller keeps the arrays alive and in range.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from stark.field import simd, vector_ir
from stark.field.vector_ir import LANES


def _load(builder: Any, address: Any) -> Any:
    return vector_ir.load(builder, builder.inttoptr(address, vector_ir.I32.as_pointer()))


def vector_loader(convert: Callable[[Any, Any], Any]) -> Any:
    """An intrinsic (address) -> vector: 16 consecutive words, each as ``convert(builder, x)``."""

    @intrinsic
    def load(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return convert(builder, _load(builder, arguments[0]))

        return simd.vector(types.uint64), generate

    return load


def tile_loader(convert: Callable[[Any, Any], Any]) -> Any:
    """An intrinsic (address, stride in bytes) -> tile: 16 words of 16 rows, converted.

    Transposed: vector k holds column k.
    """

    @intrinsic
    def load(typing_context: Any, address: Any, stride: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address, stride = arguments
            rows = []
            for k in range(LANES):
                offset = builder.mul(stride, vector_ir.I64(k))
                rows.append(convert(builder, _load(builder, builder.add(address, offset))))
            return context.make_tuple(builder, simd.tile, vector_ir.transpose(builder, rows))

        return simd.tile(types.uint64, types.uint64), generate

    return load
