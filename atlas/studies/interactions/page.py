"""Interactions: pairs of targets alone, together and in between; and what a layer's pictures do to its features."""

from collections.abc import Iterator, Sequence
from statistics import median

from atlas.site.catalogue import Atlas, Feature, PlannedRendering
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import HOME, Link, Page
from atlas.site.pages.parts import layer_page, make_page, shot_of
from atlas.site.study_page import StudyCard, StudyPage
from atlas.site.words import number, whole_percent
from atlas.studies.interactions.jobs import Interaction, interactions, jobs, matrix_jobs
from atlas.studies.interactions.result import INTERACTIONS, Matrix, PairInteraction, matrix_spec
from atlas.studies.interactions.settings import Settings

CARD = StudyCard(
    "interactions",
    "Interactions",
    "Two features or neurons as one target: is the picture a sum of the two, or something else?",
)
SHADES = 10  # of the heat map
SHADE_OF_ONE = 8  # as much as on the feature's own picture; a few shades are left for more
NEAR, FAR = 0.5, 0.87  # shares outside of all mixtures, whose squares are a quarter and three


def interaction_pages(atlas: Atlas) -> Iterator[Page]:
    """The page of pairs and one for each matrix, as far as they are measured."""
    wanted = atlas.config.study(Settings)
    found = atlas.result(INTERACTIONS)
    matrices = [one for one in (atlas.result(matrix_spec(layer)) for layer in wanted.layers) if one]
    if not found and not matrices:
        return
    measured = zip(interactions(atlas.config), found.pairs, strict=True) if found else ()
    yield CARD.page(
        "Pairs of features or neurons of InceptionV3: alone, together, and on a walk of weights from one to the other.",
        pairs=[_pair_part(atlas, at, *pair) for at, pair in enumerate(measured, 1)],
        recipe=wanted.recipe,
        matrices=[Link(one.layer, _matrix_page(one.layer)) for one in matrices],
    )
    yield from (_layer_page(atlas, one) for one in matrices)


def share(score: float, own: float) -> float | None:
    """A score beside the one that a target has on its own picture; None where that is 0."""
    return score / own if own > 0 else None


def pair_sentences(found: PairInteraction) -> tuple[str, ...]:
    """What the numbers of a pair say, and no more."""
    joint = (found.joint.first, found.joint.second)
    names = (found.first, found.second)
    parts = [(name, share(score, own)) for name, score, own in zip(names, joint, _own_scores(found), strict=True)]
    kept = [
        f"{whole_percent(part)} of the score of {name} on its own picture" for name, part in parts if part is not None
    ]
    sentences = [
        f"The picture for {name} alone was not raised, so there is no share of its score."
        for name, part in parts
        if part is None
    ]
    if kept:
        sentences.insert(0, f"The picture for both has {' and '.join(kept)}.")
    if found.unraised:
        return (*sentences, f"Whether the two add up cannot be judged. Not raised: {', '.join(found.unraised)}.")
    return (*sentences, _linearity(found.joint.outside, found.again))


def _own_scores(found: PairInteraction) -> tuple[float, float]:
    """The scores of both targets on their own pictures; 0 for one that was not raised there."""
    own = ((found.first, found.walk[0].first), (found.second, found.walk[-1].second))
    first, second = (0.0 if name in found.unraised else score for name, score in own)
    return first, second


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


def matrix_sentences(found: Matrix) -> tuple[str, ...]:
    """What the numbers of a matrix say, and no more; of all features, those that are not judged are named."""
    kept = judged(found)
    across = [
        (value, kept.features[i], kept.features[j])
        for i, row in enumerate(ratios(kept))
        for j, value in enumerate(row)
        if i != j
    ]
    sentences = []
    if across:
        noise = [score / kept.scores[at][at] for at, score in enumerate(kept.noise)]
        sentences.append(
            "In the median, a feature scores on the picture for another "
            f"{whole_percent(median(v for v, _, _ in across))} of its score on its own picture; on the noise that all "
            f"started from, {whole_percent(median(noise))}."
        )
        above = sorted((one for one in across if one[0] > 1), reverse=True)
        sentences.append(_above_sentence(above, len(across)))
    left_out = [str(feature) for feature in found.features if feature not in kept.features]
    if left_out:
        sentences.append(f"Left out, since their own pictures were not raised: {', '.join(left_out)}.")
    return tuple(sentences)


def _above_sentence(above: Sequence[tuple[float, int, int]], total: int) -> str:
    if not above:
        return f"In none of {total} cases does a feature score higher on another feature’s picture than on its own."
    value, picture, feature = above[0]
    cases = "1 case" if len(above) == 1 else f"{len(above)} cases"
    return (
        f"In {cases} of {total} a feature scores higher on another feature’s picture than on its own; the highest is "
        f"feature {feature} on the picture for {picture}, with {whole_percent(value)}."
    )


def _linearity(outside: float | None, again: float | None) -> str:
    """Whether the picture for both is a mixture of the two, and whether its pixels can tell."""
    if outside is None:
        return "The picture for both does not differ from the blurred noise."
    fact = (
        f"Of its change from the noise {number(outside)} lies outside of all mixtures of the two pictures’ changes, "
        "where 0 is linear and 1 has nothing of either"
    )
    if outside < NEAR:
        return f"{fact}: it is nearly linear."
    if again is None:
        return f"{fact}. It cannot be judged, since the same sum from other noise changed nothing."
    chance = f"the same sum from other noise lies {number(again)} outside"
    if outside >= again:
        return f"{fact}. But {chance}, no farther: the interaction cannot be told from chance."
    summary = "it is far from linear" if outside >= FAR else "it is not linear, though a part of it is"
    return f"{fact}: {summary}; {chance}."


def _pair_part(atlas: Atlas, at: int, pair: Interaction, found: PairInteraction) -> dict[str, object]:
    """A pair of targets; a row of the table is a picture and what both features score on it."""
    own = _own_scores(found)
    steps = list(zip((step.job for step in pair.walk), found.walk, strict=True))
    first, second = (Link(str(job.target), _page_of(atlas.renderings[job])) for job in (pair.first, pair.second))
    return {
        "at": at,  # from 1
        "first": first,
        "second": second,
        "summary": " ".join(pair_sentences(found)),
        "shots": [shot_of(atlas.renderings[job], str(job.target)) for job in (pair.first, pair.second, pair.joint)],
        "walk": [shot_of(atlas.renderings[job], f"{1 - one.weight:g} and {one.weight:g}") for job, one in steps],
        "rows": [
            (
                Link(one.target, _page_of(atlas.renderings[job])),
                _score(one.first, own[0]),
                _score(one.second, own[1]),
                "unchanged" if one.outside is None else number(one.outside),
            )
            for job, one in (*steps, (pair.joint, found.joint))
        ],
        "chart": _walk_chart(found, own),  # None: a target has no score on its own picture
    }


def _score(score: float, own: float) -> str:
    part = share(score, own)
    return number(score) if part is None else f"{number(score)} ({whole_percent(part)})"


def _page_of(rendering: PlannedRendering) -> str | None:
    """Where one can read how a rendering was made."""
    return rendering.page if isinstance(rendering, Feature) else rendering.json


def _walk_chart(found: PairInteraction, own: tuple[float, float]) -> Chart | None:
    if not all(own):
        return None
    series = (
        Series(found.first, tuple((one.weight, one.first / own[0]) for one in found.walk)),
        Series(found.second, tuple((one.weight, one.second / own[1]) for one in found.walk)),
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
    features = {feature.job: feature for feature in atlas.features}
    planned = [features[job] for job in matrix_jobs(atlas.config, found.layer)]
    kept = judged(found)
    heads = [head for head, number in zip(planned, found.features, strict=True) if number in kept.features]
    own = [kept.scores[at][at] for at in range(len(heads))]
    pictures = [*(f"the picture for {head.number}" for head in heads), "the noise"]
    rows = [
        (head, [_cell(*one, name) for one in zip(heads, scores, own, strict=True)])
        for head, scores, name in zip((*heads, None), (*kept.scores, kept.noise), pictures, strict=True)
    ]
    return make_page(
        _matrix_page(found.layer),
        "studies/interactions_matrix.html",
        f"{CARD.title} in {found.layer}",
        f"How much the picture for one feature of {found.layer} activates another, for {len(planned)} features.",
        Link(CARD.title, CARD.path),
        last=found.layer,
        layer=Link(found.layer, layer_page(found.layer)),
        features=len(planned),  # that were asked
        heads=heads,  # of those whose pictures were raised
        rows=rows,  # a picture before all features; without a head it is the noise that every picture started from
        summary=" ".join(matrix_sentences(found)),
        recipe=atlas.recipe.name,
    )


def _cell(head: Feature, score: float, own: float, picture: str) -> tuple[int, str, str]:
    """Shade, words and title of a picture before a feature."""
    part = score / own
    title = f"feature {head.number} on {picture}: score {number(score)}, {whole_percent(part)} of {number(own)}"
    return min(SHADES, round(SHADE_OF_ONE * part)), f"{part:.2f}" if part < 10 else f"{part:.0f}", title


PAGE = StudyPage(card=CARD, pages=interaction_pages, mentions=CARD.mentions(Settings), jobs=jobs)
