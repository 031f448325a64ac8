"""What can be found, and of which renderings: `ResultSpec` ↔ a fresh finding in the store of a configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Generic, TypeVar

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.masters import find_record, master_path
from atlas.store.records import Record, Status, WeightsId
from atlas.store.result_files import digest, read_result, result_path, write_result

NOTHING_KNOWN: Mapping[Job, Record] = MappingProxyType({})

Found = TypeVar("Found")


@dataclass(frozen=True)
class ResultSpec(Generic[Found]):
    """A question, and the renderings that answer it."""

    name: str  # of its file
    version: int  # of the study; a higher one measures anew
    kind: type[Found]
    jobs: Callable[[Config], tuple[Job, ...]]  # none, and no settings: the configuration does not ask
    settings: Callable[[Config], tuple[object, ...]] | None = None  # what else it depends on, beside the weights
    needs_all: bool = True  # whether every rendering must be there; otherwise it is asked of those that are


class Results:
    """The store of a configuration, as studies and pages see it."""

    def __init__(self, config: Config, weights: WeightsId, known: Mapping[Job, Record] = NOTHING_KNOWN) -> None:
        """Look at a store.

        Args:
            config: which store, and what is wanted of it.
            weights: whose renderings.
            known: records that were read already and are fresh.
        """
        self.config = config
        self.weights = weights
        self._known = known
        self._state = cache(self._find_state)  # by job; a results lives as long as one build

    def digest(self, spec: ResultSpec[Found]) -> str | None:
        """Digest of what a finding depends on; None if nothing is asked, or some rendering is missing."""
        jobs = self.jobs(spec)
        settings = spec.settings(self.config) if spec.settings else ()
        if jobs is None or not (jobs or settings):
            return None
        pixels = (self._state(job)[0] for job in jobs)
        weights = (self.weights.sha256,) if settings else ()  # renderings say themselves of which weights they are
        return digest([spec.name, spec.version, *(job.path for job in jobs), *pixels, *settings, *weights])

    def jobs(self, spec: ResultSpec[Found]) -> tuple[Job, ...] | None:
        """The renderings of a spec that are there; None if one that it needs is missing."""
        jobs = spec.jobs(self.config)
        found = tuple(job for job in jobs if self._state(job)[0])
        return None if spec.needs_all and len(found) < len(jobs) else found

    def status(self, job: Job) -> Status | None:
        """The status of a rendering; None if it is not there."""
        return self._state(job)[1]

    def had_gradient(self, job: Job) -> bool:
        """Whether a rendering, which must be there, had a gradient: without one, it is no evidence."""
        return self.status(job) != "no_gradient"

    def is_raised(self, job: Job) -> bool:
        """Whether a rendering raised its score: only then is it a picture of what it was asked for."""
        return self.status(job) == "ok"

    def read(self, spec: ResultSpec[Found]) -> Found | None:
        """The finding, if it is there and of the renderings as they are now."""
        inputs = self.digest(spec)
        if inputs is None:
            return None
        return read_result(result_path(self.config.store, self.weights, spec.name), spec.kind, inputs)

    def write(self, spec: ResultSpec[Found], found: Found) -> None:
        """Keep a finding.

        Raises:
            StoreError: it cannot be written.
        """
        write_result(result_path(self.config.store, self.weights, spec.name), found, self.digest(spec) or "")

    def _find_state(self, job: Job) -> tuple[str, Status] | tuple[None, None]:
        """Hash of the pixels, and status."""
        path = master_path(self.config.store, self.weights, job)
        record = self._known.get(job) or find_record(path, job, self.weights)
        return (record.pixels_sha256, record.status) if record else (None, None)
