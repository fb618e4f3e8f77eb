"""The field F_p and its extension F = F_p[x]/(x^5 + x^2 - 1) (format.md, section 1).

Elements of F are tuples of five integers below p, the coefficient of 1 first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .reading import P

Ext = tuple[int, int, int, int, int]

ZERO: Ext = (0, 0, 0, 0, 0)
ONE: Ext = (1, 0, 0, 0, 0)
X: Ext = (0, 1, 0, 0, 0)


def root(log_size: int) -> int:
    """The root of unity w_n for n = 2^log_size."""
    return pow(3, (P - 1) >> log_size, P)


def inverse(a: int) -> int:
    """1/a in F_p."""
    return pow(a, -1, P)


def lift(a: int) -> Ext:
    """An element of F_p as one of F."""
    return (a % P, 0, 0, 0, 0)


def exts(values: Sequence[int]) -> list[Ext]:
    """Elements of F from their coefficients, five by five."""
    return [as_ext(values[i : i + 5]) for i in range(0, len(values), 5)]


def as_ext(values: Sequence[int]) -> Ext:
    """One element of F from five coefficients."""
    a, b, c, d, e = values
    return (a, b, c, d, e)


def add(a: Ext, b: Ext) -> Ext:
    """a + b in F."""
    return as_ext([(x + y) % P for x, y in zip(a, b, strict=True)])


def sub(a: Ext, b: Ext) -> Ext:
    """a - b in F."""
    return as_ext([(x - y) % P for x, y in zip(a, b, strict=True)])


def scale(a: Ext, k: int) -> Ext:
    """a times an element of F_p."""
    return as_ext([x * k % P for x in a])


def mul(a: Ext, b: Ext) -> Ext:
    """a times b in F."""
    d = [0] * 9
    for i, x in enumerate(a):
        if x:
            for j, y in enumerate(b):
                d[i + j] += x * y
    # x^5 = 1 - x^2, x^6 = x - x^3, x^7 = x^2 - x^4, x^8 = x^2 + x^3 - 1
    return (
        (d[0] + d[5] - d[8]) % P,
        (d[1] + d[6]) % P,
        (d[2] - d[5] + d[7] + d[8]) % P,
        (d[3] - d[6] + d[8]) % P,
        (d[4] - d[7]) % P,
    )


def power(a: Ext, n: int) -> Ext:
    """a^n in F, n >= 0."""
    result = ONE
    while n:
        if n & 1:
            result = mul(result, a)
        a = mul(a, a)
        n >>= 1
    return result


def invert(a: Ext) -> Ext:
    """1/a in F, a not 0: the b that solves a b = 1, a linear system in its coefficients."""
    columns = [a]
    for _ in range(4):
        columns.append(mul(columns[-1], X))
    rows = [[columns[j][i] for j in range(5)] + [int(i == 0)] for i in range(5)]
    for i in range(5):
        pivot = next(k for k in range(i, 5) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        factor = inverse(rows[i][i])
        rows[i] = [v * factor % P for v in rows[i]]
        for k in range(5):
            if k != i and rows[k][i]:
                f = rows[k][i]
                rows[k] = [(v - f * u) % P for v, u in zip(rows[k], rows[i], strict=True)]
    return as_ext([r[5] for r in rows])


def total(values: Iterable[Ext]) -> Ext:
    """The sum of elements of F."""
    result = ZERO
    for v in values:
        result = add(result, v)
    return result


def horner(coefficients: Sequence[Ext], y: Ext) -> Ext:
    """The polynomial with these coefficients, the constant term first, at y."""
    result = ZERO
    for c in reversed(coefficients):
        result = add(mul(result, y), c)
    return result
