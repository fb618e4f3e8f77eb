"""The entry point ``liabilities``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from air.cli.demo import demo
from air.cli.inclusion import inclusion
from air.cli.keys import keys
from air.cli.plan import plan
from air.cli.prove import keygen, prove
from air.cli.security import security
from air.cli.snapshots import check, generate
from air.cli.verify import verify
from air.cli.warmup import warmup
from air.verify import tolerate_terminal


class _InOrder(click.Group):
    """Lists commands in the order in which they are used, not by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def _version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    try:
        number = version("stark-liabilities")
    except PackageNotFoundError:
        number = "not installed: run from source"
    click.echo(f"stark-liabilities {number}")
    context.exit()


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Prove and verify what an exchange owes its customers.

    Every command takes --json. Exit codes: 0 done or accepted; 1 rejected, or bad data; 2 usage;
    3 a file that cannot be opened, is no proof file, or is of an unknown version.
    """
    tolerate_terminal()


for _command in (
    demo,
    generate,
    check,
    plan,
    keygen,
    prove,
    verify,
    inclusion,
    security,
    keys,
    warmup,
):
    main.add_command(_command)


if __name__ == "__main__":
    main()
