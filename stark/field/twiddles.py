"""Twiddle factors of number-theoretic transforms, with the coset's shift folded in.

A transform of N = 2^n rows has n layers. Layer l pairs rows at distance N >> (l + 1) inside blocks
of N >> l rows; for values on the coset s * <w> its factor at position j of the half block is

    s^(2^l) * w^(2^l * j),    0 <= j < N >> (l + 1)

because P(x) = E(x^2) + x * O(x^2): the outermost layer has x = s * w^j, and each layer further in
squares both. The shift therefore costs no multiplication. The inverse transform uses 1/s and 1/w.

The layers are done in passes of at most ``LOG_PASS_ROWS``. In a pass over 2^b layers, the rows of
one small transform lie ``inner`` rows apart; with j = j1 * inner + i2 the factor splits into

    w^(2^l * inner * j1)   (table ``base``)   times   s^(2^l) * w^(2^l * i2)   (table ``offset``)

so that two tables of about sqrt(N) entries replace one of N.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stark.field.koalabear import P, inverse, root_of_unity
from stark.field.memory import LANES, aligned_zeros
from stark.field.montgomery import to_montgomery

LOG_SINGLE_PASS = 10
"""Up to 2^10 rows, one pass: 16 columns of them are 64 KiB, within any second-level cache."""


@dataclass(frozen=True)
class Pass:
    """Consecutive layers of a transform, done while a strip of rows stays in the cache.

    Attributes
    ----------
    log_rows
        Layers in the pass; it transforms 2^log_rows rows at a time.
    inner
        Distance in the matrix between these rows.
    base
        uint32, 2^log_rows + 16 elements in Montgomery form: layer l (from 0, within the pass) at
        2^log_rows - (2^log_rows >> l). The last 16 are padding for whole-vector access.
    offset
        uint32, ``(log_rows, inner)`` flattened: the factor of each layer at position i2; empty if
        ``inner`` is 1, the shift then being part of ``base``.
    """

    log_rows: int
    inner: int
    base: NDArray[np.uint32]
    offset: NDArray[np.uint32]


def powers(ratio: int, count: int, first: int = 1) -> NDArray[np.uint64]:
    """first * ratio^k mod p for k < count: canonical integers, by doubling."""
    result = np.empty(count, np.uint64)
    result[:1] = first % P
    done = 1
    while done < count:
        step = min(done, count - done)
        # Both factors are below 2^31: the product fits 62 bits.
        result[done : done + step] = result[:step] * np.uint64(pow(ratio, done, P)) % np.uint64(P)
        done += step
    return result


def split_layers(log_n: int) -> list[int]:
    """Layers of each pass, outermost first."""
    if log_n <= LOG_SINGLE_PASS:
        return [log_n]
    return [log_n // 2, log_n - log_n // 2]


@lru_cache(maxsize=64)
def forward_passes(log_n: int, shift: int) -> tuple[Pass, ...]:
    """Passes from coefficients to values on ``shift`` * <w>, outermost first (they run last)."""
    return _passes(log_n, root_of_unity(log_n), shift)


@lru_cache(maxsize=64)
def inverse_passes(log_n: int, shift: int) -> tuple[Pass, ...]:
    """Passes from values on ``shift`` * <w> to coefficients, outermost first (they run first)."""
    return _passes(log_n, inverse(root_of_unity(log_n)), inverse(shift))


def _passes(log_n: int, root: int, shift: int) -> tuple[Pass, ...]:
    passes: list[Pass] = []
    done = 0
    for log_rows in split_layers(log_n):
        inner = 1 << (log_n - done - log_rows)
        passes.append(_tables(log_rows, inner, pow(root, 1 << done, P), pow(shift, 1 << done, P)))
        done += log_rows
    return tuple(passes)


def _tables(log_rows: int, inner: int, root: int, shift: int) -> Pass:
    """Tables of a pass whose outermost layer has the factors shift * root^j."""
    rows = 1 << log_rows
    base = aligned_zeros(rows + LANES)
    offset = aligned_zeros(log_rows * inner if inner > 1 else 0)
    for layer in range(log_rows):
        layer_root, layer_shift = pow(root, 1 << layer, P), pow(shift, 1 << layer, P)
        start, half = rows - (rows >> layer), rows >> (layer + 1)
        first = layer_shift if inner == 1 else 1
        base[start : start + half] = to_montgomery(powers(pow(layer_root, inner, P), half, first))
        if inner > 1:
            factors = to_montgomery(powers(layer_root, inner, layer_shift))
            offset[layer * inner : (layer + 1) * inner] = factors
    return Pass(log_rows, inner, base, offset)
