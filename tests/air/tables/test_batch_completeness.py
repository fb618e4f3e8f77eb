"""Honest batches of all kinds are accepted: by the debugger, and some by the verifier."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.attacks.bases import SMALL, TALL, Base, Holdings, base, make_base
from support.checks import check, check_equal
from support.systems import parameters

from air.encoding import leaf_digest, totals_digest
from air.shape import Shape
from air.tables.batch import batch_system
from stark.constraints.expression import Part
from stark.debug.faults import explain, faults
from stark.prover.keygen import generate_key
from stark.prover.prove import prove
from stark.verifier.verify import verify

LARGEST = (1 << 75) - 1
LARGEST_TOTAL = (1 << 105) - 1


def accepted(own: Base) -> None:
    """The debugger finds nothing, and what is public is what the accounts say."""
    found = faults(own.system, own.honest.traces, own.honest.publics)
    check(not found, explain(found))
    totals = own.totals_in.copy()
    accounts = own.accounts
    for asset, limbs in zip(accounts.assets.tolist(), accounts.limbs.tolist(), strict=True):
        totals[asset] += sum(limb << (15 * j) for j, limb in enumerate(limbs))
    batch = own.batch
    check_equal(batch.totals_out, totals, "totals")
    capacity = own.shape.capacity
    check_equal(batch.digest_out, totals_digest(own.blind_out, totals, capacity), "digest after")
    check_equal(
        batch.digest_in, totals_digest(own.blind_in, own.totals_in, capacity), "digest before"
    )


def proven(own: Base) -> None:
    key = generate_key(own.system, parameters())
    proof = prove(key, own.batch.traces(), own.batch.publics, b"context")
    verify(key.verification, proof, own.batch.publics, b"context")


def test_the_bases_of_the_attacks() -> None:
    for name in ("first", "middle", "full", "tall"):
        accepted(base(name))
    check(max(base("middle").totals_in) >= 1 << 75, "totals before the batch are above 2^75")
    check_equal(max(base("tall").batch.totals_out), LARGEST_TOTAL, "the largest total")


def test_forgeries_start_as_the_prover_does() -> None:
    """So that a cheat differs from an honest batch in nothing but its cheat."""
    for name in ("first", "middle", "full", "tall"):
        witness = base(name).forgery().witness()
        for table, trace in base(name).honest.traces.items():
            check(np.array_equal(witness.traces[table], trace), f"{name}: {table}")
        check_equal(witness.publics, base(name).honest.publics, name)


def test_one_account() -> None:
    own = make_base(SMALL, [[(3, 12)]])
    accepted(own)
    proven(own)
    commitment = tuple(own.accounts.commitments[0].tolist())
    leaf = tuple(own.batch.nodes[SMALL.slots].tolist())
    check_equal(leaf, leaf_digest(commitment, [(3, 12)]), "leaf")


def test_no_account_at_all() -> None:
    accepted(make_base(SMALL, []))


def test_one_asset() -> None:
    accepted(make_base(SMALL, [[(0, amount)] for amount in (0, 1, LARGEST)]))


def test_a_batch_that_is_exactly_full() -> None:
    own = base("full")
    check_equal(len(own.accounts.assets), SMALL.holding_rows, "rows")
    check_equal(len(own.accounts.offsets) - 1, SMALL.slots, "slots")
    proven(own)


def test_accounts_that_hold_all_assets() -> None:
    every = [(asset, 1 << (asset % 75)) for asset in range(SMALL.capacity)]
    accepted(make_base(SMALL, [every, [(0, 1)], every]))


@pytest.mark.parametrize("amount", [0, 1, 2**15 - 1, 2**15, 2**60, LARGEST])
def test_edges_of_amounts(amount: int) -> None:
    accepted(make_base(SMALL, [[(0, amount), (511, amount)]] * SMALL.slots))


@pytest.mark.parametrize("total", [1 << 75, LARGEST, 1 << 104, LARGEST_TOTAL - 1])
def test_totals_before_the_batch_of_all_sizes(total: int) -> None:
    own = make_base(SMALL, [[(0, 1)]], [total] * SMALL.capacity)
    accepted(own)
    check_equal(own.batch.totals_out[0], total + 1, "total")


def test_the_largest_amounts_of_one_asset_in_all_rows_of_a_segment() -> None:
    """Sums of 2^11 of the largest limb and all carries."""
    own = make_base(
        TALL, [[(0, LARGEST)]] * TALL.slots, [LARGEST_TOTAL - TALL.slots * LARGEST] * 512
    )
    accepted(own)
    check_equal(own.batch.totals_out[0], LARGEST_TOTAL, "total")


def test_a_batch_is_as_wide_for_many_assets_as_for_few() -> None:
    few, many = (batch_system(Shape(16, 10, capacity)) for capacity in (9, 14))
    for one, other in zip(few.tables, many.tables, strict=True):
        for part in Part:
            check_equal(one.width(part), other.width(part), f"{one.name}: {part.name}")
        check_equal(one.degree, other.degree, one.name)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_random_batches(seed: int, first: bool) -> None:
    source = random.Random(seed)
    holdings: list[Holdings] = []
    for _ in range(source.randrange(SMALL.slots + 1)):
        assets = source.sample(range(SMALL.capacity), source.choice([1, 2, 5, 90]))
        holdings.append([(asset, _amount(source)) for asset in sorted(assets)])
    totals: Sequence[int] | None = None
    if not first:
        totals = [source.randrange(1 << source.randrange(1, 105)) for _ in range(SMALL.capacity)]
    accepted(make_base(SMALL, holdings, totals, seed))


def _amount(source: random.Random) -> int:
    return source.choice([0, 1, LARGEST, source.randrange(1 << source.randrange(1, 76))])
