"""A file → the tables of TOML in it, or an error in words: too large, in another encoding, or no TOML."""

import codecs
import tomllib
from pathlib import Path
from typing import Any

from atlas.common.errors import ConfigError
from atlas.common.paths import PathError, read_file

LARGEST_FILE = 2**20  # bytes; every feature of every layer named one by one takes a tenth


def read_toml(file: Path, name: str) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: the file cannot be read or is not TOML.
    """
    try:
        text = _decode(read_file(file, LARGEST_FILE), name)
    except PathError as error:
        raise ConfigError(f"{name}: {error}; name a TOML file") from None
    try:
        data = tomllib.loads(text)
        if _has_huge_number(data):
            raise ValueError("a whole number has at most 64 bits")
    except RecursionError:
        raise ConfigError(f"{name}: tables or lists inside each other, deeper than they can be read") from None
    except ValueError as error:  # a number of thousands of digits is a plain one
        raise ConfigError(f"{name}: not valid TOML: {error}") from None
    return data


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
