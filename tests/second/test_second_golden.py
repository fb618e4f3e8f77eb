"""The second verifier on the kept files: verdicts, and every intermediate value."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from support.checks import check, check_equal

from .aggregate import Aggregate, sponge
from .field import as_ext, invert, mul, root
from .kept import CONTEXT, file, golden, kept_proof, verdict
from .poseidon import compress, permute, round_constants
from .publication import (
    batch_publics,
    batches_root,
    check_customer,
    check_inclusion,
    pinned_key,
    read_customer,
    read_publication,
    totals_digest,
    verify_publication,
)
from .reading import Refused
from .system import (
    DOCS,
    Shape,
    System,
    batch_preprocessed,
    batch_system,
    preprocessed_root,
    small_system,
)
from .verifier import verify_proof

SMALL = ["fibonacci", "products", "hidden"]
SHAPE = Shape(12, 5, 9)


class Notes:
    """What a verification notes, in the form of the kept transcript files."""

    def __init__(self) -> None:
        self.found: dict[str, list[Any]] = {}

    def __call__(self, what: str, values: dict[str, Any]) -> None:
        if what == "challenge":
            self.found["item"][-1]["values"] = values["values"]
        else:
            self.found.setdefault(what, []).append(dict(values))

    def transcript(self) -> dict[str, Any]:
        """The notes under the names of the transcript files."""
        for item in self.found["item"]:
            if item["kind"] == "challenge":
                del item["data"]
        for opening in self.found["opening"]:
            opening["groups"] = named(opening["groups"], "log_size", "width", "rows")
            opening["levels"] = named(opening["levels"], "kind", "log_size", "digests")
        coefficients = self.found["batching"][0]["coefficients"]
        return plain(
            {
                "items": self.found["item"],
                "out_of_domain": self.found["out of domain"],
                "batching": {"count": len(coefficients), "first": coefficients[:8]},
                "schedule": self.found["schedule"][0]["schedule"],
                "openings": self.found["opening"],
                "queries": self.found["query"],
            }
        )


def named(rows: list[tuple[Any, ...]], *names: str) -> list[dict[str, Any]]:
    """Objects from tuples."""
    return [dict(zip(names, row, strict=True)) for row in rows]


def plain(value: Any) -> Any:
    """A value as it is in JSON."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def compare(found: Any, kept: Any, path: str, cut: bool) -> None:
    """Equal; where lists and data are cut in the kept file, their beginnings are."""
    if isinstance(kept, dict):
        if cut and str(kept.get("data", "")).endswith("..."):
            check_equal(len(found["data"]) // 2, kept["data_bytes"], path)
            check(found["data"].startswith(kept["data"][:-3]), path)
            kept = {k: v for k, v in kept.items() if k not in ("data", "data_bytes")}
        elif not cut:
            check_equal(sorted(found), sorted(kept), path)
        for key, item in kept.items():
            compare(found[key], item, f"{path}.{key}", cut)
    elif isinstance(kept, list):
        check(len(found) == len(kept) or (cut and len(found) > len(kept) >= 2), path)
        for i, item in enumerate(kept):
            compare(found[i], item, f"{path}[{i}]", cut)
    else:
        check_equal(found, kept, path)


@pytest.mark.parametrize("name", SMALL)
def test_every_value_of_a_small_proof(name: str) -> None:
    kept, notes = kept_proof(name), Notes()
    verify_proof(kept.system, kept.key, kept.proof, kept.publics, CONTEXT, notes)
    expected = dict(golden(f"{name}.transcript"))
    key = expected.pop("key")
    check_equal(kept.key.digest().hex(), key["digest"])
    check_equal(kept.key.shape.hex(), key["shape"])
    for other in ("publics", "context", "header_bytes"):
        del expected[other]
    compare(notes.transcript(), expected, name, cut=False)


def test_every_kept_value_of_the_publication() -> None:
    notes = Notes()
    digest = bytes.fromhex(golden("publication")["statement_digest"])
    verify_publication(file("publication.proof"), expected=digest, note=notes)
    names = ("items", "out_of_domain", "batching", "schedule", "openings", "queries")
    expected = {name: golden("publication.transcript")[name] for name in names}
    compare(notes.transcript(), expected, "publication", cut=True)


def test_the_customer_is_included() -> None:
    customer, data = file("publication.customer.json"), file("publication.proof")
    check_customer(customer, data, "u-1")
    check_equal(verdict(lambda: check_customer(customer, data, "u-2")), "Statement")


@pytest.mark.parametrize("name", [*SMALL, "batch"])
def test_systems_by_the_listings(name: str) -> None:
    system: System = batch_system(SHAPE) if name == "batch" else small_system(name)
    kept = golden(f"{name}.system")
    check_equal(system.digest().hex(), kept["digest"])
    for table, other in zip(system.tables, kept["tables"], strict=True):
        check_equal(plain(table.graph.nodes), other["nodes"], table.name)
        check_equal(table.digest().hex(), other["digest"], table.name)


def test_pinned_keys_of_some_shapes() -> None:
    """`pinned_key` raises if its key is not the one of keys.json; one shape in twelve."""
    pinned = json.loads((DOCS / "keys.json").read_text("utf-8"))["shapes"]
    shapes = [
        Shape(rows, slots, capacity)
        for rows in range(12, 21)
        for slots in range(max(5, rows - 7), rows)
        for capacity in (9, 12, 14)
        if capacity <= rows - 2
    ]
    check_equal(sorted(shape.name for shape in shapes), sorted(pinned))
    for shape in shapes[::12]:
        system, key = pinned_key(shape, "proven100")
        check_equal(system.digest().hex(), pinned[shape.name]["system"], shape.name)
        check_equal(key.shape.hex(), pinned[shape.name]["tables"], shape.name)


def test_preprocessed_roots() -> None:
    columns = list(batch_preprocessed(SHAPE).values())
    pinned = json.loads((DOCS / "keys.json").read_text("utf-8"))["shapes"][SHAPE.name]
    check_equal(preprocessed_root(columns, 3).hex(), pinned["root"])
    small: list[list[list[int]]] = [[list(range(32))], [], [list(range(256))]]
    for name, log_blowup in (("products", 2), ("hidden", 3)):
        kept = kept_proof(name).key.preprocessed
        check_equal((preprocessed_root(small, log_blowup),), kept)


def edited(data: bytes, edit: dict[str, Any]) -> bytes:
    """A file after an edit of rejections.json."""
    if "cut" in edit:
        return data[: edit["cut"]]
    if "append" in edit:
        return data + bytes.fromhex(edit["append"])
    if "replace" in edit:
        old, new = (text.encode() for text in edit["replace"])
        return data.replace(old, new, 1)
    new = bytes.fromhex(edit["set"])
    return data[: edit["at"]] + new + data[edit["at"] + len(new) :]


def checker(name: str) -> Callable[[bytes], None]:
    """How rejections.json checks a file."""
    if name == "hidden.proof":
        kept = kept_proof("hidden")
        return lambda data: verify_proof(kept.system, kept.key, data, kept.publics, CONTEXT)
    if name == "publication.proof":
        digest = bytes.fromhex(golden("publication")["statement_digest"])
        return lambda data: verify_publication(data, expected=digest)
    statement = read_publication(file("publication.proof")).statement
    return lambda data: check_inclusion(read_customer(data), statement)


@pytest.mark.parametrize("name", sorted(golden("rejections")))
def test_classes_of_kept_edits(name: str) -> None:
    run, data = checker(name), file(name)
    for edit in golden("rejections")[name]:
        with pytest.raises(Refused) as caught:
            run(edited(data, edit))
        check_equal(caught.value.code, edit["class"], str(edit))


def test_primitives() -> None:
    kept = golden("primitives")
    field, poseidon = kept["field"], kept["poseidon"]
    a, b = as_ext(field["a"]), as_ext(field["b"])
    check_equal(list(mul(a, b)), field["a_times_b"])
    check_equal(list(invert(a)), field["one_over_a"])
    check_equal([root(k) for k in range(25)], field["roots_of_unity"])
    check_equal(round_constants(), poseidon["round_constants"])
    check_equal(permute(poseidon["input"]), poseidon["permutation"])
    lanes = poseidon["input"]
    check_equal(compress(lanes[:8], lanes[8:]), poseidon["compression"])
    said = kept["statement"]
    digest = totals_digest(said["blind"], list(map(int, said["totals"])), said["capacity"])
    check_equal(digest, said["totals_digest"])


def test_three_batches() -> None:
    kept = golden("primitives")["three_batches"]
    publication = read_publication(bytes.fromhex(kept["file"]))
    statement = publication.statement
    check_equal(statement.digest().hex(), kept["statement_digest"])
    check_equal([statement.batch_context(i).hex() for i in range(3)], kept["contexts"])
    check_equal([batch_publics(publication, i) for i in range(3)], kept["publics"])
    check_equal(batches_root([batch.root for batch in publication.batches], 2), kept["root"])


def test_aggregate_of_three_batches() -> None:
    """Section 16: the public values of one proof for the same batches."""
    kept = golden("primitives")["aggregate"]
    three = bytes.fromhex(golden("primitives")["three_batches"]["file"])
    publication = read_publication(three)
    statement = publication.statement
    tag = b"stark-liabilities/aggregate/v1"
    context = sha256(tag + statement.batch_context(0)[26:90]).digest()
    check_equal(context.hex(), kept["context"])
    numbers = [int.from_bytes(context[i : i + 2], "little") for i in range(0, 32, 2)]
    blocks = [numbers[:8], numbers[8:]]
    check_equal(blocks, kept["context_blocks"])
    after = totals_digest(publication.blind, statement.totals, 1 << 9)
    check_equal(after, kept["digest_out"])
    header = [0, 0, 0, 0, 0, 0, 3, 1]
    said = [*blocks, header, publication.digest_before, after, statement.root]
    check_equal(sponge(b"SLj1", said), kept["join_digest"])
    check_equal(sponge(b"SLw1", [*blocks, kept["join_digest"]]), kept["publics"])
    aggregate = Aggregate(statement, publication.blind, publication.digest_before, b"")
    check_equal(aggregate.context().hex(), kept["context"])
    check_equal(aggregate.publics(), {"permutation": kept["publics"]})
    length = int.from_bytes(three[10:14], "little")
    file = three[:8] + bytes([2, 0]) + three[10 : 14 + length + 64] + bytes(4)
    check_equal(len(file), kept["file_bytes"])
    check_equal(sha256(file).hexdigest(), kept["file_sha256"])
