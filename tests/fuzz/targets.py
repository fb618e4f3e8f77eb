"""What is fuzzed, and how inputs are changed.

A target is a function from bytes to nothing. It swallows the refusal that it is documented to
raise; every other exception is a finding, and so are :class:`AcceptedMutantError` and
:class:`SlowError`. Inputs are honest ones, changed by :func:`mutate`, which knows where their
sections and field elements are.
"""

from __future__ import annotations

import csv
import io
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Context as DecimalContext
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

from golden.make import CONTEXT, Golden, load
from support.mutations import PARAMETER_FIELDS, ProofMap

from air import canonical_json
from air.context import Statement
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile
from air.publication import MAGIC as PUBLICATION_MAGIC
from air.publication import Publication
from air.verification import verify_publication
from stark.errors import InputError, Rejected
from stark.field.koalabear import P
from stark.soundness.parameters import ProtocolParameters
from stark.verifier.verify import verify

TIME_LIMIT = 2.0
"""Seconds that one execution may take."""


class AcceptedMutantError(Exception):
    """Something was accepted that is not honest, or that does not encode to itself."""


class SlowError(Exception):
    """One execution took longer than the time limit."""


Section = tuple[int, int]
"""First byte of a part of an input, and the first behind it."""


@dataclass(frozen=True)
class Target:
    """A function under test and the honest inputs that mutants are made of.

    Attributes
    ----------
    run
        Returns, or raises what is a finding.
    seeds
        Honest inputs. The offsets below are those of the first.
    sections
        Parts that are swapped, repeated, left out.
    elements
        Offsets of field elements (4 bytes) and of lengths.
    document
        First byte and end of the part that is JSON; ``None`` if there is none.
    length_field
        Offset of the 4 bytes that hold the length of the document, if it has such.
    tokens
        Bytes with a meaning in this format.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    sections: tuple[Section, ...] = ()
    elements: tuple[int, ...] = ()
    document: Section | None = None
    length_field: int | None = None
    tokens: tuple[bytes, ...] = ()


def execute(target: Target, data: bytes, limit: float = TIME_LIMIT) -> None:
    """Run a target on one input; SlowError if that takes longer than ``limit`` seconds."""
    start = time.perf_counter()
    target.run(data)
    seconds = time.perf_counter() - start
    if seconds > limit:
        raise SlowError(f"{target.name}: {seconds:.2f} s, {len(data)} bytes")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AcceptedMutantError(message)


# ---- proofs


def proof_target(name: str) -> Target:
    """The verifier on a kept proof: nothing else is accepted in its place."""
    golden = load(name)

    def run(data: bytes) -> None:
        try:
            verify(golden.key, data, golden.publics, CONTEXT)
        except Rejected:
            return
        _require(data == golden.proof, "a proof that is not the honest one is accepted")

    return _proof_target(f"verify-{name}", golden, run)


def unguarded_target(name: str) -> Target:
    """The verifier without its comparisons of digests, work, constraints and buses.

    With them nearly every mutant is refused at the first comparison. What remains has to be total
    on its own: a forger gets past the first comparison that they can satisfy. Accepting is no
    finding here.
    """
    golden = load(name)

    def run(data: bytes) -> None:
        with comparisons_passed():
            try:
                verify(golden.key, data, golden.publics, CONTEXT)
            except Rejected:
                return

    return _proof_target(f"unguarded-{name}", golden, run)


@contextmanager
def comparisons_passed() -> Iterator[None]:
    """Digests, proofs of work, constraints and buses are taken to hold."""

    def holds(*_: object) -> bool:
        return True

    with ExitStack() as stack:
        for name in (
            "stark.transcript.transcript.grind_succeeds",
            "stark.verifier.verify.check_table",
            "stark.verifier.verify.check_buses",
            "stark.verifier.verify.verify_opening",
        ):
            stack.enter_context(mock.patch(name, holds))
        yield


def _proof_target(name: str, golden: Golden, run: Callable[[bytes], None]) -> Target:
    parts = ProofMap(golden.key, golden.proof, golden.publics, CONTEXT)
    sections = [(section.start, section.end) for section in parts.sections.values()]
    sections += [(tree.start, tree.end) for tree in parts.trees.values()]
    return Target(
        name,
        run,
        (golden.proof, load("fibonacci").proof),
        tuple(section for section in sections if section[0] < section[1]),
        tuple(parts.elements()),
    )


# ---- the publication


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
        _require(data == honest, "a publication that is not the honest one is accepted")

    return _publication_target("publication", run, (honest, hollow(1).encode()))


def publication_form_target() -> Target:
    """Reading a proof file: what is accepted encodes to itself."""
    from support.publications import hollow

    def run(data: bytes) -> None:
        try:
            publication = Publication.decode(data)
        except Rejected:
            return
        _require(publication.encode() == data, "a publication does not encode to itself")

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


# ---- JSON

JSON_TOKENS = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b"0", b"-1", b"1e9", b"NaN"),
    *(b"null", b"true", b'""', b"[]", b"{}", b"\\u0000", b"\\ud800", b"\\/", b"\xff", b"\x00"),
    *(b"\xef\xbb\xbf", b"\xed\xa0\x80", b"[" * 200, b"9" * 5000, b'{"":', b"Infinity", b"1.0"),
    *("é".encode(), "e\u0301".encode(), "٣".encode(), "\u202e".encode(), b"\xf0\x9f\x98\x80"),
)

STRANGE_VALUES: tuple[Any, ...] = (
    *("", "0", "00", "-0", "+1", "1_0", " 1", "1.0", "1e3", "٣", "\n", "\x00", "\u202e", "²"),
    *(str(n) for n in (1, 23, 24, 25, 39, 40, 41, 255, 256, 1 << 14, P - 1, P, P + 1, 1 << 64)),
    *(str((1 << bits) + d) for bits in (32, 75, 105) for d in (-1, 0, 1)),
    *("9" * 5000, "0" * 64, "f" * 64, "F" * 64, "a" * 63, "0" * 66, "x" * 129),
    *(None, True, False, [], {}, [[]], {"": ""}, ["0"] * 100),
)


def canonical_json_target() -> Target:
    """Canonical JSON: what is accepted encodes to itself."""

    def run(data: bytes) -> None:
        try:
            value = canonical_json.decode(data)
        except Rejected:
            return
        _require(canonical_json.encode(value) == data, "a value does not encode to itself")

    example = canonical_json.encode(
        {"a": ["1", None, True, {"": 'é"\\\n\u0001/'}], "b": [[[[["0"]]]]], "\U0001f600": {}}
    )
    return _json_target("canonical-json", run, (example, _example().statement.encode()))


def statement_target() -> Target:
    """Statements: what is accepted encodes to itself."""

    def run(data: bytes) -> None:
        try:
            statement = Statement.decode(data)
        except Rejected:
            return
        _require(statement.encode() == data, "a statement does not encode to itself")
        statement.digest()

    from support.publications import hollow

    return _json_target(
        "statement", run, (_example().statement.encode(), hollow(1).statement.encode())
    )


def customer_target() -> Target:
    """Customers' files: what is accepted encodes to itself, and the statement has those alone that
    the exchange made."""
    example = _example()
    files = tuple(example.file(name).encode() for name in example.salts)

    def run(data: bytes) -> None:
        try:
            customer = CustomerFile.decode(data)
        except Rejected:
            return
        _require(customer.encode() == data, "a customer's file does not encode to itself")
        try:
            check_customer(customer, example.statement)
        except Rejected:
            return
        _require(data in files, "a customer's file that is not an honest one is accepted")

    return _json_target("customer", run, files)


def _json_target(name: str, run: Callable[[bytes], None], seeds: tuple[bytes, ...]) -> Target:
    honest = seeds[0]
    cuts = [0, *(at + 1 for at, byte in enumerate(honest) if byte in b",[]{}:"), len(honest)]
    sections = tuple((a, b) for a, b in pairwise(cuts) if a < b)
    return Target(name, run, seeds, sections, (), (0, len(honest)), None, JSON_TOKENS)


@cache
def _example() -> Any:
    """The example of the inclusion tests; beside them, not in a package."""
    import importlib.util
    import sys

    path = Path(__file__).parent.parent / "air" / "inclusion" / "inclusion_example.py"
    spec = importlib.util.spec_from_file_location("fuzz_inclusion_example", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.EXAMPLE


# ---- parameters


def parameters_target() -> Target:
    """Protocol parameters: what is accepted encodes to itself and has a schedule."""

    def run(data: bytes) -> None:
        try:
            parameters = ProtocolParameters.decode(data)
            _require(parameters.encode() == data, "parameters do not encode to themselves")
            parameters.schedule([12, 9, 8])
        except Rejected:
            return

    seeds = tuple(load(name).key.parameters.encode() for name in ("products", "hidden"))
    sections = tuple((start, start + size) for start, size in PARAMETER_FIELDS.values())
    return Target("parameters", run, seeds, sections)


# ---- snapshots

MANIFEST = {
    "format": "1",
    "exchange": "Example Exchange",
    "time": "2026-11-01T00:00:00Z",
    "epoch": "7",
    "kind": "spot",
    "previous": None,
    "assets": [
        {"symbol": "BTC", "decimals": "8"},
        {"symbol": "ETH", "decimals": "18"},
        {"symbol": "JPY", "decimals": "0"},
    ],
}

CSV_SEEDS = (
    b"account_id,asset,equity\nu-1,BTC,0.5\nu-1,ETH,12.25\nu-2,JPY,1000\nu-4,BTC,21000000.00000001\n",
    b'\xef\xbb\xbfaccount_id,asset,equity\r\n"a,""b""",BTC,1\r\n"u-2","ETH","0.1"\r\nu-3,JPY,7',
)

CSV_TOKENS = (
    *(b'"', b'""', b'","', b",", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00"),
    *(b"-1", b"+1", b"-0", b"0.", b".5", b"00", b"1e5", b"1_0", b" 1", b"1 ", b"0x1", b"NaN"),
    *(b"inf", b"9" * 40, b"0." + b"1" * 19, b"37778931862957161709567", b"\xd9\xa3", b"\xff"),
    *(b"37778931862957161709568", b"u-1,BTC,0.5\n", b"u-1,ETH,0\n", b"XXX", b"btc", b"0" * 5000),
    *(b"x" * 300, b"\x1a", b"\xc2\xa0", b"\xe2\x80\xae", b"debt", b"\t", b";", b"'", b"\n\n"),
)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fuzz-")


def manifest_target() -> Target:
    """Manifests: read, or InputError (whose message can be shown)."""
    from air.snapshot.manifest import read_manifest

    path = Path(_folder().name) / "mutant.manifest.json"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            read_manifest(path)
        except InputError as error:
            str(error)

    seed = json.dumps(MANIFEST).encode()
    numbers = json.dumps(MANIFEST | {"epoch": 7, "previous": "0" * 64}, indent=1).encode()
    return _json_target("manifest", run, (seed, numbers))


def csv_target() -> Target:
    """Snapshots as CSV: InputError, or the accounts and totals that the csv module finds."""
    from air.snapshot.check import load as load_snapshot

    path = Path(_folder().name) / "snapshot.csv"
    path.with_suffix(".manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            snapshot = load_snapshot(path)
        except InputError as error:
            str(error)
            return
        accounts, totals = csv_reference(data)
        _require(snapshot.accounts == accounts, "the accounts are not those of the file")
        _require(snapshot.totals() == totals, "the totals are not those of the file")

    sections = []
    start = 0
    for line in CSV_SEEDS[0].splitlines(keepends=True):
        sections.append((start, start + len(line)))
        start += len(line)
    return Target("csv", run, CSV_SEEDS, tuple(sections), tokens=CSV_TOKENS)


def csv_reference(data: bytes) -> tuple[int, list[int]]:
    """Number of accounts and totals in minor units of a faultless CSV file."""
    text = data.decode("utf-8-sig")
    decimals = {entry["symbol"]: int(entry["decimals"]) for entry in MANIFEST["assets"]}  # type: ignore[union-attr,index]
    totals = dict.fromkeys(decimals, 0)
    accounts = set()
    exact = DecimalContext(prec=200)
    for account, asset, equity in list(csv.reader(io.StringIO(text, newline="")))[1:]:
        accounts.add(account)
        totals[asset] += int(exact.scaleb(Decimal(equity), decimals[asset]))
    return len(accounts), list(totals.values())


TARGETS: dict[str, Callable[[], Target]] = {
    "verify-products": lambda: proof_target("products"),
    "verify-hidden": lambda: proof_target("hidden"),
    "unguarded-products": lambda: unguarded_target("products"),
    "unguarded-hidden": lambda: unguarded_target("hidden"),
    "publication": publication_target,
    "publication-form": publication_form_target,
    "statement": statement_target,
    "customer": customer_target,
    "canonical-json": canonical_json_target,
    "parameters": parameters_target,
    "manifest": manifest_target,
    "csv": csv_target,
}
"""How each target is made; making one may prove something."""


# ---- mutators

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
