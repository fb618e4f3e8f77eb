"""Context and statement: exact encoding, digests, and total decoding."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air.canonical_json import encode
from air.context import Context, Shape, Statement, digest_to_hex, short_digest
from air.registry import TOTAL_BOUND, Asset, Registry
from stark.errors import Code, Rejected
from stark.field.koalabear import P

REGISTRY = Registry((Asset("BTC", 8), Asset("USDT", 6)))
CONTEXT = Context(
    kind="spot",
    exchange="Example Exchange",
    time="2026-11-01T00:00:00Z",
    epoch=7,
    nonce=bytes(range(32)),
    previous=None,
    registry=REGISTRY,
    shape=Shape(log_rows=14, log_slots=11, asset_capacity=512),
    depth=13,
    policy="standard",
)
STATEMENT = Statement(CONTEXT, (12, TOTAL_BOUND - 1), (0, 1, 2, 3, 4, 5, 6, P - 1), 3)

CONTEXT_JSON = (
    b'{"assets":[{"decimals":"8","symbol":"BTC"},{"decimals":"6","symbol":"USDT"}],"depth":"13",'
    b'"epoch":"7","exchange":"Example Exchange","format":"1","kind":"spot",'
    b'"nonce":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
    b'"policy":"standard","previous":null,'
    b'"shape":{"asset_capacity":"512","log_rows":"14","log_slots":"11"},'
    b'"time":"2026-11-01T00:00:00Z"}'
)
STATEMENT_JSON = (
    b'{"batches":"3","context":' + CONTEXT_JSON + b',"root":"'
    b"00000000010000000200000003000000040000000500000006000000" + b"0000007f"
    b'","totals":["12","40564819207303340847894502572031"]}'
)


def test_bytes_and_digests() -> None:
    assert CONTEXT.encode() == CONTEXT_JSON
    assert STATEMENT.encode() == STATEMENT_JSON
    assert Context.decode(CONTEXT_JSON) == CONTEXT
    assert Statement.decode(STATEMENT_JSON) == STATEMENT
    context_tag = b"stark-liabilities/context/v1"
    statement_tag = b"stark-liabilities/statement/v1"
    assert CONTEXT.digest() == hashlib.sha256(context_tag + CONTEXT_JSON).digest()
    assert STATEMENT.digest() == hashlib.sha256(statement_tag + STATEMENT_JSON).digest()
    assert short_digest(bytes(range(32))) == "0001-0203-0405-0607"


def test_derived_sizes() -> None:
    assert (CONTEXT.shape.slots, CONTEXT.levels, CONTEXT.max_batches) == (2048, 2, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"exchange": "Example exchange"},
        {"time": "2026-11-01T00:00:01Z"},
        {"epoch": 8},
        {"nonce": bytes(32)},
        {"previous": bytes(32)},
        {"registry": Registry((Asset("BTC", 8), Asset("USDC", 6)))},
        {"registry": Registry((Asset("BTC", 8), Asset("USDT", 7)))},
        {"registry": Registry((Asset("USDT", 6), Asset("BTC", 8)))},
        {"shape": Shape(15, 11, 512)},
        {"shape": Shape(14, 10, 512)},
        {"shape": Shape(14, 11, 511)},
        {"depth": 14},
        {"policy": "standard2"},
    ],
)
def test_every_field_of_the_context_is_in_both_digests(change: dict[str, Any]) -> None:
    other = replace(CONTEXT, **change)
    assert other.digest() != CONTEXT.digest()
    assert replace(STATEMENT, context=other).digest() != STATEMENT.digest()
    assert Context.decode(other.encode()) == other


@pytest.mark.parametrize(
    "change", [{"totals": (13, TOTAL_BOUND - 1)}, {"root": (1,) * 8}, {"batches": 4}]
)
def test_every_field_of_the_statement_is_in_its_digest(change: dict[str, Any]) -> None:
    assert replace(STATEMENT, **change).digest() != STATEMENT.digest()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"kind": "margin"}, Code.STATEMENT, "kind (expected spot, got 'margin')"),
        ({"exchange": ""}, Code.STATEMENT, "exchange (expected a name has 1 to 128 characters"),
        ({"exchange": "x" * 129}, Code.STATEMENT, "exchange ("),
        ({"exchange": " x"}, Code.STATEMENT, "exchange ("),
        ({"exchange": "x\u202ey"}, Code.STATEMENT, "got 'x\\u202ey')"),
        ({"exchange": "x\x1b[0m"}, Code.STATEMENT, "got 'x\\x1b[0m')"),
        ({"exchange": "\ud800"}, Code.STATEMENT, "exchange ("),
        ({"time": "2026-11-01T00:00:00+00:00"}, Code.STATEMENT, "time (expected a time is RFC"),
        ({"time": "2026-11-01T00:00:00.0Z"}, Code.STATEMENT, "time ("),
        ({"time": "2026-11-01 00:00:00Z"}, Code.STATEMENT, "time ("),
        ({"time": "2026-02-29T00:00:00Z"}, Code.STATEMENT, "this one does not exist"),
        ({"time": "2026-12-31T23:59:60Z"}, Code.STATEMENT, "this one does not exist"),
        ({"time": "0000-01-01T00:00:00Z"}, Code.STATEMENT, "this one does not exist"),
        ({"time": "２026-11-01T00:00:00Z"}, Code.STATEMENT, "time ("),
        ({"epoch": -1}, Code.STATEMENT, f"epoch (expected 0 to {2**64 - 1}, got -1)"),
        ({"epoch": 2**64}, Code.STATEMENT, f"epoch (expected 0 to {2**64 - 1}, got {2**64})"),
        ({"nonce": bytes(31)}, Code.STATEMENT, "nonce (expected 32 bytes, got 31 bytes)"),
        ({"previous": b""}, Code.STATEMENT, "previous (expected 32 bytes, got 0 bytes)"),
        ({"shape": Shape(14, 11, 1)}, Code.STATEMENT, "(expected at most 1, got 2)"),
        ({"depth": 10}, Code.STATEMENT, "depth (expected 11 to 40, got 10)"),
        ({"depth": 41}, Code.STATEMENT, "depth (expected 11 to 40, got 41)"),
        ({"policy": ""}, Code.STATEMENT, "policy ("),
        ({"policy": "Standard"}, Code.STATEMENT, "policy ("),
    ],
)
def test_context_rules(change: dict[str, Any], code: Code, message: str) -> None:
    with pytest.raises(Rejected) as caught:
        replace(CONTEXT, **change)
    assert caught.value.code is code
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 0, 1), "shape: log_rows (expected 1 to 24, got 0)"),
        ((25, 0, 1), "shape: log_rows (expected 1 to 24, got 25)"),
        ((14, 15, 1), "shape: log_slots (expected 0 to 14, got 15)"),
        ((14, 11, 0), "shape: asset_capacity (expected 1 to 16384, got 0)"),
        ((14, 11, 16385), "shape: asset_capacity (expected 1 to 16384, got 16385)"),
    ],
)
def test_shape_rules(sizes: tuple[int, int, int], message: str) -> None:
    with pytest.raises(Rejected) as caught:
        Shape(*sizes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"totals": (1,)}, Code.STATEMENT, "one total per asset (expected 2, got 1)"),
        ({"totals": (1, 2, 3)}, Code.STATEMENT, "one total per asset (expected 2, got 3)"),
        ({"totals": (1, TOTAL_BOUND)}, Code.CANONICAL, "total of USDT"),
        ({"totals": (-1, 1)}, Code.CANONICAL, "total of BTC"),
        ({"root": (0,) * 7}, Code.STATEMENT, "root (expected 8 field elements, got 7)"),
        ({"root": (0,) * 7 + (P,)}, Code.CANONICAL, f"(expected 0 to {P - 1}, got {P})"),
        ({"batches": 0}, Code.STATEMENT, "number of batches (expected 1 to 4, got 0)"),
        ({"batches": 5}, Code.STATEMENT, "number of batches (expected 1 to 4, got 5)"),
    ],
)
def test_statement_rules(change: dict[str, Any], code: Code, message: str) -> None:
    with pytest.raises(Rejected) as caught:
        replace(STATEMENT, **change)
    assert caught.value.code is code
    assert message in str(caught.value)


def edited(path: str, value: Any) -> bytes:
    """The statement's JSON with one value replaced; deleted if the value is ``KeyError``."""
    document = json.loads(STATEMENT_JSON)
    target = document
    *parents, last = path.split(".")
    for key in parents:
        target = target[key]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return encode(document)


@pytest.mark.parametrize(
    ("path", "value", "code", "message"),
    [
        (
            "extra",
            "1",
            Code.FORMAT,
            "statement: keys (expected batches, context, root, totals, got",
        ),
        (
            "batches",
            KeyError,
            Code.FORMAT,
            "statement: keys (expected key batches, got no such key)",
        ),
        ("batches", "03", Code.FORMAT, "number of batches (expected a decimal string"),
        ("batches", None, Code.FORMAT, "number of batches (expected a decimal string"),
        ("root", "00" * 31, Code.FORMAT, "root (expected 32 bytes are 64 digits 0-9 a-f"),
        ("root", "00" * 31 + "7F", Code.FORMAT, "root (expected 32 bytes"),
        ("root", digest_to_hex([0] * 7 + [P]), Code.CANONICAL, "lanes are below p (expected 0 to"),
        ("root", "ff" * 32, Code.CANONICAL, "root: lanes are below p"),
        ("totals", "1", Code.FORMAT, "totals (expected a list, got '1')"),
        ("totals", ["1"], Code.STATEMENT, "one total per asset (expected 2, got 1)"),
        ("totals", ["1", str(P << 90)], Code.CANONICAL, "total (expected less than"),
        ("context", "1", Code.FORMAT, "context (expected an object, got '1')"),
        ("context.format", "2", Code.VERSION, "context format (expected 1, got '2')"),
        ("context.format", KeyError, Code.FORMAT, "context: keys (expected key format"),
        ("context.prices", [], Code.FORMAT, "context: keys (expected assets, depth"),
        ("context.previous", KeyError, Code.FORMAT, "context: keys (expected key previous"),
        ("context.previous", "00", Code.FORMAT, "previous (expected 32 bytes"),
        ("context.nonce", "0" * 63 + "٣", Code.FORMAT, "nonce (expected 32 bytes"),
        ("context.kind", True, Code.FORMAT, "kind (expected a string, got true)"),
        ("context.epoch", str(2**64), Code.CANONICAL, "epoch (expected less than"),
        ("context.depth", "41", Code.STATEMENT, "depth (expected 11 to 40, got 41)"),
        ("context.shape", ["14"], Code.FORMAT, "shape (expected an object, got a list of 1)"),
        ("context.shape.log_rows", KeyError, Code.FORMAT, "shape: keys (expected key log_rows"),
        ("context.shape.cells", "1", Code.FORMAT, "shape: keys"),
        ("context.assets", [], Code.STATEMENT, "number of assets"),
    ],
)
def test_decode_refuses(path: str, value: Any, code: Code, message: str) -> None:
    with pytest.raises(Rejected) as caught:
        Statement.decode(edited(path, value))
    assert caught.value.code is code
    assert message in str(caught.value)


@settings(max_examples=300)
@given(st.data())
def test_decode_is_total_and_no_change_keeps_the_digest(data: st.DataObject) -> None:
    changed = bytearray(STATEMENT_JSON)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        statement = Statement.decode(bytes(changed))
    except Rejected:
        return
    assert statement.encode() == changed
    assert (statement.digest() == STATEMENT.digest()) == (changed == STATEMENT_JSON)


@given(st.binary(max_size=60))
def test_decode_of_any_bytes(data: bytes) -> None:
    for kind in (Context, Statement):
        with pytest.raises(Rejected):
            kind.decode(data)
