"""A file of weights → the state dict in it: nothing in the file is run or unpacked, and training tools may wrap it."""

import io
import pickle
import re
import struct
import zipfile
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from atlas.common.errors import WeightsError, shorten
from atlas.common.paths import PathError, open_file

_ARCHIVE = b"PK\x03\x04"  # by which torch tells an archive from a bare pickle
_REFUSED = re.compile(r"GLOBAL ([\w.]+)|<class '([\w.]+)'>", re.ASCII)  # as torch names what it would not call
_LONGEST_HEADER = 10**8  # bytes of a file of safetensors, as it allows
_DEEPEST = 3  # dicts around a state dict, at most


@dataclass(frozen=True)
class StateDict:
    """Tensors by names, and where in a file they were."""

    tensors: Mapping[str, Any]  # without the prefix
    key: str = ""  # those of the dicts around them, the outermost first, joined by points
    prefix: str = ""  # of their names, such as "module."

    @property
    def note(self) -> str:
        """What was done to find them, in words; "" if nothing was."""
        parts = self.prefix and f"prefix {self.prefix} removed", self.key and f"from key {self.key}"
        return "; ".join(filter(None, parts))

    @property
    def place(self) -> str:
        """Where they are, in words."""
        return ", ".join(filter(None, (self.key and f"key {self.key}", self.prefix and f"prefix {self.prefix}")))


def read_state_dict(file: Path, names: Collection[str], most: int) -> StateDict:
    """Read the state dict of a file that torch.save or safetensors wrote, whatever its ending.

    Args:
        file: path.
        names: of the tensors that are needed.
        most: as of `read_weight_file`.

    Raises:
        WeightsError: as `read_weight_file`; without a dict, or with several complete state dicts.
    """
    saved = read_weight_file(file, most)
    if not isinstance(saved, Mapping):
        raise WeightsError(f"weights {file}: holds a {type(saved).__name__}, not a state dict; save model.state_dict()")
    return find_state_dict(saved, names, f"weights {file}")


def read_weight_file(file: Path, most: int) -> object:
    """Read a file of tensors and plain containers; what else a pickle holds could run code, and is refused.

    Args:
        file: path of a file that torch.save or safetensors wrote.
        most: bytes that it may have, and the parts of an archive together.

    Raises:
        WeightsError: not readable, damaged, of another kind, too large, or with something in it that would be run.
    """
    where = f"weights {file}"
    try:
        with open_file(file, most) as opened:
            head = opened.read(9)
            opened.seek(0)
            # a file of safetensors begins with 8 bytes of a length, and an object in JSON
            is_safetensors = head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] <= _LONGEST_HEADER
            if not is_safetensors:
                return _load_torch(opened, where, most)
            return safetensors.torch.load(opened.read(most))
    except PathError as error:
        raise WeightsError(f"{where}: {error}") from None
    except (safetensors.SafetensorError, ValueError) as error:
        raise WeightsError(f"{where}: not a whole safetensors file: {error}") from None


def find_state_dict(saved: Mapping[Any, Any], names: Collection[str], where: str) -> StateDict:
    """Find the state dict that has all of these names, under one prefix of one dict; what has none keeps its form.

    A file that is itself a state dict with these names is taken as it is, whatever else it holds.

    Args:
        saved: what was read: a dict, perhaps with dicts inside.
        names: of the tensors that are needed.
        where: what to begin a message with.

    Returns:
        The one that is complete; else the one that has most of the names; else the dict with most tensors, for whoever
        says what lacks.

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
    if found:
        return found[0]

    def count(held: Mapping[Any, Any]) -> int:
        return sum(isinstance(value, torch.Tensor) for value in held.values())

    return StateDict(max((held for _, held in _dicts(saved)), key=count))  # of another network, which its names tell


def _candidates(saved: Mapping[Any, Any], names: Collection[str]) -> Iterator[StateDict]:
    """Each prefix of each dict after which one of the names stands."""
    first = next(iter(names))
    for keys, held in _dicts(saved):
        words = [name for name in held if isinstance(name, str)]
        prefixes = {word.removesuffix(first) for word in words if word.endswith(first)}
        for prefix in sorted(prefix for prefix in prefixes if not prefix or prefix.endswith(".")):
            tensors = {word[len(prefix) :]: held[word] for word in words if word.startswith(prefix)}
            yield StateDict(tensors, _plain(".".join(keys)), _plain(prefix))


def _dicts(saved: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """A dict and those inside it, the outer ones first, each once and with the keys that lead there.

    A hostile file may hold itself.
    """
    seen: set[int] = set()
    waiting: deque[tuple[tuple[str, ...], Mapping[Any, Any]]] = deque([((), saved)])
    while waiting:
        keys, held = waiting.popleft()
        if id(held) not in seen and len(keys) <= _DEEPEST:
            seen.add(id(held))
            yield keys, held
            waiting += (((*keys, str(key)), value) for key, value in held.items() if isinstance(value, Mapping))


def _plain(text: str) -> str:
    """A text of a file as a note can hold it."""
    return shorten(ascii(text)[1:-1])


def _load_torch(file: BufferedReader, where: str, most: int) -> object:
    try:
        is_archive = file.read(len(_ARCHIVE)) == _ARCHIVE
        file.seek(0)
        checked = _checked_archive(file, where, most) if is_archive else _checked_pickle(file, where, most)
        return torch.load(checked, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:  # torch's own words advise to trust the file
        refused = _REFUSED.search(str(error))
        raise _not_plain(where, refused and (refused[1] or refused[2])) from None
    except Exception:  # a damaged file can raise anything
        raise WeightsError(
            f"{where}: not a whole torch file: cut off, damaged, or of another kind; save it again"
        ) from None


def _checked_pickle(file: BufferedReader, where: str, most: int) -> io.BytesIO:
    data = file.read(most)
    _refuse_calls(data, where)
    return io.BytesIO(data)


def _checked_archive(file: BufferedReader, where: str, most: int) -> io.BytesIO:
    """Refuse an archive that torch.save did not write, or that takes more memory than it seems to.

    torch.save puts all parts into one folder, and packs none.

    Returns:
        A new archive of the parts that were checked; torch might find others in the file.

    Raises:
        WeightsError: a program, another zip file, packed, or too large.
        Exception: of many kinds, if it is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        names = {part.filename.partition("/")[2] or part.filename for part in parts}
        advice = "load it, and save model.state_dict() with torch.save"
        if "constants.pkl" in names or any(name.startswith("code/") for name in names):
            raise WeightsError(f"{where}: a TorchScript program, not a state dict; {advice}")
        if names & {"archive_format", "serialized_exported_program.json", "models/model.json"}:
            raise WeightsError(f"{where}: a program of torch.export (.pt2), not a state dict; {advice}")
        if "data.pkl" not in names:
            raise WeightsError(f"{where}: a zip file that torch.save did not write; unpack it, or save again")
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise WeightsError(f"{where}: packed like a zip file, which torch.save never does; save it again")
        if (size := sum(part.file_size for part in parts)) > most:
            raise WeightsError(f"{where}: its parts have {size:,} bytes, and at most {most:,} are read")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as checked:
            for part in parts:
                if not part.CRC:  # torch.save may be told to compute none
                    del part.CRC
                data = archive.read(part)
                _refuse_calls(data, where)
                checked.writestr(part.filename, data)
    buffer.seek(0)
    return buffer


def _refuse_calls(data: bytes, where: str) -> None:
    """Refuse bytearray: torch lets a pickle call it, with any number of bytes. Names stand in a pickle as they are."""
    if b"bytearray" in data:
        raise _not_plain(where, "bytearray")


def _not_plain(where: str, refused: str | None) -> WeightsError:
    named = f" (it holds {shorten(refused)})" if refused else ""
    return WeightsError(
        f"{where}: not a plain state dict of tensors as torch.save writes it{named}, and anything else "
        "could run code when it is read; save model.state_dict() instead"
    )
