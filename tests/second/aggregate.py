"""Publications of version 2, one proof for all batches (format.md, section 16; circuits.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .poseidon import permute
from .publication import (
    MAGIC,
    Statement,
    read_head,
    read_one_proof,
    totals_digest,
    verify_publication,
)
from .reading import Reader, elements, require
from .system import DOCS, CircuitShape, Shape, System, batch_system, circuit_system
from .transcript import Note, sha256
from .verifier import Key, Layout, check_header, make_key, verify_proof

VERSION = 2
KEYS = Path(__file__).parents[2] / "air" / "aggregate" / "keys.json"
HEIGHTS = ("log_permutations", "log_arithmetic", "log_folds", "log_decompositions")


@dataclass(frozen=True)
class Aggregate:
    """The file of a publication of version 2, read but not verified."""

    statement: Statement
    blind: list[int]
    digest_before: list[int]
    proof: bytes

    def context(self) -> bytes:
        """The context bytes of the proof."""
        head = b"stark-liabilities/aggregate/v1"
        return sha256(head, self.statement.context_digest(), self.statement.digest())

    def publics(self) -> dict[str, list[int]]:
        """The public values of the proof."""
        said = self.statement
        data = self.context()
        numbers = [int.from_bytes(data[i : i + 2], "little") for i in range(0, 32, 2)]
        blocks = [numbers[:8], numbers[8:]]
        after = totals_digest(self.blind, said.totals, said.capacity)
        header = [0, 0, 0, 0, 0, 0, said.batches, 1]
        join = sponge(b"SLj1", [*blocks, header, self.digest_before, after, said.root])
        return {"permutation": sponge(b"SLw1", [*blocks, join])}


def sponge(name: bytes, blocks: Sequence[Sequence[int]]) -> list[int]:
    """S of section 16."""
    state = [0] * 8 + [int.from_bytes(name, "little"), 8 * len(blocks)] + [0] * 6
    for block in blocks:
        state = permute([*block, *state[8:]])
    return state[:8]


def read_aggregate(data: bytes) -> Aggregate:
    """Checks 1 and 2 of section 16."""
    reader = Reader(data)
    statement = read_head(reader, VERSION)
    require(statement.batches >= 2, "Statement", "a single batch has no aggregate")
    blind, before = elements(reader.take(32)), elements(reader.take(32))
    proof = read_one_proof(reader)
    reader.end()
    return Aggregate(statement, blind, before, proof)


# Keys.


@cache
def printed_parameters() -> dict[tuple[str, str, str], bytes]:
    """The parameters that circuits.md prints, by profile, role, and shape or heights."""
    text = (DOCS / "circuits.md").read_text("utf-8")
    found = re.findall(r"^```parameters ([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    result = {}
    for profile, block in found:
        suite = b""
        for line in block.splitlines():
            role, what, *value = line.split()
            if role == "suite":
                suite = what.encode() + bytes(32 - len(what))
            else:
                result[profile, role, what] = bytes.fromhex(value[0]) + suite
    return result


def _parameters(profile: str, role: str, what: str) -> bytes:
    known = printed_parameters()
    require((profile, role, what) in known, "VK", f"no parameters for the {role} {what}")
    return known[profile, role, what]


def _shape(circuit: dict[str, Any]) -> CircuitShape:
    permutations, arithmetic, folds, decompositions = (int(circuit[name]) for name in HEIGHTS)
    widths = tuple(int(width) for width in circuit["widths"])
    log_order = int(circuit["log_order"])
    return CircuitShape(permutations, arithmetic, folds, decompositions, widths, log_order)


def circuit_key(profile: str, role: str, circuit: dict[str, Any]) -> tuple[System, Key]:
    """The system and the key of a `join` or a `wrap` of a table of keys."""
    shape = _shape(circuit)
    system = circuit_system(shape, zk=role == "wrap", whole_rows=role == "join")
    heights = "-".join(str(height) for height in shape.heights().values())
    parameters = _parameters(profile, role, heights)
    return system, make_key(system, parameters, [bytes.fromhex(circuit["root"])])


def batch_key(profile: str, entry: dict[str, Any]) -> Key:
    """The key of the batches that are joined."""
    numbers = re.fullmatch(r"rows([0-9]+)-slots([0-9]+)-assets([0-9]+)", entry["shape"])
    require(numbers is not None, "VK", "no shape of batches")
    shape = Shape(*map(int, numbers.groups())) if numbers else Shape(0, 0, 0)
    system = batch_system(shape, zk=False, whole_rows=True)
    parameters = _parameters(profile, "batch", entry["shape"])
    return make_key(system, parameters, [bytes.fromhex(entry["batch"])])


def aggregate_digest(entry: dict[str, Any], levels: int) -> bytes:
    """The key digest of an aggregate: all its keys by one name."""
    profile = entry["profile"]
    keys = [batch_key(profile, entry)]
    keys += [circuit_key(profile, "join", join)[1] for join in entry["joins"][:levels]]
    keys.append(circuit_key(profile, "wrap", entry["wraps"][levels - 1])[1])
    return sha256(b"stark-liabilities/aggregate-key/v1", *(key.digest() for key in keys))


def _entry(table: bytes, profile: str, shape: str) -> dict[str, Any]:
    """The keys of a profile and a shape of batches in a table of keys."""
    value = json.loads(table.decode("ascii"))
    require(value["format"] == "1", "Version", "the format of the keys is not known")
    found = [e for e in value["aggregates"] if (e["profile"], e["shape"]) == (profile, shape)]
    require(len(found) == 1, "VK", f"no keys for {shape}")
    entry: dict[str, Any] = found[0]
    return entry


def _ignore(_what: str, _values: dict[str, Any]) -> None:
    """Take no note."""


def verify_aggregate(
    data: bytes,
    accepted: Collection[str] = ("proven128",),
    expected: bytes | None = None,
    given: tuple[bytes, bytes] | None = None,
    note: Note = _ignore,
) -> Aggregate:
    """Accept a publication of version 2, or raise Refused.

    `given` are a table of keys and the key digest that it has to have; without them the keys are
    the pinned ones. The rest is as in `verify_publication`.
    """
    aggregate = read_aggregate(data)
    statement = aggregate.statement
    require(expected in (None, statement.digest()), "Statement", "not the expected statement")
    require(statement.policy in accepted, "Policy", f"{statement.policy} is not accepted")
    log_capacity = statement.capacity.bit_length() - 1
    require(statement.capacity == 1 << log_capacity, "VK", "the capacity is no power of two")
    shape = Shape(statement.log_rows, statement.log_slots, log_capacity)
    levels = (statement.batches - 1).bit_length()
    entry = _entry(given[0] if given else KEYS.read_bytes(), statement.policy, shape.name)
    require(levels <= len(entry["wraps"]), "VK", f"no key for {statement.batches} batches")
    if given:
        require(aggregate_digest(entry, levels) == given[1], "VK", "other keys than expected")
    system, key = circuit_key(statement.policy, "wrap", entry["wraps"][levels - 1])
    require(statement.depth == statement.log_slots + levels, "Statement", "the depth")
    check_header(key, Reader(aggregate.proof))
    least = Layout(system, key.parameters).least_bytes()
    require(len(aggregate.proof) >= least, "Format", "the proof is too short")
    verify_proof(system, key, aggregate.proof, aggregate.publics(), aggregate.context(), note)
    return aggregate


def verify_file(data: bytes, accepted: Collection[str] = ("proven128",)) -> None:
    """Accept a publication of either version with the pinned keys, or raise Refused."""
    if data.startswith(MAGIC + VERSION.to_bytes(2, "little")):
        verify_aggregate(data, accepted)
    else:
        verify_publication(data, accepted)
