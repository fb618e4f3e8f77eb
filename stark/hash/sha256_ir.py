"""SHA-256 (FIPS 180-4) as Numba intrinsics over 16 messages at once, one per vector lane."""

from __future__ import annotations

from math import isqrt
from typing import Any

from numba.core import types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic

from stark.field import simd, vector_ir
from stark.field.addresses import tile_loader, vector_loader
from stark.field.vector_ir import LANES, VECTOR

BLOCK_WORDS = 16
DIGEST_WORDS = 8


def _fraction(value: int, root: int) -> int:
    """First 32 bits of the fractional part of the square or cube root (FIPS 180-4, 4.2.2)."""
    if root == 2:
        return isqrt(value << 64) & 0xFFFFFFFF
    low, high = 0, 1 << 36
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= value << 96 else (low, middle)
    return low & 0xFFFFFFFF


_PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, isqrt(n) + 1))]
_ROUND_CONSTANTS = [_fraction(prime, 3) for prime in _PRIMES]
_INITIAL_STATE = [_fraction(prime, 2) for prime in _PRIMES[:8]]


def _rotations(builder: Any, x: Any, counts: tuple[int, int, int], shift: bool) -> Any:
    """XOR of three rotations, the last being a shift in the message schedule."""
    a, b = (vector_ir.rotate_right(builder, x, count) for count in counts[:2])
    c = (
        builder.lshr(x, vector_ir.constant(VECTOR, counts[2]))
        if shift
        else vector_ir.rotate_right(builder, x, counts[2])
    )
    return builder.xor(builder.xor(a, b), c)


def _compression(builder: Any, chaining: list[Any], message: list[Any]) -> list[Any]:
    """The compression function of SHA-256 (FIPS 180-4, 6.2.2), fully unrolled."""
    add = builder.add
    window = list(message)
    a, b, c, d, e, f, g, h = chaining
    for index, constant in enumerate(_ROUND_CONSTANTS):
        slot = index % BLOCK_WORDS
        if index >= BLOCK_WORDS:
            early = _rotations(builder, window[(slot + 1) % 16], (7, 18, 3), True)
            late = _rotations(builder, window[(slot + 14) % 16], (17, 19, 10), True)
            window[slot] = add(add(window[slot], window[(slot + 9) % 16]), add(early, late))
        # choose(e, f, g) = g ^ (e & (f ^ g)); majority(a, b, c) = (a & b) | (c & (a | b))
        choice = builder.xor(g, builder.and_(e, builder.xor(f, g)))
        majority = builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b)))
        known = add(add(h, vector_ir.constant(VECTOR, constant)), window[slot])
        first = add(add(known, choice), _rotations(builder, e, (6, 11, 25), False))
        second = add(majority, _rotations(builder, a, (2, 13, 22), False))
        a, b, c, d, e, f, g, h = add(first, second), a, b, c, add(d, first), e, f, g
    return [add(x, y) for x, y in zip(chaining, (a, b, c, d, e, f, g, h), strict=True)]


digest = UniTuple(simd.vector, DIGEST_WORDS)


@intrinsic
def initial_digest(typing_context: Any) -> Any:
    """The initial chaining value in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = [vector_ir.constant(VECTOR, word) for word in _INITIAL_STATE]
        return context.make_tuple(builder, signature.return_type, words)

    return digest(), generate


@intrinsic
def compress_block(typing_context: Any, chaining: Any, words: Any, index: Any) -> Any:
    """The chaining value after the block whose 16 message words are vectors at ``index``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, words_type, index_type = signature.args
        start = vector_ir.element_pointer(
            context, builder, words_type, arguments[1], index_type, arguments[2]
        )
        message = [
            vector_ir.load(builder, builder.gep(start, [vector_ir.I64(LANES * k)]))
            for k in range(BLOCK_WORDS)
        ]
        state = [builder.extract_value(arguments[0], k) for k in range(DIGEST_WORDS)]
        return context.make_tuple(
            builder, signature.return_type, _compression(builder, state, message)
        )

    return digest(digest, words, index), generate


@intrinsic
def store_digest(typing_context: Any, array: Any, index: Any, stride: Any, value: Any) -> Any:
    """The eight vectors of 16 digests to ``index``, ``index + stride``, ..."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, index_type, stride_type, _ = signature.args
        start = vector_ir.element_pointer(
            context, builder, array_type, arguments[0], index_type, arguments[1]
        )
        stride = context.cast(builder, arguments[2], stride_type, types.intp)
        for k in range(DIGEST_WORDS):
            pointer = builder.gep(start, [builder.mul(stride, vector_ir.I64(k))])
            vector_ir.store(builder, pointer, builder.extract_value(arguments[3], k))
        return context.get_dummy_value()

    return types.void(array, index, stride, digest), generate


def _message_words(builder: Any, elements: Any) -> Any:
    """Field elements in Montgomery form as message words: canonical, bytes reversed.

    Little-endian bytes in memory are a byte-reversed word to SHA-256, which reads big-endian.
    """
    one = vector_ir.constant(VECTOR, 1)
    return vector_ir.byte_swap(builder, vector_ir.field_mul(builder, elements, one))


load_words = vector_loader(_message_words)
load_words_transposed = tile_loader(_message_words)
