"""Making the table of pinned keys again from source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from air.keys import DEFAULT_PROFILE, KEYS_FILE, profile_parameters, shipped_shapes
from air.tables.batch import batch_system
from stark.prover.keygen import generate_key


def rebuild_table(progress: Callable[[int, int], None] | None = None) -> dict[str, bytes]:
    """Roots of the preprocessed columns of all shipped shapes, computed from their AIRs.

    They depend on the blowup alone of the parameters, which all profiles share.
    """
    roots = {}
    shapes = shipped_shapes()
    for number, shape in enumerate(shapes):
        if progress is not None:
            progress(number, len(shapes))
        key = generate_key(batch_system(shape, zk=True), profile_parameters(DEFAULT_PROFILE, shape))
        roots[shape.name] = key.verification.preprocessed_cap[0]
    return roots


def write_table(roots: dict[str, bytes], path: Path | None = None) -> None:
    """Write the table into the package (or to ``path``)."""
    target = path or Path(__file__).with_name(KEYS_FILE)
    table = {"format": "1", "roots": {name: root.hex() for name, root in sorted(roots.items())}}
    target.write_text(json.dumps(table, indent=1) + "\n", encoding="ascii")
