"""Files, one way for each: written whole or not at all, found, swept; and locks on folders."""

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
MOST_JSON = 2**20  # bytes of a note or a record in a store; a few thousand is what they have
_TEMPORARY_NAME = re.compile(r"\.(?:([0-9a-f]{8})-)?[0-9a-f]{16}\.tmp")  # the host is missing in those of 0.1.0
_ABANDONED = 24 * 3600  # seconds after which nobody writes a file any more, where no lock can tell
_BOOT = Path("/proc/sys/kernel/random/boot_id")

Made = TypeVar("Made")


class VanishedError(OSError):
    """A temporary file is gone while it is written: another machine, which does not see the lock, removed it."""


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file under a temporary name and rename it into place; folders are made as needed.

    Args:
        path: where.
        data: the whole content.
        sync: wait until it would survive a power cut; what can be made again at once need not.

    Raises:
        StoreError: the file cannot be written; the path is as it was before.
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
    """Open a file for writing, piece by piece, that gets its name when all is written; folders are made as needed.

    Raises:
        VanishedError: the temporary file is gone; see `again_if_vanished`.
        OSError: the file cannot be written; the path is as it was before, as it is after any other exception.
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
    """A new file for another program to write to, for as long as the context lasts; a folder is made as needed.

    If this process is killed, `sweep_temporaries` removes it.

    Raises:
        VanishedError: it is gone, and something failed; see `again_if_vanished`.
        OSError: it cannot be made.
    """
    with _temporary(folder) as (path, _):
        yield path


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file, locked, which is removed in the end unless it has got another name."""
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
    """Write something, and once more if its temporary file was removed by a machine that does not see the lock."""
    try:
        return write()
    except VanishedError:
        return write()


def write_if_changed(path: Path, data: bytes, *, sync: bool = True) -> bool:
    """Write a file unless it already holds these bytes; returns whether it was written.

    Raises:
        StoreError: the file cannot be written.
    """
    if holds(path, data):
        return False
    write_atomically(path, data, sync=sync)  # which says what is wrong, if it cannot be read
    return True


def holds(path: Path, data: bytes) -> bool:
    """Whether a file is there and has these bytes; a file that cannot be read has not."""
    try:
        return read_file(path, len(data)) == data
    except OSError:
        return False


def walk(folder: Path, *, through_links: bool = True, skip_unreadable: bool = False) -> list[Path]:
    """Everything under a folder, sorted: files, folders, and what is neither; nothing if it is not there.

    Each folder is looked into once, so that links in a circle end; and by its own name where it has one under the
    folder, so that what lies in it is where it belongs.

    Args:
        folder: where to begin.
        through_links: look into folders to which links lead, too.
        skip_unreadable: pass over a folder that cannot be read.

    Raises:
        StoreError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        if not skip_unreadable and not isinstance(error, FileNotFoundError):  # that was removed in this moment
            why = f"cannot be read: {error.strerror}; allow this user to read it"
            raise StoreError(f"{error.filename}: {why}") from None

    found, seen, starts = list[Path](), set[tuple[int, int]](), [folder]
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
    """Make a rename durable where the file system can; some of those on a network cannot sync a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep_temporaries(folder: Path, *, through_links: bool = False) -> int:
    """Remove what killed writers left behind in a folder and those inside it, and nothing that is being written.

    A writer holds a lock on its file for as long as it lives, whatever ends it. A lock tells only of this host: some
    file systems that several machines share keep a lock to one of them. A file of another host must be a day old, too.

    Args:
        folder: where to begin.
        through_links: sweep folders to which links lead, too.

    Returns:
        How many files were removed; one that cannot be is left.
    """
    return sum(map(_remove_if_abandoned, walk(folder, through_links=through_links, skip_unreadable=True)))


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes of this program out of a folder, waiting for one that is in it, and saying so.

    Where the file system has no locks, nobody is kept out.

    Raises:
        StoreError: the folder cannot be made, or another stands in its place in the end.
    """
    identity = make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        if _lock(handle, wait=False) is False:
            log.notice(f"another run is writing {folder}; waiting for it to end")
            _lock(handle, wait=True)
        yield
        check_same_folder(folder, identity)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> tuple[int, int]:
    """Make a folder if it is not there; returns what tells it from one that takes its place later.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _identity(folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be used as a folder: {error.strerror}; choose another") from None


def check_same_folder(folder: Path, identity: tuple[int, int]) -> None:
    """Check that a folder is the one that `make_folder` found: not removed, and its disk still mounted.

    Raises:
        StoreError: it is not.
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
    """What tells this host, since it was started, from others: 8 hexadecimal digits."""
    try:
        name = _BOOT.read_text(encoding="ascii")
    except OSError:  # a system that has no such number
        name = platform.node()
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()[:8]


def _create(temporary: Path) -> IO[bytes]:
    """A new file, locked. Whoever sweeps may remove it in the moment before the lock; then it is made once more."""
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
    with suppress(OSError), open(path, "r+b") as file:  # it may be gone by now, or not ours to remove
        is_free = _lock(file.fileno(), wait=False)
        is_old = time.time() - os.fstat(file.fileno()).st_mtime > _ABANDONED
        if (is_free and name[1] == _host()) or (is_free is not False and is_old):
            path.unlink()
            return True
    return False


def _lock(handle: int, *, wait: bool) -> bool | None:
    """Lock an open file until it is closed; whether that was possible, and None where there are no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
