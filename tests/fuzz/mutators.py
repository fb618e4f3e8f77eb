"""How inputs are changed: one to three changes that know where sections and elements are."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from fuzz.target import Target

from stark.field.koalabear import P

STRANGE_VALUES: tuple[Any, ...] = (
    *("", "0", "00", "-0", "+1", "1_0", " 1", "1.0", "1e3", "٣", "\n", "\x00", "\u202e", "²"),
    *(str(n) for n in (1, 23, 24, 25, 39, 40, 41, 255, 256, 1 << 14, P - 1, P, P + 1, 1 << 64)),
    *(str((1 << bits) + d) for bits in (32, 75, 105) for d in (-1, 0, 1)),
    *("9" * 5000, "0" * 64, "f" * 64, "F" * 64, "a" * 63, "0" * 66, "x" * 129),
    *(None, True, False, [], {}, [[]], {"": ""}, ["0"] * 100),
)


ELEMENT_VALUES = (0, 1, P - 1, P, P + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


def mutate(target: Target, data: bytes, source: random.Random) -> bytes:
    """The input with one to three changes, each of a kind that fits the format."""
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        data = source.choice(_mutators(target))(target, data, source)
    return data


Mutator = Callable[[Target, bytes, random.Random], bytes]


def _mutators(target: Target) -> list[Mutator]:
    chosen: list[Mutator] = [change_bytes, change_length, splice]
    if target.elements:
        chosen += [change_element] * 4
    if target.sections:
        chosen += [change_sections] * 2
    if target.document is not None:
        chosen += [change_document] * 5
    if target.tokens:
        chosen += [insert_token] * 2
    return chosen


def change_element(target: Target, data: bytes, source: random.Random) -> bytes:
    """A field element becomes another, or what must not pass for one."""
    at = source.choice(target.elements)
    value = int.from_bytes(data[at : at + 4], "little")
    values = (*ELEMENT_VALUES, value + 1, value ^ 1, value + P, value - 1, source.randrange(P))
    new = source.choice(values) % (1 << 32)
    return data[:at] + new.to_bytes(4, "little") + data[at + 4 :]


def change_sections(target: Target, data: bytes, source: random.Random) -> bytes:
    """Two sections are swapped, one is repeated, left out, overwritten by another, or emptied."""
    first, second = sorted(source.choice(target.sections) for _ in range(2))
    a, b = data[first[0] : first[1]], data[second[0] : second[1]]
    action = source.randrange(5)
    if action == 0 and first[1] <= second[0]:
        return data[: first[0]] + b + data[first[1] : second[0]] + a + data[second[1] :]
    if action == 1:
        return data[: first[1]] + a + data[first[1] :]
    if action == 2:
        return data[: first[0]] + data[first[1] :]
    if action == 3:
        return data[: first[0]] + b[: len(a)] + data[first[0] + len(b[: len(a)]) :]
    return data[: first[0]] + bytes([source.choice((0, 255))]) * len(a) + data[first[1] :]


def change_length(target: Target, data: bytes, source: random.Random) -> bytes:
    """The input ends early or late, or loses or gains bytes inside."""
    size = source.choice((1, 1, 4, 32, source.randrange(1, 100)))
    action = source.randrange(5)
    at = source.randrange(len(data) + 1)
    if action == 0:
        return data[:at]
    if action == 1:
        return data[: max(0, len(data) - size)]
    if action == 2:
        return data + source.randbytes(size)
    if action == 3:
        return data[:at] + data[at + size :]
    return data[:at] + source.randbytes(size) + data[at:]


def splice(target: Target, data: bytes, source: random.Random) -> bytes:
    """The beginning of one input and the end of an honest one."""
    other = source.choice(target.seeds)
    if source.randrange(2):
        at = source.randrange(min(len(data), len(other)) + 1)
        return data[:at] + other[at:]
    return data[: source.randrange(len(data) + 1)] + other[source.randrange(len(other) + 1) :]


def change_bytes(target: Target, data: bytes, source: random.Random) -> bytes:
    """Bits are flipped, or bytes overwritten; a few inputs are bytes of no format at all."""
    if not data or source.randrange(50) == 0:
        return source.randbytes(source.randrange(300))
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 8))):
        at = source.randrange(len(changed))
        changed[at] = source.choice((changed[at] ^ 1 << source.randrange(8), source.randrange(256)))
    return bytes(changed)


def insert_token(target: Target, data: bytes, source: random.Random) -> bytes:
    """Something with a meaning in the format, put in or over what is there."""
    token = source.choice(target.tokens)
    start, end = target.document or (0, len(data))
    at = source.randrange(start, max(start + 1, min(end, len(data)) + 1))
    return data[:at] + token + data[at + source.choice((0, 0, 1, len(token))) :]


def change_document(target: Target, data: bytes, source: random.Random) -> bytes:
    """One value inside the JSON becomes another; lengths and canonical form are kept."""
    start, end = target.document or (0, len(data))
    if target.length_field is not None:
        at = target.length_field
        end = start + int.from_bytes(data[at : at + 4], "little")
    elif end != len(data):
        end = len(data)
    try:
        value = json.loads(data[start:end])
    except (ValueError, RecursionError):
        return insert_token(target, data, source)
    value = _changed_value(value, source)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    document = text.encode("utf-8", "surrogatepass")
    result = data[:start] + document + data[end:]
    if target.length_field is not None:
        at = target.length_field
        result = result[:at] + len(document).to_bytes(4, "little") + result[at + 4 :]
    return result


def _changed_value(value: Any, source: random.Random) -> Any:
    """The value with one change somewhere inside."""
    inside = isinstance(value, list | dict) and value and source.randrange(8)
    if not inside:
        return _other_value(value, source)
    if isinstance(value, list):
        copy: Any = list(value)
        at = source.randrange(len(copy))
        action = source.randrange(8)
        if action == 0:
            copy.insert(at, copy[source.randrange(len(copy))])
        elif action == 1:
            del copy[at]
        elif action == 2:
            source.shuffle(copy)
        else:
            copy[at] = _changed_value(copy[at], source)
        return copy
    copy = dict(value)
    key = source.choice(sorted(copy))
    action = source.randrange(16)
    if action == 0:
        del copy[key]
    elif action == 1:
        copy[source.choice(("", "x", key + " ", key.upper(), "`", "a.b", "[0]"))] = copy[key]
    elif action == 2:
        copy[key] = copy[source.choice(sorted(copy))]
    else:
        copy[key] = _changed_value(copy[key], source)
    return copy


def _other_value(value: Any, source: random.Random) -> Any:
    action = source.randrange(4)
    if isinstance(value, str) and action == 0:
        at = source.randrange(len(value) + 1)
        return value[:at] + source.choice(("0", "1", "f", "é", "\x00", " ", "")) + value[at + 1 :]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 50:
        return str(max(0, int(value) + source.choice((-1, 1, P, -P, 1 << 32))))
    if isinstance(value, str) and len(value) == 64 and action == 1:
        at = 8 * source.randrange(8)
        lane = source.choice(ELEMENT_VALUES).to_bytes(4, "little").hex()
        return value[:at] + lane + value[at + 8 :]
    if action == 2:
        return [value] * source.choice((0, 1, 2))
    return source.choice(STRANGE_VALUES)
