"""A feature's raw picture beside its own, for its page and for the comparison: `Atlas` → `RawBeside`."""

from collections.abc import Mapping
from dataclasses import dataclass

from atlas.site.catalogue import Atlas, LayerEntry
from atlas.site.models import Picture
from atlas.site.pages.parts import picture_of
from atlas.studies.compare.jobs import raw_pairs
from atlas.studies.compare.result import raw_spec
from atlas.studies.shared.likeness import Likeness


@dataclass(frozen=True)
class RawBeside:
    """A feature's raw picture, to be shown beside its own."""

    recipe: str
    own_recipe: str
    picture: Picture
    alt: str
    status: str
    score: float | None  # as shown
    own_score: float | None
    json: str  # path of the record
    size: int  # pixels at which the two were compared
    is_raised: bool  # whether both pictures were: otherwise they are not compared
    likeness: Likeness | None  # None: not measured yet, or not compared


def raw_beside(atlas: Atlas, entry: LayerEntry) -> Mapping[int, RawBeside]:
    """The features of a layer of which the store has both pictures, by number."""
    finding = atlas.result(raw_spec(entry.layer.name))
    measured = {one.feature: one.likeness for one in finding.features} if finding else {}
    shown = {feature.number: feature for feature in entry.shown}
    found = {}
    for pair in raw_pairs(atlas.config, entry.layer.name):
        raw, own = atlas.exhibits[pair.raw], shown.get(pair.feature)
        picture = picture_of(raw)
        if own is None or own.record is None or raw.record is None or picture is None:
            continue
        found[pair.feature] = RawBeside(
            recipe=pair.raw.recipe.name,
            own_recipe=pair.own.recipe.name,
            picture=picture,
            alt=f"Rendering of {pair.raw.target} by recipe {pair.raw.recipe.name}.",
            status=raw.status,
            score=raw.record.score_shown,
            own_score=own.record.score_shown,
            json=f"{raw.folder}/record.json",
            size=min(pair.own.recipe.octaves[-1].size, pair.raw.recipe.octaves[-1].size),
            is_raised=raw.status == own.status == "ok",
            likeness=measured.get(pair.feature),
        )
    return found
