"""What hides the witness: masks are uniform enough, everywhere, and never the same twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import galois
import numpy as np
import pytest
from support.systems import Example, fibonacci, parameters, products

import stark.system
from air.keys import profile_parameters
from air.shape import Shape
from air.tables.batch import batch_system
from stark.constraints.air import SymbolicAir
from stark.constraints.expression import Part
from stark.errors import Code, Rejected, UsageError
from stark.field import extension as ext
from stark.field.koalabear import GENERATOR, P, root_of_unity
from stark.field.montgomery import scalar_to_montgomery
from stark.merkle.multiproof import read_opening
from stark.prover.commitment import Commitment
from stark.prover.keygen import generate_key
from stark.prover.masks import Masks, mask_length
from stark.prover.prove import Prover, prove
from stark.prover.randomness import SystemRandomness, field_elements
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, tree_shape
from stark.verifier.verify import verify


class Seeded:
    """A deterministic source for tests, forked by label; refuses to draw one label twice."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._used: set[str] = set()

    def draw(self, label: str, size: int) -> bytes:
        if label in self._used:
            raise AssertionError(f"{label} is drawn twice")
        self._used.add(label)
        return hashlib.shake_256(self._seed + label.encode()).digest(size)


def hidden(example: Example) -> System:
    return System([table.air for table in example.system.tables], zk=True)


def zk_parameters(**changes: object) -> ProtocolParameters:
    return parameters(zk=True, log_slack=3, log_blowup=3, **changes)


@pytest.mark.parametrize(
    "example",
    [fibonacci(3), fibonacci(8), products(5, 4, 11), products(8, 8, 200), products(4, 9, 5)],
)
@pytest.mark.parametrize("batching", ["independent", "powers"])
def test_masked_proofs_are_accepted(example: Example, batching: str) -> None:
    key = generate_key(hidden(example), zk_parameters(batching=batching))
    # Small tables have no room for masks that hide; here they only have to fit.
    source = SystemRandomness()
    proof = prove(key, example.traces, example.publics, randomness=source)
    verify(key.verification, proof, example.publics)


def test_equal_randomness_gives_equal_proofs_and_no_label_is_drawn_twice() -> None:
    example = products()
    key = generate_key(hidden(example), zk_parameters())
    proofs = [
        prove(key, example.traces, example.publics, randomness=Seeded(seed))
        for seed in (b"a", b"a", b"b")
    ]
    assert proofs[0] == proofs[1] != proofs[2]


def test_keys_must_agree_on_zero_knowledge() -> None:
    example = fibonacci()
    with pytest.raises(UsageError, match="agree"):
        VerificationKey(hidden(example), parameters(), ())
    with pytest.raises(UsageError, match="agree"):
        VerificationKey(example.system, zk_parameters(), ())


def test_a_slack_too_large_for_the_quotient_is_refused() -> None:
    example = products()
    system = hidden(example)
    fixed = generate_key(system, zk_parameters()).verification.preprocessed_cap
    with pytest.raises(UsageError, match="slack"):
        VerificationKey(system, parameters(zk=True, log_slack=2, log_blowup=3), fixed)


def test_terminals_are_hidden_and_still_checked() -> None:
    """Two proofs of one witness show different terminals; masks that do not cancel are refused."""
    example = products()
    key = generate_key(hidden(example), zk_parameters())
    provers = [Prover(key, example.publics) for _ in range(2)]
    for prover in provers:
        prover.run(example.traces)
    for name in provers[0].terminals:
        assert provers[0].terminals[name] != provers[1].terminals[name]

    class Uneven(Masks):
        def terminals(self, tables):  # type: ignore[no-untyped-def]
            return [field_elements(SystemRandomness(), "", 5) for _ in tables]

    cheat = Prover(key, example.publics)
    cheat.masks = Uneven(key.verification.parameters, SystemRandomness())
    with pytest.raises(Rejected) as caught:
        verify(key.verification, cheat.run(example.traces), example.publics)
    assert caught.value.code is Code.BUS


class MaskOnRow1(Prover):
    """Gives two tables masks on row 1 too, opposite ones, and sums and terminals that fit them."""

    SHARES = (5, P - 5)

    def mask_terminals(self, main):  # type: ignore[no-untyped-def]
        super().mask_terminals(main)
        for table, matrix, share in zip(self.tables, main, self.SHARES, strict=False):
            matrix[1, table.witness_width] = scalar_to_montgomery(share)

    def auxiliary_matrices(self, main):  # type: ignore[no-untyped-def]
        matrices = super().auxiliary_matrices(main)
        for table, matrix, share in zip(self.tables, matrices, self.SHARES, strict=False):
            sums = matrix[2:, 5 * (table.bus_argument.width - 1)]  # type: ignore[index]
            sums[:] = (sums.astype(np.uint64) + scalar_to_montgomery(share)) % P
            self.terminals[table.name] = ext.add(self.terminals[table.name], ext.from_base(share))
        return matrices


def masks_on_row_1(example: Example) -> None:
    key = generate_key(hidden(example), zk_parameters())
    proof = MaskOnRow1(key, example.publics).run(example.traces)
    verify(key.verification, proof, example.publics)


def test_a_mask_beyond_row_0_is_refused() -> None:
    """By its constraint alone: sums and terminals fit the masks."""
    with pytest.raises(Rejected) as caught:
        masks_on_row_1(products())
    assert caught.value.code is Code.OOD


def test_without_its_constraint_a_mask_beyond_row_0_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It helps no cheat (whatever the masks are, they are fixed before alpha); it is one form."""
    honest = stark.system.add_terminal_mask

    def unconstrained(air: SymbolicAir) -> None:
        before = len(air.constraints)
        honest(air)
        del air.constraints[before:]

    monkeypatch.setattr(stark.system, "add_terminal_mask", unconstrained)
    masks_on_row_1(products())


# ---- what is opened


def opened(key: VerificationKey, prover: Prover, proof: bytes) -> dict[str, set[bytes]]:
    """Everything that two proofs of one witness might share: salts, rows, digests, values."""
    transcript = bytes(prover.transcript.proof)
    tail = proof[proof.index(transcript) + len(transcript) :]
    shown: dict[str, set[bytes]] = {"salts": set(), "rows": set(), "siblings": set()}
    offset = 0
    indices = prover.indices
    for tree in Tree:
        shape = tree_shape(
            key.system.tables, tree, key.parameters.log_blowup, key.parameters.cap_height, True
        )
        if shape is None:
            continue
        size = 1 << shape.log_size
        opening, offset = read_opening(tail, offset, shape, [i % size for i in indices])
        if tree is not Tree.PREPROCESSED:
            shown["salts"] |= {salt for group in opening.salts for salt in group}
            shown["rows"] |= {row for group in opening.rows for row in group}
            shown["siblings"] |= set(opening.siblings)
    shown["values"] = {transcript[i : i + 20] for i in range(0, len(transcript) - 20, 4)}
    return shown


class Recording(Prover):
    indices: tuple[int, ...]

    def open(self, commitments, layers, indices):  # type: ignore[no-untyped-def]
        self.indices = tuple(indices)
        return super().open(commitments, layers, indices)


def test_two_proofs_of_one_witness_share_nothing() -> None:
    example = products()
    key = generate_key(hidden(example), zk_parameters())
    views = []
    for _ in range(2):
        prover = Recording(key, example.publics)
        views.append(opened(key.verification, prover, prover.run(example.traces)))
    for name in ("salts", "rows", "siblings"):
        assert views[0][name]
        assert not views[0][name] & views[1][name], name
    assert not views[0]["values"] & views[1]["values"]


# ---- masks suffice


def functionals(
    points: Sequence[int], extension_points: Sequence[ext.Element], count: int
) -> np.ndarray:
    """Evaluations of a polynomial with ``count`` coefficients, as rows over the base field.

    A base point is one row; an extension point is five, one per coefficient of the value.
    """
    rows = []
    for point in points:
        rows.append([pow(point, k, P) for k in range(count)])
    for extension_point in extension_points:
        rows += zip(*ext.powers(extension_point, count), strict=True)
    return np.array(rows, dtype=np.int64)


@pytest.mark.parametrize("shape", [Shape(12, 5, 9), Shape(20, 18, 9)])
def test_masks_have_the_rank_that_openings_take(shape: Shape) -> None:
    """For every table of the statement: with as many coefficients as functionals all opened values
    of a column are independent and uniform, with one fewer they are not, and masks have them.

    The values at stake are those at the queried points and, where constraints reach to the next
    row, at the points one row on (the quotient depends on them), and at zeta and w zeta.
    """
    system = batch_system(shape, zk=True)
    chosen = profile_parameters("proven128", shape)
    field = galois.GF(P)
    rng = np.random.default_rng(5)
    for table, figures in zip(system.tables, system_figures(system).tables, strict=True):
        log_size = table.log_height + chosen.log_blowup
        root, step = root_of_unity(log_size), root_of_unity(table.log_height)
        indices = rng.choice(1 << log_size, chosen.queries, replace=False)
        queried = [GENERATOR * pow(root, int(index), P) % P for index in indices]
        zeta: ext.Element = tuple(int(v) for v in rng.integers(0, P, 5))  # type: ignore[assignment]
        points, extension_points = list(queried), [zeta]
        if figures.points == 2:
            points += [point * step % P for point in queried if point * step % P not in queried]
            extension_points.append(ext.scale(zeta, step))
        taken = len(points) + 5 * len(extension_points)
        assert taken < mask_length(table.height, chosen)
        matrix = functionals(points, extension_points, taken)
        assert np.linalg.matrix_rank(field(matrix)) == taken
        assert np.linalg.matrix_rank(field(matrix[:, :-1])) == taken - 1
        # X^N - 1 vanishes at none of them: masking does not lose a functional.
        assert all(pow(point, table.height, P) != 1 for point in points)


def test_masks_are_in_every_committed_column() -> None:
    """No committed column of a masked proof is below the height in degree, nor zero."""
    example = products(6, 6, 30)
    key = generate_key(hidden(example), zk_parameters())
    seen: list[Commitment] = []

    class Watching(Prover):
        def open(self, commitments, layers, indices):  # type: ignore[no-untyped-def]
            seen.extend(c for tree, c in commitments.items() if tree is not Tree.PREPROCESSED)
            return super().open(commitments, layers, indices)

    Watching(key, example.publics).run(example.traces)
    assert len(seen) == 3
    for commitment in seen:
        masks = [*commitment.columns, *commitment.codeword_masks.values()]
        for columns in masks:
            assert columns is not None
            assert columns.overflow is not None
            width = np.flatnonzero(columns.coset(0).any(axis=0)).size
            used = columns.overflow[:, :width]
            # The last quotient chunk lends to none; its low coefficients take what it is lent.
            assert (used != 0).mean() >= 0.5


def test_only_tables_with_buses_have_a_terminal_to_mask() -> None:
    for table in hidden(products()).tables:
        assert table.witness_width == table.width(Part.MAIN) - 5
        assert table.symbolic.columns[Part.MAIN][-1] == "bus mask[4]"
    (plain,) = hidden(fibonacci()).tables
    assert plain.witness_width == plain.width(Part.MAIN)


# ---- distribution


def test_opened_values_do_not_depend_on_the_witness() -> None:
    """Chi-square: low bits of an opened trace value, over many proofs of two different witnesses.

    16 cells each; the 99.99 % quantile of chi-square with 15 degrees of freedom is 44.3.
    """
    small = products(3, 3, 2)
    other = products(3, 3, 7)
    for example in (small, other):
        key = generate_key(hidden(example), zk_parameters(queries=1, grinding_query=0))
        counts = np.zeros(16)
        rounds = 160
        for _ in range(rounds):
            prover = Recording(key, example.publics)
            proof = prover.run(example.traces)
            transcript = bytes(prover.transcript.proof)
            tail = proof[proof.index(transcript) + len(transcript) :]
            shapes = [
                tree_shape(key.verification.system.tables, tree, 3, 2, True)
                for tree in (Tree.PREPROCESSED, Tree.MAIN)
            ]
            offset = 0
            for shape in shapes:
                if shape is None:
                    raise AssertionError
                index = prover.indices[0] % (1 << shape.log_size)
                opening, offset = read_opening(tail, offset, shape, [index])
            # The joint row of the smaller height: the cell of `real`, which is 0 or 1 on the trace.
            row = np.frombuffer(opening.rows[-1][0], "<u4")
            counts[int(row[3]) % 16] += 1
        expected = rounds / 16
        assert ((counts - expected) ** 2 / expected).sum() < 44.3


def test_random_elements_are_uniform_and_canonical() -> None:
    values = field_elements(SystemRandomness(), "", 200_000)
    assert values.max() < P
    counts = np.histogram(values, bins=64, range=(0, P))[0]
    expected = 200_000 / 64
    assert ((counts - expected) ** 2 / expected).sum() < 130  # 63 degrees of freedom: 10^-6


def test_words_that_are_not_below_p_are_drawn_again() -> None:
    class Stubborn:
        def __init__(self) -> None:
            self.calls = 0

        def draw(self, label: str, size: int) -> bytes:
            self.calls += 1
            word = P if self.calls == 1 else 7
            return word.to_bytes(4, "little") * (size // 4)

    source = Stubborn()
    assert field_elements(source, "x", 3).tolist() == [7, 7, 7]
    assert source.calls == 2


def test_masks_do_not_touch_the_trace_domain() -> None:
    """t + (X^N - 1) r agrees with t on the trace domain: the quotient's cosets do not see it."""
    example = fibonacci(5)
    key = generate_key(hidden(example), zk_parameters())
    captured: dict[str, Commitment] = {}

    class Capturing(Prover):
        def commit_main(self, main):  # type: ignore[no-untyped-def]
            captured["main"] = super().commit_main(main)
            return captured["main"]

    Capturing(key, example.publics).run(example.traces)
    (columns,) = captured["main"].columns
    assert columns is not None
    point = ext.from_base(pow(root_of_unity(5), 3, P))
    values = columns.at(point)
    trace = example.traces["fibonacci"]
    assert values[0] == ext.from_base(trace["a"][3])
    assert values[1] == ext.from_base(trace["b"][3])
