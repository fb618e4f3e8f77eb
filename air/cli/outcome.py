"""How every command ends: exit codes, plain words on standard error, JSON on standard output."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, ParamSpec

import click

from air.keys import DEFAULT_PROFILE
from air.report import error_text
from air.report_json import failure, success
from air.verify import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_REJECTED,
    EXIT_UNREADABLE,
    EXIT_USAGE,
    drop_output,
    dump,
    rejection_exit,
)
from stark.errors import InputError, Rejected, UsageError
from stark.soundness.search import PROFILES

Parameters = ParamSpec("Parameters")

PATH = click.Path(path_type=Path)
"""Existence is not click's to check: a file that cannot be opened is exit code 3, not 2."""


def command_errors(function: Callable[Parameters, int]) -> Callable[Parameters, None]:
    """Turn what a command returns or raises into an exit code; it must take ``as_json``.

    The three typed errors and ``OSError`` become one line; nothing else is caught, since anything
    else is a defect, whose traceback is wanted.
    """

    @functools.wraps(function)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        context = click.get_current_context()
        try:
            code = function(*args, **kwargs)
        except KeyboardInterrupt as interrupt:
            say(f"interrupted{f': {interrupt}' if interrupt.args else ''}")
            code = EXIT_INTERRUPTED
        except BrokenPipeError:
            drop_output()
            code = EXIT_UNREADABLE
        except (Rejected, InputError, UsageError, OSError) as error:
            code = exit_code(error)
            if kwargs.get("as_json"):
                click.echo(dump(failure(_name(context), error)))
            else:
                say(f"{_label(error)}: {error_text(error)}")
        context.exit(code)

    return wrapped


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``."""
    option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    return option(function)


def profile_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--profile``, one, the profile to prove with."""
    option = click.option(
        "--profile",
        type=click.Choice(tuple(PROFILES)),
        default=DEFAULT_PROFILE,
        show_default=True,
        help="Security profile.",
    )
    return option(function)


class _Memory(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes, like 4GiB, 500MB, or 4294967296."""

    name = "size"
    _UNITS: ClassVar[dict[str, int]] = {
        "": 1,
        "B": 1,
        **{f"{letter}B": 1000 ** (k + 1) for k, letter in enumerate("kMGT")},
        **{f"{letter}iB": 1024 ** (k + 1) for k, letter in enumerate("KMGT")},
    }

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([kKMGT]?i?B?)", value)
        if found is None or found[2] not in self._UNITS:
            self.fail(f"{value!r} is no size; a size is like 4GiB or 500MB", param, ctx)
        return int(Fraction(found[1]) * self._UNITS[found[2]])


def memory_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--memory``, bytes."""
    option = click.option(
        "--memory",
        type=_Memory(),
        metavar="SIZE",
        help="What the process may take, like 4GiB. Default: 3/4 of the machine's memory.",
    )
    return option(function)


def policy_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--profile``, any number, as ``profiles``: what a verifier accepts."""
    option = click.option(
        "--profile",
        "profiles",
        type=click.Choice(tuple(PROFILES)),
        multiple=True,
        default=(DEFAULT_PROFILE,),
        show_default=True,
        help="Acceptable security profile; may be repeated. The file does not choose.",
    )
    return option(function)


def exit_code(error: Rejected | InputError | UsageError | OSError) -> int:
    """1 for what is wrong with the data, 2 for the request, 3 for a file that does not open."""
    if isinstance(error, Rejected):
        return rejection_exit(error)
    if isinstance(error, InputError):
        return EXIT_REJECTED
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_UNREADABLE


def finish(as_json: bool, fields: Mapping[str, Any], lines: list[str]) -> int:
    """Report success either way."""
    if as_json:
        click.echo(dump(success(_name(click.get_current_context()), fields)))
    else:
        for line in lines:
            click.echo(line)
    return EXIT_OK


def say(line: str) -> None:
    """One line to standard error."""
    click.echo(line, err=True)


def require_readable(path: Path) -> None:
    """Raise ``OSError`` unless the file can be opened."""
    with path.open("rb"):
        pass


def size_text(size: int) -> str:
    """Bytes as people read them: 1,234 bytes, 56.7 kB, 8.90 MB, 1.23 GB."""
    if size < 10_000:
        return f"{size:,} bytes"
    if size < 1_000_000:
        return f"{size / 1e3:.1f} kB"
    return f"{size / 1e6:.2f} MB" if size < 1_000_000_000 else f"{size / 1e9:.2f} GB"


def _name(context: click.Context) -> str:
    """The command without the program's name, for example ``inclusion verify``."""
    names = []
    current: click.Context | None = context
    while current is not None and current.parent is not None:
        names.append(current.info_name or "")
        current = current.parent
    return " ".join(reversed(names))


def _label(error: Exception) -> str:
    if isinstance(error, Rejected):
        return "REJECTED"
    if isinstance(error, InputError):
        return "bad data"
    return "usage" if isinstance(error, UsageError) else "cannot open"
