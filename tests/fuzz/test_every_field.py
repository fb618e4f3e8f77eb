"""Every field of an accepted file, changed: no such file is accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from golden.make import CONTEXT, load
from support.mutations import (
    ProofMap,
    byte_places,
    flipped,
    next_element,
)
from support.publications import PROFILE, proven, with_statement

from air import canonical_json
from air.publication import MAGIC, Publication
from air.verification import verify_publication
from stark.errors import Rejected
from stark.field.koalabear import P
from stark.verifier.verify import verify


def require_rejected(name: str, data: bytes, what: str) -> None:
    golden = load(name)
    try:
        verify(golden.key, data, golden.publics, CONTEXT)
    except Rejected:
        return
    pytest.fail(f"accepted with another {what}")


@pytest.mark.parametrize("name", ["fibonacci", "products", "hidden"])
def test_fields_of_a_proof(name: str) -> None:
    golden = load(name)
    parts = ProofMap(golden.key, golden.proof, golden.publics, CONTEXT)
    names = set()
    for field, at in byte_places(parts):
        names.add(field)
        require_rejected(name, flipped(golden.proof, at, 1 << at % 8), field)
    assert {"magic", "version", "parameters", "key digest", "queries", "final polynomial"} <= names


@pytest.mark.parametrize("name", ["fibonacci", "products", "hidden"])
def test_elements_of_a_proof(name: str) -> None:
    golden = load(name)
    parts = ProofMap(golden.key, golden.proof, golden.publics, CONTEXT)
    elements = list(parts.elements())
    # Strides that are prime to the lengths of rows and elements meet every column.
    for at in elements[:: 3 if name == "fibonacci" else 41]:
        require_rejected(name, next_element(golden.proof, at), f"element at {at}")
        value = int.from_bytes(golden.proof[at : at + 4], "little")
        alias = golden.proof[:at] + (value + P).to_bytes(4, "little") + golden.proof[at + 4 :]
        require_rejected(name, alias, f"encoding of the element at {at}")


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def test_fields_of_a_publication() -> None:
    publication = proven(1).publication
    honest = proven(1).data
    assert Publication.decode(honest).encode() == honest
    verify_publication(honest, None, (PROFILE,))
    start = len(MAGIC) + 6
    statement = publication.statement.encode()
    after = start + len(statement)
    proof = after + 64 + 68
    mutants = [flipped(honest, at) for at in (*range(start), *range(after, proof + 8, 8))]
    for path in leaves(json.loads(statement)):
        value = json.loads(statement)
        inside = value
        for key in path[:-1]:
            inside = inside[key]
        old = inside[path[-1]]
        for new in (None, str(old)[:-1] + "1", str(old)[:-1] + "2"):
            if new != old:
                inside[path[-1]] = new
                mutants.append(with_statement(honest, canonical_json.encode(value)))
    mutants += [honest[:-1], honest + b"\0", honest[:after] + honest[after + 32 :]]
    for data in mutants:
        with pytest.raises(Rejected):
            verify_publication(data, None, (PROFILE,))
