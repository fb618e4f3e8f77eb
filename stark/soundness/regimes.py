"""Proven proximity gaps of Reed-Solomon codes: unique decoding and below the Johnson bound.

Constants are those of BCHKS25 (Ben-Sasson, Carmon, Haböck, Kopparty, Saraf, ePrint 2025/2055).
Nothing here goes beyond the Johnson bound: what was conjectured up to capacity is refuted
(ePrint 2025/2010, 2025/2046).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.soundness.bits import square_root
from stark.soundness.parameters import ProtocolParameters, RegimeName

FIELD_ORDER: Final = P**DEGREE
"""Elements of the extension field from which challenges are drawn; log2 is 154.94."""


@dataclass(frozen=True)
class Regime:
    """How far from the code a word may be, and what that costs.

    Parameters
    ----------
    name
        ``"udr"`` or ``"jbr"``.
    rate
        Dimension over length of the code.
    theta
        Relative distance below which the argument holds. A word is *close* if it is strictly
        closer; one that is not passes a query with a chance of at most 1 - theta.
    list_size
        Most columns closer than that to any word. FRI bounds the degrees of (f - v) / (x - z) by
        k - 1, k being the dimension: columns f have degrees up to k.
    list_formula
        From which bound ``list_size`` comes.
    multiplicity
        Johnson multiplicity m; 0 in the unique decoding regime.
    order
        Elements of the challenge field.
    """

    name: RegimeName
    rate: Fraction
    theta: Fraction
    list_size: Fraction
    list_formula: str
    multiplicity: int
    order: int

    def proximity_error(self, length: int) -> Fraction:
        """Chance that a random combination of two words is close though the words are not.

        ``length`` is the size of the evaluation domain. Unique decoding: corollary 1.4 of
        BCHKS25. Johnson: theorem 4.2, with the factor 2 that its statement of m lacks.
        For combinations with powers of one challenge multiply by their number less one.
        """
        if self.name == "udr":
            return (self.theta * length + 1) / self.order
        root = square_root(self.rate)
        shifted = self.multiplicity + Fraction(1, 2)
        curve = (2 * shifted**5 + 3 * shifted * self.theta * self.rate) * length
        return (curve / (3 * self.rate * root) + shifted / root) / self.order


def unique_decoding(rate: Fraction, order: int = FIELD_ORDER) -> Regime:
    """Distance (1 - rate)/2; at most one column is closer, since columns that differ do so at more
    than (1 - rate) n - 1 places, hence at (1 - rate) n or more."""
    return Regime("udr", rate, (1 - rate) / 2, Fraction(1), "1", 0, order)


def johnson(rate: Fraction, multiplicity: int, order: int = FIELD_ORDER) -> Regime:
    """Distance 1 - sqrt(rate) (1 + 1/2m), for an integer m of at least 3.

    Two bounds on the list hold, (m + 1/2)/sqrt(rate) (BCHKS25) and m/rate (Johnson, with the gap
    sqrt(rate)/2m); the smaller is taken. They hold for columns of degree k = rate n, one more than
    the dimension says: Guruswami and Sudan's interpolation with multiplicity m has the weighted
    degree D = n sqrt(rate m (m + 1)) < m (1 - theta) n, and D/k < (m + 1/2)/sqrt(rate) roots; and
    Johnson's bound follows from the distance 1 - rate, which such columns have.
    """
    root = square_root(rate)
    theta = 1 - root - root / (2 * multiplicity)
    curve = (multiplicity + Fraction(1, 2)) / root
    classical = multiplicity / rate
    if curve <= classical:
        return Regime("jbr", rate, theta, curve, "(m + 1/2)/sqrt(rate)", multiplicity, order)
    return Regime("jbr", rate, theta, classical, "m/rate", multiplicity, order)


def regime_of(parameters: ProtocolParameters) -> Regime:
    """The regime that a parameter set names, at its rate."""
    if parameters.regime == "udr":
        return unique_decoding(parameters.rate)
    return johnson(parameters.rate, parameters.multiplicity)
