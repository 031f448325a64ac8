"""What a site weighs by kind of file, known before anything is rendered, and what it leaves out to fit in a budget.

What a pixel and a page take was measured on renderings of the ImageNet weights (docs/benchmarks/site.md).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
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
SMALL_PICTURE = 192  # pixels of the longer side of a feature's picture, where pictures are made smaller
FEWER_CROPS = 4  # of a feature, where crops are left out

Step = Literal["seeds", "recipes", "crops", "stages", "jpeg", "no-crops", "no-seeds", "pictures"]
STEPS: tuple[Step, ...] = get_args(Step)  # what is left out first: what a visitor misses least
Role = Literal["features", "studies", "recipes", "seeds"]
_WORDS: Mapping[Step, str] = {
    "seeds": "renderings of a feature from several noises are one small strip",
    "recipes": f"renderings by other recipes are at most {THUMB} px wide, and without importance maps",
    "crops": f"only {FEWER_CROPS} top crops of a feature are shown",
    "stages": "strips from noise to picture are left out",
    "jpeg": "JPEG copies, for search results and for browsers that do not read AVIF, are of low quality",
    "no-crops": "top crops are left out",
    "no-seeds": "renderings of a feature from several noises are left out",
    "pictures": f"pictures of features are at most {SMALL_PICTURE} px wide",
}
_ROLES: tuple[Role, ...] = get_args(Role)  # a rendering that has two has the first

# Bytes a pixel
_AVIF, _THUMB_AVIF, _JPEG, _SMALL_JPEG, _IMPORTANCE = 0.24, 0.19, 0.58, 0.25, 0.12
_STAGE = 2_000  # bytes of a stage
_RECORD = 1_700
_PAGE, _DATA = 25_500, 5_500  # of each feature: its page, and its part of other pages, sheets, data and the manifest
_OF_FILE = 1.7 * BLOCK  # that an archive adds to a file: its block, half of one for padding, its part of its folder's
_FIXED = 700_000  # pages of studies, styles and scripts
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
    """A site that is to be written, and what it would weigh."""

    folder: Path
    budget: int | None  # bytes of all files in one archive; None: no limit
    expect: Callable[[tuple[Step, ...]], ExpectedSite]  # what it weighs where so much is left out

    @cached_property
    def expected(self) -> ExpectedSite:
        """The site within its budget."""
        return self.expect(()) if self.budget is None else self.fit(self.budget)

    @cached_property
    def for_pages(self) -> ExpectedSite:
        """The site that GitHub Pages takes; the smallest one, if even that is too large."""
        return self.fit(LARGEST_SITE)

    def fit(self, size: int) -> ExpectedSite:
        """Leave things out in the order of `STEPS` until an archive has at most so many bytes.

        Each step that proves unnecessary then is undone, beginning with the last. What cannot be met is met as nearly
        as possible.
        """
        chain = (self.expect(STEPS[:count]) for count in range(len(STEPS) + 1))
        site = next((site for site in chain if site.packed <= size), self.expect(STEPS))
        for step in reversed(site.left_out):
            fuller = self.expect(tuple(one for one in site.left_out if one != step))
            if fuller.packed <= max(size, site.packed):
                site = fuller
        return site

    def smaller(self, site: ExpectedSite, packed: int) -> ExpectedSite | None:
        """What to try next after a site that turned out to weigh more than the budget; None: nothing is left to try.

        Args:
            site: as it was expected.
            packed: bytes that it has.
        """
        assert self.budget, "without one, nothing weighs more"
        smaller = self.fit(min(site.packed - 1, self.budget * site.packed // packed))
        return smaller if smaller.packed < site.packed else None


def plan_site(config: Config, studies: Sequence[StudyPage], rendered: Collection[Job] | None = None) -> SitePlan:
    """The site of a plan.

    Args:
        config: the plan.
        studies: what is shown beside the features.
        rendered: what the store has of it, features' rescues among it; None: take all that is planned.
    """
    roles = roles_of(config, studies)
    jobs = roles.keys() if rendered is None else rendered
    shapes = Counter(_Shape.of(job, roles.get(job, "features")) for job in jobs)

    @cache
    def expect(left_out: tuple[Step, ...]) -> ExpectedSite:
        return ExpectedSite(left_out, _weigh(config, studies, shapes, left_out))

    return SitePlan(config.site, config.budget, expect)


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


def roles_of(config: Config, studies: Iterable[StudyPage]) -> dict[Job, Role]:
    """What each rendering that pages show is to them."""
    roles: dict[Job, Role] = dict.fromkeys(feature_jobs(config), "features")
    for study in studies:
        for job in study.jobs(config):
            roles[job] = min(roles.get(job, study.role), study.role, key=_ROLES.index)
    return roles


def largest_side(role: Role, left_out: Collection[Step]) -> int | None:
    """Pixels of the longer side of a rendering's large web copy at most; None: as rendered; 0: it has no copies."""
    if role == "seeds" and ("seeds" in left_out or "no-seeds" in left_out):
        return 0
    if role == "recipes" and "recipes" in left_out:
        return THUMB
    return SMALL_PICTURE if role == "features" and "pictures" in left_out else None


class _Shape(NamedTuple):
    """What the bytes of a rendering in a site depend on."""

    role: Role
    size: tuple[int, int]  # (height, width) in pixels
    details: int  # times as many bytes as usual
    stages: int  # in its strip; 0: it has none
    has_map: bool  # of importance

    @classmethod
    def of(cls, job: Job, role: Role) -> "_Shape":
        stages = len(job.recipe.octaves) + 1 if role == "features" and has_stages(job) else 0
        return cls(role, job.sizes[-1], 2 if is_fine(job) else 1, stages, has_importance(job))

    def weights(self, left_out: Collection[Step]) -> Iterator[Weight]:
        """Of the web copies, the record, the strip of stages and the importance map."""
        largest, (height, width) = largest_side(self.role, left_out), self.size
        if largest == 0:
            return
        area, longer = height * width, max(height, width)
        small, large = (area * min(1, side / longer) ** 2 for side in (THUMB, largest or longer))
        size = small * (_THUMB_AVIF + (_SMALL_JPEG if "jpeg" in left_out else _JPEG))
        size += 0 if largest == THUMB else large * _AVIF
        yield Weight(self.role, 3 if largest == THUMB else 4, round(size * self.details) + _RECORD)
        if self.stages and "stages" not in left_out:
            yield Weight("stages", 1, _STAGE * self.stages)
        if self.has_map and (largest is None or largest >= longer):
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
