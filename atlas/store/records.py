"""The provenance of a rendering: `Record` ↔ JSON. Nothing in it depends on the clock, a path or the order of work."""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from atlas.common.errors import StoreError
from atlas.plan.config import BUILT_IN_WEIGHTS
from atlas.plan.jobs import Job
from atlas.plan.recipes import INPUT_MAPS, InputMap, Recipe

FORMAT = 1
LARGEST_NUMBER = 1e300  # so that the difference between two is finite too; more counts as not finite
_DEEPEST = 20  # levels of lists and tables; a record has five
NOISE = "noise"
Status = Literal["ok", "no_gradient", "not_raised", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
DEMO_SHA256 = "cf84acacdf6c911ad1b5c5b2a3df6abbc8b1393b699de2b3d0395e075987b2cb"  # of demo.safetensors


@dataclass(frozen=True)
class WeightsId:
    """Which weights: a name for people and the hash that decides."""

    name: str
    sha256: str  # of the file, or of the tensors where there is no file
    note: str  # what they are, in a sentence for pages
    # the map of their training; None: `usual_input`. What depends on it, such as `Record.input`, says so itself
    input: InputMap | None = field(default=None, compare=False, repr=False)

    @property
    def folder(self) -> str:
        """Name of the weights' folder in a store."""
        return f"{self.name}-{self.sha256[:8]}"

    @property
    def usual_input(self) -> InputMap:
        """The map that these weights are known to expect, or that of torchvision's ImageNet weights."""
        return "x" if self.name == "demo" or self.sha256 == DEMO_SHA256 else "2x-1"

    @property
    def is_known(self) -> bool:
        """Whether what they were trained with is known, and need not be noted or asked."""
        return self.name in BUILT_IN_WEIGHTS or self.sha256 == DEMO_SHA256

    @property
    def trained_input(self) -> InputMap:
        """The map that these weights were trained with, as far as is known."""
        return self.input or self.usual_input

    def path_suffix(self, recipe: Recipe) -> str:
        """What the name of a recipe's file ends in: empty, unless a user says that the weights expect another map."""
        used = recipe.input_map(self.trained_input)
        return "" if used == recipe.input_map(self.usual_input) else f"~{used}"


@dataclass(frozen=True)
class Numerics:
    """What the last bits of a rendering depend on: equal numerics give equal bytes on one model of GPU or processor.

    The versions of torch and torchvision belong to them too, and stand beside them in a `Record`. Of a processor only
    the instruction set is known, so two models may differ although all fields are equal.
    """

    device: str  # kind: "cpu", "cuda" or "mps"
    precision: str  # "fp64", "fp32", "tf32" or "bf16"
    batch_size: int
    threads: int  # of the CPU
    model: str | None = None  # of the GPU, or the CPU's instruction set; None: unknown, as in older records
    cudnn: str | None = None  # version of cuDNN, on CUDA; None: unknown, or another device


@dataclass(frozen=True)
class OctaveScores:
    """What one octave did; None where a number was not finite."""

    size: int  # pixels
    score_start: float | None
    score_end: float | None


@dataclass(frozen=True)
class FailedStep:
    """Where an image went non-finite, both counted from 0."""

    octave: int
    step: int


@dataclass(frozen=True)
class Record:
    """Everything that is known of one rendering.

    Scores are weighted mean activations of the target's neurons. `score_start` is the start's, resized to the last
    octave's size, and `score_shown` that of the stored 8-bit picture, both in float32.
    """

    target: str
    recipe_name: str
    recipe: dict[str, Any]
    recipe_digest: str
    start: str  # "noise", or a photograph's id: the SHA-256 of its file, and "-srgb" if its colours were converted
    seed: int
    weights: WeightsId
    input: InputMap  # what the network was given for a picture x; "x" in records from before there was a choice
    torch: str
    torchvision: str
    numerics: Numerics
    status: Status
    failed_at: FailedStep | None
    octaves: tuple[OctaveScores, ...]
    score_start: float | None
    score_shown: float | None
    gradient_norm: float | None  # L2 norm of the first step's gradient
    width: int  # pixels
    height: int
    pixels_sha256: str  # of the RGB bytes, row by row
    format: int = FORMAT

    def is_of(self, job: Job, weights: WeightsId, precision: str | None = None) -> bool:
        """Whether this is the rendering that a job asks for.

        Args:
            job: target, recipe, seed and start.
            weights: their hash counts, and where the recipe asks for it the map that they were trained with.
            precision: resolved precision; None if any will do. Other numerics do not count: a picture stays up to
                date on other hardware.
        """
        start = job.start.id if job.start else NOISE
        used = job.recipe.input_map(weights.trained_input)
        wanted = (str(job.target), job.recipe.digest, start, job.seed, weights.sha256, used, job.sizes[-1])
        size = self.height, self.width
        found = (self.target, self.recipe_digest, self.start, self.seed, self.weights.sha256, self.input, size)
        return wanted == found and precision in (None, self.numerics.precision)

    @property
    def needs_rescue(self) -> bool:
        """Whether the picture shows nothing of its target: it had no gradient, or was not raised.

        In records from before all octaves counted, `no_gradient` may stand beside a picture that a later one raised.
        """
        is_raised = (self.score_shown or 0.0) > (self.score_start or 0.0)
        return self.status == "not_raised" or (self.status == "no_gradient" and not is_raised)

    @property
    def input_suffix(self) -> str:
        """What the name of its file ends in: as `WeightsId.path_suffix`."""
        usual = self.weights.usual_input if self.recipe.get("input") == "trained" else "x"
        return "" if self.input == usual else f"~{self.input}"

    def to_json(self) -> str:
        """The record as JSON, keys in the order of the fields."""
        data = asdict(self)
        del data["weights"]["input"]  # what was given to the network counts, which `input` says
        return json.dumps(data, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Read a record.

        Raises:
            StoreError: not JSON, of another format, or with a missing, additional or mistyped field.
        """
        try:
            data = parse_json(text)
        except ValueError:
            raise StoreError("its record is not JSON as this program writes it") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise StoreError(f"its record is not of format {FORMAT}, the one that this version reads")
        data = {"input": "x", **data}
        if data.keys() != {one.name for one in fields(cls)}:
            raise StoreError("its record has missing or additional fields")
        return _read(data)


def finite(value: float) -> float | None:
    """The value, or None where a record has no number for it."""
    return value if abs(value) <= LARGEST_NUMBER else None


def parse_json(text: str | bytes) -> Any:
    """What a small JSON file or chunk of a store says, if this program could have written it.

    Python reads more than JSON has: numbers that are not finite, and halves of characters, which no file can hold.

    Raises:
        ValueError: it is not JSON, has such a number or text, a whole number of more than 64 bits, or is nested deeply.
    """
    try:
        data = json.loads(text, parse_constant=_real_number, parse_float=_real_number, parse_int=_whole_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_values(data, _DEEPEST)
    return data


def _real_number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _whole_number(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(text)
    return value


def _check_values(value: object, levels: int) -> None:
    """Check that all text can be written, and that there are no more levels."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        if not levels:
            raise ValueError("nested too deeply")
        for inner in value:
            _check_values(inner, levels - 1)
        for inner in value.values() if isinstance(value, dict) else ():
            _check_values(inner, levels - 1)


def _read(data: dict[str, Any]) -> Record:
    try:
        record = Record(
            **{
                **data,
                "weights": WeightsId(**data["weights"]),
                "numerics": Numerics(**data["numerics"]),
                "failed_at": FailedStep(**data["failed_at"]) if data["failed_at"] else None,
                "octaves": tuple(OctaveScores(**octave) for octave in data["octaves"]),
            }
        )
    except TypeError:
        raise StoreError("its record has missing or additional fields") from None
    _check_types(record)
    return record


_TEXTS = ("target", "recipe_name", "recipe_digest", "start", "torch", "torchvision", "pixels_sha256")
_NUMBERS = ("score_start", "score_shown", "gradient_norm")


def _check_types(record: Record) -> None:
    weights, numerics = record.weights, record.numerics
    texts = [getattr(record, name) for name in _TEXTS]
    texts += [weights.name, weights.sha256, weights.note, numerics.device, numerics.precision]
    counts = [record.seed, record.width, record.height, numerics.batch_size, numerics.threads]
    numbers = [getattr(record, name) for name in _NUMBERS]
    for octave in record.octaves:
        counts.append(octave.size)
        numbers += [octave.score_start, octave.score_end]
    if record.failed_at:
        counts += [record.failed_at.octave, record.failed_at.step]
    sound = (
        all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in (numerics.model, numerics.cudnn))
        and all(type(count) is int and count >= 0 for count in counts)
        and all(number is None or _is_finite_number(number) for number in numbers)
        and record.status in STATUSES
        and record.input in INPUT_MAPS
        and weights.input is None
        and isinstance(record.recipe, dict)
    )
    if not sound:
        raise StoreError("its record has a field of the wrong type")


def _is_finite_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST_NUMBER
