"""Proofs that are kept: three small systems, their public values and the digests of their keys.

Proofs of a format version stay as they are: every later release verifies them. ``python
tests/golden/make.py`` makes what is derived from them again: intermediate values, graphs, the table
of keys; with ``--new-format`` also the proofs and the kept publication, for a new format version.
Importing this file needs the standard library alone, so that the verifier can be tested on the
proofs where there is nothing else.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from support.systems import Example, fibonacci, parameters, products  # noqa: E402

from stark.soundness.parameters import ProtocolParameters  # noqa: E402
from stark.system import System  # noqa: E402
from stark.verifier.key import VerificationKey  # noqa: E402

INDEX = HERE / "golden.json"
NAMES = ("fibonacci", "products", "hidden")
"""The last is the second with masks, drawn from a seed."""

CONTEXT = b"golden"


@dataclass(frozen=True)
class Golden:
    """A kept proof and what it is verified with."""

    name: str
    example: Example
    key: VerificationKey
    publics: dict[str, list[int]]
    key_digest: bytes
    proof: bytes


def golden_example(name: str) -> Example:
    if name == "fibonacci":
        return fibonacci(4)
    example = products()
    if name == "products":
        return example
    hidden = System([table.air for table in example.system.tables], zk=True)
    return Example(hidden, example.traces, example.publics)


def golden_parameters(name: str) -> ProtocolParameters:
    if name == "hidden":
        return parameters(zk=True, log_slack=3, log_blowup=3)
    return parameters()


def load(name: str) -> Golden:
    """A kept proof; its key's digest is the one in the file, not one computed here."""
    entry = json.loads(INDEX.read_text(encoding="ascii"))[name]
    example = golden_example(name)
    cap = tuple(bytes.fromhex(digest) for digest in entry["preprocessed"])
    return Golden(
        name,
        example,
        VerificationKey(example.system, golden_parameters(name), cap),
        entry["publics"],
        bytes.fromhex(entry["key"]),
        (HERE / f"{name}.proof").read_bytes(),
    )


def make(name: str) -> tuple[dict[str, object], bytes]:
    """The index entry and the proof, by the prover as it is."""
    from support.cheating import Seeded

    from stark.prover.keygen import generate_key
    from stark.prover.prove import prove

    example = golden_example(name)
    key = generate_key(example.system, golden_parameters(name))
    entry: dict[str, object] = {
        "key": key.verification.digest.hex(),
        "preprocessed": [digest.hex() for digest in key.verification.preprocessed_cap],
        "publics": example.publics,
    }
    seed = Seeded(b"golden")
    return entry, prove(key, example.traces, example.publics, CONTEXT, randomness=seed)


def main() -> None:
    from golden import derived, publication

    if "--new-format" in sys.argv[1:]:
        index = {}
        for name in NAMES:
            index[name], proof = make(name)
            (HERE / f"{name}.proof").write_bytes(proof)
        INDEX.write_text(json.dumps(index, indent=1) + "\n", encoding="ascii")
        publication.write()
    derived.write()


if __name__ == "__main__":
    main()
