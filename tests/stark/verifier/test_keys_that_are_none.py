"""What a verification key refuses, each by its own check."""

from __future__ import annotations

import pytest
from support.cheating import products_case
from support.systems import Fibonacci, parameters

from stark.errors import UsageError
from stark.hash.sha256 import leaf_salt
from stark.system import System
from stark.verifier.key import VerificationKey


def test_each_refusal_has_its_words() -> None:
    products = products_case().example.system
    cap = products_case().key.verification.preprocessed_cap
    hidden = System([table.air for table in products.tables], zk=True)
    cases = [
        (hidden, parameters(), cap, "must agree"),
        (products, parameters(), (bytes(32),), "placeholder"),
        (products, parameters(log_blowup=1), cap, "blowup of at least"),
        (hidden, parameters(zk=True, log_slack=1, log_blowup=3), cap, "slack of at most"),
        (System([Fibonacci(23)]), parameters(log_blowup=2), (), "is longer than 2"),
        (System([Fibonacci(3)]), parameters(log_final_length=5), (), "below the length"),
        (products, parameters(), (), "exactly if columns are fixed"),
    ]
    for system, chosen, given, words in cases:
        with pytest.raises(UsageError, match=words):
            VerificationKey(system, chosen, given)


def test_a_salt_needs_a_whole_key() -> None:
    assert len(leaf_salt(bytes(32), 0)) == 32
    for size in (0, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            leaf_salt(bytes(size), 0)
