"""Where a run writes: the files of a publication, and its work folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from air.context import Statement
from air.inclusion.reader import InclusionStore
from air.publication import PROOF_FILE, STATEMENT_FILE, STORE_FILE
from air.runs.manifest import RunManifest
from stark.errors import Rejected, StarkError, UsageError

_FILES: Final = (PROOF_FILE, STATEMENT_FILE, STORE_FILE)


@dataclass(frozen=True)
class RunPlaces:
    """Paths of a run.

    Attributes
    ----------
    out
        The folder of the publication.
    store
        The inclusion store, which is secret.
    work
        The work folder, which is secret too.
    """

    out: Path
    store: Path
    work: Path

    @classmethod
    def of(
        cls,
        out: str | os.PathLike[str],
        store: str | os.PathLike[str] | None = None,
        work: str | os.PathLike[str] | None = None,
    ) -> RunPlaces:
        """By default the store is a file in ``out`` and the work folder is ``OUT.work`` beside it.

        Raises
        ------
        UsageError
            If ``out`` has no folder beside it.
        """
        folder = Path(out)
        return cls(
            folder,
            Path(store) if store is not None else folder / STORE_FILE,
            Path(work) if work is not None else _beside(folder),
        )

    @property
    def proof(self) -> Path:
        return self.out / PROOF_FILE

    @property
    def statement(self) -> Path:
        return self.out / STATEMENT_FILE

    def require_writable(self) -> None:
        """``UsageError`` if a file could not be written where it is to go, or would take the place
        of another one of the run, or if the work folder lies in the folder that is published, or
        around what is written: it is removed."""
        for path in (self.proof, self.statement, self.store):
            _require_place(path)
        work, out = Path(os.path.realpath(self.work)), Path(os.path.realpath(self.out))
        store = Path(os.path.realpath(self.store))
        if out.is_relative_to(store) or store in (out / PROOF_FILE, out / STATEMENT_FILE):
            raise UsageError(f"the store cannot be {self.store}, which is to be something else")
        if work.is_relative_to(out):
            raise UsageError(f"the work folder {self.work} is secret and cannot lie in {self.out}")
        for target in (out, store):
            if target.is_relative_to(work):
                raise UsageError(f"{target} cannot lie in the work folder {work}, which is removed")

    def require_own_files(self, manifest: RunManifest) -> None:
        """``UsageError`` if ``out`` holds anything but what this very run wrote into it."""
        way_out = "--force writes into it all the same"
        for name in sorted(os.listdir(self.out)) if self.out.is_dir() else []:
            # What a killed process leaves is named like the file that it was to be.
            partial = name.endswith(".partial") and name.startswith(_FILES)
            if name not in _FILES and not partial:
                raise UsageError(f"{self.out} holds {name!a}, which no run wrote; {way_out}")
        if self.statement.exists() or self.proof.exists():
            try:
                same = Statement.decode(self.statement.read_bytes()).digest() == manifest.statement
            except (OSError, Rejected):
                same = False
            if not same:
                raise UsageError(f"{self.out} holds files of another run; {way_out}")

    def require_own_store(self, manifest: RunManifest | None) -> None:
        """``UsageError`` if there is a file in the place of the store that this very run did not
        write: the store of another day perhaps, or by mistake a key."""
        if not os.path.lexists(self.store):
            return
        try:
            with InclusionStore(self.store) as opened:
                found = opened.statement.digest()
        except (OSError, StarkError):
            found = None
        if manifest is None or found != manifest.statement:
            raise UsageError(f"{self.store} is there already; --force writes over it")

    def remove_partial(self) -> None:
        """Remove what a killed process of this run left of files that it was writing.

        Raises ``OSError`` as removing files does.
        """
        for path in (self.proof, self.statement, self.store):
            if not path.parent.is_dir():
                continue
            for name in os.listdir(path.parent):
                if name.startswith(f"{path.name}.") and name.endswith(".partial"):
                    (path.parent / name).unlink(missing_ok=True)


def _beside(out: Path) -> Path:
    absolute = Path(os.path.abspath(out))
    if not absolute.name:
        raise UsageError(f"a work folder cannot stand beside {out}: name one (--work)")
    return absolute.with_name(f"{absolute.name}.work")


def _require_place(path: Path) -> None:
    """``UsageError`` unless the file could be written, its folders made."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; a file goes there")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: {folder} is no folder to write into")
