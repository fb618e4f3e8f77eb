"""The statement that a proof is about, and the context that is fixed before proving.

The digest of the context is a public value of every proof of a batch; the digest of the statement,
which adds what proving finds out (totals, root, number of batches), is absorbed first by the
published proof. Both are SHA-256 over a tag and canonical JSON: no tag is a prefix of the other,
and the JSON begins with a brace, so that no two kinds of object share an encoding.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from air.canonical_json import JsonValue, abbreviate, decode, encode, parse_decimal
from air.registry import MAX_ASSETS, TOTAL_BOUND, Registry
from stark.errors import Code, Rejected
from stark.field.koalabear import TWO_ADICITY, P

FORMAT_VERSION = "1"

KINDS = ("spot",)
"""What can be proven: ``spot``, amounts that are 0 or more, no debts."""

MAX_DEPTH = 40
"""2^40 slots are more than a hundred accounts for every person alive."""

EPOCH_BOUND = 1 << 64
"""The epoch number is hashed as 8 bytes."""

MAX_EXCHANGE_LENGTH = 128

CONTEXT_TAG = b"stark-liabilities/context/v1"
STATEMENT_TAG = b"stark-liabilities/statement/v1"

_CONTEXT_KEYS = [
    *("assets", "depth", "epoch", "exchange", "format", "kind"),
    *("nonce", "policy", "previous", "shape", "time"),
]
_HEX_32 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_POLICY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# Control characters, spaces other than U+0020, characters that hide or reorder their neighbours,
# and surrogates: a name that is printed must look like what it is. A list, not Unicode properties:
# those change from one Python version to the next.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ud800-\udfff\ufeff\ufff0-\uffff\U000e0000-\U000e0fff]"
)


def exchange_fault(name: str) -> str | None:
    """Why the text is not the name of an exchange, or ``None`` if it is one."""
    if not 1 <= len(name) <= MAX_EXCHANGE_LENGTH:
        return f"a name has 1 to {MAX_EXCHANGE_LENGTH} characters"
    if _UNPRINTABLE.search(name) or name != name.strip(" "):
        return "a name has no control or invisible characters and no spaces at its ends"
    return None


def time_fault(text: str) -> str | None:
    """Why the text is not a snapshot time, or ``None`` if it is one."""
    reason = "a time is RFC 3339 in UTC to the second, for example 2026-11-01T00:00:00Z"
    match = _TIME.fullmatch(text)
    if match is None:
        return reason
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        datetime(year, month, day, hour, minute, second)
    except ValueError:
        return f"{reason}; this one does not exist"
    return None


def hex_fault(text: str) -> str | None:
    """Why the text is not 32 bytes in lower-case hexadecimal, or ``None`` if it is."""
    return None if _HEX_32.fullmatch(text) else "32 bytes are 64 digits 0-9 a-f"


def short_digest(digest: bytes) -> str:
    """The first 64 bits of a digest, in groups, for the eye.

    Whoever chooses both contents makes two short forms agree with 2^32 work: programs compare
    whole digests.
    """
    text = digest[:8].hex()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


@dataclass(frozen=True)
class Shape:
    """Sizes of the tables of one batch.

    Parameters
    ----------
    log_rows
        log2 of the rows of the holdings table, 1 to 24 (the two-adicity of the field).
    log_slots
        log2 of the leaf slots, at most ``log_rows``: every slot takes a row at least.
    asset_capacity
        Assets for which there is a running total, 1 to 2^14.
    """

    log_rows: int
    log_slots: int
    asset_capacity: int

    def __post_init__(self) -> None:
        _require_range("shape: log_rows", self.log_rows, 1, TWO_ADICITY)
        _require_range("shape: log_slots", self.log_slots, 0, self.log_rows)
        _require_range("shape: asset_capacity", self.asset_capacity, 1, MAX_ASSETS)

    @property
    def slots(self) -> int:
        """Leaf slots of one batch."""
        return 1 << self.log_slots


@dataclass(frozen=True)
class Context:
    """Everything public that is known before proving.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    exchange
        Name of the exchange, see :func:`exchange_fault`.
    time
        Time of the snapshot, RFC 3339, UTC, to the second.
    epoch
        Running number of the snapshot, below 2^64.
    nonce
        32 bytes, fresh for each snapshot.
    previous
        Digest of the previous statement (32 bytes), ``None`` for the first.
    registry
        The listed assets; no more than ``shape.asset_capacity``.
    shape
        Sizes of the tables of a batch.
    depth
        Depth of the account tree: log2 of the slots of all batches.
    policy
        Name of the security profile that the verifier must pin.

    Raises
    ------
    Rejected
        ``Statement`` (or ``Version``) if a field breaks its rule; so every instance is valid.
    """

    kind: str
    exchange: str
    time: str
    epoch: int
    nonce: bytes
    previous: bytes | None
    registry: Registry
    shape: Shape
    depth: int
    policy: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Rejected(Code.STATEMENT, "kind", " or ".join(KINDS), abbreviate(self.kind))
        _require_no_fault("exchange", self.exchange, exchange_fault(self.exchange))
        _require_no_fault("time", self.time, time_fault(self.time))
        _require_range("epoch", self.epoch, 0, EPOCH_BOUND - 1)
        _require_digest("nonce", self.nonce)
        if self.previous is not None:
            _require_digest("previous", self.previous)
        if len(self.registry) > self.shape.asset_capacity:
            raise Rejected(
                Code.STATEMENT,
                "assets fit the capacity of the shape",
                f"at most {self.shape.asset_capacity}",
                len(self.registry),
            )
        _require_range("depth", self.depth, self.shape.log_slots, MAX_DEPTH)
        if _POLICY.fullmatch(self.policy) is None:
            raise Rejected(
                Code.STATEMENT,
                "policy",
                "the name of a profile: 1 to 64 of a-z 0-9 . _ -",
                abbreviate(self.policy),
            )

    @property
    def levels(self) -> int:
        """Levels of the account tree above the batches: depth = log2 slots + levels."""
        return self.depth - self.shape.log_slots

    @property
    def max_batches(self) -> int:
        """Batches that the account tree has room for."""
        return 1 << self.levels

    def to_json(self) -> dict[str, JsonValue]:
        """The value that canonical JSON encodes."""
        return {
            "assets": self.registry.to_json(),
            "depth": str(self.depth),
            "epoch": str(self.epoch),
            "exchange": self.exchange,
            "format": FORMAT_VERSION,
            "kind": self.kind,
            "nonce": self.nonce.hex(),
            "policy": self.policy,
            "previous": None if self.previous is None else self.previous.hex(),
            "shape": {
                "asset_capacity": str(self.shape.asset_capacity),
                "log_rows": str(self.shape.log_rows),
                "log_slots": str(self.shape.log_slots),
            },
            "time": self.time,
        }

    @classmethod
    def from_json(cls, value: JsonValue) -> Context:
        """The inverse of :meth:`to_json`. Raises ``Rejected`` for anything else."""
        # The version decides which keys there are: it is looked at before them.
        if isinstance(value, dict) and "format" in value and value["format"] != FORMAT_VERSION:
            raise Rejected(
                Code.VERSION, "context format", FORMAT_VERSION, abbreviate(value["format"])
            )
        fields = require_keys(value, "context", _CONTEXT_KEYS)
        shape = require_keys(fields["shape"], "shape", ["asset_capacity", "log_rows", "log_slots"])
        previous = fields["previous"]
        return cls(
            kind=require_text(fields["kind"], "kind"),
            exchange=require_text(fields["exchange"], "exchange"),
            time=require_text(fields["time"], "time"),
            epoch=parse_decimal(fields["epoch"], EPOCH_BOUND, "epoch"),
            nonce=require_hex(fields["nonce"], "nonce"),
            previous=None if previous is None else require_hex(previous, "previous"),
            registry=Registry.from_json(fields["assets"]),
            shape=Shape(
                log_rows=parse_decimal(shape["log_rows"], 256, "shape: log_rows"),
                log_slots=parse_decimal(shape["log_slots"], 256, "shape: log_slots"),
                asset_capacity=parse_decimal(
                    shape["asset_capacity"], MAX_ASSETS + 1, "shape: asset_capacity"
                ),
            ),
            depth=parse_decimal(fields["depth"], 256, "depth"),
            policy=require_text(fields["policy"], "policy"),
        )

    def encode(self) -> bytes:
        """Canonical JSON of the context."""
        return encode(self.to_json())

    @classmethod
    def decode(cls, data: bytes) -> Context:
        """The inverse of :meth:`encode`. Raises ``Rejected``, and nothing else, on any bytes."""
        return cls.from_json(decode(data))

    def digest(self) -> bytes:
        """The context digest: 32 bytes of SHA-256."""
        return hashlib.sha256(CONTEXT_TAG + self.encode()).digest()


@dataclass(frozen=True)
class Statement:
    """What a published proof establishes.

    Parameters
    ----------
    context
        What was fixed before proving.
    totals
        Total of each asset of the registry, in its order, in minor units, below 2^105.
    root
        Root of the account tree: eight field elements.
    batches
        Number of batches, from 1 to what the depth has room for.

    Raises
    ------
    Rejected
        ``Canonical`` for a total of 2^105 or more or a lane of p or more (such a value may be an
        alias of another), ``Statement`` for a wrong number of totals, lanes or batches.
    """

    context: Context
    totals: tuple[int, ...]
    root: tuple[int, ...]
    batches: int

    def __post_init__(self) -> None:
        if len(self.totals) != len(self.context.registry):
            raise Rejected(
                Code.STATEMENT,
                "one total per asset",
                len(self.context.registry),
                len(self.totals),
            )
        for asset, total in zip(self.context.registry, self.totals, strict=True):
            if not 0 <= total < TOTAL_BOUND:
                raise Rejected(Code.CANONICAL, f"total of {asset.symbol}", "0 to 2^105 - 1", total)
        if len(self.root) != 8:
            raise Rejected(Code.STATEMENT, "root", "8 field elements", len(self.root))
        for lane in self.root:
            if not 0 <= lane < P:
                raise Rejected(Code.CANONICAL, "root: lanes are below p", f"0 to {P - 1}", lane)
        _require_range("number of batches", self.batches, 1, self.context.max_batches)

    def to_json(self) -> dict[str, JsonValue]:
        """The value that canonical JSON encodes; the root as 8 lanes of 4 bytes little-endian."""
        return {
            "batches": str(self.batches),
            "context": self.context.to_json(),
            "root": digest_to_hex(self.root),
            "totals": [str(total) for total in self.totals],
        }

    @classmethod
    def from_json(cls, value: JsonValue) -> Statement:
        """The inverse of :meth:`to_json`. Raises ``Rejected`` for anything else."""
        fields = require_keys(value, "statement", ["batches", "context", "root", "totals"])
        context = Context.from_json(fields["context"])
        totals = fields["totals"]
        if not isinstance(totals, list):
            raise Rejected(Code.FORMAT, "totals", "a list", abbreviate(totals))
        return cls(
            context=context,
            totals=tuple(parse_decimal(total, TOTAL_BOUND, "total") for total in totals),
            root=digest_from_hex(fields["root"], "root"),
            batches=parse_decimal(fields["batches"], (1 << MAX_DEPTH) + 1, "number of batches"),
        )

    def encode(self) -> bytes:
        """Canonical JSON of the statement."""
        return encode(self.to_json())

    @classmethod
    def decode(cls, data: bytes) -> Statement:
        """The inverse of :meth:`encode`. Raises ``Rejected``, and nothing else, on any bytes."""
        return cls.from_json(decode(data))

    def digest(self) -> bytes:
        """The statement digest: 32 bytes of SHA-256."""
        return hashlib.sha256(STATEMENT_TAG + self.encode()).digest()


def digest_to_hex(lanes: Iterable[int]) -> str:
    """Field elements, 4 bytes little-endian each, in hexadecimal (64 digits for eight)."""
    return b"".join(lane.to_bytes(4, "little") for lane in lanes).hex()


def digest_from_hex(value: JsonValue, check: str) -> tuple[int, ...]:
    """The inverse of :func:`digest_to_hex` for eight lanes.

    Raises ``Rejected``: ``Format`` unless 64 lower-case digits, ``Canonical`` for a lane >= p.
    """
    data = require_hex(value, check)
    lanes = tuple(int.from_bytes(data[at : at + 4], "little") for at in range(0, 32, 4))
    for lane in lanes:
        if lane >= P:
            raise Rejected(Code.CANONICAL, f"{check}: lanes are below p", f"0 to {P - 1}", lane)
    return lanes


def require_keys(value: JsonValue, check: str, keys: list[str]) -> dict[str, JsonValue]:
    """The object, if it has exactly these keys; else ``Rejected`` naming what differs."""
    if not isinstance(value, dict):
        raise Rejected(Code.FORMAT, check, "an object", abbreviate(value))
    for key in keys:
        if key not in value:
            raise Rejected(Code.FORMAT, f"{check}: keys", f"key {key}", "no such key")
    for key in value:
        if key not in keys:
            raise Rejected(Code.FORMAT, f"{check}: keys", ", ".join(keys), abbreviate(key))
    return value


def require_text(value: JsonValue, check: str) -> str:
    """The string, else ``Rejected``."""
    if not isinstance(value, str):
        raise Rejected(Code.FORMAT, check, "a string", abbreviate(value))
    return value


def require_hex(value: JsonValue, check: str) -> bytes:
    """32 bytes from lower-case hexadecimal, else ``Rejected``."""
    text = require_text(value, check)
    reason = hex_fault(text)
    if reason is not None:
        raise Rejected(Code.FORMAT, check, reason, abbreviate(text))
    return bytes.fromhex(text)


def _require_no_fault(check: str, value: str, reason: str | None) -> None:
    if reason is not None:
        raise Rejected(Code.STATEMENT, check, reason, abbreviate(value))


def _require_range(check: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise Rejected(Code.STATEMENT, check, f"{low} to {high}", value)


def _require_digest(check: str, value: bytes) -> None:
    if len(value) != 32:
        raise Rejected(Code.STATEMENT, check, "32 bytes", f"{len(value)} bytes")
