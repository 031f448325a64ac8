"""Interactions: pairs of targets alone, together and in between; and what a layer's pictures do to its features."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from atlas.site.catalogue import Atlas, Exhibit, Feature
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Link, Page, Picture, Shot, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK, shot_of, thumb_of
from atlas.site.words import number, whole_percent
from atlas.studies.interactions.jobs import Interaction, interactions, matrix_jobs
from atlas.studies.interactions.result import INTERACTIONS, Matrix, Mixed, PairInteraction, matrix_spec
from atlas.studies.interactions.settings import Settings

PAGE = f"interactions/{HOME}"
TITLE = "Interactions"
CARD = StudyCard(
    TITLE, PAGE, "Two features or neurons asked for at once: is the picture a sum of the two, or another one?"
)
SHADES = 10  # of the heat map
SHADE_OF_ONE = 8  # as much as on the feature's own picture; there is room for more
NEAR, FAR = 0.5, 0.87  # shares outside of all mixtures, whose squares are a quarter and three


@dataclass(frozen=True)
class MixRow:
    """A picture and what both features make of it."""

    target: str
    page: str | None  # of the feature, or its record
    first: str
    second: str
    outside: str


@dataclass(frozen=True)
class PairPart:
    """A pair of targets."""

    at: int  # from 1
    first: Link
    second: Link
    verdict: str
    shots: tuple[Shot, ...]  # first, second, together
    walk: tuple[Shot, ...]
    rows: tuple[MixRow, ...]
    chart: Chart | None  # None: a target has no score on its own picture


@dataclass(frozen=True)
class InteractionsBody:
    """The page of pairs."""

    pairs: tuple[PairPart, ...]
    recipe: str
    matrices: tuple[Link, ...]


@dataclass(frozen=True)
class Head:
    """A feature at the side of a matrix."""

    number: int
    page: str
    thumb: Picture | None


@dataclass(frozen=True)
class Cell:
    """A picture before a feature."""

    shade: int  # 0 to SHADES
    words: str
    title: str


@dataclass(frozen=True)
class MatrixRow:
    """A picture before all features; without a head it is the noise that every picture began as."""

    head: Head | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class MatrixBody:
    """The page of a layer."""

    layer: Link
    features: int  # that were asked
    heads: tuple[Head, ...]  # of those whose pictures were raised
    rows: tuple[MatrixRow, ...]
    verdict: str
    recipe: str


def interaction_pages(atlas: Atlas) -> list[Page]:
    """The page of pairs and one for each matrix, as far as they are measured."""
    wanted = atlas.config.study(Settings)
    found = atlas.result(INTERACTIONS)
    matrices = [one for one in (atlas.result(matrix_spec(layer)) for layer in wanted.layers) if one]
    if not found and not matrices:
        return []
    measured = zip(interactions(atlas.config), found.pairs, strict=True) if found else ()
    body = InteractionsBody(
        pairs=tuple(_pair_part(atlas, at, *pair) for at, pair in enumerate(measured, 1)),
        recipe=wanted.recipe,
        matrices=tuple(Link(one.layer, _matrix_page(one.layer)) for one in matrices),
    )
    description = (
        "Pairs of features or neurons of InceptionV3: alone, together, and on a walk of weights from one to the other."
    )
    page = Page(PAGE, "studies/interactions.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)
    return [page, *(_layer_page(atlas, one) for one in matrices)]


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
            "In the median the picture for one feature excites another to "
            f"{whole_percent(median(v for v, _, _ in across))} of what that one’s own picture does; the noise that all "
            f"began as, to {whole_percent(median(noise))}."
        )
        above = sorted((one for one in across if one[0] > 1), reverse=True)
        sentences.append(_above_sentence(above, len(across)))
    left_out = [str(feature) for feature in found.features if feature not in kept.features]
    if left_out:
        sentences.append(f"Left out, since their own pictures were not raised: {', '.join(left_out)}.")
    return tuple(sentences)


def _above_sentence(above: Sequence[tuple[float, int, int]], total: int) -> str:
    if not above:
        return f"In none of {total} cases does another feature’s picture excite a feature more than its own does."
    value, picture, feature = above[0]
    cases = "1 case" if len(above) == 1 else f"{len(above)} cases"
    return (
        f"In {cases} of {total} another feature’s picture excites a feature more than its own does; the most is "
        f"feature {feature}, by the picture for {picture}, to {whole_percent(value)}."
    )


def _linearity(outside: float | None, again: float | None) -> str:
    """Whether the picture for both is a mixture of the two, and whether its pixels can tell."""
    if outside is None:
        return "The picture for both does not differ from what the recipe leaves of the noise."
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
        return f"{fact}. But {chance}, no farther: its pixels cannot tell what the two do to each other from chance."
    verdict = "it is far from linear" if outside >= FAR else "it is not linear, though a part of it is"
    return f"{fact}: {verdict}; {chance}."


def _pair_part(atlas: Atlas, at: int, pair: Interaction, found: PairInteraction) -> PairPart:
    ends = (atlas.exhibits[pair.first], atlas.exhibits[pair.second])
    own = _own_scores(found)
    steps = list(zip((step.job for step in pair.walk), found.walk, strict=True))
    first, second = (Link(str(end.job.target), _page_of(end)) for end in ends)
    return PairPart(
        at=at,
        first=first,
        second=second,
        verdict=" ".join(pair_sentences(found)),
        shots=tuple(shot_of(atlas.exhibits[job], str(job.target)) for job in (pair.first, pair.second, pair.joint)),
        walk=tuple(shot_of(atlas.exhibits[job], f"{1 - one.weight:g} and {one.weight:g}") for job, one in steps),
        rows=tuple(_row(atlas.exhibits[job], one, own) for job, one in (*steps, (pair.joint, found.joint))),
        chart=_walk_chart(found, own),
    )


def _row(exhibit: Exhibit, found: Mixed, own: tuple[float, float]) -> MixRow:
    return MixRow(
        target=found.target,
        page=_page_of(exhibit),
        first=_score(found.first, own[0]),
        second=_score(found.second, own[1]),
        outside="unchanged" if found.outside is None else number(found.outside),
    )


def _score(score: float, own: float) -> str:
    part = share(score, own)
    return number(score) if part is None else f"{number(score)} ({whole_percent(part)})"


def _page_of(exhibit: Exhibit) -> str | None:
    """Where one can read how a rendering was made."""
    if isinstance(exhibit, Feature):
        return exhibit.page
    return f"{exhibit.folder}/record.json" if exhibit.record else None


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
    all_heads = [_head(features[job]) for job in matrix_jobs(atlas.config, found.layer)]
    kept = judged(found)
    heads = tuple(head for head, number in zip(all_heads, found.features, strict=True) if number in kept.features)
    own = [kept.scores[at][at] for at in range(len(heads))]
    pictures = [*(f"the picture for {head.number}" for head in heads), "the noise"]
    rows = tuple(
        MatrixRow(head, tuple(_cell(*one, name) for one in zip(heads, scores, own, strict=True)))
        for head, scores, name in zip((*heads, None), (*kept.scores, kept.noise), pictures, strict=True)
    )
    verdict = " ".join(matrix_sentences(found))
    layer = Link(found.layer, f"{found.layer}/{HOME}")
    body = MatrixBody(layer, len(all_heads), heads, rows, verdict, atlas.recipe.name)
    title = f"{TITLE} in {found.layer}"
    description = (
        f"How much the picture for one feature of {found.layer} excites another, for {len(all_heads)} features."
    )
    crumbs = (HOME_LINK, Link(TITLE, PAGE), Link(found.layer, None))
    return Page(_matrix_page(found.layer), "studies/interactions_matrix.html", title, description, crumbs, body)


def _head(feature: Feature) -> Head:
    return Head(feature.number, feature.page, thumb_of(feature))


def _cell(head: Head, score: float, own: float, picture: str) -> Cell:
    part = score / own
    title = f"feature {head.number} on {picture}: score {number(score)}, {whole_percent(part)} of {number(own)}"
    return Cell(min(SHADES, round(SHADE_OF_ONE * part)), f"{part:.2f}" if part < 10 else f"{part:.0f}", title)
