"""Everything that a configuration wants rendered: `Config` → jobs, of the features and of each study."""

from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs
from atlas.studies import STUDIES


def all_jobs(config: Config) -> tuple[Job, ...]:
    """Every job of a configuration, each once: features first, then those of studies, frames of videos last."""
    return tuple(dict.fromkeys((*feature_jobs(config), *exhibit_jobs(config), *_study_jobs(config, "raster"))))


def exhibit_jobs(config: Config) -> tuple[Job, ...]:
    """The renderings that pages show one by one beside the features."""
    names = (study.name for study in STUDIES if study.name != "raster")
    return tuple(dict.fromkeys(job for name in names for job in _study_jobs(config, name)))


def _study_jobs(config: Config, name: str) -> tuple[Job, ...]:
    (study,) = (one for one in STUDIES if one.name == name)
    ask = study.find("jobs", "jobs")
    jobs: tuple[Job, ...] = ask(config) if ask else ()
    return jobs
