"""The pieces of work of a run: stages that nothing goes on beside, and proofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_OWN_PACE: Final = 0.2
"""From this part of it on, what a piece of work took says how long its rest takes: less is too
much disturbed by how exactly its parts are predicted."""


@dataclass(frozen=True)
class Stage:
    """Work that nothing else goes on beside; ``seconds`` of it on a reference machine."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Cost:
    """What a proof takes on a reference machine.

    Attributes
    ----------
    seconds
        Of the proof itself.
    key
        Seconds that the first proof of a level takes longer in every worker, which makes its key.
    parts
        Its phases in order, as they are named when they begin, and the seconds of each by those of
        the proof; they add up to one. Phases that are not listed take no time.
    """

    seconds: float
    key: float = 0.0
    parts: tuple[tuple[str, float], ...] = ()


@dataclass
class Piece:
    """A stage or a proof."""

    kind: str
    seconds: float
    weight: float
    """Its seconds in the whole; a key's are spread over all proofs of its level."""
    done: bool = False
    began: float | None = None
    share: float = 0.0
    """Of it, done at ``since``."""
    until: float = 1.0
    """What will be done when it is heard of next."""
    since: float = 0.0
    steps: tuple[int, int] = (0, 1)
    phase: str = ""

    def begin(self, now: float) -> None:
        self.began = self.since = now

    def reset(self) -> None:
        self.done, self.began, self.share, self.until, self.phase = False, None, 0.0, 1.0, ""

    def position(self, now: float, ratio: float) -> float:
        """The part of it that is done, at a pace."""
        if self.done:
            return 1.0
        if self.began is None:
            return 0.0
        expected = self.seconds * ratio
        # One that takes longer than expected is never thought to be finished.
        room = 0.95 * (self.until - self.share)
        return self.share + (min((now - self.since) / expected, room) if expected > 0 else 0.0)

    def measured(self) -> tuple[float, float] | None:
        """Seconds predicted and measured of the part that is known to be done, if it is enough."""
        if self.began is None or self.share < _OWN_PACE:
            return None
        return self.share * self.seconds, self.since - self.began
