"""The whole tree of proofs over the batches of a snapshot, one proof after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from air.aggregate.keys import aggregate_keys
from air.aggregate.pinned_circuits import pinned_join_key, pinned_wrap_key, require_pinned
from air.aggregate.proving import Node, inner_batch_key, prove_batch, prove_join, prove_wrap
from air.shape import Shape
from air.witness import Batch
from stark.field.memory import buffers

Progress = Callable[[str, int, int], None]
Lap = Callable[[str], None]


def prove_aggregate(
    batches: Sequence[Batch],
    shape: Shape,
    profile: str,
    context: bytes,
    *,
    lean: bool = False,
    report: Progress,
    lap: Lap,
) -> bytes:
    """The proof that is published of two or more batches; the proofs below it are let go.

    Parameters
    ----------
    batches
        In order; each goes on where the one before ends.
    context
        What all proofs are bound to, :func:`air.aggregate.publics.aggregate_context`.
    lean
        Whether batches are proven with less memory and more time.
    report
        Called with a phase, the number of proofs made and their total.
    lap
        Called at the end of each part: keys, batches, joins, wrap.

    Raises
    ------
    Rejected
        ``VK`` if a key made from source is not the pinned one.
    """
    pinned = aggregate_keys(profile, shape)
    levels = (len(batches) - 1).bit_length()
    total = len(batches) + sum(-(-len(batches) >> level) for level in range(1, levels + 1)) + 1
    done = 0

    def step(name: str) -> Callable[[str], None]:
        return lambda phase: report(f"{name}: {phase}", done, total)

    report("keys", 0, total)
    key = inner_batch_key(profile, shape)
    require_pinned(key.verification, pinned.batch_key())
    lap("keys")
    nodes: list[Node] = []
    for number, batch in enumerate(batches):
        nodes.append(prove_batch(key, batch, context, lean=lean, step=step(f"batch {number}")))
        done += 1
    inner = key.verification
    del key
    buffers.release()
    lap("batches")
    for level in range(1, levels + 1):
        report("keys", done, total)
        join = pinned_join_key(inner, level, profile, pinned.join_key(level))
        lap("keys")
        joined: list[Node] = []
        for first in range(0, len(nodes), 2):
            left, right = nodes[first], nodes[first + 1] if first + 1 < len(nodes) else None
            name = f"join {len(joined)} of level {level}"
            joined.append(prove_join(join, inner, left, right, step(name)))
            done += 1
        nodes, inner = joined, join.verification
        del join
        buffers.release()
        lap("joins")
    report("keys", done, total)
    wrap = pinned_wrap_key(inner, profile, pinned.wrap_key(levels))
    lap("keys")
    (last,) = nodes
    proof = prove_wrap(wrap, inner, last, step("wrap"))
    del wrap
    buffers.release()
    lap("wrap")
    return proof
