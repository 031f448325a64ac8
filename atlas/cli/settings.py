"""Flags of the command line → what to make and how to run: `Config`, videos, dreams, `RunOptions`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atlas.cli.groups import Choice, Place, Running, Source
from atlas.common.errors import ConfigError, did_you_mean
from atlas.inception import layers as network
from atlas.inception.targets import parse
from atlas.plan import config as configuration
from atlas.plan.clips import Clip
from atlas.plan.config import Config
from atlas.plan.starts import DRAWN
from atlas.studies import load_config
from atlas.studies.dreams.settings import Settings as DreamsSettings
from atlas.studies.dreams.settings import name_photos
from atlas.studies.examples.settings import Settings as ExamplesSettings
from atlas.studies.raster.jobs import config_clips
from atlas.studies.raster.settings import Settings as RasterSettings

if TYPE_CHECKING:  # needs torch
    from atlas.runs import RunOptions

EXECUTORS = ("plain", "ray")


def read_settings(source: Source, choice: Choice = Choice(), place: Place = Place()) -> Config:  # noqa: B008  # frozen
    """The configuration with the flags put in."""
    return configuration.override(
        load_config(source.config),
        layer_names=choice.layers,
        features=choice.features,
        features_only=choice.features_only,
        recipe=choice.recipe,
        weights=source.weights,
        weights_input=source.weights_input,
        seed=source.seed,
        store=source.store,
        site=place.out,
        base_url=place.base_url,
    )


def chosen_clips(
    settings: Config,
    targets: list[str] | None,
    recipe: str | None,
    fps: int | None,
    stride: int | None,
    size: int | None,
) -> tuple[Clip, ...]:
    """The videos of targets, or of the configuration, with the flags put in."""
    wanted = settings.study(RasterSettings)
    wanted = replace(
        wanted,
        targets=tuple(dict.fromkeys(parse(text) for text in targets)) if targets else wanted.targets,
        recipe=settings.get_recipe(recipe, "--recipe ").name if recipe is not None else wanted.recipe,
        fps=fps or wanted.fps,
        stride=stride or wanted.stride,
        size=size or wanted.size,
    )
    layers = {target.deepest for target in wanted.targets} if targets else settings.layers
    clips = config_clips(replace(settings.with_study(wanted), layers=tuple(layers)))
    if not clips:
        raise ConfigError(
            'the configuration names no videos: name a feature, such as "Mixed_6b[654]", or list some in '
            "[raster] targets"
        )
    return clips


def with_pictures(settings: Config, folder: Path | None, drawn: bool, size: int | None) -> Config:
    """The configuration with these pictures, or its own."""
    if folder and drawn:
        raise ConfigError("FOLDER and --drawn exclude each other: look at a folder, or at what the project draws")
    wanted = settings.study(ExamplesSettings)
    if folder or drawn:
        wanted = replace(wanted, folder=folder or DRAWN)
    return settings.with_study(replace(wanted, size=size or wanted.size))


def with_dreams(
    settings: Config, photos: list[str] | None, targets: list[str] | None, recipe: str | None, size: int | None
) -> Config:
    """The configuration with these dreams, or its own, and the flags put in."""
    wanted = settings.study(DreamsSettings)
    wanted = replace(
        wanted,
        photos=name_photos(photos) if photos else wanted.photos,
        targets=tuple(dict.fromkeys(parse(text) for text in targets)) if targets else wanted.targets,
        recipe=settings.get_recipe(recipe, "--recipe ").name if recipe is not None else wanted.recipe,
        size=size or wanted.size,
    )
    named = {term.layer for target in wanted.targets for term in target.terms}
    layers = tuple(layer.name for layer in network.LAYERS if layer.name in named) if targets else settings.layers
    return with_photos(replace(settings.with_study(wanted), layers=layers))


def with_photos(settings: Config) -> Config:
    """The configuration with its photographs known."""
    from atlas.studies.dreams.starts import identify_photos

    return identify_photos(settings, lambda line: typer.echo(line, err=True))


def run_options(
    running: Running, *, shard: tuple[int, int] | None = None, fine: bool = False, fit_batches: bool = False
) -> "RunOptions":
    """How to run.

    Raises:
        ConfigError: no such executor or batch size, or flags that belong to another executor.
    """
    from atlas.runs import RunOptions  # which needs torch

    if running.executor not in EXECUTORS:
        raise ConfigError(f'--executor "{running.executor}": {did_you_mean(running.executor, EXECUTORS)}')
    if running.executor == "plain" and (running.address, running.gpus_per_task) != (None, None):
        raise ConfigError("--address and --gpus-per-task belong to --executor ray: say that too, or leave them out")
    flags = {**asdict(running), "batch_size": read_rows(running.batch_size)}
    return RunOptions(**flags, shard=shard, fine=fine, fit_batches=fit_batches)


def read_rows(text: str) -> int | None:
    """How many rows a batch has; None for "auto".

    Raises:
        ConfigError: neither that nor a number from 1 to 4096.
    """
    return None if text == "auto" else read_batch_size(text)


def read_batch_size(text: str) -> int:
    """A number of rows.

    Raises:
        ConfigError: not a number from 1 to 4096.
    """
    is_number = text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= 4096
    if not is_number:
        raise ConfigError(f'--batch-size "{text}": allowed: auto, or a number from 1 to 4096')
    return int(text)


def read_batch_sizes(text: str) -> tuple[int, ...]:
    """Numbers of rows, separated by commas; none for "auto"."""
    return () if text == "auto" else tuple(read_batch_size(part) for part in text.split(","))
