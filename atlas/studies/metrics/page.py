"""Metrics: L1, L2 and L∞ as a table of pictures, with their fine detail, and whether the article's claim holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atlas.plan.jobs import Job
from atlas.plan.recipes import Metric
from atlas.site.catalogue import Atlas
from atlas.site.models import Page
from atlas.site.pages.parts import target_page
from atlas.site.study_page import StudyCard, StudyPage
from atlas.studies.metrics.jobs import jobs, metric_rows
from atlas.studies.metrics.result import METRICS, MetricPicture, Metrics, MetricTarget
from atlas.studies.metrics.settings import Settings

CARD = StudyCard("metrics", "L1, L2 and L∞", "Do three metrics make the same picture, and is L1’s the least noisy?")
SAME = 0.8  # two pictures count as the same from this correlation on
GREY = 2.0  # a picture counts as grey while its luma varies less than so many times as much as the start noise


def metrics_pages(atlas: Atlas) -> Iterator[Page]:
    """The page, if it is measured."""
    found = atlas.result(METRICS)
    if not found:
        return
    yield CARD.page(
        "Features of InceptionV3 by the metrics L1, L2 and L∞: their pictures, scores and fine detail.",
        recipe=atlas.config.get_recipe(atlas.config.study(Settings).recipe),
        targets=[_target_part(atlas, *pair) for pair in zip(metric_rows(atlas.config), found.targets, strict=True)],
        comparisons=list(compare_with_l1(found)),
        same_from=SAME,
        noise=count_least_noisy(found),
        grey_below=GREY,
    )


def is_judged(picture: MetricPicture, target: MetricTarget) -> bool:
    """Whether a picture can be compared with others: it was raised, and is no longer grey."""
    return picture.raised and not _is_grey(picture, target)


@dataclass(frozen=True)
class Comparison:
    """How many features have the same picture by L1 and by another metric."""

    metric: Metric
    compared: int  # features of which both pictures can be judged
    left_out: int
    same: int
    with_others: int  # of those compared, the ones whose picture was compared with L1's of other features too
    highest: int  # of these, the ones whose own L1 picture has the highest correlation


def compare_with_l1(found: Metrics) -> Iterator[Comparison]:
    """Whether the other metrics make the same pictures as L1."""
    judged = [_judged(target) for target in found.targets]
    for metric in (picture.metric for picture in found.targets[0].pictures[1:]):
        pictures = [one[metric] for one in judged if "l1" in one and metric in one]
        with_others = [picture for picture in pictures if picture.others]
        yield Comparison(
            metric=metric,
            compared=len(pictures),
            left_out=len(judged) - len(pictures),
            same=sum((one.to_l1.correlation or 0.0) >= SAME for one in pictures if one.to_l1),
            with_others=len(with_others),
            highest=sum(one.to_l1.exceeds(one.others) for one in with_others if one.to_l1),
        )


def count_least_noisy(found: Metrics) -> tuple[int, int]:
    """Of how many features L1's picture has the least fine detail, and how many can be judged."""
    least = judged = 0
    for target in found.targets:
        pictures = _judged(target)
        l1 = pictures.pop("l1", None)
        if l1 and pictures:
            judged += 1
            least += all((l1.fine or 0.0) < (rival.fine or 0.0) for rival in pictures.values())
    return least, judged


def _judged(target: MetricTarget) -> dict[Metric, MetricPicture]:
    return {picture.metric: picture for picture in target.pictures if is_judged(picture, target)}


def _is_grey(picture: MetricPicture, target: MetricTarget) -> bool:
    return picture.contrast < GREY * target.start_contrast


def _target_part(atlas: Atlas, row: Sequence[Job], found: MetricTarget) -> dict[str, object]:
    """A feature by each metric: its renderings, what is measured of each, and whether that one stays grey."""
    renderings = [atlas.renderings[job] for job in row]
    greys = [_is_grey(picture, found) for picture in found.pictures]
    rows = list(zip(renderings, found.pictures, greys, strict=True))
    return {"target": row[0].target, "page": target_page(row[0].target), "rows": rows}


PAGE = StudyPage(card=CARD, pages=metrics_pages, mentions=CARD.mentions(Settings), jobs=jobs)
