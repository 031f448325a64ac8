"""The atlas as data: every planned feature → `features.csv` and `features.json`, in the root of the site."""

import csv
import io
import json
from typing import NamedTuple

from atlas.site.catalogue import Atlas, Feature, PlannedRendering
from atlas.site.models import Mark

CSV = "features.csv"
JSON = "features.json"


class FeatureRow(NamedTuple):
    """A planned feature. Unknown values are None; paths are relative to the root of the site.

    Scores, picture, record and hash are those of `recipe`; the `rescued_` fields are those of the rescued picture.
    """

    target: str
    layer: str
    number: int
    recipe: str
    status: str  # of the record, or "pending"
    score_start: float | None
    score_shown: float | None
    colours: tuple[str, ...]  # names of the strong colours of the picture that is shown; in CSV separated by spaces
    responds_to: str | None  # in words, such as "fine vertical stripes"; None if no study says so
    seeds: str | None  # whether renderings from several noises agree: yes, no, undecided; None: not measured
    seeds_value: float | None  # share of the pairs of different features that are less alike
    photographs: str | None  # whether the rendering activates the feature more than photographs do
    photographs_value: float | None  # its activation over that of the strongest photograph
    path: str | None  # whether it does so by the channels by which photographs do
    path_value: float | None  # share of the random crops that are less like the top crops
    page: str
    picture: str | None  # the AVIF file
    record: str | None
    pixels_sha256: str | None  # of the master
    rescued_recipe: str | None
    rescued_score: float | None
    rescued_picture: str | None
    rescued_record: str | None
    rescued_pixels_sha256: str | None


def features_csv(atlas: Atlas) -> bytes:
    """All planned features as CSV, one per line below a header; None is an empty field."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FeatureRow._fields)
    for row in atlas.once(feature_rows):
        writer.writerow(" ".join(value) if isinstance(value, tuple) else value for value in row)
    return file.getvalue().encode()


def features_json(atlas: Atlas) -> bytes:
    """All planned features as JSON, with title, licence and weights of the atlas; None is null."""
    weights = atlas.weights
    data = {
        "title": atlas.config.title,
        "license": atlas.config.license,
        "weights": {"name": weights.name, "sha256": weights.sha256} if weights else None,
        "features": [row._asdict() for row in atlas.once(feature_rows)],
    }
    return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


def feature_rows(atlas: Atlas) -> list[FeatureRow]:
    """All planned features, in the order of the network; call it by `atlas.once`."""
    return [_row(atlas, feature) for feature in atlas.features]


def _row(atlas: Atlas, feature: Feature) -> FeatureRow:
    rescued = feature.rescued
    marks = {mark.kind: mark for mark in atlas.marks_of(feature)}
    return FeatureRow(
        str(feature.job.target),
        feature.layer,
        feature.number,
        feature.recipe,
        feature.status,
        feature.score_start,
        feature.score,
        atlas.colours.get(feature.face.folder, ()),
        atlas.words_of(feature) or None,
        *_told(marks.get("seeds")),
        *_told(marks.get("photographs")),
        *_told(marks.get("path")),
        feature.page,
        *_files_of(feature),
        rescued.recipe if rescued else None,
        rescued.score if rescued else None,
        *_files_of(rescued),
    )


def _told(mark: Mark | None) -> tuple[str | None, float | None]:
    """What a check says, and its value."""
    return ({True: "yes", False: "no", None: "undecided"}[mark.passed], mark.value) if mark else (None, None)


def _files_of(rendering: PlannedRendering | None) -> tuple[str | None, str | None, str | None]:
    """Picture, record and hash of the pixels; None while it is pending."""
    if rendering is None or not (rendering.record and rendering.picture):
        return None, None, None
    return rendering.picture.avif, rendering.json, rendering.record.pixels_sha256
