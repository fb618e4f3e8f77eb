"""Work that takes no time to speak of: a proof is a hash of its place and of those below it.

The functions stand at the top of a module that other processes can import.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from air.runs.scheduler import Call, CallOf
from air.runs.tree import NodeId, ProofTree
from stark.errors import Code, Rejected


def silent(phase: str) -> None:
    pass


def hashed(node: NodeId, children: list[bytes], *, step: Callable[[str], None] = silent) -> bytes:
    """What an honest worker makes of a node."""
    step("hashing")
    text = f"{node.level} {node.number} ".encode()
    return hashlib.sha256(text + b"".join(children)).digest()


def calls(node: NodeId, children: list[bytes]) -> Call:
    return Call(hashed, (node, children))


def expected(tree: ProofTree) -> dict[NodeId, bytes]:
    """All proofs of a tree."""
    made: dict[NodeId, bytes] = {}
    for node in tree.nodes():
        made[node] = hashed(node, [made[child] for child in tree.children(node)])
    return made


def slow(
    seconds: float, node: NodeId, children: list[bytes], *, step: Callable[[str], None] = silent
) -> bytes:
    time.sleep(seconds)
    return hashed(node, children)


def deadly(
    folder: str,
    times: int,
    node: NodeId,
    children: list[bytes],
    *,
    step: Callable[[str], None] = silent,
) -> bytes:
    """The first ``times`` workers are killed in the middle of it, as by a system without memory."""
    for number in range(times):
        place = Path(folder, f"{node.level}-{node.number}-{number}")
        if not place.exists():
            place.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return slow(0.05, node, children)


def deadly_at(folder: Path, victims: dict[NodeId, int]) -> CallOf:
    """Honest work, but for the nodes at which so many workers are killed."""

    def call(node: NodeId, children: list[bytes]) -> Call:
        if node in victims:
            return Call(deadly, (str(folder), victims[node], node, children))
        return Call(slow, (0.05, node, children))

    return call


def told(
    folder: str, node: NodeId, children: list[bytes], *, step: Callable[[str], None] = silent
) -> bytes:
    """Writes down which process works, then works for a minute."""
    Path(folder, str(os.getpid())).touch()
    return slow(60, node, children)


def raising(error: Exception, *, step: Callable[[str], None] = silent) -> bytes:
    raise error


def rejecting(*, step: Callable[[str], None] = silent) -> bytes:
    raise Rejected(Code.MERKLE, "a root", 1, b"other")


def heed_interrupts() -> None:
    """For a new process: whoever runs the tests in the background ignores interrupts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def environment(seconds: float = 0, *, step: Callable[[str], None] = silent) -> bytes:
    """What a worker sees of how it was set up; it takes so long."""
    time.sleep(seconds)
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return f"{os.environ.get('STARK_THREADS')} {ignored} {os.getpid()}".encode()


def filled(data: bytes, *, step: Callable[[str], None] = silent) -> bytes:
    return hashlib.sha256(data).digest()


def wait_for(true: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Whether it becomes true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


def alive(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
