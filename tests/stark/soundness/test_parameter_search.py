"""The search: every target reached, nothing spent that could be saved, known sets found."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.errors import Code, Rejected, UsageError
from stark.soundness.estimate import estimate
from stark.soundness.figures import BusFigures, SystemFigures, TableFigures
from stark.soundness.parameters import COLLISION_BITS, ProtocolParameters
from stark.soundness.search import PROFILES, Role, find_parameters

CHAIN = TableFigures("chain", 18, 236, 300, 3, 2)
TREE = TableFigures("tree", 15, 180, 170, 3, 2)
BUS = BusFigures("range", 8, 12 << 18)
SYSTEM = SystemFigures((CHAIN, TREE), (BUS,))
INDEPENDENT = Role(regime="jbr", log_blowup=3, batching="independent")
POWERS = Role(regime="udr", log_blowup=2, batching="powers")

SITES = {
    "lookup": "grinding_lookup",
    "ALI": "grinding_ali",
    "DEEP": "grinding_deep",
    "batching": "grinding_batching",
    "fold": "grinding_fold",
}

roles = st.builds(
    Role,
    regime=st.sampled_from(["udr", "jbr"]),
    log_blowup=st.integers(1, 5),
    batching=st.sampled_from(["independent", "powers"]),
    log_max_arity=st.integers(1, 3),
    max_grinding=st.integers(14, 30),
)
systems = st.builds(
    lambda high, low, width: SystemFigures(
        (replace(CHAIN, log_height=high, functions=width), replace(TREE, log_height=low)), (BUS,)
    ),
    st.integers(10, 19),
    st.integers(8, 19),
    st.integers(1, 2000),
)


def search_all(figures: SystemFigures, target: int, role: Role) -> tuple[int, int] | None:
    """(queries, m), the smallest pair of all, by trying each m in turn."""
    best = None
    for multiplicity in range(3, 200) if role.regime == "jbr" else (0,):
        parameters = ProtocolParameters(
            log_blowup=role.log_blowup,
            queries=1,
            regime=role.regime,
            multiplicity=multiplicity,
            batching=role.batching,
            log_max_arity=role.log_max_arity,
            log_final_length=role.log_final_length,
            cap_height=role.cap_height,
            **dict.fromkeys(SITES.values(), role.max_grinding),
            grinding_query=role.grinding_query,
            zk=role.zk,
            log_slack=role.log_slack,
            hash_suite=role.hash_suite,
        )
        rounds = estimate(figures, parameters).rounds
        if any(entry.bits < target for entry in rounds if entry.name != "query"):
            continue
        # No query count here lies within a float's rounding of an integer.
        rate = float(parameters.rate)
        agreement = (1 + rate) / 2
        if multiplicity:
            agreement = math.sqrt(rate) * (1 + 1 / (2 * multiplicity))
        queries = max(1, math.ceil((role.grinding_query - target) / math.log2(agreement)))
        best = min(best, (queries, multiplicity)) if best else (queries, multiplicity)
    return best


@pytest.mark.parametrize(
    ("target", "role"),
    [
        (128, INDEPENDENT),
        (128, replace(INDEPENDENT, log_blowup=4, max_grinding=18)),
        (100, replace(INDEPENDENT, log_blowup=5, batching="powers", max_grinding=3)),
        (40, replace(INDEPENDENT, log_blowup=4)),
        (128, POWERS),
        (128, replace(INDEPENDENT, zk=True, log_slack=6)),
    ],
)
def test_search_against_trying_every_m(target: int, role: Role) -> None:
    role = replace(role, max_multiplicity=199)
    found = find_parameters(SYSTEM, target, role)
    assert (found.queries, found.multiplicity) == search_all(SYSTEM, target, role)


@settings(max_examples=40, deadline=None)
@given(systems, st.integers(30, 129), roles)
def test_targets_are_reached_and_nothing_can_be_saved(
    figures: SystemFigures, target: int, role: Role
) -> None:
    try:
        found = find_parameters(figures, target, role)
    except UsageError:
        # Only if the smallest m, too, asks for more than the role affords.
        smallest = replace(role, max_grinding=40, max_multiplicity=3)
        costly = find_parameters(figures, target, smallest)
        assert max(getattr(costly, site) for site in SITES.values()) > role.max_grinding
        return
    assert estimate(figures, found).minimum >= target
    for site in SITES.values():
        bits = getattr(found, site)
        assert bits <= role.max_grinding
        if bits:
            assert estimate(figures, replace(found, **{site: bits - 1})).minimum < target
    if found.queries > 1:
        weaker = replace(found, queries=found.queries - 1)
        assert estimate(figures, weaker).minimum < target


@pytest.mark.parametrize(("log_blowup", "queries"), [(1, 261), (2, 160), (3, 131), (4, 119)])
def test_known_queries_with_unique_decoding(log_blowup: int, queries: int) -> None:
    role = Role(regime="udr", log_blowup=log_blowup, batching="independent")
    found = find_parameters(SYSTEM, 128, role)
    assert found.queries == queries
    assert found.grinding_batching == found.grinding_fold == found.grinding_ali == 0
    assert found.grinding_lookup <= 3


@pytest.mark.parametrize(("log_blowup", "queries"), [(2, 112), (3, 75), (4, 56), (5, 45)])
def test_known_queries_below_the_johnson_bound(log_blowup: int, queries: int) -> None:
    figures = SystemFigures((replace(CHAIN, log_height=17),), (BUS,))
    role = replace(INDEPENDENT, log_blowup=log_blowup)
    found = find_parameters(figures, 128, role)
    assert found.queries <= queries
    assert 14 <= found.grinding_batching <= 20


def test_powers_below_the_johnson_bound_are_too_dear() -> None:
    with pytest.raises(UsageError, match="grinding at batching"):
        find_parameters(
            replace(SYSTEM, tables=(replace(CHAIN, log_height=21),)),
            128,
            replace(INDEPENDENT, batching="powers", max_grinding=12),
        )


def test_parameters_follow_width_height_and_degree() -> None:
    def changed(site: str, role: Role, larger: SystemFigures) -> bool:
        before = find_parameters(SYSTEM, 128, role)
        after = find_parameters(larger, 128, role)
        return bool(getattr(after, site) > getattr(before, site))

    wide = replace(SYSTEM, tables=(replace(CHAIN, functions=16 * 236), TREE))
    assert changed("grinding_batching", POWERS, wide)
    high = replace(SYSTEM, tables=(replace(CHAIN, log_height=21), TREE))
    assert changed("grinding_batching", POWERS, high)
    steep = replace(SYSTEM, tables=(replace(CHAIN, degree=1000), TREE))
    assert changed("grinding_deep", POWERS, steep)
    many = replace(SYSTEM, tables=(replace(CHAIN, constraints=10**9), TREE))
    assert changed("grinding_ali", POWERS, many)
    broad = replace(SYSTEM, buses=(replace(BUS, width=80),))
    assert changed("grinding_lookup", POWERS, broad)
    # Below the Johnson bound a higher table leaves less room for m: more queries.
    low = replace(SYSTEM, tables=(replace(CHAIN, log_height=14), replace(TREE, log_height=10)))
    smaller = find_parameters(low, 128, INDEPENDENT)
    larger = find_parameters(high, 128, INDEPENDENT)
    assert smaller.queries < larger.queries
    assert (
        find_parameters(SYSTEM, 129, POWERS).queries > find_parameters(SYSTEM, 128, POWERS).queries
    )


@pytest.mark.parametrize(("name", "target"), [("proven128", 128), ("proven100", 100)])
def test_profiles(name: str, target: int) -> None:
    profile = PROFILES[name]
    assert (profile.name, profile.target_bits) == (name, target)
    found = profile.find(SYSTEM)
    assert estimate(SYSTEM, found).minimum >= target
    assert (found.regime, found.batching, found.log_blowup) == ("jbr", "independent", 3)
    assert (found.hash_suite, found.zk, found.log_slack) == ("sha256", True, 4)
    with pytest.raises(UsageError, match="no role 'unknown'; it has published"):
        profile.find(SYSTEM, "unknown")


def test_published_role_hides_tables_from_2_to_the_12_on() -> None:
    figures = SystemFigures((CHAIN, replace(TREE, log_height=12)), (BUS,))
    assert PROFILES["proven128"].find(figures).zk
    with pytest.raises(Rejected) as caught:
        PROFILES["proven128"].find(SystemFigures((CHAIN, replace(TREE, log_height=11)), (BUS,)))
    assert caught.value.code is Code.ZK


def test_out_of_reach() -> None:
    with pytest.raises(UsageError, match="asks for nothing"):
        find_parameters(SYSTEM, 0, POWERS)
    with pytest.raises(UsageError, match="bits of grinding at"):
        find_parameters(SYSTEM, 200, INDEPENDENT)
    # At a rate of 3/4 the Johnson bound leaves 1 - 0.866 (1 + 1/2m): 0.026 at m = 4, and below
    # zero at m = 3.
    dense = replace(INDEPENDENT, log_blowup=1, zk=True, log_slack=1)
    for most in (3, 4):
        with pytest.raises(UsageError, match="more than 1024 queries"):
            find_parameters(SYSTEM, 100, replace(dense, max_multiplicity=most))


def test_query_grinding_alone_can_be_enough() -> None:
    assert find_parameters(SYSTEM, 20, POWERS).queries == 1


@pytest.mark.parametrize("suite", sorted(COLLISION_BITS))
def test_a_target_above_the_floor_of_the_digests_is_reached_by_the_rounds(suite: str) -> None:
    """It is not refused: the floor is another statement, and is reported by name."""
    target = 128
    found = find_parameters(SYSTEM, target, replace(INDEPENDENT, hash_suite=suite))
    report = estimate(SYSTEM, found)
    assert report.minimum >= target
    assert report.floors == ((f"{suite} collisions", COLLISION_BITS[suite]),)
    assert report.with_floors == min(report.minimum, COLLISION_BITS[suite])
    (line,) = [line for line in report.lines() if line.startswith(f"{suite} collisions")]
    assert str(COLLISION_BITS[suite]) in line
    assert ("below the rounds" in line) == (COLLISION_BITS[suite] < target)


def test_there_is_a_suite_whose_floor_is_below_a_target() -> None:
    assert {124, 128} <= set(COLLISION_BITS.values())
