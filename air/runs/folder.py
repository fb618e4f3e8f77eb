"""The work folder of a run: its manifest, its lock, and the proofs that are finished.

::

    OUT.work/                        mode 0700
        run.json                     what the run is about, with its seed
        lock                         held while a process works on the run
        proofs/<SHA-256>.inner       a finished proof, named by its content

Everything in it is secret: proofs of batches and joins hide nothing, and the seed opens every
blind. Files are made with mode 0600, under another name, written to the disk, and renamed: killed
at any point, the folder holds whole files and perhaps one that ends in ``.partial``, which the
next run removes. What is not named like that is somebody else's, and is left.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from air.inclusion.private_files import private_output
from air.runs.lock import FileLock, require_unlocked
from air.runs.manifest import MAXIMUM_FILE, RunManifest
from air.runs.tree import NodeId
from stark.errors import Rejected, UsageError

MANIFEST_FILE: Final = "run.json"
LOCK_FILE: Final = "lock"
PROOFS_FOLDER: Final = "proofs"

_PROOF = re.compile(r"([0-9a-f]{64})\.inner")
_PARTIAL = re.compile(r"(run\.json|[0-9a-f]{64}\.inner)\..*\.partial")

Warn = Callable[[str], None]
Identify = Callable[[bytes], NodeId]
"""The place of a proof in the run; raises ``Rejected`` if it has none."""


class WorkFolder:
    """A work folder that is locked; a context manager.

    At its end the folder stays for a run that began and did not finish, and is as it was otherwise.

    Parameters
    ----------
    path
        Made if missing.
    warn
        Called with a line about each file that is removed or left.

    Attributes
    ----------
    manifest
        That of the run that is there, ``None`` if there is none.

    Raises
    ------
    UsageError
        If it is no folder, or another user's, or others may open it, or it holds anything else
        than a run, or another process works on it, or the manifest cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], warn: Warn) -> None:
        self.path = Path(path)
        self.manifest: RunManifest | None = None
        self._warn = warn
        self._names: dict[NodeId, str] = {}
        try:
            self._made = _made(self.path)
        except OSError as error:
            raise UsageError(
                f"the work folder {self.path} cannot be made: {error.strerror}"
            ) from None
        _require_private(self.path)
        if not self._made:
            self._require_run()
        self._lock = FileLock(self.path / LOCK_FILE)
        try:
            self.manifest = read_manifest(self.path)
            if self._proofs.is_symlink() or self._proofs.exists():
                _require_private(self._proofs)
            self._remove_partial()
        except BaseException:
            self._leave()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def begin(self, manifest: RunManifest) -> None:
        """Write down what the run is about, before its first proof.

        Raises
        ------
        UsageError
            If it cannot be written; nothing is begun then.
        """
        target = self.path / MANIFEST_FILE
        try:
            self._proofs.mkdir(mode=0o700, exist_ok=True)
            _write(target, manifest.encode())
        except OSError as error:
            raise _unwritable(target, error) from None
        self.manifest = manifest

    def scan(self, identify: Identify) -> int:
        """Look at all proofs; the number of those that are whole and of this run.

        The others are removed: they cannot be used, and are made again.

        Raises
        ------
        UsageError
            If the folder cannot be written.
        """
        self._names.clear()
        try:
            # A run that was killed while it removed everything has none.
            self._proofs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unwritable(self._proofs, error) from None
        for name in self._proof_files():
            data = self._read(name)
            if data is None:
                continue
            try:
                node = identify(data)
            except Rejected as error:
                self._remove(name, f"is of no use to this run ({error})")
                continue
            if node in self._names:
                self._remove(name, f"is another proof of the same as {self._names[node]}")
                continue
            self._names[node] = name
        return len(self._names)

    def find(self, node: NodeId) -> bytes | None:
        """The proof, whole and unchanged since it was kept; ``None`` if there is none."""
        name = self._names.get(node)
        if name is None:
            return None
        data = self._read(name)
        if data is None:
            del self._names[node]
        return data

    def keep(self, node: NodeId, data: bytes) -> None:
        """Write a finished proof to the disk.

        Raises
        ------
        UsageError
            If it cannot be written, with the reason; all others stay.
        """
        name = f"{hashlib.sha256(data).hexdigest()}.inner"
        target = self._proofs / name
        try:
            _write(target, data)
        except OSError as error:
            raise _unwritable(target, error) from None
        self._names[node] = name

    def drop(self, node: NodeId) -> None:
        """Remove a proof that is whole and yet wrong."""
        name = self._names.pop(node, None)
        if name is not None:
            self._remove(name, "does not hold")

    def finish(self) -> None:
        """Remove what runs made, and the folder if nothing else is in it.

        The manifest goes after the proofs: killed in between, the run is still there, and its next
        start sees that everything is published. Nothing is raised: all is published already.
        """
        try:
            for name in self._proof_files():
                (self._proofs / name).unlink(missing_ok=True)
            self._remove_partial()
            self._names.clear()
            if self._proofs.is_dir() and not any(self._proofs.iterdir()):
                self._proofs.rmdir()
            (self.path / MANIFEST_FILE).unlink(missing_ok=True)
            self.manifest = None
            self._lock.release(remove=True)
            # From here on the folder may be another run's.
            self._made = False
            if any(self.path.iterdir()):
                self._warn(f"{self.path}: holds files that the run did not make; they are left")
            else:
                self.path.rmdir()
        except OSError as error:
            self._warn(f"{self.path}: cannot be removed: {error.strerror}; it is not needed")
        except UsageError as error:
            self._warn(f"{error}; it is not needed")

    @property
    def _proofs(self) -> Path:
        return self.path / PROOFS_FOLDER

    def _leave(self) -> None:
        """Let go of the lock; a folder that was made here goes too if no run began in it."""
        begun = (self.path / MANIFEST_FILE).exists()
        try:
            self._lock.release(remove=not begun)
            if self._made and not begun:
                for folder in (self._proofs, self.path):
                    if folder.is_dir() and not any(folder.iterdir()):
                        folder.rmdir()
        except OSError as error:
            self._warn(f"{self.path}: cannot be removed: {error.strerror}; it holds no run")

    def _require_run(self) -> None:
        """Refuse a folder that was there and holds other things than a run."""
        names = sorted(_listed(self.path))
        odd = [
            name
            for name in names
            if name not in (LOCK_FILE, PROOFS_FOLDER) and not _PARTIAL.fullmatch(name)
        ]
        if odd and MANIFEST_FILE not in names:
            raise UsageError(
                f"{self.path} is no work folder: it holds {odd[0]!a}"
                f"{f' and {len(odd) - 1} more' if odd[1:] else ''};"
                " name one that is empty or missing"
            )

    def _proof_files(self) -> list[str]:
        return _proof_files(self._proofs)

    def _remove_partial(self) -> None:
        for folder in (self.path, self._proofs):
            for name in _listed(folder):
                if _PARTIAL.fullmatch(name) and _is_regular(folder / name):
                    try:
                        (folder / name).unlink(missing_ok=True)
                    except OSError as error:
                        raise _unwritable(folder / name, error) from None

    def _read(self, name: str) -> bytes | None:
        """The content if it is the one that the name says; otherwise the file is removed."""
        try:
            data = (self._proofs / name).read_bytes()
        except FileNotFoundError:
            self._warn(f"{self._proofs / name}: is gone; it is made again")
            return None
        except OSError as error:
            # An unreadable sector, say. Removed or not, the proof is made again.
            self._remove(name, f"cannot be read: {error.strerror}")
            return None
        if f"{hashlib.sha256(data).hexdigest()}.inner" != name:
            self._remove(name, "is not what was written")
            return None
        return data

    def _remove(self, name: str, reason: str) -> None:
        self._warn(f"{self._proofs / name}: {reason}; it is removed")
        try:
            (self._proofs / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self._proofs / name, error) from None


def read_manifest(folder: Path) -> RunManifest | None:
    """The manifest of the run in a folder, ``None`` if there is none.

    Raises
    ------
    UsageError
        If there is one that cannot be read.
    """
    path = folder / MANIFEST_FILE
    try:
        if not _is_regular(path):
            raise UsageError(f"{path} is no regular file")
        with open(path, "rb") as file:
            data = file.read(MAXIMUM_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return RunManifest.decode(data)
    except UsageError as error:
        raise UsageError(f"{path}: {error}; to begin anew, remove the folder {folder}") from None


def require_unused(folder: Path) -> None:
    """``UsageError`` if another process works on the run in a folder."""
    require_unlocked(folder / LOCK_FILE)


def refuse_unfinished(folder: Path, resume: bool) -> None:
    """``UsageError`` if there is an unfinished run in the folder that is not to be gone on with."""
    if resume or read_manifest(folder) is None:
        return
    count = len(_proof_files(folder / PROOFS_FOLDER))
    raise UsageError(
        f"{folder} holds an unfinished run with {count} finished "
        f"{'proof' if count == 1 else 'proofs'}: go on with it (--resume), or remove the folder "
        "to begin anew"
    )


def _proof_files(proofs: Path) -> list[str]:
    return sorted(
        name for name in _listed(proofs) if _PROOF.fullmatch(name) and _is_regular(proofs / name)
    )


def _made(path: Path) -> bool:
    """Whether the folder was missing and is made, which only its owner may open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # With this mode from the start, not changed to it: at no time can others open it.
        path.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _require_private(path: Path) -> None:
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is no folder, or a link to one; a work folder goes there")
    if found.st_uid != os.geteuid():
        raise UsageError(f"{path} belongs to another user; a work folder is one's own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(
            f"{path} can be opened by others (mode {stat.S_IMODE(found.st_mode):04o}), and a work "
            "folder is secret: run chmod 700 on it if nobody did"
        )


def _write(target: Path, data: bytes) -> None:
    """The file appears whole, and is on the disk when this returns."""
    with private_output(target) as partial:
        partial.write_bytes(data)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from None


def _is_regular(path: Path) -> bool:
    """Raises ``FileNotFoundError`` if there is nothing."""
    return stat.S_ISREG(os.lstat(path).st_mode)


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} cannot be written: {error.strerror}; what is there already stays valid, and "
        "--resume goes on with it"
    )
