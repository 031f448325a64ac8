"""What a site weighs by kind of file, known before anything is rendered, and what it leaves out to fit in a budget.

The bytes a pixel were measured on renderings of the ImageNet weights (docs/benchmarks/site.md).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, get_args

from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs
from atlas.site.copies import is_fine
from atlas.site.models import REGION_COLUMNS, THUMB
from atlas.site.study_page import StudyPage
from atlas.store.importance import has_importance
from atlas.store.stages import has_stages

LARGEST_SITE = 1_000_000_000  # bytes of the archive that GitHub Pages takes
BLOCK = 512  # bytes of a tar archive: each file and folder has one, and the content of files is padded to whole ones
SMALL_PICTURE = 256  # pixels of the longer side of a feature's picture, where pictures are made smaller
FEWER_CROPS = 4  # of a feature, where crops are left out

Step = Literal["seeds", "recipes", "crops", "stages", "jpeg", "no-crops", "no-seeds", "pictures"]
STEPS: tuple[Step, ...] = get_args(Step)  # what is left out first: what a visitor misses least
Kind = Literal["features", "studies", "recipes", "seeds"]
_WORDS: Mapping[Step, str] = {
    "seeds": "renderings of a feature from several noises are one small strip",
    "recipes": f"renderings by other recipes are at most {THUMB} px wide",
    "crops": f"only {FEWER_CROPS} top crops of a feature are shown",
    "stages": "strips from noise to picture are left out",
    "jpeg": "JPEG copies, for browsers that do not read AVIF, are of low quality",
    "no-crops": "top crops are left out",
    "no-seeds": "renderings of a feature from several noises are left out",
    "pictures": f"pictures of features are at most {SMALL_PICTURE} px wide",
}
_KINDS: tuple[Kind, ...] = get_args(Kind)  # a rendering that is of two is of the first

# Bytes a pixel; of fine pictures twice as many.
_AVIF, _THUMB_AVIF, _JPEG, _SMALL_JPEG, _IMPORTANCE = 0.24, 0.19, 0.58, 0.25, 0.12
_STAGE = 2_000  # bytes of a stage
_RECORD = 1_700
_PAGE, _DATA = 25_500, 5_500  # of each feature: its page, and its part of other pages, sheets, data and the manifest
_OF_FILE = 1.7 * BLOCK  # that an archive adds to a file: its block, half of one for padding, its part of its folder's
_FIXED = 1_000_000  # pages of studies, styles and scripts
_OF_REGION = 7_400  # of a feature in the sheets of regions


class Weight(NamedTuple):
    """What files of one kind weigh."""

    kind: str
    files: int
    bytes: int


@dataclass(frozen=True)
class ExpectedSite:
    """What a site is expected to weigh."""

    left_out: tuple[Step, ...]  # what it leaves out or makes smaller
    weights: tuple[Weight, ...]  # by kind of file

    @property
    def files(self) -> int:
        """Number of files."""
        return sum(one.files for one in self.weights)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(one.bytes for one in self.weights)

    @property
    def packed(self) -> int:
        """Bytes of all files in one archive, which is what a budget is about."""
        return self.bytes + round(_OF_FILE * self.files)


@dataclass(frozen=True)
class SitePlan:
    """A site that is to be written."""

    folder: Path
    budget: int | None  # bytes of all files in one archive; None: no limit
    expected: ExpectedSite  # as the budget asks for
    smaller: tuple[ExpectedSite, ...]  # which leave out more and more, if it turns out to weigh more than the budget
    for_pages: ExpectedSite  # as GitHub Pages would ask for; the smallest one, if even that is too large


def plan_site(config: Config, studies: Sequence[StudyPage]) -> SitePlan:
    """What the site of a plan weighs, and what it leaves out to fit in its budget.

    Things are left out in the order of `STEPS` until it fits. Then those that need not have been left out are put
    back, the last one first.

    Args:
        config: the plan.
        studies: what is shown beside the features.
    """
    shapes = Counter(_Shape.of(job, kind) for job, kind in kinds_of(config, studies).items())

    def expect(left_out: Iterable[Step]) -> ExpectedSite:
        return ExpectedSite(steps := tuple(left_out), _weigh(config, studies, shapes, steps))

    chain = [expect(STEPS[:count]) for count in range(len(STEPS) + 1)]

    def fit(budget: int) -> ExpectedSite:
        site = next((site for site in chain if site.packed <= budget), chain[-1])
        for step in reversed(site.left_out):
            fuller = expect(one for one in site.left_out if one != step)
            if fuller.packed <= max(budget, site.packed):
                site = fuller
        return site

    expected = chain[0] if config.budget is None else fit(config.budget)
    smaller = [site for site in chain if site.packed < expected.packed]
    return SitePlan(config.site, config.budget, expected, tuple(smaller), fit(LARGEST_SITE))


def packed_bytes(sizes: Mapping[str, int]) -> int:
    """Bytes of files in one tar archive, as which GitHub Pages deploys them.

    Args:
        sizes: of each file in bytes, by path.
    """
    folders = {folder for path in sizes for folder in PurePosixPath(path).parents}
    return BLOCK * (len(folders) + sum(1 + ceil(size / BLOCK) for size in sizes.values()))


def words_of(left_out: Collection[Step]) -> list[str]:
    """What a site leaves out or makes smaller, in words."""
    return [_WORDS[step] for step in left_out if f"no-{step}" not in left_out]


def kinds_of(config: Config, studies: Iterable[StudyPage]) -> dict[Job, Kind]:
    """What each rendering that pages show is to them."""
    kinds: dict[Job, Kind] = dict.fromkeys(feature_jobs(config), "features")
    for study in studies:
        for job in study.jobs(config):
            kinds[job] = min(kinds.get(job, study.kind), study.kind, key=_KINDS.index)
    return kinds


def largest_side(kind: Kind, left_out: Collection[Step]) -> int | None:
    """Pixels of the longer side of a rendering's large web copy at most; None: as rendered; 0: it has no copies."""
    if kind == "seeds" and "seeds" in left_out:
        return 0
    if kind == "recipes" and "recipes" in left_out:
        return THUMB
    return SMALL_PICTURE if kind == "features" and "pictures" in left_out else None


class _Shape(NamedTuple):
    """What the bytes of a rendering in a site depend on."""

    kind: Kind
    size: tuple[int, int]  # (height, width) in pixels
    is_fine: bool
    stages: int
    has_importance: bool

    @classmethod
    def of(cls, job: Job, kind: Kind) -> "_Shape":
        stages = len(job.recipe.octaves) + 1 if kind == "features" and has_stages(job) else 0
        return cls(kind, job.sizes[-1], is_fine(job), stages, has_importance(job))

    def weights(self, left_out: Collection[Step]) -> Iterator[Weight]:
        """Of the web copies, the record, the strip of stages and the importance map."""
        largest, (height, width) = largest_side(self.kind, left_out), self.size
        if largest == 0:
            return
        area, longer = height * width, max(height, width)
        small, large = (area * min(1, side / longer) ** 2 for side in (THUMB, largest or longer))
        size = small * (_THUMB_AVIF + (_SMALL_JPEG if "jpeg" in left_out else _JPEG))
        size += 0 if largest == THUMB else large * _AVIF
        yield Weight(self.kind, 3 if largest == THUMB else 4, round(size * (2 if self.is_fine else 1)) + _RECORD)
        if self.stages and "stages" not in left_out:
            yield Weight("stages", 1, _STAGE * self.stages)
        if self.has_importance and largest is None:
            yield Weight("importance maps", 1, round(_IMPORTANCE * area))


def _weigh(
    config: Config, studies: Iterable[StudyPage], shapes: Mapping[_Shape, int], left_out: tuple[Step, ...]
) -> tuple[Weight, ...]:
    found = [
        Weight(kind, count * files, count * size)
        for shape, count in shapes.items()
        for kind, files, size in shape.weights(left_out)
    ]
    found += (weight for study in studies for weight in study.weighs(config, left_out))
    counts = [len(config.features_of(layer)) for layer in config.layers]
    found.append(Weight("pages and data", sum(counts), _FIXED + sum(counts) * (_PAGE + _DATA)))
    found.append(Weight("pages and data", 0, _OF_REGION * sum(min(REGION_COLUMNS, count) for count in counts)))
    sums: dict[str, tuple[int, int]] = {}
    for kind, files, size in found:
        before = sums.get(kind, (0, 0))
        sums[kind] = before[0] + files, before[1] + size
    return tuple(Weight(kind, files, size) for kind, (files, size) in sums.items() if files)
