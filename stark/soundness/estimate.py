"""Bits of proven soundness of a system under given parameters, round by round.

Every verifier challenge is one round; the error of a round bounds the chance that a state from
which no proof should succeed becomes one from which it might (round-by-round soundness, ePrint
2019/1261). A cheating prover who makes T hash evaluations succeeds with a chance of about T times
the largest error (ePrint 2025/1993), so a profile's target is the minimum over rounds. The bits
of the sum of all errors and the collision bits of the digests are reported beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from functools import cached_property
from typing import Final

from stark.errors import Code, Rejected
from stark.field.extension import DEGREE
from stark.soundness.bits import combine, log2, round_down, security_bits
from stark.soundness.figures import SystemFigures
from stark.soundness.parameters import COLLISION_BITS, ProtocolParameters
from stark.soundness.regimes import Regime, regime_of

REFERENCE_MULTIPLICITY: Final = 50
"""The m that the public calculator soundcalc takes, unasked, for a field above 2^150."""


@dataclass(frozen=True)
class Round:
    """One challenge of the verifier.

    Parameters
    ----------
    name
        ``lookup``, ``ALI``, ``DEEP``, ``batching``, ``fold 1`` and so on, ``query``.
    bits
        -log2 of the error, grinding included, rounded down to a ten-thousandth.
    grinding
        Bits of proof of work in it.
    """

    name: str
    bits: Decimal
    grinding: int


@dataclass(frozen=True)
class Report:
    """What :func:`estimate` found.

    Rounds and floors are two statements. The rounds are proven, and a profile's target is one for
    them alone (:attr:`minimum`). The floors are assumed: an attack on the digests goes past all
    rounds, so that a suite of 124 bits has them as its floor, however many bits the rounds have.

    Parameters
    ----------
    figures, parameters
        What was estimated.
    regime
        Distance, list size and multiplicity of the argument.
    rounds
        In the order of the transcript.
    """

    figures: SystemFigures
    parameters: ProtocolParameters
    regime: Regime
    rounds: tuple[Round, ...]

    @cached_property
    def weakest(self) -> Round:
        """The round with the fewest bits, the first of several."""
        return min(self.rounds, key=lambda entry: entry.bits)

    @property
    def minimum(self) -> Decimal:
        """Bits of the weakest round: what a profile's target is compared with.

        The digests are not among the rounds; :attr:`with_floors` counts them.
        """
        return self.weakest.bits

    @cached_property
    def union(self) -> Decimal:
        """Bits of the sum of the errors of all rounds."""
        return combine(entry.bits for entry in self.rounds)

    @property
    def floors(self) -> tuple[tuple[str, int], ...]:
        """Assumptions beside the rounds, with their bits: collisions of the digests.

        They may lie below the minimum, and below a target that all rounds reach.
        """
        suite = self.parameters.hash_suite
        return ((f"{suite} collisions", COLLISION_BITS[suite]),)

    @property
    def with_floors(self) -> Decimal:
        """Bits of the weakest of all rounds and floors."""
        return min(self.minimum, *(Decimal(bits) for _, bits in self.floors))

    @cached_property
    def reference(self) -> Decimal | None:
        """The minimum had m not been searched but fixed at 50; ``None`` with unique decoding."""
        if self.parameters.regime == "udr":
            return None
        fixed = replace(self.parameters, multiplicity=REFERENCE_MULTIPLICITY)
        return min(entry.bits for entry in protocol_rounds(self.figures, fixed, regime_of(fixed)))

    def lines(self) -> list[str]:
        """A table for people, one string a line, without line ends."""
        regime = self.regime
        title = {"udr": "unique decoding (UDR)", "jbr": "Johnson bound (JBR)"}[regime.name]
        if regime.multiplicity:
            title += f", m = {regime.multiplicity}"
        lines = [
            f"regime      {title}",
            f"rate        {float(regime.rate):.6g}",
            f"distance    {float(regime.theta):.6f}",
            f"list size   {float(regime.list_size):.6g} = {regime.list_formula}",
            f"queries     {self.parameters.queries}",
            "",
            f"{'round':<22}{'bits':>9}  of which grinding",
        ]
        lines += [
            f"{row.name:<22}{_shown(row.bits):>9}  {row.grinding or '-'}" for row in self.rounds
        ]
        lines += [
            f"{'minimum over rounds':<22}{_shown(self.minimum):>9}  ({self.weakest.name})",
            f"{'sum over rounds':<22}{_shown(self.union):>9}",
        ]
        for name, bits in self.floors:
            # By a whole bit: profiles have a few hundredths to spare.
            below = (
                ", below the rounds: what the whole is worth" if bits + 1 <= self.minimum else ""
            )
            lines.append(f"{name:<22}{bits:>9}  assumed{below}")
        if self.reference is not None and regime.multiplicity != REFERENCE_MULTIPLICITY:
            lines.append(
                f"With the fixed m = {REFERENCE_MULTIPLICITY} of the public calculator instead of "
                f"m = {regime.multiplicity}, the minimum would be {_shown(self.reference)}."
            )
        return lines


def estimate(figures: SystemFigures, parameters: ProtocolParameters) -> Report:
    """Bits of every round.

    Raises
    ------
    Rejected
        ``Params``, if the heights do not fit the parameters or the bound's side condition fails;
        ``ZK``, if the slack of a table cannot hold the random coefficients that hide it.
    """
    regime = regime_of(parameters)
    rounds = protocol_rounds(figures, parameters, regime)
    check_side_condition(figures, parameters, regime)
    check_randomness(figures, parameters)
    return Report(figures, parameters, regime, rounds)


def hiding_coefficients(points: int, queries: int) -> int:
    """Random coefficients per column that hide what a proof reveals of it.

    A query shows one row of the trace and the quotient at its point. The quotient depends on the
    row and, if the table has constraints between rows (``points`` is 2, else 1), on the next one,
    which is not shown: masks must make both uniform. An out-of-domain point shows one extension
    value (5 elements) of a column. Hence points * (queries + 5) + 1 coefficients.
    """
    return points * (queries + DEGREE) + 1


def check_randomness(figures: SystemFigures, parameters: ProtocolParameters) -> None:
    """With zero knowledge, refuse tables whose slack is smaller than what a proof reveals.

    See :func:`hiding_coefficients`.

    Raises
    ------
    Rejected
        ``ZK``.
    """
    if not parameters.zk:
        return
    for table in figures.tables:
        needed = hiding_coefficients(table.points, parameters.queries)
        present = (1 << table.log_height) >> parameters.log_slack
        if present < needed:
            check = f"random coefficients per column of table {table.name}"
            raise Rejected(Code.ZK, check, f">= {needed}", present)


def protocol_rounds(
    figures: SystemFigures, parameters: ProtocolParameters, regime: Regime
) -> tuple[Round, ...]:
    """Bits of every round in a given regime, which need not be the one of the parameters.

    The side conditions are the caller's: :func:`check_side_condition`, :func:`check_randomness`.

    Raises
    ------
    Rejected
        ``Params``, if the heights do not fit the parameters.
    """
    schedule = parameters.schedule(figures.log_heights)
    rounds: list[Round] = []

    def add(name: str, error: Fraction, grinding: int) -> None:
        rounds.append(Round(name, security_bits(error) + grinding, grinding))

    if figures.buses:
        add("lookup", lookup_error(figures, regime), parameters.grinding_lookup)
    add("ALI", ali_error(figures, regime), parameters.grinding_ali)
    add("DEEP", deep_error(figures, parameters, regime), parameters.grinding_deep)
    add("batching", batching_error(figures, parameters, regime), parameters.grinding_batching)
    height = figures.log_heights[0]
    for number, log_arity in enumerate(schedule, start=1):
        height -= log_arity
        # Powers of the challenge combine the 2^log_arity parts and, where tables of this height
        # join, their batch: one function more, so one power more.
        powers = (1 << log_arity) - 1 + (height in figures.log_heights)
        error = regime.proximity_error(1 << (height + parameters.log_blowup)) * powers
        add(f"fold {number}", error, parameters.grinding_fold)
    bits = query_bits(parameters.queries, regime) + parameters.grinding_query
    rounds.append(Round("query", bits, parameters.grinding_query))
    return tuple(rounds)


def check_side_condition(
    figures: SystemFigures, parameters: ProtocolParameters, regime: Regime
) -> None:
    """Multi-point quotients need dimension + points < (1 - theta) * domain, for every table.

    Haböck, ePrint 2022/1216, section 4.1.3. And theta must be positive: at rates above 0.73 the
    smallest m lies beyond the Johnson bound.

    Raises
    ------
    Rejected
        ``Params``.
    """
    if regime.theta <= 0:
        raise Rejected(Code.PARAMS, "distance of the regime", "> 0", float(regime.theta))
    for table in figures.tables:
        length = 1 << (table.log_height + parameters.log_blowup)
        needed = parameters.dimension(table.log_height) + table.points
        if not needed < (1 - regime.theta) * length:
            check = f"agreement left to the opened points of table {table.name}"
            raise Rejected(Code.PARAMS, check, f"> {needed}", float((1 - regime.theta) * length))


def lookup_error(figures: SystemFigures, regime: Regime) -> Fraction:
    """Bus challenges: list size * sum over buses of fractions * (W + 2 + gamma degree) / |F|.

    The bus sum, cleared of its denominators, is a polynomial in the bus challenges; an
    unbalanced bus makes it non-zero (LogUp, ePrint 2022/1530).
    """
    degree = sum(bus.fractions * bus.degree for bus in figures.buses)
    return regime.list_size * degree / regime.order


def ali_error(figures: SystemFigures, regime: Regime) -> Fraction:
    """Constraint challenge: list size * constraints of all tables / |F|.

    Haböck, ePrint 2022/1216, theorem 8; C constraints are combined by powers of one challenge.
    """
    return regime.list_size * figures.constraints / regime.order


def deep_error(figures: SystemFigures, parameters: ProtocolParameters, regime: Regime) -> Fraction:
    """Out-of-domain point: list size * (d (k + o - 1) + k - 1) / (|F| - k - n).

    Haböck, ePrint 2022/1216, theorem 8, with k coefficients, n the domain, o points, degree d.
    The maximum over tables, not the sum: one false table suffices for the verifier to reject, so
    the point must be a root of that table's polynomial. All tables exclude the largest domain.
    """
    largest = figures.log_heights[0]
    excluded = parameters.dimension(largest) + (1 << (largest + parameters.log_blowup))

    def roots(log_height: int, degree: int, points: int) -> int:
        dimension = parameters.dimension(log_height)
        return degree * (dimension + points - 1) + dimension - 1

    most = max(roots(table.log_height, table.degree, table.points) for table in figures.tables)
    return regime.list_size * most / (regime.order - excluded)


def batching_error(
    figures: SystemFigures, parameters: ProtocolParameters, regime: Regime
) -> Fraction:
    """Batching coefficients: over distinct heights, the sum of their proximity errors.

    One times with independent coefficients, (functions - 1) times with powers. Each height has a
    batch of its own, which joins the folded codeword later; any of them may go wrong.
    """
    total = Fraction(0)
    for log_height in figures.log_heights:
        # A single function has no batch, and no error, but a bound of zero has no logarithm.
        powers = max(1, figures.functions_at(log_height) - 1)
        factor = powers if parameters.batching == "powers" else 1
        total += factor * regime.proximity_error(1 << (log_height + parameters.log_blowup))
    return total


def query_bits(queries: int, regime: Regime) -> Decimal:
    """-log2 of (1 - theta)^queries, rounded down to a ten-thousandth, without grinding."""
    return round_down(-log2(1 - regime.theta) * queries)


def _shown(bits: Decimal) -> str:
    # Two digits, cut rather than rounded: 127.999 is not 128.
    return str(bits.quantize(Decimal("0.01"), rounding=ROUND_FLOOR))
