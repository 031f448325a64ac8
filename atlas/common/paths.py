"""Paths at which anything may lie: what does, and a file's bytes; nothing is waited for, nothing too large is read."""

import errno
import os
import stat
from pathlib import Path
from typing import IO


class PathError(Exception):
    """Why nothing can be read at a person's path, in words that follow it; who asked knows which exit code that has."""


def is_there(path: Path) -> bool:
    """Whether something lies at a path; also true where nobody may look: reading it then says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a path with a NUL is a ValueError
        return False
    except OSError:  # a name that is too long, a folder that may not be entered, links in a circle
        return True
    return True


def is_folder(path: Path) -> bool:
    """Whether a folder lies at a path, as far as anybody may see."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def check_file(path: Path, most: int) -> None:
    """Refuse what is no plain file, or is too large, without opening it: opening a pipe would wait for its writer.

    Args:
        path: of the file; links are followed.
        most: bytes that it may have.

    Raises:
        PathError: no such file, no plain file, too large, or nobody may look.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise _error(error, "no such file") from None
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise PathError(f"is no file, but {kind}")
    if found.st_size > most:
        raise PathError(f"has {found.st_size:,} bytes, and at most {most:,} are read")


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a plain file.

    Args:
        path: of the file; links are followed.
        most: bytes that it may have.

    Raises:
        PathError: as `check_file`, or not readable.
    """
    check_file(path, most)
    try:
        return read_whole(path, most)
    except OSError as error:
        raise _error(error, "no such file") from None


def open_regular(path: Path, most: int) -> IO[bytes]:
    """Open a file for reading, without waiting for what is none: whatever stands there, a pipe or a device included.

    Args:
        path: the file, or a link to it.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be opened, is no file, or is larger.
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 (the caller closes it)
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        return file
    file.close()
    why = f"larger than {most:,} bytes" if stat.S_ISREG(found.st_mode) else "no regular file"
    raise _unfit(path, why)


def read_whole(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Args:
        path: the file, or a link to it.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be read, is no file, or is larger.
    """
    with open_regular(path, most) as file:
        data = file.read(most + 1)  # some of the system's files say that they have 0 bytes
    if len(data) > most:
        raise _unfit(path, f"larger than {most:,} bytes")
    return data


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would be waited for until somebody writes


def _unfit(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, why, str(path))


def check_folder(path: Path) -> None:
    """Refuse what is no folder, or cannot be listed.

    Raises:
        PathError: no such folder, no folder, or not readable.
    """
    try:
        with os.scandir(path):
            pass
    except NotADirectoryError:
        raise PathError("is no folder") from None
    except OSError as error:
        raise _error(error, "no such folder") from None


def _error(error: OSError, missing: str) -> PathError:
    is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return PathError(missing if is_missing else f"cannot be read: {error.strerror or error}")
