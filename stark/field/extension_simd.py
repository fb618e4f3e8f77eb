"""The quintic extension F = F_p[x]/(x^5 + x^2 - 1) inside kernels: intrinsics on five registers.

An element is a tuple of five: of 16-lane vectors (16 elements side by side) or of uint32 scalars,
in Montgomery form and canonical. ``ext_add``, ``ext_sub``, ``ext_scale`` and ``ext_mul`` take
either kind; the others are for vectors. Arithmetic is emitted as LLVM code in one piece:
twenty-five products of Numba bytecode would take many times longer to compile.

In arrays, coefficient q of consecutive elements lies at ``index + q * stride``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from stark.field import simd, vector_ir
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.field.vector_ir import I32, I64, P_INVERSE, VECTOR, WIDE
from stark.jit import device

# ---- emitters: an element is a list of five LLVM values, all <16 x i32> or all i32


def _is_vector(x: Any) -> bool:
    return isinstance(x.type, ir.VectorType)


def _products(builder: Any, x: Any, y: Any, y_is_splat: bool) -> list[Any]:
    """64-bit products: even and odd lanes of vectors, or the one product of scalars."""
    if not _is_vector(x):
        return [builder.mul(builder.zext(x, I64), builder.zext(y, I64))]
    odd = vector_ir.product_odd_splat if y_is_splat else vector_ir.product_odd
    return [vector_ir.product_even(builder, x, y), odd(builder, x, y)]


def _minimum(builder: Any, x: Any, y: Any) -> Any:
    if isinstance(x.type, ir.VectorType):
        return vector_ir.minimum(builder, x, y)
    return builder.select(builder.icmp_unsigned("<", x, y), x, y)


def _constant(like: Any, value: int) -> Any:
    scalar = not isinstance(like.type, ir.VectorType)
    return like.type(value) if scalar else vector_ir.constant(like.type, value)


def _conditional_subtract(builder: Any, x: Any, modulus: int) -> Any:
    """x - modulus if x is not below it, else x (where the difference wraps to a larger word)."""
    return _minimum(builder, x, builder.sub(x, _constant(x, modulus)))


def reduce_twice_range(builder: Any, sums: Sequence[Any]) -> Any:
    """Montgomery reduction of words below 2 p * 2^32, t -> t / 2^32 mod p, canonical.

    ``sums`` are [even, odd] of a vector or [word] of a scalar. Subtracting p * 2^32 changes the
    high half of a word alone, so the conditional subtraction that ``vector_ir.reduce_products``
    wants before it is done on the packed high halves: once rather than for even and odd words.
    """
    if len(sums) == 1:
        quotient = builder.mul(builder.trunc(sums[0], I32), I32(P_INVERSE))
        multiple = builder.mul(builder.zext(quotient, I64), I64(P))
        high, subtrahend = (
            builder.trunc(builder.lshr(word, I64(32)), I32) for word in (sums[0], multiple)
        )
    else:
        low = vector_ir.multiply_low_halves
        inverse, modulus = (vector_ir.constant(WIDE, c) for c in (P_INVERSE, P))
        quotients = [vector_ir.opaque(builder, low(builder, word, inverse)) for word in sums]
        high = vector_ir.high_words(builder, sums[0], sums[1])
        subtrahend = vector_ir.high_words(builder, *(low(builder, q, modulus) for q in quotients))
    high = _conditional_subtract(builder, high, P)
    difference = builder.sub(high, subtrahend)
    return _minimum(builder, difference, builder.add(difference, _constant(difference, P)))


def dot_of_five(
    builder: Any, xs: Sequence[Any], ys: Sequence[Any], ys_are_splats: bool = False
) -> Any:
    """sum of x_j y_j over five pairs of canonical elements, with one reduction.

    Four products are below 4 p^2 < 2 p 2^32 (because 2 p < 2^32), which fits 64 bits; the
    conditional subtraction of p 2^32 leaves less than p 2^32; with the fifth product, below
    p^2 < p 2^32, the sum is below 2 p 2^32 < 2^64.
    """
    products = [_products(builder, x, y, ys_are_splats) for x, y in zip(xs, ys, strict=True)]
    sums = []
    for words in zip(*products, strict=True):
        first_four = builder.add(builder.add(words[0], words[1]), builder.add(words[2], words[3]))
        reduced = _conditional_subtract(builder, first_four, P << 32)
        sums.append(builder.add(reduced, words[4]))
    return reduce_twice_range(builder, sums)


def _emit_add(builder: Any, x: Any, y: Any) -> Any:
    return _conditional_subtract(builder, builder.add(x, y), P)


def _emit_sub(builder: Any, x: Any, y: Any) -> Any:
    difference = builder.sub(x, y)
    return _minimum(builder, difference, builder.add(difference, _constant(difference, P)))


def _emit_scale(builder: Any, x: Any, factor: Any) -> Any:
    if _is_vector(x):
        return vector_ir.field_mul(builder, x, factor)
    return reduce_twice_range(builder, _products(builder, x, factor, False))


def _emit_mul(builder: Any, a: Sequence[Any], b: Sequence[Any], b_is_splat: bool) -> list[Any]:
    """a b = sum over j of a_j (x^j b): five dot products with the columns of b's matrix.

    With x^5 = 1 - x^2, multiplication by x maps (c0, c1, c2, c3, c4) to
    (c4, c0, c1 - c4, c2, c3); only four differences are new in x b ... x^4 b.
    """
    b0, b1, b2, b3, b4 = b
    b1_4, b0_3, b4_2 = (_emit_sub(builder, *pair) for pair in ((b1, b4), (b0, b3), (b4, b2)))
    b3_14 = _emit_sub(builder, b3, b1_4)
    factors = (
        (b0, b4, b3, b2, b1_4),
        (b1, b0, b4, b3, b2),
        (b2, b1_4, b0_3, b4_2, b3_14),
        (b3, b2, b1_4, b0_3, b4_2),
        (b4, b3, b2, b1_4, b0_3),
    )
    return [dot_of_five(builder, a, row, b_is_splat) for row in factors]


def emit_prefetch(builder: Any, pointer: Any) -> None:
    """Ask for the cache line at ``pointer``; an address outside the array does no harm.

    A matrix walked in tiles of one cache line per row is no stream to the hardware's prefetcher:
    measured, passes over more than the caches hold take half the time with this hint.
    """
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32]),
        "llvm.prefetch.p0",
    )
    for_reading, keep_in_all_levels, data = I32(0), I32(3), I32(1)
    builder.call(function, [pointer, for_reading, keep_in_all_levels, data])


# ---- intrinsics

_Vectors = types.containers.UniTuple(simd.vector, DEGREE)
_KINDS = {_Vectors: simd.vector, types.containers.UniTuple(types.uint32, DEGREE): types.uint32}


def _unpack(builder: Any, element: Any) -> list[Any]:
    return [builder.extract_value(element, q) for q in range(DEGREE)]


def _operation(emit: Callable[..., list[Any]], name: str, document: str, scalar: bool) -> Any:
    """An intrinsic of two elements, or of an element and a scalar, with an element as result."""

    def operation(typing_context: Any, a: Any, b: Any) -> Any:
        lane_type = _KINDS.get(a)
        if lane_type is None or b != (lane_type if scalar else a):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            left, right = arguments
            second = right if scalar else _unpack(builder, right)
            return context.make_tuple(builder, a, emit(builder, _unpack(builder, left), second))

        return a(a, b), generate

    operation.__name__ = name
    operation.__doc__ = document
    return intrinsic(operation)


def _by_coefficient(emit: Callable[..., Any]) -> Callable[..., list[Any]]:
    return lambda builder, a, b: [emit(builder, x, y) for x, y in zip(a, b, strict=True)]


ext_add = _operation(_by_coefficient(_emit_add), "ext_add", "a + b.", False)
ext_sub = _operation(_by_coefficient(_emit_sub), "ext_sub", "a - b.", False)
ext_mul = _operation(partial(_emit_mul, b_is_splat=False), "ext_mul", "a b.", False)
ext_mul_splat = _operation(
    partial(_emit_mul, b_is_splat=True), "ext_mul_splat", "a b, all lanes of b being equal.", False
)
ext_scale = _operation(
    lambda builder, a, factor: [_emit_scale(builder, x, factor) for x in a],
    "ext_scale",
    "The element times a base-field element per lane.",
    True,
)


def _pointers(context: Any, builder: Any, signature: Any, arguments: Any, steps: int) -> list[Any]:
    """Pointers to array[index + step * stride], the arguments being (array, index, stride)."""
    pointer = vector_ir.element_pointer(
        context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1]
    )
    stride = context.cast(builder, arguments[2], signature.args[2], types.intp)
    return [builder.gep(pointer, [builder.mul(stride, I64(k))]) for k in range(steps)]


@intrinsic
def ext_load(typing_context: Any, array: Any, index: Any, stride: Any) -> Any:
    """16 elements whose coefficient q starts at ``array[index + q * stride]``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, signature, arguments, DEGREE)
        vectors = [vector_ir.load(builder, pointer, VECTOR) for pointer in pointers]
        return context.make_tuple(builder, _Vectors, vectors)

    return _Vectors(array, index, stride), generate


@intrinsic
def ext_store(typing_context: Any, array: Any, index: Any, stride: Any, element: Any) -> Any:
    """Store 16 elements where :func:`ext_load` would read them."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, signature, arguments, DEGREE)
        for pointer, value in zip(pointers, _unpack(builder, arguments[3]), strict=True):
            vector_ir.store(builder, pointer, value)
        return context.get_dummy_value()

    return types.void(array, index, stride, _Vectors), generate


@intrinsic
def ext_splat(typing_context: Any, array: Any, index: Any, stride: Any) -> Any:
    """The element with coefficients ``array[index + q * stride]``, in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, signature, arguments, DEGREE)
        vectors = [vector_ir.splat(builder, builder.load(pointer)) for pointer in pointers]
        return context.make_tuple(builder, _Vectors, vectors)

    return _Vectors(array, index, stride), generate


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]``, which need not exist."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = vector_ir.element_pointer(
            context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1]
        )
        emit_prefetch(builder, element)
        return context.get_dummy_value()

    return types.void(array, index), generate


@intrinsic
def ext_linear_map(typing_context: Any, element: Any, matrix: Any, index: Any) -> Any:
    """sum over j of a_j M_j for five vectors a_j, M_j the element at ``matrix[index + 5 j]``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = vector_ir.element_pointer(
            context, builder, matrix, arguments[1], signature.args[2], arguments[2]
        )
        entries = [
            vector_ir.splat(builder, builder.load(cgutils.gep_inbounds(builder, start, k)))
            for k in range(DEGREE * DEGREE)
        ]
        a = _unpack(builder, arguments[0])
        values = [dot_of_five(builder, a, entries[q::DEGREE], True) for q in range(DEGREE)]
        return context.make_tuple(builder, _Vectors, values)

    return _Vectors(_Vectors, matrix, index), generate


def _emit_hidden(builder: Any, x: Any) -> Any:
    return builder.bitcast(vector_ir.opaque(builder, builder.bitcast(x, WIDE)), x.type)


hidden = simd.unary(_emit_hidden)
"""The same vector. A vector that is multiplied inside a loop but defined outside is hidden there:
else its halves are masked outside the loop, and the back end no longer sees 32-bit products."""


@device
def ext_halve(a):  # type: ignore[no-untyped-def]
    """a / 2, for vectors."""
    return (
        simd.field_halve(a[0]),
        simd.field_halve(a[1]),
        simd.field_halve(a[2]),
        simd.field_halve(a[3]),
        simd.field_halve(a[4]),
    )


@device
def field_inverse(x):  # type: ignore[no-untyped-def]
    """x^(p - 2) in every lane: 1/x, and 0 for 0.

    p - 2 = 2^31 - 2^24 - 1 is, from the top bit, six ones, a zero and twenty-four ones.
    """
    result = x
    for bit in range(29, -1, -1):
        result = simd.field_mul(result, result)
        if bit != 24:
            result = simd.field_mul(result, hidden(x))
    return result


@device
def ext_inverse(a, frobenius):  # type: ignore[no-untyped-def]
    """(1/a, norm of a), through c = a^(p + p^2 + p^3 + p^4) = norm(a) / a; (0, 0) for a = 0.

    ``frobenius`` holds the images of 1, x, ..., x^4 under a -> a^p, then those under a -> a^(p^2).
    (Itoh and Tsujii, Inf. Comput. 78, 1988.)
    """
    pair = ext_mul(a, ext_linear_map(a, frobenius, 0))  # a^(1 + p)
    four = ext_mul(pair, ext_linear_map(pair, frobenius, 25))  # a^(1 + p + p^2 + p^3)
    conjugates = ext_linear_map(four, frobenius, 0)
    norm = ext_mul(a, conjugates)[0]
    return ext_scale(conjugates, field_inverse(norm)), norm


@device
def has_zero_lane(x):  # type: ignore[no-untyped-def]
    found = False
    for k in range(16):
        found = found or simd.lane(x, k) == 0
    return found
