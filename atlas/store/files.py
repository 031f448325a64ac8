"""The one way in which files are written: bytes → a file that is either whole or not there."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

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
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        why = error.strerror or error
        raise StoreError(f"{path}: cannot be written ({len(data):,} bytes): {why}; mend that and run again") from None


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
