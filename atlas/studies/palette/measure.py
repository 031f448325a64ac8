"""The first layer's colours: kernels, renderings and the start noise → measured colours (needs the network)."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from PIL import Image

from atlas.plan.config import Config
from atlas.rendering.model import fold
from atlas.studies.palette.jobs import palette_jobs
from atlas.studies.palette.result import Palette, PaletteFeature, Rgb, Swatch, palette_spec
from atlas.studies.palette.settings import LAYER, Settings
from atlas.studies.palette.spectrum import luminance, mean_spectrum, strongest_peak
from atlas.studies.shared.context import MeasureContext, Measurement, to_tensor
from atlas.studies.shared.maps import Array

DOMINANT = 4  # colours of a picture
BORDER = 1 / 8  # of the picture's side


def measurements(config: Config) -> Iterator[Measurement]:
    """The colours by each recipe."""
    for recipe in config.study(Settings).recipes:
        yield Measurement(palette_spec(recipe), partial(measure_palette, recipe=recipe))


def measure_palette(context: MeasureContext, recipe: str) -> Palette:
    """Measure the first layer's features by one recipe."""
    jobs = palette_jobs(context.config, recipe)
    pictures = [context.picture(job) for job in jobs]
    kernels = fold(context.renderer.weights.tensors, LAYER)[0].tolist()  # [32, 3, 3, 3]: feature, colour, row, col
    start = to_tensor(context.start(jobs[0]))[None]  # [1, 3, H, W]
    is_open = context.activations(LAYER, start, jobs[0].recipe.input, lambda maps: (maps > 0).double())
    opened = is_open.mean((0, 2, 3)).tolist()  # [1, 32, rows, cols] -> [32]: share of the neurons, at the start noise
    had_gradient = [context.results.status(job) != "no_gradient" for job in jobs]
    features = (
        PaletteFeature(
            feature=feature,
            kernel=kernels[feature],
            open=opened[feature],
            had_gradient=had_gradient[feature],
            mean=mean_colour(picture),
            inner=mean_colour(inner(picture)),
            phases=phase_colours(picture),
            dominant=dominant_colours(picture),
        )
        for feature, picture in enumerate(pictures)
    )
    moved = [luminance(picture) for picture, had in zip(pictures, had_gradient, strict=True) if had]
    peak = strongest_peak(mean_spectrum(moved)) if moved else None
    return Palette(recipe, pictures[0].shape[0], tuple(features), peak)


def mean_colour(pixels: Array) -> Rgb:
    """Mean of pixels, [..., 3] -> red, green and blue."""
    red, green, blue = pixels.reshape(-1, 3).mean(axis=0).tolist()
    return red, green, blue


def inner(picture: Array) -> Array:
    """The picture without its border, [H, W, 3] -> [H', W', 3]."""
    height, width = (round(BORDER * side) for side in picture.shape[:2])
    return picture[height:-height, width:-width]


def phase_colours(picture: Array) -> tuple[tuple[Rgb, Rgb], tuple[Rgb, Rgb]]:
    """Mean colours of the pixels at even and odd rows, and in each at even and odd columns, of [H, W, 3]."""
    even, odd = ((mean_colour(picture[row::2, 0::2]), mean_colour(picture[row::2, 1::2])) for row in (0, 1))
    return even, odd


def dominant_colours(picture: Array) -> tuple[Swatch, ...]:
    """At most four colours and their shares, the largest first: Pillow's median cut, refined by its k-means.

    Args:
        picture: [H, W, 3] in [0, 1].
    """
    image = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    reduced = image.quantize(DOMINANT, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    palette = reduced.getpalette() or []
    pixels = picture.shape[0] * picture.shape[1]
    found = []
    counted = [(count, at) for at, count in enumerate(reduced.histogram()) if count]
    for count, at in sorted(counted, reverse=True):
        red, green, blue = (value / 255 for value in palette[3 * at : 3 * at + 3])
        found.append(Swatch((red, green, blue), count / pixels))
    return tuple(found)
