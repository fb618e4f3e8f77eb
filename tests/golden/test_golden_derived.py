"""Kept intermediate values are those of the verifier as it is."""

from __future__ import annotations

import json

import pytest
from golden import derived
from support.checks import check, check_equal


@pytest.mark.parametrize("name", derived.names())
def test_kept_values_are_recomputed(name: str) -> None:
    kept, computed = derived.read(name), json.loads(json.dumps(derived.derive(name)))
    check_equal(sorted(kept), sorted(computed))
    for key in kept:
        check(kept[key] == computed[key], f"{name}: {key} has changed")


@pytest.mark.parametrize("name", ["fibonacci", "products", "hidden", "publication"])
def test_transcripts_agree_with_themselves(name: str) -> None:
    """What the annotation says twice is the same: items, caps, both sides, layers."""
    kept = derived.read(f"{name}.transcript")
    items = {item["label"]: item for item in kept["items"]}
    for table in kept["out_of_domain"]:
        check_equal(table["left"], table["right"])
    check_equal(items["key"]["data"], kept["key"]["digest"])
    for opening in kept["openings"]:
        label = opening["tree"]
        if label != "preprocessed":
            cap = items[label if label.startswith("fri") else f"{label} commitment"]["data"]
            check("".join(opening["cap"]).startswith(cap.removesuffix("...")), label)
    for query in kept["queries"]:
        value = query["heights"][0]["deep"]
        for layer in query["layers"]:
            check_equal(layer["values"][layer["slot"]], value)
            value = layer["next"]
        check_equal(query["final"]["value"], value)
