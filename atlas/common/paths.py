"""Reading files by their paths: pipes are not waited for, and no more than a bound is read."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path


class PathError(OSError):
    """Says why nothing can be read at a path, in words that follow the path. The caller knows the exit code."""

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def _in_words(missing: str) -> Iterator[None]:
    """Raise each `OSError` as a `PathError`; `missing` says that nothing is there."""
    try:
        yield
    except PathError:
        raise
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise PathError(error.errno, missing if is_missing else f"cannot be read: {error.strerror or error}") from None


def is_there(path: Path) -> bool:
    """Whether something is at a path. True also where that cannot be known: reading it will say why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a path with a NUL is a ValueError
        return False
    except OSError:  # a name that is too long, a folder that may not be entered, links in a circle
        return True
    return True


def is_folder(path: Path) -> bool:
    """Whether a folder is at a path. False where that cannot be known."""
    return os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises where a folder may not be entered


@_in_words("no such file")
def check_file(path: Path, most: int) -> None:
    """Check that a path is a regular file of limited size, without opening it: opening a pipe would wait for a writer.

    Args:
        path: of the file; links are followed.
        most: bytes that it may have.

    Raises:
        PathError: no such file, no regular file, too large, or in a folder that may not be entered.
    """
    _check(path.stat(), most)


def _check(found: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise PathError(errno.EINVAL, f"is no file, but {kind}")
    if found.st_size > most:
        raise PathError(errno.EFBIG, f"has {found.st_size:,} bytes, and at most {most:,} are read")


@_in_words("no such file")
def open_file(path: Path, most: int) -> BufferedReader:
    """Open a regular file for reading. Arguments and errors: see `check_file`."""
    check_file(path, most)
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 (the caller closes it)
    try:
        _check(os.fstat(file.fileno()), most)  # another file may have taken its place
    except PathError:
        file.close()
        raise
    return file


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would be waited for until another program writes


@_in_words("no such file")
def read_file(path: Path, most: int) -> bytes:
    """Read a whole regular file. Arguments and errors: see `check_file`."""
    with open_file(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:  # files under /proc say that they have 0 bytes
        raise PathError(errno.EFBIG, f"cannot be read: larger than {most:,} bytes")
    return data


@_in_words("no such file")
def file_sha256(path: Path, most: int) -> str:
    """The SHA-256 of a regular file. Arguments and errors: see `check_file`."""
    with open_file(path, most) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@_in_words("no such folder")
def check_folder(path: Path) -> None:
    """Check that a path is a folder that can be listed.

    Raises:
        PathError: no such folder, no folder, or not readable.
    """
    if not stat.S_ISDIR(path.stat().st_mode):
        raise PathError(errno.ENOTDIR, "is no folder")
    with os.scandir(path):
        pass
