"""A circuit as bytes: it comes back whole, and nothing else comes back."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.checks import check, check_equal
from support.recursion_systems import KINDS, recursion

from stark.errors import UsageError
from stark.recursion.builder import CircuitBuilder
from stark.recursion.circuit import Circuit
from stark.recursion.circuit_file import MAXIMUM_ROWS, decode_circuit, encode_circuit


def circuit() -> Circuit:
    return recursion(next(iter(KINDS))).circuit


def small(tag: int = 1) -> Circuit:
    """With rows in every table but that of folds."""
    builder = CircuitBuilder(12, (5, 12))
    builder.lanes_of(builder.digest_hint())
    return builder.finish([builder.digest_constant(tuple(range(8)))], tag)


@cache
def file() -> bytes:
    return encode_circuit(small())


def sealed(content: bytes) -> bytes:
    """A file whose digest is right."""
    return hashlib.sha256(content).digest() + content


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Head, and the compressed integers."""
    (length,) = struct.unpack("<I", data[32:36])
    return json.loads(data[36 : 36 + length]), data[36 + length :]


def joined(head: object, rest: bytes) -> bytes:
    encoded = json.dumps(head).encode()
    return sealed(struct.pack("<I", len(encoded)) + encoded + rest)


def refused(data: bytes) -> str:
    with pytest.raises(UsageError, match="file of a circuit") as caught:
        decode_circuit(data)
    return str(caught.value)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_circuit_comes_back(kind: str) -> None:
    one = recursion(kind).circuit
    found = decode_circuit(encode_circuit(one))
    check_equal(found, one)
    # Columns in their order, and everything that the digest does not name.
    check_equal(found.digest, one.digest)
    check_equal(found.labels, one.labels)


def test_a_file_is_the_same_every_time() -> None:
    check_equal(encode_circuit(small()), file())
    check(encode_circuit(small(2)) != file(), "another circuit has another file")


def test_other_columns_than_those_of_the_tables() -> None:
    one = circuit()
    names = list(one.fold)
    columns = dict(zip([names[1], names[0], *names[2:]], one.fold.values(), strict=True))
    for wrong in (replace(one, fold=columns), replace(one, widths=(*one.widths, 31))):
        with pytest.raises(UsageError, match="other columns"):
            encode_circuit(wrong)


# ---- accidents


def test_every_changed_byte_is_noticed() -> None:
    for place in range(len(file())):
        data = bytearray(file())
        data[place] ^= 1 << place % 8
        refused(bytes(data))


def test_every_cut_is_noticed() -> None:
    for length in range(len(file())):
        refused(file()[:length])
    refused(file() + b"x")


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused(data: bytes, right_digest: bool) -> None:
    refused(sealed(data) if right_digest else data)


# ---- files with a right digest


def test_a_cut_content_under_its_own_digest() -> None:
    content = file()[32:]
    for length in range(len(content)):
        refused(sealed(content[:length]))
    for more in (b"x", zlib.compress(b"x")):
        check("end" in refused(sealed(content + more)), "does not end where it should")


HEADS: dict[str, Callable[[dict[str, Any]], object]] = {
    "list": lambda head: [head],
    "nothing": lambda _: None,
    "missing": lambda head: {name: head[name] for name in head if name != "steps"},
    "unknown": lambda head: head | {"more": 1},
    "too many rows": lambda head: head | {"rows": [MAXIMUM_ROWS + 1, *head["rows"][1:]]},
    "negative rows": lambda head: head | {"rows": [-1, *head["rows"][1:]]},
    "true rows": lambda head: head | {"rows": [True, *head["rows"][1:]]},
    "rows of text": lambda head: head | {"rows": ["1", *head["rows"][1:]]},
    "three tables": lambda head: head | {"rows": head["rows"][:3]},
    "five tables": lambda head: head | {"rows": [*head["rows"], 0]},
    "rows by table": lambda head: head | {"rows": {"arithmetic": 1}},
    "another row": lambda head: head | {"rows": [head["rows"][0] + 1, *head["rows"][1:]]},
    "a row less": lambda head: head | {"rows": [head["rows"][0] - 1, *head["rows"][1:]]},
    "another step": lambda head: head | {"steps": head["steps"] + 1},
    "a step less": lambda head: head | {"steps": head["steps"] - 1},
    "no steps": lambda head: head | {"steps": None},
    "half a step": lambda head: head | {"steps": 0.5},
    "infinite": lambda head: head | {"wire_count": float("inf")},
    "digits": lambda head: head | {"wire_count": 10**400},
    "true": lambda head: head | {"hint_count": True},
    "widths": lambda head: head | {"widths": [12, 5]},
    "equal widths": lambda head: head | {"widths": [5, 5]},
    "wide": lambda head: head | {"widths": [5, 32]},
    "a width more": lambda head: head | {"widths": [5, 12, 13]},
    "caps of three": lambda head: head | {"cap_heights": [[1, 2, 3]]},
    "caps of text": lambda head: head | {"cap_heights": [[1, "2"]]},
    "caps by name": lambda head: head | {"cap_heights": {"1": 2}},
    "a cap of nothing": lambda head: head | {"cap_heights": [[0, 1]]},
    "a cap elsewhere": lambda head: head | {"cap_heights": [[head["digest_count"] + 1, 1]]},
    "a cap without end": lambda head: head | {"cap_heights": [[1, 25]]},
    "a negative cap": lambda head: head | {"cap_heights": [[1, -1]]},
    "labels of numbers": lambda head: head | {"labels": [[0, 1]]},
    "names of labels": lambda head: head | {"labels": ["ab"]},
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_other_types(name: str) -> None:
    head, rest = parts(file())
    refused(joined(HEADS[name](head), rest))


def test_integers_that_are_not_compressed() -> None:
    head, rest = parts(file())
    plain = zlib.decompress(rest)
    check("compressed" in refused(joined(head, plain)), "no stream")
    changed = bytearray(rest)
    changed[-1] ^= 1
    refused(joined(head, bytes(changed)))
    for integers in (plain[:-8], plain + bytes(8), b""):
        refused(joined(head, zlib.compress(integers)))
    # Compressed otherwise, it is the same circuit.
    check_equal(decode_circuit(joined(head, zlib.compress(plain, 9))), small())


def test_integers_are_little_endian() -> None:
    _, rest = parts(file())
    plain = zlib.decompress(rest)
    first = small().arithmetic["address a"]
    check(any(first), "a column with values")
    check_equal(plain[: 8 * len(first)], b"".join(value.to_bytes(8, "little") for value in first))


def test_steps_are_kept_as_they_are() -> None:
    one = small()
    steps = array("q", one.steps)
    steps[-1] = -(1 << 62)
    check_equal(decode_circuit(encode_circuit(replace(one, steps=steps))).steps, steps)
