"""Attacks on a batch that have a name, with the rules that refuse them.

Identifiers such as J3 are those of ``tests/vectors/negative_tests.json``.
"""

from __future__ import annotations

from support.attacks import attacks_accounts, attacks_hashes, attacks_totals
from support.attacks.attacks import ATTACKS, REGION, Attack, families

FILED_IN = (attacks_accounts, attacks_hashes, attacks_totals)
"""Importing them fills ``ATTACKS``."""

__all__ = ["ATTACKS", "FILED_IN", "REGION", "Attack", "families"]
