"""Cheats on file, by the rule that refuses them.

A cheat is filed under its rules. Where a rule follows from others, no witness breaks it alone: the
cheat then breaks all of ``together``, passes once these are left out, and ``why`` says how the rule
follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from support.attacks.bases import base
from support.attacks.forgery import Forgery
from support.attacks.oracle import Rule, Witness

Forge = Callable[[Forgery], Witness | None]
"""Turns an honest forgery into a cheat; returns the witness unless it is the forgery's own."""


@dataclass(frozen=True)
class Cheat:
    """A forged witness.

    Attributes
    ----------
    base
        Name of the honest batch that it changes.
    together
        The rules that must all be left out for it to pass.
    why
        Why none of several rules can be broken alone; empty for a single rule.
    """

    name: str
    base: str
    forge: Forge
    together: frozenset[Rule]
    why: str = ""

    def witness(self) -> Witness:
        forgery = base(self.base).forgery()
        return self.forge(forgery) or forgery.witness()


CHEATS: dict[Rule, Cheat] = {}
"""By constraint or message."""

BLINDED: dict[tuple[str, int], Cheat] = {}
"""By tuple position; ``together`` is the bus."""


def cheat(
    table: str,
    *labels: str,
    on: str = "middle",
    together: tuple[Rule, ...] = (),
    why: str = "",
) -> Callable[[Forge], Forge]:
    """File a cheat under the rules ``labels`` of ``table``."""

    def file(forge: Forge) -> Forge:
        for label in labels:
            rule = (table, label)
            name = f"{table}: {label}"
            CHEATS[rule] = Cheat(name, on, forge, frozenset({rule, *together}), why)
        return forge

    return file


def each(
    table: str, pattern: str, count: int, forge: Callable[[Forgery, int], None], on: str = "middle"
) -> None:
    """File one cheat for each of ``count`` numbered rules."""
    for number in range(count):
        cheat(table, pattern.format(number), on=on)(numbered(forge, number))


def numbered(forge: Callable[[Forgery, int], None], number: int) -> Forge:
    return lambda forgery: forge(forgery, number)


def blinded(bus: str, position: int, on: str = "middle") -> Callable[[Forge], Forge]:
    """File a cheat under one element of the tuples of a bus."""

    def file(forge: Forge) -> Forge:
        name = f"bus {bus}: element {position}"
        BLINDED[bus, position] = Cheat(name, on, forge, frozenset({("bus", bus)}))
        return forge

    return file
