"""Edits of golden files, each with the class under which the verifier refuses the result.

An edit is ``{"at": offset, "set": bytes}``, ``{"cut": length}``, ``{"append": bytes}`` or, for the
customer's file, ``{"replace": [text, text]}``. Standard library alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from golden import publication
from golden.annotate import annotate
from golden.make import CONTEXT, load

from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile
from air.publication import Publication
from air.verification import verify_publication
from stark.errors import Rejected
from stark.verifier.verify import verify

Edit = dict[str, Any]

HIDDEN = "hidden.proof"
TOO_LARGE = "ffffffff"


def rejections() -> dict[str, list[Edit]]:
    """Edits of three files, with their classes."""
    hidden = load("hidden")
    kept = publication.load()
    statement = Publication.decode(kept.publication).statement
    digest = bytes.fromhex(kept.pin["statement_digest"])
    return {
        HIDDEN: _classified(
            hidden.proof,
            _proof_edits(hidden.proof),
            lambda data: verify(hidden.key, data, hidden.publics, CONTEXT),
        ),
        publication.PUBLICATION_FILE.name: _classified(
            kept.publication,
            _publication_edits(kept.publication),
            lambda data: verify_publication(data, digest),
        ),
        publication.CUSTOMER_FILE.name: _classified(
            kept.customer,
            _customer_edits(kept.customer),
            lambda data: check_customer(CustomerFile.decode(data), statement),
        ),
    }


def edited(data: bytes, edit: Edit) -> bytes:
    """The file after an edit."""
    if "cut" in edit:
        return data[: edit["cut"]]
    if "append" in edit:
        return data + bytes.fromhex(edit["append"])
    if "replace" in edit:
        old, new = (text.encode("utf-8") for text in edit["replace"])
        if data.count(old) != 1:
            raise AssertionError(f"{old!r} does not occur once")
        return data.replace(old, new)
    at, new = edit["at"], bytes.fromhex(edit["set"])
    return data[:at] + new + data[at + len(new) :]


def _classified(data: bytes, edits: Iterator[Edit], check: Callable[[bytes], object]) -> list[Edit]:
    result = []
    for edit in edits:
        changed = edited(data, edit)
        if changed == data:
            raise AssertionError(f"{edit} changes nothing")
        try:
            check(changed)
        except Rejected as rejected:
            result.append(edit | {"class": str(rejected.code)})
        else:
            raise AssertionError(f"{edit} is accepted")
    return result


def _flip(data: bytes, at: int) -> Edit:
    return {"at": at, "set": bytes([data[at] ^ 1]).hex()}


def _proof_edits(proof: bytes) -> Iterator[Edit]:
    """Every field of the header, every item, every opening of a proof with masks."""
    golden = load("hidden")
    notes = annotate(golden.key, proof, golden.publics, CONTEXT)
    for at in (0, 8, 10, 11, 13, 14, 28, 60, 62, 64, notes["header_bytes"] - 1):
        yield _flip(proof, at)
    yield {"at": 26, "set": "02"}
    yield {"at": 28, "set": "41"}
    yield {"at": 11, "set": "0000"}
    for item in notes["items"]:
        if "offset" in item:
            yield {"what": item["label"], **_flip(proof, item["offset"])}
            if item["label"].startswith(("values", "terminals", "final")):
                yield {"what": item["label"], "at": item["offset"], "set": TOO_LARGE}
    for opening in notes["openings"]:
        at, group = opening["offset"], opening["groups"][0]
        name = f"{opening['tree']} opening"
        yield {"what": name, **_flip(proof, at)}
        yield {"what": name, "at": at, "set": TOO_LARGE}
        yield {"what": name, **_flip(proof, at + opening["bytes"] - 1)}
        if opening["salted"]:
            salts = at + 4 * group["width"] * group["rows"]
            yield {"what": f"{name}, a salt", **_flip(proof, salts)}
            twice = proof[salts + 32 : salts + 64].hex()
            yield {"what": f"{name}, a salt twice", "at": salts, "set": twice}
    yield {"cut": len(proof) - 1}
    yield {"cut": 100}
    yield {"cut": 0}
    yield {"append": "00"}


def _publication_edits(data: bytes) -> Iterator[Edit]:
    length = int.from_bytes(data[10:14], "little")
    blind = 14 + length
    yield {"what": "magic", **_flip(data, 0)}
    yield {"what": "version", "at": 8, "set": "0000"}
    yield {"what": "version", "at": 8, "set": "0300"}
    yield {"what": "length of the statement", "at": 10, "set": TOO_LARGE}
    yield {"what": "length of the statement", **_flip(data, 10)}
    statement = data[14:blind].decode("utf-8")

    def inside(text: str, new: str) -> Edit:
        at = 14 + statement.index(text)
        return {"what": f"{text} becomes {new}", "at": at, "set": new.encode().hex()}

    yield inside('"BTC"', '"BTD"')
    yield inside('"BTC"', '"ETH"')
    yield inside('"BTC"', '"B C"')
    yield inside('"kind"', '"Kind"')
    yield inside('"spot"', '"debt"')
    yield inside('"batches":"1"', '"batches":"2"')
    yield inside('"batches":"1"', '"batches":"0"')
    yield inside('"batches":"1"', '"batches": 1 ')
    yield inside('"format":"1"', '"format":"2"')
    yield inside('"2026-01-31', '"2026-02-31')
    yield inside("50000001", "50000002")
    yield inside("50000001", "05000000")
    yield {"what": "blind", **_flip(data, blind)}
    yield {"what": "blind", "at": blind, "set": TOO_LARGE}
    yield {"what": "first digest of totals", "at": blind + 32, "set": TOO_LARGE}
    yield {"what": "digest of totals", **_flip(data, blind + 64)}
    yield {"what": "root of the batch", **_flip(data, blind + 96)}
    yield {"what": "length of the proof", "at": blind + 128, "set": TOO_LARGE}
    yield {"what": "length of the proof", **_flip(data, blind + 128)}
    yield {"what": "key digest in the proof", **_flip(data, blind + 132 + 60 + 2 + 4 * 14)}
    yield {"what": "first digest of totals", **_flip(data, blind + 32)}
    yield {"cut": len(data) - 1}
    yield {"append": "00"}


def _customer_edits(data: bytes) -> Iterator[Edit]:
    def replaced(old: str, new: str) -> Edit:
        return {"replace": [old, new]}

    yield replaced('"u-1"', '"u-2"')
    yield replaced('"format":"1"', '"format":"2"')
    yield replaced('"format":"1",', "")
    yield replaced('"50000000"', '"50000001"')
    yield replaced('"50000000"', '"050000000"')
    yield replaced('"50000000"', f'"{1 << 75}"')
    yield replaced('"50000000"', "50000000")
    yield replaced('"asset":"BTC"', '"asset":"USDT"')
    yield replaced('"asset":"USDT"', '"asset":"XYZ"')
    yield replaced('{"asset":"BTC","equity":"50000000"},', "")
    yield replaced(
        '[{"asset":"BTC","equity":"50000000"},{"asset":"USDT","equity":"12500000"}]', "[]"
    )
    yield replaced('"slot":"3"', '"slot":"2"')
    yield replaced('"slot":"3"', '"slot":"35"')
    yield replaced('"slot":"3"', f'"slot":"{1 << 40}"')
    yield replaced('"slot":"3"', '"slot": "3"')
    kept = CustomerFile.decode(data)
    yield replaced(kept.salt.hex(), kept.salt.hex()[:-2] + "00")
    yield replaced(kept.salt.hex(), kept.salt.hex()[:-2])
    yield replaced(kept.salt.hex(), kept.salt.hex()[:-1])
    yield replaced(kept.statement_digest.hex(), "0" * 64)
    nodes = data.decode("utf-8").split('"path":["')[1].split('"]')[0].split('","')
    yield replaced(f'"{nodes[0]}",', "")
    yield replaced(nodes[0], nodes[0].upper())
    yield replaced(nodes[0], TOO_LARGE + nodes[0][8:])
    yield replaced(nodes[0], nodes[1][:-2] + "00")
    yield {"append": "0a"}
    yield {"append": "20"}
