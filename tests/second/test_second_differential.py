"""Both verifiers on the same changed files: they have to give the same verdicts.

The classes have to be the same, too: format.md fixes them for whatever is not JSON, by the order
of the checks, and for JSON with a single fault. All changes are drawn from fixed seeds.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from golden import make
from support.checks import check, check_equal

from air.canonical_json import decode
from air.inclusion.check import check_customer as first_check_customer
from air.inclusion.customer import CustomerFile
from air.publication import Publication
from air.verification import verify_publication as first_verify_publication
from stark.verifier.verify import verify

from .comparing import same
from .kept import CONTEXT, file, golden, kept_proof, verdict
from .publication import (
    check_inclusion,
    pinned_key,
    read_customer,
    read_json,
    read_publication,
    verify_publication,
    write_json,
)
from .reading import P
from .system import Shape
from .verifier import Layout, verify_proof

SMALL = ["fibonacci", "products", "hidden"]
HEADER_TO_SHAPE = 60
"""Bytes of a proof's header before the shape of the tables."""


class Pair:
    """Both verifiers of one kept small proof."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept = kept_proof(name)
        self.first = make.load(name)
        self.proof = self.kept.proof
        self.seen: Counter[str] = Counter()

    def run(
        self,
        proof: bytes,
        what: str,
        publics: dict[str, Any] | None = None,
        context: bytes = CONTEXT,
    ) -> str:
        """The verdict on a proof."""
        publics = self.kept.publics if publics is None else publics
        system, key = self.kept.system, self.kept.key
        code = same(
            lambda: verify(self.first.key, proof, publics, context),
            lambda: verify_proof(system, key, proof, publics, context),
            f"{self.name}: {what}",
        )
        self.seen[code] += 1
        check(code != "accepted" or proof == self.proof, f"{self.name}: {what}: accepted")
        return code

    def items(self, proof: bytes) -> tuple[str, list[dict[str, Any]]]:
        """The second verdict on a proof, and the items of its transcript."""
        items: list[dict[str, Any]] = []

        def note(what: str, values: dict[str, Any]) -> None:
            if what == "item":
                items.append(values)

        kept = self.kept
        code = verdict(
            lambda: verify_proof(kept.system, kept.key, proof, kept.publics, CONTEXT, note)
        )
        return code, items

    def ground(self, proof: bytes) -> bytes:
        """The proof with works that hold wherever its own do not, until something else fails."""
        for _ in range(20):
            code, items = self.items(proof)
            if code != "PoW":
                break
            at, bits = self.work_after(items)
            nonce = smallest_nonce(items[-1]["state"], bits)
            proof = proof[:at] + nonce + proof[at + 8 :]
        return proof

    def work_after(self, items: list[dict[str, Any]]) -> tuple[int, int]:
        """Where the work is that comes after these items, and its bits."""
        known = golden(f"{self.name}.transcript")["items"]
        item = known[len(items)]
        check_equal(item["kind"], "work")
        name = item["label"].split()[1]
        return item["offset"], self.kept.key.parameters.work[name]


def smallest_nonce(state: bytes, bits: int) -> bytes:
    """The least nonce with so many bits of work."""
    value = 0
    while True:
        nonce = value.to_bytes(8, "little")
        head = hashlib.sha256(b"SLg1" + state + nonce).digest()[:8]
        if int.from_bytes(head, "little") % (1 << bits) == 0:
            return nonce
        value += 1


def put(data: bytes, at: int, new: bytes) -> bytes:
    """The data with other bytes at a place."""
    return data[:at] + new + data[at + len(new) :]


def any_change(data: bytes, draw: random.Random, start: int = 0) -> bytes:
    """One of many kinds of changes at a place from `start` on."""
    at = draw.randrange(start, len(data))
    size = draw.choice((1, 4, 8, 20, 32))
    word = at - (at - start) % 4
    kind = draw.randrange(9)
    if kind == 0:
        return put(data, at, bytes([data[at] ^ 1 << draw.randrange(8)]))
    if kind == 1:
        return put(data, at, draw.randbytes(min(size, len(data) - at)))
    if kind == 2:
        return put(data, word, draw.choice((P - 1, P, 2**32 - 1, 0)).to_bytes(4, "little"))
    if kind == 3:
        return data[:at]
    if kind == 4:
        return data + draw.randbytes(size)
    if kind == 5:
        return data[:at] + data[at + size :]
    if kind == 6:
        return data[:at] + draw.randbytes(size) + data[at:]
    if kind == 7:
        other = draw.randrange(start, len(data))
        return put(data, at, data[other : other + min(size, len(data) - at)])
    return any_change(any_change(data, draw, start)[: 2 * len(data)] or data, draw)


@pytest.mark.parametrize("name", SMALL)
def test_changed_proofs(name: str) -> None:
    pair, draw = Pair(name), random.Random(f"changes of {name}")
    for i in range(150):
        pair.run(any_change(pair.proof, draw), f"change {i}")
    check(len(pair.seen) >= 5, str(pair.seen))


@pytest.mark.parametrize("name", SMALL)
def test_changed_openings(name: str) -> None:
    """What comes after the query indices: no work stands before it."""
    pair, draw = Pair(name), random.Random(f"openings of {name}")
    start = golden(f"{name}.transcript")["openings"][0]["offset"]
    for i in range(100):
        pair.run(any_change(pair.proof, draw, start), f"change {i}")
    salted = [o for o in golden(f"{name}.transcript")["openings"] if o["salted"]]
    for opening in salted:
        at = opening["offset"]
        for group in opening["groups"]:
            at += 4 * group["width"] * group["rows"]
            salts = pair.proof[at : at + 32]
            twice = put(pair.proof, at + 32, salts)
            check_equal(pair.run(twice, f"a salt of {opening['tree']} twice"), "ZK")
            at += 32 * group["rows"]
    check({"Merkle", "Canonical", "Format"} <= set(pair.seen), str(pair.seen))


@pytest.mark.parametrize("name", SMALL)
def test_changed_proofs_whose_works_hold(name: str) -> None:
    """Works are found anew after the change, so that later checks are reached."""
    pair, draw = Pair(name), random.Random(f"works of {name}")
    transcript = golden(f"{name}.transcript")
    end = transcript["openings"][0]["offset"]
    for item in transcript["items"]:
        if "offset" not in item:
            continue
        size = len(item["data"]) // 2
        for i in range(3):
            at = item["offset"] + 4 * draw.randrange(size // 4)
            value = draw.choice((draw.randrange(P), draw.randrange(P), 0, P))
            changed = pair.ground(put(pair.proof, at, value.to_bytes(4, "little")))
            pair.run(changed, f"{item['label']} {i}")
    for i in range(10):
        again = pair.ground(any_change(pair.proof[:end], draw, 100) + pair.proof[end:])
        pair.run(again, f"ground change {i}")
    classes = {"OOD", "Merkle", "Canonical"} | ({"Bus"} if name != "fibonacci" else set())
    check(classes <= set(pair.seen), str(pair.seen))


@pytest.mark.parametrize("name", ["fibonacci", "hidden"])
def test_headers(name: str) -> None:
    """Every byte of the header with several values, and several bytes of the parameters at once."""
    pair, draw = Pair(name), random.Random(f"headers of {name}")
    size = Layout(pair.kept.system, pair.kept.key.parameters).header_bytes()
    for at in range(size):
        old = pair.proof[at]
        for value in {0, 1, 2, 3, 5, 11, 41, 255, old + 1 & 255, old - 1 & 255} - {old}:
            pair.run(put(pair.proof, at, bytes([value])), f"byte {at} = {value}")
        pair.run(pair.proof[:at], f"cut to {at}")
    for i in range(300):
        proof = pair.proof
        for _ in range(draw.randrange(2, 5)):
            at = draw.randrange(8, HEADER_TO_SHAPE)
            value = draw.choice((0, 1, 2, 3, 4, 10, 11, 41, proof[at] + 1 & 255))
            proof = put(proof, at, bytes([value]))
        pair.run(proof, f"parameters {i}: {proof[8:60].hex()}")
    wanted = {"Format", "Version", "Suite", "Params", "Policy", "Shape", "VK"}
    check(wanted <= set(pair.seen), str(pair.seen))


@pytest.mark.parametrize("name", SMALL)
def test_public_values_and_contexts(name: str) -> None:
    pair = Pair(name)
    table, values = next(iter(pair.kept.publics.items()))
    check_equal(pair.run(pair.proof, "as it is"), "accepted")
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "Public"),
        ({table: []}, "Public"),
        ({table: [*values, 0]}, "Public"),
        ({table: [P, *values[1:]]}, "Canonical"),
        ({table: [-1, *values[1:]]}, "Canonical"),
        ({table: values, "another": []}, "Public"),
        ({table: [values[0] + 1, *values[1:]]}, "PoW"),
    ]
    for publics, code in cases:
        check(pair.run(pair.proof, str(publics), publics) in (code, "OOD", "Bus"), code)
        pair.run(pair.proof[:5], str(publics), publics)
    for context in (b"", b"golde", b"golden\0", b"goldem"):
        pair.run(pair.proof, str(context), context=context)


# Publications.


def same_form(data: bytes, what: str) -> str:
    """The verdict on a publication's form, without its proofs."""
    return same(lambda: Publication.decode(data), lambda: read_publication(data), what)


def same_file(
    data: bytes,
    what: str,
    expected: bytes | None = None,
    profiles: tuple[str, ...] = ("proven128",),
) -> str:
    """The verdict on a publication."""
    return same(
        lambda: first_verify_publication(data, expected, profiles),
        lambda: verify_publication(data, profiles, expected),
        what,
    )


def same_json(data: bytes, what: str) -> str:
    """The verdict on a text as canonical JSON."""
    return same(lambda: decode(data), lambda: read_json(data), what)


def with_statement(statement: bytes) -> bytes:
    """The kept publication with another statement."""
    data = file("publication.proof")
    size = int.from_bytes(data[10:14], "little")
    return data[:10] + len(statement).to_bytes(4, "little") + statement + data[14 + size :]


def statement_bytes() -> bytes:
    """The kept statement."""
    return read_publication(file("publication.proof")).statement.data


def changed_at(value: Any, path: Sequence[Any], new: Any) -> Any:
    """A copy of a JSON value with another value at a place; `...` removes what is there."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if new is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return copy


ASSET = {"decimals": "0", "symbol": "X"}
ODD_TEXTS: list[Any] = [
    "",
    "0",
    "00",
    "1",
    "-1",
    "1 ",
    "٣",
    "x" * 200,
    "a\n",
    "\u0000",
    "9" * 5000,
    None,
]
ODD_VALUES: list[Any] = [*ODD_TEXTS, True, [], {}, [[]], ["1"], {"a": None}]
PLACES: list[tuple[list[Any], list[Any]]] = [
    (["batches"], ["0", "2", str(2**40), str(2**40 + 1)]),
    (["root"], ["0" * 62, "0" * 63, "0" * 64, "0" * 66, "A" + "0" * 63, "ffffffff" + "0" * 56]),
    (["totals"], [["1", "2"], ["1", "2", "3", "4"], ["1", "2", None], ["1", "2", str(2**105)]]),
    (["totals", 0], [str(2**105 - 1), str(2**105)]),
    (["context", "assets"], [[ASSET], [ASSET, ASSET, ASSET]]),
    (["context", "assets", 0], [ASSET | {"more": "1"}, {"symbol": "X"}, {"symbol": "ETH"}]),
    (["context", "assets", 0, "decimals"], ["30", "31", "1000"]),
    (
        ["context", "assets", 0, "symbol"],
        [
            *["ETH", "X" * 32, "X" * 33, '"', ",", "\\", " ", "~", "\x7f", "₠", "⃀", "⃁", "ぁ"],
            *["\u3040", "\u3097", "\u30a0", "ァ", "\u30fb", "一", "\u9fff", "\ua000", "가", "힣"],
            *["\ud7a4", "é", "X\n", "\U00010000"],
        ],
    ),
    (["context", "depth"], ["4", "5", "6", "40", "41", "255", "256"]),
    (["context", "epoch"], [str(2**64 - 1), str(2**64)]),
    (
        ["context", "exchange"],
        [
            *["E" * 128, "E" * 129, " E", "E ", "E E", "\x7f", "é", "\xa0", "\xad", "\u061c"],
            *["\u1680", "\u180e", "\u2000", "\u2010", "\u2028", "\u2030", "\u205f", "\u2070"],
            *["\u3000", "\ufeff", "\ufff0", "\uffff", "\U000e0000", "\U000e0fff", "\U000e1000"],
            *["\U0001f600", '"', "\\", "/", "\ue000", "E\n"],
        ],
    ),
    (["context", "format"], ["2", "01"]),
    (["context", "kind"], ["debt", "Spot"]),
    (["context", "nonce"], ["0" * 62, "0" * 64, "0" * 66, "0" * 63 + "A"]),
    (
        ["context", "policy"],
        ["proven100", "a" * 64, "a" * 65, ".a", "a.", "A", "a_-.", "a\n", "ä", "9"],
    ),
    (["context", "previous"], ["0" * 62, "0" * 64, "0" * 63 + "G"]),
    (["context", "shape"], [{"log_rows": "12"}]),
    (["context", "shape", "log_rows"], ["4", "5", "13", "24", "25", "255", "256"]),
    (["context", "shape", "log_slots"], ["4", "6", "12", "13", "255", "256"]),
    (["context", "shape", "asset_capacity"], ["2", "3", "513", "1024", str(2**14), "16385"]),
    (
        ["context", "time"],
        [
            *["2024-02-29T23:59:59Z", "2023-02-29T00:00:00Z", "2026-01-31T24:00:00Z"],
            *["2026-01-31T00:60:00Z", "2026-01-31T00:00:60Z", "0000-01-01T00:00:00Z"],
            *["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z"],
            *["2026-1-31T00:00:00Z", "2026-01-31t00:00:00Z", "2026-01-31T00:00:00", "1900-02-29"],
            *["2100-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "２026-01-31T00:00:00Z"],
        ],
    ),
]


def changed_statements() -> Iterator[tuple[str, bytes]]:
    """Statements with another value at one place, or without it."""
    value = json.loads(statement_bytes())
    for path, values in PLACES:
        for new in [..., *ODD_VALUES, *values]:
            yield f"{path} = {new!r:.60}", write_json(changed_at(value, path, new))
    for path in ([], ["context"], ["context", "shape"]):
        yield f"{path}: another key", write_json(changed_at(value, [*path, "extra"], None))
    for batches, depth in ((2, 6), (3, 6), (3, 7), (32, 10), (4096, 17), (4097, 18), (2**35, 40)):
        new = changed_at(value, ["batches"], str(batches))
        new["context"]["depth"] = str(depth)
        yield f"{batches} batches", write_json(new)


def test_changed_statements() -> None:
    """The statement by itself, and the file that it is in."""
    seen: Counter[str] = Counter()
    for what, statement in changed_statements():
        seen[same_form(with_statement(statement), what)] += 1
    check({"Statement", "Canonical", "Format", "Version", "Limit"} <= set(seen), str(seen))


def test_changed_files_of_three_batches() -> None:
    data, draw = bytes.fromhex(golden("primitives")["three_batches"]["file"]), random.Random("3")
    codes = {same_file(data, "as it is")}
    for i in range(100):
        codes.add(same_file(any_change(data, draw), f"change {i}"))
    check("accepted" not in codes, str(codes))


def test_changed_statements_are_refused() -> None:
    """Statements that are good by themselves, one in fifteen: the file is verified."""
    good = [
        (what, with_statement(statement))
        for what, statement in changed_statements()
        if same_form(with_statement(statement), what) == "accepted"
        and statement != statement_bytes()
    ]
    for what, data in good[::15]:
        check(same_file(data, what) != "accepted", what)


def test_changed_publications() -> None:
    data, draw = file("publication.proof"), random.Random("publications")
    digest = bytes.fromhex(golden("publication")["statement_digest"])
    start = len(statement_bytes()) + 14
    for i in range(30):
        part = draw.choice((14, start, start + 132, start + 132 + 150, start + 17000))
        changed = any_change(data[:part], draw) + data[part:]
        same_file(changed, f"change {i}", digest if i % 2 else None)
    check_equal(same_file(data, "other profiles", None, ("proven100",)), "Policy")
    check_equal(same_file(data, "no profiles", digest, ()), "Policy")
    check_equal(same_file(data, "other digest", bytes(32), ("proven100",)), "Statement")


def test_hollow_publications() -> None:
    """A proof that is cut just below and just at the least length (section 3, check 7)."""
    data = file("publication.proof")
    at = len(statement_bytes()) + 14 + 128
    batch = read_publication(data)
    system, key = pinned_key(Shape(12, 5, 9), "proven128")
    least = Layout(system, key.parameters).least_bytes()
    broken = put(batch.batches[0].proof, 150, b"\0")
    for size in (149, 150, 151, least - 1, least, least + 1):
        proof = broken[:size]
        changed = data[:at] + size.to_bytes(4, "little") + proof
        # The totals come after the check of the length: a wrong digest shows which one fails.
        wrong = put(changed, at - 64, bytes(4))
        code = same_file(wrong, f"{size} bytes")
        check_equal(code, "Format" if size < least else "Statement", f"{size} bytes")


# JSON and customers' files.

TEXTS = [
    *['""', '"\\/"', '"\\u0008"', '"\\u001F"', '"\\u001f"', '"\\b"', '"\\u0041"', '"\\x"', '"\\"'],
    *['"\x1f"', '"\x7f"', '"é"', '"\\u00e9"', '"\\ud800"', '"😀"', '"\\t\\n\\f\\r\\\\\\""', '"'],
    *[
        "null",
        "true",
        "false",
        "nul",
        "nulll",
        "True",
        "NaN",
        "1",
        "-1",
        "0.5",
        "",
        " ",
        "\ufeff{}",
    ],
    *["[]", "[ ]", "[,]", "[null,]", "[null,null]", "[null null]", "[", "]", "[[]", "[]]", "[}"],
    *["{}", "{ }", '{"a":null}', '{"a":null,}', '{"a" :null}', '{"b":null,"a":null}', "{null}"],
    *['{"a":null,"a":null}', '{"a":null,"b":null}', '{"":null}', '{"a"}', '{"a":}', "{,}"],
    *['{"\uffff":null,"\U00010000":null}', '{"\U00010000":null,"\uffff":null}', '[""]\n'],
    *["[" * 16 + "]" * 16, "[" * 17 + "]" * 17, '{"a":' * 16 + "null" + "}" * 16],
    *['{"a":' * 17 + "null" + "}" * 17, "[" + "[]," * 16446 + "[]]", "[" + "[]," * 16447 + "[]]"],
]


def test_canonical_json() -> None:
    raw = [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"', b"\x00"]
    for data in [*(text.encode("utf-8") for text in TEXTS), *raw]:
        same_json(data, f"{data[:60]!r}")
    data = b'"' + b"a" * ((1 << 22) - 1) + b'"'
    check_equal(same_json(data, "too long"), "Limit")


CUSTOMER_PLACES: list[tuple[list[Any], list[Any]]] = [
    (["account_id"], ["u-2", "u-1 ", "Zoë", "\ue000"]),
    (["format"], ["2"]),
    (["holdings"], [[{"asset": "BTC", "equity": "0"}]]),
    (["holdings", 0], [{"asset": "BTC"}, {"asset": "BTC", "equity": "1", "x": "1"}]),
    (["holdings", 0, "asset"], ["USDT", "ETH", "XYZ"]),
    (["holdings", 0, "equity"], [str(2**75 - 1), str(2**75)]),
    (["path"], [["0" * 64] * 5, ["0" * 64] * 4, ["0" * 64] * 6, ["0" * 62], [""]]),
    (["path", 0], ["0" * 64, "0" * 62, "f" * 64, "0" * 63 + "A"]),
    (["salt"], ["0" * 64, "0" * 62, "0" * 63, "0" * 66, "A" * 64]),
    (["slot"], ["2", "3", "31", "32", str(2**40 - 1), str(2**40)]),
    (["statement_digest"], ["0" * 64, "0" * 63, "0" * 62, "A" * 64]),
]


def test_changed_customers() -> None:
    statement = read_publication(file("publication.proof")).statement
    first_statement = Publication.decode(file("publication.proof")).statement
    value = json.loads(file("publication.customer.json"))
    seen: Counter[str] = Counter()

    def run(data: bytes, what: str, account: str | None = None) -> None:
        code = same(
            lambda: first_check_customer(CustomerFile.decode(data), first_statement, account),
            lambda: check_inclusion(read_customer(data), statement, account),
            what,
        )
        seen[code] += 1

    for path, values in CUSTOMER_PLACES:
        for new in [..., *ODD_VALUES, *values]:
            run(write_json(changed_at(value, path, new)), f"{path} = {new!r:.60}")
    run(write_json(changed_at(value, ["more"], None)), "another key")
    run(file("publication.customer.json"), "another account", "u-2")
    run(file("publication.customer.json"), "the account", "u-1")
    draw = random.Random("customers")
    for i in range(100):
        data = file("publication.customer.json")
        at = draw.randrange(len(data))
        run(put(data, at, draw.choice((b'"', b"0", b"a", b"}", b"\\", b"\xff"))), f"flip {i}")
    check({"accepted", "Inclusion", "Format", "Version", "Statement"} <= set(seen), str(seen))
