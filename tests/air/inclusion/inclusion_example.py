"""Three batches of eight slots in plain Python: accounts, their tree, statement and files."""

from __future__ import annotations

from dataclasses import dataclass

from air.context import Context, Shape, Statement
from air.encoding import Digest, account_commitment, account_salt, leaf_digest, node_digest
from air.inclusion.customer import CustomerFile, CustomerHolding
from air.registry import AMOUNT_BOUND, Asset, Registry
from air.tree import upper_levels

LOG_SLOTS = 3
SLOTS = 1 << LOG_SLOTS
BATCHES = 3
NONCE = bytes(range(32))
MASTER_KEY = b"\x07" * 32
REGISTRY = Registry((Asset("BTC", 8), Asset("ETH", 18), Asset("USDT", 6), Asset("JPY", 0)))

Rows = list[tuple[int, int]]

ACCOUNTS: dict[str, tuple[int, Rows]] = {
    "u-1": (0, [(0, 50_000_000), (2, 12_500_000)]),
    "u-2": (23, [(1, AMOUNT_BOUND - 1)]),
    "nothing": (7, [(0, 0)]),
    # Decomposed, as some systems write it; the composed form is another id.
    "zoe\u0308": (8, [(0, 1), (1, 2), (2, 3), (3, 4)]),
    '../a,"b" \'\U0001f600': (17, [(3, 1 << 60)]),
    "U-1": (12, [(0, 50_000_000), (2, 12_500_000)]),
}
"""Slot and rows of each account; the other slots are empty."""


@dataclass(frozen=True)
class Example:
    statement: Statement
    nodes: list[list[Digest]]
    upper: list[list[Digest]]
    salts: dict[str, bytes]

    def file(self, account_id: str) -> CustomerFile:
        slot, rows = ACCOUNTS[account_id]
        return CustomerFile(
            account_id,
            self.salts[account_id],
            slot,
            tuple(CustomerHolding(REGISTRY[asset].symbol, amount) for asset, amount in rows),
            self.path(slot),
            self.statement.digest(),
        )

    def path(self, slot: int) -> tuple[Digest, ...]:
        batch, leaf = divmod(slot, SLOTS)
        siblings = []
        node = SLOTS + leaf
        while node > 1:
            siblings.append(self.nodes[batch][node ^ 1])
            node >>= 1
        for row in self.upper[:-1]:
            siblings.append(row[batch ^ 1])
            batch >>= 1
        return tuple(siblings)


def make_example() -> Example:
    salts = {name: account_salt(MASTER_KEY, 7, NONCE, name.encode()) for name in ACCOUNTS}
    leaves: list[Digest] = [
        leaf_digest((slot + 1,) * 8, [(0, 0)]) for slot in range(BATCHES * SLOTS)
    ]
    for name, (slot, rows) in ACCOUNTS.items():
        leaves[slot] = leaf_digest(account_commitment(name.encode(), salts[name]), rows)
    nodes = [_heap(leaves[first : first + SLOTS]) for first in range(0, BATCHES * SLOTS, SLOTS)]
    upper = upper_levels([tree[1] for tree in nodes])
    context = Context(
        kind="spot",
        exchange="Example Exchange",
        time="2026-11-01T00:00:00Z",
        epoch=7,
        nonce=NONCE,
        previous=None,
        registry=REGISTRY,
        shape=Shape(log_rows=5, log_slots=LOG_SLOTS, asset_capacity=4),
        depth=LOG_SLOTS + len(upper) - 1,
        policy="example",
    )
    totals = tuple(
        sum(amount for _, rows in ACCOUNTS.values() for asset, amount in rows if asset == index)
        for index in range(len(REGISTRY))
    )
    return Example(Statement(context, totals, upper[-1][0], BATCHES), nodes, upper, salts)


def _heap(leaves: list[Digest]) -> list[Digest]:
    tree: list[Digest] = [(0,) * 8] * len(leaves) + leaves
    for node in range(len(leaves) - 1, 0, -1):
        tree[node] = node_digest(tree[2 * node], tree[2 * node + 1])
    return tree


EXAMPLE = make_example()
