"""Paths that a person gives: what lies there, and a file's bytes; nothing is waited for, nothing too large is read."""

import os
import stat
from pathlib import Path


class PathError(Exception):
    """Why nothing can be read at a path, in words that follow the path; who asked knows which exit code that has."""


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
        with open(path, "rb") as handle:
            data = handle.read(most + 1)  # some of the system's files say that they have 0 bytes
    except OSError as error:
        raise _error(error, "no such file") from None
    if len(data) > most:
        raise PathError(f"has more than {most:,} bytes, the most that are read")
    return data


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
