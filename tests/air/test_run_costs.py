"""What a run of a plan is predicted to take, piece by piece."""

from __future__ import annotations

import pytest

from air.planning import Plan
from air.resources import KEY_SECONDS, Workload, proving_seconds
from air.run_costs import plan_progress, proof_costs
from air.runs.progress import RunProgress
from air.runs.tree import NodeId, ProofTree
from air.shape import Shape
from air.speeds import TYPICAL_SPEEDS

SHAPE = Shape.named("rows14-slots12-assets9")
PROFILE = "proven128"
PLANS = [
    Plan(SHAPE, 1),
    Plan(SHAPE, 3),
    Plan(SHAPE, 2, aggregated=True),
    Plan(SHAPE, 5, lean=True, aggregated=True),
]


@pytest.mark.parametrize("plan", PLANS)
def test_costs_are_those_of_the_prediction(plan: Plan) -> None:
    costs = proof_costs(PROFILE, plan)
    tree = ProofTree(plan.batches, plan.aggregated)
    total = sum(costs[node.level].seconds for node in tree.nodes())
    keys = KEY_SECONDS * (tree.levels + 1) if plan.aggregated else 0.0
    assert total + keys == pytest.approx(proving_seconds(PROFILE, plan, TYPICAL_SPEEDS))
    for cost in costs.values():
        assert sum(share for _, share in cost.parts) == pytest.approx(1)
        assert len({name for name, _ in cost.parts}) == len(cost.parts)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_is_told(plan: Plan, workers: int) -> None:
    progress = RunProgress(clock=lambda: 0.0)
    plan_progress(progress, Workload(9000, 45000, 90000), PROFILE, plan, workers)
    before = progress.now().fraction
    progress.watch("started", NodeId(0, 0), 0.0)
    assert progress.now().total == len(ProofTree(plan.batches, plan.aggregated))
    progress.watch("finished", NodeId(0, 0), 0.0)
    assert 0 == before < progress.now().fraction < 1
