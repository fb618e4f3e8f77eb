"""Extension vectors against polynomials over Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stark.field import extension_kernels as kernels
from stark.field import extension_simd as registers
from stark.field import simd
from stark.field.koalabear import P, root_of_unity
from stark.jit import kernel

Words = NDArray[np.uint32]
Element = tuple[int, ...]

R = 1 << 32
EDGE_WORDS = [0, 1, 2, P - 2, P - 1, P // 2, R % P]

words = st.one_of(st.sampled_from(EDGE_WORDS), st.integers(0, P - 1))
elements = st.tuples(words, words, words, words, words)
# Raw Montgomery words, so that the extremes of the kernels' operands are among them.
EDGES: list[Element] = [
    (0, 0, 0, 0, 0),
    (R % P, 0, 0, 0, 0),
    (1, 0, 0, 0, 0),
    (0, 1, 0, 0, 0),
    (0, 0, 0, 0, P - 1),
    (P - 1, P - 1, P - 1, P - 1, P - 1),
    (P - 1, 0, P - 1, 0, P - 1),
    (0, P - 1, 0, P - 1, 0),
    (P - 1, 1, 0, P - 1, P - 2),
]


def vector(raw: list[Element]) -> Words:
    return np.ascontiguousarray(np.array(raw, np.uint32).reshape(len(raw), 5).T)


def canonical(raw: Element) -> Element:
    return tuple(word * pow(R, -1, P) % P for word in raw)


def values(array: Words) -> list[Element]:
    assert array.dtype == np.uint32
    assert array.flags.c_contiguous
    assert not array.size or int(array.max()) < P
    return [canonical(tuple(column)) for column in array.T.tolist()]


def product(a: Element, b: Element) -> Element:
    """Schoolbook product, then x^k -> x^(k-5) - x^(k-3) from the top."""
    full = [0] * 9
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            full[i + j] += x * y
    for k in range(8, 4, -1):
        full[k - 5] += full[k]
        full[k - 3] -= full[k]
    return tuple(c % P for c in full[:5])


def total(a: Element, b: Element) -> Element:
    return tuple((x + y) % P for x, y in zip(a, b, strict=True))


def random_raw(n: int, seed: int = 7) -> list[Element]:
    generator = np.random.default_rng(seed)
    return [tuple(row) for row in generator.integers(0, P, (n, 5)).tolist()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(elements, elements), max_size=40))
@example([(a, b) for a in EDGES for b in EDGES])
@example([])
def test_multiply(pairs: list[tuple[Element, Element]]) -> None:
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    expected = [product(canonical(x), canonical(y)) for x, y in pairs]
    assert values(kernels.multiply(vector(a), vector(b))) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(elements, max_size=40), elements)
@example(EDGES, (P - 1,) * 5)
def test_scale_and_splat(raw: list[Element], factor: Element) -> None:
    assert values(kernels.scale(vector(raw), factor)) == [
        product(canonical(x), factor) for x in raw
    ]
    assert values(kernels.splat(factor, len(raw))) == [factor] * len(raw)


@kernel("void(u4[::1], u4[::1], u4[::1])")
def _all_vector_operations(a: Words, b: Words, out: Words) -> None:
    x, y = registers.ext_load(a, 0, 16), registers.ext_load(b, 0, 16)
    registers.ext_store(out, 0, 16, registers.ext_add(x, y))
    registers.ext_store(out, 80, 16, registers.ext_sub(x, y))
    registers.ext_store(out, 160, 16, registers.ext_mul(x, y))
    registers.ext_store(out, 240, 16, registers.ext_scale(x, y[1]))
    registers.ext_store(out, 320, 16, registers.ext_halve(x))
    first = registers.ext_splat(b, 0, 16)
    registers.ext_store(out, 400, 16, registers.ext_mul_splat(x, first))
    inverse = registers.field_inverse(x[0])
    registers.ext_store(out, 480, 16, (inverse, registers.hidden(x[1]), x[2], x[3], x[4]))


@kernel("void(u4[::1], u4[::1], u4[::1])")
def _all_scalar_operations(a: Words, b: Words, out: Words) -> None:
    for i in range(16):
        x = (a[i], a[16 + i], a[32 + i], a[48 + i], a[64 + i])
        y = (b[i], b[16 + i], b[32 + i], b[48 + i], b[64 + i])
        results = (
            registers.ext_add(x, y),
            registers.ext_sub(x, y),
            registers.ext_mul(x, y),
            registers.ext_scale(x, y[1]),
        )
        for k in range(4):
            for q in range(5):
                out[80 * k + 16 * q + i] = results[k][q]


@settings(max_examples=40, deadline=None)
@given(st.lists(elements, min_size=16, max_size=16), st.lists(elements, min_size=16, max_size=16))
@example((EDGES + EDGES)[:16], (EDGES[3:] + EDGES + EDGES)[:16])
@example([(P - 1,) * 5] * 16, [(P - 1,) * 5] * 16)
def test_registers(a: list[Element], b: list[Element]) -> None:
    out = np.zeros((7, 5, 16), np.uint32)
    _all_vector_operations(vector(a).reshape(-1), vector(b).reshape(-1), out.reshape(-1))
    xs, ys = [canonical(x) for x in a], [canonical(y) for y in b]
    pairs = list(zip(xs, ys, strict=True))
    half = pow(2, -1, P)
    sums = [total(x, y) for x, y in pairs]
    differences = [total(x, tuple(-c for c in y)) for x, y in pairs]
    products = [product(x, y) for x, y in pairs]
    scaled = [tuple(c * y[1] % P for c in x) for x, y in pairs]
    assert values(out[0]) == sums
    assert values(out[1]) == differences
    assert values(out[2]) == products
    assert values(out[3]) == scaled
    assert values(out[4]) == [tuple(c * half % P for c in x) for x in xs]
    assert values(out[5]) == [product(x, ys[0]) for x in xs]
    assert values(out[6]) == [(pow(x[0], P - 2, P), *x[1:]) for x in xs]
    scalars = np.zeros((4, 5, 16), np.uint32)
    _all_scalar_operations(vector(a).reshape(-1), vector(b).reshape(-1), scalars.reshape(-1))
    assert np.array_equal(scalars, out[:4])


@kernel("void(u4[::1], u4[::1], u4[::1])")
def _linear_map(a: Words, matrix: Words, out: Words) -> None:
    mapped = registers.ext_linear_map(registers.ext_load(a, 0, 16), matrix, 3)
    registers.ext_store(out, 0, 16, mapped)


@settings(max_examples=20, deadline=None)
@given(st.lists(elements, min_size=16, max_size=16), st.lists(elements, min_size=5, max_size=5))
@example([(P - 1,) * 5] * 16, [(P - 1,) * 5] * 5)
def test_linear_map(a: list[Element], images: list[Element]) -> None:
    out = np.zeros((5, 16), np.uint32)
    matrix = np.array([0, 0, 0] + [word for image in images for word in image], np.uint32)
    _linear_map(vector(a).reshape(-1), matrix, out.reshape(-1))
    columns = list(zip(*(canonical(image) for image in images), strict=True))
    assert values(out) == [
        tuple(
            sum(c * m for c, m in zip(canonical(x), column, strict=True)) % P for column in columns
        )
        for x in a
    ]


@kernel("void(u4[::1], u4[::1])")
def _zero_lane(a: Words, out: Words) -> None:
    out[0] = registers.has_zero_lane(simd.load(a, 0))


@pytest.mark.parametrize("position", [None, 0, 7, 15])
def test_zero_lane(position: int | None) -> None:
    lanes, out = np.full(16, P - 1, np.uint32), np.zeros(1, np.uint32)
    if position is not None:
        lanes[position] = 0
    _zero_lane(lanes, out)
    assert bool(out[0]) == (position is not None)


@settings(max_examples=40, deadline=None)
@given(st.lists(elements.filter(any), max_size=40))
@example([edge for edge in EDGES if any(edge)])
@example(random_raw(16 * 128 + 1))
@example([])
def test_batch_inverse(raw: list[Element]) -> None:
    inverses = values(kernels.batch_inverse(vector(raw)))
    assert len(inverses) == len(raw)
    one = (1, 0, 0, 0, 0)
    assert all(product(canonical(x), y) == one for x, y in zip(raw, inverses, strict=True))


@pytest.mark.parametrize(
    ("length", "position"), [(1, 0), (16, 0), (17, 16), (100, 50), (2049, 2048), (20000, 19999)]
)
def test_batch_inverse_of_zero(length: int, position: int) -> None:
    array = vector(random_raw(length))
    array[:, position] = 0
    with pytest.raises(ZeroDivisionError):
        kernels.batch_inverse(array)


@settings(max_examples=30, deadline=None)
@given(st.lists(elements, max_size=40))
@example([(P - 1,) * 5] * 33)
@example([])
def test_running_sum(raw: list[Element]) -> None:
    sums: list[Element] = [(0,) * 5]
    for x in raw:
        sums.append(total(sums[-1], canonical(x)))
    assert values(kernels.running_sum(vector(raw))) == sums[1:]
    assert values(kernels.running_sum(vector(raw), exclusive=True)) == sums[: len(raw)]


@pytest.mark.parametrize("base", [(0,) * 5, (1, 0, 0, 0, 0), (P - 1,) * 5, (5, 0, 7, 1, P - 3)])
@pytest.mark.parametrize("n", [0, 1, 5, 16, 17, 32, 100])
def test_powers(base: Element, n: int) -> None:
    expected: list[Element] = [(1, 0, 0, 0, 0)]
    for _ in range(n):
        expected.append(product(expected[-1], base))
    assert values(kernels.powers(base, n)) == expected[:n]  # type: ignore[arg-type]


@pytest.mark.parametrize("log_n", [0, 1, 3, 4, 5, 9])
@pytest.mark.parametrize("shift", [1, 3, P - 1])
def test_domain_points(log_n: int, shift: int) -> None:
    points = kernels.domain_points(log_n, shift)
    root = root_of_unity(log_n)
    expected = [shift * pow(root, i, P) * R % P for i in range(1 << log_n)]
    assert points.tolist() == expected


def test_one_and_several_threads_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = vector(random_raw(40000, 1)), vector(random_raw(40000, 2))
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("STARK_THREADS", threads)
        results.append(
            [
                kernels.multiply(a, b),
                kernels.batch_inverse(a),
                kernels.powers((1, 2, 3, 4, 5), 40000),
            ]
        )
    for one, several in zip(*results, strict=True):
        assert np.array_equal(one, several)
    assert values(results[0][0][:, -3:].copy()) == [
        product(x, y)
        for x, y in zip(values(a[:, -3:].copy()), values(b[:, -3:].copy()), strict=True)
    ]


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 16), np.uint32),
        np.zeros((5, 16), np.int64),
        np.zeros(80, np.uint32),
        np.zeros((16, 5), np.uint32).T,
    ],
)
def test_rejects_other_arrays(bad: Words) -> None:
    good = np.zeros((5, 16), np.uint32)
    with pytest.raises(ValueError, match="must be"):
        kernels.multiply(bad, good)
    with pytest.raises(ValueError, match="must be"):
        kernels.multiply(good, bad)
    with pytest.raises(ValueError, match="must be"):
        kernels.batch_inverse(bad)
    with pytest.raises(ValueError, match="must be"):
        kernels.running_sum(bad)
    with pytest.raises(ValueError, match="must be"):
        kernels.scale(bad, (1, 0, 0, 0, 0))


def test_rejects_other_lengths_and_scalars() -> None:
    with pytest.raises(ValueError, match="lengths differ"):
        kernels.multiply(np.zeros((5, 16), np.uint32), np.zeros((5, 32), np.uint32))
    for bad in ((P, 0, 0, 0, 0), (-1, 0, 0, 0, 0), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="five integers"):
            kernels.powers(bad, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="negative"):
        kernels.powers((1, 0, 0, 0, 0), -1)
    with pytest.raises(ValueError, match="log_order"):
        kernels.domain_points(25, 1)
