"""The page of a feature: its picture, its numbers, and how to make it again."""

from dataclasses import dataclass
from itertools import zip_longest

from atlas.inception import layers
from atlas.plan.recipes import Recipe
from atlas.site import words
from atlas.site.blocks import Block, draw_block, path_words
from atlas.site.catalogue import Atlas, Feature, LayerEntry
from atlas.site.charts import Chart
from atlas.site.models import Again, Link, OctaveRow, Page, Picture, Player, Stages
from atlas.site.pages.mentions import Mentions
from atlas.site.pages.parts import (
    FEATURES_A_PAGE,
    HOME_LINK,
    Around,
    again_of,
    layer_page,
    neighbours,
    picture_of,
    player_of,
    region_link,
)
from atlas.site.pages.progress import score_chart, stages_of
from atlas.store.records import Record
from atlas.studies.compare.raw import RawBeside, raw_beside
from atlas.studies.connections.page import Connected, connections_of
from atlas.studies.dead.rescued import Rescued, rescued_features
from atlas.studies.examples.page import CropSection, crops_of
from atlas.studies.nearest.page import Neighbours, Vicinity


@dataclass(frozen=True)
class FeatureBody:
    """A feature's page."""

    layer: str
    number: int
    target: str
    status: str
    sentence: str
    picture: Picture | None  # its own
    face: Picture | None  # the one that is shown first: the rescued one, if there is one
    alt: str  # of the face
    record: Record | None
    seed: int
    recipe: Recipe
    octaves: tuple[OctaveRow, ...]
    branch: str
    field: str
    path: str  # from the layer before
    block: Block
    stages: Stages | None  # None: the store keeps none
    progress: Chart | None  # None: pending, or no score is finite
    neighbours: Neighbours
    mentions: tuple[Link, ...]  # other pages of which it is a part
    again: Again
    player: Player | None  # None: there is no video of it
    raw: RawBeside | None  # None: the store does not have both
    rescued: Rescued | None  # None: it needs no rescue, or has none
    connected: Connected | None  # None: nothing is known of its connections
    crops: CropSection | None  # None: none are shown
    previous: Link | None
    next: Link | None


@dataclass(frozen=True)
class Surroundings:
    """What is known of all features at once."""

    vicinity: Vicinity
    mentions: Mentions


@dataclass(frozen=True)
class _Beside:
    """What other rooms show of a feature, where they have something."""

    connected: Connected | None
    raw: RawBeside | None
    rescued: Rescued | None
    around: Surroundings


def feature_pages(atlas: Atlas, entry: LayerEntry, around: Surroundings) -> list[Page]:
    """A page for each feature of a layer, in its order."""
    connected, raw = connections_of(atlas, entry), raw_beside(atlas, entry)
    rescued = {one.number: one for one in rescued_features(atlas) if one.layer == entry.layer.name and one.picture}
    numbers = [feature.number for feature in entry.features]
    return [
        _feature_page(atlas, entry, position, _Beside(connected.get(n), raw.get(n), rescued.get(n), around))
        for position, n in enumerate(numbers)
    ]


def _feature_page(atlas: Atlas, entry: LayerEntry, position: int, beside: _Beside) -> Page:
    feature = entry.features[position]
    name, number = feature.layer, feature.number
    around = neighbours(entry.features, position, lambda f: Link(f"{f.layer} {f.number}", f.page))
    at = position // FEATURES_A_PAGE + 1
    crumbs = (
        HOME_LINK,
        region_link(entry.layer.region),
        Link(name, layer_page(name, at)),
        Link(str(number), None),
    )
    body = _feature_body(atlas, feature, around, beside)
    description = f"Feature {number} of {name} in InceptionV3: {_first_lower(body.sentence)}"
    return Page(feature.page, "feature.html", f"{name} {number}", description, crumbs, body)


def _feature_body(atlas: Atlas, feature: Feature, around: Around, beside: _Beside) -> FeatureBody:
    record, recipe = feature.record, feature.job.recipe
    name, number = feature.layer, feature.number
    scores = record.octaves if record else ()
    video = atlas.video_of(feature)
    return FeatureBody(
        layer=name,
        number=number,
        target=str(feature.job.target),
        status=feature.status,
        sentence=words.status_sentence(feature.status, record),
        picture=picture_of(feature),
        face=picture_of(feature.face),
        alt=_alt(feature),
        record=record,
        seed=feature.job.seed,
        recipe=recipe,
        octaves=tuple(
            OctaveRow(octave, _map_size(name, octave.size), score)
            for octave, score in zip_longest(recipe.octaves, scores[: len(recipe.octaves)])
        ),
        branch=words.branch_of(name, number),
        field=words.field_of(name, number),
        path=path_words(name, number),
        block=draw_block(name, number),
        stages=stages_of(feature),
        progress=score_chart(feature),
        neighbours=beside.around.vicinity.of(feature),
        mentions=beside.around.mentions.of(feature),
        again=again_of(feature, atlas.weights_option),
        player=player_of(video, atlas.weights_option) if video else None,
        raw=beside.raw,
        rescued=beside.rescued,
        connected=beside.connected,
        crops=crops_of(atlas, feature),
        previous=around[0],
        next=around[1],
    )


def _alt(feature: Feature) -> str:
    record = feature.face.record
    if record is None:
        return ""
    rescued = f", rescued by recipe {feature.face.job.recipe.name}" if feature.rescued else ""
    return (
        f"Rendering of feature {feature.number} of {feature.layer}{rescued}, {record.width} × {record.height} pixels, "
        f"status {record.status}, score {words.number(record.score_shown)}."
    )


def _map_size(layer: str, size: int) -> str:
    rows, cols = layers.grid(layer, (size, size))
    return f"{rows} × {cols}"


def _first_lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
