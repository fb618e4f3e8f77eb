"""``python -m air.verify PROOF``: check a proof file with nothing but Python.

No package beyond the standard library is needed, so that whoever checks has little to trust. The
command ``liabilities verify`` is this one. Exit codes: 0 accepted, 1 rejected, 2 usage, 3 a file
that cannot be opened, is no proof file, or is of an unknown version; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

from air.aggregate.keys import MAXIMUM_FILE as MAXIMUM_KEYS
from air.aggregate.keys import TrustedKeys, decode_aggregates
from air.keys import DEFAULT_PROFILE
from air.publication import MAGIC
from air.report import acceptance_lines, check_line, error_text
from air.report_json import acceptance_json, checks_json, failure, success
from air.verification import MAXIMUM_FILE, Check, verify_publication
from stark.errors import Code, Rejected, UsageError
from stark.soundness.search import PROFILES

EXIT_OK = 0
EXIT_REJECTED = 1
EXIT_USAGE = 2
EXIT_UNREADABLE = 3
EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")

Emit = Callable[[str], None]


def read_limited(path: str | os.PathLike[str], limit: int = MAXIMUM_FILE) -> bytes:
    """The file, but no more than ``limit`` + 1 bytes: enough to be refused as too long.

    Raises ``OSError`` as ``open`` does.
    """
    with open(path, "rb") as file:
        return file.read(limit + 1)


def parse_digest(text: str) -> bytes:
    """32 bytes from hexadecimal; ``UsageError`` for anything else, the short form included."""
    if _DIGEST.fullmatch(text) is None:
        raise UsageError("a digest has 64 hexadecimal digits; the short form is for the eye")
    return bytes.fromhex(text)


def read_trusted(keys: str | os.PathLike[str] | None, key_digest: str | None) -> TrustedKeys | None:
    """Keys of aggregates that are not pinned, from a file; ``None`` if there is none.

    Raises
    ------
    UsageError
        If there is a file without a digest, or a digest without a file.
    Rejected
        If the file is no table of keys.
    OSError
        If it cannot be read.
    """
    if keys is None and key_digest is None:
        return None
    if keys is None or key_digest is None:
        raise UsageError("a file of keys goes with the digest that its keys must have")
    digest = parse_digest(key_digest)
    return TrustedKeys(decode_aggregates(read_limited(keys, MAXIMUM_KEYS)), digest)


def rejection_exit(error: Rejected, data: bytes | None = None) -> int:
    """1, or 3 if the file is of a version that is not known here or, given, no proof file."""
    foreign = data is not None and data[: len(MAGIC)] != MAGIC
    return EXIT_UNREADABLE if foreign or error.code is Code.VERSION else EXIT_REJECTED


def dump(value: dict[str, Any]) -> str:
    """A JSON object for programs; ASCII, so that every terminal and pipe takes it."""
    return json.dumps(value, indent=1)


def run(
    path: str | os.PathLike[str],
    expect: str | None,
    profiles: Collection[str],
    as_json: bool,
    out: Emit,
    err: Emit,
    keys: str | os.PathLike[str] | None = None,
    key_digest: str | None = None,
) -> int:
    """Check one proof file; report to ``out`` and ``err``; return the exit code.

    Parameters
    ----------
    path
        The proof file.
    expect
        Statement digest that it must have, in hexadecimal.
    profiles
        Acceptable security profiles.
    as_json
        One JSON object to ``out`` instead of text.
    keys, key_digest
        A file with keys of aggregates that are not pinned, and the digest they must have.
    """
    checks: list[Check] = []

    def passed(check: Check) -> None:
        checks.append(check)
        if not as_json:
            out(check_line(check))

    data: bytes | None = None
    try:
        digest = None if expect is None else parse_digest(expect)
        trusted = read_trusted(keys, key_digest)
        data = read_limited(path)
        acceptance = verify_publication(data, digest, profiles, passed, trusted)
    except (Rejected, UsageError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        if as_json:
            out(dump(failure("verify", error, checks=checks_json(checks))))
        else:
            err(f"{_verdict(error)}: {error_text(error)}")
        if isinstance(error, Rejected):
            return rejection_exit(error, data)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_UNREADABLE
    if as_json:
        out(dump(success("verify", acceptance_json(acceptance))))
    else:
        for line in acceptance_lines(acceptance):
            out(line)
    return EXIT_OK


def _verdict(error: Exception) -> str:
    if isinstance(error, Rejected):
        return "REJECTED"
    return "usage" if isinstance(error, UsageError) else "cannot read"


def tolerate_terminal() -> None:
    """Let output escape what the terminal's encoding does not have, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """After a broken pipe: nobody reads standard output, and the interpreter must not flush it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns the exit code (argparse exits with 2 by itself)."""
    parser = argparse.ArgumentParser(
        prog="python -m air.verify",
        description="Check a proof of liabilities. Needs nothing but Python.",
        epilog="exit codes: 0 accepted, 1 rejected, 2 usage, 3 unreadable or unknown version",
    )
    parser.add_argument("proof", help="the proof file")
    parser.add_argument(
        "--expect", metavar="DIGEST", help="statement digest that was published elsewhere (hex)"
    )
    parser.add_argument(
        "--profile",
        action="append",
        default=[],
        choices=tuple(PROFILES),
        help=f"acceptable security profile, may be repeated (default {DEFAULT_PROFILE})",
    )
    parser.add_argument(
        "--keys", metavar="FILE", help="keys of aggregates that this version does not pin"
    )
    parser.add_argument(
        "--key-digest", metavar="DIGEST", help="digest that these keys must have (hex)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    tolerate_terminal()
    profiles = options.profile or [DEFAULT_PROFILE]
    try:
        return run(
            *(options.proof, options.expect, profiles, options.json, _to_stdout, _to_stderr),
            *(options.keys, options.key_digest),
        )
    except KeyboardInterrupt:
        _to_stderr("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return EXIT_UNREADABLE


def _to_stdout(line: str) -> None:
    sys.stdout.write(line + "\n")
    # Checks take seconds: each is shown when it has passed, in a pipe too.
    sys.stdout.flush()


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
