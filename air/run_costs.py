"""What a run of a plan does, with the seconds that each piece takes on a reference machine.

Only their proportions matter: :class:`air.runs.progress.RunProgress` corrects them by what it
measures. So nothing is measured beforehand, and the figures of one machine do for all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from air.aggregate.keys import aggregate_keys
from air.planning import Plan
from air.resources import (
    KEY_SECONDS,
    SECONDS_PER_ACCOUNT,
    SECONDS_PER_HOLDING,
    Workload,
    batch_seconds,
    circuit_seconds,
)
from air.runs.progress import RunProgress
from air.runs.tree import ProofTree
from air.runs.work import Cost, Stage
from air.speeds import TYPICAL_SPEEDS

PLACING: Final = "placement"
HASHING: Final = "hashing accounts"
CHECKING: Final = "checking the proof"
WRITING: Final = "writing the files"

_CHECKING_SECONDS: Final = 0.2
_STARTING_SECONDS: Final = 2.0
_PLACING: Final = 0.4
_STORING: Final = 0.35
"""Parts of the seconds per account and holding; the rest is the hashing of batches."""
_FIXED_COLUMNS: Final = 0.05
"""A key of batches by a proof: its fixed columns are transformed and hashed."""

_ROUNDS: Final = (
    "main columns",
    "bus columns",
    "constraints",
    "openings",
    "low-degree test",
    "queries",
)


def _rounds(*shares: float) -> tuple[tuple[str, float], ...]:
    return tuple(zip(_ROUNDS, shares, strict=True))


_PUBLISHED_PARTS: Final = (("trace", 0.06), *_rounds(0.42, 0.16, 0.16, 0.1, 0.03, 0.07))
_BATCH_PARTS: Final = (("trace", 0.05), *_rounds(0.42, 0.14, 0.2, 0.07, 0.07, 0.05))
_JOIN_PARTS: Final = (
    ("values of the inner proofs", 0.07),
    ("witness", 0.02),
    *_rounds(0.52, 0.115, 0.145, 0.03, 0.05, 0.05),
)
_WRAP_PARTS: Final = (
    ("values of the inner proof", 0.08),
    ("witness", 0.04),
    *_rounds(0.55, 0.09, 0.145, 0.04, 0.02, 0.035),
)


def account_stages(workload: Workload) -> list[Stage]:
    """What comes between reading a snapshot and the first proof."""
    seconds = _account_seconds(workload)
    return [
        Stage(PLACING, _PLACING * seconds),
        Stage(HASHING, (1 - _PLACING - _STORING) * seconds),
    ]


def plan_progress(
    progress: RunProgress, workload: Workload, profile: str, plan: Plan, workers: int = 1
) -> None:
    """Tell ``progress`` all that a run of ``plan`` does; ``workers`` proofs are made at a time."""
    costs = proof_costs(profile, plan)
    if workers > 1:
        # Other processes load the prover first.
        costs[0] = replace(costs[0], key=costs[0].key + _STARTING_SECONDS)
    storing = _STORING * _account_seconds(workload)
    progress.plan(
        account_stages(workload),
        ProofTree(plan.batches, plan.aggregated),
        costs,
        [Stage(CHECKING, _CHECKING_SECONDS), Stage(WRITING, storing)],
        workers,
    )


def _account_seconds(workload: Workload) -> float:
    return SECONDS_PER_ACCOUNT * workload.accounts + SECONDS_PER_HOLDING * workload.holdings


def proof_costs(profile: str, plan: Plan) -> dict[int, Cost]:
    """The cost of a proof of each level: batches, joins, and the wrap."""
    shape, lean = plan.shape, plan.lean
    if not plan.aggregated:
        seconds = batch_seconds(profile, shape, lean, TYPICAL_SPEEDS)
        return {0: Cost(seconds, _FIXED_COLUMNS * seconds, _PUBLISHED_PARTS)}
    keys = aggregate_keys(profile, shape)
    levels = (plan.batches - 1).bit_length()
    seconds = batch_seconds(profile, shape, lean, TYPICAL_SPEEDS, "batch")
    costs = {0: Cost(seconds, _FIXED_COLUMNS * seconds, _BATCH_PARTS)}
    for level, join in enumerate(keys.joins[:levels], start=1):
        seconds = circuit_seconds(profile, "join", join.shape, TYPICAL_SPEEDS)
        costs[level] = Cost(seconds, KEY_SECONDS, _JOIN_PARTS)
    seconds = circuit_seconds(profile, "wrap", keys.wraps[levels - 1].shape, TYPICAL_SPEEDS)
    costs[levels + 1] = Cost(seconds, KEY_SECONDS, _WRAP_PARTS)
    return costs
