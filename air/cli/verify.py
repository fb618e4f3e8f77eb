"""``verify``: what ``python -m air.verify`` does."""

from __future__ import annotations

from pathlib import Path

import click

from air.cli.outcome import PATH, command_errors, json_option, policy_option, say
from air.verify import run


@click.command(short_help="Check a proof file.")
@click.argument("proof", type=PATH)
@click.option("--expect", metavar="DIGEST", help="Statement digest that was published elsewhere.")
@policy_option
@click.option(
    "--keys", type=PATH, metavar="FILE", help="Keys of aggregates that this version does not pin."
)
@click.option("--key-digest", metavar="DIGEST", help="Digest that these keys must have.")
@json_option
@command_errors
def verify(
    proof: Path,
    expect: str | None,
    profiles: tuple[str, ...],
    keys: Path | None,
    key_digest: str | None,
    as_json: bool,
) -> int:
    """Check a PROOF file: a line per check, the totals, what is assumed and what is not proven.

    The same as `python -m air.verify PROOF`, which needs nothing but Python.
    """
    return run(proof, expect, profiles, as_json, click.echo, say, keys, key_digest)
