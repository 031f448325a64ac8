"""What is left to render and what it will cost: jobs and store → `Forecast`, without torch."""

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from atlas.common.errors import StoreError
from atlas.inception.layers import LAYERS
from atlas.plan.jobs import Job
from atlas.plan.recipes import InputMap
from atlas.store.masters import find_record, master_path
from atlas.store.records import WeightsId
from atlas.store.weights_ids import find_weights_ids

NEGLIGIBLE = 10_000_000  # bytes; a forecast is not exact, and so little is soon tried


@dataclass(frozen=True)
class LayerForecast:
    """The jobs whose deepest layer is this one."""

    layer: str
    jobs: tuple[Job, ...]
    pending: tuple[Job, ...]

    @property
    def flops(self) -> int:
        """Floating-point operations of the pending jobs."""
        return sum(job.flops for job in self.pending)

    @property
    def master_bytes(self) -> int:
        """Expected size of the pending masters."""
        return sum(job.master_bytes for job in self.pending)


@dataclass(frozen=True)
class Forecast:
    """A plan by layer, in the network's order, without layers that have no job."""

    layers: tuple[LayerForecast, ...]

    @property
    def jobs(self) -> int:
        """Renderings that are wanted."""
        return sum(len(layer.jobs) for layer in self.layers)

    @property
    def pending(self) -> tuple[Job, ...]:
        """Jobs without a fresh master."""
        return tuple(job for layer in self.layers for job in layer.pending)

    @property
    def fresh(self) -> int:
        """Renderings that the store already has."""
        return self.jobs - len(self.pending)

    @property
    def flops(self) -> int:
        """Floating-point operations of the pending jobs."""
        return sum(layer.flops for layer in self.layers)

    @property
    def master_bytes(self) -> int:
        """Expected size of the pending masters."""
        return sum(layer.master_bytes for layer in self.layers)

    @property
    def site_bytes(self) -> int:
        """Expected size of the site of all jobs."""
        return sum(job.site_bytes for layer in self.layers for job in layer.jobs)


def forecast(
    jobs: Sequence[Job],
    store: Path,
    weights: str,
    weights_input: InputMap | None = None,
    *,
    precision: str | None = None,
    force: bool = False,
) -> Forecast:
    """Look at a plan before anything is loaded.

    Args:
        jobs: the plan.
        store: folder of masters.
        weights: "imagenet", "demo" or a file. A file counts by its hash; of the others a master by any weights of
            that name counts, since their hash is known only once they are loaded.
        weights_input: the map that they were trained with, if somebody says it.
        precision: resolved precision; None if any will do.
        force: count nothing as fresh.
    """
    found = [] if force else find_weights_ids(store, weights)
    known = [replace(ids, input=weights_input or ids.input) for ids in found]
    return forecast_of(jobs, {job for job in jobs if not _is_fresh(job, store, known, precision)})


def forecast_of(jobs: Iterable[Job], pending: Collection[Job]) -> Forecast:
    """A plan of which it is known what is left to render."""
    by_layer: dict[str, list[Job]] = {layer.name: [] for layer in LAYERS}
    for job in jobs:
        by_layer[job.target.deepest].append(job)
    return Forecast(
        tuple(
            LayerForecast(layer, tuple(members), tuple(job for job in members if job in pending))
            for layer, members in by_layer.items()
            if members
        )
    )


def _is_fresh(job: Job, store: Path, known: Iterable[WeightsId], precision: str | None) -> bool:
    return any(find_record(master_path(store, ids, job), job, ids, precision) for ids in known)


def require_room(ahead: Forecast, store: Path, site: Path | None = None) -> None:
    """Refuse a run for which there is no room, before it starts.

    Args:
        ahead: what is left to render.
        store: where masters go.
        site: where the site goes, if it is written; what it holds already counts.

    Raises:
        StoreError: a disk has less room than is expected to be needed, if that is more than `NEGLIGIBLE`.
    """
    needs = {store: ahead.master_bytes}
    if site:
        needs[site] = max(0, ahead.site_bytes - _bytes_in(site))
    disks: dict[int, list[Path]] = {}
    for folder in needs:
        disks.setdefault(_existing(folder).stat().st_dev, []).append(folder)
    for folders in disks.values():
        needed = sum(needs[folder] for folder in folders)
        free = free_bytes(folders[0])
        if needed > NEGLIGIBLE and free is not None and free < needed:
            each = ", ".join(f"{needs[folder]:,} in {folder}" for folder in folders)
            raise StoreError(
                f"{folders[0]}: {format_bytes(free)} are free on its disk, and about {format_bytes(needed)} will be "
                f"needed ({each} bytes); make room, choose another disk with --store and --out, or ask for fewer "
                "features with --features"
            )


def free_bytes(folder: Path) -> int | None:
    """Room on the disk where a folder is or would be made; None where that is not known."""
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def _existing(folder: Path) -> Path:
    """The folder, or the closest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 (tens of thousands of files)
            except OSError:
                continue  # removed in this moment
    return total


def format_flops(flops: float) -> str:
    """Work in PFLOP or, where that would be small, TFLOP."""
    return f"{flops / 1e15:,.2f} PFLOP" if flops >= 1e14 else f"{flops / 1e12:,.2f} TFLOP"


def format_bytes(count: float) -> str:
    """Room in GB, MB or KB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e3:,.0f} KB"


def format_seconds(seconds: float) -> str:
    """A time in the unit that a person would take."""
    if seconds < 90:
        return count_of(max(1, round(seconds)), "second")
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def count_of(number: int, thing: str) -> str:
    """A number and a thing, such as "1 layer" and "1,024 features"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
