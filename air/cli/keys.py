"""``keys``: the pinned roots of the fixed columns, shown or made again from source."""

from __future__ import annotations

import click

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
    """List the shapes of batches with the roots of their fixed columns."""
    roots = pinned_roots()
    rows = []
    for shape in shipped_shapes():
        root = roots.get(shape.name)
        row = {"shape": shape.name, "root": "not pinned" if root is None else root.hex()}
        if digests and root is not None:
            row["key_digest"] = verification_key(profile, shape).digest.hex()
        rows.append(row)
    width = max(len(row["shape"]) for row in rows)
    lines = ["  ".join([f"{row['shape']:<{width}}", *list(row.values())[1:]]) for row in rows]
    return finish(as_json, {"profile": profile, "keys": rows}, lines)


@keys.command("rebuild")
@click.option("--write", is_flag=True, help="Replace the table in the package.")
@json_option
@command_errors
def rebuild(write: bool, as_json: bool) -> int:
    """Compute all pinned roots again from source and compare; minutes.

    Exit code 1 if any differs, unless --write replaces the table.
    """
    with progress_bar(not as_json) as report:
        report("loading the prover", 0, 1)
        from air.key_table import rebuild_table, write_table

        table = rebuild_table(lambda done, total: report("computing roots", done, total))
    pinned = pinned_roots()
    differing = sorted(
        name for name in table.keys() | pinned.keys() if table.get(name) != pinned.get(name)
    )
    if differing and not write:
        raise Rejected(
            Code.VK, "pinned roots are those of the source", "no difference", ", ".join(differing)
        )
    if write:
        write_table(table)
    fields = {"shapes": len(table), "differing": differing, "written": write}
    lines = [f"{len(table)} roots computed, {len(differing)} differ from the pinned ones"]
    return finish(as_json, fields, lines + ["table written"] * write)
