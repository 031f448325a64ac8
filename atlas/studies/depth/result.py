"""Fineness, colours and edges of each layer's pictures, and whether they follow depth."""

from dataclasses import dataclass
from functools import partial

from atlas.plan.jobs import layer_jobs, map_jobs
from atlas.store.results import ResultSpec

MEASURES = ("centroid", "entropy", "edges")


@dataclass(frozen=True)
class Rules:
    """How pictures are measured, and when there is a trend."""

    size: int = 160  # pixels of the longer side at which pictures are measured; larger ones are shrunk
    levels: int = 8  # of each colour channel in a histogram of colours
    edge: float = 0.1  # Sobel magnitude, by scikit-image, above which a pixel counts as an edge: √2 times the slope
    most_ordered: int = 8  # up to so many layers, p counts all orders of their medians; of more, it is Student's t
    strong: float = 0.5  # a trend needs a rank correlation of at least so much,
    chance: float = 0.05  # that chance alone would reach less often than this,
    fewest: int = 5  # over so many layers: even four in order are no rarer than that


RULES = Rules()


@dataclass(frozen=True)
class Quartiles:
    """Where a quarter, a half and three quarters of the pictures lie below."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class LayerDepth:
    """The pictures of one layer."""

    layer: str
    measured: int  # pictures
    left_out: int  # without a gradient, or not raised: no pictures of what they were asked for
    centroid: Quartiles | None  # power-weighted mean frequency of the luma, cycles a pixel; None: no structure
    entropy: Quartiles | None  # of the histogram of colours, bits
    edges: Quartiles | None  # share of the pixels that are edges


@dataclass(frozen=True)
class Trend:
    """Spearman's rank correlation of the layers' medians with depth."""

    measure: str  # one of `MEASURES`
    layers: int  # that have a median
    rho: float | None  # from −1 to 1; None: fewer than three layers, or all medians are equal
    p: float | None  # how often chance alone would do as much; exact up to `most_ordered` layers

    @property
    def direction(self) -> str | None:
        """Whether the measure "grows", "falls" or "shows no trend" with depth; None if that cannot be told."""
        if self.layers < RULES.fewest:
            return None
        if self.rho is None or self.p is None or abs(self.rho) < RULES.strong or self.p >= RULES.chance:
            return "shows no trend"
        return "grows" if self.rho > 0 else "falls"


@dataclass(frozen=True)
class Depth:
    """All layers of a configuration, and the trends over them."""

    layers: tuple[LayerDepth, ...]
    trends: tuple[Trend, ...]


def layer_depth_spec(layer: str) -> ResultSpec[LayerDepth]:
    """The pictures of a layer; one result a layer, so that a change in one leaves the others measured."""
    return ResultSpec(f"depth-{layer}", 2, LayerDepth, partial(layer_jobs, layer=layer), needs_all=False)


DEPTH = ResultSpec("depth", 3, Depth, map_jobs, needs_all=False)
