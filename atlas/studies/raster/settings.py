"""The list of raster videos."""

from dataclasses import dataclass, replace

from atlas.inception import layers
from atlas.inception.targets import Target, Term
from atlas.plan.reading import Reader

LARGEST_FPS = 120
LARGEST_STRIDE = 149  # neurons: the side of the largest grid
LARGEST_SIZE = 4096  # pixels


@dataclass(frozen=True)
class RasterList:
    """Features of which there is a video of neurons in reading order."""

    targets: tuple[Target, ...]  # whole features
    recipe: str
    fps: int | None = None  # frames a second; None: a row of the grid a second
    stride: int | None = None  # neurons from one frame to the next; None: the least that leaves at most 400 frames
    size: int | None = None  # pixels to render at; None: the recipe's own

    @property
    def terms(self) -> tuple[Term, ...]:
        """What it names."""
        return tuple(term for target in self.targets for term in target.terms)

    def emptied(self) -> "RasterList":
        """The same settings with nothing listed."""
        return replace(self, targets=())


def read_raster(reader: Reader, base: RasterList | None) -> RasterList:
    """Read the table [raster]."""
    return RasterList(
        targets=reader.features("targets", base.targets if base else None),
        recipe=reader.one_size_recipe(base.recipe if base else None),
        fps=reader.optional("fps", base.fps if base else None, least=1, most=LARGEST_FPS),
        stride=reader.optional("stride", base.stride if base else None, least=1, most=LARGEST_STRIDE),
        size=reader.optional("size", base.size if base else None, least=layers.MIN_SIZE, most=LARGEST_SIZE),
    )
