"""How to descend, as data: `Recipe`, its octaves and its digest."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from random import Random
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator

from atlas.common.errors import ConfigError
from atlas.inception.architecture import Size
from atlas.inception.layers import MIN_SIZE
from atlas.plan.settings import Number, Pair, PositiveNumber, PositivePair, Table, Whole

Metric = Literal["l1", "l2", "linf"]
Gradient = Literal["sum", "per_feature", "rms"]
Input = Literal["raw", "trained"]
InputMap = Literal["x", "2x-1"]  # what the network is given for a picture x in [0, 1]
Kind = Literal["pixels", "fourier", "phase"]
Color = Literal["rgb", "decorrelated"]
Optimizer = Literal["sgd", "adam"]
METRICS: tuple[Metric, ...] = get_args(Metric)

LARGEST_SIZE = 4096  # pixels; a larger rendering would take hundreds of gigabytes
MOST_STEPS = 1_000_000  # of an octave
EPSILON = 1e-8
LARGEST_JITTER = 1024  # pixels
LEAST_SCALE = 0.5  # so that a turned image is continued at most once beyond each border


def _read_octaves(value: object) -> object:
    if not value or not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError("must be a list of at least one table { … }")
    return value


@dataclass(frozen=True)
class Octave(Table):
    """Steps of gradient descent at one image size.

    At step i of N, from 0, a pair (a, b) stands for a(N−i)/N + b·i/N: it starts at a and approaches b.

    Attributes:
        size: Pixels of the image’s shorter side.
        steps: Number of steps.
        lr: Learning rate, [first, last].
        sigma: Standard deviation of the 3×3 Gaussian blur after each update, [first, last], in pixels. Default: no
            blur.
    """

    size: Annotated[int, Whole(MIN_SIZE, LARGEST_SIZE)]
    steps: Annotated[int, Whole(1, MOST_STEPS)]
    lr: Pair
    sigma: PositivePair | None = None

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, 0 ≤ step < steps."""
        return self._between(self.lr, step)

    def sigma_at(self, step: int) -> float | None:
        """Blur of a step in pixels, or None."""
        return None if self.sigma is None else self._between(self.sigma, step)

    def _between(self, ends: tuple[float, float], step: int) -> float:
        first, last = ends
        # the article's order of operations, so that equal recipes give equal numbers
        return first * (self.steps - step) / self.steps + last * step / self.steps


@dataclass(frozen=True)
class Transform(Table):
    """A random change of what the network sees, drawn anew at each step: one of these keys.

    Attributes:
        jitter: Move by up to so many pixels in each direction.
        scale: Enlarge by a factor between these two.
        rotate: Turn by up to so many degrees either way.
        crop: Show a part, enlarged: its share of each side lies between these two.
        noise: Add normal noise of this standard deviation.
    """

    jitter: Annotated[int, Whole(1, LARGEST_JITTER)] | None = None
    scale: PositivePair | None = None
    rotate: PositiveNumber | None = None
    crop: PositivePair | None = None
    noise: PositiveNumber | None = None

    @property
    def is_motion(self) -> bool:
        """Whether it moves pixels a little, as an affine map near identity."""
        return self.crop is None and self.noise is None

    @property
    def fault(self) -> str:
        """Why it cannot be; "" if it can."""
        if self.scale and not LEAST_SCALE <= self.scale[0] <= self.scale[1]:
            return f"scale must be two factors [least, largest], the least first and at least {LEAST_SCALE}"
        if self.crop and not self.crop[0] <= self.crop[1] <= 1:
            return "crop must be two shares of the image [least, largest], the least first and the largest at most 1"
        return ""


def _read_transforms(value: object) -> object:
    if isinstance(value, tuple):
        return value
    if not isinstance(value, list) or not all(isinstance(item, dict) and len(item) == 1 for item in value):
        raise ConfigError("must be a list of tables of one key each, such as [{ jitter = 8 }, { rotate = 5 }]")
    return value


@dataclass(frozen=True)
class Recipe(Table):
    """A list of octaves, and what the descent follows.

    Attributes:
        name: Its name, which is that of its table.
        octaves: Tables of the keys below, in the order in which they are descended.
        metric: Distance between the constant and the activations: "l1", "l2" or "linf".
        constant: C, the large activation that is aimed at.
        gradient: "sum": as it is; "per_feature": divided by the number of features summed; "rms": divided by each
            image’s root mean square, so that rates carry over to other weights.
        resize: [least, largest] factor at which the network sees the image, drawn at each step. Default: 1.
        rescue_steps: In so many first steps an image without any gradient is rescued: the last ReLU lets it pass.
            Default: none.
        input: What the network is given: "raw", pixels as they are, which is the article’s; or "trained", pixels as in
            its training.
        parameterization: What the image is made of, and so what moves: "pixels"; "fourier", a spectrum; or "phase",
            phases alone with the magnitudes of photographs.
        color: "rgb", or "decorrelated": channels that are independent of one another in photographs.
        optimizer: "sgd" or "adam".
        epsilon: Of Adam: a parameter whose gradient is less than this share of the largest one moves less.
        transforms: Random changes of what the network sees, drawn at each step, in their order: tables of one of the
            keys below.
    """

    name: str
    octaves: Annotated[tuple[Octave, ...], BeforeValidator(_read_octaves)]
    metric: Metric = "l1"
    constant: Number = 200.0
    gradient: Gradient = "sum"
    resize: PositivePair | None = None
    rescue_steps: Annotated[int, Whole(1, MOST_STEPS)] | None = None
    input: Input = "raw"
    parameterization: Kind = "pixels"
    color: Color = "rgb"
    optimizer: Optimizer = "sgd"
    epsilon: PositiveNumber = EPSILON
    transforms: Annotated[tuple[Transform, ...], BeforeValidator(_read_transforms)] = ()

    @cached_property
    def digest(self) -> str:
        """First 8 hexadecimal digits of the SHA-256 of everything but the name."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def first_size(self) -> Size:
        """(height, width) in pixels at which a square rendering starts, and to which positions belong."""
        return self.octaves[0].size, self.octaves[0].size

    @property
    def shrinks(self) -> bool:
        """Whether the network ever sees a smaller image than before or than the octave's own."""
        sizes = [octave.size for octave in self.octaves]
        return sizes != sorted(sizes) or (self.resize is not None and self.resize[0] < 1)

    @property
    def is_random(self) -> bool:
        """Whether something beside the start is drawn from the seed, for all rows of a batch together."""
        return self.resize is not None or bool(self.transforms) or self.parameterization == "phase"

    @property
    def is_sharp(self) -> bool:
        """Whether pixels are free and no octave blurs, so that details of one pixel stay."""
        return self.parameterization == "pixels" and all(octave.sigma is None for octave in self.octaves)

    @property
    def sizes_seen(self) -> tuple[int, int]:
        """The least and the largest size, in pixels of the shorter side, at which the network may see an image."""
        least, largest = self.resize or (1.0, 1.0)
        sizes = [octave.size for octave in self.octaves]
        return round(min(sizes) * least), round(max(sizes) * largest)

    def faults(self) -> Iterator[tuple[str, str]]:
        """What keys contradict each other or hold what cannot be: each key, and why."""
        if self.resize and self.resize[0] > self.resize[1]:
            yield "resize", "must be two factors [least, largest], the least first"
        elif self.resize and self.size_fault:
            yield "resize", self.size_fault
        if self.parameterization != "pixels":
            if any(octave.sigma for octave in self.octaves):
                yield (
                    "octaves",
                    f'sigma blurs pixels, and the parameterization is "{self.parameterization}"; leave it out',
                )
            if self.shrinks:
                yield "octaves", f'sizes must not decrease where the parameterization is "{self.parameterization}"'
        if self.parameterization == "phase" and self.color != "decorrelated":
            yield "color", 'must be "decorrelated" where the parameterization is "phase", as its magnitudes are'
        if self.optimizer != "adam" and self.epsilon != EPSILON:
            yield "epsilon", f'is of "adam", and the optimizer is "{self.optimizer}"'
        for transform in self.transforms:
            if fault := transform.fault:
                yield "transforms", fault

    @property
    def size_fault(self) -> str:
        """Why the network cannot take the images of this recipe; "" if it can."""
        least, largest = self.sizes_seen
        if least >= MIN_SIZE and largest <= LARGEST_SIZE:
            return ""
        return (
            f"the network would see images of {least} to {largest} px, and the sizes allowed are "
            f"{MIN_SIZE} to {LARGEST_SIZE}"
        )

    def size_seen(self, size: Size, seed: int, octave: int, step: int) -> Size:
        """(height, width) in pixels at which the network sees an image at a step.

        The factor is uniform between the bounds of `resize`. It is the first number of Python's `Random` seeded with
        the text "seed octave step", so it depends on these three alone: not on the device, on torch, or on what was
        drawn before.

        Args:
            size: (height, width) of the image.
            seed: the job's; jobs of different seeds see different sizes, and so cannot share a batch.
            octave: from 0.
            step: of the octave, from 0.
        """
        if self.resize is None:
            return size
        least, largest = self.resize
        factor = least + (largest - least) * Random(f"{seed} {octave} {step}").random()
        return round(size[0] * factor), round(size[1] * factor)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the name, in JSON's types; keys as in a configuration file."""
        data = asdict(self)
        del data["name"]
        data["octaves"] = [_without_none(octave) for octave in data["octaves"]]
        data["transforms"] = [_without_none(transform) for transform in data["transforms"]]
        for key, usual in _USUAL.items():  # so that recipes from before a field came keep their digests
            if getattr(self, key) == usual:
                del data[key]
        return _without_none(data)

    def input_map(self, trained: InputMap) -> InputMap:
        """What the network is given for a picture x.

        Args:
            trained: the map that the weights were trained with.
        """
        return trained if self.input == "trained" else "x"

    def scaled(self, size: int, steps: int | None = None, *, octave: int = 0) -> Self:
        """The same recipe at another size.

        Args:
            size: pixels of one octave; the others keep their ratio to it.
            steps: steps of each octave; None: as many as it has.
            octave: which one has that size; -1: the last.
        """
        old = self.octaves[octave].size
        octaves = (replace(o, size=round(o.size * size / old), steps=steps or o.steps) for o in self.octaves)
        return replace(self, octaves=tuple(octaves))

    def resized(self, size: int | None, steps: int | None) -> Self:
        """The same recipe at another size or length.

        Args:
            size: pixels of the last octave, to which the others keep their ratio; None: its own.
            steps: of each octave; None: its own.

        Raises:
            ConfigError: no steps, or an octave of a size that the network cannot take.
        """
        if steps is not None and steps < 1:
            raise ConfigError(f"steps {steps}: must be at least 1")
        found = self.scaled(self.octaves[-1].size if size is None else size, steps, octave=-1)
        if found.size_fault:
            raise ConfigError(f'recipe "{self.name}": {found.size_fault}')
        return found

    def without_blur(self) -> Self:
        """The same recipe with the update alone."""
        return replace(self, octaves=tuple(replace(octave, sigma=None) for octave in self.octaves))


_USUAL = {
    "input": "raw",
    "parameterization": "pixels",
    "color": "rgb",
    "optimizer": "sgd",
    "epsilon": EPSILON,
    "transforms": (),
}


def octave_size(first_size: Size, octave: Octave) -> Size:
    """(height, width) of an octave: its size is the shorter side, and the first image's proportions stay."""
    height, width = first_size
    scale = octave.size / min(height, width)
    return round(height * scale), round(width * scale)


def _without_none(octave: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in octave.items() if v is not None}
