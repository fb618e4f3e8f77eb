"""The keys of aggregates: of batches that a circuit verifies, of joins by level, of wraps by level.

What a verifier cannot derive quickly, the shape of a circuit and the root of its fixed columns,
stands in ``keys.json`` beside this file; ``liabilities keys rebuild --aggregates`` makes that table
again. Every join and every wrap has the key of what it verifies built in as constants, and with it
all keys below: the key of the wrap decides what is accepted. The keys below it are pinned so that
they can be named, rebuilt, and counted in the bits of security.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

from air.canonical_json import JsonValue, abbreviate, parse_decimal
from air.context import require_hex, require_keys, require_text
from air.publication import MAXIMUM_BATCHES
from air.shape import Shape
from air.tables.batch import batch_system
from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import TWO_ADICITY
from stark.recursion.system import CircuitShape, circuit_system
from stark.recursion.tables.decomposition import BITS
from stark.soundness.parameters import ProtocolParameters
from stark.soundness.search import PROFILES
from stark.system import System
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey

KEYS_FILE: Final = "keys.json"
FORMAT: Final = "1"
KEY_TAG: Final = b"stark-liabilities/aggregate-key/v1"

MAXIMUM_LEVELS: Final = (MAXIMUM_BATCHES - 1).bit_length()
"""Levels of joins over as many batches as a publication may have."""

MAXIMUM_FILE: Final = 1 << 20
"""Bytes of a table of keys; 124 circuits of 300 bytes each are 37 kB."""


@dataclass(frozen=True)
class ShippedAggregate:
    """What this version pins keys for: up to 2^levels batches of a shape under a profile."""

    profile: str
    shape: Shape
    levels: int


SHIPPED: Final = tuple(
    ShippedAggregate("proven128", shape, levels)
    for shape, levels in (
        # Whoever needs more than 128 of these takes a larger shape.
        (Shape(14, 12, 9), 7),
        (Shape(17, 15, 9), 7),
        (Shape(20, 17, 9), MAXIMUM_LEVELS),
        (Shape(20, 18, 9), MAXIMUM_LEVELS),
        (Shape(20, 19, 9), MAXIMUM_LEVELS),
        (Shape(20, 18, 12), MAXIMUM_LEVELS),
    )
)
"""The one list of aggregates; few, because each level is a circuit of its own.

4096 batches of 2^20 rows hold 800 million accounts with five holdings each."""


@dataclass(frozen=True)
class PinnedCircuit:
    """A circuit's shape, and the root of its fixed columns, 32 bytes."""

    shape: CircuitShape
    root: bytes


@dataclass(frozen=True)
class Layer:
    """One kind of proof in the tree of an aggregate.

    Attributes
    ----------
    name
        ``batches``, ``joins of level 1`` and so on, ``wrap``.
    count
        Proofs of this kind.
    """

    name: str
    count: int
    key: VerificationKey


@dataclass(frozen=True)
class AggregateKeys:
    """All keys of the aggregates of one profile and batch shape.

    Attributes
    ----------
    batch_root
        Root of the fixed columns of a batch.
    joins, wraps
        By level from 1: the wrap of level n verifies joins of level n, over 2^(n - 1) + 1 to 2^n
        batches.
    """

    profile: str
    shape: Shape
    batch_root: bytes
    joins: tuple[PinnedCircuit, ...]
    wraps: tuple[PinnedCircuit, ...]

    def batch_key(self) -> VerificationKey:
        """The key of batches that are joined. Raises ``Rejected`` (``Policy``, ``VK``)."""
        return _batch_key(self.profile, self.shape, self.batch_root)

    def join_key(self, level: int) -> VerificationKey:
        """The key of joins of a level. Raises ``Rejected`` (``Policy``, ``VK``)."""
        return _circuit_key(self.profile, "join", self._pinned(self.joins, level))

    def wrap_key(self, levels: int) -> VerificationKey:
        """The key of the wrap of a join of a level. Raises ``Rejected`` (``Policy``, ``VK``, and
        ``ZK`` for tables without room for masks, which only keys of others have)."""
        return _circuit_key(self.profile, "wrap", self._pinned(self.wraps, levels))

    def layers(self, batches: int) -> tuple[Layer, ...]:
        """All proofs of an aggregate of that many batches, the wrap last."""
        levels = (batches - 1).bit_length()
        joins = [
            Layer(f"joins of level {level}", -(-batches >> level), self.join_key(level))
            for level in range(1, levels + 1)
        ]
        wrap = Layer("wrap", 1, self.wrap_key(levels))
        return (Layer("batches", batches, self.batch_key()), *joins, wrap)

    def digest(self, levels: int) -> bytes:
        """One name for all keys of an aggregate with that many levels of joins.

        SHA-256 of a tag and the digests of the keys: batches, joins from level 1 on, wrap.
        """
        keys = [self.batch_key(), *map(self.join_key, range(1, levels + 1)), self.wrap_key(levels)]
        return hashlib.sha256(KEY_TAG + b"".join(key.digest for key in keys)).digest()

    def _pinned(self, circuits: tuple[PinnedCircuit, ...], level: int) -> PinnedCircuit:
        if not 1 <= level <= len(circuits):
            raise Rejected(
                Code.VK,
                f"levels of aggregates of {self.shape.name} under {self.profile}",
                f"1 to {len(circuits)}",
                level,
            )
        return circuits[level - 1]


@dataclass(frozen=True)
class TrustedKeys:
    """Keys that this version does not pin, which a caller trusts by their digest, on purpose.

    Attributes
    ----------
    aggregates
        From a file of anyone's, see :func:`decode_aggregates`.
    digest
        What :meth:`AggregateKeys.digest` must be; from somebody who rebuilt the keys.
    """

    aggregates: tuple[AggregateKeys, ...]
    digest: bytes


@cache
def pinned_aggregates() -> Mapping[tuple[str, Shape], AggregateKeys]:
    """The keys that this version pins, by profile and shape of the batches."""
    data = files("air.aggregate").joinpath(KEYS_FILE).read_bytes()
    return {(keys.profile, keys.shape): keys for keys in decode_aggregates(data)}


def aggregate_keys(profile: str, shape: Shape) -> AggregateKeys:
    """The pinned keys of a profile and a shape of batches.

    Raises
    ------
    Rejected
        ``Policy`` for an unknown profile, ``VK`` for a shape without pinned keys.
    """
    _require_profile(profile)
    keys = pinned_aggregates().get((profile, shape))
    if keys is None:
        raise Rejected(
            Code.VK, f"shape of aggregated batches under {profile}", "a pinned one", shape.name
        )
    return keys


def aggregable(profile: str) -> dict[Shape, int]:
    """The most batches that can be aggregated with pinned keys, by their shape."""
    return {
        shape: 1 << len(keys.joins)
        for (name, shape), keys in pinned_aggregates().items()
        if name == profile
    }


def trusted_keys(trusted: TrustedKeys, profile: str, shape: Shape, levels: int) -> AggregateKeys:
    """The keys of a profile and shape among those that a caller trusts.

    Raises
    ------
    Rejected
        ``Policy`` for an unknown profile, ``VK`` if there are none or if their digest is another.
    """
    for keys in trusted.aggregates:
        if (keys.profile, keys.shape) == (profile, shape):
            found = keys.digest(levels)
            if found != trusted.digest:
                raise Rejected(
                    Code.VK, "digest of the given keys", trusted.digest.hex(), found.hex()
                )
            return keys
    raise Rejected(
        Code.VK, "the given keys have the profile and shape", f"{profile}, {shape.name}", "neither"
    )


def batch_key(profile: str, shape: Shape) -> VerificationKey:
    """The pinned key of batches that are joined. Raises as :func:`aggregate_keys`."""
    return aggregate_keys(profile, shape).batch_key()


def join_key(profile: str, shape: Shape, level: int) -> VerificationKey:
    """The pinned key of joins of a level. Raises as :func:`aggregate_keys`."""
    return aggregate_keys(profile, shape).join_key(level)


def wrap_key(profile: str, shape: Shape, levels: int) -> VerificationKey:
    """The pinned key of the published proof. Raises as :func:`aggregate_keys`."""
    return aggregate_keys(profile, shape).wrap_key(levels)


def layer_parameters(profile: str, role: str, system: System) -> ProtocolParameters:
    """Parameters of a layer's proofs; ``role`` is ``batch``, ``join`` or ``wrap``.

    Raises
    ------
    Rejected
        ``Policy`` for an unknown profile.
    UsageError
        If the profile has none for the system.
    """
    _require_profile(profile)
    return PROFILES[profile].find(system_figures(system), role, zk=system.zk)


@lru_cache(maxsize=64)
def inner_batch_system(shape: Shape) -> System:
    """The tables of a batch that a circuit verifies."""
    return batch_system(shape, zk=False, whole_rows=True)


@lru_cache(maxsize=64)
def layer_system(role: str, shape: CircuitShape) -> System:
    """The tables of a ``join``, which a circuit verifies, or of a ``wrap``, which is published."""
    return circuit_system(shape, zk=role == "wrap", whole_rows=role == "join")


@lru_cache(maxsize=64)
def _batch_key(profile: str, shape: Shape, root: bytes) -> VerificationKey:
    return _key(profile, "batch", inner_batch_system(shape), root)


@lru_cache(maxsize=64)
def _circuit_key(profile: str, role: str, circuit: PinnedCircuit) -> VerificationKey:
    try:
        system = layer_system(role, circuit.shape)
    except UsageError as error:
        raise Rejected(Code.VK, f"shape of a {role}", "one that exists", str(error)) from None
    return _key(profile, role, system, circuit.root)


def _key(profile: str, role: str, system: System, root: bytes) -> VerificationKey:
    try:
        return VerificationKey(system, layer_parameters(profile, role, system), (root,))
    except UsageError as error:
        raise Rejected(Code.VK, f"key of a {role}", "one that fits together", str(error)) from None


def _require_profile(profile: str) -> None:
    if profile not in PROFILES:
        raise Rejected(Code.POLICY, "profile", " or ".join(sorted(PROFILES)), profile)


# ---- the table of keys as a file

_HEIGHTS: Final = ("log_permutations", "log_arithmetic", "log_folds", "log_decompositions")


def decode_aggregates(data: bytes) -> tuple[AggregateKeys, ...]:
    """Parse a table of keys; total. It may come from anyone: see :class:`TrustedKeys`.

    Raises
    ------
    Rejected
        ``Limit`` for more than :data:`MAXIMUM_FILE` bytes, ``Version``, ``VK`` for a root that
        is a placeholder or two sets of keys for the same, ``Format`` or ``Canonical`` for
        anything else.
    """
    if len(data) > MAXIMUM_FILE:
        raise Rejected(Code.LIMIT, "size of a table of keys", MAXIMUM_FILE, len(data))
    try:
        # ASCII, and JSON of any layout: the table is read by people, and named by other digests.
        value: JsonValue = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise Rejected(Code.FORMAT, "a table of keys", "JSON", abbreviate(data)) from None
    if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
        raise Rejected(
            Code.VERSION, "format of a table of keys", FORMAT, abbreviate(value["format"])
        )
    fields = require_keys(value, "a table of keys", ["aggregates", "format"])
    result = tuple(map(_decode_keys, _require_list(fields["aggregates"], "aggregates")))
    if len({(keys.profile, keys.shape) for keys in result}) != len(result):
        raise Rejected(Code.VK, "keys of a profile and shape", "one set", "several")
    return result


def encode_aggregates(aggregates: tuple[AggregateKeys, ...]) -> bytes:
    """The table as it is kept: what :func:`decode_aggregates` reads."""
    ordered = sorted(aggregates, key=lambda keys: (keys.profile, keys.shape))
    value = {"format": FORMAT, "aggregates": [_keys_json(keys) for keys in ordered]}
    return (json.dumps(value, indent=1) + "\n").encode("ascii")


def _keys_json(keys: AggregateKeys) -> dict[str, Any]:
    return {
        "profile": keys.profile,
        "shape": keys.shape.name,
        "batch": keys.batch_root.hex(),
        "joins": [_circuit_json(circuit) for circuit in keys.joins],
        "wraps": [_circuit_json(circuit) for circuit in keys.wraps],
    }


def _circuit_json(circuit: PinnedCircuit) -> dict[str, Any]:
    shape = circuit.shape
    return {
        **{name: str(getattr(shape, name)) for name in _HEIGHTS},
        "log_order": str(shape.log_order),
        "widths": [str(width) for width in shape.widths],
        "root": circuit.root.hex(),
    }


def _decode_keys(value: JsonValue) -> AggregateKeys:
    fields = require_keys(value, "keys", ["batch", "joins", "profile", "shape", "wraps"])
    try:
        shape = Shape.named(require_text(fields["shape"], "shape"))
    except UsageError as error:
        raise Rejected(Code.FORMAT, "shape", "a shape of batches", abbreviate(str(error))) from None
    joins, wraps = (
        tuple(map(_decode_circuit, _require_list(fields[name], name)))
        for name in ("joins", "wraps")
    )
    if not 1 <= len(joins) == len(wraps) <= MAXIMUM_LEVELS:
        raise Rejected(
            Code.FORMAT,
            "a join and a wrap per level",
            f"1 to {MAXIMUM_LEVELS} of each",
            f"{len(joins)} and {len(wraps)}",
        )
    profile = require_text(fields["profile"], "profile")
    return AggregateKeys(profile, shape, _require_root(fields["batch"]), joins, wraps)


def _decode_circuit(value: JsonValue) -> PinnedCircuit:
    fields = require_keys(value, "a circuit", [*_HEIGHTS, "log_order", "root", "widths"])
    permutations, arithmetic, folds, decompositions = (
        parse_decimal(fields[name], TWO_ADICITY + 1, name) for name in _HEIGHTS
    )
    widths = tuple(
        parse_decimal(width, BITS + 1, "a width")
        for width in _require_list(fields["widths"], "widths")
    )
    log_order = parse_decimal(fields["log_order"], TWO_ADICITY + 1, "log_order")
    shape = CircuitShape(permutations, arithmetic, folds, decompositions, widths, log_order)
    return PinnedCircuit(shape, _require_root(fields["root"]))


def _require_list(value: JsonValue, check: str) -> list[JsonValue]:
    if not isinstance(value, list):
        raise Rejected(Code.FORMAT, check, "a list", abbreviate(value))
    return value


def _require_root(value: JsonValue) -> bytes:
    root = require_hex(value, "a root")
    if root == bytes(len(root)):
        raise Rejected(Code.VK, "a root", "a digest", "a placeholder of zeros")
    return root
