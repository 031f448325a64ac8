"""Renderings of a feature from several noises, on its page."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from atlas.plan.config import Config
from atlas.site.budget import Step, Weight
from atlas.site.catalogue import Atlas, LayerEntry, PlannedRendering
from atlas.site.copies import GROUND, Encoder, Work, draw_sheet, make_work
from atlas.site.pages.parts import Shot, shot_of
from atlas.site.study_page import Section, StudyPage
from atlas.studies.seeds.jobs import jobs, seed_jobs
from atlas.studies.seeds.result import SEEDS, LayerSeeds, Seeds
from atlas.studies.seeds.settings import Settings

STRIP_TILE, STRIP_GAP, STRIP_QUALITY = 128, 4, 40  # pixels of each rendering, in the strip of a site that is small
_STRIP_BYTES = 0.13  # a pixel


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
    is_strip, has_none = "seeds" in atlas.left_out, "no-seeds" in atlas.left_out
    return {
        number: {
            "count": len(shown),
            "shots": [] if is_strip else [_shot(one) for one in shown],
            "strip": _strip(entry, number, shown) if is_strip and not has_none else None,
            "agreement": layer.features.get(number) if layer else None,
        }
        for number, shown in _shown(atlas, entry).items()
        if not has_none or (layer and number in layer.features)
    }


def strips(atlas: Atlas, avif: Encoder) -> Iterator[Work]:
    """The strip of each feature's renderings, if the site has no copies of each."""
    if "seeds" not in atlas.left_out or "no-seeds" in atlas.left_out:
        return
    for entry in atlas.layers:
        for number, shown in _shown(atlas, entry).items():
            size = _strip_size(len(shown))
            draw = partial(draw_sheet, [[atlas.master(one) for one in shown]], STRIP_TILE, STRIP_GAP, size)
            pixels = ",".join(one.record.pixels_sha256 for one in shown if one.record)
            copy = _strip_path(entry, number), replace(avif, quality=STRIP_QUALITY), max(size)
            yield make_work(draw, pixels, [copy], layout=f"{STRIP_TILE} {STRIP_GAP} {GROUND}")


def strip_weights(config: Config, left_out: Collection[Step]) -> Iterator[Weight]:
    """What the strips weigh."""
    wanted = config.study(Settings)
    if "seeds" in left_out and "no-seeds" not in left_out and wanted.count > 1:
        strips = sum(len(config.first_features(layer, wanted.features)) for layer in wanted.layers)
        yield Weight("seeds", strips, round(_STRIP_BYTES * STRIP_TILE**2 * wanted.count * strips))


def _shown(atlas: Atlas, entry: LayerEntry) -> dict[int, list[PlannedRendering]]:
    """The renderings of each feature, where there are several that show something."""
    found = {}
    for number, jobs_of_one in seed_jobs(atlas.config, entry.layer.name).items():
        shown = [one for one in (atlas.renderings[job] for job in jobs_of_one) if one.status == "ok"]
        if len(shown) > 1:
            found[number] = shown
    return found


def _strip_size(count: int) -> tuple[int, int]:
    """(width, height) of a strip in pixels."""
    return count * (STRIP_TILE + STRIP_GAP) + STRIP_GAP, STRIP_TILE + 2 * STRIP_GAP


def _strip_path(entry: LayerEntry, number: int) -> str:
    return f"{entry.layer.name}/{number}/seeds.avif"


def _strip(entry: LayerEntry, number: int, shown: Sequence[PlannedRendering]) -> dict[str, object]:
    """All renderings of a feature in one picture."""
    seeds, (width, height) = [str(one.job.seed) for one in shown], _strip_size(len(shown))
    return {
        "path": _strip_path(entry, number),
        "width": width,
        "height": height,
        "labels": [f"seed {seed}" for seed in seeds],
        "alt": f"Renderings from the noises of seeds {', '.join(seeds)}.",
    }


def _shot(one: PlannedRendering) -> Shot:
    seed = f"seed {one.job.seed}"
    return shot_of(one, seed, alt=f"Rendering from the noise of {seed}.")


PAGE = StudyPage(
    section=Section("studies/seeds_section.html", renderings_of),
    jobs=jobs,
    role="seeds",
    pictures=strips,
    weighs=strip_weights,
)
