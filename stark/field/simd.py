"""A vector type inside Numba: 16 lanes of uint32, and KoalaBear arithmetic on them.

``vector`` is a Numba type whose data model is LLVM's ``<16 x i32>``; ``wide`` is ``<8 x i64>``, the
accumulator of 64-bit products. The functions below are Numba intrinsics: they can be called only
inside kernels (``stark.jit.kernel`` and ``device``). Written with explicit vectors, a kernel does
not depend on what the auto-vectoriser happens to see.

Indices count elements of the array from its start, over all its dimensions; arrays must be
C-contiguous. Nothing is checked: a kernel's Python wrapper checks shapes and ranges before.

Field elements are in Montgomery form and canonical, in [0, p), as operands and as results, where
nothing else is said.

==========================  =====================================================================
memory                      ``load``, ``store``, ``store_streaming``, ``fence``, ``wide_load``,
                            ``wide_store``
constants, lanes            ``splat``, ``zero``, ``wide_zero``, ``lane``
integers modulo 2^32        ``add``, ``sub``, ``mul``, ``minimum``
bits                        ``bit_xor``, ``bit_and``, ``bit_or``, ``shift_left``, ``shift_right``,
                            ``rotate_right``, ``byte_swap``
field                       ``field_add``, ``field_sub``, ``field_sub_lazy``, ``field_mul``,
                            ``field_mul_splat``, ``field_halve``
dot products                ``wide_product_even``, ``wide_product_odd``,
                            ``wide_product_odd_splat``, ``wide_add``,
                            ``wide_conditional_subtract``, ``wide_reduce``
16 x 16 tiles               ``transpose``, ``load_tile``, ``load_tile_transposed``, ``store_tile``,
                            ``store_tile_transposed``
scalars                     ``mont_add``, ``mont_sub``, ``mont_mul``
==========================  =====================================================================

A dot product keeps two accumulators, for the even and the odd lanes::

    even, odd = wide_zero(), wide_zero()
    for k in range(0, n, 2):        # two products, then one conditional subtraction
        x, y, u, v = ...
        even = wide_add(even, wide_add(wide_product_even(x, u), wide_product_even(y, v)))
        odd = wide_add(odd, wide_add(wide_product_odd(x, u), wide_product_odd(y, v)))
        even, odd = wide_conditional_subtract(even), wide_conditional_subtract(odd)
    total = wide_reduce(even, odd)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic, models, register_model

from stark.field import vector_ir
from stark.field.koalabear import P
from stark.field.vector_ir import I32, I64, LANES, P_INVERSE, VECTOR, WIDE


class VectorType(types.Type):
    """Numba type of 16 lanes of uint32."""

    def __init__(self) -> None:
        super().__init__(name="uint32x16")


class WideType(types.Type):
    """Numba type of 8 lanes of uint64."""

    def __init__(self) -> None:
        super().__init__(name="uint64x8")


vector = VectorType()
wide = WideType()
tile = types.containers.UniTuple(vector, LANES)
"""Sixteen vectors: a 16 x 16 block of a matrix in registers."""


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, VECTOR)


@register_model(WideType)
class _WideModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, WIDE)


def elementwise(emit: Callable[..., Any], operand: Any = vector, result: Any = None) -> Any:
    """An intrinsic of two ``operand`` vectors, emitted by ``emit(builder, x, y)``."""

    def operation(typing_context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return (result or operand)(operand, operand), generate

    return _named(operation, emit)


def unary(emit: Callable[..., Any], operand: Any = vector) -> Any:
    """An intrinsic of one ``operand`` vector, emitted by ``emit(builder, x)``."""

    def operation(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return operand(operand), generate

    return _named(operation, emit)


def _by_literal(emit: Callable[..., Any]) -> Any:
    """An intrinsic of a vector and a literal count of bits."""

    def operation(typing_context: Any, x: Any, count: Any) -> Any:
        if not isinstance(count, types.IntegerLiteral):
            raise RequireLiteralValue("the count of bits must be a literal")
        bits = count.literal_value

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, arguments[0], bits)

        return vector(vector, count), generate

    return _named(operation, emit, prefer_literal=True)


def _named(operation: Any, emit: Callable[..., Any], **options: Any) -> Any:
    operation.__name__ = emit.__name__
    operation.__doc__ = emit.__doc__
    return intrinsic(**options)(operation) if options else intrinsic(operation)


def _instruction(name: str) -> Callable[..., Any]:
    def emit(builder: Any, x: Any, y: Any) -> Any:
        return getattr(builder, name)(x, y)

    emit.__name__ = name
    emit.__doc__ = f"LLVM's ``{name}`` of each pair of lanes."
    return emit


def _shift(name: str) -> Callable[..., Any]:
    def emit(builder: Any, x: Any, count: int) -> Any:
        return getattr(builder, name)(x, vector_ir.constant(VECTOR, count))

    emit.__name__ = name
    emit.__doc__ = f"LLVM's ``{name}`` of each lane by a literal count of bits."
    return emit


add = elementwise(_instruction("add"))
sub = elementwise(_instruction("sub"))
mul = elementwise(_instruction("mul"))
bit_xor = elementwise(_instruction("xor"))
bit_and = elementwise(_instruction("and_"))
bit_or = elementwise(_instruction("or_"))
minimum = elementwise(vector_ir.minimum)
shift_left = _by_literal(_shift("shl"))
shift_right = _by_literal(_shift("lshr"))
rotate_right = _by_literal(vector_ir.rotate_right)
byte_swap = unary(vector_ir.byte_swap)

field_add = elementwise(vector_ir.field_add)
field_sub = elementwise(vector_ir.field_sub)
field_sub_lazy = elementwise(vector_ir.field_sub_lazy)
field_mul = elementwise(vector_ir.field_mul)
field_mul_splat = elementwise(vector_ir.field_mul_splat)
field_halve = unary(vector_ir.field_halve)

wide_add = elementwise(_instruction("add"), wide)
wide_product_even = elementwise(vector_ir.product_even, result=wide)
wide_product_odd = elementwise(vector_ir.product_odd, result=wide)
wide_product_odd_splat = elementwise(vector_ir.product_odd_splat, result=wide)
wide_conditional_subtract = unary(vector_ir.conditional_subtract, wide)
wide_reduce = elementwise(vector_ir.reduce_products, wide, vector)


def _loader(vector_type: Any, numba_type: Any) -> Any:
    @intrinsic
    def load(typing_context: Any, array: Any, index: Any) -> Any:
        """Lanes from consecutive elements of ``array``, starting at ``index``; no alignment."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return vector_ir.load(
                builder, _element(context, builder, signature, arguments), vector_type
            )

        return numba_type(array, index), generate

    return load


def _storer(emit: Callable[..., None], numba_type: Any) -> Any:
    @intrinsic
    def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
        """Lanes to consecutive elements of ``array``, starting at ``index``."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emit(builder, _element(context, builder, signature, arguments), arguments[2])
            return context.get_dummy_value()

        return types.void(array, index, numba_type), generate

    return store


def _element(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Pointer to the element named by the first two arguments, an array and an index."""
    return vector_ir.element_pointer(
        context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1]
    )


load = _loader(VECTOR, vector)
store = _storer(vector_ir.store, vector)
# Only to 64-byte aligned addresses; a kernel that uses it ends with fence().
store_streaming = _storer(vector_ir.store_streaming, vector)
wide_load = _loader(WIDE, wide)
wide_store = _storer(vector_ir.store, wide)


@intrinsic
def fence(typing_context: Any) -> Any:
    """Make streaming stores visible to other threads: they are not ordered by a normal release."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def splat(typing_context: Any, scalar: Any) -> Any:
    """The same uint32 in all lanes (other integer types are truncated to it)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = context.cast(builder, arguments[0], signature.args[0], types.uint32)
        return vector_ir.splat(builder, word)

    return vector(scalar), generate


def _zero(vector_type: Any, numba_type: Any) -> Any:
    @intrinsic
    def zero(typing_context: Any) -> Any:
        """Zero in all lanes."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return vector_ir.constant(vector_type, 0)

        return numba_type(), generate

    return zero


zero = _zero(VECTOR, vector)
wide_zero = _zero(WIDE, wide)


@intrinsic
def lane(typing_context: Any, value: Any, index: Any) -> Any:
    """Lane ``index`` of a vector, as uint32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        position = context.cast(builder, arguments[1], signature.args[1], types.intp)
        return builder.extract_element(arguments[0], position)

    return types.uint32(vector, index), generate


@intrinsic
def transpose(typing_context: Any, rows: Any) -> Any:
    """A tuple of 16 vectors, transposed as a 16 x 16 matrix."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = [builder.extract_value(arguments[0], k) for k in range(LANES)]
        return context.make_tuple(builder, tile, vector_ir.transpose(builder, vectors))

    return tile(tile), generate


def _tile_loader(arrange: Callable[..., Any]) -> Any:
    @intrinsic
    def load_tile(typing_context: Any, array: Any, index: Any, stride: Any) -> Any:
        """16 vectors at ``index``, ``index + stride``, ...: a tuple (see the module's table)."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointers = _rows(context, builder, signature, arguments)
            vectors = [vector_ir.load(builder, pointer) for pointer in pointers]
            return context.make_tuple(builder, tile, arrange(builder, vectors))

        return tile(array, index, stride), generate

    return load_tile


def _tile_storer(arrange: Callable[..., Any]) -> Any:
    @intrinsic
    def store_tile(typing_context: Any, array: Any, index: Any, stride: Any, rows: Any) -> Any:
        """16 vectors to ``index``, ``index + stride``, ... (see the module's table)."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointers = _rows(context, builder, signature, arguments)
            vectors = [builder.extract_value(arguments[3], k) for k in range(LANES)]
            for pointer, value in zip(pointers, arrange(builder, vectors), strict=True):
                vector_ir.store(builder, pointer, value)
            return context.get_dummy_value()

        return types.void(array, index, stride, tile), generate

    return store_tile


def _rows(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Pointers to 16 rows of the array at a stride, the arguments being (array, index, stride)."""
    pointer = _element(context, builder, signature, arguments)
    stride = context.cast(builder, arguments[2], signature.args[2], types.intp)
    return [builder.gep(pointer, [builder.mul(stride, I64(k))]) for k in range(LANES)]


def _unchanged(builder: Any, vectors: Any) -> Any:
    return vectors


load_tile = _tile_loader(_unchanged)
store_tile = _tile_storer(_unchanged)
load_tile_transposed = _tile_loader(vector_ir.transpose)
store_tile_transposed = _tile_storer(vector_ir.transpose)


def _scalar(emit: Callable[..., Any], description: str) -> Any:
    """An intrinsic of two integers, taken as uint32, with a uint32 result.

    Emitted rather than written in Python: Numba would widen uint32 operands to 64 bits, and a
    uint64 with an int64 to a float.
    """

    def operation(typing_context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            words = [
                context.cast(builder, value, numba_type, types.uint32)
                for value, numba_type in zip(arguments, signature.args, strict=True)
            ]
            return emit(builder, *words)

        return types.uint32(x, y), generate

    operation.__name__ = emit.__name__.strip("_")
    operation.__doc__ = description
    return intrinsic(operation)


def _correct(builder: Any, is_canonical: Any, value: Any, corrected: Any) -> Any:
    return builder.select(is_canonical, value, corrected)


def _mont_add(builder: Any, x: Any, y: Any) -> Any:
    total = builder.add(x, y)
    below = builder.icmp_unsigned("<", total, I32(P))
    return _correct(builder, below, total, builder.sub(total, I32(P)))


def _mont_sub(builder: Any, x: Any, y: Any) -> Any:
    difference = builder.sub(x, y)
    ordered = builder.icmp_unsigned(">=", x, y)
    return _correct(builder, ordered, difference, builder.add(difference, I32(P)))


def _mont_mul(builder: Any, x: Any, y: Any) -> Any:
    product = builder.mul(builder.zext(x, I64), builder.zext(y, I64))
    quotient = builder.mul(builder.trunc(product, I32), I32(P_INVERSE))
    multiple = builder.mul(builder.zext(quotient, I64), I64(P))
    high, subtrahend = (
        builder.trunc(builder.lshr(word, I64(32)), I32) for word in (product, multiple)
    )
    return _mont_sub(builder, high, subtrahend)


mont_add = _scalar(_mont_add, "x + y mod p of two canonical elements.")
mont_sub = _scalar(_mont_sub, "x - y mod p of two canonical elements.")
mont_mul = _scalar(_mont_mul, "x y / 2^32 mod p: the product of two elements in Montgomery form.")
