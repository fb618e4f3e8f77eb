"""Writing rows of permutations: sponges, digests, and what moves between digests and wires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.recursion.arithmetic import ArithmeticWriter
from stark.recursion.circuit import Capacity, Operation, Rate
from stark.recursion.rows import RATE, WRITES, DigestWire, Wire


class PermutationWriter(ArithmeticWriter):
    """Permutations, and digests as values."""

    def __init__(self, log_order: int, widths: Sequence[int]) -> None:
        super().__init__(log_order, widths)
        self._digest_constants: dict[tuple[int, ...], DigestWire] = {}
        self._pending_acc: Wire | None = None

    def permute(
        self,
        rate: Rate,
        rate_argument: int = 0,
        capacity: Capacity = Capacity.WITH_RATE,
        capacity_argument: int = 0,
        level: int = 0,
        *,
        fixed: Mapping[str, int] | None = None,
        before: Mapping[str, int] | None = None,
    ) -> int:
        """Append a permutation; its row.

        ``fixed`` are columns of the row itself, ``before`` such of the row before (the flags that
        speak of the next row).
        """
        own = dict(fixed or {})
        if self._pending_acc is not None:
            if "wire count" in own:
                if before:
                    raise UsageError("an accumulator is pending where a wire is written")
                self._blank()
            else:
                own |= {
                    "wire acc": 1,
                    "wire address": self._pending_acc,
                    "wire count": WRITES,
                }
                self._pending_acc = None
        if before:
            previous = self.permutation.count - 1
            for name, value in before.items():
                self.permutation.set(previous, name, value)
        row = self.permutation.append(own)
        self.step(Operation.PERMUTE, row, rate, rate_argument, capacity, capacity_argument, level)
        return row

    def settle(self) -> None:
        """Make sure that the next row's accumulator starts from zero.

        One that is pending gets a row of its own.
        """
        if self._pending_acc is not None:
            self._blank()

    def _blank(self) -> None:
        """A row for the pending accumulator alone."""
        pending, self._pending_acc = self._pending_acc, None
        if pending is None:
            return
        self.permute(
            Rate.HINTS,
            0,
            Capacity.ZERO,
            fixed={"wire acc": 1, "wire address": pending, "wire count": WRITES, "straight": 1},
        )

    def publish_accumulator(self) -> Wire:
        """A wire with the Horner accumulator that the next row will hold."""
        if self._pending_acc is not None:
            raise UsageError("two accumulators are pending")
        self._pending_acc = self.wires.fresh()
        return self._pending_acc

    def digest_constant(self, lanes: Sequence[int]) -> DigestWire:
        """A digest of eight constants."""
        key = tuple(lanes)
        known = self._digest_constants.get(key)
        if known is None:
            low = self.constant(ext.from_coefficients(key[:DEGREE]))
            high = self.constant(ext.from_coefficients((*key[DEGREE:], 0, 0)))
            known = self.digest_of(low, high)
            self._digest_constants[key] = known
        return known

    def digest_of(self, low: Wire, high: Wire) -> DigestWire:
        """The digest with lanes 0 to 4 from ``low``, 5 to 7 from ``high``, whose last two
        coordinates must be zero."""
        result = self.digests.fresh()
        straight = {"straight": 1}
        self.permute(
            *(Rate.HALVES, low, Capacity.ZERO, high),
            fixed=straight
            | {"digest address": result, "digest count": WRITES, "digest x": 1}
            | {"wire address": self.wires.read(low), "wire count": P - 1, "wire low": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight
            | {"wire address": self.wires.read(high), "wire count": P - 1, "wire high": 1},
            before={"same next": 1},
        )
        return result

    def halves(self, digest: DigestWire) -> tuple[Wire, Wire]:
        """Lanes 0 to 4 and 5 to 7 of a digest as wires; inverse of :meth:`digest_of`."""
        low, high = self.wires.fresh(), self.wires.fresh()
        straight = {"straight": 1}
        self.permute(
            *(Rate.DIGEST, digest, Capacity.ZERO),
            fixed=straight
            | {"digest address": self.digests.read(digest), "digest count": P - 1, "digest x": 1}
            | {"wire address": low, "wire count": WRITES, "wire low": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight | {"wire address": high, "wire count": WRITES, "wire high": 1},
            before={"same next": 1},
        )
        return low, high

    def lanes_of(self, digest: DigestWire) -> list[Wire]:
        """The eight lanes of a digest as base elements."""
        low, high = self.halves(digest)
        return [*self.coordinates(low), *self.coordinates(high)[: RATE - DEGREE]]

    def digest_of_lanes(self, lanes: Sequence[Wire]) -> DigestWire:
        """The digest of eight base elements, which must be proven to be such."""
        return self.digest_of(
            self.from_coordinates(lanes[:DEGREE]), self.from_coordinates(lanes[DEGREE:])
        )

    def compress(self, left: DigestWire, right: DigestWire) -> DigestWire:
        """The node over two digests."""
        result = self.digests.fresh()
        straight = {"straight": 1}
        self.permute(
            *(Rate.DIGEST, left, Capacity.DIGEST, right),
            fixed=straight
            | {"digest address": self.digests.read(left), "digest count": P - 1, "digest x": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight
            | {"digest address": self.digests.read(right), "digest count": P - 1, "digest high": 1},
            before={"same next": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight | {"digest address": result, "digest count": WRITES, "digest node": 1},
            before={"same next": 1},
        )
        return result

    def digest_hint(self) -> DigestWire:
        """A digest that the prover chooses: its lanes are base elements, nothing else is said."""
        result = self.digests.fresh()
        self.hints(RATE)
        self.permute(
            *(Rate.HINTS, RATE, Capacity.ZERO),
            fixed={
                "straight": 1,
                "digest address": result,
                "digest count": WRITES,
                "digest x": 1,
            },
        )
        return result

    def boolean_hint(self) -> Wire:
        """0 or 1, as the prover chooses; five values, the first of which is it."""
        result = self.wires.fresh()
        self.hints(DEGREE)
        self.permute(
            *(Rate.HINTS, DEGREE, Capacity.ZERO),
            fixed={"straight": 1, "wire address": result, "wire count": WRITES, "wire x": 1}
            | {f"zero {lane}": 1 for lane in range(RATE - DEGREE)},
        )
        # In a field x^2 = x has the solutions 0 and 1 alone.
        self.evaluate(result, result, ab=1, equals=result)
        return result

    def sponge(self, digests: Sequence[DigestWire], tag: int) -> DigestWire:
        """The sponge digest of whole blocks, at least one."""
        result = self.digests.fresh()
        length = RATE * len(digests)
        for number, digest in enumerate(digests):
            fixed = {
                "straight": 1,
                "digest address": self.digests.read(digest),
                "digest count": P - 1,
                "digest x": 1,
            }
            if number == 0:
                fixed |= {"fresh": 1, "tag": tag, "length": length}
                self.permute(Rate.DIGEST, digest, Capacity.FRESH, fixed=fixed)
            else:
                self.permute(
                    *(Rate.DIGEST, digest, Capacity.CHAIN),
                    fixed=fixed,
                    before={"capacity next": 1},
                )
        # Another row of the last permutation writes: the last one reads already.
        self.permute(
            Rate.SAME,
            fixed={
                "straight": 1,
                "digest address": result,
                "digest count": WRITES,
                "digest leaf": 1,
            },
            before={"same next": 1},
        )
        return result
