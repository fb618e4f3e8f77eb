"""Without Dask, everything but its workers is there."""

from __future__ import annotations

import sys

import pytest

from air.runs.cluster import dask_workers
from stark.errors import UsageError


@pytest.mark.parametrize("missing", ["dask", "distributed"])
def test_the_error_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=r"pip install 'stark-liabilities\[cluster\]'"):
        dask_workers("tcp://127.0.0.1:1").__enter__()
