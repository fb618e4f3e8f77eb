"""The quintic extension F = F_p[x]/(x^5 + x^2 - 1), scalars as tuples of five canonical integers.

KoalaBear has no irreducible binomial of degree five (5 does not divide p - 1), so the modulus is
the trinomial x^5 + x^2 - 1; reductions use x^5 = 1 - x^2. |F| = p^5 is about 2^154.9, which leaves
more than 128 bits after the losses of list decoding. Coefficient i belongs to x^i.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from stark.field.koalabear import P, inverse

Element = tuple[int, int, int, int, int]

DEGREE = 5
ZERO: Element = (0, 0, 0, 0, 0)
ONE: Element = (1, 0, 0, 0, 0)
BASIS: tuple[Element, ...] = (
    (1, 0, 0, 0, 0),
    (0, 1, 0, 0, 0),
    (0, 0, 1, 0, 0),
    (0, 0, 0, 1, 0),
    (0, 0, 0, 0, 1),
)
"""1, x, ..., x^4: an extension column is the combination of its five base columns."""


def from_base(value: int) -> Element:
    """The base-field element ``value`` (any integer) as an element of F."""
    return (value % P, 0, 0, 0, 0)


def from_coefficients(values: Sequence[int]) -> Element:
    """Up to five canonical coefficients, that of x^0 first; missing ones are zero."""
    a, b, c, d, e = (*values, 0, 0, 0, 0, 0)[:DEGREE]
    return (a, b, c, d, e)


def add(a: Element, b: Element) -> Element:
    return (
        (a[0] + b[0]) % P,
        (a[1] + b[1]) % P,
        (a[2] + b[2]) % P,
        (a[3] + b[3]) % P,
        (a[4] + b[4]) % P,
    )


def subtract(a: Element, b: Element) -> Element:
    return (
        (a[0] - b[0]) % P,
        (a[1] - b[1]) % P,
        (a[2] - b[2]) % P,
        (a[3] - b[3]) % P,
        (a[4] - b[4]) % P,
    )


def negate(a: Element) -> Element:
    return subtract(ZERO, a)


def multiply(a: Element, b: Element) -> Element:
    """a * b. The product c_0 ... c_8 is reduced by

    x^5 = 1 - x^2, x^6 = x - x^3, x^7 = x^2 - x^4, x^8 = x^2 + x^3 - 1.
    """
    a0, a1, a2, a3, a4 = a
    b0, b1, b2, b3, b4 = b
    c5 = a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1
    c6 = a2 * b4 + a3 * b3 + a4 * b2
    c7 = a3 * b4 + a4 * b3
    c8 = a4 * b4
    return (
        (a0 * b0 + c5 - c8) % P,
        (a0 * b1 + a1 * b0 + c6) % P,
        (a0 * b2 + a1 * b1 + a2 * b0 - c5 + c7 + c8) % P,
        (a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 - c6 + c8) % P,
        (a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0 - c7) % P,
    )


def scale(a: Element, factor: int) -> Element:
    """The product of ``a`` with a base-field element (any integer)."""
    return (
        a[0] * factor % P,
        a[1] * factor % P,
        a[2] * factor % P,
        a[3] * factor % P,
        a[4] * factor % P,
    )


def power(a: Element, exponent: int) -> Element:
    """a^exponent for exponent >= 0; 0^0 is 1."""
    result = ONE
    while exponent:
        if exponent & 1:
            result = multiply(result, a)
        a = multiply(a, a)
        exponent >>= 1
    return result


def powers(a: Element, count: int) -> list[Element]:
    """[1, a, a^2, ...], ``count`` of them."""
    result = []
    current = ONE
    for _ in range(count):
        result.append(current)
        current = multiply(current, a)
    return result


@cache
def _frobenius_matrix() -> tuple[Element, ...]:
    """Images of x^0 ... x^4 under a -> a^p, which is linear over F_p."""
    return tuple(power((0, 1, 0, 0, 0), P * i) for i in range(DEGREE))


def frobenius(a: Element) -> Element:
    """a^p."""
    images = _frobenius_matrix()
    return (
        sum(a[i] * images[i][0] for i in range(DEGREE)) % P,
        sum(a[i] * images[i][1] for i in range(DEGREE)) % P,
        sum(a[i] * images[i][2] for i in range(DEGREE)) % P,
        sum(a[i] * images[i][3] for i in range(DEGREE)) % P,
        sum(a[i] * images[i][4] for i in range(DEGREE)) % P,
    )


def invert(a: Element) -> Element:
    """1/a. Raises ``ZeroDivisionError`` for zero.

    The product of the four proper conjugates times a is the norm, which lies in F_p.
    """
    if a == ZERO:
        raise ZeroDivisionError("zero has no inverse")
    pair = frobenius(a)
    pair = multiply(pair, frobenius(pair))  # a^(p + p^2)
    conjugates = multiply(pair, frobenius(frobenius(pair)))  # a^(p + p^2 + p^3 + p^4)
    norm = multiply(a, conjugates)[0]
    return scale(conjugates, inverse(norm))


def batch_invert(values: Sequence[Element]) -> list[Element]:
    """Inverses of all values with one inversion; raises ``ZeroDivisionError`` if any is zero."""
    prefix = [ONE]
    for value in values:
        prefix.append(multiply(prefix[-1], value))
    running = invert(prefix[-1])
    inverses = [ZERO] * len(values)
    for index in range(len(values) - 1, -1, -1):
        inverses[index] = multiply(prefix[index], running)
        running = multiply(running, values[index])
    return inverses


def evaluate(coefficients: Sequence[Element], point: Element) -> Element:
    """The polynomial with ``coefficients`` (constant term first) at ``point``, by Horner's rule."""
    value = ZERO
    for coefficient in reversed(coefficients):
        value = add(multiply(value, point), coefficient)
    return value


def total(values: Iterable[Element]) -> Element:
    """The sum of ``values``."""
    columns = [0] * DEGREE
    for value in values:
        for index in range(DEGREE):
            columns[index] += value[index]
    return (
        columns[0] % P,
        columns[1] % P,
        columns[2] % P,
        columns[3] % P,
        columns[4] % P,
    )


# Packing: an element as one big integer, coefficients SLOT bits apart, so that a dot product of
# packed elements with base-field scalars is a sum of plain integer products. A slot must hold a sum
# of n products below p^2 < 2^62: 96 bits leave room for n = 2^34 terms.
SLOT = 96
_SLOT_MASK = (1 << SLOT) - 1


def pack(a: Element) -> int:
    """The element as one integer whose products with base elements may be added freely."""
    return a[0] | a[1] << SLOT | a[2] << 2 * SLOT | a[3] << 3 * SLOT | a[4] << 4 * SLOT


def unpack(packed: int) -> Element:
    """The element of a non-negative sum of packed elements times canonical base elements."""
    return (
        (packed & _SLOT_MASK) % P,
        (packed >> SLOT & _SLOT_MASK) % P,
        (packed >> 2 * SLOT & _SLOT_MASK) % P,
        (packed >> 3 * SLOT & _SLOT_MASK) % P,
        (packed >> 4 * SLOT) % P,
    )
