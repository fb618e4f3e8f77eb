"""docs/suites.md says what the code does: names, tags, and every value that it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stark.hash.sha256 import encode_elements
from stark.hash.suite import LEAF_TAG, SALT_TAG, SALTED_LEAF_TAG, SUITES, Suite
from stark.transcript.encoding import Kind
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known, Sent
from stark.transcript.transcript import ProverTranscript

TEXT = (Path(__file__).parents[2] / "docs" / "suites.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```suite ([^\n]+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))

ITEMS: list[Item] = [
    Known("greeting", Kind.BYTE, 5),
    Sent("cap", Kind.DIGEST, 1),
    Sent("counts", Kind.FIELD, 9),
    Sent("values", Kind.EXTENSION, 2),
    Grinding("work", 4),
    Drawn("challenge", 2),
    DrawnIndices("queries", 7, 10),
]


def values(suite: Suite) -> dict[str, Any]:
    left, right, leaf = (encode_elements(range(start, start + 8)) for start in (0, 8, 16))
    row = encode_elements(range(1, 11))
    result: dict[str, Any] = {
        "leaf": suite.leaf_digest(row).hex(),
        "salted_leaf": suite.leaf_digest(row, left).hex(),
        "salted_mixed_leaf": suite.leaf_digest(row, left, 1).hex(),
        "extension_leaf": suite.leaf_digest(row, b"", 2).hex(),
        "node": suite.node_digest(left, right).hex(),
        "injected_node": suite.injected_node_digest(left, right, leaf).hex(),
        "salt": suite.leaf_salt(encode_elements(range(7)), 5).hex(),
    }
    transcript = ProverTranscript(ITEMS, suite)
    result["initial"] = transcript.state.hex()
    transcript.known("greeting", b"hello")
    transcript.send_digests("cap", [left])
    transcript.send_field("counts", range(1, 10))
    transcript.send_extension("values", [(1, 2, 3, 4, 5), (6, 7, 8, 9, 10)])
    result["absorbed"] = transcript.state.hex()
    result["nonce"] = next(n for n in range(1000) if transcript.works(n, 4))
    transcript.send_nonce("work", result["nonce"])
    result["challenge"] = [list(value) for value in transcript.draw("challenge")]
    result["queries"] = list(transcript.draw_indices("queries"))
    result["final"] = transcript.state.hex()
    return result


def test_every_algebraic_suite_has_its_values() -> None:
    assert set(BLOCKS) == {name for name, suite in SUITES.items() if suite.permutation}


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_printed_values_are_recomputed(name: str) -> None:
    printed = dict(line.split(" = ") for line in BLOCKS[name].splitlines())
    computed = values(SUITES[name])
    shown = {k: v if isinstance(v, str) else json.dumps(v) for k, v in computed.items()}
    assert printed == shown


def test_names_strengths_and_tags() -> None:
    for name, suite in SUITES.items():
        assert re.search(rf"\| `{name}` \|.*\| {suite.collision_bits} bits \|", TEXT)
    for use, tag in (("leaf", LEAF_TAG), ("salted leaf", SALTED_LEAF_TAG), ("salt", SALT_TAG)):
        assert f"| {use} | `{tag.to_bytes(4, 'little').decode()}` |" in TEXT
