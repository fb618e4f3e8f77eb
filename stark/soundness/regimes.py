"""Proven proximity gaps of Reed-Solomon codes: unique decoding and below the Johnson bound.

Constants are those of BCHKS25 (Ben-Sasson, Carmon, Haböck, Kopparty, Saraf, ePrint 2025/2055).
Nothing here goes beyond the Johnson bound: what was conjectured up to capacity is refuted
(ePrint 2025/2010, 2025/2046).
"""

from __future__ import annotations

from collections.abc import Sequence
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
        Relative distance up to which the argument holds, for quotients and for columns.
    list_size
        Most columns within that distance of any word.
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


def unique_decoding(
    rate: Fraction, order: int = FIELD_ORDER, columns: Fraction | None = None
) -> Regime:
    """Distance (1 - columns)/2, ``columns`` being ``rate`` by default; at most one codeword."""
    theta = (1 - (rate if columns is None else columns)) / 2
    return Regime("udr", rate, theta, Fraction(1), "1", 0, order)


def johnson(
    rate: Fraction, multiplicity: int, order: int = FIELD_ORDER, columns: Fraction | None = None
) -> Regime:
    """Distance 1 - sqrt(columns) (1 + 1/2m), for an integer m of at least 3.

    Two bounds on the list hold, (m + 1/2)/sqrt(columns) (BCHKS25) and m/columns (Johnson, with the
    gap sqrt(columns)/2m); the smaller is taken. ``columns`` is ``rate`` by default.
    """
    listed = rate if columns is None else columns
    root = square_root(listed)
    theta = 1 - root - root / (2 * multiplicity)
    curve = (multiplicity + Fraction(1, 2)) / root
    classical = multiplicity / listed
    if curve <= classical:
        return Regime("jbr", rate, theta, curve, "(m + 1/2)/sqrt(rate)", multiplicity, order)
    return Regime("jbr", rate, theta, classical, "m/rate", multiplicity, order)


def regime_of(parameters: ProtocolParameters, log_heights: Sequence[int]) -> Regime:
    """The regime that a parameter set names, for tables of these log2 heights.

    FRI bounds the degrees of quotients (f - v) / (x - z), so that a column f may have one
    coefficient more than the dimension k: distance and list size are those of the code of
    dimension k + 1 (Haböck, ePrint 2022/1216), at the smallest height, where that counts most.

    Raises
    ------
    Rejected
        ``Params``, if the heights do not fit the parameters.
    """
    parameters.schedule(tuple(sorted(set(log_heights), reverse=True)))
    smallest = min(log_heights)
    length = 1 << (smallest + parameters.log_blowup)
    columns = Fraction(parameters.dimension(smallest) + 1, length)
    if parameters.regime == "udr":
        return unique_decoding(parameters.rate, columns=columns)
    return johnson(parameters.rate, parameters.multiplicity, columns=columns)
