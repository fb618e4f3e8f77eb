"""Rules of statements and customers' files that another rule would enforce later or by accident:
each refuses by itself, in its own words and before anything costly."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.publications import PROFILE, SHAPE, context, hollow

from air import verification
from air.canonical_json import encode
from air.context import Context, Statement, digest_from_hex, digest_to_hex
from air.inclusion.customer import MAX_BYTES, CustomerFile
from air.keys import verification_key
from air.proof_size import least_proof_size
from air.registry import MAX_ASSETS, MAX_DECIMALS, Asset, Registry
from air.verification import verify_publication
from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.verifier.header import encode_header

CONTEXT: dict[str, Any] = json.loads(context(1).encode())


@pytest.mark.parametrize("field", ["kind", "exchange", "time", "policy"])
@pytest.mark.parametrize("value", [None, True, [], ["x"], {}])
def test_texts_of_a_context(field: str, value: object) -> None:
    with pytest.raises(Rejected) as caught:
        Context.decode(encode(CONTEXT | {field: value}))
    assert (caught.value.code, caught.value.check) == (Code.FORMAT, field)
    assert caught.value.expected == "a string"


@pytest.mark.parametrize("field", ["depth", "shape: log_rows", "shape: log_slots"])
@pytest.mark.parametrize("value", [256, P + 5, 1 << 64])
def test_sizes_that_may_be_aliases(field: str, value: int) -> None:
    changed = json.loads(json.dumps(CONTEXT))
    fields = changed["shape"] if field.startswith("shape: ") else changed
    fields[field.removeprefix("shape: ")] = str(value)
    with pytest.raises(Rejected) as caught:
        Context.decode(encode(changed))
    assert (caught.value.code, caught.value.check) == (Code.CANONICAL, field)


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("lane", [-1, P, P + 1])
def test_lanes_of_a_root(place: int, lane: int) -> None:
    root = (*range(place), lane, *range(place + 1, 8))
    with pytest.raises(Rejected) as caught:
        Statement(context(1), (1, 2, 3), root, 1)
    assert (caught.value.code, caught.value.got) == (Code.CANONICAL, lane)


@pytest.mark.parametrize("place", range(8))
def test_lanes_in_hexadecimal(place: int) -> None:
    lanes = [0, 1, 2, 3, 4, 5, 6, P - 1]
    assert digest_from_hex(digest_to_hex(lanes), "a digest") == tuple(lanes)
    lanes[place] = P
    with pytest.raises(Rejected) as caught:
        digest_from_hex(digest_to_hex(lanes), "a digest")
    assert (caught.value.code, caught.value.check) == (
        Code.CANONICAL,
        "a digest: lanes are below p",
    )


@pytest.mark.parametrize("decimals", [-1, MAX_DECIMALS + 1])
def test_decimals(decimals: int) -> None:
    with pytest.raises(Rejected) as caught:
        Asset("BTC", decimals)
    assert (caught.value.code, caught.value.check) == (Code.STATEMENT, "decimals of asset BTC")


@pytest.mark.parametrize("value", [None, True, "BTC", {}, {"decimals": "8", "symbol": "BTC"}])
def test_assets_are_a_list(value: Any) -> None:
    with pytest.raises(Rejected) as caught:
        Registry.from_json(value)
    assert (caught.value.code, caught.value.check) == (Code.FORMAT, "assets")


def test_assets_are_counted_before_they_are_read() -> None:
    with pytest.raises(Rejected) as caught:
        Registry.from_json([None] * (MAX_ASSETS + 1))
    assert (caught.value.code, caught.value.check) == (Code.STATEMENT, "number of assets")
    with pytest.raises(Rejected) as caught:
        Registry.from_json([None] * MAX_ASSETS)
    assert (caught.value.code, caught.value.check) == (Code.FORMAT, "asset")


def test_a_customers_file_that_is_too_long_is_called_so() -> None:
    with pytest.raises(Rejected) as caught:
        CustomerFile.decode(bytes(MAX_BYTES + 1))
    assert (caught.value.code, caught.value.check) == (Code.LIMIT, "size of the customer's file")
    with pytest.raises(Rejected) as caught:
        CustomerFile.decode(bytes(MAX_BYTES))
    assert caught.value.code is Code.FORMAT


def test_headers_of_all_batches_are_read_before_the_totals_are_hashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object) -> None:
        raise LookupError("this hashes every asset of the capacity")

    monkeypatch.setattr(verification, "check_totals", forbidden)
    key = verification_key(PROFILE, SHAPE)
    head = encode_header(key)
    foreign = head[:-1] + bytes([head[-1] ^ 1])
    rest = bytes(least_proof_size(key) - len(head))
    publication = hollow(3)
    for number in range(3):
        batches = tuple(
            replace(batch, proof=(foreign if place == number else head) + rest)
            for place, batch in enumerate(publication.batches)
        )
        with pytest.raises(Rejected) as caught:
            verify_publication(replace(publication, batches=batches).encode(), None, (PROFILE,))
        assert caught.value.code is Code.VK
