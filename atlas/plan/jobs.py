"""The plan: which renderings, in which order and at what cost: `Config` → jobs → batches → rounds."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import reduce
from pathlib import PurePosixPath

from atlas.common.errors import ConfigError, TargetError
from atlas.inception import layers, targets
from atlas.inception.architecture import Size
from atlas.inception.targets import Target
from atlas.plan.config import Config
from atlas.plan.recipes import Recipe, octave_size
from atlas.plan.starts import Photo, shorten

DEFAULT_SEED = 999  # the article's; any other is spelled in a master's path
PNG_BYTES_PER_PIXEL = 1.95  # measured on renderings: about 276 KB at 380 px

# Rows in a batch, fixed, so that a rendering's numerics depend neither on a stopwatch nor on what else runs.
_BATCH_SIZES = {  # measured
    "cpu": {"entry-convolutions": 2, "early-mixed": 4, "middle-mixed": 4, "late-mixed": 4},
    "mps": {"entry-convolutions": 4, "early-mixed": 8, "middle-mixed": 8, "late-mixed": 8},
}
# On CUDA by the memory of the card as well: the least bytes in all. Computed, not measured: a row at 380 px takes up to
# 54, 83, 114 and 122 MB in the four regions (float32: what autograd keeps, and twice the largest map for gradients). A
# card holds four times a batch, beside 0.7 GB for weights and CUDA itself: torch keeps the memory of a plain
# step, and that of CUDA graphs of three sizes. More memory gives no more rows: `make atlas` renders 16 features of a
# layer, and in batches of 32 they would be twice the work.
_CUDA_BATCH_SIZES = (
    (15 * 10**9, {"entry-convolutions": 16, "early-mixed": 16, "middle-mixed": 16, "late-mixed": 16}),  # sold as 16 GB
    (7.5 * 10**9, {"entry-convolutions": 16, "early-mixed": 16, "middle-mixed": 8, "late-mixed": 8}),  # 8 GB
    (0, {"entry-convolutions": 8, "early-mixed": 8, "middle-mixed": 4, "late-mixed": 4}),  # 4 GB
)
_SPREAD = 37  # odd and not near a power of two, so that neurons side by side and one below the other get other rows
_USUAL_MEMORY = 16 * 10**9  # bytes of a card that is not known


@dataclass(frozen=True)
class Job:
    """One rendering to make: a target, a recipe and what it starts from."""

    target: Target
    recipe: Recipe
    seed: int
    start: Photo | None = None  # None: noise of this seed

    def __post_init__(self) -> None:
        """Check that target and recipe fit together.

        Raises:
            TargetError: a position lies outside its map, the recipe shrinks under a target with positions, or it
                resizes to less than the network takes.
        """
        self.target.check_positions(self.first_size)
        smallest, _ = self.recipe.sizes_seen
        if self.recipe.resize and smallest < layers.MIN_SIZE:
            raise TargetError(
                f'recipe "{self.recipe.name}" would show the network images of {smallest} px, '
                f"and it needs at least {layers.MIN_SIZE}; use a larger size"
            )
        if self.target.has_positions and self.recipe.shrinks:
            raise TargetError(
                f'target "{self.target}" names positions, and recipe "{self.recipe.name}" goes to a smaller size, '
                "where they would be lost; use a recipe whose sizes do not decrease, such as raster"
            )

    @property
    def first_size(self) -> Size:
        """(height, width) in pixels at which the rendering starts, and to which positions belong."""
        first = self.recipe.octaves[0]
        return octave_size(self.start.size, first) if self.start else self.recipe.first_size

    @property
    def sizes(self) -> tuple[Size, ...]:
        """(height, width) in pixels of each octave."""
        return tuple(octave_size(self.first_size, octave) for octave in self.recipe.octaves)

    @property
    def path(self) -> PurePosixPath:
        """Where the master lies under its weights' folder; different for different jobs."""
        seed = "" if self.seed == DEFAULT_SEED else f"~s{self.seed}"
        start = f"~{shorten(self.start.id)}" if self.start else ""
        return PurePosixPath(f"{self.recipe.name}-{self.recipe.digest}", f"{self.target.slug}{seed}{start}.png")

    @property
    def flops(self) -> int:
        """Floating-point operations of the descent; a target of several features of one layer counts as all of it."""
        feature = self.target.terms[0].feature if len(self.target.terms) == 1 else None
        octaves = zip(self.recipe.octaves, self.sizes, strict=True)
        return sum(octave.steps * layers.step_flops(self.target.deepest, size, feature) for octave, size in octaves)

    @property
    def pixels(self) -> int:
        """Pixels of the image, summed over all steps."""
        octaves = zip(self.recipe.octaves, self.sizes, strict=True)
        return sum(octave.steps * height * width for octave, (height, width) in octaves)

    @property
    def slot(self) -> int:
        """A number of the job's own, whose remainder by the rows of a batch is its row; alike for few jobs."""
        fields = [one for term in self.target.terms for one in (term.feature or 0, *astuple(term.position))]
        return reduce(lambda number, value: number * _SPREAD + value, fields, 0) + self.seed

    @property
    def branches(self) -> frozenset[tuple[str, str]] | None:
        """(layer, branch) of the convolutions that make the deepest features; None: all of the deepest layer's."""
        features = self.target.deepest_features
        if features is None:
            return None
        sources = (layers.source(self.target.deepest, feature) for feature in features)
        return frozenset((layer.name, branch.name) for layer, branch in sources)

    @property
    def master_bytes(self) -> int:
        """Expected size of the master."""
        height, width = self.sizes[-1]
        return round(PNG_BYTES_PER_PIXEL * height * width)


@dataclass(frozen=True)
class Batch:
    """Jobs of one recipe, one deepest layer, its same branches and one image size that are rendered together."""

    jobs: tuple[Job, ...]
    size: int  # rows; where there are fewer jobs the rest is padding

    @property
    def recipe(self) -> Recipe:
        """The recipe that all jobs share."""
        return self.jobs[0].recipe

    @property
    def deepest(self) -> str:
        """The last layer that must run."""
        return self.jobs[0].target.deepest

    @property
    def flops(self) -> int:
        """Floating-point operations, padding included."""
        return self.jobs[0].flops * self.size


def feature_jobs(config: Config) -> tuple[Job, ...]:
    """The features of an atlas, classes included, each with a page of its own, in the network's order."""
    return tuple(job for layer in config.layers for job in layer_jobs(config, layer))


def map_jobs(config: Config) -> tuple[Job, ...]:
    """The features of the layers that have feature maps: all but the classes."""
    return tuple(job for layer in config.map_layers for job in layer_jobs(config, layer))


def layer_jobs(config: Config, layer: str) -> tuple[Job, ...]:
    """The features of one layer of an atlas, in the network's order."""
    recipes = zip(config.features_of(layer), config.recipes_of(layer), strict=True)
    return tuple(Job(targets.feature_target(layer, feature), recipe, config.seed) for feature, recipe in recipes)


def target_jobs(config: Config, texts: Iterable[str]) -> tuple[Job, ...]:
    """The jobs of targets given one by one, in their order, each once.

    The recipe is the one that a file or flag named, else `raster` for targets with positions and `octaves` for others.

    Raises:
        TargetError: a text is no target, or does not fit its recipe.
    """
    jobs = []
    for text in texts:
        target = targets.parse(text)
        default = "raster" if target.has_positions else "octaves"
        recipe = config.get_recipe(config.recipe if config.recipe_is_chosen else default)
        jobs.append(Job(target, recipe, config.seed))
    return tuple(dict.fromkeys(jobs))


def batch_size(layer: str, device: str, memory: int | None = None) -> int:
    """Rows that `--batch-size auto` means.

    Args:
        layer: the deepest one.
        device: kind of device: "cpu", "cuda" or "mps".
        memory: bytes of the GPU in all, never those that are free; counts on CUDA alone. None: unknown.
    """
    region = layers.get_layer(layers.LAYERS[-1].name if layer == layers.FC else layer).region  # which costs the same
    if device != "cuda":
        return _BATCH_SIZES[device][region]
    has = _USUAL_MEMORY if memory is None else memory
    return next(sizes[region] for least, sizes in _CUDA_BATCH_SIZES if has >= least)


def fitted_sizes(jobs: Iterable[Job], device: str, memory: int | None = None) -> dict[Job, int]:
    """Batch sizes for a few jobs, so that nothing is rendered as padding: full batches, and one of the rest.

    Args:
        jobs: all of the command, up to date or not: an interruption must not change the size of a batch.
        device: kind of device.
        memory: bytes of the GPU in all; None: unknown.

    Returns:
        For each job the rows of its batch.
    """
    batches = (batch for part in rounds(jobs, device, memory=memory) for batch in part)
    return {job: len(batch.jobs) for batch in batches for job in batch.jobs}


def rounds(
    jobs: Iterable[Job], device: str, size: int | Mapping[Job, int] | None = None, memory: int | None = None
) -> list[list[Batch]]:
    """Order jobs so that every layer shows something early, and then like after like.

    Args:
        jobs: what to render, in the order of the atlas.
        device: kind of device, for the batch size.
        size: rows in a batch, of all jobs or of each; None for the table's.
        memory: bytes of the GPU in all, for the batch size; None: unknown.

    Returns:
        Two rounds of batches: the first batch of each recipe, layer and image size; and the others, those of one kind
        together, since each uses what was prepared for the one before. A batch needs the same branches of the deepest
        layer, so that no other need run. Photographs are few and may be large, so that each has a batch of its own
        unless `size` says otherwise. On CUDA no two jobs of a batch want the same row; see `rows_of`.
    """
    groups: dict[tuple[Recipe, str, Size | None, int | None, int], list[Job]] = {}
    for job in jobs:
        photo_size = job.start.size if job.start else None
        drawn_from = job.seed if job.recipe.is_random else None  # what is drawn at a step is drawn for a whole batch
        rows = size.get(job) if isinstance(size, Mapping) else size
        rows = rows or (1 if photo_size else batch_size(job.target.deepest, device, memory))
        groups.setdefault((job.recipe, job.target.deepest, photo_size, drawn_from, rows), []).append(job)
    lanes = []
    for (*_, rows), members in groups.items():
        lanes.append([Batch(tuple(chunk), rows) for chunk in _chunks(members, rows, has_own_rows=device == "cuda")])
    others = [batch for lane in lanes for batch in lane[1:]]
    return [part for part in ([lane[0] for lane in lanes], others) if part]


def shard(jobs: Sequence[Job], index: int, count: int) -> tuple[Job, ...]:
    """The part of a plan that one of several machines renders; the parts are disjoint and cost about the same.

    Args:
        jobs: the whole plan, the same on every machine, with what is up to date.
        index: which part, 1 ≤ index ≤ count.
        count: number of machines.
    """
    load = [0] * count
    mine = set()
    for job in sorted(jobs, key=lambda job: -job.flops):
        lightest = load.index(min(load))
        load[lightest] += job.flops
        if lightest == index - 1:
            mine.add(job)
    return tuple(job for job in jobs if job in mine)


def parse_shard(text: str) -> tuple[int, int]:
    """Read `I/N`.

    Raises:
        ConfigError: not of that form, or not 1 ≤ I ≤ N.
    """
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f'--shard "{text}": write I/N with 1 ≤ I ≤ N, for instance 2/4 on the second of four machines'
        )
    return int(match[1]), int(match[2])


def rows_of(jobs: Sequence[Job], size: int) -> list[int]:
    """The row of each job in a batch: its own one, or, where two jobs have the same, in their order.

    Some convolutions of cuDNN in TF32 sum up the last rows of a batch in another order than the first ones. So a job
    has a row of its own, that its bytes may not depend on which of its neighbours are rendered already.

    Args:
        jobs: at most `size` of them.
        size: rows of the batch.
    """
    own = [job.slot % size for job in jobs]
    return own if len(set(own)) == len(jobs) else list(range(len(jobs)))


def _chunks(jobs: Sequence[Job], size: int, *, has_own_rows: bool) -> Iterable[Sequence[Job]]:
    """Jobs that need the same branches, in parts of at most so many; with rows of their own, if they must have them."""
    by_branches: dict[object, list[Job]] = {}
    for job in jobs:
        by_branches.setdefault(job.branches, []).append(job)
    for alike in by_branches.values():
        if not has_own_rows:
            yield from (alike[start : start + size] for start in range(0, len(alike), size))
            continue
        chunks: list[list[Job]] = []
        taken = [0] * size  # how many chunks have a job in this row
        for job in alike:
            row = job.slot % size
            if taken[row] == len(chunks):
                chunks.append([])
            chunks[taken[row]].append(job)
            taken[row] += 1
        yield from chunks
