"""FRI, the prover's side: folding of whole codewords, and the final polynomial.

A codeword is a uint32 array (5, B, N), Montgomery form: entry (c, i) is the value at
y = w^(c + B i), w the root of unity of order B N. FRI works on y -> f(3 y), so that no shift
appears here. Writing f(y) = sum over t < k of y^t f_t(y^k), the fold with challenge beta is the
codeword of sum over t of beta^t f_t (Ben-Sasson, Bentov, Horesh, Riabzev, ICALP 2018).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import extension as ext
from stark.field import simd
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import Vector, geometric, montgomery_words, trimmed
from stark.field.extension_simd import (
    ext_add,
    ext_halve,
    ext_load,
    ext_mul_splat,
    ext_scale,
    ext_splat,
    ext_store,
    ext_sub,
)
from stark.field.koalabear import P, inverse, root_of_unity
from stark.field.memory import LANES, aligned_empty
from stark.field.montgomery import from_montgomery
from stark.jit import kernel

MAX_LOG_ARITY = 3

_GRAIN = 1 << 12
"""A thread's share is at least this many elements of the result (some 20 microseconds)."""


@kernel("void(u4[::1], i8, u4[::1], u4[::1], u4[::1], i8, u4[::1], u4[::1], i8, i8)")
def _fold_range(
    codeword: Vector,
    size: int,
    half_inverses: Vector,
    roots: Vector,
    challenges: Vector,
    log_arity: int,
    buffer: Vector,
    out: Vector,
    lo: int,
    hi: int,
) -> None:
    """Entries [lo, hi) of the folded codeword, its cosets one after the other.

    The k values of 16 leaves, rows ``rows`` apart, are folded in the buffer by log2 k binary folds:
    (f(y) + f(-y)) / 2 + beta (f(y) - f(-y)) / (2 y), then with beta^2 and y^2, and so on. For row
    i + t * rows the first y is w^(c + B i) times the k-th root of unity to the t, hence a table of
    1/(2 y) for t = 0 and ``roots`` for the others.
    """
    arity = 1 << log_arity
    rows = size // arity // (out.size // 5 * arity // size) if False else 0
    for j in range(lo, hi, 16):
        pass
