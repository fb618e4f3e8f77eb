"""Random small circuits that use every operation, with hints that satisfy them."""

from __future__ import annotations

from random import Random

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P, root_of_unity
from stark.hash.poseidon import POSEIDON1, compress, sponge_hash
from stark.recursion.builder import WRITES, CircuitBuilder, DigestWire, Wire
from stark.recursion.circuit import Capacity, Circuit, Rate

TAG = 99
LOG_ORDER = 7
WIDTHS = (3, 6)
LOG_TREE = 3
LOG_CAP = 1
EXTENSION = {f"zero {lane}": 1 for lane in range(3)}


class RandomCircuit:
    """A builder that chooses, with the values of the inner proof that it takes."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.builder = CircuitBuilder(LOG_ORDER, WIDTHS)
        self.hints: list[int] = []
        self.wires: list[Wire] = [self.builder.constant(3)]
        self.digests: list[DigestWire] = []
        self.cap, self.tree = self._cap()

    def element(self) -> int:
        return self.random.choice((0, 1, P - 1, self.random.randrange(P), self.random.randrange(P)))

    def lanes(self, count: int) -> list[int]:
        return [self.element() for _ in range(count)]

    def give(self, values: list[int]) -> list[int]:
        """Values that the next steps take."""
        self.hints += values
        self.builder.hints(len(values))
        return values

    def wire(self) -> Wire:
        return self.random.choice(self.wires)

    def hint_wire(self, value: list[int] | None = None) -> Wire:
        """A wire with an element of the inner proof."""
        result = self.builder.wires.fresh()
        self.give(value or self.lanes(5))
        self.builder.permute(
            *(Rate.HINTS, 5, Capacity.ZERO),
            fixed={"straight": 1, "wire address": result, "wire count": WRITES, "wire x": 1}
            | EXTENSION,
        )
        self.wires.append(result)
        return result

    def _cap(self) -> tuple[DigestWire, list[list[list[int]]]]:
        """The cap of a tree whose leaves are of five elements, absorbed by a transcript that then
        draws gamma; and the tree's leaves and nodes, from the leaves on."""
        self.leaves = [self.lanes(5) for _ in range(1 << LOG_TREE)]
        self.injected = [self.lanes(11) for _ in range(1 << (LOG_TREE - 1))]
        level = [sponge_hash(POSEIDON1, TAG, leaf) for leaf in self.leaves]
        tree = [level]
        for log in range(LOG_TREE - 1, LOG_CAP - 1, -1):
            half = 1 << log
            level = [compress(POSEIDON1, level[j] + level[j + half]) for j in range(half)]
            if log == LOG_TREE - 1:
                level = [
                    compress(POSEIDON1, sponge_hash(POSEIDON1, TAG, self.injected[j]) + node)
                    for j, node in enumerate(level)
                ]
            tree.append(level)
        builder = self.builder
        address = builder.digests.fresh()
        builder.cap_heights[address] = LOG_CAP
        for number, lanes in enumerate(tree[-1]):
            self.give(lanes)
            fixed = {"straight": 1, "digest address": address, "digest number": number}
            fixed |= {"digest x": 1, "free": 1}
            if number == 0:
                fixed |= {"fresh": 1, "tag": TAG, "length": 16}
                builder.permute(*(Rate.HINTS, 8, Capacity.FRESH), fixed=fixed)
            else:
                builder.permute(
                    *(Rate.HINTS, 8, Capacity.CHAIN), fixed=fixed, before={"capacity next": 1}
                )
        row = builder.permute(
            *(Rate.KEEP, 0, Capacity.CHAIN),
            fixed={"straight": 1, "gamma here": 1},
            before={"capacity next": 1, "rate next": 1},
        )
        builder.start_gamma(row)
        return address, tree

    # ---- pieces of programs

    def add_arithmetic(self) -> None:
        a, b, c = (self.wire() if self.random.randrange(4) else 0 for _ in range(3))
        needed = {"ab": a and b, "cab": a and b and c, "qa": a, "qb": b, "qc": c, "q0": 1, "qx": 1}
        possible = [name for name, present in needed.items() if present]
        names = self.random.sample(possible, min(3, len(possible)))
        coefficients = {name: self.element() for name in names}
        result = self.builder.evaluate(a, b, c, **coefficients)  # type: ignore[arg-type]
        again = self.builder.evaluate(a, b, c, **coefficients)  # type: ignore[arg-type]
        self.builder.assert_equal(result, again)
        self.wires.append(result)

    def add_inverse(self) -> None:
        # Zero or not, a random wire is made into one that is not.
        wire = self.builder.evaluate(self.hint_wire([1, 2, 3, 4, self.element()]), qa=1)
        self.wires.append(self.builder.invert(wire))

    def add_decomposition(self) -> None:
        number = self.random.randrange(5)
        parts = self.builder.decompose(self.wire(), {number: self.random.choice(WIDTHS)})
        bit = self.builder.bit(parts[number][0], self.random.randrange(31))
        self.wires += [wire for part in parts for wire in part]
        self.wires.append(self.builder.select(bit, self.wire(), self.wire()))

    def add_digests(self) -> None:
        builder = self.builder
        low = builder.from_coordinates(builder.coordinates(self.wire()))
        high = builder.from_coordinates(builder.coordinates(self.wire())[:3])
        self.digests.append(builder.digest_of(low, high))
        self.digests.append(builder.compress(self.digests[-1], self.random.choice(self.digests)))
        self.wires += builder.halves(self.digests[-1])
        self.digests.append(builder.sponge(self.digests[-2:], TAG))

    def add_absorbed_wire(self) -> None:
        wire, result = self.wire(), self.builder.wires.fresh()
        self.builder.permute(
            *(Rate.WIRE, wire, Capacity.FRESH),
            fixed={"straight": 1, "fresh": 1, "tag": TAG, "length": 5, "wire x": 1}
            | {"wire address": self.builder.wires.read(wire), "wire count": P - 1}
            | EXTENSION,
        )
        self.builder.permute(
            *(Rate.KEEP, 0, Capacity.CHAIN),
            fixed={"straight": 1, "wire address": result, "wire count": WRITES, "wire y": 1},
            before={"capacity next": 1, "rate next": 1},
        )
        self.wires.append(result)

    def add_path(self) -> None:
        """Open a leaf with another one that is injected, both summed."""
        builder = self.builder
        index = self.random.randrange(1 << LOG_TREE)
        source = self.hint_wire([index + 8 * self.random.randrange(1 << 20), 0, 0, 0, 0])
        place = builder.decompose(source, {0: LOG_TREE})[0][1]
        self.give(self.leaves[index])
        builder.permute(
            *(Rate.HINTS, 5, Capacity.FRESH),
            fixed={"straight": 1, "fresh": 1, "tag": TAG, "length": 5, "base next": 1}
            | {"index address": builder.wires.read(place), "index count": P - 1}
            | EXTENSION,
        )
        self.wires.append(builder.publish_accumulator())
        current, levels = "leaf", self.tree
        for step, level in enumerate(range(LOG_TREE - 1, LOG_CAP - 1, -1)):
            self.give(levels[step][index % (2 << level) ^ 1 << level])
            builder.permute(
                *(Rate.PATH, 0, Capacity.WITH_RATE, 0, level),
                before={f"{current} next": 1, "index next": 1, "weight next": 1 << level},
            )
            current = "node"
            if step == 0:
                self._inject(index % (1 << level))
        row = builder.permutation.count - 1
        for name, value in (
            ("digest node", 1),
            ("digest address", builder.digests.read(self.cap)),
            ("digest count", P - 1),
            ("cap", 1),
        ):
            builder.permutation.set(row, name, value)

    def _inject(self, number: int) -> None:
        """The node waits as a digest while another leaf is hashed."""
        builder = self.builder
        node = builder.digests.fresh()
        row = builder.permutation.count - 1
        for name, value in (
            ("digest node", 1),
            ("digest address", node),
            ("digest count", WRITES),
        ):
            builder.permutation.set(row, name, value)
        builder.settle()
        first, rest = self.injected[number][:3], self.injected[number][3:]
        self.give(first)
        builder.permute(
            *(Rate.HINTS, 3, Capacity.FRESH),
            fixed={"straight": 1, "fresh": 1, "tag": TAG, "length": 11, "base next": 1}
            | {f"zero {lane}": 1 for lane in range(5)},
            before={"index next": 1},
        )
        self.give(rest)
        horner = self.random.choice(("base next", "extension next", "keep next"))
        builder.permute(
            *(Rate.HINTS, 8, Capacity.CHAIN),
            fixed={"straight": 1, horner: 1},
            before={"capacity next": 1, "index next": 1},
        )
        self.wires.append(builder.publish_accumulator())
        builder.permute(
            *(Rate.PAIR, node),
            fixed={"straight": 1, "digest address": builder.digests.read(node)}
            | {"digest count": P - 1, "digest high": 1},
            before={"leaf next": 1, "index next": 1},
        )

    def add_fold(self) -> None:
        """A leaf of eight hinted values, with the value at the slot of an index among them."""
        builder = self.builder
        index = self.random.randrange(1 << 6)
        source = self.hint_wire([index + (self.random.randrange(1 << 20) << 7), 0, 0, 0, 0])
        _, place, y = builder.decompose(source, {0: 6})[0]
        row, position, y_out = builder.place_eight(place, y, 8)
        leaf = builder.wires.fresh(8)
        values: list[Element] = []
        for number in range(8):
            lanes = self.give(self.lanes(5))
            values.append(ext.from_coefficients(lanes))
            builder.permute(
                *(Rate.HINTS, 5, Capacity.ZERO),
                fixed={"straight": 1, "wire address": leaf + number, "wire count": WRITES}
                | {"wire x": 1}
                | EXTENSION,
            )
        value = self.hint_wire(list(values[index >> 3]))
        self.wires.append(builder.fold_eight(row, leaf, self.wire(), value))
        self.wires += [position, y_out]

    def finish(self, log_permutations: int = 8) -> Circuit:
        pieces = [
            self.add_arithmetic,
            self.add_inverse,
            self.add_decomposition,
            self.add_digests,
            self.add_absorbed_wire,
            self.add_path,
            self.add_fold,
        ]
        self.add_digests_first()
        for number, piece in enumerate(self.random.sample(pieces * 2, 14)):
            self.builder.label(f"piece {number}")
            piece()
        return self.builder.finish(self.digests[:2], tag=TAG, log_least=log_permutations)

    def add_digests_first(self) -> None:
        low, high = self.builder.constant(root_of_unity(4)), self.builder.constant(1)
        self.digests.append(self.builder.digest_of(low, high))
        self.digests.append(self.builder.digest_constant(range(8)))
