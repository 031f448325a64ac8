"""The colours of the first layer's renderings, beside its kernels."""

from dataclasses import dataclass
from functools import partial

from atlas.store.results import ResultSpec
from atlas.studies.palette.jobs import palette_jobs

Rgb = tuple[float, float, float]  # sRGB as stored, each in [0, 1]
Slopes = tuple[tuple[float, ...], ...]  # 3 rows of 3 weights


@dataclass(frozen=True)
class Swatch:
    """A dominant colour."""

    colour: Rgb
    share: float  # of the pixels


@dataclass(frozen=True)
class PaletteFeature:
    """A kernel and the colours of its rendering."""

    feature: int
    kernel: tuple[Slopes, Slopes, Slopes]  # folded weights of red, green and blue
    open: float  # share of the neurons whose ReLU is open at the start noise
    had_gradient: bool  # False: nothing moved its picture, which says nothing about the kernel
    mean: Rgb  # of all pixels
    inner: Rgb  # of the pixels away from the border
    phases: tuple[tuple[Rgb, Rgb], tuple[Rgb, Rgb]]  # mean of the pixels at even or odd rows, and columns
    dominant: tuple[Swatch, ...]  # the largest share first


@dataclass(frozen=True)
class Peak:
    """The strongest local maximum of a spectrum of luminance."""

    rows: float  # cycles per pixel downwards, 0 to 0.5
    cols: float  # and to the right
    strength: float  # its power over the median one


@dataclass(frozen=True)
class Palette:
    """The first layer's features by one recipe."""

    recipe: str
    size: int  # pixels of a picture's side
    features: tuple[PaletteFeature, ...]
    peak: Peak | None  # of the mean spectrum of pictures that had a gradient; None: it has no local maximum


def palette_spec(recipe: str) -> ResultSpec[Palette]:
    """The colours by one recipe."""
    return ResultSpec(f"palette-{recipe}", 2, Palette, partial(palette_jobs, recipe=recipe))
