"""Deep dreams: each photograph of a configuration towards each target: `Config` → jobs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atlas.common.errors import ConfigError
from atlas.inception import layers
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.recipes import LARGEST_SIZE, Recipe, octave_size
from atlas.plan.starts import LARGEST_SIDE, Photo, StartPhoto
from atlas.studies.dreams.settings import Settings


@dataclass(frozen=True)
class Dream:
    """A photograph, and the rendering that starts from it."""

    start: StartPhoto
    job: Job
    name: str  # of the photograph in paths of pages; that of no other one
    title: str  # of the photograph for people; that of no other one


def jobs(config: Config) -> tuple[Job, ...]:
    """The renderings of all dreams."""
    return tuple(dream.job for dream in config_dreams(config))


def config_dreams(config: Config) -> tuple[Dream, ...]:
    """The dreams of a configuration whose photographs were identified, photograph by photograph.

    Raises:
        ConfigError: the size is too small for the recipe, or a photograph too long for the size.
    """
    wanted = config.study(Settings)
    if not wanted.photos:
        return ()
    recipe = _sized(config.get_recipe(wanted.recipe), wanted)
    return tuple(
        _dream(start, Job(target, recipe, config.seed, start.photo), name, title)
        for start, name, title in _named(wanted.photos)
        for target in config.within(wanted.targets)
    )


def _sized(recipe: Recipe, wanted: Settings) -> Recipe:
    if wanted.size is None:
        return recipe
    sized = recipe.scaled(wanted.size, octave=-1)
    least = _least(sized)
    if least < layers.MIN_SIZE:
        raise ConfigError(
            f"a dream of {wanted.size} px by the recipe {recipe.name} would begin with {least} px, and "
            f"{layers.MIN_SIZE} are the least that the network takes; ask for a larger size"
        )
    return sized


def _named(starts: Sequence[StartPhoto]) -> Iterator[tuple[StartPhoto, str, str]]:
    """Photographs with their names and titles; the same photograph under the same name once.

    Digits of its hash follow a name that says too little of the file, or that another photograph has as well.
    """
    distinct: dict[tuple[str, Photo | None], StartPhoto] = {}
    for start in starts:
        distinct.setdefault((start.slug.lower(), start.photo), start)
    slugs = Counter(slug for slug, _ in distinct)
    titles = Counter(start.title for start in distinct.values())
    for (slug, photo), start in distinct.items():
        assert photo, "photographs are identified before jobs are made of them"
        digits = photo.sha256[:8]
        is_telling = start.file is None or (slug and slugs[slug] == 1 and start.is_slug_whole)
        name = start.slug if is_telling else f"{start.slug or 'photo'}-{digits}"
        yield start, name, start.title if titles[start.title] == 1 else f"{start.title} ({digits})"


def _dream(start: StartPhoto, job: Job, name: str, title: str) -> Dream:
    assert job.start  # it has one
    largest = max(side for size in job.sizes for side in size)
    if largest > LARGEST_SIZE:
        height, width = job.start.size
        raise ConfigError(
            f"{start.given}: at {width} × {height} px it is so long that the dream's longer side would have {largest} "
            f"px, and {LARGEST_SIZE} are the most; {_way_on(job.start, job.recipe)}"
        )
    return Dream(start, job, name, title)


def _way_on(photo: Photo, recipe: Recipe) -> str:
    """What to do with a photograph that is too long: the smallest dream may be small enough."""
    sizes = (recipe.scaled(size, octave=-1) for size in range(layers.MIN_SIZE, LARGEST_SIDE))
    smallest = next((sized for sized in sizes if _least(sized) >= layers.MIN_SIZE), recipe)
    if all(max(octave_size(photo.size, octave)) <= LARGEST_SIZE for octave in smallest.octaves):
        return "crop it, or ask for a smaller size"
    most = LARGEST_SIZE // max(octave.size for octave in smallest.octaves)
    return f"crop it to at most {most} times as long as wide: no size of the dream is small enough for it as it is"


def _least(recipe: Recipe) -> int:
    return min(octave.size for octave in recipe.octaves)
