"""Publications and customers' files (format.md, sections 3, 4, 11 and 13)."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from .poseidon import compress
from .reading import P, Reader, Refused, elements, require
from .system import DOCS, Shape, System, batch_system
from .transcript import Note, sha256
from .verifier import Key, Layout, check_header, make_key, verify_proof

MAGIC = b"LIABprf\0"
VERSION = 1
LARGEST_FILE = 1 << 30
LARGEST_JSON = 1 << 22
LARGEST_PROOF = 1 << 24
MOST_BATCHES = 1 << 12
MOST_CONTAINERS = (1 << 14) + 64
DEEPEST = 16

SYMBOL = re.compile(
    r"[\u0021\u0023-\u002b\u002d-\u005b\u005d-\u007e\u20a0-\u20c0\u3041-\u3096\u30a1-\u30fa"
    r"\u4e00-\u9fff\uac00-\ud7a3]{1,32}"
)
EXCHANGE = re.compile(
    r"[^\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    r"\u3000\ud800-\udfff\ufeff\ufff0-\uffff\U000e0000-\U000e0fff]{1,128}"
)
POLICY = re.compile("[a-z0-9][a-z0-9._-]{0,63}")
TIME = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
INTEGER = re.compile("0|[1-9][0-9]*")
HEX = re.compile("(?:[0-9a-f]{2})*")
ESCAPES = {'"': '"', "\\": "\\", "b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
ESCAPED = {f"{ord(c):04x}" for c in map(chr, range(32)) if c not in ESCAPES.values()}


class _Json:
    """A reader of canonical JSON (format.md, section 4)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.containers = 0

    def whole(self) -> Any:
        """One value and nothing else."""
        value = self.value(0)
        require(self.at == len(self.text), "Format", "something follows the value")
        return value

    def next_is(self, token: str) -> bool:
        """Whether the text goes on like this; then it is read."""
        found = self.text.startswith(token, self.at)
        self.at += len(token) if found else 0
        return found

    def need(self, token: str) -> None:
        """The text has to go on like this."""
        require(self.next_is(token), "Format", f"{token} is missing at {self.at}")

    def value(self, depth: int) -> Any:
        """The next value."""
        for token, constant in (("null", None), ("true", True), ("false", False)):
            if self.next_is(token):
                return constant
        if self.next_is('"'):
            return self.string()
        for opening, read in (("[", self.items), ("{", self.members)):
            if self.next_is(opening):
                self.containers += 1
                require(self.containers <= MOST_CONTAINERS, "Limit", "too many lists and objects")
                require(depth < DEEPEST, "Limit", "lists and objects are nested too deeply")
                return read(depth + 1)
        raise Refused("Format", f"no value at {self.at}")

    def items(self, depth: int) -> list[Any]:
        """The rest of a list."""
        result: list[Any] = []
        while not self.next_is("]"):
            if result:
                self.need(",")
            result.append(self.value(depth))
        return result

    def members(self, depth: int) -> dict[str, Any]:
        """The rest of an object."""
        result: dict[str, Any] = {}
        latest: str | None = None
        while not self.next_is("}"):
            if result:
                self.need(",")
            self.need('"')
            key = self.string()
            require(latest is None or latest < key, "Format", "keys are not in order")
            self.need(":")
            result[key] = self.value(depth)
            latest = key
        return result

    def string(self) -> str:
        """The rest of a string."""
        parts = []
        while not self.next_is('"'):
            require(self.at < len(self.text), "Format", "a string does not end")
            c = self.text[self.at]
            self.at += 1
            require(c >= " ", "Format", "a character that should be escaped")
            parts.append(self.escape() if c == "\\" else c)
        return "".join(parts)

    def escape(self) -> str:
        """What follows a backslash."""
        c = self.text[self.at : self.at + 1]
        self.at += 1
        if c in ESCAPES:
            return ESCAPES[c]
        digits = self.text[self.at : self.at + 4]
        self.at += 4
        require(c == "u" and digits in ESCAPED, "Format", "another escape is the canonical one")
        return chr(int(digits, 16))


def read_json(data: bytes) -> Any:
    """A value from canonical JSON."""
    require(len(data) <= LARGEST_JSON, "Limit", "the text is too long")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("Format", "not UTF-8") from error
    return _Json(text).whole()


def write_json(value: Any) -> bytes:
    """Canonical JSON of a value that was read."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8")


def _object(value: Any, keys: str) -> dict[str, Any]:
    expected = set(keys.split())
    require(isinstance(value, dict) and set(value) == expected, "Format", f"not {{{keys}}}")
    return value


def _format(value: Any) -> None:
    """The format comes before all else: whatever is not "1" is another version, of any type."""
    known = not isinstance(value, dict) or value.get("format", "1") == "1"
    require(known, "Version", "the format is not known")


def _list(value: Any) -> list[Any]:
    require(isinstance(value, list), "Format", "not a list")
    return value


def _string(value: Any) -> str:
    require(isinstance(value, str), "Format", "not a string")
    return value


def _matched(value: Any, pattern: re.Pattern[str]) -> str:
    require(pattern.fullmatch(_string(value)) is not None, "Statement", f"{value!r} is not allowed")
    return value


def _integer(value: Any, bound: int, code: str) -> int:
    """An integer below the bound; `code` is the class of larger ones."""
    require(INTEGER.fullmatch(_string(value)) is not None, "Format", "not an integer")
    small = len(value) <= len(str(bound)) and int(value) < bound
    require(small, code, f"an integer is not below {bound}")
    return int(value)


def _hex(value: Any, size: int | None = None) -> bytes:
    require(HEX.fullmatch(_string(value)) is not None, "Format", "not hexadecimal")
    require(size is None or len(value) == 2 * size, "Format", f"not {size} bytes")
    return bytes.fromhex(value)


@dataclass(frozen=True)
class Statement:
    """What a publication says."""

    data: bytes
    context: bytes
    symbols: list[str]
    policy: str
    depth: int
    log_rows: int
    log_slots: int
    capacity: int
    batches: int
    root: list[int]
    totals: list[int]

    def digest(self) -> bytes:
        """The statement digest."""
        return sha256(b"stark-liabilities/statement/v1", self.data)

    def context_digest(self) -> bytes:
        """The context digest."""
        return sha256(b"stark-liabilities/context/v1", self.context)

    def batch_context(self, i: int) -> bytes:
        """The context bytes of a batch's proof."""
        place = i.to_bytes(4, "little") + self.batches.to_bytes(4, "little")
        head = b"stark-liabilities/batch/v1"
        return head + self.context_digest() + self.digest() + place


def _time(value: Any) -> None:
    """An existing time."""
    year, month, day, hour, minute, second = map(int, re.findall("[0-9]+", _matched(value, TIME)))
    try:
        datetime.datetime(year, month, day, hour, minute, second)
    except ValueError as error:
        raise Refused("Statement", f"{value} does not exist") from error


def _assets(value: Any) -> list[str]:
    """The symbols of the assets."""
    symbols = []
    for asset in _list(value):
        _object(asset, "decimals symbol")
        _integer(asset["decimals"], 31, "Canonical")
        symbols.append(_matched(asset["symbol"], SYMBOL))
    require(1 <= len(symbols) <= 1 << 14, "Statement", "the number of assets")
    require(len(set(symbols)) == len(symbols), "Statement", "a symbol twice")
    return symbols


def read_statement(data: bytes) -> Statement:
    """A statement by itself (format.md, section 4)."""
    value = _object(read_json(data), "batches context root totals")
    _format(value["context"])
    context = _object(
        value["context"],
        "assets depth epoch exchange format kind nonce policy previous shape time",
    )
    require(_string(context["kind"]) == "spot", "Statement", "not of the kind spot")
    symbols = _assets(context["assets"])
    depth = _integer(context["depth"], 256, "Canonical")
    _integer(context["epoch"], 1 << 64, "Canonical")
    exchange = _matched(context["exchange"], EXCHANGE)
    require(exchange.strip(" ") == exchange, "Statement", "a space at an end of the name")
    _hex(context["nonce"], 32)
    if context["previous"] is not None:
        _hex(context["previous"], 32)
    _time(context["time"])
    shape = _object(context["shape"], "asset_capacity log_rows log_slots")
    log_rows = _integer(shape["log_rows"], 256, "Canonical")
    log_slots = _integer(shape["log_slots"], 256, "Canonical")
    capacity = _integer(shape["asset_capacity"], (1 << 14) + 1, "Canonical")
    require(1 <= log_rows <= 24 and log_slots <= log_rows, "Statement", "the shape")
    require(len(symbols) <= capacity, "Statement", "more assets than the capacity")
    require(log_slots <= depth <= 40, "Statement", "the depth")
    batches = _integer(value["batches"], (1 << 40) + 1, "Canonical")
    require(1 <= batches <= 1 << (depth - log_slots), "Statement", "the number of batches")
    totals = [_integer(t, 1 << 105, "Canonical") for t in _list(value["totals"])]
    require(len(totals) == len(symbols), "Statement", "the number of totals")
    return Statement(
        data=data,
        context=write_json(context),
        symbols=symbols,
        policy=_matched(context["policy"], POLICY),
        depth=depth,
        log_rows=log_rows,
        log_slots=log_slots,
        capacity=capacity,
        batches=batches,
        root=elements(_hex(value["root"], 32)),
        totals=totals,
    )


@dataclass(frozen=True)
class Batch:
    """One batch of a publication."""

    digest_after: list[int]
    root: list[int]
    proof: bytes


@dataclass(frozen=True)
class Publication:
    """The file of a publication, read but not verified."""

    statement: Statement
    blind: list[int]
    digest_before: list[int]
    batches: list[Batch]


def read_head(reader: Reader, version: int) -> Statement:
    """The beginning of a publication of a version, up to its statement."""
    require(reader.left() <= LARGEST_FILE, "Limit", "the file is too long")
    require(reader.take(8) == MAGIC, "Format", "this is not a publication")
    require(reader.number(2) == version, "Version", "the version is not known")
    size = reader.number(4)
    require(size <= LARGEST_JSON, "Limit", "the statement is too long")
    statement = read_statement(reader.take(size))
    require(statement.batches <= MOST_BATCHES, "Limit", "too many batches")
    return statement


def read_one_proof(reader: Reader) -> bytes:
    """A proof after its length."""
    size = reader.number(4)
    require(size <= LARGEST_PROOF, "Limit", "a proof is too long")
    return reader.take(size)


def read_publication(data: bytes) -> Publication:
    """Checks 1 and 2 of format.md, section 3."""
    reader = Reader(data)
    statement = read_head(reader, VERSION)
    blind, before = elements(reader.take(32)), elements(reader.take(32))
    batches = []
    for _ in range(statement.batches):
        after, root = elements(reader.take(32)), elements(reader.take(32))
        batches.append(Batch(after, root, read_one_proof(reader)))
    reader.end()
    return Publication(statement, blind, before, batches)


@cache
def _pinned() -> dict[str, Any]:
    return json.loads((DOCS / "keys.json").read_text("utf-8"))["shapes"]


@cache
def pinned_key(shape: Shape, profile: str) -> tuple[System, Key]:
    """The system of a shape, and its key for a profile."""
    pinned = _pinned()[shape.name]
    system = batch_system(shape)
    parameters = bytes.fromhex(pinned[profile]["parameters"])
    key = make_key(system, parameters, [bytes.fromhex(pinned["root"])])
    if key.digest().hex() != pinned[profile]["key"]:
        raise ValueError(f"keys.json and the documents disagree about {shape.name}")
    return system, key


def limbs(value: int, count: int) -> list[int]:
    """The 15-bit limbs of a number, the lowest first."""
    return [value >> 15 * i & 0x7FFF for i in range(count)]


def _chain(start: list[int], tag: int, rows: Sequence[tuple[int, list[int]]]) -> list[int]:
    """Hash rows of an asset number and limbs into a chaining value."""
    value = start
    for i, (asset, some) in enumerate(rows):
        header = tag + 2 * (i == 0) + 4 * (i == len(rows) - 1) + 64 * asset
        value = compress(value, [header, *some, *[0] * (7 - len(some))])
    return value


def totals_digest(blind: list[int], totals: Sequence[int], capacity: int) -> list[int]:
    """The digest of totals, zero for assets that are not listed."""
    every = [*totals, *[0] * (capacity - len(totals))]
    return _chain(blind, 16, [(a, limbs(t, 7)) for a, t in enumerate(every)])


def batches_root(roots: Sequence[list[int]], log_count: int) -> list[int]:
    """The root over the batches' roots."""
    level = [*roots, *[[0] * 8] * ((1 << log_count) - len(roots))]
    while len(level) > 1:
        level = [compress(a, b) for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def batch_publics(publication: Publication, i: int) -> dict[str, list[int]]:
    """The public values of a batch's proof."""
    batch = publication.batches[i]
    before = publication.batches[i - 1].digest_after if i else publication.digest_before
    return {"chain": [int(i == 0), *before, *batch.digest_after], "tree": batch.root}


def _ignore(_what: str, _values: dict[str, Any]) -> None:
    """Take no note."""


def verify_publication(
    data: bytes,
    accepted: Collection[str] = ("proven128",),
    expected: bytes | None = None,
    note: Note = _ignore,
) -> None:
    """Accept a publication, or raise Refused.

    `accepted` are the profiles that the verifier accepts, `expected` is the statement digest it
    expects, if it does; `note` is told of what happens in the proofs.
    """
    publication = read_publication(data)
    statement = publication.statement
    require(expected in (None, statement.digest()), "Statement", "not the expected statement")
    require(statement.policy in accepted, "Policy", f"{statement.policy} is not accepted")
    log_capacity = statement.capacity.bit_length() - 1
    shape = Shape(statement.log_rows, statement.log_slots, log_capacity)
    pinned = statement.capacity == 1 << log_capacity and shape.name in _pinned()
    require(pinned, "VK", f"no key is pinned for {shape.name}")
    system, key = pinned_key(shape, statement.policy)
    log_count = (statement.batches - 1).bit_length()
    require(statement.depth == statement.log_slots + log_count, "Statement", "the depth")
    least = Layout(system, key.parameters).least_bytes()
    for batch in publication.batches:
        check_header(key, Reader(batch.proof))
        require(len(batch.proof) >= least, "Format", "a proof is too short")
    digest = totals_digest(publication.blind, statement.totals, statement.capacity)
    opened = digest == publication.batches[-1].digest_after
    require(opened, "Statement", "the totals are not those of the last digest")
    root = batches_root([batch.root for batch in publication.batches], log_count)
    require(root == statement.root, "Statement", "the root is not that of the batches")
    for i, batch in enumerate(publication.batches):
        publics, context = batch_publics(publication, i), statement.batch_context(i)
        verify_proof(system, key, batch.proof, publics, context, note)


@dataclass(frozen=True)
class Customer:
    """A customer's file."""

    account: str
    holdings: list[tuple[str, int]]
    path: list[list[int]]
    salt: bytes
    slot: int
    statement_digest: bytes


def read_customer(data: bytes) -> Customer:
    """A customer's file by itself (format.md, section 13)."""
    value = read_json(data)
    _format(value)
    _object(value, "account_id format holdings path salt slot statement_digest")
    holdings = []
    for holding in _list(value["holdings"]):
        _object(holding, "asset equity")
        equity = _integer(holding["equity"], 1 << 75, "Inclusion")
        holdings.append((_string(holding["asset"]), equity))
    require(len(holdings) > 0, "Inclusion", "no holdings")
    salt = _hex(value["salt"])
    require(len(salt) == 32, "Inclusion", "the salt has another length")
    return Customer(
        account=_string(value["account_id"]),
        holdings=holdings,
        path=[elements(_hex(digest, 32)) for digest in _list(value["path"])],
        salt=salt,
        slot=_integer(value["slot"], 1 << 40, "Inclusion"),
        statement_digest=_hex(value["statement_digest"], 32),
    )


def commitment(account: str, salt: bytes) -> list[int]:
    """The commitment of an account."""
    name = account.encode("utf-8")
    head = b"stark-liabilities/account/v1" + len(name).to_bytes(8, "big")
    digest = sha256(head, name, salt)
    return [int.from_bytes(digest[i : i + 4], "big") % P for i in range(0, 32, 4)]


def check_inclusion(customer: Customer, statement: Statement, account: str | None = None) -> None:
    """Checks 3 to 8 of format.md, section 13."""
    same = customer.statement_digest == statement.digest()
    require(same, "Statement", "the file is for another statement")
    require(account in (None, customer.account), "Statement", "the file is for another account")
    require(len(customer.path) == statement.depth, "Inclusion", "the length of the path")
    slots = statement.batches << statement.log_slots
    require(customer.slot < slots, "Inclusion", "the slot is beyond the batches")
    numbers = {symbol: i for i, symbol in enumerate(statement.symbols)}
    listed = all(symbol in numbers for symbol, _ in customer.holdings)
    require(listed, "Inclusion", "an asset is not listed")
    rows = [(numbers[symbol], limbs(equity, 5)) for symbol, equity in customer.holdings]
    order = [asset for asset, _ in rows]
    require(order == sorted(set(order)), "Inclusion", "assets are not in order")
    value = _chain(commitment(customer.account, customer.salt), 8, rows)
    slot = customer.slot
    for sibling in customer.path:
        value = compress(sibling, value) if slot & 1 else compress(value, sibling)
        slot >>= 1
    require(value == statement.root, "Inclusion", "the path does not lead to the root")


def check_customer(
    customer_json: bytes, publication_bytes: bytes, account: str | None = None
) -> None:
    """Accept a customer's file against a publication, or raise Refused."""
    customer = read_customer(customer_json)
    verify_publication(publication_bytes)
    statement = read_publication(publication_bytes).statement
    check_inclusion(customer, statement, account)
