"""What derives from a run's seed."""

from __future__ import annotations

import hashlib
import secrets
from itertools import product

import numpy as np
import pytest

from air.runs.seed import RunSeed
from stark.field.koalabear import P

SEED = RunSeed(bytes(range(32)))


def test_everything_derives_and_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    again = RunSeed(bytes(range(32)))
    monkeypatch.setattr(secrets, "token_bytes", None)
    assert SEED.nonce == again.nonce
    assert SEED.blind(3) == again.blind(3)
    assert (SEED.empty_commitments(2, 9) == again.empty_commitments(2, 9)).all()


def test_values_are_those_of_the_definition() -> None:
    """Written out: a seed in a work folder means the same in a later version, or nothing at all."""
    data = hashlib.shake_256(bytes(range(32)) + b"\x05blind" + (7).to_bytes(8, "little"))
    whole = data.digest(128)
    expected = [int.from_bytes(whole[16 * k : 16 * k + 16], "little") % P for k in range(8)]
    assert list(SEED.blind(7)) == expected
    assert SEED.nonce == hashlib.shake_256(bytes(range(32)) + b"\x05nonce").digest(32)
    data = hashlib.shake_256(bytes(range(32)) + b"\x05empty" + (1).to_bytes(8, "little"))
    words = np.frombuffer(data.digest(96), "<u4")
    assert SEED.empty_commitments(1, 3).ravel().tolist() == [int(word) % P for word in words]


def test_values_of_different_places_and_seeds_are_unrelated() -> None:
    seeds = [SEED, RunSeed.fresh(), RunSeed.fresh()]
    blinds = {seed.blind(number) for seed, number in product(seeds, range(4))}
    assert len(blinds) == 12
    assert len({seed.nonce for seed in seeds}) == 3
    rows = {
        tuple(row)
        for seed, batch in product(seeds, range(3))
        for row in seed.empty_commitments(batch, 5).tolist()
    }
    assert len(rows) == 45


@pytest.mark.parametrize("count", [0, 1, 7])
def test_commitments_have_their_shape(count: int) -> None:
    values = SEED.empty_commitments(0, count)
    assert (values.shape, values.dtype) == ((count, 8), np.uint32)
    assert (values < P).all()
    assert (values == SEED.empty_commitments(0, 7)[:count]).all()


def test_a_seed_is_32_bytes_and_is_not_shown() -> None:
    for size in (0, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            RunSeed(bytes(size))
    assert bytes(range(32)).hex() not in repr(SEED)
    assert "\\x01" not in repr(SEED)
