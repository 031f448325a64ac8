"""Frames of videos for tests: patterns that say which frame they are, and pictures about as detailed as real ones."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atlas.inception.targets import parse
from atlas.plan.clips import Clip, make_clip
from atlas.plan.config import Config
from atlas.plan.recipes import Recipe
from atlas.store.masters import master_path, write_master
from atlas.store.records import WeightsId
from atlas.store.weights_ids import write_weights_id
from atlas.studies.raster.settings import Settings as RasterSettings
from stores import WEIGHTS, record

BITS = 9
SIDE = 3  # blocks in a row of a pattern
Draw = Callable[[int, int], NDArray[np.uint8]]  # frame and size -> [size, size, 3]


def clip_of(target: str, recipe: Recipe, *, stride: int | None = None, seed: int = 999) -> Clip:
    return make_clip(parse(target), recipe, seed, stride=stride, fps=None, size=None)


def with_videos(config: Config, *targets: str, recipe: Recipe, stride: int | None = None) -> Config:
    """The configuration with these videos, and nothing else beside its features."""
    config = config.only_features()
    raster = replace(
        config.study(RasterSettings), targets=tuple(map(parse, targets)), recipe=recipe.name, stride=stride
    )
    recipes = {**config.recipes, recipe.name: recipe}
    return replace(config, recipes=recipes).with_study(raster)


def put_frames(store: Path, clip: Clip, draw: Draw, *, weights: WeightsId = WEIGHTS) -> list[Path]:
    """Write the masters of all frames of a clip; returns their paths."""
    write_weights_id(store, weights)
    size = clip.recipe.octaves[-1].size
    paths = [master_path(store, weights, frame.job) for frame in clip.frames]
    pictures = [draw(k, size).tobytes() for k in range(len(paths))]
    records = [record(f.job, pixels, weights=weights) for f, pixels in zip(clip.frames, pictures, strict=True)]
    with ThreadPoolExecutor(8) as pool:  # each waits for the disk
        list(pool.map(write_master, paths, pictures, records))
    return paths


def pattern(k: int, size: int) -> NDArray[np.uint8]:
    """The frame's number in black and white blocks, the lowest bit first, on a ground that changes with every frame."""
    bits = np.array([k >> bit & 1 for bit in range(BITS)], np.uint8).reshape(SIDE, SIDE)
    at = np.arange(size) * SIDE // size
    return np.repeat(bits[at][:, at, None] * 255, 3, axis=2)


def read_pattern(picture: Image.Image) -> int:
    """The number that a pattern shows; lines drawn over it do no harm."""
    grey = np.asarray(picture.convert("L"))
    height, width = (side // SIDE for side in grey.shape)
    number = 0
    for bit in range(BITS):
        row, col = divmod(bit, SIDE)
        block = grey[row * height : (row + 1) * height, col * width : (col + 1) * width]
        level = float(np.median(block[height // 4 : -height // 4, width // 4 : -width // 4]))
        assert level < 64 or level > 192, f"block {bit} is neither black nor white: {level}"
        number |= (level > 128) << bit
    return number


class Detailed:
    """A texture that grows in reading order and changes around each new neuron, as wide as a receptive field."""

    def __init__(self, clip: Clip, size: int) -> None:
        random = np.random.default_rng(5)
        self._textures = [_texture(random, size) for _ in range(2)]
        self._turn = np.zeros((size, size, 1))
        self._cells, self._at = clip.cells, np.mgrid[0:size, 0:size]

    def __call__(self, k: int, size: int) -> NDArray[np.uint8]:
        rows, cols = self._cells
        row, col = (k // cols + 0.5) / rows * size, (k % cols + 0.5) / cols * size
        distance = np.hypot(self._at[0] - row, self._at[1] - col)[..., None]
        self._turn += 0.9 * np.exp(-((distance / 70) ** 2))
        seen = np.minimum(1, self._turn)
        one, other = self._textures
        picture = 0.5 + seen * (np.cos(self._turn) * one + np.sin(self._turn) * other)
        return (picture.clip(0, 1) * 255).astype(np.uint8)


def _texture(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Coloured noise without long and very short waves, [size, size, 3]."""
    waves = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))[..., None]
    band = np.exp(-((np.log(waves + 1e-9) - np.log(0.045)) ** 2))
    white = random.normal(size=(size, size, 3)) + random.normal(size=(size, size, 1))  # light and dark, and colours
    noise = np.fft.ifft2(np.fft.fft2(white, axes=(0, 1)) * band, axes=(0, 1)).real
    return noise / noise.std() * 0.3
