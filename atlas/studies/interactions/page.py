"""Interactions: pairs of targets alone, together and in between; and what a layer's pictures do to its features."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from atlas.site.catalogue import Atlas, Feature, PlannedRendering
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import HOME, Link, Page
from atlas.site.pages.parts import layer_page, make_page, shot_of
from atlas.site.study_page import StudyCard, StudyPage
from atlas.studies.interactions.jobs import Interaction, interactions, jobs
from atlas.studies.interactions.result import INTERACTIONS, Matrix, PairInteraction, matrix_spec
from atlas.studies.interactions.settings import Settings

CARD = StudyCard(
    "interactions",
    "Interactions",
    "Two features or neurons as one target: is the picture a sum of the two, or something else?",
)


def interaction_pages(atlas: Atlas) -> Iterator[Page]:
    """The page of pairs and one for each matrix, as far as they are measured."""
    wanted = atlas.config.study(Settings)
    found = atlas.result(INTERACTIONS)
    matrices = [one for layer in wanted.layers if (one := atlas.result(matrix_spec(layer)))]
    if not found and not matrices:
        return
    measured = zip(interactions(atlas.config), found.pairs, strict=True) if found else ()
    yield CARD.page(
        "Pairs of features or neurons of InceptionV3: alone, together, and on a walk of weights from one to the other.",
        pairs=[_pair_part(atlas, pair, one) for pair, one in measured],
        recipe=wanted.recipe,
        matrices=[Link(one.layer, _matrix_page(one.layer)) for one in matrices],
    )
    yield from (_layer_page(atlas, one) for one in matrices)


def judged(found: Matrix) -> Matrix:
    """The matrix of those features that score higher on their own picture than on the noise: the others have none."""
    kept = [at for at, noise in enumerate(found.noise) if found.scores[at][at] > noise]
    return Matrix(
        layer=found.layer,
        features=tuple(found.features[at] for at in kept),
        scores=tuple(tuple(found.scores[row][at] for at in kept) for row in kept),
        noise=tuple(found.noise[at] for at in kept),
    )


def ratios(found: Matrix) -> tuple[tuple[float, ...], ...]:
    """By picture and then by feature, of features that are judged: the score beside the one on the own picture."""
    own = [found.scores[at][at] for at in range(len(found.features))]
    return tuple(tuple(score / mine for score, mine in zip(row, own, strict=True)) for row in found.scores)


@dataclass(frozen=True)
class Across:
    """How features score on the pictures for others, and on the noise, beside their own pictures."""

    median: float
    noise: float  # the median on the noise
    cases: int  # pairs of a picture and another feature
    above: tuple[tuple[float, int, int], ...]  # where it is more than 1: how much, picture and feature; most first


def compare_across(kept: Matrix) -> Across | None:
    """What comes out for features that are judged; None for fewer than two."""
    across = [
        (value, picture, feature)
        for picture, row in zip(kept.features, ratios(kept), strict=True)
        for feature, value in zip(kept.features, row, strict=True)
        if picture != feature
    ]
    if not across:
        return None
    noise = median(score / kept.scores[at][at] for at, score in enumerate(kept.noise))
    above = sorted((one for one in across if one[0] > 1), reverse=True)
    return Across(median(value for value, _, _ in across), noise, len(across), tuple(above))


def _pair_part(atlas: Atlas, pair: Interaction, found: PairInteraction) -> dict[str, object]:
    """A pair of targets; a row of the table is a picture and what both features score on it."""
    steps = list(zip((step.job for step in pair.walk), found.walk, strict=True))
    first, second = (Link(str(job.target), _page_of(atlas.renderings[job])) for job in (pair.first, pair.second))
    return {
        "found": found,
        "first": first,
        "second": second,
        "shots": [shot_of(atlas.renderings[job], str(job.target)) for job in (pair.first, pair.second, pair.joint)],
        "walk": [shot_of(atlas.renderings[job], f"{1 - one.weight:g} and {one.weight:g}") for job, one in steps],
        "rows": [(_page_of(atlas.renderings[job]), one) for job, one in (*steps, (pair.joint, found.joint))],
        "chart": _walk_chart(found),  # None: a target has no score on its own picture
    }


def _page_of(rendering: PlannedRendering) -> str | None:
    """Where one can read how a rendering was made."""
    return rendering.page if isinstance(rendering, Feature) else rendering.json


def _walk_chart(found: PairInteraction) -> Chart | None:
    first, second = found.own_scores
    if not (first and second):
        return None
    series = (
        Series(found.first, tuple((one.weight, one.first / first) for one in found.walk)),
        Series(found.second, tuple((one.weight, one.second / second) for one in found.walk)),
    )
    return make_chart(
        series,
        alt=f"Scores on the walk from {found.first} to {found.second}, each beside the one on its own picture.",
        x_label=f"weight of {found.second}",
        y_label="Score, beside the one on its own picture",
    )


def _matrix_page(layer: str) -> str:
    return f"interactions/{layer}/{HOME}"


def _layer_page(atlas: Atlas, found: Matrix) -> Page:
    kept, planned = judged(found), atlas.layer(found.layer).by_number
    heads = [planned[number] for number in kept.features]
    return make_page(
        _matrix_page(found.layer),
        "studies/interactions_matrix.html",
        f"{CARD.title} in {found.layer}",
        f"How much the picture for one feature of {found.layer} activates another, for {len(found.features)} features.",
        Link(CARD.title, CARD.path),
        last=found.layer,
        layer=Link(found.layer, layer_page(found.layer)),
        features=len(found.features),  # that were asked
        heads=heads,  # of those whose pictures were raised
        # a picture and all features' scores on it; without a head it is the noise that every picture started from
        rows=list(zip((*heads, None), (*kept.scores, kept.noise), strict=True)),
        across=compare_across(kept),
        left_out=[number for number in found.features if number not in kept.features],
        recipe=atlas.recipe.name,
    )


PAGE = StudyPage(card=CARD, pages=interaction_pages, mentions=CARD.mentions(Settings), jobs=jobs)
