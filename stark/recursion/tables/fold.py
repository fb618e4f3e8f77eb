"""FRI folds of arity 8: one opened leaf per row, with the query's place in it.

A leaf of a layer of m values holds v_t, the values at y z^t for t < 8, with z of order 8 (see
:mod:`stark.fri.verifier`). A query with index in 0 ... m - 1 belongs to the leaf index_out = index
mod m/8, slot = index div m/8; the next layer's value at index_out is the leaf's fold.

Main columns (115):

======= ===== ====================================================================
 first  count
======= ===== ====================================================================
     0     40 v: the leaf, v_0 to v_7, five coefficients each
    40      5 beta: the layer's challenge
    45      5 value: what the query expects at its index
    50      5 u = beta y shift; y shift is 1 / w^index_out, w of order m
    55      5 u2 = u^2
    60     20 g: the four values after the first binary fold
    80     10 h: the two values after the second
    90      5 result: the fold
    95     10 n: the two values among which bit 0 selects
   105      3 bit: the slot's bits, lowest first
   108      1 index
   109      1 index_out
   110      5 y = 1 / w^index, y^2, y^4, y_out = y^8 and shift = z^slot
======= ===== ====================================================================

Preprocessed columns (11): ``active``; ``weight`` = m/8; ``address v`` (eight wires, one after the
other), ``address beta``, ``address value``, ``address index``, ``address y``, ``address out``
(three wires: result, index_out, y_out); ``count result``, ``count index out`` and ``count y out``,
the numbers of their reads. An active row reads all its inputs (count -1). Rows that are not active
hold zeros, but 1 in shift.

Constraints, and what a prover could do without them:

- bits are 0 or 1, index = index_out + weight * slot: otherwise the query could move to another
  leaf. This leaves eight pairs (slot, index_out) mod p. Only the true one has index_out in
  0 ... m/8 - 1, which follows from index_out's Merkle path: it ends at an index that is written;
- shift, u, u2, y_out: the domain's point, for this fold and the next layer's;
- g, h, result: the fold itself, by halves;
- n, value: the value that the previous layer (or the batch) claims is in the leaf, at its slot.
  Without it layers are not tied to each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stark.constraints.air import AirBuilder
from stark.constraints.expression import Expression
from stark.field.extension import DEGREE
from stark.field.koalabear import P, inverse, root_of_unity
from stark.recursion.tables.buses import send_wire
from stark.recursion.tables.fixed import Columns, FixedAir

ARITY = 8
FOLD_COLUMNS = (
    "active",
    "weight",
    "address v",
    "address beta",
    "address value",
    "address index",
    "address y",
    "address out",
    "count result",
    "count index out",
    "count y out",
)
"""Preprocessed columns in order."""

ROOT = root_of_unity(3)
"""z, of order 8."""

_HALF = inverse(2)
_ROOT_INVERSE = inverse(ROOT)


class FoldAir(FixedAir):
    """See the module's text.

    Parameters
    ----------
    log_height
        log2 of the number of rows.
    columns
        Values of :data:`FOLD_COLUMNS`, canonical; ``None`` for symbolic use. UsageError if they
        are malformed.
    """

    name = "fold"

    def __init__(self, log_height: int, columns: Columns | None = None) -> None:
        super().__init__(log_height, FOLD_COLUMNS, ("active",), columns)

    def eval(self, t: AirBuilder) -> None:
        fixed = {name: t.preprocessed(name) for name in FOLD_COLUMNS}
        leaf = [t.main_array(f"v{slot}", DEGREE) for slot in range(ARITY)]
        cells = {
            name: t.main_array(name, DEGREE)
            for name in (
                *("beta", "value", "u", "u2"),
                *("g0", "g1", "g2", "g3"),
                *("h0", "h1", "result", "n0", "n1"),
            )
        }
        bits = t.main_array("bit", 3)
        place = {
            name: t.main(name) for name in ("index", "index_out", "y", "y2", "y4", "y_out", "shift")
        }
        v = [t.extension(value) for value in leaf]
        elements = {name: t.extension(value) for name, value in cells.items()}

        _constrain_place(t, bits, place, fixed["weight"])
        _constrain_fold(t, v, elements, place)
        _constrain_selection(t, v, elements, bits)

        active = fixed["active"]
        for slot, value in enumerate(leaf):
            send_wire(t, f"v{slot}", fixed["address v"] + slot, value, -active)
        send_wire(t, "beta", fixed["address beta"], cells["beta"], -active)
        send_wire(t, "value", fixed["address value"], cells["value"], -active)
        send_wire(t, "index", fixed["address index"], [place["index"]], -active)
        send_wire(t, "y", fixed["address y"], [place["y"]], -active)
        out = fixed["address out"]
        send_wire(t, "result", out, cells["result"], fixed["count result"])
        send_wire(t, "index_out", out + 1, [place["index_out"]], fixed["count index out"])
        send_wire(t, "y_out", out + 2, [place["y_out"]], fixed["count y out"])


def _constrain_place(
    t: AirBuilder,
    bits: Sequence[Expression],
    place: Mapping[str, Expression],
    weight: Expression,
) -> None:
    """Where the query is in its leaf, and at which point the leaf is folded."""
    t.every_row("bits are boolean", *(bit * (bit - 1) for bit in bits))
    slot = bits[0] + bits[1] * 2 + bits[2] * 4
    t.every_row(
        "index is made of slot and leaf", place["index"] - place["index_out"] - weight * slot
    )
    # z^slot: bit k contributes z^(2^k) if it is set.
    first, second, third = (bit * (pow(ROOT, 1 << k, P) - 1) + 1 for k, bit in enumerate(bits))
    t.every_row("shift is the slot's root", first * second * third - place["shift"])
    t.every_row(
        "powers of y",
        place["y"] * place["y"] - place["y2"],
        place["y2"] * place["y2"] - place["y4"],
        place["y4"] * place["y4"] - place["y_out"],
    )


def _constrain_fold(
    t: AirBuilder,
    v: Sequence[Expression],
    elements: Mapping[str, Expression],
    place: Mapping[str, Expression],
) -> None:
    """Three binary folds: (a + b)/2 + (a - b)/2 * challenge / point, with values a and b at a point
    and its negative; the challenge and the point are squared from one to the next."""
    u, u2 = elements["u"], elements["u2"]
    t.every_row(
        "u is the challenge over the point", elements["beta"] * (place["y"] * place["shift"]) - u
    )
    t.every_row("u2 is its square", u * u - u2)
    g = [elements[f"g{t_}"] for t_ in range(4)]
    h = [elements[f"h{t_}"] for t_ in range(2)]
    for number in range(4):
        folded = _binary_fold(v[number], v[number + 4], u * _half_root_inverse(number))
        t.every_row(f"g{number} is a first fold", folded - g[number])
    for number in range(2):
        folded = _binary_fold(g[number], g[number + 2], u2 * _half_root_inverse(2 * number))
        t.every_row(f"h{number} is a second fold", folded - h[number])
    folded = _binary_fold(h[0], h[1], u2 * u2 * _HALF)
    t.every_row("result is the third fold", folded - elements["result"])


def _half_root_inverse(exponent: int) -> int:
    """z^-exponent / 2."""
    return _HALF * pow(_ROOT_INVERSE, exponent, P) % P


def _binary_fold(a: Expression, b: Expression, factor: Expression) -> Expression:
    return (a + b) * _HALF + factor * (a - b)


def _constrain_selection(
    t: AirBuilder,
    v: Sequence[Expression],
    elements: Mapping[str, Expression],
    bits: Sequence[Expression],
) -> None:
    """value = v_slot; bit 2 selects inside the constraint of bit 1, which has degree 3 then."""
    m = [v[number] + bits[2] * (v[number + 4] - v[number]) for number in range(4)]
    n = [elements["n0"], elements["n1"]]
    for number in range(2):
        selected = m[number] + bits[1] * (m[number + 2] - m[number])
        t.every_row(f"n{number} is selected by the upper bits", selected - n[number])
    selected = n[0] + bits[0] * (n[1] - n[0])
    t.every_row("value is in the leaf at its slot", selected - elements["value"])
