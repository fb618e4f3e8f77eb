"""Finding the parameters that reach a target, from the widths, heights and degrees at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING
from types import MappingProxyType
from typing import Final

from stark.errors import UsageError
from stark.hash.poseidon import POSEIDON1
from stark.soundness.estimate import (
    check_randomness,
    check_side_condition,
    protocol_rounds,
    query_bits,
)
from stark.soundness.figures import SystemFigures
from stark.soundness.parameters import (
    MAX_MULTIPLICITY,
    MAX_QUERIES,
    MIN_MULTIPLICITY,
    BatchingName,
    ProtocolParameters,
    RegimeName,
)
from stark.soundness.regimes import regime_of

_NO_GRINDING: Final[Mapping[str, int]] = MappingProxyType(
    {"lookup": 0, "ALI": 0, "DEEP": 0, "batching": 0, "fold": 0}
)
"""Where grinding is searched, by the first word of a round's name; all folds share theirs."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """What is chosen by hand for one kind of proof; everything else is searched.

    Parameters
    ----------
    regime, log_blowup, batching, log_max_arity, log_final_length, cap_height, zk, log_slack,
    hash_suite
        As in :class:`ProtocolParameters`.
    margin_bits
        Added to the profile's target: many such proofs stand behind one statement, and their
        errors add up.
    grinding_query
        Bits of proof of work before the queries; they save queries, so always spent.
    max_grinding
        Most bits at every other site. They pay for a larger m, hence for fewer queries.
    max_multiplicity
        Largest Johnson multiplicity to consider.
    """

    regime: RegimeName
    log_blowup: int
    batching: BatchingName
    log_max_arity: int = 3
    log_final_length: int = 6
    cap_height: int = 5
    zk: bool = False
    log_slack: int = 0
    hash_suite: str = "sha256"
    margin_bits: int = 0
    grinding_query: int = 20
    max_grinding: int = 20
    max_multiplicity: int = MAX_MULTIPLICITY


@dataclass(frozen=True)
class Profile:
    """A target for every protocol round, with one choice per role of a proof.

    Digests are no round: they may have fewer bits than the target (:func:`find_parameters`).
    """

    name: str
    target_bits: int
    roles: Mapping[str, Role]

    def find(
        self, figures: SystemFigures, role: str = "published", *, zk: bool = True
    ) -> ProtocolParameters:
        """Parameters of this profile for a system; errors as :func:`find_parameters`.

        ``zk=False`` leaves out the masks and their slack, for proofs that hide nothing.
        """
        if role not in self.roles:
            known = ", ".join(self.roles)
            raise UsageError(f"profile {self.name} has no role {role!r}; it has {known}")
        chosen = self.roles[role]
        if not zk:
            chosen = replace(chosen, zk=False, log_slack=0)
        return find_parameters(figures, self.target_bits + chosen.margin_bits, chosen)


# What people see: SHA-256, because it is in every standard library; below the Johnson bound,
# because that needs the fewest queries of what is proven; independent coefficients, because
# powers would cost that regime the log2 of their number, about 8 bits of grinding, more. Zero
# knowledge takes a 16th more coefficients: 256 in a table of 2^12, which is the smallest to hold
# the 165 that 77 queries and 2 points reveal.
_PUBLISHED: Final = Role(
    regime="jbr", log_blowup=3, batching="independent", zk=True, log_slack=4, hash_suite="sha256"
)

# What circuits verify: Poseidon, powers of one coefficient for Horner's rule, and unique decoding,
# in which powers cost 1 to 5 bits of grinding where list decoding would need 28. Nothing is hidden:
# these proofs stay with whoever makes them. A final polynomial of 8 coefficients costs a circuit
# less than the layers that it saves, and a cap of 2^7 digests less than the paths up to its root.
# Batches have by far the most rows, so the smallest blowup; joins few, so that fewer queries pay.
# The margins make the errors of the proofs of 64 batches add up to about that of the wrap.
_BATCH: Final = Role(
    regime="udr",
    log_blowup=1,
    batching="powers",
    log_final_length=3,
    cap_height=7,
    hash_suite=POSEIDON1.name,
    margin_bits=4,
)
_JOIN: Final = replace(_BATCH, log_blowup=3, margin_bits=5)

# The one proof that people see of many batches: its tables are small, so that a large blowup is
# affordable, and the fewest queries make it short.
_WRAP: Final = replace(_PUBLISHED, log_blowup=5)

_ROLES: Final = MappingProxyType(
    {"published": _PUBLISHED, "batch": _BATCH, "join": _JOIN, "wrap": _WRAP}
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile("proven128", 128, _ROLES),
            Profile("proven100", 100, _ROLES),
        )
    }
)
"""Profiles by name. Which of them a verifier accepts is for its policy to say."""


def find_parameters(figures: SystemFigures, target_bits: int, role: Role) -> ProtocolParameters:
    """The fewest queries, then the smallest m, then the least grinding, for a target.

    Queries decide a proof's size. More multiplicity needs fewer queries, but its errors, growing
    as m^5, need more grinding; so the largest m that ``role.max_grinding`` affords fixes the
    number of queries, and the smallest m with that number the grinding.

    The target is one for the rounds of the protocol. That digests do not collide is an assumption
    beside them, with bits of its own that no parameter here changes: a target above these is not
    refused. :attr:`stark.soundness.estimate.Report.floors` names them; what a proof as a whole is
    worth is :attr:`stark.soundness.estimate.Report.with_floors`.

    Parameters
    ----------
    figures
        The system.
    target_bits
        What every round must reach, at least 1; it may lie above the hash suite's collision bits.
    role
        What is fixed by hand.

    Raises
    ------
    UsageError
        If no parameters within the role reach the target.
    Rejected
        If the role does not fit the system, as :func:`stark.soundness.estimate.estimate`.
    """
    if target_bits < 1:
        raise UsageError(f"a target of {target_bits} bits asks for nothing")
    multiplicity = 0
    if role.regime == "jbr":
        highest = min(role.max_multiplicity, MAX_MULTIPLICITY)
        largest = _last(
            MIN_MULTIPLICITY, highest, lambda m: _affordable(figures, target_bits, role, m)
        )
        # If not even the smallest m is affordable, its grinding is what the error below reports.
        largest = max(largest, MIN_MULTIPLICITY)
        fewest = _queries(target_bits, role, largest)
        # Queries fall as m grows: the smallest m with the fewest is one above the last with more.
        above = _last(MIN_MULTIPLICITY, largest, lambda m: _queries(target_bits, role, m) > fewest)
        multiplicity = above + 1
    grinding = _grinding(figures, target_bits, role, multiplicity)
    site = max(grinding, key=lambda label: grinding[label])
    if grinding[site] > role.max_grinding:
        raise UsageError(
            f"{target_bits} bits need {grinding[site]} bits of grinding at {site}, "
            f"more than {role.max_grinding}"
        )
    queries = _queries(target_bits, role, multiplicity)
    if queries > MAX_QUERIES:
        raise UsageError(f"{target_bits} bits need more than {MAX_QUERIES} queries")
    found = _candidate(role, multiplicity, queries, grinding)
    check_side_condition(figures, found, regime_of(found))
    check_randomness(figures, found)
    return found


def _candidate(
    role: Role,
    multiplicity: int,
    queries: int = 1,
    grinding: Mapping[str, int] = _NO_GRINDING,
) -> ProtocolParameters:
    return ProtocolParameters(
        log_blowup=role.log_blowup,
        queries=queries,
        regime=role.regime,
        multiplicity=multiplicity,
        batching=role.batching,
        log_max_arity=role.log_max_arity,
        log_final_length=role.log_final_length,
        cap_height=role.cap_height,
        grinding_lookup=grinding["lookup"],
        grinding_ali=grinding["ALI"],
        grinding_deep=grinding["DEEP"],
        grinding_batching=grinding["batching"],
        grinding_fold=grinding["fold"],
        grinding_query=role.grinding_query,
        zk=role.zk,
        log_slack=role.log_slack,
        hash_suite=role.hash_suite,
    )


def _grinding(
    figures: SystemFigures, target_bits: int, role: Role, multiplicity: int
) -> dict[str, int]:
    """Bits that each site lacks to the target."""
    parameters = _candidate(role, multiplicity)
    lacking = dict(_NO_GRINDING)
    for entry in protocol_rounds(figures, parameters, regime_of(parameters)):
        site = entry.name.split()[0]
        if site in lacking:
            missing = (target_bits - entry.bits).to_integral_value(ROUND_CEILING)
            lacking[site] = max(lacking[site], int(missing))
    return lacking


def _affordable(figures: SystemFigures, target_bits: int, role: Role, multiplicity: int) -> bool:
    grinding = _grinding(figures, target_bits, role, multiplicity)
    return max(grinding.values()) <= role.max_grinding


def _queries(target_bits: int, role: Role, multiplicity: int) -> int:
    """The fewest queries that reach the target, at least 1; too many if none does."""
    regime = regime_of(_candidate(role, multiplicity))
    needed = target_bits - role.grinding_query
    if needed <= 0:
        return 1
    single = query_bits(1, regime)
    if single <= 0:
        return MAX_QUERIES + 1
    # The bits of one query are rounded down, so the quotient may be too large, never too small.
    queries = int((needed / single).to_integral_value(ROUND_CEILING))
    while queries > 1 and query_bits(queries - 1, regime) >= needed:
        queries -= 1
    return queries


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Largest n in low..high with ``holds``, which turns from true to false once; else low - 1."""
    while low <= high:
        middle = (low + high) // 2
        if holds(middle):
            low = middle + 1
        else:
            high = middle - 1
    return high
