"""What prover and verifier say to each other, in order, as data.

A protocol is a list of items. The proof file is the concatenation of the items that come from the
prover; the transcript absorbs every message before a later challenge is drawn. Both walk the same
list, so a field of the proof that is not absorbed cannot exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from stark.transcript.encoding import Kind


@dataclass(frozen=True)
class Known:
    """A message that both sides have beforehand: absorbed, not in the proof."""

    label: str
    kind: Kind
    count: int


@dataclass(frozen=True)
class Sent:
    """A message of the prover: in the proof, and absorbed."""

    label: str
    kind: Kind
    count: int

    @property
    def size(self) -> int:
        """Bytes in the proof file."""
        return self.kind.value * self.count


@dataclass(frozen=True)
class Grinding:
    """A proof of work of ``bits`` bits over everything before it; its nonce is in the proof."""

    label: str
    bits: int


@dataclass(frozen=True)
class Drawn:
    """``count`` random extension elements."""

    label: str
    count: int


@dataclass(frozen=True)
class DrawnIndices:
    """``count`` random integers below ``2**log_bound``, independent, repetitions allowed."""

    label: str
    count: int
    log_bound: int


Item = Known | Sent | Grinding | Drawn | DrawnIndices
