"""The kept files, as the second verifier uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .reading import Refused
from .system import System, small_system
from .verifier import Key, make_key

GOLDEN = Path(__file__).parents[1] / "golden"
CONTEXT = b"golden"


@cache
def golden(name: str) -> Any:
    """A kept JSON file."""
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


@cache
def file(name: str) -> bytes:
    """The bytes of a kept file."""
    return (GOLDEN / name).read_bytes()


@dataclass(frozen=True)
class Kept:
    """A kept proof of a small system."""

    system: System
    key: Key
    proof: bytes
    publics: dict[str, list[int]]


@cache
def kept_proof(name: str) -> Kept:
    """The proof with this name; its parameters are those of the transcript file."""
    entry = golden("golden")[name]
    system = small_system(name)
    parameters = bytes.fromhex(golden(f"{name}.transcript")["key"]["parameters"])
    key = make_key(system, parameters, [bytes.fromhex(d) for d in entry["preprocessed"]])
    return Kept(system, key, file(f"{name}.proof"), entry["publics"])


def verdict(check: Callable[[], object]) -> str:
    """The class of the rejection, or `accepted`."""
    try:
        check()
    except Refused as refused:
        return refused.code
    return "accepted"
