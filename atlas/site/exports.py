"""The atlas as data: every planned feature → `features.csv` and `features.json`, in the root of the site."""

import csv
import io
import json
from typing import NamedTuple

from atlas.site.catalogue import Atlas, Feature, PlannedRendering

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
    return [
        _row(feature, atlas.colours.get(feature.face.folder, ()), atlas.words_of(feature)) for feature in atlas.features
    ]


def _row(feature: Feature, colours: tuple[str, ...], words: str) -> FeatureRow:
    rescued = feature.rescued
    return FeatureRow(
        str(feature.job.target),
        feature.layer,
        feature.number,
        feature.recipe,
        feature.status,
        feature.score_start,
        feature.score,
        colours,
        words or None,
        feature.page,
        *_files_of(feature),
        rescued.recipe if rescued else None,
        rescued.score if rescued else None,
        *_files_of(rescued),
    )


def _files_of(rendering: PlannedRendering | None) -> tuple[str | None, str | None, str | None]:
    """Picture, record and hash of the pixels; None while it is pending."""
    if rendering is None or not (rendering.record and rendering.picture):
        return None, None, None
    return rendering.picture.avif, rendering.json, rendering.record.pixels_sha256
