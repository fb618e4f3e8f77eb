"""Ways of changing inner proofs: in the file, and by provers that lie and go on honestly.

A changed message changes all challenges after it, and with the queries the sizes of the openings:
most changed files are refused for their form. So messages are changed by a prover, too, that draws
all later challenges from what it has said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from typing import Any

import numpy as np

from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P
from stark.prover.prove import Prover
from stark.system import System
from stark.transcript.encoding import Kind
from stark.transcript.schema import Grinding, Sent
from stark.transcript.transcript import ProverTranscript
from stark.verifier.layout import TableLayout, Tree
from stark.verifier.protocol import fri_schedule, schema
from support.cheating import (
    Case,
    DeafProver,
    Dropping,
    ForeignProver,
    LyingInAuxiliary,
    LyingInCodewords,
    LyingInMain,
    LyingInOpenings,
    LyingInQuotient,
    LyingInValues,
    LyingInWork,
    Matrix,
    altered,
    bump,
    case,
    configured,
    plus,
    random_words,
)
from support.cheating_fri import LyingInFri
from support.mutations import (
    overwritten,
)
from support.recursion_files import Forgery
from support.systems import Example

SALT_BYTES = 32


# ---- messages changed by the prover


class AlteringTranscript(ProverTranscript):
    """Says one element of one message otherwise, and goes on from there."""

    label: str
    place: int
    by: int = 1

    def _send(self, label: str, kind: Kind, data: bytes) -> None:
        if label == self.label:
            at = 4 * self.place
            value = int.from_bytes(data[at : at + 4], "little")
            data = overwritten(data, at, ((value + self.by) % P).to_bytes(4, "little"))
        super()._send(label, kind, data)


class AlteringProver(Prover):
    """An honest prover, but for one element of what it says."""

    label: str
    place: int

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        items = schema(self.verification, len(self.context))
        self.transcript = AlteringTranscript(items, self.verification.suite)
        self.transcript.label, self.transcript.place = self.label, self.place


def altering_provers(one: Case, step: int = 8) -> Iterator[tuple[str, type[Prover]]]:
    """For every ``step``-th element that is said, and one of each digest or element of F."""
    for item in schema(one.key.verification, len(one.context)):
        if not isinstance(item, Sent):
            continue
        unit = 8 if item.kind is Kind.DIGEST else DEGREE
        count = item.size // 4
        for place in sorted({*range(0, count, step), *range(0, count, unit)}):
            prover = configured(AlteringProver, label=item.label, place=place)
            yield f"{item.label} altered", prover


# ---- provers that lie in a round


def main_lies() -> Iterator[tuple[str, type[Prover]]]:
    def cosets(self: Any, extensions: list[Matrix]) -> None:
        extensions[0][2:] = random_words(extensions[0][2:].shape, 1)

    def everything(self: Any, extensions: list[Matrix]) -> None:
        for number, extension in enumerate(extensions):
            extension[:] = random_words(extension.shape, 2 + number)

    def one_cell(self: Any, extensions: list[Matrix]) -> None:
        extensions[-1][-1, 0, 0] = plus(extensions[-1][-1, :1, 0], 1)[0]

    for name, change in (("cosets", cosets), ("random", everything), ("cell", one_cell)):
        yield f"main columns: {name}", configured(LyingInMain, change=change)


def bus_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    names = [table.name for table in one.example.system.tables if table.bus_argument.width]
    for first, second in combinations(names, 2):

        def shift(self: Any, matrices: Any, terminals: Any, own: Any = (first, second)) -> None:
            terminals[own[0]] = bump(terminals[own[0]])
            terminals[own[1]] = bump(terminals[own[1]], -1)

        yield "terminals shifted", configured(LyingInAuxiliary, change=shift)
    for name in names:

        def terminal(self: Any, matrices: Any, terminals: Any, own: str = name) -> None:
            terminals[own] = ext.add(terminals[own], ext.BASIS[3])

        def cell(self: Any, matrices: Any, terminals: Any, own: str = name) -> None:
            matrices[own][1, 0] = plus(matrices[own][1, :1], 1)[0]

        yield "terminal", configured(LyingInAuxiliary, change=terminal)
        yield "auxiliary cell", configured(LyingInAuxiliary, change=cell)


def quotient_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    for table in one.example.system.tables:
        for column in range(0, DEGREE * table.quotient_chunks, 3):

            def change(
                self: Any, name: str, extension: Matrix, own: str = table.name, at: int = column
            ) -> None:
                if name == own:
                    extension[:, :, at] = plus(extension[:, :, at], 1)

            yield "quotient", configured(LyingInQuotient, change=change)


def value_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    for number, table in enumerate(one.example.system.tables):
        for value in range(TableLayout.of(table).value_count):

            def change(
                self: Any, parts: Any, values: Any, at: tuple[int, int] = (number, value)
            ) -> None:
                own = values[at[0]]
                own[at[1]] = ext.add(own[at[1]], ext.BASIS[at[1] % DEGREE])

            for solved, honest in ((False, False), (True, False), (True, True)):
                yield (
                    f"value, solved {solved}, honest words {honest}",
                    configured(
                        LyingInValues, change=change, solved=solved, honest_codewords=honest
                    ),
                )


def word_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    for log_height in one.key.verification.system.log_heights:

        def random_word(self: Any, codewords: dict[int, Matrix], at: int = log_height) -> None:
            codewords[at] = random_words(codewords[at].shape, 3)

        def rotated(self: Any, codewords: dict[int, Matrix], at: int = log_height) -> None:
            codewords[at] = np.ascontiguousarray(np.roll(codewords[at], 1, axis=2))

        def left_out(self: Any, codewords: dict[int, Matrix], at: int = log_height) -> None:
            codewords[at] = np.zeros_like(codewords[at])

        for name, change in (("random", random_word), ("rotated", rotated), ("none", left_out)):
            yield f"codeword: {name}", configured(LyingInCodewords, change=change)


def fri_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    key = one.key.verification
    for layer in range(len(fri_schedule(key))):

        def committed(self: Any, number: int, word: Matrix, at: int = layer) -> Matrix:
            return random_words(word.shape, 4) if number == at else word

        def half(self: Any, number: int, word: Matrix, at: int = layer) -> Matrix:
            changed = word.copy()
            if number == at:
                rows = max(1, word.shape[2] // 2)
                changed[0, :, :rows] = plus(changed[0, :, :rows], 1)
            return changed

        def folding(self: Any, number: int, beta: Element, at: int = layer) -> Element:
            return bump(beta) if number == at else beta

        def folded(self: Any, number: int, word: Matrix, at: int = layer) -> Matrix:
            return random_words(word.shape, 5) if number == at else word

        def joining(self: Any, number: int, beta: Element, arity: int, at: int = layer) -> Element:
            return ext.power(beta, arity - (number == at))

        yield f"fri {layer} committed", configured(LyingInFri, committed=committed)
        yield f"fri {layer} half committed", configured(LyingInFri, committed=half)
        yield f"fri {layer} folding", configured(LyingInFri, folding=folding)
        yield f"fri {layer} folded", configured(LyingInFri, folded=folded)
        yield f"fri {layer} joining", configured(LyingInFri, joining=joining)
    for coefficient in range(key.parameters.final_length):
        for limb in range(DEGREE):

            def ended(
                self: Any, final: list[Element], at: tuple[int, int] = (coefficient, limb)
            ) -> list[Element]:
                final[at[0]] = ext.add(final[at[0]], ext.BASIS[at[1]])
                return final

            yield "final polynomial", configured(LyingInFri, ended=ended)


def work_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    for item in schema(one.key.verification, len(one.context)):
        if isinstance(item, Grinding):
            for skipped in range(3):

                def failing(self: Any, bits: int, skipped: int = skipped) -> int:
                    works = self.transcript.works
                    return next(
                        islice((n for n in range(1 << 30) if not works(n, bits)), skipped, None)
                    )

                def another(self: Any, bits: int, skipped: int = skipped) -> int:
                    works = self.transcript.works
                    return next(
                        islice((n for n in range(1 << 30) if works(n, bits)), skipped, None)
                    )

                # A nonce that fails by one bit.
                def nearly(self: Any, bits: int, skipped: int = skipped) -> int:
                    works = self.transcript.works
                    return next(
                        islice(
                            (
                                n
                                for n in range(1 << 30)
                                if works(n, bits - 1) and not works(n, bits)
                            ),
                            skipped,
                            None,
                        )
                    )

                for name, nonce in (("none", failing), ("other", another), ("almost", nearly)):
                    yield (
                        f"{item.label}: {name}",
                        configured(LyingInWork, site=item.label, nonce=nonce),
                    )


def opening_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    layers = len(fri_schedule(one.key.verification))
    for tree in (*(tree.label for tree in Tree), *(f"fri {layer}" for layer in range(layers))):
        yield f"{tree} elsewhere", configured(LyingInOpenings, trees=frozenset({tree}))


def deaf_lies(one: Case) -> Iterator[tuple[str, type[Prover]]]:
    for item in schema(one.key.verification, len(one.context)):
        yield f"deaf to {item.label}", configured(DeafProver, omitted=frozenset({item.label}))


def liars(one: Case) -> list[tuple[str, type[Prover]]]:
    """Provers who each lie once, by what they lie about; some of the lies are none."""
    return [
        *altering_provers(one),
        *main_lies(),
        *bus_lies(one),
        *quotient_lies(one),
        *value_lies(one),
        *word_lies(one),
        *fri_lies(one),
        *work_lies(one),
        *opening_lies(one),
        *deaf_lies(one),
    ]


def forged(one: Case, lies: Sequence[tuple[str, type[Prover]]]) -> Iterator[Forgery]:
    """Their proofs of the honest witness."""
    for name, prover in lies:
        yield Forgery(name, one.prove(prover))


def wrong_traces(one: Case) -> Iterator[Forgery]:
    """A cell of every column changed, in some row; proven honestly."""
    for table, columns in one.example.traces.items():
        for number, (column, cells) in enumerate(columns.items()):
            for row in {0, (7 * number + 3) % len(cells), len(cells) - 1}:
                traces = altered(one.example.traces, table, column, row, cells[row] + 1)
                yield Forgery(f"{table}.{column}[{row}]", one.prove(traces=traces))


def wrong_publics(one: Case) -> Iterator[Forgery]:
    """Each public value changed: claimed of an honest proof, and by the prover itself."""
    for table, values in one.publics.items():
        for place, value in enumerate(values):
            own = [*values[:place], (value + 1) % P, *values[place + 1 :]]
            publics = {**one.publics, table: own}
            yield Forgery(f"{table} public {place}", one.honest(), publics)
            yield Forgery(f"{table} public {place} proven", one.prove(publics=publics), publics)


# ---- twins


def whole_system(example: Example, table: str, label: str) -> System:
    """The system with one constraint of one table emptied."""
    airs = [one.air for one in example.system.tables]
    return System(
        [Dropping(air, label) if air.name == table else air for air in airs],
        example.system.zk,
        example.system.whole_rows,
    )


def foreign(one: Case, twin: Case) -> bytes:
    """A proof for the twin's key that says it is for the key of ``one``."""
    return twin.prove(configured(ForeignProver, claimed=one.key.verification))


def twin_case(one: Case, system: System) -> Case:
    made = case(
        Example(system, one.example.traces, one.example.publics), one.key.verification.parameters
    )
    return Case(made.example, made.key, one.context)
