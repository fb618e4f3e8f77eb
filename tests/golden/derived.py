"""Golden files that follow from the kept proofs and from the source of the tables.

Standard library alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from golden import publication
from golden.annotate import annotate
from golden.describe import describe_key, describe_system
from golden.make import CONTEXT, HERE, NAMES, golden_example, load
from golden.primitives import primitives
from golden.rejections import rejections

from air.aggregate.keys import decode_aggregates
from air.keys import pinned_roots, profile_parameters, shipped_shapes, verification_key
from air.publication import (
    AggregatedPublication,
    Publication,
    chained_digests,
    decode_publication,
)
from air.shape import Shape
from air.tables.batch import batch_system
from air.verification import aggregate_publics, batch_contexts, batch_publics
from stark.soundness.search import PROFILES
from stark.system import table_digest

KEYS = HERE.parents[1] / "docs" / "keys.json"
LINE = 100


def names() -> list[str]:
    """Derived files, without their ending."""
    systems = [f"{name}.system" for name in (*NAMES, "batch")]
    return [
        *systems,
        *(f"{name}.transcript" for name in (*NAMES, "publication")),
        "aggregated.wrap",
        "primitives",
        "rejections",
    ]


def derive(name: str) -> Any:
    """The content of a derived file."""
    if name == "primitives":
        return primitives()
    if name == "rejections":
        return rejections()
    subject, _, kind = name.partition(".")
    if kind == "system":
        batch = subject == "batch"
        return describe_system(
            batch_system(publication.SHAPE, zk=True) if batch else golden_example(subject).system
        )
    if subject == "publication":
        return _publication_transcript()
    if subject == "aggregated":
        return _aggregated_wrap()
    golden = load(subject)
    return annotate(golden.key, golden.proof, golden.publics, CONTEXT)


def _publication_transcript() -> Any:
    kept = Publication.decode(publication.load().publication)
    (batch,) = kept.batches
    return annotate(
        verification_key(publication.PROFILE, publication.SHAPE),
        batch.proof,
        batch_publics(True, chained_digests(kept)[0], batch),
        batch_contexts(kept.statement)[0],
        brief=True,
    )


def _aggregated_wrap() -> Any:
    """What the kept aggregate is verified with, after its file alone and the kept keys."""
    kept = decode_publication((HERE / "aggregated.proof").read_bytes())
    if not isinstance(kept, AggregatedPublication):
        raise ValueError("the kept aggregate is another publication")
    (keys,) = decode_aggregates((HERE / "aggregated.keys.json").read_bytes())
    key = keys.wrap_key(1)
    publics = aggregate_publics(kept, keys.shape)
    return {
        "tables": [
            {
                "name": table.name,
                "nodes": len(table.symbolic.graph.nodes),
                "constraints": len(table.constraints),
                "digest": table_digest(table).hex(),
            }
            for table in key.system.tables
        ],
        "key": describe_key(key),
        "aggregate_key_digest": keys.digest(1).hex(),
        "context": publics.context.hex(),
        "publics": list(publics.wrap_digest()),
    }


def key_entry(shape: Shape) -> dict[str, Any]:
    """What the table of keys says of a shape."""
    entry: dict[str, Any] = {
        "root": pinned_roots()[shape.name].hex(),
        "system": batch_system(shape, zk=True).digest().hex(),
    }
    for profile in PROFILES:
        key = verification_key(profile, shape)
        entry["tables"] = key.shape.hex()
        parameters = profile_parameters(profile, shape)
        entry[profile] = {"parameters": parameters.encode().hex(), "key": key.digest.hex()}
    return entry


def read(name: str) -> Any:
    """A derived file as it is kept."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="ascii"))


def write() -> None:
    """All derived files and the table of keys."""
    for name in names():
        _write(HERE / f"{name}.json", derive(name))
    shapes = {shape.name: key_entry(shape) for shape in shipped_shapes()}
    _write(KEYS, {"format": "1", "shapes": shapes})


def _write(path: Path, value: Any) -> None:
    path.write_text(formatted(value, 0) + "\n", encoding="ascii")


def formatted(value: Any, indent: int) -> str:
    """JSON on one line where it fits, else a line per member."""
    line = json.dumps(value)
    if not isinstance(value, dict | list) or len(line) + indent <= LINE:
        return line
    inner = indent + 1
    if isinstance(value, list):
        return _bracketed("[]", [formatted(item, inner) for item in value], indent)
    members = [f"{json.dumps(key)}: {formatted(item, inner)}" for key, item in value.items()]
    return _bracketed("{}", members, indent)


def _bracketed(brackets: str, members: list[str], indent: int) -> str:
    start = "\n" + " " * (indent + 1)
    return f"{brackets[0]}{start}{f',{start}'.join(members)}\n{' ' * indent}{brackets[1]}"
