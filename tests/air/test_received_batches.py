"""Batches as another process may get them: not aligned in memory, or not to be written."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from support.publications import SHAPE, accounts

from air.witness import Batch, BatchAccounts, prepare_batch


def arrays(batch: Batch) -> list[NDArray[np.integer]]:
    own: BatchAccounts = batch._accounts
    return [batch.nodes, own.commitments, own.offsets, own.assets, own.limbs]


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_wherever_it_lies(shift: int) -> None:
    blinds = (tuple(range(8)), tuple(range(8, 16)))
    batch = prepare_batch(SHAPE, accounts(0), [0] * SHAPE.capacity, *blinds, True)
    apart: list[pickle.PickleBuffer] = []
    data = pickle.dumps(batch, protocol=5, buffer_callback=apart.append)
    assert len(apart) == len(arrays(batch))
    sent = [memoryview(bytes(shift) + bytes(one.raw()))[shift:] for one in apart]
    raw = pickle.loads(data, buffers=sent)
    assert not any(array.flags.writeable for array in arrays(raw))
    received = raw.received()
    for array, original in zip(arrays(received), arrays(batch), strict=True):
        assert array.flags.carray
        assert np.array_equal(array, original)
    expected = batch.traces()
    for name, trace in received.traces().items():
        assert np.array_equal(trace.matrix, expected[name].matrix)
    assert arrays(batch.received())[0] is batch.nodes, "nothing is copied without need"
