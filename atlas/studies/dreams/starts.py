"""The photographs of a configuration, from which its dreams start: identified, and kept in the store."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.photos import identify_photo, keep_photo
from atlas.studies.dreams.settings import Settings


def identify_photos(config: Config, say: Callable[[str], None]) -> Config:
    """The configuration with its photographs known; arguments and errors as `identify_photo`."""
    dream = config.study(Settings)
    photos = tuple(replace(named, photo=identify_photo(config.store, named, say)) for named in dream.photos)
    return config.with_study(replace(dream, photos=photos))


def keep_photos(config: Config, jobs: Iterable[Job]) -> None:
    """Put the photographs that jobs start from into the store; errors as `keep_photo`."""
    wanted = {job.start for job in jobs if job.start}
    for named in config.study(Settings).photos:
        if named.photo in wanted:
            keep_photo(config.store, named, named.photo)
