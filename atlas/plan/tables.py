"""A TOML table read key by key: file → typed values, with errors that name file, key, value and what is allowed."""

import codecs
import math
import os
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from atlas.common.errors import ConfigError, did_you_mean, shorten
from atlas.common.paths import PathError, read_file

LONGEST_PATH, LONGEST_PART = 4095, 255  # bytes that file systems take
LARGEST_FILE = 2**20  # bytes; every feature of every layer named one by one takes a tenth


class Table:
    """One table of a TOML file. Read its keys, then call `done`, which refuses keys that nobody read."""

    def __init__(self, data: dict[str, Any], file: str, path: str = "") -> None:
        self._data = data
        self._file = file
        self._path = path
        self._known: dict[str, None] = {}  # in the order of reading

    @classmethod
    def load(cls, file: Path, name: str | None = None) -> "Table":
        """Read a TOML file.

        Args:
            file: the file.
            name: what to call it in messages; default: its path.

        Raises:
            ConfigError: the file cannot be read or is not TOML.
        """
        name = name or str(file)
        try:
            data = tomllib.loads(_decode(read_file(file, LARGEST_FILE), name))
            is_huge = _has_huge_number(data)
        except PathError as error:
            raise ConfigError(f"{name}: {error}; name a TOML file") from None
        except RecursionError:
            raise ConfigError(f"{name}: tables or lists inside each other, deeper than they can be read") from None
        except ValueError as error:  # a number of thousands of digits is a plain one
            raise ConfigError(f"{name}: not valid TOML: {error}") from None
        if is_huge:
            raise ConfigError(f"{name}: not valid TOML: a whole number has at most 64 bits")
        return cls(data, name)

    @property
    def name(self) -> str:
        """The file, for messages."""
        return self._file

    def has(self, key: str) -> bool:
        """Whether a key is given; asking makes it a known one."""
        self._known[key] = None
        return key in self._data

    def keys(self) -> Iterable[str]:
        """The keys given, in order; reading them by this marks them as known."""
        self._known.update(dict.fromkeys(self._data))
        return self._data.keys()

    def fail(self, key: str, why: str) -> NoReturn:
        """Refuse the value of a key."""
        raise ConfigError(f"{self._file}: {self._name(key)} = {_show(self._data.get(key))}: {why}")

    def raw(self, key: str, default: Any = None) -> Any:
        """A value of any type, or the default; None as a default means that the key is required."""
        self._known[key] = None
        if key in self._data:
            return self._data[key]
        if default is None:
            close = [f'"{given}"' for given in self._data if get_close_matches(given, [key], cutoff=0.5)]
            hint = f"; is {close[0]} meant?" if close else ""
            raise ConfigError(f"{self._file}: {self._name(key)} is missing{hint}")
        return default

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self.raw(key, default)
        if not isinstance(value, str):
            self.fail(key, "must be a string, in quotes")
        return value

    def texts(self, key: str, default: list[str] | None = None) -> list[str]:
        """A list of strings, which may be empty."""
        value = self.raw(key, default)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(key, "must be a list of strings, in quotes")
        return value

    def choice(self, key: str, choices: Iterable[str], default: str | None = None) -> str:
        """A string out of a few."""
        value = self.text(key, default)
        choices = list(choices)
        if value not in choices:
            self.fail(key, did_you_mean(value, choices))
        return value

    def integer(self, key: str, default: int | None = None, *, least: int, most: int) -> int:
        """A whole number, least ≤ value ≤ most."""
        value = self.raw(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.fail(key, f"must be a whole number from {least} to {most}")
        return value

    def boolean(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            self.fail(key, "must be true or false")
        return value

    def number(self, key: str, default: float | None = None, *, above: float = -math.inf) -> float:
        """A finite number greater than `above`."""
        value = self.raw(key, default)
        if not _is_number(value, above):
            self.fail(key, f"must be {_number_words(above)}")
        return float(value)

    def pair(self, key: str, *, above: float = -math.inf) -> tuple[float, float]:
        """A list of two finite numbers, each greater than `above`."""
        value = self.raw(key)
        if not (isinstance(value, list) and len(value) == 2 and all(_is_number(v, above) for v in value)):
            self.fail(key, f"must be two numbers [first, last], each {_number_words(above)}")
        return float(value[0]), float(value[1])

    def table(self, key: str) -> "Table":
        """A table inside; an empty one if it is not given."""
        value = self.raw(key, {})
        if not isinstance(value, dict):
            self.fail(key, f"must be a table, [{self._name(key)}]")
        return Table(value, self._file, self._name(key))

    def tables(self, key: str) -> list["Table"]:
        """A list of at least one table."""
        value = self.raw(key)
        if not (isinstance(value, list) and value and all(isinstance(item, dict) for item in value)):
            self.fail(key, "must be a list of at least one table { … }")
        return [Table(item, self._file, f"{self._name(key)}[{n}]") for n, item in enumerate(value)]

    def done(self) -> None:
        """Refuse the keys that nobody read."""
        for key in self._data:
            if key not in self._known:
                raise ConfigError(
                    f"{self._file}: {self._name(key)} = {_show(self._data[key])}: no such key; "
                    f"{did_you_mean(key, self._known)}"
                )

    def _name(self, key: str) -> str:
        return f"{self._path}.{shorten(key)}" if self._path else shorten(key)


def read_path(text: str, folder: Path) -> Path:
    """A path as a person writes it in a configuration: relative to a folder, and ~ is the home.

    Raises:
        ConfigError: no path, longer than file systems take, or in the home of a user who is not here.
    """
    if not text or "\0" in text:
        raise ConfigError(f"{_show(text)} is no path")
    if len(os.fsencode(text)) > LONGEST_PATH or any(len(os.fsencode(p)) > LONGEST_PART for p in Path(text).parts):
        raise ConfigError(f"{_show(text)} is longer than a path can be")
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(f"{_show(text)}: no user of that name is known here; write the whole path") from None


def _decode(data: bytes, name: str) -> str:
    """The text of a file in UTF-8; a byte order mark, as editors of Windows put it first, is left out.

    Raises:
        ConfigError: in another encoding, or no text.
    """
    has_mark = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if has_mark or data[:2].count(0) == 1:  # a sign of ASCII and a zero: UTF-16 without a mark
        raise ConfigError(f"{name}: saved as UTF-16: save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{name}: not UTF-8 text, in line {line}: if it was saved in another encoding, such as Latin-1 or ANSI, "
            "save it as UTF-8"
        ) from None


def _has_huge_number(value: object) -> bool:
    """Whether a value of TOML holds a whole number that TOML does not allow, and that could not even be printed."""
    if isinstance(value, dict | list):
        return any(map(_has_huge_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def _is_number(value: object, above: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value) and value > above
    except OverflowError:  # an integer beyond every float
        return False


def _number_words(above: float) -> str:
    return "a finite number" if above == -math.inf else f"a finite number above {above:g}"


def _show(value: object) -> str:
    return shorten(f'"{value}"' if isinstance(value, str) else str(value))
