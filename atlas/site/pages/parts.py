"""What several pages are made of: exhibits → tiles and pictures, links before and after, and the paths of pages."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from atlas.inception import layers
from atlas.site import words
from atlas.site.catalogue import Atlas, Exhibit, Feature, Video
from atlas.site.copies import fit
from atlas.site.models import Again, Link, Outcome, Picture, Player, Shot, Tile, VideoCard
from atlas.site.pictures import THUMB
from atlas.store import clips
from atlas.studies.dreams.jobs import Dream

HOME = "index.html"
METHOD = "method/index.html"
VIDEOS = "videos/index.html"
MISSING = "404.html"
FEATURES_A_PAGE = 64

Entry = TypeVar("Entry")
Around = tuple[Link | None, Link | None]
HOME_LINK = Link("Home", HOME)


def region_link(slug: str) -> Link:
    """A link to a region's page."""
    return Link(layers.get_region(slug).title, f"region/{slug}/{HOME}")


def layer_page(name: str, at: int) -> str:
    """Path of a page of a layer's features, counted from 1."""
    return f"{name}/{HOME}" if at == 1 else f"{name}/page/{at}/{HOME}"


def dream_page(dream: Dream) -> str:
    """Path of a dream's page: `dreams/<photograph>-<target>/index.html`."""
    return f"dreams/{dream.name}-{dream.job.target.slug}/{HOME}"


def tile_of(feature: Feature) -> Tile:
    """A feature in a grid."""
    thumb = thumb_of(feature.face)
    return Tile(
        feature.page, feature.layer, feature.number, feature.status, thumb, is_rescued=feature.rescued is not None
    )


def thumb_of(exhibit: Exhibit) -> Picture | None:
    """The small web copy; None while it is pending."""
    return _copy_of(exhibit, "thumb.avif", THUMB)


def picture_of(exhibit: Exhibit) -> Picture | None:
    """The large web copy; None while it is pending."""
    record = exhibit.record
    return _copy_of(exhibit, "picture.avif", max(record.width, record.height)) if record else None


def shot_of(exhibit: Exhibit, words: str, *, alt: str = "", page: str | None = None) -> Shot:
    """A picture among others."""
    return Shot(words, picture_of(exhibit), alt or f"Rendering of {exhibit.job.target}.", page)


def outcome_of(exhibit: Exhibit) -> Outcome:
    """How a rendering came out."""
    record = exhibit.record
    return Outcome(
        recipe=exhibit.job.recipe.name,
        status=exhibit.status,
        score_start=record.score_start if record else None,
        score_shown=record.score_shown if record else None,
        json=f"{exhibit.folder}/record.json" if record else None,
    )


def _copy_of(exhibit: Exhibit, name: str, largest: int) -> Picture | None:
    if exhibit.record is None:
        return None
    width, height = fit((exhibit.record.width, exhibit.record.height), largest)
    return Picture(f"{exhibit.folder}/{name}", f"{exhibit.folder}/thumb.jpg", width, height)


def video_cards(atlas: Atlas) -> tuple[VideoCard, ...]:
    """All planned videos, in the configuration's order."""
    return tuple(_video_card(video) for video in atlas.videos)


def _video_card(video: Video) -> VideoCard:
    clip, record = video.clip, video.record
    rows, cols = clip.grid
    return VideoCard(
        page=f"{video.folder}/{HOME}",
        layer=clip.layer,
        number=clip.feature,
        grid=f"{rows} × {cols}",
        frames=len(clip.frames),
        stride=clip.stride,
        poster=f"{video.folder}/{clips.POSTER}" if record else None,
        size=(record.video_size[1], record.video_size[0]) if record else (1, 1),
    )


def player_of(video: Video, weights_option: str) -> Player:
    """The player of a video that the store has."""
    clip, record = video.clip, video.record
    assert record  # asked for what is shown
    field = layers.receptive_field(clip.layer, clip.feature)
    scale = record.frame_size[0] / clip.recipe.first_size[0]  # positions belong to the recipe's first size
    sheet_height, sheet_width = record.sheet_size
    return Player(
        layer=clip.layer,
        number=clip.feature,
        video=f"{video.folder}/{clips.VIDEO}",
        poster=f"{video.folder}/{clips.POSTER}",
        json=f"{video.folder}/{clips.RECORD}",
        sheet=Picture(f"{video.folder}/{clips.SHEET}", f"{video.folder}/{clips.SHEET_JPEG}", sheet_width, sheet_height),
        bytes=record.files[clips.VIDEO].bytes,
        size=(record.video_size[1], record.video_size[0]),
        picture=(record.frame_size[1], record.frame_size[0]),
        grid=clip.grid,
        cells=clip.cells,
        stride=clip.stride,
        fps=clip.fps,
        frames=len(clip.frames),
        field=tuple(edge * scale for edge in field.box(0, 0)),
        jump=field.jump * scale,
        recipe=clip.recipe.name,
        command=words.raster_command(clip, weights_option),
        toml=None if words.is_preset(clip.recipe) else words.toml(clip.recipe),
    )


def again_of(exhibit: Exhibit, weights_option: str) -> Again:
    """How to make an exhibit, or to make it again."""
    record, recipe = exhibit.record, exhibit.job.recipe
    return Again(
        command=words.command(exhibit.job, record, weights_option),
        toml=None if words.is_preset(recipe) else words.toml(recipe),
        record=record,
        json=f"{exhibit.folder}/record.json" if record else None,
    )


def neighbours(items: Sequence[Entry], at: int, link: Callable[[Entry], Link]) -> Around:
    """Links to the item before and to the one after."""
    before = link(items[at - 1]) if at else None
    after = link(items[at + 1]) if at + 1 < len(items) else None
    return before, after
