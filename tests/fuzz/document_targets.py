"""Proof files, statements, customers' files, parameters: what is accepted encodes to itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from fuzz.target import JSON_TOKENS, Target, json_target, require
from golden.make import load
from support.mutations import PARAMETER_FIELDS

from air import canonical_json
from air.context import Statement
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile
from air.publication import MAGIC as PUBLICATION_MAGIC
from air.publication import Publication
from air.verification import verify_publication
from stark.errors import Rejected
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
    """Reading a proof file: what is accepted encodes to itself."""
    from support.publications import hollow

    def run(data: bytes) -> None:
        try:
            publication = Publication.decode(data)
        except Rejected:
            return
        require(publication.encode() == data, "a publication does not encode to itself")

    return _publication_target("publication-form", run, (hollow(3).encode(), hollow(1).encode()))


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
