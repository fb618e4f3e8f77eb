"""Verify one batch that was proven by itself: ``python -m air.bench.batch_verifier DIRECTORY``.

For timing alone, with the standard library alone, like ``python -m air.verify``: the key comes from
beside the proof, so that acceptance means nothing about anything else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from air.shape import Shape
from air.tables.batch import batch_system
from stark.soundness.parameters import ProtocolParameters
from stark.verifier.key import VerificationKey
from stark.verifier.verify import PublicValues, verify

PROOF_FILE = "batch.proof"
KEY_FILE = "batch.json"


def write_batch(
    folder: Path, shape: Shape, key: VerificationKey, publics: PublicValues, proof: bytes
) -> None:
    """Write what :func:`read_batch` reads."""
    value = {
        "shape": shape.name,
        "parameters": key.parameters.encode().hex(),
        "preprocessed": [digest.hex() for digest in key.preprocessed_cap],
        "publics": {name: list(values) for name, values in publics.items()},
    }
    (folder / KEY_FILE).write_text(json.dumps(value), encoding="ascii")
    (folder / PROOF_FILE).write_bytes(proof)


def read_batch(folder: Path) -> tuple[VerificationKey, bytes, PublicValues]:
    """Key, proof and public values from a folder of this program's own."""
    value = json.loads((folder / KEY_FILE).read_text(encoding="ascii"))
    parameters = ProtocolParameters.decode(bytes.fromhex(value["parameters"]))
    system = batch_system(Shape.named(value["shape"]), zk=parameters.zk)
    cap = tuple(bytes.fromhex(digest) for digest in value["preprocessed"])
    key = VerificationKey(system, parameters, cap)
    return key, (folder / PROOF_FILE).read_bytes(), value["publics"]


def main(arguments: Sequence[str]) -> None:
    """Return if the proof verifies; ``Rejected`` if not."""
    verify(*read_batch(Path(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
