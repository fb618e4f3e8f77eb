"""Kept proofs verify, and those without randomness are still made, byte for byte."""

from __future__ import annotations

import pytest
from golden import derived, publication
from golden.make import CONTEXT, INDEX, NAMES, load, make
from support.checks import check, check_equal

from stark.errors import Code, Rejected
from stark.verifier.verify import verify


@pytest.mark.parametrize("name", NAMES)
def test_kept_proof_is_accepted(name: str) -> None:
    golden = load(name)
    check_equal(golden.publics, golden.example.publics)
    check_equal(golden.key.digest.hex(), golden.key_digest.hex(), "digest of the key")
    verify(golden.key, golden.proof, golden.publics, CONTEXT)
    with pytest.raises(Rejected):
        verify(golden.key, golden.proof, golden.publics, b"")
    with pytest.raises(Rejected) as caught:
        verify(golden.key, golden.proof + b"\0", golden.publics, CONTEXT)
    check_equal(caught.value.code, Code.FORMAT)


@pytest.mark.parametrize("name", ["fibonacci", "products"])
def test_the_prover_makes_the_kept_proof(name: str) -> None:
    golden = load(name)
    entry, proof = make(name)
    check_equal(entry["key"], golden.key_digest.hex(), "digest of the key")
    check_equal(entry["publics"], golden.publics)
    check(proof == golden.proof, "the proof differs: the format or the protocol has changed")


def test_the_index_holds_nothing_else() -> None:
    kept = sorted(
        path.name for path in INDEX.parent.iterdir() if path.suffix in (".proof", ".json")
    )
    expected = [INDEX, *(INDEX.with_name(f"{name}.proof") for name in NAMES)]
    expected += [publication.PUBLICATION_FILE, publication.CUSTOMER_FILE, publication.PIN_FILE]
    expected += [INDEX.with_name(f"{name}.json") for name in derived.names()]
    aggregated = ("proof", "json", "keys.json", "customer.json")
    expected += [INDEX.with_name(f"aggregated.{ending}") for ending in aggregated]
    check_equal(kept, sorted(path.name for path in expected))
