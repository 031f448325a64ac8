"""How to descend, as data: `Recipe`, its octaves and its digest."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from atlas.plan.blocks import Size

Metric = Literal["l1", "l2", "linf"]
Gradient = Literal["sum", "per_feature", "rms"]
METRICS: tuple[Metric, ...] = ("l1", "l2", "linf")
GRADIENTS: tuple[Gradient, ...] = ("sum", "per_feature", "rms")


@dataclass(frozen=True)
class Octave:
    """Steps of gradient descent at one image size.

    At step i of N, from 0, a pair (a, b) stands for a(N−i)/N + b·i/N: it starts at a and approaches b.
    """

    size: int  # pixels, the shorter side
    steps: int
    lr: tuple[float, float]  # learning rate
    sigma: tuple[float, float] | None = None  # of the 3×3 Gaussian blur after each update, pixels; None: no blur

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
class Recipe:
    """A list of octaves, and what the descent follows."""

    name: str
    octaves: tuple[Octave, ...]
    metric: Metric = "l1"  # distance between the constant and the activations
    constant: float = 200.0  # C, the large activation that is aimed at
    gradient: Gradient = "sum"  # as it is, divided by the features summed, or by each row's root mean square

    @property
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
        """Whether some octave is smaller than the one before it."""
        sizes = [octave.size for octave in self.octaves]
        return sizes != sorted(sizes)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the name, in JSON's types; keys as in a configuration file."""
        data = asdict(self)
        del data["name"]
        data["octaves"] = [_without_none(octave) for octave in data["octaves"]]
        return data

    def scaled(self, size: int, steps: int) -> Self:
        """The same recipe, smaller: for tests and trials.

        Args:
            size: pixels of the first octave; the others keep their ratio to it.
            steps: steps of each octave.
        """
        first = self.octaves[0].size
        octaves = (replace(o, size=round(o.size * size / first), steps=steps) for o in self.octaves)
        return replace(self, octaves=tuple(octaves))


def _without_none(octave: dict[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in octave.items() if v is not None}
