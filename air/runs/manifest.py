"""What a run is about, as its work folder has it: ``run.json``, canonical JSON of mode 0600.

It holds the seed of the run and is as secret as the folder. What a resumed run must have in common
with it is compared field by field; how the run is carried out (memory, workers) may differ.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Final

from air.canonical_json import JsonValue, decode, encode, parse_decimal
from air.runs.seed import SEED_SIZE, RunSeed
from stark.errors import Rejected, UsageError

FORMAT: Final = "1"
KEY_TAG: Final = b"stark-liabilities/master-key-fingerprint/v1"
MAXIMUM_FILE: Final = 1 << 16
"""Bytes; a manifest has about 800."""

_MAXIMUM_BATCHES: Final = 1 << 32


def key_fingerprint(master_key: bytes) -> bytes:
    """SHA-256 of a tag and the key: tells keys apart and shows nothing of 32 random bytes."""
    return hashlib.sha256(KEY_TAG + master_key).digest()


@dataclass(frozen=True)
class RunManifest:
    """The contents of ``run.json``.

    Attributes
    ----------
    version
        Of this package.
    snapshot
        Digest of everything in the snapshot.
    master_key
        :func:`key_fingerprint`.
    profile, shape
        Names.
    aggregated
        Whether one proof over all batches is published.
    keys
        Digest of the tables of pinned keys.
    statement
        Digest of the statement, which follows from all of this and the seed.
    """

    version: str
    snapshot: bytes
    master_key: bytes
    profile: str
    shape: str
    batches: int
    aggregated: bool
    keys: bytes
    statement: bytes
    seed: RunSeed = field(repr=False)

    def encode(self) -> bytes:
        """The bytes of the file."""
        value: dict[str, JsonValue] = {"format": FORMAT, "seed": self.seed.seed.hex()}
        for name, entry in _plain(self).items():
            value[name] = entry
        return encode(value)

    @classmethod
    def decode(cls, data: bytes) -> RunManifest:
        """Parse such a file.

        Raises
        ------
        UsageError
            For anything else; the message says what is wrong.
        """
        if len(data) > MAXIMUM_FILE:
            raise UsageError(f"a manifest of a run has at most {MAXIMUM_FILE} bytes")
        try:
            value = decode(data)
            if not isinstance(value, dict):
                raise UsageError("a manifest of a run is an object")
            if value.get("format") != FORMAT:
                raise UsageError(
                    f'the manifest has not format "{FORMAT}", which this version reads'
                )
            names = {*cls.__dataclass_fields__, "format"}
            if value.keys() != names:
                odd = ", ".join(sorted(map(ascii, value.keys() ^ names)))
                raise UsageError(f"the manifest has keys too many or too few: {odd}")
            return cls(
                version=_text(value, "version"),
                snapshot=_digest(value, "snapshot"),
                master_key=_digest(value, "master_key"),
                profile=_text(value, "profile"),
                shape=_text(value, "shape"),
                batches=parse_decimal(value["batches"], _MAXIMUM_BATCHES, "batches"),
                aggregated=_truth(value, "aggregated"),
                keys=_digest(value, "keys"),
                statement=_digest(value, "statement"),
                seed=RunSeed(_digest(value, "seed")),
            )
        except Rejected as error:
            raise UsageError(f"the manifest is not readable: {error}") from None

    def require(self, **expected: str | bytes | int | bool) -> None:
        """Compare fields with those of the run that goes on.

        Raises
        ------
        UsageError
            If one differs; the message names it, with both values.
        """
        own = _plain(self)
        for name, value in expected.items():
            there, here = own[name], _json(value)
            if there != here:
                raise UsageError(
                    f"the run that is there is another: its {_WORDS[name]} is {_said(there)}, "
                    f"not {_said(here)}"
                )


_WORDS: Final = {
    "version": "version of stark-liabilities",
    "snapshot": "snapshot (digest)",
    "master_key": "master key (fingerprint)",
    "profile": "profile",
    "shape": "shape of batches",
    "batches": "number of batches",
    "aggregated": "aggregation",
    "keys": "table of pinned keys (digest)",
    "statement": "statement (digest)",
}


def _said(value: str | bool) -> str:
    """A value for a message."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return value


def _plain(manifest: RunManifest) -> dict[str, str | bool]:
    """All fields but the seed, as JSON has them."""
    fields = asdict(manifest)
    del fields["seed"]
    return {name: _json(value) for name, value in fields.items()}


def _json(value: str | bytes | int | bool) -> str | bool:
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, bool) else str(value)


def _text(value: dict[str, JsonValue], name: str) -> str:
    found = value[name]
    if not isinstance(found, str) or len(found) > 100:
        raise UsageError(f"the manifest's {name} is no short text")
    return found


def _truth(value: dict[str, JsonValue], name: str) -> bool:
    found = value[name]
    if not isinstance(found, bool):
        raise UsageError(f"the manifest's {name} is neither true nor false")
    return found


def _digest(value: dict[str, JsonValue], name: str) -> bytes:
    text = _text(value, name)
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != SEED_SIZE or found.hex() != text:
        raise UsageError(f"the manifest's {name} is not {2 * SEED_SIZE} lower-case hex digits")
    return found
