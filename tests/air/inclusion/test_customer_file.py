"""The customer's file: exact bytes, and a typed refusal of everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inclusion_example import EXAMPLE

from air.canonical_json import encode
from air.context import digest_to_hex
from air.inclusion.customer import MAX_BYTES, SLOT_BOUND, CustomerFile, CustomerHolding
from air.registry import AMOUNT_BOUND
from stark.errors import Code, Rejected
from stark.field.koalabear import P

FILE = EXAMPLE.file("u-1")
VALUE: dict[str, Any] = json.loads(FILE.encode())

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LANES = st.sampled_from([0, 1, P - 1]) | st.integers(0, P - 1)
AMOUNTS = st.sampled_from([0, 1, AMOUNT_BOUND - 1]) | st.integers(0, AMOUNT_BOUND - 1)
FILES = st.builds(
    CustomerFile,
    account_id=TEXT,
    salt=st.binary(min_size=32, max_size=32),
    slot=st.integers(0, SLOT_BOUND - 1),
    holdings=st.lists(st.builds(CustomerHolding, TEXT, AMOUNTS), min_size=1, max_size=4).map(tuple),
    path=st.lists(st.tuples(*[LANES] * 8), max_size=4).map(tuple),
    statement_digest=st.binary(min_size=32, max_size=32),
)


def refusal(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        CustomerFile.decode(data)
    return caught.value


def test_bytes_of_an_example() -> None:
    path = '","'.join(digest_to_hex(sibling) for sibling in FILE.path)
    text = (
        '{"account_id":"u-1","format":"1",'
        '"holdings":[{"asset":"BTC","equity":"50000000"},{"asset":"USDT","equity":"12500000"}],'
        f'"path":["{path}"],"salt":"{FILE.salt.hex()}","slot":"0",'
        f'"statement_digest":"{EXAMPLE.statement.digest().hex()}"}}'
    )
    assert FILE.encode() == text.encode()
    assert len(FILE.path) == 5
    assert FILE.path[0] != FILE.path[1]


@given(FILES)
def test_decode_inverts_encode(file: CustomerFile) -> None:
    assert CustomerFile.decode(file.encode()) == file


def test_size_beside_the_balances() -> None:
    # 2^24 slots, an id of 64 bytes: what is no balance takes less than 2 KiB.
    path = tuple((P - 1,) * 8 for _ in range(24))
    holding = CustomerHolding("BTC", 1)
    file = replace(FILE, account_id="i" * 64, slot=(1 << 24) - 1, path=path, holdings=(holding,))
    assert len(file.encode()) < 2048


@settings(max_examples=300)
@given(FILES, st.data())
def test_any_changed_byte_is_refused_or_another_file(
    file: CustomerFile, data: st.DataObject
) -> None:
    encoded = bytearray(file.encode())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        other = CustomerFile.decode(bytes(encoded))
    except Rejected:
        return
    assert other != file
    assert other.encode() == encoded


JSON = st.recursive(
    st.none() | st.booleans() | TEXT | st.sampled_from(["0", "1", "17", "00" * 32]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.sampled_from(sorted(VALUE)), JSON)
def test_decode_is_total_over_values(key: str, value: object) -> None:
    data = encode({**VALUE, key: value})
    try:
        assert CustomerFile.decode(data).encode() == data
    except Rejected as error:
        code = error.code
    else:
        return
    assert code in (Code.FORMAT, Code.INCLUSION, Code.CANONICAL, Code.VERSION)


@given(st.binary(max_size=40) | st.sampled_from([b"{}", b"[]", b'""', b"null", b"true"]))
def test_decode_is_total_over_bytes(data: bytes) -> None:
    assert refusal(data).code is Code.FORMAT


def with_holding(asset: object = "BTC", equity: object = "1", **more: object) -> dict[str, object]:
    return {**VALUE, "holdings": [{"asset": asset, "equity": equity, **more}]}


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in VALUE.items() if name != key}


REFUSED: list[tuple[str, object, Code]] = [
    ("unknown version", {**VALUE, "format": "2"}, Code.VERSION),
    ("unknown version with other keys", {"format": "2", "new": "1"}, Code.VERSION),
    ("version that is no text", {**VALUE, "format": None}, Code.VERSION),
    ("no version", without("format"), Code.FORMAT),
    ("no salt", without("salt"), Code.FORMAT),
    ("a root of its own", {**VALUE, "root": "00" * 32}, Code.FORMAT),
    ("a list", [VALUE], Code.FORMAT),
    ("id that is no text", {**VALUE, "account_id": ["u-1"]}, Code.FORMAT),
    ("salt of 31 bytes", {**VALUE, "salt": "00" * 31}, Code.INCLUSION),
    ("salt of 33 bytes", {**VALUE, "salt": "00" * 33}, Code.INCLUSION),
    ("no salt at all", {**VALUE, "salt": ""}, Code.INCLUSION),
    ("salt of half bytes", {**VALUE, "salt": "0" * 63}, Code.FORMAT),
    ("salt in upper case", {**VALUE, "salt": "AA" * 32}, Code.FORMAT),
    ("salt with a line feed", {**VALUE, "salt": "00" * 32 + "\n"}, Code.FORMAT),
    ("slot with a sign", {**VALUE, "slot": "-1"}, Code.FORMAT),
    ("slot with a leading zero", {**VALUE, "slot": "01"}, Code.FORMAT),
    ("slot in other digits", {**VALUE, "slot": "\u0661"}, Code.FORMAT),
    ("slot of no tree", {**VALUE, "slot": str(SLOT_BOUND)}, Code.INCLUSION),
    ("slot of 5000 digits", {**VALUE, "slot": "9" * 5000}, Code.INCLUSION),
    ("no holdings", {**VALUE, "holdings": []}, Code.INCLUSION),
    ("holdings that are no list", {**VALUE, "holdings": {}}, Code.FORMAT),
    ("holding that is a pair", {**VALUE, "holdings": [["BTC", "1"]]}, Code.FORMAT),
    ("holding with a debt", with_holding(debt="1"), Code.FORMAT),
    ("asset by number", with_holding(asset=None), Code.FORMAT),
    ("amount of 2^75", with_holding(equity=str(AMOUNT_BOUND)), Code.INCLUSION),
    ("amount plus p 2^60", with_holding(equity=str(50_000_000 + (P << 60))), Code.INCLUSION),
    ("amount plus p 2^90", with_holding(equity=str(50_000_000 + (P << 90))), Code.INCLUSION),
    ("amount of 5000 digits", with_holding(equity="9" * 5000), Code.INCLUSION),
    ("negative amount", with_holding(equity="-1"), Code.FORMAT),
    ("amount with a point", with_holding(equity="0.5"), Code.FORMAT),
    ("amount with an exponent", with_holding(equity="1e3"), Code.FORMAT),
    ("amount that is empty", with_holding(equity=""), Code.FORMAT),
    ("path that is no list", {**VALUE, "path": "00" * 32}, Code.FORMAT),
    ("sibling of seven lanes", {**VALUE, "path": ["00" * 28]}, Code.FORMAT),
    ("sibling that is no text", {**VALUE, "path": [None]}, Code.FORMAT),
    ("lane of p", {**VALUE, "path": [digest_to_hex([0] * 7 + [P])]}, Code.CANONICAL),
    ("lane of 2^32 - 1", {**VALUE, "path": ["ff" * 32]}, Code.CANONICAL),
    ("digest of 31 bytes", {**VALUE, "statement_digest": "00" * 31}, Code.FORMAT),
]


@pytest.mark.parametrize(
    ("value", "code"), [row[1:] for row in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_refused_with_its_class(value: object, code: Code) -> None:
    assert refusal(encode(value)).code is code


def test_every_lane_of_every_sibling_has_one_encoding() -> None:
    for level in range(len(FILE.path)):
        for lane in range(8):
            lanes = list(FILE.path[level])
            if lanes[lane] + P >= 1 << 32:
                continue
            lanes[lane] += P
            path = [*VALUE["path"]]
            path[level] = digest_to_hex(lanes)
            assert refusal(encode({**VALUE, "path": path})).code is Code.CANONICAL


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(VALUE).encode(),
        json.dumps(dict(reversed(VALUE.items())), separators=(",", ":")).encode(),
        FILE.encode() + b"\n",
        b"\xef\xbb\xbf" + FILE.encode(),
        FILE.encode().replace(b'"slot":"0"', b'"slot":0'),
        FILE.encode().replace(b'"slot":"0"', b'"slot":"0","slot":"0"'),
        FILE.encode().replace(b'"u-1"', b'"\\u0075-1"'),
        FILE.encode().replace(b'"u-1"', b'"\\ud800"'),
        FILE.encode().replace(b"u-1", b"\xff\xfe"),
        FILE.encode()[:-1],
        b"[" * 100_000,
    ],
    ids=[
        *("spaces", "reordered keys", "trailing line feed", "byte order mark", "number"),
        *("repeated key", "needless escape", "surrogate", "not UTF-8", "truncated", "nested"),
    ],
)
def test_another_encoding_is_refused(data: bytes) -> None:
    assert refusal(data).code in (Code.FORMAT, Code.LIMIT)


def test_size_limit_comes_before_parsing() -> None:
    assert refusal(b" " * (MAX_BYTES + 1)).code is Code.LIMIT
    assert refusal(b" " * MAX_BYTES).code is Code.FORMAT
    # What the limit is derived from: all assets, the longest symbols, the largest amounts.
    holding = CustomerHolding("\uac00" * 32, AMOUNT_BOUND - 1)
    largest = replace(FILE, holdings=(holding,) * (1 << 14), path=((P - 1,) * 8,) * 40)
    assert CustomerFile.decode(largest.encode()) == largest


Change = Callable[[], CustomerFile]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: replace(FILE, account_id="\ud800"), Code.FORMAT),
        (lambda: replace(FILE, salt=b"low entropy"), Code.INCLUSION),
        (lambda: replace(FILE, slot=-1), Code.INCLUSION),
        (lambda: replace(FILE, slot=SLOT_BOUND), Code.INCLUSION),
        (lambda: replace(FILE, holdings=()), Code.INCLUSION),
        (lambda: replace(FILE, holdings=(CustomerHolding("BTC", -1),)), Code.INCLUSION),
        (lambda: replace(FILE, holdings=(CustomerHolding("BTC", AMOUNT_BOUND),)), Code.INCLUSION),
        (lambda: replace(FILE, path=((0,) * 7,)), Code.FORMAT),
        (lambda: replace(FILE, path=((0,) * 7 + (P,),)), Code.CANONICAL),
        (lambda: replace(FILE, path=((-1,) + (0,) * 7,)), Code.CANONICAL),
        (lambda: replace(FILE, statement_digest=bytes(31)), Code.FORMAT),
    ],
)
def test_no_instance_breaks_the_rules(change: Change, code: Code) -> None:
    with pytest.raises(Rejected) as caught:
        change()
    assert caught.value.code is code
