"""Metrics: L1, L2 and L∞ as a table of pictures, with their fine detail, and whether the article's claim holds."""

from collections.abc import Iterator

from atlas.plan.recipes import Metric
from atlas.site import words
from atlas.site.catalogue import Atlas
from atlas.site.models import Page
from atlas.site.pages.parts import shot_of, target_page
from atlas.site.study_page import StudyCard, StudyPage
from atlas.site.words import left_out
from atlas.store.forecast import count_of
from atlas.studies.metrics.jobs import MetricRow, jobs, metric_rows
from atlas.studies.metrics.result import METRICS, MetricPicture, Metrics, MetricTarget
from atlas.studies.metrics.settings import Settings

CARD = StudyCard("metrics", "L1, L2 and L∞", "Do three metrics make the same picture, and is L1’s the least noisy?")
SAME = 0.8  # two pictures count as the same from this correlation on
GREY = 2.0  # a picture counts as grey while its luma varies less than so many times as much as the start noise
FEWEST = 4  # features that it takes to say which metric is the least noisy: by chance L1's are, of four, once in 16
UNRAISED = {"no_gradient": "no gradient", "not_raised": "not raised", "failed": "failed"}


def metrics_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if it is measured."""
    found = atlas.result(METRICS)
    if not found:
        return
    pairs = zip(metric_rows(atlas.config), found.targets, strict=True)
    yield CARD.page(
        "Features of InceptionV3 by the metrics L1, L2 and L∞: their pictures, scores and fine detail.",
        recipe=atlas.config.get_recipe(atlas.config.study(Settings).recipe),
        targets=[_target_part(atlas, row, one) for row, one in pairs],
        same=same_summary(found),
        noise=noise_summary(found),
        grey_below=GREY,
    )


def is_judged(picture: MetricPicture, target: MetricTarget) -> bool:
    """Whether a picture can be compared with others: it was raised, and is no longer grey."""
    return picture.raised and not _is_grey(picture, target)


def same_summary(found: Metrics) -> str:
    """Whether the metrics make the same picture."""
    first, *others = (picture.metric for picture in found.targets[0].pictures)
    sentences = [_same_sentence(found, first, other) for other in others]
    return " ".join(sentences)


def noise_summary(found: Metrics) -> str:
    """Whether L1's pictures have the least fine detail."""
    judged = [(target.pictures[0], rivals) for target in found.targets if (rivals := _rivals(target))]
    least = sum(all(_fine(one) < _fine(rival) for rival in rivals) for one, rivals in judged)
    fact = f"L1’s picture has the smallest share of fine detail for {least}"
    if len(judged) < FEWEST:
        return (
            f"Whether “L1 is the least noisy” cannot be told: {count_of(len(judged), 'feature')} can be judged, and at "
            f"least {FEWEST} are needed. {fact}."
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
        return f"{rival} cannot be compared with {name}: for each feature, one of the two pictures {why}."
    same = sum(_correlation(one) >= SAME for one in clear)
    nearest = [(one.to_l1, one.others) for one in clear if one.others]
    highest = sum(mine.exceeds(others) for mine, others in nearest if mine)
    own = (
        f"; for {highest} of {len(nearest)}, the feature’s own {name} picture has the highest "
        f"correlation of all {name} pictures"
    )
    left = left_out(len(pairs) - len(clear), f"one of the two pictures {why}")
    return (
        f"{rival} makes the same picture as {name}, pixel by pixel, for {same} of {count_of(len(clear), 'feature')}: a "
        f"correlation of at least {SAME:g}{own if nearest else ''}.{left}"
    )


def _is_grey(picture: MetricPicture, target: MetricTarget) -> bool:
    return picture.contrast < GREY * target.start_contrast


def _rivals(target: MetricTarget) -> list[MetricPicture]:
    """The other metrics' pictures that can be compared with L1's."""
    if not is_judged(target.pictures[0], target):
        return []
    return [picture for picture in target.pictures[1:] if is_judged(picture, target)]


def _fine(picture: MetricPicture) -> float:
    return 0.0 if picture.fine is None else picture.fine


def _correlation(picture: MetricPicture) -> float:
    found = picture.to_l1.correlation if picture.to_l1 else None
    return -1.0 if found is None else found


def _target_part(atlas: Atlas, row: MetricRow, found: MetricTarget) -> dict[str, object]:
    """A feature by each metric; a row ends with why the picture does not count, "" if it does."""
    rows, shots = [], []
    for (_, job), picture in zip(row.jobs, found.pictures, strict=True):
        rendering, metric = atlas.renderings[job], words.METRICS[picture.metric]
        grey = "stays grey" if _is_grey(picture, found) else ""
        reason = grey if picture.raised else UNRAISED.get(rendering.status, "not raised")
        caption = f"{metric}: {reason}" if reason else metric
        shots.append(shot_of(rendering, caption, alt=f"Rendering of {row.target} by the metric {metric}."))
        rows.append((metric, rendering, picture, reason))
    return {"target": row.target, "page": target_page(row.target), "shots": shots, "rows": rows}


PAGE = StudyPage(card=CARD, pages=metrics_pages, mentions=CARD.mentions(Settings), jobs=jobs)
