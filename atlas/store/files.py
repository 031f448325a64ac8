"""The one way in which files are written: bytes → a file that is either whole or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from atlas.errors import StoreError

TEMPORARY = ".tmp"


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file under a temporary name and rename it into place; folders are made as needed.

    Args:
        path: where.
        data: the whole content.
        sync: wait until it would survive a power cut; what can be made again at once need not.

    Raises:
        StoreError: the file cannot be written; the path is as it was before.
    """
    try:
        with open_atomically(path, sync=sync) as file:
            file.write(data)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"{path}: cannot be written ({len(data):,} bytes): {why}; mend that and run again") from None


@contextmanager
def open_atomically(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """Open a file for writing, piece by piece, that gets its name when all is written; folders are made as needed.

    Raises:
        OSError: the file cannot be written; the path is as it was before, as it is after any other exception.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise
    if sync:
        _sync_folder(path.parent)


def write_if_changed(path: Path, data: bytes, *, sync: bool = True) -> bool:
    """Write a file unless it already holds these bytes; returns whether it was written.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return False
    except OSError:
        pass  # not there, or not readable: writing says what is wrong
    write_atomically(path, data, sync=sync)
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename durable where the file system can; some of those on a network cannot sync a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
