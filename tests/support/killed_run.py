"""Runs of fake proofs in a work folder, each in a process that may be killed at any line.

A nursery is a process of its own that has loaded what a run needs, and no kernels: it forks a
process for each run, so that hundreds of them take seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Self

from air.runs.scheduler import Call, run_tree
from air.runs.tree import NodeId, ProofTree
from air.runs.workers import InProcess, LocalPool
from stark.errors import Code, Rejected, UsageError

ROOT = Path(__file__).parents[2]
TREE = ProofTree(7)
RUN = b"this run"
REFUSED = 2
RESULT = "result"


@dataclass(frozen=True)
class Attempt:
    """A process that works on a run.

    Attributes
    ----------
    workers
        0 for the process itself.
    lines
        Killed when it has run so many lines of the package; 0 for never.
    largest
        Files cannot have more bytes, as if the disk were full; 0 for no limit.
    """

    folder: str
    name: str = "only"
    workers: int = 0
    lines: int = 0
    largest: int = 0


def silent(phase: str) -> None:
    pass


def made(node: NodeId, children: list[bytes]) -> bytes:
    """A fake proof: its run, its place, and some kilobytes of hash of it and those below it."""
    head = RUN + bytes([node.level, node.number])
    size = 500 + 1700 * (5 * node.level + node.number)
    return head + hashlib.shake_256(head + b"".join(children)).digest(size)


def working(
    name: str, node: NodeId, children: list[bytes], *, step: Callable[[str], None] = silent
) -> bytes:
    """Says what it begins with, in one piece; then makes it."""
    os.write(1, f"begun {name} {node.level} {node.number} {os.getpid()}\n".encode())
    return made(node, children)


def identify(data: bytes) -> NodeId:
    if data[: len(RUN)] != RUN:
        raise Rejected(Code.FORMAT, "a proof of this run", RUN.hex(), data[: len(RUN)].hex())
    return NodeId(data[len(RUN)], data[len(RUN) + 1])


def carry_out(attempt: Attempt) -> None:
    """What a run does, with everything in it that can be killed."""
    # Not loaded by processes that make proofs.
    from air.inclusion.private_files import private_output
    from air.runs.folder import WorkFolder
    from air.runs.manifest import RunManifest
    from air.runs.seed import RunSeed

    folder, zero = Path(attempt.folder), bytes(32)
    team = LocalPool(attempt.workers, 1) if attempt.workers else InProcess()
    with WorkFolder(folder / "work", lambda line: None) as kept, team as workers:
        if kept.manifest is None:
            seed = RunSeed.fresh()
            kept.begin(RunManifest("1", zero, zero, "p", "s", 7, True, zero, zero, seed))
        kept.scan(identify)
        run_tree(TREE, kept, lambda *words: Call(working, (attempt.name, *words)), workers)
        with private_output(folder / RESULT) as partial:
            partial.write_bytes(kept.find(TREE.roots[0]) or b"")
        kept.finish()


def killed_after(lines: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function: the process is no more at the line of the package of that number."""
    left = [lines]

    def trace(frame: FrameType, event: str, value: Any) -> Any:
        if f"{os.sep}air{os.sep}" not in frame.f_code.co_filename:
            return None
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def main() -> None:
    """The nursery: a line on standard input is an attempt; what came of it goes to the output."""
    from air.runs import folder  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _child(Attempt(**json.loads(line)))
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


def _child(attempt: Attempt) -> None:
    try:
        if attempt.largest:
            resource.setrlimit(resource.RLIMIT_FSIZE, (attempt.largest, attempt.largest))
        if attempt.lines:
            sys.settrace(killed_after(attempt.lines))
        carry_out(attempt)
    except UsageError as error:
        os.write(1, f"refused {error}\n".encode())
        os._exit(REFUSED)
    except BaseException:  # noqa: BLE001
        os.write(1, f"refused {traceback.format_exc()!r}\n".encode())
        os._exit(1)
    os._exit(0)


@dataclass(frozen=True)
class Outcome:
    code: int
    begun: list[NodeId]
    refused: str = ""


class Nursery:
    """A context manager; ``processes`` are all that made proofs."""

    def __init__(self) -> None:
        self.processes: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from support.killed_run import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What trackers of resources say of processes that were killed.
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        )

    def attempt(self, attempt: Attempt) -> Outcome:
        """Carry it out, to whatever end."""
        talk = self._process
        assert talk.stdin is not None
        assert talk.stdout is not None
        talk.stdin.write(json.dumps(asdict(attempt)) + "\n")
        talk.stdin.flush()
        begun, refused = [], ""
        for line in talk.stdout:
            kind, _, rest = line.rstrip("\n").partition(" ")
            if kind == "ended":
                return Outcome(int(rest), begun, refused)
            if kind == "refused":
                refused = rest
                continue
            name, level, number, process = rest.split()
            self.processes.add(int(process))
            # A worker whose run was killed may still say something.
            if name == attempt.name:
                begun.append(NodeId(int(level), int(number)))
        raise AssertionError("the nursery ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=20)
