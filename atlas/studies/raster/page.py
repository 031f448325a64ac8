"""Raster videos: their list, and a player on the page of each one's feature."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas.inception.layers import receptive_field
from atlas.plan.clips import Clip
from atlas.plan.config import Config
from atlas.site import words
from atlas.site.budget import Weight
from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import HOME, Page, Picture
from atlas.site.pages.parts import make_page
from atlas.site.study_page import Section, StudyPage
from atlas.store.clips import FILES, POSTER, RECORD, SHEET, SHEET_JPEG, VIDEO, ClipRecord, clip_folder, find_clip
from atlas.studies.raster.jobs import config_clips

VIDEOS = f"videos/{HOME}"
FRAME_BYTES = 10_000  # of a frame, in the video and in the sheet


@dataclass(frozen=True)
class Video:
    """A planned video and what the store has of it."""

    clip: Clip
    record: ClipRecord | None  # None: pending

    @property
    def folder(self) -> str:
        """Where its files lie in the site: in its feature's folder."""
        return f"{self.clip.layer}/{self.clip.feature}"

    @property
    def poster(self) -> str | None:
        """Path of its poster in the site."""
        return f"{self.folder}/{POSTER}" if self.record else None


def videos(atlas: Atlas) -> tuple[Video, ...]:
    """The videos of the configuration, in its order; call it by `atlas.once`."""
    store, weights = atlas.config.store, atlas.weights
    return tuple(Video(one, find_clip(store, weights, one) if weights else None) for one in config_clips(atlas.config))


def video_pages(atlas: Atlas) -> Iterator[Page]:
    """The page that lists the videos, if the atlas has any."""
    found = atlas.once(videos)
    if not found:
        return
    features = ", ".join(f"{video.clip.layer} {video.clip.feature}" for video in found)
    description = f"Videos of InceptionV3’s neurons in reading order, each scrubbed on its own grid: {features}."
    title = "Neurons in reading order"
    yield make_page(VIDEOS, "studies/raster.html", title, description, last="Videos", videos=found)


def players(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, object]]:
    """The players of the videos of a layer that the store has, by feature; of two of one feature the first."""
    found: dict[int, dict[str, object]] = {}
    for video in atlas.once(videos):
        if video.record and video.clip.layer == entry.layer.name:
            found.setdefault(video.clip.feature, _player(video, video.record, atlas.weights_option))
    return found


def video_files(atlas: Atlas) -> Iterator[tuple[str, Path]]:
    """The files of all videos that the store has: path in the site, and in the store."""
    for video in atlas.once(videos):
        if video.record and atlas.weights:
            folder: Path = clip_folder(atlas.config.store, atlas.weights, video.clip)
            for name in (*FILES, RECORD):
                yield f"{video.folder}/{name}", folder / name


def _player(video: Video, record: ClipRecord, weights_option: str) -> dict[str, object]:
    """A video of neurons in reading order, to be scrubbed on its own grid; places are in the video's pixels."""
    clip = video.clip
    field = receptive_field(clip.layer, clip.feature)
    scale = record.frame_size[0] / clip.recipe.first_size[0]  # positions belong to the recipe's first size
    facts = {  # for the script
        "layer": clip.layer,
        "feature": clip.feature,
        "grid": clip.grid,  # (rows, cols) of neurons
        "cells": clip.cells,  # (rows, cols) of frames
        "stride": clip.stride,
        "fps": clip.fps,
        "picture": record.frame_size[::-1],  # (width, height) of the frames inside the video
        "field": [edge * scale for edge in field.box(0, 0)],  # (top, left, bottom, right) of neuron (0, 0)'s
        "jump": field.jump * scale,  # from one neuron to the next
    }
    return {
        "clip": clip,
        "record": record,
        "facts": facts,
        "video": f"{video.folder}/{VIDEO}",
        "poster": video.poster,
        "json": f"{video.folder}/{RECORD}",
        "sheet": Picture(f"{video.folder}/{SHEET}", f"{video.folder}/{SHEET_JPEG}", *record.sheet_size[::-1]),
        "bytes": record.files[VIDEO].bytes,
        "command": words.raster_command(clip, weights_option),
        "toml": words.own_toml(clip.recipe),
    }


def video_weights(config: Config, _: object) -> Iterator[Weight]:
    """What the videos weigh: each with its poster, its sheet of frames and its record."""
    clips = config_clips(config)
    yield Weight("videos", 6 * len(clips), FRAME_BYTES * sum(len(clip.frames) for clip in clips))


PAGE = StudyPage(
    pages=video_pages,
    section=Section("studies/raster_section.html", players, comes_last=True, script="raster.js"),
    home=("studies/raster_home.html", lambda atlas: atlas.once(videos)),
    recipes=lambda config: (clip.recipe for clip in config_clips(config)),
    files=video_files,
    weighs=video_weights,
)
