"""The public API behind `import atlas`: a target → a `Rendering`, on this machine and without a store."""

import warnings
from functools import lru_cache
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import get_args

import torch
from PIL import Image

from atlas.common.errors import AtlasError, ConfigError, TargetError, WeightsError, did_you_mean
from atlas.inception import targets
from atlas.inception.targets import Target
from atlas.plan.config import BUILT_IN_WEIGHTS, LARGEST_SEED, check_recipe
from atlas.plan.jobs import DEFAULT_SEED, Job
from atlas.plan.recipes import LARGEST_SIZE, InputMap, Octave, Recipe, Transform
from atlas.plan.starts import DRAWN, Photo
from atlas.rendering.numerics import resolve_device, resolve_numerics
from atlas.rendering.renderer import Renderer, Rendering
from atlas.rendering.weights import Weights, is_assumed, load_weights, with_input
from atlas.store.photos import DRAWN_FILE, read_photo
from atlas.studies import load_config

__all__ = [
    "AtlasError",
    "ConfigError",
    "Octave",
    "Recipe",
    "Rendering",
    "Target",
    "TargetError",
    "Transform",
    "Weights",
    "WeightsError",
    "load_weights",
    "render",
]

_ONE_AT_A_TIME = Lock()  # of the threads that call `render`: numerics are settings of the whole process


def render(
    target: str | Target,
    *,
    weights: str | PathLike[str] | Weights = "imagenet",
    weights_input: InputMap | None = None,
    recipe: str | Recipe | None = None,
    start: str | PathLike[str] | None = None,
    seed: int = DEFAULT_SEED,
    size: int | None = None,
    steps: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Rendering:
    """Render one target by gradient descent on an image, as `atlas render` and `atlas dream` do.

    Args:
        target: what to maximise: a :class:`Target`, or text such as ``"Mixed_6b[654]"`` (a feature),
            ``"Mixed_6b[654, 3, :]"`` (a row of its neurons), ``"Mixed_6b[415, 9, 9]"`` (a neuron),
            ``"Mixed_6b[654, :40]"`` (its first 40 neurons in reading order), ``"Mixed_6b[:]"`` (a layer),
            ``"fc[281]"`` (a class, by its log-odds), or a sum of them with ``+``.
        weights: ``"imagenet"``, ``"demo"``, the path of a state dict, or what :func:`load_weights` returned, so that
            a file is not read anew.
        weights_input: input that the weights were trained on, for a picture x in [0, 1]: ``"x"`` or ``"2x-1"``. It
            counts for recipes whose ``input`` is ``"trained"``. Default for a file: ``"2x-1"``, with a warning.
        recipe: how to descend: a :class:`Recipe`, or the name of one of the `article` preset. Default: ``"octaves"``,
            ``"raster"`` for a target with positions, and ``"dream"`` for a photograph.
        start: path of a photograph to start from, or ``"drawn"`` for the picture that ships. Default: seeded noise.
        seed: of the noise and of random sizes, from 0 to 2**63 − 1.
        size: pixels of the picture's shorter side, that is of the last octave. The other octaves keep their ratio to
            it; each must have from 75 to 4096. Default: the recipe's.
        steps: steps of each octave, at least 1. Default: the recipe's.
        device: ``"auto"`` (a CUDA GPU, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        precision: ``"auto"``, ``"fp64"``, ``"fp32"``, ``"tf32"`` or ``"bf16"``.
        threads: of the CPU. Default: its cores.

    Returns:
        The picture, ``.image`` (:class:`PIL.Image.Image`, RGB), and ``.record``: ``.score_start`` and ``.score_shown``,
        the target's mean activation in what it started from and in the picture (of a class: ln(p / (1 − p))),
        ``.status``, which is ``"ok"`` if that rose, and target, recipe, seed, weights and numerics. ``.save(path)``
        writes both into a PNG. Equal arguments give equal bytes on one model of GPU or processor.

    Raises:
        TargetError: not a target, no such layer or feature, or a position outside the feature map.
        WeightsError: weights that cannot be read, or are not InceptionV3's.
        ConfigError: no such recipe, device or precision, a value out of its range, or a file that is no photograph.

    Example:
        >>> rendering = render("Mixed_5b[3]", weights="demo", size=96, steps=2, device="cpu")
        >>> rendering.image.size
        (96, 96)
        >>> rendering.record.target
        'Mixed_5b[3]'
    """
    target = targets.parse(target) if isinstance(target, str) else target
    photos = dict([read_photo(DRAWN_FILE if start == DRAWN else Path(start))] if start is not None else [])
    photo = next(iter(photos), None)
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigError(f"seed {seed}: must be a whole number from 0 to {LARGEST_SEED}")
    job = Job(target, _find_recipe(recipe, target, photo).resized(size, steps), seed, photo)
    longest = max(side for octave in job.sizes for side in octave)
    if longest > LARGEST_SIZE:
        raise ConfigError(f"the picture's longer side would have {longest} px, and {LARGEST_SIZE} are the most")
    if not isinstance(weights, Weights):
        weights = _built_in(weights) if weights in BUILT_IN_WEIGHTS else load_weights(weights)
    if weights_input not in (None, *get_args(InputMap)):
        raise ConfigError(f'weights_input "{weights_input}": {did_you_mean("", get_args(InputMap))}')
    if job.recipe.input == "trained" and is_assumed(weights, weights_input):
        warnings.warn(
            f"weights {weights.id.name}: assuming that they expect 2x - 1 for a picture x in [0, 1]; if they expect x, "
            'say weights_input="x"',
            stacklevel=2,
        )
    job.target.check_classes(len(weights.id.classes), weights.id.name)
    with _ONE_AT_A_TIME:
        renderer, opened = _renderer(weights, weights_input, resolve_device(device), precision, threads)
        opened.update(photos)
        try:
            return renderer.render([job], 1)[0]
        finally:
            opened.clear()


def _find_recipe(recipe: str | Recipe | None, target: Target, photo: Photo | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return check_recipe(recipe)
    default = "dream" if photo else "raster" if target.has_positions else "octaves"
    return load_config().get_recipe(recipe or default, "recipe ")


_built_in = lru_cache(maxsize=1)(load_weights)  # weights that do not change while a program runs


@lru_cache(maxsize=1)
def _renderer(
    weights: Weights, weights_input: InputMap | None, device: torch.device, precision: str, threads: int | None
) -> tuple[Renderer, dict[Photo, Image.Image]]:
    """A renderer, and the photographs that it opens; kept for the next call, since weights take a second to fold."""
    photos: dict[Photo, Image.Image] = {}
    numerics = resolve_numerics(device, precision, threads)
    return Renderer(with_input(weights, weights_input), device, numerics, photos.__getitem__), photos
