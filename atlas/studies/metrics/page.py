"""Metrics: L1, L2 and L∞ as a table of pictures, with their fine detail, and whether the article's claim holds."""

from dataclasses import dataclass

from atlas.plan.recipes import Metric, Recipe
from atlas.site import words
from atlas.site.catalogue import Atlas, Exhibit
from atlas.site.models import Link, Outcome, Page, Shot, StudyCard
from atlas.site.pages.parts import HOME, HOME_LINK, outcome_of, shot_of
from atlas.store.forecast import count_of
from atlas.studies.metrics.jobs import MetricRow, metric_rows
from atlas.studies.metrics.result import METRICS, MetricPicture, Metrics, MetricTarget
from atlas.studies.metrics.settings import Settings

PAGE = f"metrics/{HOME}"
TITLE = "L1, L2 and L∞"
CARD = StudyCard(TITLE, PAGE, "Do three metrics make the same picture, and is L1’s the least noisy?")
SAME = 0.8  # two pictures count as the same from this correlation on
GREY = 2.0  # a picture counts as grey while its luma varies less than so many times as much as the start noise
FEWEST = 4  # features that it takes to say which metric is the least noisy: by chance L1's are, of four, once in 16
UNRAISED = {"no_gradient": "no gradient", "not_raised": "not raised", "failed": "failed"}


@dataclass(frozen=True)
class PictureRow:
    """A feature's picture by one metric."""

    metric: str
    outcome: Outcome
    found: MetricPicture
    left_out: str  # why it does not count; "" if it does


@dataclass(frozen=True)
class TargetPart:
    """A feature by each metric."""

    name: str
    id: str
    page: str
    shots: tuple[Shot, ...]
    rows: tuple[PictureRow, ...]


@dataclass(frozen=True)
class MetricsBody:
    """The page."""

    recipe: Recipe
    targets: tuple[TargetPart, ...]
    same: str
    noise: str
    grey_below: float = GREY


def metrics_pages(atlas: Atlas) -> list[Page]:
    """The page, if it is measured."""
    found = atlas.result(METRICS)
    if not found:
        return []
    pairs = zip(metric_rows(atlas.config), found.targets, strict=True)
    body = MetricsBody(
        recipe=atlas.config.get_recipe(atlas.config.study(Settings).recipe),
        targets=tuple(_target_part(atlas, row, one) for row, one in pairs),
        same=same_verdict(found),
        noise=noise_verdict(found),
    )
    description = "Features of InceptionV3 by the metrics L1, L2 and L∞: their pictures, scores and fine detail."
    return [Page(PAGE, "studies/metrics.html", TITLE, description, (HOME_LINK, Link(TITLE, None)), body)]


def is_judged(picture: MetricPicture, target: MetricTarget) -> bool:
    """Whether a picture can be held against others: it was raised, and left the grey that it began as."""
    return picture.raised and not _is_grey(picture, target)


def same_verdict(found: Metrics) -> str:
    """Whether the metrics make the same picture."""
    first, *others = (picture.metric for picture in found.targets[0].pictures)
    sentences = [_same_sentence(found, first, other) for other in others]
    return " ".join(sentences)


def noise_verdict(found: Metrics) -> str:
    """Whether L1's pictures have the least fine detail."""
    judged = [(target.pictures[0], rivals) for target in found.targets if (rivals := _rivals(target))]
    least = sum(all(_fine(one) < _fine(rival) for rival in rivals) for one, rivals in judged)
    fact = f"L1’s picture has the smallest share of fine detail for {least}"
    if len(judged) < FEWEST:
        return (
            f"Whether “L1 is the least noisy” cannot be told: {count_of(len(judged), 'feature')} can be judged, and it "
            f"takes {FEWEST}. {fact}."
        )
    answer = {len(judged): "holds", 0: "does not hold"}.get(least, "holds for some features and not for others")
    return (
        f"“L1 is the least noisy” {answer} by these numbers: {fact} of the {len(judged)} features that can be judged."
    )


def _same_sentence(found: Metrics, first: Metric, other: Metric) -> str:
    name, rival = words.METRICS[first], words.METRICS[other]
    pairs = [(target, picture) for target in found.targets for picture in target.pictures if picture.metric == other]
    clear = [one for target, one in pairs if is_judged(one, target) and is_judged(target.pictures[0], target)]
    why = "had no gradient, was not raised or stayed grey"
    if not clear:
        return f"{rival} cannot be held against {name}: for each feature, one of the two pictures {why}."
    same = sum(_correlation(one) >= SAME for one in clear)
    nearest = [one for one in clear if one.others]
    own = (
        f"; for {sum(map(_is_nearest, nearest))} of {len(nearest)}, the feature’s own {name} picture has the highest "
        f"correlation of all {name} pictures"
    )
    left_out = len(pairs) - len(clear)
    are = "is" if left_out == 1 else "are"
    left = f" {count_of(left_out, 'feature')} {are} left out: one of the two pictures {why}." if left_out else ""
    return (
        f"{rival} makes the same picture as {name}, pixel by pixel, for {same} of {count_of(len(clear), 'feature')}: a "
        f"correlation of at least {SAME:g}{own if nearest else ''}.{left}"
    )


def _is_grey(picture: MetricPicture, target: MetricTarget) -> bool:
    return picture.contrast < GREY * target.start_contrast


def _rivals(target: MetricTarget) -> list[MetricPicture]:
    """The other metrics' pictures that can be held against L1's."""
    if not is_judged(target.pictures[0], target):
        return []
    return [picture for picture in target.pictures[1:] if is_judged(picture, target)]


def _fine(picture: MetricPicture) -> float:
    return 0.0 if picture.fine is None else picture.fine


def _correlation(picture: MetricPicture) -> float:
    found = picture.to_l1.correlation if picture.to_l1 else None
    return -1.0 if found is None else found


def _is_nearest(picture: MetricPicture) -> bool:
    others = [other.correlation for other in picture.others if other.correlation is not None]
    return all(_correlation(picture) > other for other in others)


def _target_part(atlas: Atlas, row: MetricRow, found: MetricTarget) -> TargetPart:
    term = row.target.terms[0]
    exhibits = [atlas.exhibits[job] for _, job in row.jobs]
    rows = tuple(_row(*pair, found) for pair in zip(exhibits, found.pictures, strict=True))
    return TargetPart(
        name=str(row.target),
        id=f"{term.layer}-{term.feature}",
        page=f"{term.layer}/{term.feature}/{HOME}",
        shots=tuple(_shot(*pair) for pair in zip(exhibits, rows, strict=True)),
        rows=rows,
    )


def _row(exhibit: Exhibit, found: MetricPicture, target: MetricTarget) -> PictureRow:
    grey = "stays grey" if _is_grey(found, target) else ""
    left_out = grey if found.raised else UNRAISED.get(exhibit.status, "not raised")
    return PictureRow(words.METRICS[found.metric], outcome_of(exhibit), found, left_out)


def _shot(exhibit: Exhibit, row: PictureRow) -> Shot:
    caption = f"{row.metric}: {row.left_out}" if row.left_out else row.metric
    return shot_of(exhibit, caption, alt=f"Rendering of {exhibit.job.target} by the metric {row.metric}.")
