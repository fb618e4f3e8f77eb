"""Aggregate batches of random accounts, and say what each layer of proofs takes.

``python benchmarks/aggregate.py --shape rows20-slots18-assets9 --batches 2 --json``

For every layer (batches, joins by level, wrap): rows of its tables, bytes of its proof, seconds of
its key, of its witness and of its proof, of the verifier, and the memory that the process has had
at most so far. Accounts have ``--holdings`` holdings each, as many accounts as fill the batches.
Keys are made from source, not compared with the pinned ones: any shape will do. The first proof of
each layer pays for compilation if the kernels are not cached yet (``liabilities warmup``), and for
memory that the system hands out for the first time.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from air.aggregate.proving import (
    Node,
    inner_batch_key,
    join_key,
    prove_batch,
    prove_join,
    prove_wrap,
    wrap_key,
)
from air.bench.machine import ReferenceKernel, machine, peak_memory, reference
from air.encoding import DIGEST_LANES
from air.registry import AMOUNT_LIMBS
from air.shape import Shape
from air.witness import Batch, BatchAccounts, prepare_batch
from stark.field.koalabear import P
from stark.field.memory import buffers
from stark.verifier.key import VerificationKey
from stark.verifier.verify import verify

LISTED_ASSETS = 500
PROFILE = "proven128"


class Layers:
    """Figures of one layer after the other."""

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self._started = 0.0
        self._phase = ""

    def begin(self, name: str) -> None:
        self.layers.append({"layer": name, "seconds": {}})

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._add(what, time.perf_counter() - started)

    def step(self, phase: str) -> None:
        """A phase of a proof begins; the one before it ends."""
        now = time.perf_counter()
        if self._phase:
            self._add(self._phase, now - self._started)
        self._phase, self._started = phase, now

    def proof(self, key: VerificationKey, proof: bytes, publics: Any, context: bytes) -> None:
        """The end of a proof: its size, and what verifying it takes."""
        self.step("")
        with self.timed("verifier"):
            verify(key, proof, publics, context)
        parameters = key.parameters
        self.layers[-1] |= {
            "proof_bytes": len(proof),
            "queries": parameters.queries,
            "blowup": 1 << parameters.log_blowup,
            "heights": {table.name: f"2^{table.log_height}" for table in key.system.tables},
            "peak_memory_bytes": peak_memory(),
        }

    def note(self, **fields: Any) -> None:
        self.layers[-1] |= fields

    def _add(self, what: str, seconds: float) -> None:
        known = self.layers[-1]["seconds"]
        known[what] = round(known.get(what, 0.0) + seconds, 3)


def random_accounts(shape: Shape, holdings: int, rng: np.random.Generator) -> BatchAccounts:
    """As many accounts as the rows hold; the other slots are empty ones."""
    accounts = (shape.holding_rows - shape.slots) // max(1, holdings - 1)
    counts = np.ones(shape.slots, np.int64)
    counts[: min(accounts, shape.slots)] = holdings
    rng.shuffle(counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    start = np.repeat(rng.integers(0, LISTED_ASSETS - holdings, shape.slots), counts)
    return BatchAccounts(
        commitments=rng.integers(0, P, (shape.slots, DIGEST_LANES)).astype(np.uint32),
        offsets=offsets,
        assets=start + place,
        limbs=rng.integers(0, 1 << 15, (len(place), AMOUNT_LIMBS)),
    )


def random_batches(shape: Shape, count: int, holdings: int) -> list[Batch]:
    """Batches that go on where the one before ends."""
    rng = np.random.default_rng(1)
    blinds = [tuple(secrets.randbelow(P) for _ in range(DIGEST_LANES)) for _ in range(count + 1)]
    totals = [0] * shape.capacity
    batches = []
    for number in range(count):
        accounts = random_accounts(shape, holdings, rng)
        batch = prepare_batch(
            shape, accounts, totals, blinds[number], blinds[number + 1], number == 0
        )
        totals = batch.totals_out
        batches.append(batch)
    return batches


def measured(shape: Shape, count: int, holdings: int) -> list[dict[str, Any]]:
    """Figures of every layer."""
    layers = Layers()
    context = secrets.token_bytes(32)
    batches = random_batches(shape, count, holdings)
    layers.begin("batch")
    with layers.timed("key"):
        key = inner_batch_key(PROFILE, shape)
    nodes: list[Node] = []
    for batch in batches:
        nodes.append(prove_batch(key, batch, context, step=layers.step))
    layers.note(proofs=len(nodes))
    inner = key.verification
    layers.proof(inner, nodes[-1].proof, nodes[-1].inner_publics, context)
    del key
    buffers.release()
    level = 0
    while len(nodes) > 1:
        level += 1
        layers.begin(f"join of level {level}")
        with layers.timed("key"):
            join = join_key(inner, level, PROFILE)
        layers.note(rows=join.circuit.rows)
        nodes = [
            prove_join(join, inner, left, right, layers.step)
            for left, right in zip(nodes[::2], [*nodes[1::2], None], strict=False)
        ]
        layers.note(proofs=len(nodes))
        inner = join.verification
        layers.proof(inner, nodes[-1].proof, nodes[-1].inner_publics, context)
        del join
        buffers.release()
    layers.begin("wrap")
    with layers.timed("key"):
        wrap = wrap_key(inner, PROFILE)
    layers.note(rows=wrap.circuit.rows, proofs=1)
    proof = prove_wrap(wrap, inner, nodes[0], layers.step)
    publics = {"permutation": nodes[0].publics.wrap_digest()}
    layers.proof(wrap.verification, proof, publics, context)
    return layers.layers


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shape", default="rows14-slots12-assets9")
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--holdings", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.batches < 2:
        parser.error("an aggregate has at least two batches")
    shape = Shape.named(options.shape)
    result = {
        "machine": machine(),
        "reference": reference(ReferenceKernel()),
        "shape": shape.name,
        "batches": options.batches,
        "layers": measured(shape, options.batches, options.holdings),
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    print(f"{options.batches} batches of {shape.name}; {result['machine']['cpu']}")
    for layer in result["layers"]:
        seconds = layer["seconds"]
        proving = sum(v for k, v in seconds.items() if k not in ("key", "verifier"))
        print(
            f"{layer['layer']:<16} {layer['proofs']} proofs, {proving:.2f} s together, "
            f"{layer['proof_bytes']:,} bytes, {layer['queries']} queries, "
            f"verifier {seconds['verifier']:.2f} s, key {seconds['key']:.1f} s, "
            f"peak {layer['peak_memory_bytes'] / 2**30:.2f} GiB"
        )
        if "rows" in layer:
            print(
                "                 rows " + ", ".join(f"{k} {v:,}" for k, v in layer["rows"].items())
            )
        phases = {k: v for k, v in seconds.items() if k not in ("key", "verifier")}
        print("                 " + ", ".join(f"{k} {v:.2f}" for k, v in phases.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
