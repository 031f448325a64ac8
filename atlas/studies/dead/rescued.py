"""A feature whose picture shows nothing beside its rescued one, for its page and the list: `Atlas` → `Rescued`."""

from dataclasses import dataclass

from atlas.site.catalogue import Atlas
from atlas.site.models import Picture
from atlas.site.pages.parts import picture_of


@dataclass(frozen=True)
class Rescued:
    """A feature whose picture shows nothing and its rescued rendering, side by side."""

    layer: str
    number: int
    page: str  # of the feature
    own: Picture
    own_recipe: str
    own_status: str
    own_score: float | None
    recipe: str
    steps: int  # at the start, in which the gradient may be rescued
    picture: Picture | None  # None: pending
    status: str
    score: float | None
    json: str | None  # path of the rescued rendering's record


def rescued_features(atlas: Atlas) -> tuple[Rescued, ...]:
    """All features that are rendered once more, in the network's order; a rendering may be pending."""
    features = {feature.job: feature for feature in atlas.features}
    found = []
    for rescue in atlas.rescues:
        own, rescued = features[rescue.own], atlas.exhibits[rescue.rescued]
        grey = picture_of(own)
        record = rescued.record
        assert own.record, "a rescue is planned for what is rendered"
        assert grey, "and what is rendered has a picture"
        found.append(
            Rescued(
                layer=rescue.layer,
                number=rescue.feature,
                page=own.page,
                own=grey,
                own_recipe=own.job.recipe.name,
                own_status=own.status,
                own_score=own.record.score_shown,
                recipe=rescued.job.recipe.name,
                steps=rescued.job.recipe.rescue_steps or 0,
                picture=picture_of(rescued),
                status=rescued.status,
                score=record.score_shown if record else None,
                json=f"{rescued.folder}/record.json" if record else None,
            )
        )
    return tuple(found)
