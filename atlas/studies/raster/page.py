"""The list of all videos."""

from dataclasses import dataclass

from atlas.site.catalogue import Atlas
from atlas.site.models import Link, Page, VideoCard
from atlas.site.pages.parts import HOME_LINK, VIDEOS, video_cards


@dataclass(frozen=True)
class VideosBody:
    """The list of all videos."""

    cards: tuple[VideoCard, ...]


def video_pages(atlas: Atlas) -> list[Page]:
    """The page that lists the videos, if the atlas has any."""
    if not atlas.videos:
        return []
    features = ", ".join(f"{video.clip.layer} {video.clip.feature}" for video in atlas.videos)
    description = f"Videos of InceptionV3’s neurons in reading order, each scrubbed on its own grid: {features}."
    crumbs = (HOME_LINK, Link("Videos", None))
    return [
        Page(
            path=VIDEOS,
            template="studies/raster.html",
            title="Neurons in reading order",
            description=description,
            crumbs=crumbs,
            body=VideosBody(video_cards(atlas)),
        )
    ]
