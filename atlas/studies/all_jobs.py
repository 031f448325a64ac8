"""Everything that a configuration wants rendered: `Config` → jobs, a room for each list that has some."""

from atlas.plan.clips import config_clips
from atlas.plan.config import Config
from atlas.plan.jobs import Job, feature_jobs
from atlas.studies.compare.jobs import comparisons, raw_pairs
from atlas.studies.dreams.jobs import config_dreams
from atlas.studies.fields.jobs import field_probes
from atlas.studies.influence.jobs import influence_pairs
from atlas.studies.interactions.jobs import interactions
from atlas.studies.metrics.jobs import metric_rows
from atlas.studies.neurons.jobs import beside_jobs, neuron_jobs
from atlas.studies.palette.jobs import all_palette_jobs


def all_jobs(config: Config) -> tuple[Job, ...]:
    """Every job of a configuration, each once: features first, then what the lists ask for, frames of videos last."""
    frames = (frame.job for clip in config_clips(config) for frame in clip.frames)
    return tuple(dict.fromkeys((*feature_jobs(config), *exhibit_jobs(config), *frames)))


def exhibit_jobs(config: Config) -> tuple[Job, ...]:
    """The renderings that pages show one by one beside the features."""
    jobs = list(neuron_jobs(config))
    for beside in beside_jobs(config):
        jobs += [beside.feature, beside.row, beside.neuron]
    jobs += [probe.job for probe in field_probes(config)]
    for pair in influence_pairs(config):
        jobs += [pair.first_job, pair.second_job, pair.joint_job]
    jobs += [dream.job for dream in config_dreams(config)]
    for comparison in comparisons(config):
        jobs += comparison.jobs
    for layer in config.layers:
        jobs += [pair.raw for pair in raw_pairs(config, layer)]
    for row in metric_rows(config):
        jobs += [job for _, job in row.jobs]
    jobs += all_palette_jobs(config)
    for interaction in interactions(config):
        jobs += interaction.jobs
    return tuple(dict.fromkeys(jobs))
