"""Results of studies in a store: `ResultSpec` ↔ `<store>/<weights>/findings/<name>.json`, up to date by its inputs.

A file holds the digest of what its result was measured from, the result, and the result's own checksum: one that was
edited or damaged is left out, and named.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import msgspec

from atlas.common.errors import StoreError
from atlas.common.paths import read_file
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.files import write_if_changed
from atlas.store.masters import find_record, master_path
from atlas.store.records import Record, Status, WeightsId

FOLDER = "findings"
MOST_BYTES = 2**28  # of a file: the largest, of all features, takes a tenth of it
DIGITS = 6  # significant ones that are kept of a number

Result = TypeVar("Result")


@dataclass(frozen=True)
class ResultSpec(Generic[Result]):
    """A result, and the renderings that it is measured from.

    Attributes:
        name: of its file.
        version: of the measurement; a higher one measures anew.
        kind: its type, a frozen dataclass.
        jobs: the renderings; if there are none and no settings, the configuration does not want the result.
        settings: what else the result depends on, beside the weights.
        needs_all: whether every rendering must be there; otherwise those that are there are measured.
    """

    name: str
    version: int
    kind: type[Result]
    jobs: Callable[[Config], tuple[Job, ...]]
    settings: Callable[[Config], tuple[object, ...]] | None = None
    needs_all: bool = True


class Results:
    """The results and renderings in the store of a configuration, for measurements and pages.

    Attributes:
        config: the configuration.
        weights: whose renderings.
        damaged: one message for each result that was read and is damaged, by its name.
    """

    def __init__(self, config: Config, weights: WeightsId, known: Mapping[Job, Record] = MappingProxyType({})) -> None:
        """Open a store.

        Args:
            config: which store, and what is wanted of it.
            weights: whose renderings.
            known: records that were read already and are up to date.
        """
        self.config = config
        self.weights = weights
        self.damaged: dict[str, str] = {}
        self._known = known
        self._state = cache(self._find_state)  # by job; `Results` live as long as one build

    def digest(self, spec: ResultSpec[Any]) -> str | None:
        """Digest of what a result depends on; None if it is not wanted, or some rendering is missing."""
        jobs = self.jobs(spec)
        settings = spec.settings(self.config) if spec.settings else ()
        if jobs is None or not (jobs or settings):
            return None
        pixels = map(self.pixels, jobs)
        weights = (self.weights.sha256,) if settings else ()  # renderings say themselves of which weights they are
        return digest([spec.name, spec.version, *(job.path for job in jobs), *pixels, *settings, *weights])

    def jobs(self, spec: ResultSpec[Any]) -> tuple[Job, ...] | None:
        """The renderings of a result that are there; None if one that it needs is missing."""
        jobs = spec.jobs(self.config)
        found = tuple(job for job in jobs if self.pixels(job))
        return None if spec.needs_all and len(found) < len(jobs) else found

    def status(self, job: Job) -> Status | None:
        """The status of a rendering; None if it is not there."""
        return self._state(job)[1]

    def pixels(self, job: Job) -> str | None:
        """SHA-256 of a rendering's pixels; None if it is not there."""
        return self._state(job)[0]

    def is_raised(self, job: Job) -> bool:
        """Whether a rendering raised its score: only then is it a picture of what it was asked for."""
        return self.status(job) == "ok"

    def path(self, spec: ResultSpec[Any]) -> Path:
        """The file of a result."""
        return self.config.store / self.weights.folder / FOLDER / f"{spec.name}.json"

    def read(self, spec: ResultSpec[Result]) -> Result | None:
        """The result, if it is there, whole, and of the renderings as they are now."""
        inputs = self.digest(spec)
        try:
            return read_result(self.path(spec), spec.kind, inputs) if inputs else None
        except StoreError as error:
            self.damaged[spec.name] = str(error)
            return None

    def read_old(self, spec: ResultSpec[Result]) -> Result | None:
        """The result, if it is there and whole, of whatever renderings."""
        try:
            return read_result(self.path(spec), spec.kind, None)
        except StoreError:  # `read` names it
            return None

    def write(self, spec: ResultSpec[Result], found: Result) -> None:
        """Keep a result.

        Raises:
            StoreError: it cannot be written.
        """
        write_result(self.path(spec), found, self.digest(spec) or "")

    def _find_state(self, job: Job) -> tuple[str, Status] | tuple[None, None]:
        """Hash of the pixels, and status."""
        path = master_path(self.config.store, self.weights, job)
        record = self._known.get(job) or find_record(path, job, self.weights)
        return (record.pixels_sha256, record.status) if record else (None, None)


@dataclass(frozen=True)
class _File:
    inputs: str
    found: msgspec.Raw  # of the result's type
    sha256: str  # of the result as JSON without spaces


def digest(parts: Iterable[object]) -> str:
    """Digest of all that a result depends on: settings, hashes of pictures, and the measurement's own version."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:24]


def write_result(path: Path, found: object, inputs: str) -> None:
    """Write a result atomically, its numbers in six significant digits.

    Args:
        path: of the file.
        found: a dataclass, or what JSON can hold; NumPy's floats are taken too.
        inputs: digest of what it depends on.

    Raises:
        StoreError: the file cannot be written.
    """
    data = msgspec.Raw(msgspec.json.encode(rounded(msgspec.to_builtins(found, enc_hook=float))))
    file = _File(inputs, data, _checksum(data))
    write_if_changed(path, msgspec.json.format(msgspec.json.encode(file), indent=0) + b"\n")


def read_result(path: Path, kind: type[Result], inputs: str | None) -> Result | None:
    """Read a result.

    Args:
        path: of the file.
        kind: type of the result.
        inputs: digest of what the result must depend on; None: of anything.

    Returns:
        None if there is no such file, it cannot be read as a result of this type (those of earlier versions have no
        checksum), or its inputs are others.

    Raises:
        StoreError: it was edited, or damaged.
    """
    try:
        file = msgspec.json.decode(read_file(path, MOST_BYTES), type=_File)
        if inputs not in (None, file.inputs):
            return None
        found = msgspec.json.decode(file.found, type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if file.sha256 != _checksum(file.found):
        raise StoreError(
            f"{path}: damaged: the result is not the one that was written, so it is not shown; atlas build measures "
            "it anew"
        )
    return found


def rounded(value: Any) -> Any:
    """Nested lists and tables with every number in six significant digits; None for one that is not finite."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None  # 0 and not −0
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def _checksum(data: msgspec.Raw) -> str:
    return hashlib.sha256(msgspec.json.format(data, indent=-1)).hexdigest()
