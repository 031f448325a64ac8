"""How much each pixel of a rendering counted, as a grey picture beside its master."""

from pathlib import Path

from PIL import Image

from atlas.plan.jobs import Job
from atlas.store.records import Record
from atlas.store.sidecars import IMPORTANCE, is_sidecar_of, sidecar_path, write_sidecar

QUALITY = 60


def has_importance(job: Job) -> bool:
    """Whether a rendering's importance map is kept: where the recipe measures one, of a whole feature."""
    return job.recipe.parameterization == "phase" and job.target.is_feature and job.start is None


def importance_path(master: Path) -> Path:
    """The path of a master's importance map: `<slug>.importance.avif`."""
    return sidecar_path(master, IMPORTANCE)


def write_importance(master: Path, importance: Image.Image | None, record: Record) -> None:
    """Write an importance map beside its master, atomically; nothing if there is none.

    Args:
        master: path of the master.
        importance: grey, of the master's size.
        record: the master's.

    Raises:
        StoreError: the file cannot be written.
    """
    if importance is not None:
        write_sidecar(importance_path(master), importance, record, QUALITY)


def find_importance(master: Path, job: Job, record: Record) -> Path | None:
    """The path of a master's importance map, if that is there, whole, and belongs to this record's pixels."""
    path = importance_path(master)
    return path if has_importance(job) and is_sidecar_of(path, record, (record.width, record.height)) else None
