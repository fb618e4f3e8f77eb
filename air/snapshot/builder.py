"""From the chunks of a reader to a snapshot, finding every fault on the way."""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from air.registry import TOTAL_BOUND
from air.snapshot import table
from air.snapshot.amounts import amount_fault, to_limbs
from air.snapshot.columns import COLUMN_NAMES, Chunk, TextColumn
from air.snapshot.faults import Faults, shown_text
from air.snapshot.manifest import Manifest
from air.snapshot.table import Snapshot
from air.snapshot.texts import (
    UNKNOWN_ASSET,
    SymbolTable,
    are_ids,
    hash_texts,
    id_fault,
    random_basis,
    run_starts,
)
from stark.errors import InputError

_ID, _ASSET, _EQUITY = COLUMN_NAMES
_SLICE_ROWS = 1 << 20
_SPARE_ROWS = 1 << 22
"""Rows beyond those that there can be after which reading ends: a file of a few bytes may have
any number. Fewer are read to the end, and the faults are listed."""
_Element = TypeVar("_Element", bound=np.generic)


class SnapshotBuilder:
    """Takes chunks in the order of the file; :meth:`finish` gives the snapshot.

    Memory is that of the snapshot, 8 bytes per account more for the hash of its id, and one
    column twice while chunks are joined.
    """

    def __init__(self, file: str, manifest: Manifest, faults: Faults) -> None:
        self._file = file
        self._manifest = manifest
        self._faults = faults
        self._symbols = SymbolTable(manifest.registry)
        self.rows = 0
        """Rows added so far."""
        self._last_id: bytes | None = None
        self._basis = random_basis()
        self._runs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._starts: list[NDArray[np.int64]] = []
        self._hashes: list[NDArray[np.uint64]] = []
        self._id_lengths: list[NDArray[np.int64]] = []
        self._id_bytes: list[NDArray[np.uint8]] = []
        self._assets: list[NDArray[np.uint16]] = []
        self._limbs: list[NDArray[np.uint16]] = []

    def add(self, chunk: Chunk) -> None:
        """Append the next rows of the file; faults of single rows go to the collector."""
        if len(chunk.rows) == 0:
            return
        if self.rows + len(chunk.rows) > table.MAX_HOLDINGS:
            reason = f"more than {table.MAX_HOLDINGS} rows: no publication has as many"
            raise InputError(self._file, None, None, None, reason)
        codes = self._symbols.match(chunk.assets)
        limbs, faulty = to_limbs(chunk.equity, codes, self._manifest.registry)
        bad_ids = self._add_accounts(chunk)
        self._report_rows(chunk, codes, faulty, bad_ids)
        breaks = np.flatnonzero(np.diff(chunk.rows, prepend=-1) != 1)
        self._runs.append((breaks + self.rows, chunk.rows[breaks]))
        self._assets.append(codes)
        self._limbs.append(limbs)
        self.rows += len(chunk.rows)
        accounts = sum(map(len, self._starts))
        if self.rows > accounts * len(self._manifest.registry) + _SPARE_ROWS:
            reason = "more rows than accounts times assets: accounts have assets more than once"
            raise InputError(self._file, int(chunk.rows[-1]), _ASSET, None, reason)

    def finish(self) -> Snapshot:
        """The snapshot, sound only if the collector has counted no fault.

        Raises
        ------
        InputError
            If there is not one account.
        """
        if self.rows == 0:
            reason = "there is no account in this file"
            raise InputError(self._file, None, None, None, reason)
        ids = TextColumn(_join(self._id_bytes), *_bounds(_join(self._id_lengths)))
        starts = np.append(_join(self._starts), self.rows)
        assets = _join(self._assets)
        limbs = _join(self._limbs)
        self._faults.begin_pass()
        self._report_returning_accounts(ids, starts)
        self._faults.begin_pass()
        offsets = self._tidy(ids, starts, assets, limbs)
        rows = int(offsets[-1])
        snapshot = Snapshot(
            manifest=self._manifest,
            id_bytes=ids.data,
            id_offsets=np.append(ids.starts, len(ids.data)),
            offsets=offsets,
            assets=assets[:rows],
            amount_limbs=limbs[:rows],
        )
        if rows > table.UNADDED_HOLDINGS:
            self._require_totals(snapshot)
        return snapshot

    def _require_totals(self, snapshot: Snapshot) -> None:
        """``InputError`` if a total is beyond what a statement can say, though no amount is."""
        for asset, total in zip(snapshot.registry.assets, snapshot.totals(), strict=True):
            if total >= TOTAL_BOUND:
                reason = f"the total of {asset.symbol} is 2^105 minor units or more"
                raise InputError(self._file, None, _EQUITY, None, reason)

    def _add_accounts(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Append the accounts that begin here; which rows have an id that is at fault."""
        runs = run_starts(chunk.account_ids)
        ids = chunk.account_ids.take(runs)
        hashes, unusual = hash_texts(ids, self._basis)
        bad = np.zeros(len(ids), np.bool_)
        odd = np.flatnonzero(unusual)
        if not are_ids(ids.take(odd)):
            for run in odd.tolist():
                bad[run] = id_fault(ids.value(run)) is not None
        bad_rows = np.repeat(bad, np.diff(runs, append=len(chunk.rows)))
        first = int(ids.value(0) == self._last_id)
        self._last_id = ids.value(len(ids) - 1)
        ids = ids.take(np.arange(first, len(ids)))
        self._starts.append(runs[first:] + self.rows)
        self._hashes.append(hashes[first:])
        self._id_lengths.append(ids.ends - ids.starts)
        self._id_bytes.append(ids.packed())
        return bad_rows

    def _report_rows(
        self,
        chunk: Chunk,
        codes: NDArray[np.uint16],
        faulty: NDArray[np.int64],
        bad_ids: NDArray[np.bool_],
    ) -> None:
        if self._faults.full:
            self._faults.skip(len(faulty) + int(np.count_nonzero(bad_ids)))
            return
        registry = self._manifest.registry
        bad_values = np.zeros(len(chunk.rows), np.bool_)
        bad_values[faulty] = True
        at_fault = np.flatnonzero(bad_values | bad_ids)
        for done, at in enumerate(map(int, at_fault)):
            if self._faults.full:
                self._faults.skip(len(at_fault) - done)
                return
            row = int(chunk.rows[at])
            if bad_ids[at]:
                value = chunk.account_ids.value(at)
                self._faults.add(row, _ID, shown_text(value), id_fault(value) or "")
            if not bad_values[at]:
                continue
            decimals = None
            if codes[at] == UNKNOWN_ASSET:
                symbol = chunk.assets.value(at)
                self._faults.add(row, _ASSET, shown_text(symbol), self._unknown_asset(symbol))
            else:
                decimals = registry[int(codes[at])].decimals
            shown: str | bytes
            if isinstance(chunk.equity, TextColumn):
                shown = shown_text(chunk.equity.value(at))
            else:
                shown = chunk.equity.text(at)
            text = shown if isinstance(shown, str) else shown.decode("utf-8", "replace")
            reason = amount_fault(text, decimals)
            if reason is not None:
                self._faults.add(row, _EQUITY, shown, reason)

    def _unknown_asset(self, symbol: bytes) -> str:
        if not symbol:
            return "the asset is empty"
        wanted = symbol.decode("utf-8", "replace").strip().casefold()
        listed = self._folded_symbols.get(wanted)
        if listed is not None:
            return f"not listed in the manifest, which has {listed}"
        return "not listed in the manifest"

    @cached_property
    def _folded_symbols(self) -> dict[str, str]:
        """The first symbol of each kind that differs in case alone."""
        symbols = [asset.symbol for asset in self._manifest.registry]
        return {symbol.casefold(): symbol for symbol in reversed(symbols)}

    def _row_number(self, row: int) -> int:
        """Row of the file, as a person counts, of a row of the arrays before they are tidied."""
        starts, numbers = self._row_runs
        run = int(np.searchsorted(starts, row, "right")) - 1
        return int(numbers[run] + row - starts[run])

    @cached_property
    def _row_runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of the arrays where the numbers of rows of the file jump, and these numbers."""
        starts, numbers = zip(*self._runs, strict=True)
        return np.concatenate(starts), np.concatenate(numbers)

    def _report_returning_accounts(self, ids: TextColumn, starts: NDArray[np.int64]) -> None:
        hashes = _join(self._hashes)
        ordered = np.sort(hashes)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if len(twice) == 0:
            return
        first_at: dict[bytes, int] = {}
        listed = 0
        for account in np.flatnonzero(np.isin(hashes, twice)).tolist():
            value = ids.value(account)
            first = first_at.setdefault(value, account)
            if first == account or id_fault(value) is not None:
                continue
            if self._faults.full:
                # One more for each later account of equal hash: exact but for collisions.
                self._faults.skip(len(hashes) - len(np.unique(hashes)) - listed)
                return
            listed += 1
            reason = (
                "this account was at row "
                f"{self._row_number(int(starts[first]))} already; rows of an account are adjacent"
            )
            row = self._row_number(int(starts[account]))
            self._faults.add(row, _ID, shown_text(value), reason)

    def _tidy(
        self,
        ids: TextColumn,
        starts: NDArray[np.int64],
        assets: NDArray[np.uint16],
        limbs: NDArray[np.uint16],
    ) -> NDArray[np.int64]:
        """Sort each account by asset and drop zero rows, in place; the new offsets.

        Whole accounts, about 2^20 rows, at a time: what is written never passes what is read.
        """
        accounts = len(starts) - 1
        counts = np.empty(accounts, np.int64)
        written = first = 0
        while first < accounts:
            last = int(np.searchsorted(starts, starts[first] + _SLICE_ROWS, "right")) - 1
            last = max(last, first + 1)
            rows = slice(int(starts[first]), int(starts[last]))
            bounds = starts[first : last + 1] - starts[first]
            order = self._order(ids, first, bounds, rows.start, assets[rows])
            kept, counts[first:last] = _drop_zeros(order, bounds, assets[rows], limbs[rows])
            target = slice(written, written + len(kept[0]))
            assets[target], limbs[target] = kept
            written, first = target.stop, last
        return np.append(0, np.cumsum(counts))

    def _order(
        self,
        ids: TextColumn,
        first_account: int,
        bounds: NDArray[np.int64],
        first_row: int,
        assets: NDArray[np.uint16],
    ) -> NDArray[np.int64] | None:
        """The order that sorts each account by asset, ``None`` if they are; reports repeats."""
        account = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        keys = account << 16 | assets
        if (keys[1:] > keys[:-1]).all():
            return None
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        again = again[assets[order[again]] != UNKNOWN_ASSET]
        # The sort is stable: the first of equal keys is the one that stands first in the file.
        rows, firsts = order[again], order[np.searchsorted(ordered, ordered[again])]
        for done, position in enumerate(np.argsort(rows).tolist()):
            if self._faults.full:
                self._faults.skip(len(again) - done)
                break
            row, earlier = int(rows[position]), int(firsts[position])
            owner = shown_text(ids.value(first_account + int(account[row])))
            reason = (
                f"account {owner!a} has this asset at row "
                f"{self._row_number(first_row + earlier)} already"
            )
            symbol = self._manifest.registry[int(assets[row])].symbol
            self._faults.add(self._row_number(first_row + row), _ASSET, symbol, reason)
        return order


def _drop_zeros(
    order: NDArray[np.int64] | None,
    bounds: NDArray[np.int64],
    assets: NDArray[np.uint16],
    limbs: NDArray[np.uint16],
) -> tuple[tuple[NDArray[np.uint16], NDArray[np.uint16]], NDArray[np.int64]]:
    """Assets and limbs in order without zero rows, and the number of rows left per account."""
    if order is not None:
        assets, limbs = assets[order], limbs[order]
    nonzero = limbs.any(axis=1)
    counts = np.add.reduceat(nonzero, bounds[:-1], dtype=np.int64)
    if nonzero.all():
        return (assets, limbs), counts
    empty = counts == 0
    keep = np.array(nonzero)
    keep[bounds[:-1][empty]] = True
    assets = np.where(nonzero, assets, 0).astype(np.uint16)
    return (assets[keep], limbs[keep]), counts + empty


def _join(parts: list[NDArray[_Element]]) -> NDArray[_Element]:
    """All parts in one array; the list is emptied, so that memory holds one column twice."""
    joined = np.concatenate(parts)
    parts.clear()
    return joined


def _bounds(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ends = np.cumsum(lengths)
    return ends - lengths, ends
