"""Proof files, statements, customers' files, parameters: what is accepted encodes to itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.target import JSON_TOKENS, Target, json_target, require
from golden.make import load
from support.mutations import PARAMETER_FIELDS

from air import canonical_json
from air.aggregate.inner import InnerKind, InnerProof
from air.aggregate.keys import (
    AggregateKeys,
    PinnedCircuit,
    decode_aggregates,
    encode_aggregates,
)
from air.aggregate.publics import AggregatePublics
from air.context import Statement
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile
from air.publication import MAGIC as PUBLICATION_MAGIC
from air.publication import decode_publication
from air.shape import Shape
from air.verification import verify_publication
from stark.errors import Rejected
from stark.recursion.system import CircuitShape
from stark.soundness.parameters import ProtocolParameters


def publication_target() -> Target:
    """A proof file, proven here; verified under the profile it has."""
    # Imported here: it needs the prover.
    from support.publications import PROFILE, hollow, proven

    honest = proven(1).data

    def run(data: bytes) -> None:
        try:
            verify_publication(data, None, (PROFILE,))
        except Rejected:
            return
        require(data == honest, "a publication that is not the honest one is accepted")

    return _publication_target("publication", run, (honest, hollow(1).encode()))


def publication_form_target() -> Target:
    """Reading a proof file of either version: what is accepted encodes to itself."""
    from support.aggregates import unproven
    from support.publications import hollow

    def run(data: bytes) -> None:
        try:
            publication = decode_publication(data)
        except Rejected:
            return
        require(publication.encode() == data, "a publication does not encode to itself")

    seeds = (hollow(3).encode(), hollow(1).encode(), unproven(3, bytes(40)).encode())
    return _publication_target("publication-form", run, seeds)


def inner_proof_target() -> Target:
    """Reading an inner proof's file: what is accepted encodes to itself."""
    digests = [tuple(range(first, first + 8)) for first in (1, 9, 17)]
    said = AggregatePublics(bytes(range(32)), 3, True, *digests)
    join = InnerProof(InnerKind.JOIN, 2, 1, said, bytes(40))
    batch = InnerProof(InnerKind.BATCH, 0, 3, replace(said, count=1), b"")

    def run(data: bytes) -> None:
        try:
            inner = InnerProof.decode(data)
        except Rejected:
            return
        require(inner.encode() == data, "an inner proof does not encode to itself")

    sections = ((0, 8), (8, 10), (10, 12), (12, 16), (16, 48), (48, 52), (53, 149), (153, 193))
    return Target(
        "inner-proof", run, (join.encode(), batch.encode()), sections, (12, 48, *range(53, 153, 4))
    )


def aggregate_keys_target() -> Target:
    """A table of keys: what is accepted is written as something that is read as the same, and its
    keys are keys or refused."""
    circuit = PinnedCircuit(CircuitShape(14, 14, 12, 13, (5, 20), 17), bytes([1]) * 32)
    keys = AggregateKeys("proven128", Shape(12, 5, 9), bytes([2]) * 32, (circuit,), (circuit,))

    def run(data: bytes) -> None:
        try:
            found = decode_aggregates(data)
        except Rejected:
            return
        require(
            set(decode_aggregates(encode_aggregates(found))) == set(found), "another table is read"
        )
        for one in found:
            try:
                one.digest(1)
            except Rejected:
                continue

    return json_target("aggregate-keys", run, (encode_aggregates((keys,)),))


def _publication_target(
    name: str, run: Callable[[bytes], None], seeds: tuple[bytes, ...]
) -> Target:
    honest = seeds[0]
    magic = len(PUBLICATION_MAGIC)
    start = magic + 6
    end = start + int.from_bytes(honest[magic + 2 : start], "little")
    sections = [(0, magic), (magic, magic + 2), (magic + 2, start), (start, end)]
    elements = [magic + 2, *range(end, end + 64, 4)]
    sections += [(end, end + 32), (end + 32, end + 64)]
    at = end + 64
    while at < len(honest):
        size = int.from_bytes(honest[at + 64 : at + 68], "little")
        batch_end = at + 68 + size
        sections += [(at, at + 32), (at + 32, at + 64), (at + 68, batch_end), (at, batch_end)]
        elements += range(at, at + 68, 4)
        elements += range(at + 68, batch_end - 4, max(4, size // 256 * 4))
        at = batch_end
    return Target(
        name,
        run,
        seeds,
        tuple(sections),
        tuple(elements),
        (start, end),
        magic + 2,
        JSON_TOKENS,
    )


def canonical_json_target() -> Target:
    """Canonical JSON: what is accepted encodes to itself."""

    def run(data: bytes) -> None:
        try:
            value = canonical_json.decode(data)
        except Rejected:
            return
        require(canonical_json.encode(value) == data, "a value does not encode to itself")

    seed = canonical_json.encode(
        {"a": ["1", None, True, {"": 'é"\\\n\u0001/'}], "b": [[[[["0"]]]]], "\U0001f600": {}}
    )
    return json_target("canonical-json", run, (seed, example().EXAMPLE.statement.encode()))


def statement_target() -> Target:
    """Statements: what is accepted encodes to itself."""

    def run(data: bytes) -> None:
        try:
            statement = Statement.decode(data)
        except Rejected:
            return
        require(statement.encode() == data, "a statement does not encode to itself")
        statement.digest()

    from support.publications import hollow

    return json_target(
        "statement", run, (example().EXAMPLE.statement.encode(), hollow(1).statement.encode())
    )


def customer_target() -> Target:
    """Customers' files: what is accepted encodes to itself, and the statement has those alone that
    the exchange made."""
    honest = example().EXAMPLE
    files = tuple(honest.file(name).encode() for name in honest.salts)

    def run(data: bytes) -> None:
        try:
            customer = CustomerFile.decode(data)
        except Rejected:
            return
        require(customer.encode() == data, "a customer's file does not encode to itself")
        try:
            check_customer(customer, honest.statement)
        except Rejected:
            return
        require(data in files, "a customer's file that is not an honest one is accepted")

    return json_target("customer", run, files)


@cache
def example() -> Any:
    """The module of the inclusion tests' example; beside them, not in a package."""
    import importlib.util
    import sys

    path = Path(__file__).parent.parent / "air" / "inclusion" / "inclusion_example.py"
    spec = importlib.util.spec_from_file_location("fuzz_inclusion_example", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# ---- parameters


def parameters_target() -> Target:
    """Protocol parameters: what is accepted encodes to itself and has a schedule."""

    def run(data: bytes) -> None:
        try:
            parameters = ProtocolParameters.decode(data)
            require(parameters.encode() == data, "parameters do not encode to themselves")
            parameters.schedule([12, 9, 8])
        except Rejected:
            return

    seeds = tuple(load(name).key.parameters.encode() for name in ("products", "hidden"))
    sections = tuple((start, start + size) for start, size in PARAMETER_FIELDS.values())
    return Target("parameters", run, seeds, sections)
