"""A real publication, proven once per test session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from air.proving import ProofRun
    from air.snapshot.table import Snapshot

SMALL_PROFILE = "proven128"


@dataclass(frozen=True)
class SmallPublication:
    """20 accounts, 3 assets, and what came of proving them. Tests must not change the files."""

    snapshot_path: Path
    manifest_path: Path
    snapshot: Snapshot
    master_key: bytes
    run: ProofRun
    proof: bytes


@pytest.fixture(scope="session")
def small_publication(tmp_path_factory: pytest.TempPathFactory) -> SmallPublication:
    # Imported here: most tests beside this file need no prover.
    from air.proving import prove_snapshot
    from air.snapshot.check import load
    from air.snapshot.generate import generate

    folder = tmp_path_factory.mktemp("publication")
    snapshot_path = folder / "small.csv"
    generate(snapshot_path, accounts=20, assets=3, holdings=2, seed=5)
    snapshot = load(snapshot_path)
    master_key = bytes(range(32))
    run = prove_snapshot(snapshot, master_key, folder / "out", profile=SMALL_PROFILE)
    return SmallPublication(
        snapshot_path=snapshot_path,
        manifest_path=folder / "small.manifest.json",
        snapshot=snapshot,
        master_key=master_key,
        run=run,
        proof=run.proof_path.read_bytes(),
    )
