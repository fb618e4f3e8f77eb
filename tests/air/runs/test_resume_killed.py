"""A real run in a process of its own, killed again and again: it is finished as it began."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from air.runs.folder import read_manifest
from air.runs.seed import RunSeed
from air.snapshot.generate import generate
from air.verification import verify_publication

ROOT = Path(__file__).parents[3]
KILLS = 6

RUN = """
import sys
from pathlib import Path
from air.proving import prove_snapshot
from air.shape import Shape
from air.snapshot.check import load
folder = Path(sys.argv[1])
said = lambda one: print(one.phase, flush=True)
prove_snapshot(
    load(folder / "S.csv"), bytes(32), folder / "out", profile="proven100",
    shape=Shape(12, 5, 9), batches=3, aggregate=False, resume=True, progress=said,
)
"""


def run(folder: Path, events: int, delay: float) -> int:
    """The exit code of a run that is killed so many seconds after it said that many things."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        timer = threading.Timer(delay, process.kill)
        try:
            assert process.stdout is not None
            for seen, _ in enumerate(process.stdout, start=1):
                if seen == events:
                    timer.start()
        except BaseException:
            process.kill()
            raise
        # Its output is closed: it ends, or has ended.
        process.wait()
        timer.cancel()
    return process.returncode


def test_a_run_that_is_killed_again_and_again(tmp_path: Path) -> None:
    generate(tmp_path / "S.csv", accounts=60, assets=4, holdings=3, seed=5)
    work, draw = tmp_path / "out.work", random.Random(20)
    seeds, kept, killed = set[bytes](), 0, 0
    for attempt in range(KILLS + 1):
        last = attempt == KILLS
        code = run(tmp_path, 1 << 30 if last else draw.randrange(1, 15), draw.uniform(0, 0.2))
        manifest = read_manifest(work)
        if manifest is not None:
            seeds.add(manifest.seed.seed)
        now = len(list(work.glob("proofs/*.inner")))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert now >= kept or (tmp_path / "out" / "liabilities.proof").exists(), "nothing is lost"
        kept, killed = now, killed + 1
    assert code == 0
    assert killed >= 3
    assert len(seeds) == 1
    data = (tmp_path / "out" / "liabilities.proof").read_bytes()
    statement = verify_publication(data, profiles=("proven100",)).statement
    assert (tmp_path / "out" / "statement.json").read_bytes() == statement.encode()
    assert statement.context.nonce == RunSeed(seeds.pop()).nonce
    assert sorted(path.name for path in tmp_path.iterdir()) == ["S.csv", "S.manifest.json", "out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "inclusion.sqlite",
        "liabilities.proof",
        "statement.json",
    ]
