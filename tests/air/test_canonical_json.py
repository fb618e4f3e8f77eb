"""Canonical JSON: one byte string per value, and a typed refusal of everything else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air import canonical_json
from air.canonical_json import MAX_BYTES, MAX_DEPTH, abbreviate, decode, encode, parse_decimal
from stark.errors import Code, Rejected

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def code_of(data: bytes) -> Code:
    with pytest.raises(Rejected) as caught:
        decode(data)
    return caught.value.code


@given(VALUES)
def test_decode_inverts_encode(value: object) -> None:
    data = encode(value)
    assert decode(data) == value
    assert json.loads(data) == value


def test_bytes_of_an_example() -> None:
    value = {"b": ["1", None, True], "a": 'é"\\\n\x1f\x7f', "\U00010000": {}, "\uffff": []}
    assert encode(value) == (
        '{"a":"é\\"\\\\\\n\\u001f\x7f","b":["1",null,true],"\uffff":[],"\U00010000":{}}'.encode()
    )


@given(VALUES, st.data())
def test_any_changed_byte_is_refused_or_another_value(value: object, data: st.DataObject) -> None:
    encoded = bytearray(encode(value))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(encoded))
    except Rejected:
        return
    assert other != value
    assert encode(other) == encoded


@settings(max_examples=300)
@given(st.binary(max_size=40) | st.text('{}[]",:\\u0d8e1tnfNa- \n', max_size=30).map(str.encode))
def test_decode_is_total(data: bytes) -> None:
    try:
        value = decode(data)
    except Rejected:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1",
        b"-0",
        b"1.0",
        b"1e0",
        b"NaN",
        b"-Infinity",
        b"9" * 5000,
        b'{"a":"1","a":"1"}',
        b'{"b":"1","a":"1"}',
        b'{"a": "1"}',
        b'["1",]',
        b'"1" ',
        b'\xef\xbb\xbf"1"',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u001F"',
        b'"\\ud800"',
        b'"\\u00e9"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\n"',
        b"null\x00",
        b'"open',
        b"[",
        b"]",
        b"}}}",
    ],
)
def test_format(data: bytes) -> None:
    assert code_of(data) is Code.FORMAT


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a":"1","a":"1"}', r"keys are unique \(expected each once, got 'a'\)"),
        (b"NaN", r"integers are decimal strings \(expected \"17\", got 'NaN'\)"),
        (b"[17]", r"integers are decimal strings \(expected \"17\", got '17'\)"),
        (b"1.5", r"integers are decimal strings \(expected \"17\", got '1.5'\)"),
        (b"\xff", r"bytes are UTF-8 \(expected UTF-8, got byte 0\)"),
        (b"[,]", r"syntax \(expected JSON, got Expecting value at character 1\)"),
        (b'["1" ]', "one encoding per value"),
    ],
)
def test_messages(data: bytes, message: str) -> None:
    with pytest.raises(Rejected, match=message):
        decode(data)


def test_depth_limit_counts_brackets_outside_strings_only() -> None:
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert encode(decode(deepest)) == deepest
    assert code_of(b"[" + deepest + b"]") is Code.LIMIT
    assert code_of(b"[" * 1_000_000) is Code.LIMIT
    assert code_of(b'{"a":' * 100_000) is Code.LIMIT
    assert decode(b'"' + b"[" * 100 + b'"') == "[" * 100
    assert decode(b'["\\"' + b"[" * 100 + b'"]') == ['"' + "[" * 100]
    value: object = "1"
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(Rejected, match="Limit: canonical JSON: nesting"):
        encode(value)


def test_size_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of(b" " * (MAX_BYTES + 1)) is Code.LIMIT
    monkeypatch.setattr(canonical_json, "MAX_BYTES", 4)
    assert encode("ab") == b'"ab"'
    with pytest.raises(Rejected, match=r"Limit: .* \(expected at most 4 bytes, got 5\)"):
        encode("abc")


def test_unclosed_string_of_escapes_is_refused_in_linear_time() -> None:
    # A backtracking scan of this would take hours.
    assert code_of(b'"' + b'\\"' * 1_000_000) is Code.FORMAT


@pytest.mark.parametrize(
    "value", [1, 1.5, b"a", ("a",), {1: "a"}, {"a": 1}, ["\ud800"], {"\ud800": "a"}]
)
def test_encode_refuses_what_is_not_canonical(value: object) -> None:
    with pytest.raises(Rejected) as caught:
        encode(value)
    assert caught.value.code is Code.FORMAT


@given(st.integers(0, 2**80))
def test_parse_decimal_inverts_str(value: int) -> None:
    assert parse_decimal(str(value), value + 1, "value") == value
    with pytest.raises(Rejected) as caught:
        parse_decimal(str(value), value, "value")
    assert caught.value.code is Code.CANONICAL
    assert caught.value.expected == f"less than {value}"


@pytest.mark.parametrize(
    "text", ["", "00", "01", "-0", "-1", "+1", "1 ", " 1", "1_0", "1.0", "1e3", "٣", "0x1", 1, None]
)
def test_parse_decimal_refuses_other_forms(text: object) -> None:
    with pytest.raises(Rejected, match="Format: epoch") as caught:
        parse_decimal(text, 100, "epoch")
    assert caught.value.got == abbreviate(text)


def test_parse_decimal_of_a_very_long_text() -> None:
    with pytest.raises(Rejected, match="Canonical: epoch"):
        parse_decimal("9" * 100_000, 2**64, "epoch")


def test_abbreviate() -> None:
    assert abbreviate("é\n") == "'\\xe9\\n'"
    assert abbreviate(None) == "null"
    assert abbreviate(["a"] * 1000) == "a list of 1000"
    assert abbreviate({}) == "an object of 0"
    assert abbreviate("x" * 10**6) == "'" + "x" * 76 + "..."


def test_very_many_containers_are_refused_before_they_are_decoded() -> None:
    for pair in (b"[]", b"{}"):
        data = b"[" + b",".join([pair] * 20_000) + b"]"
        assert code_of(data) is Code.LIMIT
