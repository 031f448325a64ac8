"""How two targets interact: pairs alone and together, and the scores of a layer's pictures for each other's features.

A score is the mean activation over a target's neurons, of the stored 8-bit picture in float32. Of a pair's picture its
change is compared: its difference from the noise that the recipe leaves where no gradient arrives.
"""

from dataclasses import dataclass

from atlas.store.results import ResultSpec
from atlas.studies.interactions.jobs import jobs, matrix_jobs

NEAR, FAR = 0.5, 0.87  # shares outside of all mixtures, whose squares are a quarter and three


@dataclass(frozen=True)
class Mixed:
    """A picture for some mixture of two targets."""

    target: str
    weight: float  # of the second target; the first has the rest
    first: float  # score for the first target
    second: float  # and for the second
    outside: float | None  # of its change, the share outside of all mixtures of the two's; None: it did not change


@dataclass(frozen=True)
class PairInteraction:
    """Two targets alone, together and in between."""

    first: str
    second: str
    joint: Mixed
    again: float | None  # the same share of the picture that the joint target gives from other noise
    walk: tuple[Mixed, ...]  # from the first alone to the second alone
    unraised: tuple[str, ...]  # of the first, the second, both together, and both from other noise: what was not raised

    @property
    def own_scores(self) -> tuple[float, float]:
        """The scores of both targets on their own pictures; 0 for one that was not raised there."""
        first = 0.0 if self.first in self.unraised else self.walk[0].first
        second = 0.0 if self.second in self.unraised else self.walk[-1].second
        return first, second

    @property
    def linearity(self) -> str:
        """Whether the picture for both is a mixture of the two, and whether its pixels can tell.

        Returns:
            "unchanged", "near", "unknown" (the same sum from other noise changed nothing), "chance" (it lies as far
            outside), "partly" or "far".
        """
        outside = self.joint.outside
        if outside is None:
            return "unchanged"
        if outside < NEAR:
            return "near"
        if self.again is None:
            return "unknown"
        if outside >= self.again:
            return "chance"
        return "far" if outside >= FAR else "partly"


@dataclass(frozen=True)
class Interactions:
    """All pairs of a configuration."""

    pairs: tuple[PairInteraction, ...]


@dataclass(frozen=True)
class Matrix:
    """How much the picture for each of a few features excites each of them."""

    layer: str
    features: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]  # by picture, and then by feature
    noise: tuple[float, ...]  # of the start noise at the pictures' size, by feature


INTERACTIONS = ResultSpec("interactions", 3, Interactions, jobs)


def matrix_spec(layer: str) -> ResultSpec[Matrix]:
    """The matrix of a layer."""
    return ResultSpec(f"interactions-{layer}", 1, Matrix, lambda config: matrix_jobs(config, layer))
