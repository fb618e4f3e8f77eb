"""``keys``: the pinned roots of the fixed columns, shown or made again from source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import click

from air.aggregate.keys import (
    SHIPPED,
    AggregateKeys,
    PinnedCircuit,
    ShippedAggregate,
    pinned_aggregates,
)
from air.cli.outcome import command_errors, finish, json_option, profile_option
from air.cli.progress import progress_bar
from air.keys import pinned_roots, shipped_shapes, verification_key
from stark.errors import Code, Rejected


@click.group(short_help="The pinned verification keys.")
def keys() -> None:
    """The verification keys that this version pins."""


@keys.command("show")
@profile_option
@click.option("--digests", is_flag=True, help="Key digests as well, which takes seconds.")
@json_option
@command_errors
def show(profile: str, digests: bool, as_json: bool) -> int:
    """List the shapes of batches with the roots of their fixed columns.

    Then the aggregates, one proof for 2 to 2^levels batches, with the roots of the proof that is
    published. A key digest names the keys of all layers: batches, joins, wrap.
    """
    roots = pinned_roots()
    rows = []
    for shape in shipped_shapes():
        root = roots.get(shape.name)
        row = {"shape": shape.name, "root": "not pinned" if root is None else root.hex()}
        if digests and root is not None:
            row["key_digest"] = verification_key(profile, shape).digest.hex()
        rows.append(row)
    aggregates = [
        row
        for shipped in SHIPPED
        if shipped.profile == profile
        for row in _aggregate_rows(shipped, digests)
    ]
    width = max(len(row["shape"]) for row in rows)
    lines = ["  ".join([f"{row['shape']:<{width}}", *list(row.values())[1:]]) for row in rows]
    lines += ["", "Aggregates, by levels of joins:"]
    lines += [
        "  ".join([f"{row['shape']:<{width}}", *list(row.values())[1:]]) for row in aggregates
    ]
    return finish(as_json, {"profile": profile, "keys": rows, "aggregates": aggregates}, lines)


def _aggregate_rows(shipped: ShippedAggregate, digests: bool) -> list[dict[str, str]]:
    pinned = pinned_aggregates().get((shipped.profile, shipped.shape))
    rows = []
    for levels in range(1, shipped.levels + 1):
        row = {"shape": shipped.shape.name, "levels": str(levels)}
        if pinned is None or levels > len(pinned.wraps):
            row["root"] = "not pinned"
        else:
            row["root"] = pinned.wraps[levels - 1].root.hex()
            if digests:
                row["key_digest"] = pinned.digest(levels).hex()
        rows.append(row)
    return rows


@keys.command("rebuild")
@click.option("--write", is_flag=True, help="Replace the table in the package.")
@click.option("--aggregates", is_flag=True, help="The keys of aggregates instead; longer.")
@json_option
@command_errors
def rebuild(write: bool, aggregates: bool, as_json: bool) -> int:
    """Compute all pinned roots again from source and compare; minutes.

    Exit code 1 if any differs, unless --write replaces the table.
    """
    with progress_bar(not as_json) as report:
        report("loading the prover", 0, 1)

        def step(done: int, total: int) -> None:
            report("computing roots", done, total)

        table, pinned, store = _aggregates(step) if aggregates else _batches(step)
    differing = sorted(
        name for name in table.keys() | pinned.keys() if table.get(name) != pinned.get(name)
    )
    if differing and not write:
        raise Rejected(
            Code.VK, "pinned roots are those of the source", "no difference", ", ".join(differing)
        )
    if write:
        store()
    fields = {"shapes": len(table), "differing": differing, "written": write}
    lines = [f"{len(table)} roots computed, {len(differing)} differ from the pinned ones"]
    return finish(as_json, fields, lines + ["table written"] * write)


Pins = Mapping[str, bytes | PinnedCircuit]
"""Roots, or shapes and roots of circuits, by name."""

Rebuilt = tuple[Pins, Pins, Callable[[], None]]
"""What the source says, what is pinned, and what writes the former."""


def _batches(step: Callable[[int, int], None]) -> Rebuilt:
    from air.key_table import rebuild_table, write_table

    table = rebuild_table(step)
    return table, pinned_roots(), lambda: write_table(table)


def _aggregates(step: Callable[[int, int], None]) -> Rebuilt:
    from air.aggregate.key_table import rebuild_aggregates, write_aggregates

    made = rebuild_aggregates(step)
    pinned = pinned_aggregates().values()
    return _pins(made), _pins(pinned), lambda: write_aggregates(made)


def _pins(aggregates: Iterable[AggregateKeys]) -> Pins:
    pins: dict[str, bytes | PinnedCircuit] = {}
    for one in aggregates:
        name = f"{one.profile} {one.shape.name}"
        pins[f"{name} batch"] = one.batch_root
        for level, (join, wrap) in enumerate(zip(one.joins, one.wraps, strict=True), start=1):
            pins |= {f"{name} join {level}": join, f"{name} wrap {level}": wrap}
    return pins
