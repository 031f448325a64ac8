"""The provenance of a rendering: `Record` ↔ JSON. Nothing in it depends on the clock, a path or the order of work."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar, get_args

import msgspec
from msgspec import Meta

from atlas.common.errors import StoreError
from atlas.plan.config import BUILT_IN_WEIGHTS
from atlas.plan.jobs import Job
from atlas.plan.recipes import InputMap, Recipe

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LARGEST_NUMBER = 1e300  # so that the difference between two is finite too; more counts as not finite
NOISE = "noise"
Status = Literal["ok", "no_gradient", "not_raised", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
DEMO_SHA256 = "cf84acacdf6c911ad1b5c5b2a3df6abbc8b1393b699de2b3d0395e075987b2cb"  # of demo.safetensors

# What a field of a record may hold. All of it is bounded, so that what was read can also be written.
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Number: TypeAlias = Annotated[float, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
_Scalar: TypeAlias = str | bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Number | None
_Setting: TypeAlias = _Scalar | list[_Scalar | dict[str, _Scalar | list[_Scalar]]]

Read = TypeVar("Read", bound="DataclassInstance")


@dataclass(frozen=True)
class WeightsId:
    """Identity of weights: a name to show, and the hash that counts."""

    name: str
    sha256: str  # of the file, or of the tensors where there is no file
    note: str  # a sentence for pages: what they are
    # the map that they were trained with; None: `usual_input`. A record says in `Record.input` which map was used
    input: InputMap | None = field(default=None, compare=False, repr=False)
    # names of what their classifier tells apart, "" where one is not known; none: they have no classifier
    classes: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def folder(self) -> str:
        """Name of the weights' folder in a store."""
        return f"{self.name}-{self.sha256[:8]}"

    @property
    def usual_input(self) -> InputMap:
        """The map that these weights expect; of unknown weights, that of torchvision's ImageNet weights."""
        return "x" if self.name == "demo" or self.sha256 == DEMO_SHA256 else "2x-1"

    @property
    def is_known(self) -> bool:
        """Whether the map that they were trained with is known, so that no note has to say it."""
        return self.name in BUILT_IN_WEIGHTS or self.sha256 == DEMO_SHA256

    @property
    def trained_input(self) -> InputMap:
        """The map that these weights were trained with, if it was given, else `usual_input`."""
        return self.input or self.usual_input

    def path_suffix(self, recipe: Recipe) -> str:
        """The ending of file names: empty, unless a user says that the weights expect another map."""
        used = recipe.input_map(self.trained_input)
        return "" if used == recipe.input_map(self.usual_input) else f"~{used}"


@dataclass(frozen=True)
class Numerics:
    """What the last bits of a rendering depend on: equal numerics give equal bytes on one model of GPU or processor.

    The versions of torch and torchvision count too; they are fields of `Record`. Of a processor only the instruction
    set is known, so two models may differ although all fields are equal.
    """

    device: str  # kind: "cpu", "cuda" or "mps"
    precision: str  # "fp64", "fp32", "tf32" or "bf16"
    batch_size: Count
    threads: Count  # of the CPU
    model: str | None = None  # of the GPU, or the CPU's instruction set; None: unknown, as in older records
    cudnn: str | None = None  # version of cuDNN, on CUDA; None: unknown, or another device


@dataclass(frozen=True)
class OctaveScores:
    """The scores before and after one octave; None where a number was not finite."""

    size: Count  # pixels
    score_start: Number | None
    score_end: Number | None


@dataclass(frozen=True)
class FailedStep:
    """Where an image became non-finite; both are counted from 0."""

    octave: Count
    step: Count


@dataclass(frozen=True, kw_only=True)
class Record:
    """The provenance of one rendering.

    Scores are weighted mean activations of the target's neurons; of a class they are its log-odds. `score_start` is the
    start's, resized to the last octave's size, and `score_shown` that of the stored 8-bit picture, both in float32.
    """

    target: str
    recipe_name: str
    recipe: dict[str, _Setting]
    recipe_digest: str
    start: str  # "noise", or a photograph's id: the SHA-256 of its file, and "-srgb" if its colours were converted
    seed: Count
    weights: WeightsId
    input: InputMap = "x"  # what the network was given for a picture x; older records lack it
    torch: str
    torchvision: str
    numerics: Numerics
    status: Status
    failed_at: FailedStep | None
    octaves: tuple[OctaveScores, ...]
    score_start: Number | None
    score_shown: Number | None
    gradient_norm: Number | None  # L2 norm of the first step's gradient
    width: Count  # pixels
    height: Count
    pixels_sha256: str  # of the RGB bytes, row by row
    format: Literal[1] = 1

    def is_of(self, job: Job, weights: WeightsId, precision: str | None = None) -> bool:
        """Whether this is the rendering that a job asks for.

        Args:
            job: target, recipe, seed and start.
            weights: their hash counts, and the map that they were trained with if the recipe uses it.
            precision: resolved precision; None: any. Other numerics do not count: a rendering stays up to date on
                other hardware.
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

        Older records may say `no_gradient` although a later octave raised the score.
        """
        is_raised = (self.score_shown or 0.0) > (self.score_start or 0.0)
        return self.status == "not_raised" or (self.status == "no_gradient" and not is_raised)

    @property
    def rose_later(self) -> bool:
        """Whether an octave after the first raised the score."""
        scores = ((octave.score_start, octave.score_end) for octave in self.octaves[1:])
        return any(start is not None and end is not None and end > start for start, end in scores)

    @property
    def input_suffix(self) -> str:
        """The ending of its file name; see `WeightsId.path_suffix`."""
        usual = self.weights.usual_input if self.recipe.get("input") == "trained" else "x"
        return "" if self.input == usual else f"~{self.input}"

    def to_json(self) -> str:
        """The record as JSON, keys in the order of the fields; `read_json` reads it."""
        data = asdict(self)
        del data["weights"]["input"], data["weights"]["classes"]  # the record's own `input` counts
        return json.dumps(data, allow_nan=False, ensure_ascii=False)


def finite(value: float) -> float | None:
    """The value, or None if it is not finite, or too large for a record."""
    return value if abs(value) <= LARGEST_NUMBER else None


def read_json(text: str | bytes, kind: type[Read]) -> Read:
    """Read the JSON of a record or a note.

    Args:
        text: the JSON.
        kind: a dataclass; the values must be of its types.

    Raises:
        StoreError: not JSON, of another format, or with a missing, additional or mistyped field.
    """
    try:
        found = msgspec.json.decode(text, type=kind)
        for unknown in _unknown_fields(msgspec.json.decode(text), msgspec.to_builtins(found)):
            raise ValueError(f"unknown field {unknown!r}")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # ValueError: no UTF-8
        raise StoreError(f"not a record that this version reads: {error}") from None
    return found


def _unknown_fields(given: Any, found: Any) -> Iterator[str]:
    """The keys of JSON, at any depth, that reading it as dataclasses has left out."""
    if isinstance(given, dict):
        for key, value in given.items():
            if key in found:
                yield from _unknown_fields(value, found[key])
            else:
                yield key
    elif isinstance(given, list):
        for value, kept in zip(given, found, strict=True):
            yield from _unknown_fields(value, kept)
