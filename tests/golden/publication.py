"""A publication that is kept: one batch of the smallest shape under the default profile.

Three customers in 32 slots, everything drawn from fixed seeds, and the file of one of them.
Importing this file needs the standard library alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from air.context import Context, Statement
from air.context import Shape as ContextShape
from air.encoding import Digest, account_commitment, leaf_digest, limbs
from air.inclusion.customer import CustomerFile, CustomerHolding
from air.publication import BatchProof, Publication
from air.registry import Asset, Registry
from air.shape import Shape
from air.tree import path_root
from air.verification import batch_contexts
from stark.field.koalabear import P

HERE = Path(__file__).parent
PUBLICATION_FILE = HERE / "publication.proof"
CUSTOMER_FILE = HERE / "publication.customer.json"
PIN_FILE = HERE / "publication.json"

PROFILE = "proven128"
SHAPE = Shape(12, 5, 9)
REGISTRY = Registry((Asset("BTC", 8), Asset("ETH", 18), Asset("USDT", 6)))
ACCOUNTS: dict[int, tuple[str, list[tuple[int, int]]]] = {
    3: ("u-1", [(0, 50_000_000), (2, 12_500_000)]),
    17: ("u-2", [(1, (1 << 75) - 1)]),
    30: ("Zoë", [(0, 1), (1, 2), (2, 3)]),
}
"""Slot to id and (asset, minor units). All other slots are empty."""

CUSTOMER_SLOT = 3
EMPTY = [(0, 0)]


def drawn(label: str, size: int) -> bytes:
    """Bytes that are the same in every run."""
    return hashlib.shake_256(b"golden publication " + label.encode()).digest(size)


def drawn_digest(label: str) -> Digest:
    data = drawn(label, 32)
    return tuple(int.from_bytes(data[i : i + 4], "little") % P for i in range(0, 32, 4))


def context() -> Context:
    return Context(
        kind="spot",
        exchange="Example Exchange",
        time="2026-01-31T00:00:00Z",
        epoch=7,
        nonce=drawn("nonce", 32),
        previous=None,
        registry=REGISTRY,
        shape=ContextShape(SHAPE.log_rows, SHAPE.log_slots, SHAPE.capacity),
        depth=SHAPE.log_slots,
        policy=PROFILE,
    )


def slot_holdings(slot: int) -> list[tuple[int, int]]:
    return ACCOUNTS[slot][1] if slot in ACCOUNTS else EMPTY


def slot_commitment(slot: int) -> Digest:
    """Of the account; random for an empty slot."""
    if slot not in ACCOUNTS:
        return drawn_digest(f"commitment {slot}")
    return account_commitment(ACCOUNTS[slot][0].encode("utf-8"), drawn(f"salt {slot}", 32))


@dataclass(frozen=True)
class Kept:
    """The files as they are kept."""

    publication: bytes
    customer: bytes
    pin: dict[str, Any]


@cache
def load() -> Kept:
    pin = json.loads(PIN_FILE.read_text(encoding="ascii"))
    return Kept(PUBLICATION_FILE.read_bytes(), CUSTOMER_FILE.read_bytes(), pin)


def make() -> tuple[bytes, bytes]:
    """The publication and the customer's file, by the prover as it is."""
    import numpy as np
    from support.cheating import Seeded

    from air.keys import profile_parameters
    from air.tables.batch import batch_system
    from air.witness import BatchAccounts, prepare_batch
    from stark.prover.keygen import generate_key
    from stark.prover.prove import prove

    rows = [slot_holdings(slot) for slot in range(SHAPE.slots)]
    accounts = BatchAccounts(
        commitments=np.array([slot_commitment(slot) for slot in range(SHAPE.slots)], np.uint32),
        offsets=np.cumsum([0, *map(len, rows)]),
        assets=np.array([asset for row in rows for asset, _ in row], np.int64),
        limbs=np.array([limbs(amount, 5) for row in rows for _, amount in row], np.int64),
    )
    blinds = drawn_digest("blind 0"), drawn_digest("blind 1")
    batch = prepare_batch(SHAPE, accounts, [0] * SHAPE.capacity, *blinds, True)
    statement = Statement(context(), tuple(batch.totals_out[: len(REGISTRY)]), batch.root, 1)
    key = generate_key(batch_system(SHAPE, zk=True), profile_parameters(PROFILE, SHAPE))
    seed = Seeded(b"golden publication")
    proof = prove(key, batch.traces(), batch.publics, batch_contexts(statement)[0], randomness=seed)
    part = BatchProof(batch.digest_out, batch.root, proof)
    publication = Publication(statement, blinds[1], batch.digest_in, (part,))
    return publication.encode(), _customer(statement, batch.nodes).encode()


def _customer(statement: Statement, nodes: Any) -> CustomerFile:
    account_id, holdings = ACCOUNTS[CUSTOMER_SLOT]
    path, node = [], SHAPE.slots + CUSTOMER_SLOT
    while node > 1:
        path.append(tuple(map(int, nodes[node ^ 1])))
        node //= 2
    leaf = leaf_digest(slot_commitment(CUSTOMER_SLOT), holdings)
    if path_root(leaf, CUSTOMER_SLOT, path) != statement.root:
        raise AssertionError("the path does not lead to the root")
    return CustomerFile(
        account_id=account_id,
        salt=drawn(f"salt {CUSTOMER_SLOT}", 32),
        slot=CUSTOMER_SLOT,
        holdings=tuple(CustomerHolding(REGISTRY[a].symbol, amount) for a, amount in holdings),
        path=tuple(path),
        statement_digest=statement.digest(),
    )


def write() -> None:
    publication, customer = make()
    PUBLICATION_FILE.write_bytes(publication)
    CUSTOMER_FILE.write_bytes(customer)
    decoded = Publication.decode(publication)
    pin = {
        "profile": PROFILE,
        "statement_digest": decoded.statement.digest().hex(),
        "totals": [str(total) for total in decoded.statement.totals],
        "sha256": hashlib.sha256(publication).hexdigest(),
    }
    PIN_FILE.write_text(json.dumps(pin, indent=1) + "\n", encoding="ascii")
