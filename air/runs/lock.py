"""A lock on a file that the system lets go when the process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from pathlib import Path

from stark.errors import UsageError

_PID = re.compile(rb"[0-9]{0,20}\n?")
_HELD = (errno.EAGAIN, errno.EACCES)


class FileLock:
    """A held lock.

    The file stays when a process is killed and then means nothing. It holds the number of the
    process, for whom it may concern. Processes that are spawned do not inherit it.

    Parameters
    ----------
    path
        Made with mode 0600 if missing.

    Raises
    ------
    UsageError
        If another process holds the lock, the file is somebody's who keeps something else in it,
        or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = _locked(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be locked: {error.strerror}") from None

    def release(self, *, remove: bool = False) -> None:
        """Let go, with or without the file; nothing the second time.

        Raises ``OSError`` if the file cannot be removed; the lock is let go all the same.
        """
        if self._descriptor < 0:
            return
        try:
            # While it is held: afterwards it may be another's.
            if remove:
                self._path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1


def require_unlocked(path: Path) -> None:
    """``UsageError`` if another process holds this lock at the moment; nothing is made or taken."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        # There is none, or it is told when it is to be taken.
        return
    try:
        _lock(path, descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    """A descriptor of the file that has this name, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            _require_lock_file(path, descriptor)
            _lock(path, descriptor)
            if _is_still(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # Its holder removed the file between our opening and locking it.
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise UsageError(
            f"{path.parent} is in use by another process{f', {pid}' if pid else ''}; "
            "wait for it or end it"
        ) from None


def _require_lock_file(path: Path, descriptor: int) -> None:
    """Nothing of anyone's is overwritten."""
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    if not regular or _PID.fullmatch(os.pread(descriptor, 32, 0)) is None:
        raise UsageError(f"{path} is no lock file of a run; it is left as it is")


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
