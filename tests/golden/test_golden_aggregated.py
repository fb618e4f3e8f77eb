"""The kept aggregate of two batches verifies, with the keys that were pinned when it was made.

Later versions may pin other circuits; a file of this one then needs its keys, which are kept too.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support.checks import check_equal

from air.aggregate.keys import TrustedKeys, decode_aggregates
from air.inclusion.check import check_inclusion
from air.publication import AggregatedPublication, decode_publication
from air.verification import verify_publication
from stark.errors import Code, Rejected

HERE = Path(__file__).parent
DATA = (HERE / "aggregated.proof").read_bytes()
PIN = json.loads((HERE / "aggregated.json").read_text(encoding="ascii"))


def trusted() -> TrustedKeys:
    table = decode_aggregates((HERE / "aggregated.keys.json").read_bytes())
    return TrustedKeys(table, bytes.fromhex(PIN["key_digest"]))


def test_the_kept_aggregate_is_accepted_with_its_keys() -> None:
    check_equal(hashlib.sha256(DATA).hexdigest(), PIN["sha256"])
    digest = bytes.fromhex(PIN["statement_digest"])
    acceptance = verify_publication(DATA, digest, trusted=trusted())
    check_equal(acceptance.statement.batches, 2)
    check_equal([str(total) for total in acceptance.statement.totals], PIN["totals"])


def test_the_kept_aggregate_is_accepted_by_the_pinned_keys() -> None:
    # As long as its circuits are the pinned ones.
    customer = (HERE / "aggregated.customer.json").read_bytes()
    check_inclusion(customer, DATA, PIN["account"])


def test_its_encoding_is_the_only_one() -> None:
    publication = decode_publication(DATA)
    assert isinstance(publication, AggregatedPublication)
    check_equal(publication.encode(), DATA)


@pytest.mark.parametrize("place", [60, 900, 1100, 5_000, 100_000, len(DATA) - 1])
def test_a_changed_byte_is_refused(place: int) -> None:
    changed = DATA[:place] + bytes([DATA[place] ^ 1]) + DATA[place + 1 :]
    with pytest.raises(Rejected):
        verify_publication(changed, trusted=trusted())


def test_other_keys_are_refused() -> None:
    wrong = TrustedKeys(trusted().aggregates, bytes(32))
    with pytest.raises(Rejected) as caught:
        verify_publication(DATA, trusted=wrong)
    check_equal(caught.value.code, Code.VK)
