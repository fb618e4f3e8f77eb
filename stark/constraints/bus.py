"""Buses: the interface between tables.

A table sends tuples of field elements on a bus, another receives them; over the whole system every
tuple must be sent as often as it is received. A look-up is a send with count 1 whose receiver is a
table of the allowed values with free multiplicities.

On a *signed* bus there are no directions: all messages are sends, and counts carry their sign. A
row writes with one count and reads with another, as fixed columns say.
"""

from __future__ import annotations

from dataclasses import dataclass

from stark.constraints.expression import Expression
from stark.errors import UsageError


@dataclass(frozen=True)
class Bus:
    """A named channel for tuples of one width.

    Parameters
    ----------
    name
        Unique in a system.
    width
        Elements per tuple. Fixed, so that tuples of different lengths cannot collide.
    per_key_bound
        Why counts cannot wrap around p, for a bus on which the plain bound (the sum over tables of
        bound times height, below p) does not hold. The plain bound is checked unless this is given.
    signed
        Whether counts carry their sign: all messages are sent, none is received. Bounds of single
        messages say nothing then, so that ``per_key_bound`` has to.

    Raises
    ------
    UsageError
        If a signed bus does not say why its counts cannot wrap around p.
    """

    name: str
    width: int
    per_key_bound: str = ""
    signed: bool = False

    def __post_init__(self) -> None:
        if self.signed and not self.per_key_bound:
            raise UsageError(f"bus {self.name!r} is signed: it needs a per_key_bound")


@dataclass(frozen=True)
class Interaction:
    """One message per row: ``counts`` times the tuple ``values``, negative when received.

    ``counts`` has one entry per power of the challenge gamma: a single entry is an ordinary count,
    several make the bus compare vectors of sums (each coefficient separately, up to the polynomial
    identity in gamma). ``bound`` is the largest absolute count of a row, as an integer, that the
    AIR enforces; ``None`` stands for a free multiplicity, sound only on the receiving side of a
    look-up, or for a count on a signed bus.
    """

    label: str
    bus: Bus
    values: tuple[Expression, ...]
    counts: tuple[Expression, ...]
    received: bool
    bound: int | None
