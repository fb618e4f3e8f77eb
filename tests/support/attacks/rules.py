"""For every constraint, message and tuple position of a batch: a cheat that only it refuses.

Messages that meet fixed counts on the other side cannot be left out at all: without them nothing
balances. ``TWO_SIDED`` says why; what such a message carries is tested position by position.
"""

from __future__ import annotations

from support.attacks import rules_chain, rules_hash, rules_tables, rules_tuples
from support.attacks.cheats import BLINDED, CHEATS, Cheat
from support.attacks.oracle import Rule

FILED_IN = (rules_chain, rules_tables, rules_hash, rules_tuples)
"""Importing them fills ``CHEATS`` and ``BLINDED``."""

TWO_SIDED: dict[Rule, str] = {
    ("chain", "the account's leaf"): "every leaf number is received once, by fixed counts",
    ("chain", "running totals"): "the totals table sends two tuples per asset, by fixed counts",
    ("tree", "the left child"): "nodes with even numbers are sent, by fixed counts",
    ("tree", "the right child"): "nodes with odd numbers are sent, by fixed counts",
    ("totals", "the total before the batch"): "side 0 is received on fixed rows",
    ("totals", "the total after the batch"): "side 1 is received on fixed rows",
    ("range", "a value of the range"): "every row looks values up, with counts 0 or 1",
}
"""Messages without which no witness balances, honest or not."""

__all__ = ["BLINDED", "CHEATS", "FILED_IN", "TWO_SIDED", "Cheat"]
