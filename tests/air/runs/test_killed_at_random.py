"""Runs that are killed at any line, with damaged files and full disks: nothing is lost or mixed."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from support.checks import check, check_equal
from support.fake_jobs import alive, wait_for
from support.killed_run import REFUSED, RESULT, TREE, Attempt, Nursery, identify, made

from air.runs.folder import read_manifest
from air.runs.tree import NodeId
from stark.errors import Rejected

LINES = 6000
"""A run in this process takes fewer."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery
        check(wait_for(lambda: not any(map(alive, nursery.processes)), 5), "a process is left")


def expected() -> bytes:
    proofs: dict[NodeId, bytes] = {}
    for node in TREE.nodes():
        proofs[node] = made(node, [proofs[child] for child in TREE.children(node)])
    return proofs[TREE.roots[0]]


def kept(folder: Path) -> dict[NodeId, Path]:
    """Proofs that are whole."""
    found = {}
    for path in (folder / "work" / "proofs").glob("*.inner"):
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == path.stem:
            try:
                found[identify(data)] = path
            except Rejected:
                continue
    return found


def needed(there: set[NodeId]) -> set[NodeId]:
    """What is still to be made: not what is below a proof that is there."""
    open_ones, result = list(TREE.roots), set[NodeId]()
    while open_ones:
        node = open_ones.pop()
        if node not in there:
            result.add(node)
            open_ones += TREE.children(node)
    return result


def require_finished(folder: Path) -> None:
    check_equal((folder / RESULT).read_bytes(), expected())
    # Its partial forms are another's to remove: it lies outside of the work folder.
    left = sorted(path.name for path in folder.iterdir() if not path.name.endswith(".partial"))
    check_equal(left, [RESULT])


def life(nursery: Nursery, folder: Path, draw: Random, workers: int, damage: bool) -> int:
    """A run from its beginning to its end; how often it was killed."""
    folder.mkdir()
    seeds, before, kills = set[bytes](), set[NodeId](), 0
    while True:
        there = set(kept(folder))
        if damage and there:
            there.discard(damaged(folder, draw))
        else:
            check(before <= there or (folder / RESULT).exists(), "what is finished stays")
        name = f"{folder.name}-{kills}"
        lines = 1 + int(LINES * draw.random() ** 2)
        outcome = nursery.attempt(Attempt(str(folder), name, workers, lines))
        check_equal(sorted(set(outcome.begun)), sorted(outcome.begun), "each once")
        check(set(outcome.begun) <= needed(there), f"{outcome.begun} with {sorted(there)}")
        if outcome.code == 0:
            require_finished(folder)
            return kills
        if not (folder / "work").exists():
            # Killed right after the last step, or before the first.
            if (folder / RESULT).exists():
                require_finished(folder)
                return kills + 1
        elif (manifest := read_manifest(folder / "work")) is not None:
            seeds.add(manifest.seed.seed)
            check_equal(len(seeds), 1, "one seed for all of a run")
        elif (folder / RESULT).exists():
            # All is removed but for the lock: another run would begin.
            check_equal(kept(folder), {})
            return kills + 1
        check_equal(outcome.code, -signal.SIGKILL, outcome.refused)
        kills += 1
        # One that was renamed when its process ended was in flight, whether that was noted or not.
        before = set(kept(folder))


def damaged(folder: Path, draw: Random) -> NodeId:
    """A proof that was whole is not any more; or its file is another's."""
    there = kept(folder)
    node = draw.choice(sorted(there))
    path = there[node]
    data = path.read_bytes()
    place = draw.randrange(len(data))
    kind = draw.choice(["truncated", "flipped", "another", "gone", "foreign", "empty"])
    if kind == "truncated":
        path.write_bytes(data[:place])
    elif kind == "flipped":
        flipped = bytearray(data)
        flipped[place] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
    elif kind == "another":
        other = there[draw.choice(sorted(there))].read_bytes()
        path.write_bytes(other if other != data else b"")
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        if kind == "foreign":
            strange = b"another run" + data
            path.with_name(f"{hashlib.sha256(strange).hexdigest()}.inner").write_bytes(strange)
    return node


@pytest.mark.parametrize(("workers", "damage", "seed"), [(0, False, 1), (0, True, 2), (2, True, 3)])
def test_killed_at_any_line(
    nursery: Nursery, tmp_path: Path, workers: int, damage: bool, seed: int
) -> None:
    draw, kills, lives = Random(seed), 0, 0
    while kills < (30 if workers else 150):
        kills += life(nursery, tmp_path / f"{workers}{lives}", draw, workers, damage)
        lives += 1
    check(lives > 1, "more than one run came to its end")


def test_a_full_disk_at_any_file(nursery: Nursery, tmp_path: Path) -> None:
    """Files have no room from some size on: what is finished stays, and it is said why."""
    draw, limit = Random(4), 300
    refusals = 0
    while True:
        there = set(kept(tmp_path))
        outcome = nursery.attempt(Attempt(str(tmp_path), str(limit), largest=limit))
        check(set(outcome.begun) <= needed(there), "nothing twice")
        if outcome.code == 0:
            break
        check_equal(outcome.code, REFUSED)
        check(f"{tmp_path}/work" in outcome.refused, outcome.refused)
        check("File too large" in outcome.refused, outcome.refused)
        check(there <= set(kept(tmp_path)), "what is finished stays")
        partial = [path for path in tmp_path.rglob("*") if path.name.endswith(".partial")]
        check_equal(partial, [], "nothing half")
        refusals += 1
        limit += draw.randrange(1, 4000)
    require_finished(tmp_path)
    check(refusals > 5, "often enough")


def test_undisturbed(nursery: Nursery, tmp_path: Path) -> None:
    for workers in (0, 2):
        outcome = nursery.attempt(Attempt(str(tmp_path), workers=workers))
        check_equal((outcome.code, sorted(outcome.begun)), (0, list(TREE.nodes())))
        require_finished(tmp_path)
