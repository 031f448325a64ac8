"""A built site → one archive that works from disk: the same site gives the same bytes."""

import os
import time
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from atlas.common.errors import ConfigError, StoreError
from atlas.site.output import MANIFEST, read_sizes
from atlas.store.files import again_if_vanished, open_atomically
from atlas.store.media import MEDIA

EARLIEST = (1980, 1, 1, 0, 0, 0)  # that an archive can name
LATEST = 4354819199  # seconds since 1970, the end of 2107: likewise


def write_archive(site: Path) -> Path:
    """Pack a built site into an archive beside its folder; inside, all is in one folder of the site's name.

    The files are those of the site's manifest, sorted, and all of one time: SOURCE_DATE_EPOCH's, or 1980. Pictures and
    videos are stored, since they cannot be made smaller.

    Returns:
        The archive's path.

    Raises:
        ConfigError: SOURCE_DATE_EPOCH is no number of seconds.
        StoreError: there is no site, one of its files is missing, or the archive cannot be written; or something else
            than an archive of a site has its name.
    """
    folder, when = site.resolve(), _date()
    path = folder.with_name(f"{folder.name}.zip")
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise StoreError(f"{path}: this name is no UTF-8, so no archive can hold it; choose another --out") from None
    if os.path.lexists(path) and not _is_archive(path):
        raise StoreError(
            f"{path}: is there already and is no archive of a site, so it is left as it is; "
            "move it away, or choose another --out"
        )
    names = sorted([*read_sizes(site), MANIFEST])

    def write() -> None:
        with open_atomically(path) as file, ZipFile(file, "w") as archive:
            for name in names:
                entry = ZipInfo(f"{path.stem}/{name}", when)
                entry.create_system = 3  # a Unix, wherever it is made
                entry.external_attr = 0o100644 << 16
                entry.compress_type = ZIP_STORED if name.endswith(MEDIA) else ZIP_DEFLATED
                archive.writestr(entry, (site / name).read_bytes())

    try:
        again_if_vanished(write)
    except OSError as error:
        raise StoreError(f"{path}: the archive cannot be made: {error}; mend that and run again") from None
    return path


def _is_archive(path: Path) -> bool:
    """Whether a file is what `write_archive` writes of a site of that name."""
    try:
        if not path.is_file():
            return False
        with ZipFile(path) as archive:
            return f"{path.stem}/{MANIFEST}" in archive.namelist()
    except (OSError, BadZipFile, ValueError, NotImplementedError):  # what ZipFile says of files that are none
        return False


def _date() -> tuple[int, int, int, int, int, int]:
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return EARLIEST
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= LATEST):
        raise ConfigError(f'SOURCE_DATE_EPOCH "{text}": allowed: seconds since 1970, up to {LATEST}')
    year, month, day, hour, minute, second, *_ = time.gmtime(int(text))
    return max(EARLIEST, (year, month, day, hour, minute, second))
