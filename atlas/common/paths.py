"""Reading what lies at a path, without waiting for a pipe, and without reading more than a bound."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class PathError(OSError):
    """Why nothing can be read at a path, in words that follow it. Its caller knows which exit code that has."""

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def _in_words(missing: str) -> Iterator[None]:
    """Raise what the system says as a `PathError`."""
    try:
        yield
    except PathError:
        raise
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise PathError(error.errno, missing if is_missing else f"cannot be read: {error.strerror or error}") from None


def is_there(path: Path) -> bool:
    """Whether something lies at a path; also true where that cannot be known, since reading it then says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a path with a NUL is a ValueError
        return False
    except OSError:  # a name that is too long, a folder that may not be entered, links in a circle
        return True
    return True


def is_folder(path: Path) -> bool:
    """Whether a folder lies at a path; false where that cannot be known."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


@_in_words("no such file")
def check_file(path: Path, most: int) -> None:
    """Refuse what is no regular file, or is too large, without opening it.

    Args:
        path: of the file; links are followed.
        most: bytes that it may have.

    Raises:
        PathError: no such file, no regular file, too large, or not to be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise PathError(errno.EINVAL, f"is no file, but {kind}")
    if found.st_size > most:
        raise PathError(errno.EFBIG, f"has {found.st_size:,} bytes, and at most {most:,} are read")


@_in_words("no such file")
def open_file(path: Path, most: int) -> IO[bytes]:
    """Open a regular file for reading; arguments and errors as `check_file`, or it may not be read."""
    check_file(path, most)
    return open(path, "rb")


@_in_words("no such file")
def read_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file; arguments and errors as `check_file`, or it cannot be read."""
    with open_file(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:  # some of the system's files say that they have 0 bytes
        raise PathError(errno.EFBIG, f"cannot be read: larger than {most:,} bytes")
    return data


@_in_words("no such folder")
def check_folder(path: Path) -> None:
    """Refuse what is no folder, or cannot be listed.

    Raises:
        PathError: no such folder, no folder, or not readable.
    """
    if not stat.S_ISDIR(path.stat().st_mode):
        raise PathError(errno.ENOTDIR, "is no folder")
    with os.scandir(path):
        pass
