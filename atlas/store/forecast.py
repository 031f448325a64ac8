"""What is left to render and what it will cost: jobs and store → `Forecast`, without torch."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from atlas.common.errors import StoreError
from atlas.common.text import format_bytes
from atlas.inception.layers import ALL_LAYERS
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.masters import find_record, master_path
from atlas.store.weights_ids import find_weights_ids

NEGLIGIBLE = 10_000_000  # bytes; a forecast is not exact, and a run that needs so little is tried


@dataclass(frozen=True)
class Forecast:
    """Jobs, and those of them that are left to render."""

    jobs: tuple[Job, ...]
    pending: tuple[Job, ...]  # those without an up-to-date master

    @property
    def fresh(self) -> int:
        """Number of renderings that are up to date."""
        return len(self.jobs) - len(self.pending)

    @property
    def flops(self) -> int:
        """Floating-point operations of the pending jobs."""
        return sum(job.flops for job in self.pending)

    @property
    def master_bytes(self) -> int:
        """Expected size of the pending masters."""
        return sum(job.master_bytes for job in self.pending)

    def by_layer(self) -> "dict[str, Forecast]":
        """The same for each layer: the jobs of which it is the deepest; in the network's order, without empty ones."""

        def of(name: str, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
            return tuple(job for job in jobs if job.target.deepest == name)

        parts = {layer.name: Forecast(of(layer.name, self.jobs), of(layer.name, self.pending)) for layer in ALL_LAYERS}
        return {name: part for name, part in parts.items() if part.jobs}


def forecast(jobs: Sequence[Job], config: Config, precision: str | None = None, *, force: bool = False) -> Forecast:
    """Compare jobs with the store, before any weights are loaded.

    Args:
        jobs: the plan.
        config: its store and weights. A file of weights counts by its hash; of the others a master by any weights of
            that name counts, since their hash is known only once they are loaded.
        precision: resolved precision; None if any will do.
        force: take nothing for up to date.
    """
    found = [] if force else find_weights_ids(config.store, config.weights)
    known = [replace(ids, input=config.weights_input or ids.input) for ids in found]

    def is_fresh(job: Job) -> bool:
        return any(find_record(master_path(config.store, ids, job), job, ids, precision) for ids in known)

    return Forecast(tuple(jobs), tuple(job for job in jobs if not is_fresh(job)))


def require_space(ahead: Forecast, store: Path, site: tuple[Path, int] | None = None) -> None:
    """Refuse a run for which a disk has too little space.

    Args:
        ahead: what is left to render.
        store: where masters go.
        site: where the site goes, if it is written, and its expected bytes; what it holds already counts.

    Raises:
        StoreError: a disk has less space than is expected to be needed, if that is more than `NEGLIGIBLE`.
    """
    needs = {store: ahead.master_bytes}
    if site:
        folder, size = site
        needs[folder] = max(0, size - _bytes_in(folder))
    disks: dict[int, list[Path]] = {}
    for folder in needs:
        disks.setdefault(_existing(folder).stat().st_dev, []).append(folder)
    for folders in disks.values():
        needed = sum(needs[folder] for folder in folders)
        free = free_bytes(folders[0])
        if needed > NEGLIGIBLE and free is not None and free < needed:
            each = ", ".join(f"{needs[folder]:,} in {folder}" for folder in folders)
            raise StoreError(
                f"{folders[0]}: its disk has {format_bytes(free)} free, and about {format_bytes(needed)} are needed "
                f"({each} bytes); free some space, choose another disk with --store and --out, or select fewer "
                "features with --features"
            )


def free_bytes(folder: Path) -> int | None:
    """Free space on the disk where a folder is or would be made; None if unknown."""
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def _existing(folder: Path) -> Path:
    """The folder, or the closest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # passes over folders that cannot be read
        for name in names:
            with suppress(OSError):  # removed in this moment
                total += Path(parent, name).lstat().st_size
    return total
