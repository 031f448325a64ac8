"""Findings in the store: a frozen dataclass ↔ `<store>/<weights>/findings/<name>.json`, fresh by its inputs."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from atlas.common.paths import read_file
from atlas.store.files import write_if_changed
from atlas.store.records import WeightsId

FOLDER = "findings"
MOST_BYTES = 2**28  # of a file: the largest of all features come to a tenth of it
DIGITS = 6  # significant ones that are kept of a number

Found = TypeVar("Found")


@dataclass(frozen=True)
class _File:
    inputs: str
    found: msgspec.Raw  # of the spec's kind


def result_path(store: Path, weights: WeightsId, name: str) -> Path:
    """Where a study's finding lies."""
    return store / weights.folder / FOLDER / f"{name}.json"


def list_results(store: Path, weights: WeightsId) -> tuple[str, ...]:
    """The names of the findings that a store has, sorted."""
    return tuple(sorted(path.stem for path in (store / weights.folder / FOLDER).glob("*.json")))


def digest(parts: Iterable[object]) -> str:
    """Digest of all that a finding depends on: settings, hashes of pictures, and the study's own version."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:24]


def write_result(path: Path, found: object, inputs: str) -> None:
    """Write a finding, atomically.

    Raises:
        StoreError: the file cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode({"inputs": inputs, "found": found}), indent=0)
    write_if_changed(path, data + b"\n")


def read_result(path: Path, kind: type[Found], inputs: str) -> Found | None:
    """Read a finding, or None if there is none of these inputs; a damaged one counts as none."""
    try:
        file = msgspec.json.decode(read_file(path, MOST_BYTES), type=_File)
        return msgspec.json.decode(file.found, type=kind) if file.inputs == inputs else None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def rounded(value: float) -> float | None:
    """A number as a finding keeps it: six significant digits; None where it is not finite."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
