"""A file of weights → the state dict in it: nothing in the file is run or unpacked, and training tools may wrap it."""

import mmap
import pickle
import re
import struct
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import safetensors
import safetensors.torch
import torch

from atlas.common.errors import WeightsError, shorten
from atlas.common.paths import PathError, read_file

_ARCHIVE = b"PK\x03\x04"  # by which torch tells an archive from a bare pickle
_REFUSED = re.compile(r"GLOBAL ([\w.]+)|<class '([\w.]+)'>", re.ASCII)  # as torch names what it would not call
_END, _END64, _LOCATOR = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_LONGEST_HEADER = 10**8  # bytes of a file of safetensors, as it allows
_DEEPEST = 3  # dicts around a state dict, at most


@dataclass(frozen=True)
class StateDict:
    """Tensors by names, and where in a file they were."""

    tensors: Mapping[str, Any]  # without the prefix
    keys: tuple[str, ...] = ()  # of the dicts around them, the outermost first
    prefix: str = ""  # of their names, such as "module."

    @property
    def note(self) -> str:
        """What was done to find them, in words; "" if nothing was."""
        parts = [f"prefix {_plain(self.prefix)} removed"] if self.prefix else []
        parts += [f"from key {_plain('.'.join(self.keys))}"] if self.keys else []
        return "; ".join(parts)

    @property
    def place(self) -> str:
        """Where they are, in words."""
        parts = [f"key {_plain('.'.join(self.keys))}"] if self.keys else []
        parts += [f"prefix {_plain(self.prefix)}"] if self.prefix else []
        return ", ".join(parts)


def read_state_dict(file: Path, names: Collection[str], most: int) -> StateDict:
    """Read the state dict of a file that torch.save or safetensors wrote, whatever its ending.

    Args:
        file: a plain file.
        names: of the tensors that are needed.
        most: bytes that are read, and that the parts of an archive may have together.

    Raises:
        WeightsError: damaged, of another kind, too large, without a dict, or with several complete state dicts.
    """
    where = f"weights {file}"
    try:
        with open(file, "rb") as handle:
            head = handle.read(9)
    except OSError as error:
        raise _unreadable(file, error) from None
    # a file of safetensors begins with 8 bytes of a length, and an object in JSON
    is_safetensors = head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] <= _LONGEST_HEADER
    saved = _read_safetensors(file, most) if is_safetensors else read_torch_file(file, most)
    if not isinstance(saved, Mapping):
        raise WeightsError(f"{where}: holds a {type(saved).__name__}, not a state dict; save model.state_dict()")
    return find_state_dict(saved, names, where)


def _read_safetensors(file: Path, most: int) -> dict[str, torch.Tensor]:
    try:  # of bytes, since safetensors opens no file whose name is no text
        return safetensors.torch.load(read_file(file, most))
    except PathError as error:
        raise WeightsError(f"weights {file}: {error}") from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"weights {file}: not a whole safetensors file: {error}") from None


def find_state_dict(saved: Mapping[Any, Any], names: Collection[str], where: str) -> StateDict:
    """Find the state dict that has all of these names, under one prefix of one dict; what has none keeps its form.

    A file that is itself a state dict with these names is taken as it is, whatever else it holds.

    Args:
        saved: what was read: a dict, perhaps with dicts inside.
        names: of the tensors that are needed.
        where: what to begin a message with.

    Returns:
        The one that is complete; else the one that has most of the names; else the whole, for whoever says what lacks.

    Raises:
        WeightsError: several are complete.
    """
    found = sorted(_candidates(saved, names), key=lambda one: sum(name in one.tensors for name in names), reverse=True)
    complete = [one for one in found if all(name in one.tensors for name in names)]
    if plain := [one for one in complete if not one.place]:
        return plain[0]
    if len(complete) > 1:
        places = "; ".join(one.place for one in complete[:5])
        raise WeightsError(
            f"{where}: holds InceptionV3 {len(complete)} times: {places}. Save the one that you mean alone, "
            "as a state dict, with torch.save, and name that file"
        )
    return found[0] if found else StateDict(saved)


def _candidates(saved: Mapping[Any, Any], names: Collection[str]) -> Iterator[StateDict]:
    """Each prefix of each dict after which one of the names stands."""
    first = next(iter(names))
    for keys, held in _dicts(saved):
        words = [name for name in held if isinstance(name, str)]
        prefixes = {word.removesuffix(first) for word in words if word.endswith(first)}
        for prefix in sorted(prefix for prefix in prefixes if not prefix or prefix.endswith(".")):
            tensors = {word[len(prefix) :]: held[word] for word in words if word.startswith(prefix)}
            yield StateDict(tensors, keys, prefix)


def _dicts(saved: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """A dict and those inside it, each once, with the keys that lead there; a hostile file may hold itself."""
    seen: set[int] = set()
    level: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [((), saved)]
    for _ in range(_DEEPEST + 1):
        inner: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = []
        for keys, held in level:
            if id(held) not in seen:
                seen.add(id(held))
                yield keys, held
                inner += [((*keys, str(key)), value) for key, value in held.items() if isinstance(value, Mapping)]
        level = inner


def _plain(text: str) -> str:
    """A text of a file as a note can hold it."""
    return shorten(ascii(text)[1:-1])


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
        raise _unreadable(file, error) from None
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
        raise _unreadable(file, error) from None
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


def _unreadable(file: Path, error: OSError) -> WeightsError:
    return WeightsError(f"weights {file}: cannot be read: {error.strerror or error}")
