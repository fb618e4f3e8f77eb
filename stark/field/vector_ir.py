"""Emitters of portable LLVM vector code: 16 lanes of 32 bits, KoalaBear in Montgomery form.

Every function takes an ``llvmlite`` builder and vector values and returns a vector value. They are
the one definition of lane arithmetic: ``stark.field.simd`` wraps each as a Numba intrinsic, and
kernels whose body is long (a permutation round, a fused NTT step) emit it from here in a single
intrinsic, which compiles many times faster than the same operations as Numba bytecode.

No target intrinsic is used. ``<16 x i32>`` is legalised by LLVM to one AVX-512 register, two AVX2
registers or four SSE/NEON registers, and ``mul`` of zero-extended halves becomes ``pmuludq`` or
``umull``.

Montgomery form: a is held as a * 2^32 mod p, always in [0, p). (P. Montgomery, Modular
multiplication without trial division, Math. Comp. 44, 1985; the subtractive variant with
p^-1 instead of -p^-1.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from stark.field.koalabear import P

LANES = 16
P_INVERSE = pow(P, -1, 1 << 32)
"""p^-1 modulo 2^32."""

I32 = ir.IntType(32)
I64 = ir.IntType(64)
VECTOR = ir.VectorType(I32, LANES)
WIDE = ir.VectorType(I64, LANES // 2)

_LOW_HALF = 0xFFFFFFFF
# The high words of even products go to even lanes, those of odd products to odd lanes.
_HIGH_WORDS = [lane for k in range(LANES // 2) for lane in (2 * k + 1, LANES + 2 * k + 1)]

Builder = Any
Value = Any


def constant(vector_type: Any, value: int) -> Value:
    """The vector of ``vector_type`` with ``value`` in every lane."""
    return ir.Constant(vector_type, [value] * vector_type.count)


def shuffle(builder: Builder, x: Value, y: Value, lanes: Sequence[int]) -> Value:
    """Lane k of the result is lane ``lanes[k]`` of the concatenation of x and y."""
    mask = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
    return builder.shuffle_vector(x, y, mask)


def splat(builder: Builder, scalar: Value) -> Value:
    """A 32-bit scalar in all lanes."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return shuffle(builder, single, undefined, [0] * LANES)


def llvm_call(builder: Builder, name: str, *arguments: Value) -> Value:
    """Call the generic LLVM intrinsic ``llvm.<name>`` overloaded on the type of the arguments."""
    vector_type = arguments[0].type
    suffix = f"v{vector_type.count}i{vector_type.element.width}"
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vector_type, [vector_type] * len(arguments)),
        f"llvm.{name}.{suffix}",
    )
    return builder.call(function, list(arguments))


def minimum(builder: Builder, x: Value, y: Value) -> Value:
    """Unsigned minimum, lane by lane (32-bit or 64-bit lanes)."""
    return llvm_call(builder, "umin", x, y)


def rotate_right(builder: Builder, x: Value, count: int) -> Value:
    """Rotate each lane right by ``count`` bits."""
    return llvm_call(builder, "fshr", x, x, constant(x.type, count))


def byte_swap(builder: Builder, x: Value) -> Value:
    """Reverse the four bytes of each lane."""
    return llvm_call(builder, "bswap", x)


def even_lanes(builder: Builder, x: Value) -> Value:
    """The eight 64-bit words of x; only their low halves, the even lanes, are meant."""
    return builder.bitcast(x, WIDE)


def odd_lanes(builder: Builder, x: Value) -> Value:
    """The odd lanes of x, zero-extended to 64 bits."""
    return builder.lshr(builder.bitcast(x, WIDE), constant(WIDE, 32))


def multiply_low_halves(builder: Builder, x: Value, y: Value) -> Value:
    """64-bit products of the low 32-bit halves of eight 64-bit words (one pmuludq)."""
    low_half = constant(WIDE, _LOW_HALF)
    return builder.mul(builder.and_(x, low_half), builder.and_(y, low_half))


def opaque(builder: Builder, x: Value) -> Value:
    """x, hidden from the optimiser; no instruction.

    Only the low halves of some products are used. LLVM then drops the masks of their operands as
    superfluous and no longer sees a 32-bit product: it emits the 64-bit ``vpmullq`` of AVX-512 (3
    micro-operations on Intel instead of 1), and scalar multiplications on ARM. The only portable
    barrier is the one for floating-point reordering; it moves bits and computes nothing.
    """
    doubles = ir.VectorType(ir.DoubleType(), x.type.count)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(doubles, [doubles]),
        f"llvm.arithmetic.fence.v{doubles.count}f64",
    )
    return builder.bitcast(builder.call(function, [builder.bitcast(x, doubles)]), x.type)


def product_even(builder: Builder, x: Value, y: Value) -> Value:
    """64-bit products of the even lanes."""
    return multiply_low_halves(builder, even_lanes(builder, x), even_lanes(builder, y))


def product_odd(builder: Builder, x: Value, y: Value) -> Value:
    """64-bit products of the odd lanes."""
    return multiply_low_halves(builder, odd_lanes(builder, x), odd_lanes(builder, y))


def product_odd_splat(builder: Builder, x: Value, y: Value) -> Value:
    """Like :func:`product_odd` for a y whose lanes are all equal: saves one shift."""
    return multiply_low_halves(builder, odd_lanes(builder, x), even_lanes(builder, y))


def conditional_subtract(builder: Builder, x: Value) -> Value:
    """Subtract p * 2^32 from each 64-bit word that is not below it.

    Brings a sum below 2 p 2^32 to below p 2^32. Four products of elements below p fit:
    4 p^2 < 2 p 2^32 because 2 p < 2^32; so does a word below p 2^32 plus two products,
    because 2 p^2 < p 2^32. Neither overflows: 2 p 2^32 < 2^64.
    """
    return minimum(builder, x, builder.sub(x, constant(WIDE, P << 32)))


def reduce_products(builder: Builder, even: Value, odd: Value) -> Value:
    """Montgomery reduction of 16 words below p * 2^32: t -> t / 2^32 mod p, canonical.

    With m = t p^-1 mod 2^32 the product u = m p has the low half of t, so (t - u) / 2^32 is the
    difference of the high halves; both are below p, so it lies in (-p, p), and where it is
    negative the wrapped difference plus p is the smaller of the two.
    """
    inverse, modulus = constant(WIDE, P_INVERSE), constant(WIDE, P)
    quotients = [opaque(builder, multiply_low_halves(builder, t, inverse)) for t in (even, odd)]
    multiples = [multiply_low_halves(builder, m, modulus) for m in quotients]
    difference = builder.sub(
        high_words(builder, even, odd), high_words(builder, multiples[0], multiples[1])
    )
    return minimum(builder, difference, builder.add(difference, constant(VECTOR, P)))


def high_words(builder: Builder, even: Value, odd: Value) -> Value:
    """The high halves of 8 even and 8 odd 64-bit words, interleaved to 16 lanes."""
    return shuffle(
        builder, builder.bitcast(even, VECTOR), builder.bitcast(odd, VECTOR), _HIGH_WORDS
    )


def field_mul(builder: Builder, x: Value, y: Value) -> Value:
    """x y / 2^32 mod p, in [0, p). Right whenever x y < p * 2^32 (one operand may be any u32)."""
    return reduce_products(builder, product_even(builder, x, y), product_odd(builder, x, y))


def field_mul_splat(builder: Builder, x: Value, y: Value) -> Value:
    """Like :func:`field_mul` for a y whose lanes are all equal."""
    return reduce_products(builder, product_even(builder, x, y), product_odd_splat(builder, x, y))


def field_add(builder: Builder, x: Value, y: Value) -> Value:
    """x + y mod p. The sum is below 2 p < 2^32; below p, subtracting p wraps to a larger value."""
    total = builder.add(x, y)
    return minimum(builder, total, builder.sub(total, constant(VECTOR, P)))


def field_sub(builder: Builder, x: Value, y: Value) -> Value:
    """x - y mod p. A negative difference wraps to 2^32 - (y - x) > p - (y - x)."""
    difference = builder.sub(x, y)
    return minimum(builder, difference, builder.add(difference, constant(VECTOR, P)))


def field_sub_lazy(builder: Builder, x: Value, y: Value) -> Value:
    """x - y + p in (0, 2 p): not canonical, but legal as one operand of :func:`field_mul`.

    (2 p) p < p 2^32 because 2 p < 2^32.
    """
    return builder.add(builder.sub(x, y), constant(VECTOR, P))


def field_halve(builder: Builder, x: Value) -> Value:
    """x / 2 mod p: shift right, plus (p + 1)/2 for an odd x."""
    odd = builder.sub(constant(VECTOR, 0), builder.and_(x, constant(VECTOR, 1)))
    correction = builder.and_(odd, constant(VECTOR, (P + 1) // 2))
    return builder.add(builder.lshr(x, constant(VECTOR, 1)), correction)


def transpose(builder: Builder, rows: Sequence[Value]) -> list[Value]:
    """Transpose 16 vectors as a 16 x 16 matrix: four rounds that swap off-diagonal blocks."""
    current = list(rows)
    for block in (8, 4, 2, 1):
        upper = [k if not k & block else LANES + k - block for k in range(LANES)]
        lower = [k + block if not k & block else LANES + k for k in range(LANES)]
        following = list(current)
        for row in range(LANES):
            if not row & block:
                pair = current[row], current[row + block]
                following[row] = shuffle(builder, *pair, upper)
                following[row + block] = shuffle(builder, *pair, lower)
        current = following
    return current


def load(builder: Builder, pointer: Value, vector_type: Any = VECTOR) -> Value:
    """Load a vector from a pointer that need only be aligned to its element type."""
    address = builder.bitcast(pointer, vector_type.as_pointer())
    return builder.load(address, align=vector_type.element.width // 8)


def store(builder: Builder, pointer: Value, value: Value) -> None:
    """Store a vector at a pointer that need only be aligned to its element type."""
    address = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, address, align=value.type.element.width // 8)


def store_streaming(builder: Builder, pointer: Value, value: Value) -> None:
    """Store past the caches; the pointer must be 64-byte aligned (the processor traps if not)."""
    address = builder.bitcast(pointer, value.type.as_pointer())
    instruction = builder.store(value, address, align=64)
    hint = builder.module.add_metadata([ir.Constant(I32, 1)])
    instruction.set_metadata("nontemporal", hint)


def element_pointer(
    context: Any, builder: Builder, array_type: Any, array: Value, index_type: Any, index: Value
) -> Value:
    """Pointer to element ``index`` of a C-contiguous Numba array, counted over all dimensions."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [context.cast(builder, index, index_type, types.intp)])
