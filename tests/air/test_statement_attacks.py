"""Attacks on the statement of one batch: each is refused, by the rule that is meant to refuse it.

Groups J and M of ``tests/vectors/negative_tests.json`` as far as they concern a batch. Every attack
is judged exactly, and then proven: the verifier refuses the proof.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from support.attacks.bases import SMALL, UNHELD_ASSET, base, make_base
from support.attacks.catalogue import ATTACKS, REGION, families
from support.attacks.forgery import Forgery
from support.attacks.oracle import Oracle, Rule, Witness
from support.attacks.rules import CHEATS
from support.cheating import ForeignProver, configured, without_constraint
from support.checks import check, check_equal
from support.systems import parameters

from air.encoding import LIMB_MASK, TOTAL_LIMBS, limbs
from air.keys import shipped_shapes
from air.shape import Shape
from air.tables.batch import batch_system
from air.tables.chain import ChainAir
from air.tables.totals import TotalsAir
from stark.constraints.air import Air
from stark.debug.faults import BusFault, faults
from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.system import System
from stark.verifier.verify import verify

CATALOGUE = Path(__file__).parents[1] / "vectors" / "negative_tests.json"


@cache
def key(shape: Shape, zk: bool = False) -> ProvingKey:
    """With parameters for tests; masked, as published proofs are, with ``zk``."""
    masks = {"zk": True, "log_slack": 2} if zk else {}
    return generate_key(batch_system(shape, zk), parameters(**masks))


def rejection(own: ProvingKey, witness: Witness) -> Rejected:
    """What the verifier says to a proof of a forged witness."""
    proof = prove(own, witness.traces, witness.publics, b"context")
    try:
        verify(own.verification, proof, witness.publics, b"context")
    except Rejected as rejected:
        return rejected
    raise AssertionError("a forged batch was accepted")


def test_identifiers_are_those_of_the_catalogue() -> None:
    entries = json.loads(CATALOGUE.read_text(encoding="utf-8"))["tests"]
    wanted = {entry["id"] for entry in entries if entry["id"][0] in "JM"}
    covered = {name for attack in ATTACKS.values() for name in attack.identifiers}
    check(wanted >= covered, f"no such entries: {sorted(covered - wanted)}")


@pytest.mark.parametrize("name", list(ATTACKS))
def test_the_attack_is_refused_by_the_rule_that_is_meant_to(name: str) -> None:
    attack = ATTACKS[name]
    refusals = base(attack.base).oracle.refusals(attack.witness())
    check(bool(refusals), f"{name}: ACCEPTED")
    check_equal(families(refusals), attack.refused_by, name)


def _to_prove() -> list[str]:
    """Two attacks for each set of rules that refuse one; those on a small batch."""
    chosen: list[str] = []
    for name, attack in ATTACKS.items():
        alike = [one for one in chosen if ATTACKS[one].refused_by == attack.refused_by]
        if attack.base != "tall" and len(alike) < 2:
            chosen.append(name)
    return chosen


@pytest.mark.parametrize(
    ("name", "zk"),
    [
        (name, zk)
        for number, name in enumerate(_to_prove())
        for zk in (False, True)[: 1 + (number % 6 == 0)]
    ],
)
def test_a_proof_of_the_attack_is_refused(name: str, zk: bool) -> None:
    attack = ATTACKS[name]
    own = base(attack.base)
    settled = own.oracle.settled(attack.witness())
    unbalanced = any(table == "bus" for table, _ in attack.refused_by)
    rejected = rejection(key(own.shape, zk), settled)
    # The sum of the terminals is looked at before the values at the out-of-domain point.
    check_equal(rejected.code, Code.BUS if unbalanced else Code.OOD, name)


@pytest.mark.parametrize(
    "rule",
    [
        ("chain", "row 0 starts an account [0]"),
        ("chain", "accounts are contiguous"),
        ("chain", "the chaining value continues [3]"),
        ("chain", "the digest region is fixed [0]"),
        ("totals", "totals run on within an asset [2]"),
    ],
    ids=": ".join,
)
def test_a_verifier_without_the_rule_accepts_its_cheat(rule: Rule) -> None:
    """What passes for the oracle passes for the protocol: the verifier's word is needed."""
    cheat = CHEATS[rule]
    own = base(cheat.base)
    witness = own.oracle.settled(cheat.witness())
    weaker = generate_key(without_constraint(own.system, *rule), parameters())
    proof = prove(weaker, witness.traces, witness.publics, b"context")
    verify(weaker.verification, proof, witness.publics, b"context")
    check_equal(rejection(key(own.shape), witness).code, Code.OOD, "with the rule")


@pytest.mark.parametrize("name", list(ATTACKS)[::9])
def test_the_oracle_agrees_with_the_debugger(name: str) -> None:
    """The debugger reads all rows of all tables."""
    attack = ATTACKS[name]
    own = base(attack.base)
    witness = own.oracle.settled(attack.witness())
    found: set[Rule] = set()
    for fault in faults(own.system, witness.traces, witness.publics):
        bus = isinstance(fault, BusFault)
        found.add(("bus", fault.bus) if bus else (fault.table, fault.label))  # type: ignore[union-attr]
    check_equal(own.oracle.refusals(witness), found, name)


# ---- any change of any cell


IDLE_TREE_ROW = 40
"""A row behind the last node: its hash is that of nothing, but still a hash."""


def _free_cell(table: str, column: str, row: int) -> bool:
    """Cells that matter to nobody: slots where no leaf is sent."""
    last = base("middle").forgery().last
    return (table, column) == ("chain", "slot") and (row >= SMALL.holding_rows or not last[row])


def test_every_change_of_a_cell_is_refused() -> None:
    """In each column of each table, on rows of all kinds, by 1 and by a random number."""
    own = base("middle")
    oracle = own.oracle
    source = np.random.default_rng(20)
    unused = own.forgery().unused
    rows = {
        "chain": [0, 1, 3, unused - 1, unused, SMALL.holding_rows - 1, SMALL.holding_rows, 4095],
        "tree": [0, 1, 15, 30, IDLE_TREE_ROW, 4095],
        "totals": [0, 1, 7, 8, 4095],
        "range": [0, 1, 32767],
    }
    for table in own.system.tables:
        names = table.symbolic.columns[1]  # type: ignore[index]
        for column, name in enumerate(names):
            if name.startswith("hash.") and column % 5:
                continue  # Each cell of the permutation has a cheat of its own.
            chosen = rows[table.name] if len(names) < 30 else source.choice(rows[table.name], 1)
            for row in map(int, chosen):
                difference = int(source.choice([1, P - 1, int(source.integers(1, P))]))
                trace = own.honest.traces[table.name].copy()
                trace[row, column] = (trace[row, column] + difference) % P
                traces = {**own.honest.traces, table.name: trace}
                refusals = oracle.refusals(Witness(traces, own.honest.publics))
                free = _free_cell(table.name, name, row)
                multiplicity = (table.name, name) == ("range", "multiplicity")
                check(
                    bool(refusals) != (free or multiplicity),
                    f"{table.name}, row {row}, {name} + {difference}: {refusals}",
                )


def test_a_wrong_multiplicity_is_refused() -> None:
    """The oracle counts look-ups anew, so this one is left to the debugger and the verifier."""
    own = base("middle")
    trace = own.honest.traces["range"].copy()
    trace[5, 1] = (trace[5, 1] + 1) % P
    witness = Witness({**own.honest.traces, "range": trace}, own.honest.publics)
    found = faults(own.system, witness.traces, witness.publics)
    check(len(found) == 1 and isinstance(found[0], BusFault), f"{found}")
    check_equal(rejection(key(SMALL), witness).code, Code.BUS)


# ---- attacks that take more than a witness


def test_a_digest_that_starts_anew_in_two_neighbouring_batches() -> None:
    """Both batches restart the digest between them after asset 0, with one made-up value: what the
    first batch owes in asset 0 is forgotten, and the digests agree."""
    one = base("first")
    asset, made_up = 0, list(range(8))
    totals = list(one.batch.totals_out)
    owed = totals[asset]
    totals[asset] = 0
    two = make_base(SMALL, [[(0, 5), (1, 7)]], totals, seed=9)
    digests = []
    for own, side in ((one, 1), (two, 0)):
        f = own.forgery()
        row = f.side(side).start + asset
        f.last[row] = f.first[row + 1] = 1
        f.values[row + 1] = made_up
        f.finish()
        refusals = own.oracle.refusals(f.witness())
        check_equal(families(refusals), {REGION}, f"side {side}")
        check_equal(rejection(key(SMALL), own.oracle.settled(f.witness())).code, Code.OOD)
        digests.append(f.public["chain"][9:] if side else f.public["chain"][1:9])
    check_equal(digests[0], digests[1], "the digests chain")
    check(two.batch.totals_out[asset] == 5 < owed, "the total of asset 0 is short")


class _OtherSegments(ChainAir):
    """One row of the first segment is said to be in the second."""

    def preprocessed(self) -> dict[str, list[int]]:
        columns = {name: list(values) for name, values in super().preprocessed().items()}
        columns["segment"][0] = 1
        return columns


class _OtherBegins(TotalsAir):
    """The total before the batch is that of an asset's last row."""

    def preprocessed(self) -> dict[str, list[int]]:
        columns = {name: list(values) for name, values in super().preprocessed().items()}
        first, last = OTHER_ASSET * 8, OTHER_ASSET * 8 + 7
        columns["begin"][first], columns["begin"][last] = 0, 1
        return columns


OTHER_ASSET = 1
"""2^100 of it is owed before the batch ``middle``."""


def _in_another_segment(f: Forgery) -> None:
    asset, amount = int(f.asset[0]), f.lanes[0, :5].copy()
    f.totals[asset, 0, 7:12] -= amount
    f.totals[asset, 1, 7:12] += amount
    f.finish(keep=["sums"])


def _owed_and_forgotten(f: Forgery) -> None:
    """What the batch adds is taken off first: the total afterwards is the one before."""
    check_equal(len(f.totals[OTHER_ASSET]), 8, "segments")
    sums = f.totals[OTHER_ASSET, :, 7:12].sum(axis=0)
    added = sum(int(limb) << (15 * j) for j, limb in enumerate(sums))
    shown = f.lanes[f.side(0)].copy()
    f.totals_in[OTHER_ASSET] = limbs((1 << 100) - added, TOTAL_LIMBS)
    f.additions()
    f.shown_totals()
    f.lanes[f.side(0)] = shown
    f.finish(keep=["additions", "shown_totals"])
    after = f.lanes[f.side(1).start + OTHER_ASSET]
    check(added > 0 and after.tolist() == list(limbs(1 << 100, TOTAL_LIMBS)), "not forgotten")


@pytest.mark.parametrize(
    ("table", "forged_air", "forge", "bus"),
    [
        (0, _OtherSegments, _in_another_segment, "sum"),
        (2, _OtherBegins, _owed_and_forgotten, "total"),
    ],
    ids=["segment", "begin"],
)
def test_a_forged_fixed_column(
    table: int, forged_air: type[Air], forge: Callable[[Forgery], None], bus: str
) -> None:
    """It satisfies its own system; but the columns that are fixed belong to the key."""
    honest = base("middle")
    airs = [table.air for table in honest.system.tables]
    airs[table] = forged_air(SMALL)  # type: ignore[arg-type]
    forged = System(airs)
    f = honest.forgery()
    forge(f)
    witness = honest.oracle.settled(f.witness())
    check_equal(honest.oracle.refusals(witness), {("bus", bus)}, "under the pinned key")
    check(not faults(forged, witness.traces, witness.publics), "in its own system")
    own = generate_key(forged, parameters())
    verify(own.verification, prove(own, witness.traces, witness.publics), witness.publics)
    pinned = key(SMALL).verification
    prover = configured(ForeignProver, claimed=pinned)
    proof = prover(own, witness.publics, b"").run(witness.traces)
    with pytest.raises(Rejected) as caught:
        verify(pinned, proof, witness.publics)
    check_equal(caught.value.code, Code.MERKLE, "its fixed columns do not open the pinned root")
    with pytest.raises(Rejected) as caught:
        verify(pinned, prove(own, witness.traces, witness.publics), witness.publics)
    check_equal(caught.value.code, Code.VK, "under its own name")


# ---- bounds


def test_sums_and_additions_hold_over_the_integers_in_every_shape() -> None:
    """A sum of limbs of one asset in one segment, and both sides of an addition, are below p; 2^17
    rows of the largest limb would pass it."""
    for shape in shipped_shapes():
        largest_sum = (1 << shape.log_segment) * LIMB_MASK
        check(largest_sum < 1 << 29 < P, f"{shape}: sums")
        left = LIMB_MASK + largest_sum + LIMB_MASK
        right = LIMB_MASK + (LIMB_MASK << 15)
        check(max(left, right) < P, f"{shape}: additions")
    check((1 << 17) * LIMB_MASK > P, "the largest tables need segments")


def test_every_asset_and_segment_has_one_key() -> None:
    for shape in (Shape(12, 5, 9), Shape(14, 7, 9), Shape(16, 10, 12), Shape(16, 9, 14)):
        segments = ChainAir(shape).preprocessed()["segment"]
        counts = np.bincount(np.asarray(segments))
        check(bool((counts == 1 << shape.log_segment).all()), f"{shape}: rows of a segment")
        keys = batch_system(shape).tables[2].air.preprocessed()
        pairs = np.asarray(keys["asset"]) * len(counts) + np.asarray(keys["segment"])
        expected = np.arange(shape.capacity * len(counts))
        check(np.array_equal(pairs, expected), f"{shape}: a row per asset and segment")


def test_an_addition_has_one_solution_in_range() -> None:
    """U + 2^15 c is injective on looked-up values and stays below p."""
    source = np.random.default_rng(3)
    inverse = pow(1 << 15, -1, P)
    for value in [0, LIMB_MASK, 1 << 15, (1 << 29) + (1 << 16), *source.integers(0, 1 << 29, 3)]:
        rests = np.arange(1 << 15, dtype=np.int64)
        carries = (int(value) - rests) % P * inverse % P
        check_equal(int((carries <= LIMB_MASK).sum()), 1, f"solutions for {value}")


def test_two_boolean_flags_make_the_third_boolean() -> None:
    """Why no cheat breaks one of these rules alone: between two rows of the holding region
    real' = real + first' - last, and a row with real other than 1 has neither flag."""
    some = (0, 1, 2, 7, P - 1)
    for real, last, first, following in product((0, 1), some, some, some):
        if (real + first - last - following) % P:
            continue
        if (1 - real) * last % P or (1 - following) * first % P:
            continue
        boolean = [flag in (0, 1) for flag in (following, first, last)]
        check(sum(boolean) != 2, f"real {real}, last {last}, first' {first}, real' {following}")


def test_the_asset_that_nobody_holds_is_held_by_nobody() -> None:
    """Cheats rely on it."""
    for name in ("first", "middle"):
        accounts = base(name).accounts
        check(UNHELD_ASSET not in accounts.assets, name)
        check(isinstance(base(name).oracle, Oracle), name)
