"""Random field elements: whose words they are, in which order, on however many threads."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stark.field.koalabear import P
from stark.prover.randomness import PIECE, _accept, field_elements


class Forked:
    """Bytes that follow from the label alone; a word in four is at or above p."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def draw(self, label: str, size: int) -> bytes:
        self.labels.append(label)
        words = np.frombuffer(hashlib.shake_256(label.encode()).digest(size), "<u4").copy()
        words[3::4] |= np.uint32(0x7FFFFFFF)
        return words.tobytes()


def plain(source: Forked, label: str, count: int) -> list[int]:
    """The same without kernels: piece by piece, and what is refused again."""
    result: list[int] = []
    for start in range(0, count, PIECE):
        end, attempt = min(count, start + PIECE), 0
        own = f"{start // PIECE} {label}" if start else label
        while len(result) < end:
            data = source.draw(f"{own}/{attempt}", 4 * (end - len(result)))
            words = [word & 0x7FFFFFFF for (word,) in struct.iter_unpack("<I", data)]
            result += [word for word in words if word < P]
            attempt += 1
    return result


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("count", [0, 1, 17, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_elements_do_not_depend_on_threads(
    monkeypatch: pytest.MonkeyPatch, threads: str, count: int
) -> None:
    monkeypatch.setenv("STARK_THREADS", threads)
    source, other = Forked(), Forked()
    assert field_elements(source, "mask", count).tolist() == plain(other, "mask", count)
    assert sorted(source.labels) == sorted(other.labels)
    assert len(set(source.labels)) == len(source.labels)


@given(st.lists(st.sampled_from([0, 1, P - 1, P, P + 1, (1 << 31) - 1]), max_size=40))
def test_words_below_p_are_kept_in_order(words: list[int]) -> None:
    out = np.full(3 + len(words), 9, np.uint32)
    filled = _accept(np.array(words, np.uint32), out, 3)
    below = [word for word in words if word < P]
    assert filled == 3 + len(below)
    assert out[:filled].tolist() == [9, 9, 9, *below]


def test_an_error_of_the_source_is_the_callers() -> None:
    class Broken(Forked):
        def draw(self, label: str, size: int) -> bytes:
            if label.startswith("1 "):
                raise OSError("no randomness")
            return super().draw(label, size)

    with pytest.raises(OSError, match="no randomness"):
        field_elements(Broken(), "mask", 2 * PIECE)
