"""Raster videos: feature and recipe → `Clip`, the frames in reading order and the job of each."""

from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import prod
from pathlib import PurePosixPath

from atlas.common.errors import TargetError
from atlas.inception import layers
from atlas.inception.architecture import Size
from atlas.inception.targets import Prefix, Target, Term, feature_target
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe

MOST_FRAMES = 400  # of a video whose stride is not given


@dataclass(frozen=True)
class Frame:
    """One picture of a video: the prefix that ends with a cell's last neuron."""

    cell: Size  # (row, col)
    neuron: Size  # (row, col) of the last neuron
    job: Job


@dataclass(frozen=True)
class Clip:
    """A raster video of one feature (the article's reading-order videos).

    The feature map is divided into cells of stride × stride neurons, those at the right and lower edge cut off where
    the map ends. Frame by frame, in reading order of the cells, the target is the prefix that ends with the cell's last
    neuron. With stride 1 frame k, from 1, is the target `[f, :k]`; the last frame is always the whole feature map.
    """

    layer: str
    feature: int
    recipe: Recipe
    seed: int
    stride: int
    fps: int

    @property
    def grid(self) -> Size:
        """(rows, cols) of neurons."""
        return layers.grid(self.layer, self.recipe.first_size)

    @property
    def cells(self) -> Size:
        """(rows, cols) of cells: a frame each."""
        return _cells(self.grid, self.stride)

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """The frames in reading order."""
        rows, cols = self.cells
        return tuple(self._frame(row, col) for row in range(rows) for col in range(cols))

    @property
    def path(self) -> PurePosixPath:
        """Folder of its files under its weights' folder; different for different clips."""
        whole = Job(feature_target(self.layer, self.feature), self.recipe, self.seed).path
        return whole.parent / f"{whole.stem}_video-{self.stride}-{self.fps}"

    def _frame(self, row: int, col: int) -> Frame:
        rows, cols = self.grid
        last_row = min((row + 1) * self.stride, rows) - 1
        last_col = min((col + 1) * self.stride, cols) - 1
        prefix = Prefix(last_row * cols + last_col + 1)
        target = Target((Term(self.layer, self.feature, prefix),))
        return Frame((row, col), (last_row, last_col), Job(target, self.recipe, self.seed))


def make_clip(
    target: Target, recipe: Recipe, seed: int, *, stride: int | None, fps: int | None, size: int | None
) -> Clip:
    """Plan a video.

    Args:
        target: one whole feature.
        recipe: by which every frame is rendered.
        seed: of the noise that every frame starts from.
        stride: neurons from one frame to the next; None: the least that leaves at most 400 frames.
        fps: frames a second; None: a row of cells a second.
        size: pixels to render at; None: the recipe's own.

    Raises:
        TargetError: the target is not one whole feature, or the stride is wider than the grid.
    """
    if not target.is_feature or target.is_class:
        raise TargetError(f'a video is of one whole feature, such as "Mixed_6b[654]", and not of "{target}"')
    term = target.terms[0]
    assert term.feature is not None
    recipe = recipe if size is None else recipe.scaled(size)
    grid = layers.grid(term.layer, recipe.first_size)
    if stride and stride > max(grid):
        raise TargetError(f"a stride of {stride} neurons, and the grid of {term.layer} is {grid[0]}×{grid[1]}")
    stride = stride or next(stride for stride in count(1) if prod(_cells(grid, stride)) <= MOST_FRAMES)
    return Clip(term.layer, term.feature, recipe, seed, stride, fps or _cells(grid, stride)[1])


def _cells(grid: Size, stride: int) -> Size:
    return -(-grid[0] // stride), -(-grid[1] // stride)
