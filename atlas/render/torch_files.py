"""A file of a stranger → what `torch.save` put there; nothing in it is run, and nothing unpacked."""

import mmap
import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import IO

import torch

from atlas.common.errors import WeightsError, shorten

_ARCHIVE = b"PK\x03\x04"  # by which torch tells an archive from a bare pickle
_REFUSED = re.compile(r"GLOBAL ([\w.]+)|<class '([\w.]+)'>", re.ASCII)  # as torch names what it would not call
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")


def read_torch_file(file: Path, most: int) -> object:
    """What a file of `torch.save` holds: of tensors and plain containers, since other things could run code.

    Args:
        file: a plain file.
        most: bytes that its parts may have together.

    Raises:
        WeightsError: damaged, of another kind, too large, or with something in it that would be run.
    """
    _check_archive(file, most)
    _check_calls(file)
    try:
        with open(file, "rb") as handle:  # by its name torch would judge it by its ending
            return torch.load(handle, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own words advise to trust the file
        refused = _REFUSED.search(str(error))
        raise _not_plain(file, refused and (refused[1] or refused[2])) from None
    except Exception:  # a damaged pickle can raise anything
        raise _not_whole(file) from None


def _check_archive(file: Path, most: int) -> None:
    """Refuse an archive that takes more memory than it seems to; torch never packs what it saves.

    Raises:
        WeightsError: damaged, too large, or packed.
    """
    try:
        with open(file, "rb") as handle:
            if handle.read(len(_ARCHIVE)) != _ARCHIVE:
                return
            with zipfile.ZipFile(handle) as archive:
                parts, start = archive.infolist(), archive.start_dir
            if start != _directory_start(handle):
                raise _not_whole(file)
    except OSError as error:
        raise WeightsError(f"weights {file}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):  # what is said of files that are none
        raise _not_whole(file) from None
    _refuse_programs(file, {part.filename for part in parts})
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise WeightsError(f"weights {file}: packed like a zip file, which torch.save never does; save it again")
    if (size := sum(part.file_size for part in parts)) > most:
        raise WeightsError(f"weights {file}: its parts have {size:,} bytes, and at most {most:,} are read")


def _refuse_programs(file: Path, names: set[str]) -> None:
    """Refuse archives that torch or somebody else wrote, but not torch.save; all parts of its are in one folder.

    Raises:
        WeightsError: a TorchScript program, a torch.export program, or another zip file.
    """
    inner = {name.partition("/")[2] or name for name in names}
    advice = "load it, and save model.state_dict() with torch.save"
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise WeightsError(f"weights {file}: a TorchScript program, not a state dict; {advice}")
    if inner & {"archive_format", "serialized_exported_program.json"} or "models/model.json" in inner:
        raise WeightsError(f"weights {file}: a program of torch.export (.pt2), not a state dict; {advice}")
    if "data.pkl" not in inner:
        raise WeightsError(f"weights {file}: a zip file that torch.save did not write; unpack it, or save again")


def _check_calls(file: Path) -> None:
    """Refuse what fills memory out of nothing: torch lets a pickle call bytearray, with any number of bytes.

    Raises:
        WeightsError: it names bytearray, which no state dict of tensors does; or it is empty.
    """
    try:
        with open(file, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data.find(b"bytearray") >= 0:  # names stand in a pickle as they are, and no archive here is packed
                raise _not_plain(file, "bytearray")
    except OSError as error:
        raise WeightsError(f"weights {file}: cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise _not_whole(file) from None


def _directory_start(handle: IO[bytes]) -> int:
    """Where an archive says that the list of its parts begins; torch believes that, while Python searches.

    A file in which they find different lists could show one to the check above and the other to torch.
    """
    end_at = handle.seek(-_END.size, 2)
    end, *_, start, comment = _END.unpack(handle.read())
    if end != b"PK\x05\x06" or comment:
        raise ValueError("no end")
    handle.seek(end_at - _LOCATOR.size)
    mark, _, end64_at, _ = _LOCATOR.unpack(handle.read(_LOCATOR.size))
    if mark != b"PK\x06\x07":
        return int(start)
    if end64_at != end_at - _LOCATOR.size - _END64.size:
        raise ValueError("two ends")
    handle.seek(end64_at)
    return int(_END64.unpack(handle.read(_END64.size))[-1])


def _not_plain(file: Path, refused: str | None) -> WeightsError:
    named = f" (it holds {shorten(refused)})" if refused else ""
    return WeightsError(
        f"weights {file}: not a plain state dict of tensors as torch.save writes it{named}, and anything else "
        "could run code when it is read; save model.state_dict() instead"
    )


def _not_whole(file: Path) -> WeightsError:
    return WeightsError(f"weights {file}: not a whole torch file: cut off, damaged, or of another kind; save it again")
