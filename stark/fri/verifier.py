"""FRI, the verifier's side: folds recomputed at the queried positions.

FRI works on the codeword y -> f(3 y) over the subgroup <w> of order m; the coset's shift stays out
of the folds. A leaf of a layer holds the k values at y z^t, t = 0 ... k - 1, where z is the k-th
root of unity and y = w^index. Writing f(y) = sum over t of y^t f_t(y^k), the fold with challenge
beta is sum over t of beta^t f_t at y^k (Ben-Sasson, Bentov, Horesh, Riabzev, ICALP 2018), computed
as log2 k binary folds with beta, beta^2, beta^4.
"""

from __future__ import annotations

from collections.abc import Sequence

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P, inverse, root_of_unity

_HALF = inverse(2)


def fold_leaf(leaf: Sequence[Element], index: int, log_size: int, beta: Element) -> Element:
    """The folded value of a leaf.

    Parameters
    ----------
    leaf
        The k values at w^index * z^t, in the order of t; k is a power of two.
    index
        Position of the leaf, below m / k.
    log_size
        log2 of m, the length of the codeword that is folded.
    beta
        The layer's challenge.
    """
    values = list(leaf)
    # 1 / (2 y) for y = w^index, and the inverse of the k-th root of unity.
    root = root_of_unity(log_size)
    half_inverse = _HALF * pow(root, -index, P) % P
    step = inverse(root_of_unity(len(values).bit_length() - 1))
    while len(values) > 1:
        half = len(values) // 2
        folded = []
        factor = half_inverse
        for t in range(half):
            even = ext.scale(ext.add(values[t], values[t + half]), _HALF)
            odd = ext.scale(ext.subtract(values[t], values[t + half]), factor)
            folded.append(ext.add(even, ext.multiply(beta, odd)))
            factor = factor * step % P
        values = folded
        beta = ext.multiply(beta, beta)
        half_inverse = 2 * half_inverse * half_inverse % P  # 1 / (2 y^2)
        step = step * step % P
    return values[0]
