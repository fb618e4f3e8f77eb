"""Publications of version 2: the kept one, its system and keys by the documents, mutations."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import pytest
from support.checks import check, check_equal

from air.aggregate.keys import TrustedKeys, decode_aggregates
from air.verification import verify_publication as first_verification
from stark.recursion.system import CircuitShape as FirstShape
from stark.recursion.system import circuit_system as first_system
from stark.system import table_digest
from stark.verifier.key import VerificationKey

from .aggregate import (
    HEIGHTS,
    KEYS,
    Aggregate,
    aggregate_digest,
    batch_key,
    circuit_key,
    printed_parameters,
    read_aggregate,
    verify_aggregate,
    verify_file,
)
from .comparing import same
from .kept import file, golden, verdict
from .publication import check_inclusion, read_customer, read_publication
from .system import CircuitShape, circuit_system
from .verifier import Key

SHAPES = [
    CircuitShape(15, 15, 12, 12, (2, 6, 20), 20),
    CircuitShape(16, 16, 13, 10, (1, 5, 19, 20), 19),
    CircuitShape(17, 17, 11, 11, (16, 20), 16),
    CircuitShape(5, 0, 9, 2, (31, 1), 1),
    CircuitShape(8, 8, 8, 8, (7,), 24),
]

DATA = file("aggregated.proof")
TABLE = file("aggregated.keys.json")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("zk", [False, True])
@pytest.mark.parametrize("whole_rows", [False, True])
def test_systems_of_circuits_by_the_listings(
    shape: CircuitShape, zk: bool, whole_rows: bool
) -> None:
    own = circuit_system(shape, zk, whole_rows)
    names = (*shape.heights().values(), shape.widths, shape.log_order)
    first = first_system(FirstShape(*names), zk=zk, whole_rows=whole_rows)
    for table, other in zip(own.tables, first.tables, strict=True):
        check_equal(table.graph.nodes, [tuple(map(int, n)) for n in other.symbolic.graph.nodes])
        check_equal(table.digest().hex(), table_digest(other).hex(), table.name)
        used = [list(columns) for columns in other.next_columns.values()]
        check_equal(own.next_columns()[table.name], used, table.name)
    check_equal(own.digest().hex(), first.digest().hex())


def test_all_keys_by_the_documents() -> None:
    """Batches, joins and wraps, pinned and kept; circuits.md prints their parameters, no others."""

    def compare(role: str, named: str, own: Key, first: VerificationKey) -> None:
        check_equal(own.parameters.data.hex(), first.parameters.encode().hex(), named)
        check_equal(own.digest().hex(), first.digest.hex(), f"{role} {named}")
        used.add((profile, role, named))

    used: set[tuple[str, str, str]] = set()
    for table in (KEYS.read_bytes(), TABLE):
        first = {(k.profile, k.shape.name): k for k in decode_aggregates(table)}
        entries = json.loads(table)["aggregates"]
        check_equal(len(entries), len(first))
        for entry in entries:
            profile = entry["profile"]
            keys = first[profile, entry["shape"]]
            compare("batch", entry["shape"], batch_key(profile, entry), keys.batch_key())
            for role, first_key in (("join", keys.join_key), ("wrap", keys.wrap_key)):
                for level, circuit in enumerate(entry[f"{role}s"], 1):
                    named = "-".join(circuit[name] for name in HEIGHTS)
                    own = circuit_key(profile, role, circuit)[1]
                    compare(role, named, own, first_key(level))
            levels = len(entry["wraps"])
            check_equal(aggregate_digest(entry, levels).hex(), keys.digest(levels).hex())
    check_equal(used, set(printed_parameters()))


def given() -> tuple[bytes, bytes]:
    """The kept keys, and their digest."""
    return TABLE, bytes.fromhex(golden("aggregated")["key_digest"])


def test_the_kept_aggregate_is_accepted() -> None:
    kept = golden("aggregated")
    digest = bytes.fromhex(kept["statement_digest"])
    aggregate = verify_aggregate(DATA, expected=digest, given=given())
    check_equal(aggregate.statement.totals, [int(total) for total in kept["totals"]])
    (entry,) = json.loads(TABLE)["aggregates"]
    check_equal(aggregate_digest(entry, 1).hex(), kept["key_digest"])


def test_what_is_kept_of_the_wrap() -> None:
    kept = golden("aggregated.wrap")
    (entry,) = json.loads(TABLE)["aggregates"]
    system, key = circuit_key(entry["profile"], "wrap", entry["wraps"][0])
    for table, other in zip(system.tables, kept["tables"], strict=True):
        found = [table.name, len(table.graph.nodes), len(table.constraints), table.digest().hex()]
        check_equal(found, list(other.values()))
    check_equal(key.system.hex(), kept["key"]["system"])
    check_equal(key.parameters.data.hex(), kept["key"]["parameters"])
    check_equal(key.shape.hex(), kept["key"]["shape"])
    check_equal([digest.hex() for digest in key.preprocessed], kept["key"]["preprocessed"])
    check_equal(key.digest().hex(), kept["key"]["digest"])
    aggregate = read_aggregate(DATA)
    check_equal(aggregate.context().hex(), kept["context"])
    check_equal(aggregate.publics(), {"permutation": kept["publics"]})


def test_either_version_by_the_pinned_keys() -> None:
    # The kept aggregate as long as its circuits are the pinned ones, like its customer's file.
    verify_file(DATA)
    verify_file(file("publication.proof"))
    check_equal(verdict(lambda: verify_file(changed(8))), "Version")
    check_equal(verdict(lambda: verify_file(changed(PROOF + 120))), "VK")


def test_the_customer_is_included() -> None:
    customer = read_customer(file("aggregated.customer.json"))
    statement = read_aggregate(DATA).statement
    account = golden("aggregated")["account"]
    check_inclusion(customer, statement, account)
    check_equal(verdict(lambda: check_inclusion(customer, statement, "u-0")), "Statement")


def changed(at: int, bit: int = 1) -> bytes:
    """The kept file with another byte."""
    return DATA[:at] + bytes([DATA[at] ^ bit]) + DATA[at + 1 :]


def replaced(old: bytes, new: bytes) -> bytes:
    """The kept file with a part of its statement exchanged, its length kept right."""
    check(DATA.count(old) == 1, "the part is there once")
    data = DATA.replace(old, new)
    size = int.from_bytes(DATA[10:14], "little") + len(new) - len(old)
    return data[:10] + size.to_bytes(4, "little") + data[14:]


END = 14 + int.from_bytes(DATA[10:14], "little")
"""Where the statement ends: blind, digest, length and proof follow."""

PROOF = END + 68

MUTATIONS: dict[str, tuple[Callable[[], bytes], str | None]] = {
    "magic": (lambda: changed(0), "Format"),
    "version 3": (lambda: changed(8), "Version"),
    "a byte more": (lambda: DATA + b"\0", "Format"),
    "a byte less": (lambda: DATA[:-1], "Format"),
    "one batch": (lambda: replaced(b'"batches":"2"', b'"batches":"1"'), "Statement"),
    "three batches": (lambda: replaced(b'"batches":"2"', b'"batches":"3"'), "Statement"),
    "profile": (lambda: replaced(b'"proven128"', b'"proven100"'), "Policy"),
    "a total": (lambda: replaced(b'"492895734"', b'"492895733"'), "PoW"),
    "the blind": (lambda: changed(END), None),
    "the blind is not canonical": (lambda: changed(END + 3, 0x80), "Canonical"),
    "the first digest": (lambda: changed(END + 32), None),
    "the length of the proof": (lambda: changed(END + 64), "Format"),
    "the magic of the proof": (lambda: changed(PROOF), "Format"),
    "the parameters": (lambda: changed(PROOF + 11), "Policy"),
    "the shape": (lambda: changed(PROOF + 62), "Shape"),
    "the key digest": (lambda: changed(PROOF + 120), "VK"),
    "the salt": (lambda: changed(PROOF + 150), "OOD"),
    "a row": (lambda: changed(len(DATA) - 40_000), None),
    "the last byte": (lambda: changed(len(DATA) - 1), None),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_both_verifiers_refuse_alike(name: str) -> None:
    make, code = MUTATIONS[name]
    data, (table, digest) = make(), given()
    trusted = TrustedKeys(decode_aggregates(table), digest)
    found = same(
        lambda: first_verification(data, trusted=trusted),
        lambda: verify_aggregate(data, given=given()),
        name,
    )
    check(found == code or (code is None and found != "accepted"), f"{name}: {found}")


@pytest.mark.parametrize("seed", range(12))
def test_both_verifiers_on_changed_bits(seed: int) -> None:
    chance = Random(seed)
    bounds = (0, END, PROOF, PROOF + 20_000, len(DATA))
    region = seed % 4
    at = chance.randrange(bounds[region], bounds[region + 1])
    data, (table, digest) = changed(at, 1 << chance.randrange(8)), given()
    trusted = TrustedKeys(decode_aggregates(table), digest)
    found = same(
        lambda: first_verification(data, trusted=trusted),
        lambda: verify_aggregate(data, given=given()),
        f"byte {at}",
    )
    check(found != "accepted", f"byte {at}")


def test_public_values_are_those_of_the_statement() -> None:
    """Each of what the proof is about changes all that it says."""
    aggregate = read_aggregate(DATA)
    said = aggregate.publics()["permutation"]
    other = Aggregate(aggregate.statement, aggregate.digest_before, aggregate.blind, b"")
    check_equal(other.context(), aggregate.context())
    check(all(a != b for a, b in zip(said, other.publics()["permutation"], strict=True)), "lanes")


def test_other_keys_and_versions() -> None:
    check_equal(verdict(lambda: verify_aggregate(DATA, given=(TABLE, bytes(32)))), "VK")
    entry = json.loads(TABLE)
    entry["aggregates"][0]["wraps"][0]["root"] = "11" * 32
    other = json.dumps(entry).encode()
    check_equal(verdict(lambda: verify_aggregate(DATA, given=(other, given()[1]))), "VK")
    own = aggregate_digest(entry["aggregates"][0], 1)
    check_equal(verdict(lambda: verify_aggregate(DATA, given=(other, own))), "VK")
    wrong = bytes.fromhex(golden("publication")["statement_digest"])
    check_equal(verdict(lambda: verify_aggregate(DATA, expected=wrong)), "Statement")
    check_equal(verdict(lambda: read_publication(DATA)), "Version")
    check_equal(verdict(lambda: read_aggregate(file("publication.proof"))), "Version")
