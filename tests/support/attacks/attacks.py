"""Attacks on file, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from support.attacks.bases import base
from support.attacks.cheats import Forge
from support.attacks.oracle import Rule, Witness
from support.attacks.rules import CHEATS
from support.checks import check

RANGE, SUM, NODE, TOTAL = (("bus", name) for name in ("range", "sum", "node", "total"))
BOOLEAN = ("chain", "flags are boolean")
EMPTY = ("chain", "rows that are not real are empty")
CONTIGUOUS = ("chain", "accounts are contiguous")
COMPLETE = ("chain", "the last account is complete")
ROW_0 = ("chain", "row 0 starts an account")
CHAINING = ("chain", "the chaining value continues")
HEADER = ("chain", "tag, flags and asset are the header lane")
UNUSED = ("chain", "unused lanes are zero")
REGION = ("chain", "the digest region is fixed")
BEFORE = ("chain", "the digest before the batch")
AFTERWARDS = ("chain", "the digest after the batch")
ZERO = ("chain", "the first batch starts from zero")
ROOT = ("tree", "the root")
ADDITION = ("totals", "T + S = U")
RUN_ON = ("totals", "totals run on within an asset")


@dataclass(frozen=True)
class Attack:
    """A forged batch; ``refused_by`` are constraints without their numbers, and buses."""

    name: str
    identifiers: tuple[str, ...]
    base: str
    forge: Forge
    refused_by: frozenset[Rule]

    def witness(self) -> Witness:
        forgery = base(self.base).forgery()
        return self.forge(forgery) or forgery.witness()


ATTACKS: dict[str, Attack] = {}


def families(rules: Iterable[Rule]) -> frozenset[Rule]:
    """Rules without the numbers of constraints that were declared together."""
    return frozenset((table, re.sub(r"( \[\d+\]|(?<=z)\d+)$", "", label)) for table, label in rules)


def attack(
    name: str, *identifiers: str, by: tuple[Rule, ...], on: str = "middle"
) -> Callable[[Forge], Forge]:
    """File an attack."""

    def file(forge: Forge) -> Forge:
        check(name not in ATTACKS, f"two attacks are named {name!r}")
        ATTACKS[name] = Attack(name, identifiers, on, forge, frozenset(by))
        return forge

    return file


def known(name: str, rule: Rule, *identifiers: str, by: tuple[Rule, ...]) -> None:
    """File the cheat of a rule as an attack."""
    attack(name, *identifiers, by=by, on=CHEATS[rule].base)(CHEATS[rule].forge)
