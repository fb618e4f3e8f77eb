"""Permutations: sponges, transcripts and Merkle paths of the inner proof, one permutation a row.

Main columns (197), each group of five an element of F by its coefficients:

======= ===== ====================================================================
 first  count
======= ===== ====================================================================
     0    164 x (16), ..., y (16): input, states and output P(x) of
              :mod:`stark.gadgets.poseidon`, all output lanes kept
   164      1 bit: which half of x the row before fills, on a row that is a parent
   165      1 index: what is left of the query's index after the row's bit is taken
   166      5 gamma: the point of the row's Horner evaluation
   171      5 acc: its value before the row's block
   176     20 h2, h4, h6, h8: its value after two, four, six, eight lanes
   196      1 multiplicity: number of look-ups of the row's digest
======= ===== ====================================================================

Preprocessed columns (41). Flags (0 or 1) named "next" speak of a row and the one after it, marked '
here, and are 0 on the last row:

================ ================================================================================
capacity next    x'[8+j] = y[8+j]: a sponge goes on
rate next        x'[j] = y[j]: a squeeze permutes all lanes as they are
node next        this row is a compression, the next its parent: half bit' of x' is (y + x)[0..8]
leaf next        this row ends a sponge, the next its parent: half bit' of x' is y[0..8]
same next        x' = x: another look at the same lanes
fresh            x[8] = ``tag``, x[9] = ``length``, x[10..16] = 0: a sponge starts; both values
                 are 0 on rows without ``fresh``
zero 0 ... 6     x[j] = 0: filling in front of a run
base next        acc' = h8: the block's eight lanes were base values, first lane first
extension next   acc' = acc gamma + (x[3..8] as an element): the block was one value of F
keep next        acc' = acc; with none of these three, acc' = 0
gamma here       gamma is y[0..5]: the row was a squeeze, its challenge is evaluated at
gamma next       gamma' = gamma
index next       index' = index - ``weight next`` * bit' (weight 0 without the flag)
straight         bit = 0
wire address     wire (address, v) with ``wire count``, where v is x[3..8], y[0..5], x[0..5],
wire x, y, low,  x[5..8] and two zeros, or acc, as the one flag that is set says; without any it
high, acc        is 0
index address    wire (address, index) with ``index count``
digest address,  digest (address, number + ``cap`` * index, lanes) with the count ``digest count`` +
number, x, high, ``free`` * multiplicity; lanes are x[0..8], x[8..16], (y + x)[0..8] or y[0..8],
node, leaf       as the one flag that is set says
================ ================================================================================

Where a path ends, ``cap`` is 1: the digest is number index of the tree's cap. Rows that write a cap
have ``free`` set and number its digests, under one address.

Constraints, and what a prover could do without them:

- the permutation's: hash anything to anything;
- what a next row takes over: absorb into another state, squeeze another challenge, continue a path
  from another node. It holds cyclically, with flags that are 0 on the last row;
- fresh, zeros: a leaf of another tag or length, or with values where the filling should be;
- bit is 0 or 1: otherwise a half is neither node nor sibling. Rows whose bit is not taken from an
  index are straight: a free bit would let the two halves be swapped. The constructor refuses a
  parent that is neither;
- h2 ... h8, acc', gamma: combine the opened values with other coefficients than the challenge's
  powers. acc' is fixed on every row, cyclically: without a flag the sum starts from 0, also on
  row 0;
- index': walk to another leaf than the query's;
- the last row's y[0..8] is the public digest: state another inner statement.

An index is not in range by itself. With bits b_l of weights w_l a path ends at index - sum of w_l
b_l, which for wrong bits is the right end plus or minus multiples of the cap's size. Wrong bits are
refused because this tree's cap has no such number; were numbers added to addresses, the path could
end in the cap of another tree, where a prover could have put another leaf for the same query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stark.constraints.air import AirBuilder
from stark.constraints.expression import Expression
from stark.errors import UsageError
from stark.field.extension import DEGREE
from stark.gadgets.poseidon import PoseidonCells, poseidon_permutation
from stark.hash.poseidon import DIGEST_LANES, POSEIDON1, RATE, PoseidonParameters
from stark.recursion.tables.buses import DIGEST, send_wire
from stark.recursion.tables.fixed import Columns, FixedAir

ZEROS = tuple(f"zero {lane}" for lane in range(RATE - 1))
NEXT_STATE = ("capacity next", "rate next", "node next", "leaf next", "same next")
HORNER = ("base next", "extension next", "keep next")
WIRES = ("wire x", "wire y", "wire low", "wire high", "wire acc")
DIGESTS = ("digest x", "digest high", "digest node", "digest leaf")
PERMUTATION_COLUMNS = (
    *NEXT_STATE,
    *("fresh", "tag", "length"),
    *ZEROS,
    *HORNER,
    *("gamma here", "gamma next"),
    *("index next", "weight next", "straight"),
    *("wire address", "wire count", *WIRES),
    *("index address", "index count"),
    *("digest address", "digest number", "cap", "digest count", "free", *DIGESTS),
)
"""Preprocessed columns in order."""

_NEXT = (*NEXT_STATE, *HORNER, "gamma next", "index next")
FLAGS = (*_NEXT, "fresh", *ZEROS, "gamma here", "straight", *WIRES, "cap", "free", *DIGESTS)

EXTENSION_LANES = slice(RATE - DEGREE, RATE)
"""Lanes of a block that hold an element of F, behind three zeros."""

Fixed = Mapping[str, Expression]


class PermutationAir(FixedAir):
    """See the module's text.

    Parameters
    ----------
    log_height
        log2 of the number of rows.
    parameters
        POSEIDON1.
    columns
        Values of :data:`PERMUTATION_COLUMNS`, canonical; ``None`` for symbolic use.

    Raises
    ------
    UsageError
        For another permutation, or columns that are malformed or speak of a row after the last,
        set flags together that exclude one another, leave a path's bit, an index that is
        looked up or a point of evaluation free, or write a digest of a cap twice.
    """

    name = "permutation"

    def __init__(
        self, log_height: int, parameters: PoseidonParameters, columns: Columns | None = None
    ) -> None:
        if parameters != POSEIDON1:
            raise UsageError(
                f"the permutation table is for {POSEIDON1.name}, not {parameters.name}"
            )
        super().__init__(log_height, PERMUTATION_COLUMNS, FLAGS, columns)
        self.parameters = parameters
        if columns is not None:
            self._check(columns)

    def _check(self, columns: Columns) -> None:
        for name in _NEXT:
            if columns[name][-1]:
                raise UsageError(f"{self.name}: {name!r} on the last row, which has no next row")
        for names in (HORNER, WIRES, DIGESTS, ("cap", "free")):
            self._at_most_one(columns, names)
        for name, flag in (
            ("tag", "fresh"),
            ("length", "fresh"),
            ("weight next", "index next"),
            ("rate next", "capacity next"),
        ):
            self._only_where(columns, name, flag)
        paths = zip(
            *(columns[name] for name in ("node next", "leaf next", "weight next")),
            columns["straight"][1:],
            strict=False,
        )
        for row, (node, leaf, weight, straight) in enumerate(paths, start=1):
            if (node or leaf) and not weight and not straight:
                raise UsageError(f"{self.name}: row {row} has a free bit and is not straight")
        self._check_bound(columns, "gamma here", "gamma next", ("base next", "extension next"))
        self._check_bound(columns, "index count", "index next", ("cap",))
        caps = zip(
            *(columns[name] for name in ("free", "digest address", "digest number")), strict=True
        )
        written = [(address, number) for free, address, number in caps if free]
        if len(set(written)) != len(written):
            raise UsageError(f"{self.name}: a digest of a cap is written twice")

    def _check_bound(
        self, columns: Columns, start: str, following: str, users: Sequence[str]
    ) -> None:
        """UsageError if a row uses a value that no row before it has handed down from a start."""
        bound = handed = False
        used = [any(flags) for flags in zip(*(columns[name] for name in users), strict=True)]
        for row, (starts, goes_on, uses) in enumerate(
            zip(columns[start], columns[following], used, strict=True)
        ):
            bound = bool(starts) or (bound and handed)
            handed = bool(goes_on)
            if uses and not bound:
                raise UsageError(f"{self.name}: row {row} has no {start!r} before it")

    def eval(self, t: AirBuilder) -> None:
        fixed = {name: t.preprocessed(name) for name in PERMUTATION_COLUMNS}
        hashed = poseidon_permutation(t, self.parameters, output_lanes=16)
        bit, index = t.main("bit"), t.main("index")
        gamma = t.main_array("gamma", DEGREE)
        acc = t.main_array("acc", DEGREE)
        partial = [t.main_array(f"h{lanes}", DEGREE) for lanes in (2, 4, 6, 8)]
        multiplicity = t.main("multiplicity")

        _constrain_block(t, fixed, hashed)
        _constrain_next_state(t, fixed, hashed, bit.next)

        t.every_row("bit is boolean", bit * (bit - 1))
        t.every_row("bit is 0 where it is straight", fixed["straight"] * bit)
        t.every_row(
            "index goes on",
            fixed["index next"] * (index - index.next) - fixed["weight next"] * bit.next,
        )

        point, start = t.extension(gamma), t.extension(acc)
        sums = [t.extension(cells) for cells in partial]
        _constrain_horner(t, hashed, point, start, sums)
        element = t.extension(hashed.inputs[EXTENSION_LANES])
        following = (
            fixed["base next"] * sums[-1]
            + fixed["extension next"] * (start * point + element)
            + fixed["keep next"] * start
        )
        t.every_row("acc goes on", following - t.extension([cell.next for cell in acc]))
        t.every_row(
            "gamma is squeezed",
            fixed["gamma here"] * (point - t.extension(hashed.outputs[:DEGREE])),
        )
        t.every_row(
            "gamma goes on",
            fixed["gamma next"] * (t.extension([cell.next for cell in gamma]) - point),
        )

        public = t.public_array("digest", DIGEST_LANES)
        t.last_row(
            "the last row's output is public",
            *(y - digest for y, digest in zip(hashed.outputs, public, strict=False)),
        )
        _send_messages(t, fixed, hashed, acc, index, multiplicity)


def _constrain_block(t: AirBuilder, fixed: Fixed, hashed: PoseidonCells) -> None:
    """The start of a sponge, and the filling of a run's first block."""
    x = hashed.inputs
    start = [fixed["tag"], fixed["length"], *[t.constant(0)] * 6]
    differences = (fixed["fresh"] * x[8 + lane] - value for lane, value in enumerate(start))
    t.every_row("a sponge starts with tag and length", *differences)
    t.every_row("filling is zero", *(fixed[name] * x[lane] for lane, name in enumerate(ZEROS)))


def _constrain_next_state(
    t: AirBuilder, fixed: Fixed, hashed: PoseidonCells, bit: Expression
) -> None:
    """What the next row's input takes over from this row."""
    x, y = hashed.inputs, hashed.outputs
    following = [lane.next for lane in x]
    rate, capacity = range(RATE), range(RATE, 16)
    half = [following[lane] + bit * (following[8 + lane] - following[lane]) for lane in rate]
    for label, flag, pairs in (
        ("the capacity goes on", "capacity next", [(following[i], y[i]) for i in capacity]),
        ("the rate goes on", "rate next", [(following[i], y[i]) for i in rate]),
        ("a node is in its parent", "node next", [(half[i], y[i] + x[i]) for i in rate]),
        ("a leaf is in its parent", "leaf next", [(half[i], y[i]) for i in rate]),
        ("the input stays", "same next", list(zip(following, x, strict=True))),
    ):
        t.every_row(label, *(fixed[flag] * (new - old) for new, old in pairs))


def _constrain_horner(
    t: AirBuilder,
    hashed: PoseidonCells,
    point: Expression,
    start: Expression,
    sums: Sequence[Expression],
) -> None:
    """Eight steps of Horner's rule, acc -> acc gamma + x_j, two to a cell for degree 3."""
    square = point * point
    for number, value in enumerate(sums):
        first, second = hashed.inputs[2 * number : 2 * number + 2]
        t.every_row(
            f"h{2 * number + 2} goes on from two lanes before",
            start * square + point * first + second - value,
        )
        start = value


def _send_messages(
    t: AirBuilder,
    fixed: Fixed,
    hashed: PoseidonCells,
    acc: Sequence[Expression],
    index: Expression,
    multiplicity: Expression,
) -> None:
    """A tuple of degree 2 has an auxiliary column of its own, with a constraint of degree 3."""
    x, y = hashed.inputs, hashed.outputs
    zero = t.constant(0)
    elements: tuple[Sequence[Expression], ...] = (
        x[EXTENSION_LANES],
        y[:DEGREE],
        x[:DEGREE],
        (*x[DEGREE:RATE], zero, zero),
        acc,
    )
    send_wire(
        t, "wire", fixed["wire address"], _chosen(fixed, WIRES, elements), fixed["wire count"]
    )
    send_wire(t, "index", fixed["index address"], [index], fixed["index count"])
    digests = (x[:8], x[8:], hashed.compressed, y[:8])
    t.send(
        DIGEST,
        (
            fixed["digest address"],
            fixed["digest number"] + fixed["cap"] * index,
            *_chosen(fixed, DIGESTS, digests),
        ),
        count=fixed["digest count"] + fixed["free"] * multiplicity,
        bound=None,
        label="digest",
    )


def _chosen(
    fixed: Fixed, flags: Sequence[str], candidates: Sequence[Sequence[Expression]]
) -> list[Expression]:
    """The sum of the candidates, each times its flag, coefficient by coefficient."""
    first, *others = flags
    result = [fixed[first] * cell for cell in candidates[0]]
    for flag, cells in zip(others, candidates[1:], strict=True):
        result = [value + fixed[flag] * cell for value, cell in zip(result, cells, strict=True)]
    return result
