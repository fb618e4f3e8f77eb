"""Forgeries against the protocol's rounds: constraints, quotients, DEEP, FRI, buses.

Every proof here comes from a prover that lies in one round and is honest about its transcript. The
numbers G, H and I are those of ``tests/vectors/negative_tests.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from support.cheating import (
    Case,
    ForeignProver,
    LyingInAuxiliary,
    LyingInCodewords,
    LyingInMain,
    LyingInQuotient,
    LyingInValues,
    Matrix,
    altered,
    bump,
    case,
    configured,
    everywhere_case,
    fibonacci_case,
    plus,
    products_case,
    random_words,
    without_constraint,
)
from support.checks import check, check_equal
from support.systems import Columns, Example, parameters

from stark.constraints.air import Air, AirBuilder
from stark.constraints.expression import Part
from stark.debug.faults import BusFault, ConstraintFault, faults
from stark.errors import Code, Rejected
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import GENERATOR, P, root_of_unity
from stark.field.ntt import coset_shift
from stark.fri.fold import fold, interpolate_final
from stark.merkle.tree import CodewordTree
from stark.prover.keygen import ProvingKey
from stark.prover.openings import TableColumns
from stark.prover.prove import Prover
from stark.system import System
from stark.verifier import verify as verifier_module
from stark.verifier.layout import TableLayout
from stark.verifier.out_of_domain import check_zeta
from stark.verifier.protocol import fri_cap_height, fri_schedule
from stark.verifier.verify import PublicValues


def refused(one: Case, proof: bytes, *codes: Code, publics: PublicValues | None = None) -> Rejected:
    """The rejection, which must be of one of the classes."""
    rejection = one.rejection(proof, publics)
    check(rejection.code in codes, f"expected {codes}, got {rejection}")
    return rejection


# ---- wrong traces, proven honestly: one violation of each constraint

FIBONACCI = {
    "starts at 1, 1 [0]": ("a", 0, 2, [2]),
    "starts at 1, 1 [1]": ("b", 0, 2, None),
    "moves on [0]": ("a", 17, 5, None),
    "moves on [1]": ("b", 17, 5, None),
    "ends at the result": ("b", 63, 9, None),
}


def fibonacci_from(a: int, b: int, length: int, kinks: Mapping[int, tuple[int, int]]) -> Columns:
    """A trace of the recurrence whose pair is replaced on some rows."""
    first, second = [], []
    for row in range(length):
        a, b = kinks.get(row, (a, b))
        first.append(a)
        second.append(b)
        a, b = b, (a + b) % P
    return {"fibonacci": {"a": first, "b": second}}


def broken_fibonacci() -> dict[str, tuple[Columns, list[int] | None]]:
    """By label: a trace that breaks one constraint alone, and its public value if another."""
    honest = fibonacci_case().example.traces["fibonacci"]
    a, b = honest["a"], honest["b"]
    result: dict[str, tuple[Columns, list[int] | None]] = {}
    for label, start in (("starts at 1, 1 [0]", (2, 1)), ("starts at 1, 1 [1]", (1, 2))):
        trace = fibonacci_from(*start, 64, {})
        result[label] = (trace, [trace["fibonacci"]["b"][-1]])
    for label, row in (("moves on [0]", 1), ("moves on [1]", 1)):
        pair = (a[row] + 1, b[row]) if label.endswith("[0]") else (a[row], b[row] + 1)
        trace = fibonacci_from(1, 1, 64, {row: pair})
        result[label] = (trace, [trace["fibonacci"]["b"][-1]])
    result["ends at the result"] = (dict(fibonacci_case().example.traces), [b[-1] + 1])
    return result


def failing_labels(system: System, traces: Columns, publics: PublicValues) -> set[str]:
    """Labels of the constraints, and names of the buses, that a witness breaks."""
    arrays = {
        table.name: np.stack(
            [np.array(traces[table.name][name]) for name in table.symbolic.columns[Part.MAIN]],
            axis=1,
        )
        for table in system.tables
    }
    found = set()
    for fault in faults(system, arrays, publics):
        if isinstance(fault, ConstraintFault):
            found.add(fault.label)
        if isinstance(fault, BusFault):
            found.add(fault.bus)
    return found


@pytest.mark.parametrize("label", FIBONACCI)
def test_every_constraint_of_fibonacci_holds_alone(label: str) -> None:
    traces, result = broken_fibonacci()[label]
    one = fibonacci_case()
    publics = {"fibonacci": result or one.publics["fibonacci"]}
    check_equal(failing_labels(one.example.system, traces, publics), {label})
    proof = one.prove(traces=traces, publics=publics)
    refused(one, proof, Code.OOD, publics=publics)
    # Without the constraint the same witness is proven and accepted.
    weaker = without_constraint(one.example.system, "fibonacci", label)
    twin = case(Example(weaker, traces, publics), one.key.verification.parameters)
    twin.verify(twin.prove())


def test_last_row_and_first_row_are_not_joined_by_a_transition() -> None:
    # G8: the honest trace breaks "moves on" on the wrap row alone, and is accepted ...
    one = fibonacci_case()
    trace = one.example.traces["fibonacci"]
    check(trace["a"][0] != trace["b"][-1], "the wrap row breaks the recurrence")
    one.verify(one.honest())
    # ... while any other row counts: the first, one in the middle, the last but one.
    for row in (0, 31, 62):
        kinks = {row + 1: (trace["a"][row + 1], trace["b"][row + 1] + 1)}
        broken = fibonacci_from(1, 1, 64, kinks)
        publics = {"fibonacci": [broken["fibonacci"]["b"][-1]]}
        refused(one, one.prove(traces=broken, publics=publics), Code.OOD, publics=publics)


class Cyclic(Air):
    """Fibonacci with the selectors of the first and the last row exchanged, or none at all."""

    name = "fibonacci"

    def __init__(self, log_height: int, swapped: bool) -> None:
        super().__init__(log_height)
        self.swapped = swapped

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        result = t.public("result")
        first, last = (t.last_row, t.first_row) if self.swapped else (t.first_row, t.last_row)
        first("starts at 1, 1", a - 1, b - 1)
        t.transition("moves on", a.next - b, b.next - (a + b))
        last("ends at the result", b - result)


def test_first_and_last_row_selectors_swapped() -> None:
    # G9: a trace that ends where it should start, proven with exchanged selectors.
    one = fibonacci_case()
    backwards = [1, 1]
    while len(backwards) < 65:
        backwards.append((backwards[-2] - backwards[-1]) % P)
    pairs = list(zip(backwards[1:], backwards, strict=False))[::-1]
    traces = {"fibonacci": {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}}
    publics = {"fibonacci": [traces["fibonacci"]["b"][0]]}
    twin = case(
        Example(System([Cyclic(6, swapped=True)]), traces, publics),
        one.key.verification.parameters,
    )
    twin.verify(twin.prove())
    lying = configured(ForeignProver, claimed=one.key.verification)
    refused(one, twin.prove(lying), Code.OOD, publics=publics)
    honest_order = case(
        Example(System([Cyclic(6, swapped=False)]), one.example.traces, one.publics),
        one.key.verification.parameters,
    )
    check_equal(honest_order.key.verification.digest, one.key.verification.digest)


def work_row(columns: Columns, row: int, **values: int) -> Columns:
    for column, value in values.items():
        columns = altered(columns, "work", column, row, value)
    return columns


def recount(columns: Columns) -> Columns:
    """The traces with the multiplicities that the work table needs."""
    work = columns["work"]
    used = list(work["x"])
    for y, real in zip(work["y"], work["real"], strict=True):
        used += [y] * real
    counts = [used.count(value) for value in range(256)]
    return {**columns, "byte table": {"multiplicity": counts}}


def broken_products() -> dict[str, tuple[str, Columns, list[int], set[str]]]:
    """By name: table, traces, public values of ``work``, and the labels that break."""
    one = products_case()
    honest, publics = one.example.traces, one.publics["work"]
    work = honest["work"]
    result: dict[str, tuple[str, Columns, list[int], set[str]]] = {}

    # The last real row sends its product twice, and two rows of the ledger receive it.
    twice = work_row(honest, 10, real=2)
    for name in ("x", "y", "z"):
        twice = altered(twice, "ledger", name, 11, work[name][10])
    twice = recount(altered(twice, "ledger", "real", 11, 1))
    result["real is boolean"] = ("work", twice, publics, {"real is boolean"})

    wrong = work_row(honest, 20, z=work["z"][20] + 1)
    result["z is the product"] = ("work", wrong, publics, {"z is the product"})

    wrong = work_row(honest, 5, power=work["power"][5] + 1)
    result["power is x^4 on odd rows, 0 on even ones"] = (
        "work",
        wrong,
        publics,
        {"power is x^4 on odd rows, 0 on even ones"},
    )
    result["first product"] = ("work", honest, [publics[0] + 1, publics[1]], {"first product"})
    result["last position"] = ("work", honest, [publics[0], publics[1] + 1], {"last position"})

    # Row 10 and row 11 change places as far as being real goes.
    swapped = {name: list(column) for name, column in work.items()}
    for name in ("x", "y", "z"):
        swapped[name][10], swapped[name][11] = work[name][11], work[name][10]
    swapped["real"][10], swapped["real"][11] = 0, 1
    swapped["power"] = [pow(x, 4, P) * (i % 2) for i, x in enumerate(swapped["x"])]
    moved = recount({**honest, "work": swapped})
    result["real rows come first"] = ("work", moved, publics, {"real rows come first"})

    # Two equal products are received by one row of the ledger.
    equal = work_row(honest, 10, **{name: work[name][9] for name in ("x", "y", "z")})
    equal = recount(work_row(equal, 10, power=0))
    ledger = equal["ledger"]
    gone, kept = (
        next(row for row in range(11) if ledger["x"][row] == work["x"][source])
        for source in (10, 9)
    )
    equal = altered(altered(equal, "ledger", "real", gone, 0), "ledger", "real", kept, 2)
    result["real is boolean in the ledger"] = ("ledger", equal, publics, {"real is boolean"})
    return result


@pytest.mark.parametrize("name", list(broken_products()))
def test_every_constraint_of_products_holds(name: str) -> None:
    table, traces, values, labels = broken_products()[name]
    one = products_case()
    publics = {"work": values}
    check_equal(failing_labels(one.example.system, traces, publics), labels)
    proof = one.prove(traces=traces, publics=publics)
    rejection = refused(one, proof, Code.OOD, publics=publics)
    check(table in rejection.check, rejection.check)
    # Without the constraint the same witness is proven and accepted.
    weaker = without_constraint(one.example.system, table, *labels)
    twin = case(Example(weaker, traces, publics), one.key.verification.parameters)
    twin.verify(twin.prove())


def test_position_is_preprocessed_not_chosen() -> None:
    # "position starts at zero" concerns a fixed column alone: another column is another key.
    one = products_case()

    class Elsewhere(type(one.example.system.tables[0].air)):  # type: ignore[misc]
        def preprocessed(self) -> Mapping[str, Sequence[int]]:
            return {"position": [*range(1, 32), 31]}

    airs = [Elsewhere(5), *(table.air for table in one.example.system.tables[1:])]
    twin = case(
        Example(System(airs), one.example.traces, one.publics), one.key.verification.parameters
    )
    check_equal(twin.rejection(twin.prove()).code, Code.OOD)
    check_equal(one.rejection(twin.prove()).code, Code.VK)
    lying = configured(ForeignProver, claimed=one.key.verification)
    # The openings of the fixed columns are checked against the key's root.
    check_equal(one.rejection(twin.prove(lying)).code, Code.OOD)


def bus_forgeries() -> dict[str, Columns]:
    honest = products_case().example.traces
    work, ledger = honest["work"], honest["ledger"]
    counts = honest["byte table"]["multiplicity"]
    x = work["x"]
    outside = work_row(honest, 20, x=256, z=256 * work["y"][20], power=0)
    negative = work_row(honest, 20, x=P - 1, z=P - work["y"][20], power=0)
    missing = {**honest, "byte table": {"multiplicity": [*counts[:-1], counts[-1] + 1]}}
    fewer = altered(honest, "byte table", "multiplicity", x[0], counts[x[0]] - 1)
    other = altered(honest, "ledger", "z", 0, ledger["z"][0] + 1)
    dropped = altered(honest, "ledger", "real", 0, 0)
    added = altered(honest, "ledger", "real", 15, 1)
    hidden = work_row(honest, 10, real=0)
    doubled = {name: list(column) for name, column in ledger.items()}
    for name in doubled:
        doubled[name][1] = doubled[name][0]
    # Moves a look-up to another entry, of which p - 1 are then taken: a negative multiplicity.
    borrowed = altered(fewer, "byte table", "multiplicity", 255, counts[255] + 1)
    return {
        "value 256 is no byte": recount(outside),
        "value -1 is no byte": recount(negative),
        "I2 an extra receive": missing,
        "a receive too few": fewer,
        "another product received": other,
        "a product not received": dropped,
        "I7 a padding row received": added,
        "a real row that does not send": recount(hidden),
        "one product received twice for two": {**honest, "ledger": doubled},
        "I10 an entry taken for another": borrowed,
    }


@pytest.mark.parametrize("name", list(bus_forgeries()))
def test_unbalanced_buses(name: str) -> None:
    traces = bus_forgeries()[name]
    one = products_case()
    labels = failing_labels(one.example.system, traces, one.publics)
    check(bool(labels) and labels <= {"bytes", "products"}, f"{labels}")
    refused(one, one.prove(traces=traces), Code.BUS)


# ---- auxiliary columns and terminals


def test_one_terminal_altered() -> None:
    def change(self: Any, matrices: Any, terminals: dict[str, Element]) -> None:
        terminals["ledger"] = bump(terminals["ledger"])

    one = products_case()
    refused(one, one.prove(configured(LyingInAuxiliary, change=change)), Code.BUS)


@pytest.mark.parametrize("tables", [("work", "ledger"), ("ledger", "byte table")])
def test_terminals_shifted_between_tables(tables: tuple[str, str]) -> None:
    # I3: their sum stays zero.
    def change(self: Any, matrices: Any, terminals: dict[str, Element]) -> None:
        terminals[tables[0]] = bump(terminals[tables[0]], 1)
        terminals[tables[1]] = bump(terminals[tables[1]], -1)

    one = products_case()
    refused(one, one.prove(configured(LyingInAuxiliary, change=change)), Code.OOD)


def test_terminals_balanced_by_force_over_an_unbalanced_bus() -> None:
    def change(self: Any, matrices: Any, terminals: dict[str, Element]) -> None:
        others = ext.add(terminals["work"], terminals["ledger"])
        terminals["byte table"] = ext.negate(others)

    one = products_case()
    traces = bus_forgeries()["value 256 is no byte"]
    proof = one.prove(configured(LyingInAuxiliary, change=change), traces=traces)
    check("byte table" in refused(one, proof, Code.OOD).check, "the byte table's terminal is wrong")


@pytest.mark.parametrize("table", ["work", "ledger", "byte table"])
@pytest.mark.parametrize("row", [0, 7, -1])
@pytest.mark.parametrize("column", [0, -1])
def test_auxiliary_cell_altered(table: str, row: int, column: int) -> None:
    # I11 among others: the running sum does not start anew, or does not end in the terminal.
    one = products_case()
    width = DEGREE * next(
        t.bus_argument.width for t in one.example.system.tables if t.name == table
    )

    def change(self: Any, matrices: dict[str, Matrix], terminals: Any) -> None:
        place = (row, column % width)
        matrices[table][place] = plus(matrices[table][place], 1)

    rejection = refused(one, one.prove(configured(LyingInAuxiliary, change=change)), Code.OOD)
    check(table in rejection.check, rejection.check)


def test_running_sum_that_jumps_by_the_missing_amount() -> None:
    # The last row's step is bent so that an unbalanced table still ends in a balanced terminal.
    def change(self: Any, matrices: dict[str, Matrix], terminals: dict[str, Element]) -> None:
        before = terminals["byte table"]
        terminals["byte table"] = ext.negate(ext.add(terminals["work"], terminals["ledger"]))
        gap = ext.subtract(terminals["byte table"], before)
        width = DEGREE
        for power in range(DEGREE):
            cells = matrices["byte table"][1:, width - DEGREE + power]
            cells[:] = plus(cells, gap[power])

    one = products_case()
    traces = bus_forgeries()["value -1 is no byte"]
    refused(one, one.prove(configured(LyingInAuxiliary, change=change), traces=traces), Code.OOD)


# ---- quotients


@pytest.mark.parametrize("table", ["work", "ledger", "byte table"])
@pytest.mark.parametrize("chunk", [0, -1])
@pytest.mark.parametrize("limb", [0, 4])
def test_quotient_chunk_altered(table: str, chunk: int, limb: int) -> None:
    one = products_case()
    chunks = {t.name: t.quotient_chunks for t in one.example.system.tables}

    def change(self: Any, name: str, extension: Matrix) -> None:
        if name == table:
            column = DEGREE * (chunk % chunks[table]) + limb
            extension[:, :, column] = plus(extension[:, :, column], 1)

    rejection = refused(one, one.prove(configured(LyingInQuotient, change=change)), Code.OOD)
    check(table in rejection.check, rejection.check)


@pytest.mark.parametrize("factor", [None, 2, P - 1])
def test_quotient_chunks_swapped_or_scaled(factor: int | None) -> None:
    # G4
    def change(self: Any, name: str, extension: Matrix) -> None:
        if name != "work":
            return
        if factor is None:
            first = extension[:, :, :DEGREE].copy()
            extension[:, :, :DEGREE] = extension[:, :, DEGREE : 2 * DEGREE]
            extension[:, :, DEGREE : 2 * DEGREE] = first
        else:
            extension[:] = (extension.astype(np.uint64) * factor % P).astype(np.uint32)

    one = products_case()
    refused(one, one.prove(configured(LyingInQuotient, change=change)), Code.OOD)


class LongChunk(LyingInQuotient, LyingInValues):
    """q_0 + X^(N + e) and q_1 - X^e: the same quotient, in a chunk of degree N + e."""

    excess = 1

    def change(self, *arguments: Any) -> None:  # type: ignore[override]
        log_blowup = self.parameters.log_blowup
        table = self.tables[0]
        shifts = [coset_shift(table.log_height, log_blowup, c) for c in range(1 << log_blowup)]
        if isinstance(arguments[0], str):
            name, extension = arguments
            if name != table.name:
                return
            for coset, shift in enumerate(shifts):
                for row in range(table.height):
                    point = shift * pow(root_of_unity(table.log_height), row, P) % P
                    cells = extension[coset, row]
                    small = pow(point, self.excess, P)
                    cells[0] = plus(cells[:1], pow(point, table.height, P) * small)[0]
                    cells[DEGREE] = plus(cells[DEGREE : DEGREE + 1], -small)[0]
            return
        # The honest evaluation takes what is on coset 0 for values of a polynomial of degree
        # below N: there X^N is a constant.
        _, values = arguments
        first = len(values[0]) - table.quotient_chunks
        constant = ext.from_base(pow(shifts[0], table.height, P))
        correction = ext.subtract(ext.power(self.zeta, table.height), constant)
        monomial = ext.power(self.zeta, self.excess)
        values[0][first] = ext.add(values[0][first], ext.multiply(monomial, correction))


def test_quotient_chunk_of_too_high_degree() -> None:
    # G5: the identity at zeta holds; FRI alone can see it.
    one = products_case()
    refused(one, one.prove(LongChunk), Code.FRI_FINAL)


def test_degree_n_itself_is_admitted() -> None:
    # (f(X) - f(z)) / (X - z) has degree below N for an f of degree N: FRI admits N + 1
    # coefficients, and the estimator counts them (its degrees are those of N + o - 1).
    one = products_case()
    proof = one.prove(configured(LongChunk, excess=0))
    check(proof != one.honest(), "another proof of the same statement")
    one.verify(proof)


# ---- out-of-domain values


def opened_values(one: Case) -> list[tuple[int, int]]:
    """(table, value) of all out-of-domain values."""
    return [
        (number, value)
        for number, table in enumerate(one.example.system.tables)
        for value in range(TableLayout.of(table).value_count)
    ]


def lying_in_value(table: int, value: int, **attributes: Any) -> type[Prover]:
    def change(self: Any, parts: Any, values: list[list[Element]]) -> None:
        values[table][value] = ext.add(values[table][value], (0, 0, 1, 0, 0))

    return configured(LyingInValues, change=change, **attributes)


@pytest.mark.parametrize(("table", "value"), opened_values(products_case()))
def test_out_of_domain_value_altered(table: int, value: int) -> None:
    one = products_case()
    rejection = refused(one, one.prove(lying_in_value(table, value)), Code.OOD)
    check(one.example.system.tables[table].name in rejection.check, rejection.check)


@pytest.mark.parametrize(("table", "value"), [(0, 0), (0, 3), (1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize(
    ("honest_codewords", "code"), [(False, Code.FRI_FINAL), (True, Code.FRI_FOLD)]
)
def test_out_of_domain_value_altered_with_the_identity_solved(
    table: int, value: int, honest_codewords: bool, code: Code
) -> None:
    # G2: the DEEP quotient is no polynomial; or FRI is run on another word than it.
    one = products_case()
    lying = lying_in_value(table, value, solved=True, honest_codewords=honest_codewords)
    refused(one, one.prove(lying), code)


def swap_next(self: Any, parts: Sequence[TableColumns], values: list[list[Element]]) -> None:
    """The values of the next row are those of this one."""
    for part, own in zip(parts, values, strict=True):
        for number, cell in enumerate(part.layout.following):
            own[len(part.layout.here) + number] = own[part.layout.here.index(cell)]


def test_next_row_opened_at_zeta() -> None:
    # G6: refused by the identity, or, if that is solved for it, by FRI.
    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInValues, change=swap_next)), Code.OOD)
    solved = configured(LyingInValues, change=swap_next, solved=True, honest_codewords=True)
    refused(one, one.prove(solved), Code.FRI_FOLD)
    solved = configured(LyingInValues, change=swap_next, solved=True)
    refused(one, one.prove(solved), Code.FRI_FINAL)


def test_errors_of_two_values_do_not_cancel() -> None:
    # H13: with equal batching coefficients +e and -e would; they are independent.
    def change(self: Any, parts: Any, values: list[list[Element]]) -> None:
        values[0][1] = bump(values[0][1], 7)
        values[0][2] = bump(values[0][2], -7)

    one = products_case()
    solved = configured(LyingInValues, change=change, solved=True, honest_codewords=True)
    refused(one, one.prove(solved), Code.FRI_FOLD)
    # Nor do they in powers of one challenge.
    powers = case(one.example, parameters(batching="powers"))
    refused(powers, powers.prove(solved), Code.FRI_FOLD)


def test_honest_run_of_the_lying_provers() -> None:
    # The harness itself changes nothing: a lie that is none is accepted.
    def nothing(self: Any, *arguments: Any) -> None:
        return None

    one = products_case()
    kinds = (LyingInMain, LyingInAuxiliary, LyingInQuotient, LyingInValues, LyingInCodewords)
    for kind in kinds:
        check_equal(one.prove(configured(kind, change=nothing)), one.honest(), kind.__name__)
    solved = configured(LyingInValues, change=nothing, solved=True)
    check_equal(one.prove(solved), one.honest(), "solving the identity of a true claim")


# ---- words that are no codewords


def test_main_columns_that_are_no_codewords() -> None:
    # The cosets that the quotient is computed from are honest, so that the identity holds.
    def change(self: Any, extensions: list[Matrix]) -> None:
        extensions[0][2:] = random_words(extensions[0][2:].shape, 1)

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInMain, change=change)), Code.FRI_FINAL)


def test_random_main_columns() -> None:
    # H7
    def change(self: Any, extensions: list[Matrix]) -> None:
        for extension in extensions:
            extension[:] = random_words(extension.shape, 2)

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInMain, change=change)), Code.OOD)


def test_random_word_into_fri() -> None:
    # H7: FRI runs on a word that has nothing to do with the columns.
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        height = max(codewords)
        codewords[height] = random_words(codewords[height].shape, 3)

    one = products_case()
    refused(one, one.prove(configured(LyingInCodewords, change=change)), Code.FRI_FOLD)


@pytest.mark.parametrize("height", [4, 5])
def test_table_left_out_of_the_batch(height: int) -> None:
    # H12: a shorter table does not join the folded word.
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        del codewords[height]

    one = products_case()
    rejection = refused(one, one.prove(configured(LyingInCodewords, change=change)), Code.FRI_FOLD)
    check("fri layer 0" not in rejection.check, rejection.check)


def test_codeword_on_a_rotated_domain() -> None:
    # H15: the generator's powers in another order, or the coset shifted.
    def rotated(self: Any, codewords: dict[int, Matrix]) -> None:
        height = max(codewords)
        codewords[height] = np.ascontiguousarray(np.roll(codewords[height], 1, axis=2))

    def shifted(self: Any, codewords: dict[int, Matrix]) -> None:
        height = max(codewords)
        codewords[height] = np.ascontiguousarray(np.roll(codewords[height], 1, axis=1))

    one = products_case()
    for change in (rotated, shifted):
        refused(one, one.prove(configured(LyingInCodewords, change=change)), Code.FRI_FOLD)


# ---- FRI itself


class LyingInFri(Prover):
    """The honest FRI with places to lie: each layer's word, its challenge, the end."""

    def committed(self, layer: int, word: Matrix) -> Matrix:
        return word

    def folded(self, layer: int, word: Matrix) -> Matrix:
        return word

    def ended(self, final: list[Element]) -> list[Element]:
        return final

    def fri(self, codewords: Mapping[int, Matrix]) -> list[CodewordTree]:
        log_height = self.verification.system.log_heights[0]
        word = codewords[log_height]
        layers = []
        for layer, log_arity in enumerate(fri_schedule(self.verification)):
            word = self.committed(layer, word)
            tree = CodewordTree(word, 1 << log_arity, fri_cap_height(self.verification, layer))
            self.transcript.send_digests(f"fri {layer}", tree.cap)
            layers.append(tree)
            self.work(f"work fold {layer}")
            (beta,) = self.transcript.draw(f"fold {layer}")
            word = self.folded(layer, fold(word, log_arity, beta, self.parameters.log_blowup))
        final = interpolate_final(word, self.parameters.final_length)
        self.transcript.send_extension("final polynomial", self.ended(final))
        return layers


def test_the_lying_fri_is_honest_without_a_lie() -> None:
    one = fibonacci_case()
    check_equal(one.prove(LyingInFri), one.honest())


@pytest.mark.parametrize("layer", [0, 1])
def test_fri_layer_is_another_word(layer: int) -> None:
    def committed(self: Any, number: int, word: Matrix) -> Matrix:
        return random_words(word.shape, 4) if number == layer else word

    one = fibonacci_case()
    rejection = refused(one, one.prove(configured(LyingInFri, committed=committed)), Code.FRI_FOLD)
    check(f"fri layer {layer}" in rejection.check, rejection.check)


def test_last_fold_is_another_word() -> None:
    def folded(self: Any, number: int, word: Matrix) -> Matrix:
        return random_words(word.shape, 5) if number == 1 else word

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInFri, folded=folded)), Code.FRI_FINAL)


@pytest.mark.parametrize("coefficient", [0, 1, 2, 3])
@pytest.mark.parametrize("limb", [0, 4])
def test_final_polynomial_altered(coefficient: int, limb: int) -> None:
    # H5
    def ended(self: Any, final: list[Element]) -> list[Element]:
        own = list(final[coefficient])
        own[limb] = (own[limb] + 1) % P
        final[coefficient] = tuple(own)  # type: ignore[assignment]
        return final

    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInFri, ended=ended)), Code.FRI_FINAL)


def test_final_polynomial_of_another_length_cannot_be_said() -> None:
    # H6, H2, H8: its length, the layers and their arities follow from the key; the prover's own
    # transcript refuses another length, and in the file it would shift everything behind it.
    one = fibonacci_case()
    for ended in (
        lambda self, final: [*final, ext.ZERO],
        lambda self, final: final[:-1],
    ):
        with pytest.raises(Exception, match="final polynomial takes") as caught:
            one.prove(configured(LyingInFri, ended=ended))
        check(type(caught.value).__name__ == "UsageError", f"{caught.value!r}")


def test_one_wrong_point_in_every_leaf() -> None:
    # A word far from the code whose every leaf is wrong at one place.
    def committed(self: Any, number: int, word: Matrix) -> Matrix:
        changed = word.copy()
        if number == 0:
            rows = word.shape[2] // 8
            changed[0, :, :rows] = plus(changed[0, :, :rows], 1)
        return changed

    one = everywhere_case()
    refused(one, one.prove(configured(LyingInFri, committed=committed)), Code.FRI_FOLD)


@pytest.mark.parametrize("queries", [1, 2, 4])
def test_word_at_a_known_distance_is_accepted_as_often_as_the_theory_says(queries: int) -> None:
    # H11: a quarter of the leaves of the first layer are wrong; each query misses them with 3/4.
    one = case(
        fibonacci_case(4).example,
        parameters(
            queries=queries,
            grinding_ali=0,
            grinding_deep=0,
            grinding_batching=0,
            grinding_fold=0,
            grinding_query=0,
        ),
    )
    check_equal(len(fri_schedule(one.key.verification)), 1)

    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        word = codewords[4].copy()
        # 4 cosets of 16 rows, folded by 4: one coset is a quarter of the leaves.
        word[0, 1] = plus(word[0, 1], 1)
        codewords[4] = word

    def final_polynomial(self: Any, word: Matrix) -> list[Element]:
        # That of the honest word, which is whole on coset 0.
        return interpolate_final(np.ascontiguousarray(word[:, :1]), word.shape[2])

    lying = configured(LyingInCodewords, change=change, final_polynomial=final_polynomial)
    trials = 150
    accepted = 0
    for trial in range(trials):
        context = trial.to_bytes(2, "little")
        proof = one.prove(lying, context=context)
        try:
            one.verify(proof, context=context)
            accepted += 1
        except Rejected as rejected:
            check_equal(rejected.code, Code.FRI_FOLD)
    expected = 0.75**queries
    deviation = (expected * (1 - expected) / trials) ** 0.5
    check(abs(accepted / trials - expected) < 4 * deviation, f"{accepted} of {trials}")


# ---- the verifier's own points


@pytest.mark.parametrize("log_height", [3, 6])
@pytest.mark.parametrize("log_blowup", [1, 3])
def test_zeta_in_a_domain(log_height: int, log_blowup: int) -> None:
    # G3: on the trace domain of any table, or on the evaluation coset of any.
    for smaller in range(log_height + 1):
        on_trace = ext.from_base(root_of_unity(smaller))
        on_coset = ext.from_base(GENERATOR * root_of_unity(smaller + log_blowup))
        for zeta in (on_trace, on_coset):
            with pytest.raises(Rejected) as caught:
                check_zeta(zeta, log_height, log_blowup, GENERATOR)
            check_equal(caught.value.code, Code.DOMAIN)
    check_zeta(ext.from_base(5), log_height, log_blowup, GENERATOR)
    check_zeta((0, 1, 0, 0, 0), log_height, log_blowup, GENERATOR)


def test_zeta_in_a_domain_stops_the_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    # G3: challenges that no prover can have, drawn by a mocked transcript.
    one = fibonacci_case()
    proof = one.honest()
    draw = verifier_module.VerifierTranscript.draw
    for zeta in (ext.ONE, ext.from_base(root_of_unity(6)), ext.from_base(GENERATOR)):

        def drawn(self: Any, label: str, zeta: Element = zeta) -> tuple[Element, ...]:
            honest = draw(self, label)
            return (zeta,) if label == "zeta" else honest

        monkeypatch.setattr(verifier_module.VerifierTranscript, "draw", drawn)
        refused(one, proof, Code.DOMAIN)


def test_query_point_equal_to_an_opening_point(monkeypatch: pytest.MonkeyPatch) -> None:
    # H9: with the check of zeta gone, the division at the query refuses.
    one = everywhere_case()
    zeta = ext.from_base(GENERATOR)  # point 0 of the evaluation coset
    draw = verifier_module.VerifierTranscript.draw
    monkeypatch.setattr(
        verifier_module.VerifierTranscript,
        "draw",
        lambda self, label: (draw(self, label), (zeta,))[label == "zeta"],
    )
    for name in ("check_zeta", "check_table"):
        monkeypatch.setattr(verifier_module, name, lambda *_: None)
    refused(one, one.honest(), Code.DOMAIN)


# ---- each check is the only one between a forgery and acceptance


def single_lies() -> dict[str, tuple[str, Code, Prover | Any, Columns | None]]:
    """By the check that refuses it: its class, a lying prover, and a witness if another."""
    broken = broken_products()["z is the product"][1]
    return {
        "check_table": ("check_table", Code.OOD, Prover, broken),
        "check_buses": (
            "check_buses",
            Code.BUS,
            Prover,
            bus_forgeries()["value 256 is no byte"],
        ),
    }


@pytest.mark.parametrize("name", list(single_lies()))
def test_without_the_check_the_forgery_is_accepted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_name, code, prover, traces = single_lies()[name]
    one = products_case()
    proof = one.prove(prover, traces=traces)
    refused(one, proof, code)
    monkeypatch.setattr(verifier_module, check_name, lambda *_: None)
    one.verify(proof)


def test_keys_of_the_cheating_harness_are_those_of_the_verifier() -> None:
    one = products_case()
    check(isinstance(one.key, ProvingKey), "a proving key")
    one.verify(one.honest())
    fibonacci_case().verify(fibonacci_case().honest())
    everywhere_case().verify(everywhere_case().honest())
