"""Making the keys of aggregates again from source, level by level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from air.aggregate.keys import (
    KEYS_FILE,
    SHIPPED,
    AggregateKeys,
    PinnedCircuit,
    ShippedAggregate,
    encode_aggregates,
)
from air.aggregate.proving import inner_batch_key, join_key, wrap_key
from stark.recursion.prover import CircuitKey

Progress = Callable[[int, int], None]
"""Called with the number of keys that are made and of all."""


def rebuild_aggregates(
    progress: Progress | None = None, wanted: Sequence[ShippedAggregate] = SHIPPED
) -> tuple[AggregateKeys, ...]:
    """Shapes and roots of the circuits of all shipped aggregates, computed from source.

    Each level's circuit has the key of the level below as constants, so that they are made from the
    batches upwards: a join and a wrap per level.
    """
    total = sum(1 + 2 * one.levels for one in wanted)
    made = 0

    def step() -> None:
        nonlocal made
        if progress is not None:
            progress(made, total)
        made += 1

    return tuple(_rebuild(one, step) for one in wanted)


def _rebuild(wanted: ShippedAggregate, step: Callable[[], None]) -> AggregateKeys:
    step()
    batch = inner_batch_key(wanted.profile, wanted.shape).verification
    joins: list[PinnedCircuit] = []
    wraps: list[PinnedCircuit] = []
    inner = batch
    for level in range(1, wanted.levels + 1):
        step()
        join = join_key(inner, level, wanted.profile)
        joins.append(_pinned(join))
        inner = join.verification
        # Before the wrap is made: columns and trees of a large circuit take gigabytes.
        del join
        step()
        wraps.append(_pinned(wrap_key(inner, wanted.profile)))
    (root,) = batch.preprocessed_cap
    return AggregateKeys(wanted.profile, wanted.shape, root, tuple(joins), tuple(wraps))


def _pinned(key: CircuitKey) -> PinnedCircuit:
    (root,) = key.verification.preprocessed_cap
    return PinnedCircuit(key.shape, root)


def write_aggregates(aggregates: Sequence[AggregateKeys], path: Path | None = None) -> None:
    """Write the table into the package (or to ``path``)."""
    target = path or Path(__file__).with_name(KEYS_FILE)
    target.write_bytes(encode_aggregates(tuple(aggregates)))
