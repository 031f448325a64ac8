"""Renderings of a feature from several noises, on its page."""

from atlas.site.catalogue import Atlas, LayerEntry, PlannedRendering
from atlas.site.pages.parts import Shot, shot_of
from atlas.site.study_page import Section, StudyPage
from atlas.studies.seeds.jobs import jobs, seed_jobs
from atlas.studies.seeds.result import SEEDS, LayerSeeds, Seeds


def found_seeds(atlas: Atlas) -> Seeds | None:
    """The result; call it by `atlas.once`."""
    return atlas.result(SEEDS)


def layer_seeds(atlas: Atlas, layer: str) -> LayerSeeds | None:
    """What is known of a layer; None where nothing is measured."""
    found = atlas.once(found_seeds)
    return next((one for one in found.layers if one.layer == layer), None) if found else None


def renderings_of(atlas: Atlas, entry: LayerEntry) -> dict[int, dict[str, object]]:
    """The renderings of a layer's features from several noises that are there, by number."""
    layer = layer_seeds(atlas, entry.layer.name)
    found: dict[int, dict[str, object]] = {}
    for number, some in seed_jobs(atlas.config, entry.layer.name).items():
        shown = [atlas.renderings[job] for job in some if atlas.renderings[job].status == "ok"]
        if len(shown) > 1:
            found[number] = {
                "shots": [_shot(one) for one in shown],
                "agreement": layer.features.get(number) if layer else None,
            }
    return found


def _shot(one: PlannedRendering) -> Shot:
    seed = f"seed {one.job.seed}"
    return shot_of(one, seed, alt=f"Rendering from the noise of {seed}.")


PAGE = StudyPage(section=Section("studies/seeds_section.html", renderings_of), jobs=jobs)
