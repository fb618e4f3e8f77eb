"""The customer's file: one account's holdings, salt, slot and path, as canonical JSON.

::

    {"account_id": "u-1", "format": "1",
     "holdings": [{"asset": "BTC", "equity": "50000000"}, {"asset": "USDT", "equity": "12500000"}],
     "path": ["<64 hexadecimal digits>", ...], "salt": "<64 hexadecimal digits>",
     "slot": "1234", "statement_digest": "<64 hexadecimal digits>"}

(shown with spaces, which the file does not have). Equities are in minor units. The path has the
siblings from the leaf upwards, each as eight field elements of 4 bytes little-endian. The file
names the statement that it belongs to, but holds neither its root nor its totals: these come from
the proof file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from air.canonical_json import JsonValue, abbreviate, decode, encode, parse_decimal
from air.context import (
    MAX_DEPTH,
    digest_from_hex,
    digest_to_hex,
    require_hex,
    require_keys,
    require_text,
)
from air.encoding import DIGEST_LANES, SALT_SIZE, Digest
from air.registry import AMOUNT_BOUND
from stark.errors import Code, Rejected
from stark.field.koalabear import P

FORMAT_VERSION = "1"

MAX_BYTES = 1 << 22
"""A holding of each of 2^14 assets takes 2^14 * (25 + 96 + 23) bytes = 2.4 MB: punctuation and
keys, a symbol of 32 characters of 3 bytes, an amount below 2^75; this leaves 1.8 MB to the rest,
of which a path of 40 levels takes 2.7 kB."""

SLOT_BOUND = 1 << MAX_DEPTH

_KEYS = ["account_id", "format", "holdings", "path", "salt", "slot", "statement_digest"]
_HEX_BYTES = re.compile(r"(?:[0-9a-f]{2})*")


class CustomerHolding(NamedTuple):
    """One row of an account's leaf: the asset's symbol, and the equity in minor units."""

    asset: str
    equity: int


@dataclass(frozen=True)
class CustomerFile:
    """What one customer gets from the exchange.

    Parameters
    ----------
    account_id
        The id that the customer recognises. Its UTF-8 bytes are hashed as they are, without
        normalisation.
    salt
        32 bytes; opens the commitment to the id in this snapshot.
    slot
        Leaf slot over all batches.
    holdings
        Exactly the rows that the leaf hashes; one row of asset 0 with amount 0 for an account that
        holds nothing.
    path
        Siblings from the leaf upwards.
    statement_digest
        32 bytes: the statement under which the path is to be checked.

    Raises
    ------
    Rejected
        ``Inclusion`` for a salt that is not 32 bytes, no holdings, an amount that is negative or
        2^75 or more (it may be an alias of another modulo p) or a slot that no tree has;
        ``Canonical`` for a lane of p or more; ``Format`` for an id with a surrogate, a digest that
        is not 32 bytes or a sibling that is not eight lanes. So what can be wrong without knowing
        the statement is wrong in no instance.
    """

    account_id: str
    salt: bytes
    slot: int
    holdings: tuple[CustomerHolding, ...]
    path: tuple[Digest, ...]
    statement_digest: bytes

    def __post_init__(self) -> None:
        if any("\ud800" <= character <= "\udfff" for character in self.account_id):
            raise Rejected(
                Code.FORMAT, "account id is Unicode", "no surrogates", abbreviate(self.account_id)
            )
        if len(self.salt) != SALT_SIZE:
            raise Rejected(Code.INCLUSION, "salt", f"{SALT_SIZE} bytes", f"{len(self.salt)} bytes")
        if not 0 <= self.slot < SLOT_BOUND:
            raise Rejected(Code.INCLUSION, "slot", f"0 to {SLOT_BOUND - 1}", self.slot)
        if not self.holdings:
            raise Rejected(Code.INCLUSION, "holdings", "at least one row", "none")
        for asset, equity in self.holdings:
            if not 0 <= equity < AMOUNT_BOUND:
                raise Rejected(
                    Code.INCLUSION, f"equity of {abbreviate(asset)}", "0 to 2^75 - 1", equity
                )
        for sibling in self.path:
            if len(sibling) != DIGEST_LANES:
                raise Rejected(
                    Code.FORMAT, "node of the path", f"{DIGEST_LANES} lanes", len(sibling)
                )
            if not 0 <= min(sibling) <= max(sibling) < P:
                raise Rejected(
                    Code.CANONICAL, "path: lanes are below p", f"0 to {P - 1}", max(sibling)
                )
        if len(self.statement_digest) != 32:
            raise Rejected(
                Code.FORMAT, "statement digest", "32 bytes", f"{len(self.statement_digest)} bytes"
            )

    def encode(self) -> bytes:
        """The bytes of the file: canonical JSON."""
        return encode(
            {
                "account_id": self.account_id,
                "format": FORMAT_VERSION,
                "holdings": [
                    {"asset": asset, "equity": str(equity)} for asset, equity in self.holdings
                ],
                "path": [digest_to_hex(sibling) for sibling in self.path],
                "salt": self.salt.hex(),
                "slot": str(self.slot),
                "statement_digest": self.statement_digest.hex(),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> CustomerFile:
        """The inverse of :meth:`encode`; total: a CustomerFile or ``Rejected``, whatever the bytes.

        Raises
        ------
        Rejected
            ``Limit`` for more than ``MAX_BYTES`` bytes, ``Version``, ``Format``, or what the
            instance raises.
        """
        if len(data) > MAX_BYTES:
            raise Rejected(
                Code.LIMIT, "size of the customer's file", f"at most {MAX_BYTES} bytes", len(data)
            )
        value = decode(data)
        # The version decides which keys there are: it is looked at before them.
        if isinstance(value, dict) and "format" in value and value["format"] != FORMAT_VERSION:
            raise Rejected(
                Code.VERSION,
                "format of the customer's file",
                FORMAT_VERSION,
                abbreviate(value["format"]),
            )
        fields = require_keys(value, "customer's file", _KEYS)
        return cls(
            account_id=require_text(fields["account_id"], "account id"),
            salt=_hex_bytes(fields["salt"], "salt"),
            slot=_bounded(fields["slot"], SLOT_BOUND, "slot"),
            holdings=tuple(_holding(row) for row in _require_list(fields["holdings"], "holdings")),
            path=tuple(
                digest_from_hex(node, "path") for node in _require_list(fields["path"], "path")
            ),
            statement_digest=require_hex(fields["statement_digest"], "statement digest"),
        )


def _holding(value: JsonValue) -> CustomerHolding:
    fields = require_keys(value, "holding", ["asset", "equity"])
    asset = require_text(fields["asset"], "asset of a holding")
    return CustomerHolding(
        asset, _bounded(fields["equity"], AMOUNT_BOUND, f"equity of {abbreviate(asset)}")
    )


def _bounded(value: JsonValue, bound: int, check: str) -> int:
    """A decimal string below ``bound``: Rejected(Inclusion) if it is larger, as in an instance."""
    try:
        return parse_decimal(value, bound, check)
    except Rejected as error:
        if error.code is not Code.CANONICAL:
            raise
        raise Rejected(Code.INCLUSION, check, error.expected, error.got) from None


def _hex_bytes(value: JsonValue, check: str) -> bytes:
    text = require_text(value, check)
    if _HEX_BYTES.fullmatch(text) is None:
        raise Rejected(Code.FORMAT, check, "bytes as pairs of the digits 0-9 a-f", abbreviate(text))
    return bytes.fromhex(text)


def _require_list(value: JsonValue, check: str) -> list[JsonValue]:
    if not isinstance(value, list):
        raise Rejected(Code.FORMAT, check, "a list", abbreviate(value))
    return value
