"""The one way in which files are written: bytes → a file that is either whole or not there."""

import os
import secrets
from pathlib import Path

from atlas.errors import StoreError

TEMPORARY = ".tmp"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, sync it, and rename it into place; folders are made as needed.

    Raises:
        StoreError: the file cannot be written; the path is as it was before.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        why = error.strerror or error
        raise StoreError(f"{path}: cannot be written ({len(data):,} bytes): {why}; mend that and run again") from None


def write_if_changed(path: Path, data: bytes) -> bool:
    """Write a file unless it already holds these bytes; returns whether it was written.

    Raises:
        StoreError: the file cannot be written.
    """
    try:
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return False
    except OSError:
        pass  # not there, or not readable: writing says what is wrong
    write_atomically(path, data)
    return True


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; only POSIX can sync a folder."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
