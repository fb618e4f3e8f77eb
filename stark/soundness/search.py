"""Finding the parameters that reach a target, from the widths, heights and degrees at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from stark.errors import UsageError
from stark.soundness.estimate import check_randomness
from stark.soundness.figures import SystemFigures
from stark.soundness.parameters import (
    MIN_MULTIPLICITY,
    BatchingName,
    ProtocolParameters,
    RegimeName,
)

MAX_QUERIES: Final = 1024
MAX_MULTIPLICITY: Final = 1024


@dataclass(frozen=True, kw_only=True)
class Role:
    """What is chosen by hand for one kind of proof; everything else is searched.

    Parameters
    ----------
    regime, log_blowup, batching, log_max_arity, log_final_length, cap_height, zk, log_slack,
    hash_suite
        As in :class:`ProtocolParameters`.
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
    grinding_query: int = 20
    max_grinding: int = 20
    max_multiplicity: int = MAX_MULTIPLICITY


@dataclass(frozen=True)
class Profile:
    """A target for every protocol round, with one choice per role of a proof."""

    name: str
    target_bits: int
    roles: Mapping[str, Role]

    def find(self, figures: SystemFigures, role: str = "published") -> ProtocolParameters:
        """Parameters of this profile for a system; errors as :func:`find_parameters`."""
        if role not in self.roles:
            known = ", ".join(self.roles)
            raise UsageError(f"profile {self.name} has no role {role!r}; it has {known}")
        return find_parameters(figures, self.target_bits, self.roles[role])


# What people see: SHA-256, because it is in every standard library; below the Johnson bound,
# because that needs the fewest queries of what is proven; independent coefficients, because with
# powers that regime costs 8 more bits of grinding; zero knowledge with a 64th more coefficients,
# 128 of them in the smallest table allowed, 2^13.
_PUBLISHED: Final = Role(
    regime="jbr", log_blowup=3, batching="independent", zk=True, log_slack=6, hash_suite="sha256"
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile("proven128", 128, MappingProxyType({"published": _PUBLISHED})),
            Profile("proven100", 100, MappingProxyType({"published": _PUBLISHED})),
        )
    }
)
"""Profiles by name. Which of them a verifier accepts is for its policy to say."""


def find_parameters(figures: SystemFigures, target_bits: int, role: Role) -> ProtocolParameters:
    """The fewest queries, then the smallest m, then the least grinding, for a target.

    Queries decide a proof's size. More multiplicity needs fewer queries, but its errors, growing
    as m^5, need more grinding; so the largest m that ``role.max_grinding`` affords fixes the
    number of queries, and the smallest m with that number the grinding.

    Parameters
    ----------
    figures
        The system.
    target_bits
        What every round must reach, at least 1.
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
        low, high = MIN_MULTIPLICITY, min(role.max_multiplicity, MAX_MULTIPLICITY)
        largest = _last(low, high, lambda m: _affordable(figures, target_bits, role, m))
        fewest = _queries(target_bits, role, largest)
        # Queries fall as m grows: the smallest m with the fewest is one above the last with more.
        last_above = _last(low - 1, largest, lambda m: _queries(target_bits, role, m) > fewest)
        multiplicity = last_above + 1
    found = _with_grinding(figures, target_bits, role, multiplicity)
    if not _affordable(figures, target_bits, role, multiplicity):
        raise UsageError(_shortfall(found, target_bits, role))
    check_randomness(figures, found)
    return found
