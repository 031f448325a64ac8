"""The page of a feature: its picture, its numbers, and how to make it again."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from atlas.site import words
from atlas.site.blocks import draw_block
from atlas.site.catalogue import Atlas, Feature, LayerEntry, PlannedRendering
from atlas.site.models import Link, Page
from atlas.site.pages.parts import (
    FEATURES_A_PAGE,
    again_of,
    layer_page,
    make_page,
    neighbours,
    octave_rows,
    region_link,
    tile_of,
)
from atlas.site.pages.progress import score_chart, stages_of

ROW = 9  # features in the row of the layer

Mentions = Mapping[tuple[str, int | None], tuple[Link, ...]]  # links by layer and feature; None: all of its features


def mentions_of(atlas: Atlas, paths: Collection[str]) -> Mentions:
    """The pages that show each feature: those that show few, and then those of whole studies.

    Args:
        atlas: with the studies.
        paths: of the pages that are written; others are left out.
    """
    wholes = {study.card.path for study in atlas.studies if study.card}
    mentions = (mention for study in atlas.studies for mention in study.mentions(atlas) if mention.path in paths)
    found: dict[tuple[str, int | None], dict[str, Link]] = {}  # by path
    for term, path, said in sorted(mentions, key=lambda mention: mention.path in wholes):
        found.setdefault((term.layer, term.feature), {}).setdefault(path, Link(said, path))
    return {key: tuple(links.values()) for key, links in found.items()}


def feature_pages(atlas: Atlas, entry: LayerEntry, mentions: Mentions) -> list[Page]:
    """A page for each feature of a layer, in its order."""
    of_studies = [study.section for study in atlas.studies if study.section]
    of_studies.sort(key=lambda section: section.comes_last)
    by_study = [(section, section.make(atlas, entry)) for section in of_studies]
    others = [study.versions(atlas, entry) for study in atlas.studies if study.versions]
    pages = []
    for position, feature in enumerate(entry.features):
        name, number, record = feature.layer, feature.number, feature.record
        sections = [(section, bodies[number]) for section, bodies in by_study if number in bodies]
        beside = next((one for one in sections if one[0].stands_beside), None)
        page = make_page(
            feature.page,
            "feature.html",
            f"{name} {number}: {said}" if (said := atlas.words_of(feature)) else f"{name} {number}",
            "",  # the template writes the description
            region_link(entry.layer.region),
            Link(name, layer_page(name, position // FEATURES_A_PAGE + 1)),
            last=str(number),
            feature=feature,
            responds_to=said,
            marks=atlas.marks_of(feature),
            versions=_versions(feature, [one for by_number in others for one in by_number.get(number, ())]),
            row=[tile_of(one) for one in _row(entry.features, position)],
            octaves=octave_rows(feature.job, record),
            branch=entry.layer.branch_of(number),
            block=None if feature.kind == "class" else draw_block(name, number),
            stages=stages_of(feature),  # None: the store keeps none
            progress=score_chart(feature),  # None: pending, or no score is finite
            beside=beside and (beside[0].template, beside[1]),
            sections=[(section.template, one) for section, one in sections if not beside or section is not beside[0]],
            scripts=[section.script for section, _ in sections if section.script],
            mentions=mentions.get((name, number), ()) + mentions.get((name, None), ()),
            again=again_of(feature, feature.job.recipe, words.command(feature.job, record, atlas.weights_option)),
            around=neighbours(entry.features, position, lambda f: Link(f"{f.layer} {f.number}", f.page)),
        )
        pages.append(page)
    return pages


def _versions(feature: Feature, others: Iterable[PlannedRendering]) -> list[PlannedRendering]:
    """The renderings of a feature that are there: the one that is shown first, its own, and those by other recipes."""
    found = [feature.face, feature, *others]
    return [one for at, one in enumerate(found) if one.record and one not in found[:at]]


def _row(features: Sequence[Feature], at: int) -> Sequence[Feature]:
    """The features around one, in the order of the layer: itself and up to 8 others."""
    first = max(0, min(at - ROW // 2, len(features) - ROW))
    return features[first : first + ROW]
