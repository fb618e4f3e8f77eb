"""What a sweep measures: points, each a snapshot and a way to prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from air.registry import MAX_ASSETS
from air.shape import Shape
from air.tables.batch import batch_system
from stark.errors import UsageError
from stark.soundness.parameters import COLLISION_BITS, ProtocolParameters
from stark.soundness.search import PROFILES, find_parameters
from stark.verifier.figures import system_figures

ROLE = "published"
DEFAULT_SUITE = "sha256"
LOG_BLOWUPS = range(1, 6)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement.

    Parameters
    ----------
    accounts, assets, holdings
        Of the snapshot; ``holdings`` is the mean number per account.
    threads
        Of the prover.
    zk
        Whether the proof hides the snapshot. A publication always does.
    log_blowup, hash_suite
        Instead of the profile's; ``None`` leaves the profile's blowup.
    alone
        Prove one batch by itself, without a publication around it.
    """

    accounts: int
    assets: int
    holdings: float
    profile: str
    threads: int
    zk: bool = True
    log_blowup: int | None = None
    hash_suite: str = DEFAULT_SUITE
    alone: bool = False

    @property
    def published(self) -> bool:
        """Whether this is what ``liabilities prove`` does."""
        ordinary = self.zk and self.log_blowup is None and self.hash_suite == DEFAULT_SUITE
        return ordinary and not self.alone

    def describe(self) -> dict[str, Any]:
        return asdict(self)

    def name(self) -> str:
        """One line for people."""
        words = [f"{self.accounts:,} accounts, {self.assets:,} assets, {self.holdings:g} each"]
        words.append(self.profile)
        words.append(f"{self.threads} thread{'s' if self.threads > 1 else ''}")
        if not self.zk:
            words.append("nothing hidden")
        if self.log_blowup is not None:
            words.append(f"blowup {1 << self.log_blowup}")
        if self.hash_suite != DEFAULT_SUITE:
            words.append(self.hash_suite)
        return ", ".join(words)


def sweep(
    *,
    accounts: Sequence[int],
    assets: Sequence[int],
    holdings: Sequence[float],
    profiles: Sequence[str],
    threads: Sequence[int],
    zk: Sequence[bool] = (True,),
    log_blowups: Sequence[int | None] = (None,),
    hash_suites: Sequence[str] = (DEFAULT_SUITE,),
    alone: bool = False,
) -> list[Point]:
    """All combinations, in the order of the lists, the sizes of snapshots innermost.

    If one of the points can only be a batch by itself, all of them are, so that they compare.

    Raises
    ------
    UsageError
        For a value that no point can have, or for an empty list.
    """
    _check_numbers(accounts, assets, holdings, threads)
    _check_names("profile", profiles, tuple(PROFILES))
    _check_names("hash suite", hash_suites, tuple(COLLISION_BITS))
    for value in log_blowups:
        if value is not None and value not in LOG_BLOWUPS:
            raise UsageError(f"log2 of the blowup must be 1 to {LOG_BLOWUPS[-1]}, got {value}")
    points = [
        Point(
            accounts=number,
            assets=listed,
            holdings=mean,
            profile=profile,
            threads=workers,
            zk=hiding,
            log_blowup=log_blowup,
            hash_suite=suite,
            alone=alone,
        )
        for profile, suite, log_blowup, hiding, workers, listed, mean, number in product(
            profiles, hash_suites, log_blowups, zk, threads, assets, holdings, accounts
        )
    ]
    if not points:
        raise UsageError("nothing to measure: a list is empty")
    if all(point.published for point in points):
        return points
    return [replace(point, alone=True) for point in points]


def parameters(point: Point, shape: Shape) -> ProtocolParameters:
    """Those of the point's profile, with what the point says otherwise, for batches of ``shape``.

    Raises
    ------
    UsageError
        If no parameters of this kind reach the profile's target.
    """
    profile = PROFILES[point.profile]
    role = replace(profile.roles[ROLE], hash_suite=point.hash_suite)
    if not point.zk:
        role = replace(role, zk=False, log_slack=0)
    if point.log_blowup is not None:
        role = replace(role, log_blowup=point.log_blowup)
    figures = system_figures(batch_system(shape, zk=point.zk))
    return find_parameters(figures, profile.target_bits, role)


def _check_numbers(
    accounts: Sequence[int],
    assets: Sequence[int],
    holdings: Sequence[float],
    threads: Sequence[int],
) -> None:
    for name, value in [("accounts", n) for n in accounts] + [("threads", n) for n in threads]:
        if value < 1:
            raise UsageError(f"{name} must be 1 or more, got {value}")
    for listed in assets:
        if not 1 <= listed <= MAX_ASSETS:
            raise UsageError(f"assets must be 1 to {MAX_ASSETS}, got {listed}")
        for mean in holdings:
            if not 1 <= mean <= listed:
                raise UsageError(
                    f"holdings per account must be 1 to the number of assets, got {mean:g} "
                    f"with {listed} assets"
                )


def _check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"unknown {what} {name!r}; there is {' or '.join(known)}")
