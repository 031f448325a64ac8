"""Files of stores and sites: atomic writes, listing, removal of what killed runs left; and locks on folders."""

import errno
import fcntl
import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, TypeVar

from atlas.common import log
from atlas.common.errors import StoreError
from atlas.common.paths import read_file

TEMPORARY = ".tmp"
MOST_JSON = 2**20  # bytes of a note or a record in a store; they have a few thousand
_TEMPORARY_NAME = re.compile(r"\.(?:([0-9a-f]{8})-)?[0-9a-f]{16}\.tmp")  # version 0.1.0 wrote no host
_ABANDONED = 24 * 3600  # seconds without a change after which a file counts as abandoned, where no lock can tell
_BOOT = Path("/proc/sys/kernel/random/boot_id")

Made = TypeVar("Made")


class VanishedError(OSError):
    """A temporary file vanished while it was written: another machine, which does not see its lock, removed it."""


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file under a temporary name and rename it into place; folders are made as needed.

    Args:
        path: of the file.
        data: its whole content.
        sync: wait until the file would survive a power cut.

    Raises:
        StoreError: the file cannot be written. The path is as it was before.
    """

    def write() -> None:
        with open_atomically(path, sync=sync) as file:
            file.write(data)

    try:
        again_if_vanished(write)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"{path}: cannot be written ({len(data):,} bytes): {why}; mend that and run again") from None


@contextmanager
def open_atomically(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name at the end of the context; folders are made as needed.

    After an exception the path is as it was before.

    Raises:
        VanishedError: the temporary file vanished; see `again_if_vanished`.
        OSError: the file cannot be written.
    """
    with _temporary(path.parent) as (temporary, file):
        yield file
        file.flush()
        if sync:
            os.fsync(file.fileno())
        temporary.replace(path)  # while it is locked: it must never be taken for one that was left behind
    if sync:
        _sync_folder(path.parent)


@contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """Make a file for another program to write to, which is removed at the end of the context.

    If this process is killed, `sweep_temporaries` removes the file.

    Raises:
        VanishedError: the file vanished, and the program failed; see `again_if_vanished`.
        OSError: the file cannot be made.
    """
    with _temporary(folder) as (path, _):
        yield path


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Make a locked file, which is removed at the end of the context unless it was renamed."""
    path = folder / f".{_host()}-{secrets.token_hex(8)}{TEMPORARY}"
    folder.mkdir(parents=True, exist_ok=True)
    with _create(path) as file:
        try:
            yield path, file
        except Exception as error:
            is_gone = not path.exists() or getattr(error, "errno", None) == errno.ESTALE
            if is_gone and folder.is_dir():
                raise VanishedError(errno.ENOENT, "its temporary file was removed by another", str(path)) from error
            raise
        finally:
            with suppress(OSError):
                path.unlink()


def again_if_vanished(write: Callable[[], Made]) -> Made:
    """Call a function that writes, and once more if its temporary file vanished."""
    try:
        return write()
    except VanishedError:
        return write()


def write_if_changed(path: Path, data: bytes, *, sync: bool = True) -> bool:
    """Write a file unless it holds these bytes already; returns whether it was written.

    Raises:
        StoreError: the file cannot be written.
    """
    if holds(path, data):
        return False
    write_atomically(path, data, sync=sync)  # which says what is wrong, if it cannot be read
    return True


def holds(path: Path, data: bytes) -> bool:
    """Whether a file can be read and has these bytes."""
    try:
        return read_file(path, len(data)) == data
    except OSError:
        return False


def walk(folder: Path, *, through_links: bool = True, skip_unreadable: bool = False) -> list[Path]:
    """List everything under a folder, sorted; nothing if it is not there.

    Each folder is listed once, so links in a circle do no harm. A folder that is reached by its own path and by a link
    is listed by its own path.

    Args:
        folder: where to begin.
        through_links: also list the folders that links lead to.
        skip_unreadable: skip a folder that cannot be read.

    Raises:
        StoreError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        if not skip_unreadable and not isinstance(error, FileNotFoundError):  # that was removed in this moment
            why = f"cannot be read: {error.strerror}; allow this user to read it"
            raise StoreError(f"{error.filename}: {why}") from None

    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    starts = [folder]
    for start in starts:
        for here, folders, files in os.walk(start, onerror=refuse):
            parent = Path(here)
            try:
                identity = _identity(parent)
            except OSError:
                continue  # removed in this moment
            if identity in seen:
                folders.clear()
                continue
            seen.add(identity)
            found += (parent / name for name in (*folders, *files))
            if through_links:
                starts += sorted(parent / name for name in folders if (parent / name).is_symlink())
    return sorted(found)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the file system can sync a folder; some network file systems cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep_temporaries(folder: Path, *, through_links: bool = False) -> int:
    """Remove the temporary files that killed runs left under a folder, and none that is being written.

    A writer holds a lock on its file as long as it lives. On some shared file systems other machines do not see that
    lock, so a file of another host must also be a day old.

    Args:
        folder: where to begin.
        through_links: also sweep the folders that links lead to.

    Returns:
        How many files were removed.
    """
    return sum(map(_remove_if_abandoned, walk(folder, through_links=through_links, skip_unreadable=True)))


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes of this program; waits for one that has locked it, and tells the user.

    Without effect where the file system has no locks.

    Raises:
        StoreError: the folder cannot be made, or was removed or replaced in the meantime.
    """
    identity = make_folder(folder)
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        if _lock(handle, wait=False) is False:
            log.notice(f"another run is writing {folder}; waiting for it to end")
            _lock(handle, wait=True)
        yield
        check_same_folder(folder, identity)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> tuple[int, int]:
    """Make a folder if it is not there; returns its identity, for `check_same_folder`.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _identity(folder)
    except OSError as error:
        raise _unusable(folder, error) from None


def _unusable(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"{folder}: cannot be used as a folder: {error.strerror}; choose another")


def check_same_folder(folder: Path, identity: tuple[int, int]) -> None:
    """Check that a folder is still the one that `make_folder` returned the identity of.

    Raises:
        StoreError: it was removed or replaced, or its disk unmounted.
    """
    with suppress(OSError):
        if _identity(folder) == identity:
            return
    raise StoreError(
        f"{folder}: vanished while it was in use, and what was in it with it: removed, or its disk unmounted; "
        "bring it back if you can, and run the same command again"
    )


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


@cache
def _host() -> str:
    """8 hexadecimal digits that differ between hosts, and change when a host is restarted."""
    try:
        boot = _BOOT.read_text(encoding="ascii")
    except OSError:  # a system that has no such number
        boot = ""
    return hashlib.sha256(f"{platform.node()} {boot}".encode(errors="replace")).hexdigest()[:8]


def _create(temporary: Path) -> IO[bytes]:
    """Make a locked file. A sweep may remove it before it is locked; then it is made once more."""
    while True:
        file = open(temporary, "xb")  # noqa: SIM115 (the caller closes it)
        _lock(file.fileno(), wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _remove_if_abandoned(path: Path) -> bool:
    name = _TEMPORARY_NAME.fullmatch(path.name)
    if not name:
        return False
    with suppress(OSError), open(path, "r+b") as file:  # it may be gone by now, or belong to another user
        is_free = _lock(file.fileno(), wait=False)
        is_old = time.time() - os.fstat(file.fileno()).st_mtime > _ABANDONED
        if (is_free and name[1] == _host()) or (is_free is not False and is_old):
            path.unlink()
            return True
    return False


def _lock(handle: int, *, wait: bool) -> bool | None:
    """Lock an open file until it is closed. Returns whether that was possible; None: there are no locks here."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
