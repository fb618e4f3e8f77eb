"""What a tree of proofs is worth: every layer by itself, the weakest, and all proofs together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from air.aggregate.keys import Layer
from stark.soundness.bits import combine, log2
from stark.soundness.estimate import Report, estimate
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey


@dataclass(frozen=True)
class LayerSecurity:
    """A layer of proofs with the bits of one of them."""

    layer: Layer
    report: Report


@dataclass(frozen=True)
class AggregateSecurity:
    """Bits of an aggregate.

    Attributes
    ----------
    key_digest
        Names the keys of all layers.
    pinned
        Whether this version pins them; otherwise the caller trusted their digest.
    layers
        Batches, joins by level, wrap.
    """

    key_digest: bytes
    pinned: bool
    layers: tuple[LayerSecurity, ...]

    @property
    def weakest(self) -> LayerSecurity:
        """The layer with the fewest bits in one round, the first of several."""
        return min(self.layers, key=lambda entry: entry.report.minimum)

    @property
    def minimum(self) -> Decimal:
        """Bits of the weakest round of any layer."""
        return self.weakest.report.minimum

    @property
    def union(self) -> Decimal:
        """Bits of the sum of the errors of all rounds of all proofs.

        A false statement with an accepted wrap has a false step in one of them at least; a layer
        of n proofs has n times the error of one: log2(n) bits less.
        """
        return combine(
            entry.report.union - log2(Fraction(entry.layer.count)) for entry in self.layers
        )

    @property
    def floors(self) -> dict[str, int]:
        """Collision bits of all hashes in use, by suite."""
        return dict(floor for entry in self.layers for floor in entry.report.floors)


def aggregate_security(
    layers: tuple[Layer, ...], key_digest: bytes, pinned: bool
) -> AggregateSecurity:
    """Estimate every layer. Raises ``Rejected`` as :func:`stark.soundness.estimate.estimate`."""
    entries = tuple(LayerSecurity(layer, _report(layer.key)) for layer in layers)
    return AggregateSecurity(key_digest, pinned, entries)


@lru_cache(maxsize=64)
def _report(key: VerificationKey) -> Report:
    return estimate(system_figures(key.system), key.parameters)
