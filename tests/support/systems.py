"""Small systems of tables that the tests prove, with honest traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.field.koalabear import P
from stark.soundness.parameters import ProtocolParameters
from stark.system import System

Columns = dict[str, dict[str, list[int]]]


@dataclass(frozen=True)
class Example:
    """A system with an honest witness."""

    system: System
    traces: Columns
    publics: dict[str, list[int]]


def parameters(**changes: object) -> ProtocolParameters:
    """Small parameters for tests: far below any security, quick to prove with."""
    values: dict[str, object] = {
        "log_blowup": 2,
        "queries": 12,
        "regime": "udr",
        "multiplicity": 0,
        "batching": "independent",
        "log_max_arity": 3,
        "log_final_length": 2,
        "cap_height": 2,
        "grinding_lookup": 1,
        "grinding_ali": 1,
        "grinding_deep": 1,
        "grinding_batching": 2,
        "grinding_fold": 2,
        "grinding_query": 4,
        "zk": False,
        "log_slack": 0,
        "hash_suite": "sha256",
    }
    return ProtocolParameters(**(values | changes))  # type: ignore[arg-type]


class Fibonacci(Air):
    """Two consecutive Fibonacci numbers a row."""

    name = "fibonacci"

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        result = t.public("result")
        t.first_row("starts at 1, 1", a - 1, b - 1)
        t.transition("moves on", a.next - b, b.next - (a + b))
        t.last_row("ends at the result", b - result)


def fibonacci(log_height: int = 6) -> Example:
    a, b = [1], [1]
    for _ in range((1 << log_height) - 1):
        a, b = [*a, b[-1]], [*b, (a[-1] + b[-1]) % P]
    return Example(
        System([Fibonacci(log_height)]),
        {"fibonacci": {"a": a, "b": b}},
        {"fibonacci": [b[-1]]},
    )


BYTES = Bus("bytes", width=1)
PRODUCTS = Bus("products", width=3)


class Work(Air):
    """Products x y = z of bytes on real rows, in a random-looking order; z is sent on.

    Has every feature of the language: preprocessed and periodic columns, first, last and
    transition constraints, both selectors, next rows, public values, a constraint of degree 5.
    """

    name = "work"

    def eval(self, t: AirBuilder) -> None:
        position = t.preprocessed("position")
        parity = t.periodic([0, 1])
        x, y, z, real, power = (t.main(name) for name in ("x", "y", "z", "real", "power"))
        first, count = t.public("first product"), t.public("last position")
        t.every_row("real is boolean", real * (real - 1))
        t.every_row("z is the product", z - x * y)
        t.every_row("power is x^4 on odd rows, 0 on even ones", power - parity * x**4)
        t.first_row("first product", z - first)
        t.transition("real rows come first", real.next * (1 - real))
        t.last_row("last position", position - count)
        t.every_row("position starts at zero", t.is_first_row * position)
        t.send(BYTES, [x], label="x is a byte")
        t.send(BYTES, [y], count=real, label="y is a byte")
        t.send(PRODUCTS, [x, y, z], count=real, label="products")

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"position": range(1 << self.log_height)}


class Ledger(Air):
    """Receives all products in another order."""

    name = "ledger"

    def eval(self, t: AirBuilder) -> None:
        x, y, z, real = (t.main(name) for name in ("x", "y", "z", "real"))
        t.every_row("real is boolean", real * (real - 1))
        t.receive(PRODUCTS, [x, y, z], count=real, label="products")


class Bytes(Air):
    """0 ... 255 and how often each is looked up."""

    name = "byte table"

    def __init__(self) -> None:
        super().__init__(8)

    def eval(self, t: AirBuilder) -> None:
        value = t.preprocessed("value")
        multiplicity = t.main("multiplicity")
        t.receive(BYTES, [value], count=multiplicity, bound=None, label="bytes")

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"value": range(256)}


def products(log_work: int = 5, log_ledger: int = 4, real: int = 11) -> Example:
    """Three tables of different heights, preprocessed columns, two buses, degree 5."""
    rows = 1 << log_work
    x = [(37 * i + 5) % 256 for i in range(rows)]
    y = [(91 * i + 200) % 256 if i < real else 1000 + i for i in range(rows)]
    z = [a * b % P for a, b in zip(x, y, strict=True)]
    flags = [int(i < real) for i in range(rows)]
    work = {
        "x": x,
        "y": y,
        "z": z,
        "real": flags,
        "power": [pow(a, 4, P) * (i % 2) for i, a in enumerate(x)],
    }
    order = sorted(range(real), key=lambda i: (7 * i) % real)
    padding = [0] * ((1 << log_ledger) - real)
    ledger = {
        name: [column[i] for i in order] + padding
        for name, column in (("x", x), ("y", y), ("z", z), ("real", flags))
    }
    looked_up = x + y[:real]
    counts = [looked_up.count(value) for value in range(256)]
    return Example(
        System([Work(log_work), Ledger(log_ledger), Bytes()]),
        {"work": work, "ledger": ledger, "byte table": {"multiplicity": counts}},
        {"work": [z[0], rows - 1]},
    )
