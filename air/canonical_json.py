"""Canonical JSON: exactly one byte string for each value, so that a digest names the value.

The rules: UTF-8; keys sorted by Unicode code point and never repeated; no spaces; no JSON numbers
at all, integers being decimal strings (a reader that parses numbers as doubles cannot differ);
strings escaped as ECMA-404 requires and no further (``\\"``, ``\\\\``, ``\\b \\t \\n \\f \\r``,
else ``\\u00xx`` in lower case below U+0020). What does not encode back to its own bytes is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeAlias

from stark.errors import Code, Rejected

JsonValue: TypeAlias = "str | bool | list[JsonValue] | dict[str, JsonValue] | None"

MAX_BYTES = 1 << 22
"""A statement over 2^14 assets, the most there can be, with 32-character symbols of 3 bytes each
takes 2^14 * (30 + 96 + 35) bytes = 2.6 MB; this leaves a factor of 1.6."""

MAX_CONTAINERS = (1 << 14) + 64
"""Lists and objects together: a statement has one per asset and a few more. Bounds the work of the
decoder, which is much more per bracket than per byte."""

MAX_DEPTH = 16
"""Nested lists and objects. A statement nests five deep; the decoder recurses once per level."""

# A string, closed or not, or a bracket. Possessive, and matching unclosed strings too, so that no
# text makes it look at a character twice.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_DECIMAL = re.compile(r"0|[1-9][0-9]*")


def encode(value: Any) -> bytes:
    """The canonical bytes of a value made of ``str``, ``bool``, ``None``, ``list`` and ``dict``.

    Raises
    ------
    Rejected
        ``Format`` for any other type, a key that is not a string, or a lone surrogate;
        ``Limit`` for more than ``MAX_DEPTH`` levels or ``MAX_BYTES`` bytes.
    """
    _require_plain(value, 0)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise Rejected(
            Code.FORMAT, "canonical JSON: text is Unicode", "no surrogates", "a lone surrogate"
        ) from None
    _require_size(len(data))
    return data


def decode(data: bytes) -> Any:
    """The value of canonical bytes; ``encode(decode(data)) == data`` for all that is accepted.

    Raises
    ------
    Rejected
        ``Limit`` for more than ``MAX_BYTES`` bytes or ``MAX_DEPTH`` levels, else ``Format``.
        Nothing else, whatever the bytes.
    """
    _require_size(len(data))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected(
            Code.FORMAT, "canonical JSON: bytes are UTF-8", "UTF-8", f"byte {error.start}"
        ) from None
    _require_shallow(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=_refuse_number,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except json.JSONDecodeError as error:
        raise Rejected(
            Code.FORMAT, "canonical JSON: syntax", "JSON", f"{error.msg} at character {error.pos}"
        ) from None
    if encode(value) != data:
        raise Rejected(
            Code.FORMAT,
            "canonical JSON: one encoding per value",
            "sorted keys, no spaces, no needless escapes",
            "another encoding of the same value",
        )
    return value


def parse_decimal(text: object, bound: int, check: str) -> int:
    """The integer of a canonical decimal string: ``"0"``, ``"17"``; no sign, no leading zero.

    Parameters
    ----------
    text
        Any decoded value; everything but a canonical string is refused.
    bound
        Exclusive upper bound.
    check
        What the integer is, for the rejection.

    Raises
    ------
    Rejected
        ``Format`` if it is not a canonical decimal string, ``Canonical`` if it is ``bound`` or
        more: such a value may be an alias of one that fits, modulo p.
    """
    if not isinstance(text, str) or _DECIMAL.fullmatch(text) is None:
        raise Rejected(Code.FORMAT, check, 'a decimal string such as "0" or "17"', abbreviate(text))
    # The comparison of lengths comes first: int() of a very long string raises ValueError.
    if len(text) > len(str(bound)) or int(text) >= bound:
        raise Rejected(Code.CANONICAL, check, f"less than {bound}", abbreviate(text))
    return int(text)


def abbreviate(value: object) -> str:
    """A foreign value on one line for a message: escaped, at most 80 characters.

    Containers are named, not shown: to write a large one out would cost more than to refuse it.
    """
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = ascii(value[:80] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 80 else text[:77] + "..."


def _require_plain(value: object, depth: int) -> None:
    """Refuse what JSON would have to convert (numbers, tuples, subclasses) and deep nesting."""
    if value is None or type(value) in (str, bool):
        return
    if depth == MAX_DEPTH:
        raise _too_deep()
    if type(value) is list:
        for item in value:
            _require_plain(item, depth + 1)
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise Rejected(Code.FORMAT, "canonical JSON: keys", "str", type(key).__name__)
            _require_plain(item, depth + 1)
    else:
        raise Rejected(
            Code.FORMAT,
            "canonical JSON: types",
            "str, bool, None, list or dict",
            type(value).__name__,
        )


def _require_shallow(text: str) -> None:
    """Count brackets outside strings before the decoder sees them: it recurses, this does not."""
    depth = containers = 0
    for token in _TOKENS.finditer(text):
        character = text[token.start()]
        if character in "[{":
            containers += 1
            if containers > MAX_CONTAINERS:
                raise Rejected(
                    Code.LIMIT, "canonical JSON: lists and objects", MAX_CONTAINERS, "more"
                )
            depth += 1
            if depth > MAX_DEPTH:
                raise _too_deep()
        elif character != '"':
            depth -= 1


def _require_size(size: int) -> None:
    if size > MAX_BYTES:
        raise Rejected(Code.LIMIT, "canonical JSON: size", f"at most {MAX_BYTES} bytes", size)


def _too_deep() -> Rejected:
    return Rejected(Code.LIMIT, "canonical JSON: nesting", f"at most {MAX_DEPTH} levels", "more")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise Rejected(
                Code.FORMAT, "canonical JSON: keys are unique", "each once", abbreviate(key)
            )
        value[key] = item
    return value


def _refuse_number(text: str) -> NoReturn:
    raise Rejected(
        Code.FORMAT, "canonical JSON: integers are decimal strings", '"17"', abbreviate(text)
    )
