"""Three ways to cheat, for the demonstration and for tests: what a verifier must refuse.

The first two edit a file. The third goes as far as an exchange can: it proves a negative balance
with an otherwise honest prover, so that every hash, sum and digest is right.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from air.canonical_json import decode, encode
from air.publication import decode_publication

if TYPE_CHECKING:
    from air.runs.progress import RunProgress
    from air.snapshot.table import Snapshot
    from air.witness import BatchAccounts


@dataclass(frozen=True)
class NegativeBalance:
    """A proof over an account that was given a negative balance.

    Attributes
    ----------
    proof
        The bytes of the proof file.
    asset
        Index of the asset in the registry.
    honest_total, claimed_total
        Of that asset, in minor units.
    """

    proof: bytes
    asset: int
    honest_total: int
    claimed_total: int


def with_smaller_total(proof: bytes) -> bytes:
    """The proof file with its first total that is not zero halved."""
    publication = decode_publication(proof)
    totals = list(publication.statement.totals)
    first = next(number for number, total in enumerate(totals) if total)
    totals[first] //= 2
    statement = replace(publication.statement, totals=tuple(totals))
    return replace(publication, statement=statement).encode()


def with_other_balance(customer: bytes) -> bytes:
    """The customer's file with one minor unit more in its first holding."""
    value = decode(customer)
    holding = value["holdings"][0]
    holding["equity"] = str(int(holding["equity"]) + 1)
    return encode(value)


def prove_negative_balance(
    snapshot: Snapshot,
    master_key: bytes,
    profile: str,
    progress: RunProgress | None = None,
) -> NegativeBalance:
    """Prove ``snapshot`` with one balance replaced by a negative one, checks left out.

    Totals, tree and digests are those of the edited accounts; the one thing that is wrong is that
    limbs of a holding lie outside 0 ... 2^15 - 1, so that no row of the range table answers them.
    """
    from air.placing import place
    from air.proving import prove_placed

    nonce = secrets.token_bytes(32)
    placed = place(snapshot, master_key, nonce)
    segment_rows = 1 << placed.plan.shape.log_segment
    # Limbs of a snapshot are unsigned.
    signed = placed.batches[0].limbs.astype("int64")
    placed.batches[0] = replace(placed.batches[0], limbs=signed)
    asset = give_negative_balance(placed.batches[0], segment_rows)
    publication, _ = prove_placed(snapshot, placed, nonce, profile, progress)
    return NegativeBalance(
        proof=publication.encode(),
        asset=asset,
        honest_total=snapshot.totals()[asset],
        claimed_total=publication.statement.totals[asset],
    )


def give_negative_balance(accounts: BatchAccounts, segment_rows: int) -> int:
    """Overwrite one holding so that it cancels half of what others hold; returns its asset.

    Limb by limb minus half of the others' sum in the first segment: sums per segment stay
    non-negative, so that additions and carries of the running totals are those of an honest prover.
    """
    rows = slice(0, segment_rows)
    limbs, assets = accounts.limbs[rows], accounts.assets[rows]
    held = limbs.any(axis=1)
    listed = assets[held].tolist()
    asset: int = max(set(listed), key=listed.count)
    victim, *others = (held & (assets == asset)).nonzero()[0].tolist()
    accounts.limbs[victim] = -(accounts.limbs[others].sum(axis=0) // 2)
    return asset
