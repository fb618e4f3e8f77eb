"""Every kernel of the prover, on processors without wide vectors: the same proof, byte for byte."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROVE = """
import hashlib, sys
import numpy as np
from support.cheating import Seeded, hidden_case, suite_case
from stark.hash.poseidon2_kernels import permute_many
from stark.hash.poseidon_kernels import chain, compress_many, trace_cells
from stark.hash.sha256_messages import hash_messages
from stark.hash.suite import POSEIDON1_SUITE, POSEIDON2_SUITE
from stark.prover.prove import prove

one = hidden_case()
digest = hashlib.sha256(
    prove(one.key, one.example.traces, one.publics, one.context, randomness=Seeded(b"x"))
)
for suite in (POSEIDON1_SUITE, POSEIDON2_SUITE):
    digest.update(suite_case(suite.name, zk=True).honest())
words = (np.arange(64 * 16, dtype=np.uint32) * np.uint32(2000003)).reshape(64, 16)
cells = np.zeros((64, 160), np.uint32)
trace_cells(words, cells)
starts = np.zeros(64, np.bool_)
starts[[0, 5]] = True
blocks = np.ascontiguousarray(words[:, :8])
for array in (
    compress_many(words),
    cells,
    chain(blocks, starts, blocks[:2].copy()),
    permute_many(words),
    hash_messages(words.view(np.uint8)),
):
    digest.update(array.tobytes())
print(digest.hexdigest())
"""


def digest_on(processor: str | None) -> str:
    environment = {
        **os.environ,
        "STARK_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    }
    if processor is not None:
        # Empty features: otherwise Numba adds those of the host.
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROVE], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
@pytest.mark.parametrize("processor", ["haswell", "nehalem"])
def test_all_kernels_compute_the_same(processor: str) -> None:
    assert digest_on(processor) == digest_on(None)
