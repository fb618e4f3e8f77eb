"""Checking a snapshot, and reading a faultless one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from air.snapshot.builder import SnapshotBuilder
from air.snapshot.csv_reader import Progress, read_csv
from air.snapshot.faults import Faults
from air.snapshot.manifest import Manifest, default_manifest_path, read_manifest
from air.snapshot.parquet_reader import read_parquet
from air.snapshot.table import Snapshot
from stark.errors import InputError

DEFAULT_LIMIT = 1000
"""Faults listed; more are counted."""


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Parameters
    ----------
    faults
        The first faults by row, at most ``limit``.
    fault_count
        Number of all faults; beyond those listed, a row with several may count once.
    manifest
        ``None`` if it is at fault itself; the snapshot is not looked at then.
    accounts, holdings
        Accounts and rows; 0 if there is any fault.
    totals
        Minor units per asset of the registry; empty if there is any fault.
    """

    faults: tuple[InputError, ...]
    fault_count: int
    manifest: Manifest | None
    accounts: int = 0
    holdings: int = 0
    totals: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """True if there is no fault."""
        return self.fault_count == 0


def check(
    snapshot_path: str | os.PathLike[str],
    manifest_path: str | os.PathLike[str] | None = None,
    limit: int = DEFAULT_LIMIT,
    progress: Progress | None = None,
) -> CheckResult:
    """List the faults of a snapshot and its manifest; totals if there are none.

    Parameters
    ----------
    snapshot_path
        ``.csv`` or ``.parquet``.
    manifest_path
        ``S.manifest.json`` beside ``S.csv`` if not given.
    limit
        Faults to list, at least 1; all are counted.
    progress
        Called with what is done and what there is to do, in one unit.
    """
    try:
        manifest = read_manifest(manifest_path or default_manifest_path(snapshot_path))
    except InputError as error:
        return CheckResult((error,), 1, None)
    snapshot, faults = _ingest(snapshot_path, manifest, max(1, limit), progress)
    if snapshot is None:
        return CheckResult(faults.listed(), faults.count, manifest)
    totals = tuple(snapshot.totals())
    return CheckResult((), 0, manifest, snapshot.accounts, snapshot.holdings, totals)


def load(
    snapshot_path: str | os.PathLike[str],
    manifest_path: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Read a snapshot; parameters as for :func:`check`.

    Raises
    ------
    InputError
        The first fault by row; its reason says how many more there are.
    """
    manifest = read_manifest(manifest_path or default_manifest_path(snapshot_path))
    snapshot, faults = _ingest(snapshot_path, manifest, 1, progress)
    if snapshot is not None:
        return snapshot
    first = faults.listed()[0]
    reason = first.reason
    if faults.count > 1:
        reason += f" (and {faults.count - 1} more; a check lists them)"
    raise InputError(first.file, first.row, first.column, first.value, reason)


def _ingest(
    path: str | os.PathLike[str], manifest: Manifest, limit: int, progress: Progress | None
) -> tuple[Snapshot | None, Faults]:
    """The snapshot, or ``None`` if there are faults."""
    name = os.fspath(path)
    faults = Faults(name, limit)
    builder = SnapshotBuilder(name, manifest, faults)
    try:
        suffix = Path(name).suffix.lower()
        if suffix not in (".csv", ".parquet"):
            reason = "a snapshot is a .csv or a .parquet file"
            raise InputError(name, None, None, None, reason)
        chunks = (
            read_csv(name, faults, progress) if suffix == ".csv" else read_parquet(name, progress)
        )
        for chunk in chunks:
            builder.add(chunk)
        if builder.rows == 0 and faults.count:
            return None, faults
        snapshot = builder.finish()
    except InputError as error:
        faults.add_error(error)
        return None, faults
    return (snapshot if faults.count == 0 else None), faults
