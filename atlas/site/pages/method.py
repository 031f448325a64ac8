"""The method page: what a feature is, how a recipe works, and what a picture does not say, shown on one feature."""

from collections.abc import Iterable
from dataclasses import dataclass

from atlas.inception import layers
from atlas.plan.recipes import InputMap, Octave, Recipe
from atlas.site.catalogue import Atlas, Feature
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Link, Page, Picture, Stages
from atlas.site.pages.parts import HOME_LINK, METHOD, picture_of
from atlas.site.pages.progress import score_chart, stages_of
from atlas.studies.compare.raw import RawBeside, raw_beside

HEIGHT = 170  # of a curve's view box
EXAMPLE_REGION = "middle-mixed"  # has textures that a reader recognises


@dataclass(frozen=True)
class RecipeFigure:
    """A recipe's curves, and what a script needs to read values off them."""

    name: str
    steps: int
    curves: tuple[Chart, ...]  # of the rate and, where it blurs, of the blur
    facts: tuple[tuple[int, int, tuple[float, float], tuple[float, float] | None], ...]  # size, steps, rate, blur

    @property
    def ends(self) -> tuple[int, int, int]:
        """In each chart: x of the first step, x of the end of the last one, and y of the axis."""
        return self.curves[0].left, self.curves[0].right, self.curves[0].bottom


@dataclass(frozen=True)
class Example:
    """A feature on which the method is shown."""

    feature: Link
    picture: Picture
    stages: Stages | None
    progress: Chart | None
    raw: RawBeside | None


@dataclass(frozen=True)
class MethodBody:
    """The page."""

    recipe: Recipe
    figures: tuple[RecipeFigure, ...]  # the atlas's own recipe first, then the others that made something here
    layers: int
    features: int
    regions: tuple[str, ...]
    example: Example | None  # None: nothing is rendered yet
    trained_input: InputMap | None  # what the weights were trained with for a picture x; None: nothing is known of them


def method_page(atlas: Atlas) -> Page:
    """The page, whatever the store has."""
    body = MethodBody(
        recipe=atlas.recipe,
        figures=tuple(recipe_figure(recipe) for recipe in _recipes(atlas)),
        layers=len(layers.LAYERS),
        features=sum(layer.features for layer in layers.LAYERS),
        regions=tuple(region.title for region in layers.REGIONS),
        example=_example(atlas),
        trained_input=atlas.weights.trained_input if atlas.weights else None,
    )
    description = "How the pictures of this atlas are made: features, targets, gradient descent, octaves, scores."
    return Page(METHOD, "method.html", "Method", description, (HOME_LINK, Link("Method", None)), body)


def recipe_figure(recipe: Recipe) -> RecipeFigure:
    """The curves of a recipe: exactly what its octaves say at each step."""
    curves = [_chart(recipe, "Rate", [octave.lr for octave in recipe.octaves])]
    if any(octave.sigma for octave in recipe.octaves):
        curves.append(_chart(recipe, "Blur, px", [octave.sigma for octave in recipe.octaves]))
    return RecipeFigure(
        name=recipe.name,
        steps=sum(octave.steps for octave in recipe.octaves),
        curves=tuple(curves),
        facts=tuple((octave.size, octave.steps, octave.lr, octave.sigma) for octave in recipe.octaves),
    )


def _chart(recipe: Recipe, label: str, ends: list[tuple[float, float]] | list[tuple[float, float] | None]) -> Chart:
    points: list[tuple[float, float | None]] = []
    ticks: list[tuple[float, str]] = [(0, "0")]
    start, said = 0, []
    for octave, pair in zip(recipe.octaves, ends, strict=True):
        last = octave.steps - 1
        if pair:
            first_value, last_value = _values(octave, pair)
            points += [(start, first_value), (start + last, last_value), (start + last, None)]
            said.append(f"{pair[0]:g} towards {pair[1]:g} at {octave.size} px")
        start += octave.steps
        ticks.append((start, str(start)))
    alt = f"{label} of recipe {recipe.name} by step: {'; '.join(said)}."
    series = [Series(label, tuple(points))]
    return make_chart(series, alt=alt, x_label="step", y_label=label, x_words=ticks, height=HEIGHT)


def _values(octave: Octave, pair: tuple[float, float]) -> tuple[float, float]:
    """At the first and at the last step of an octave."""
    as_rate = Octave(octave.size, octave.steps, pair)
    return as_rate.lr_at(0), as_rate.lr_at(octave.steps - 1)


def _recipes(atlas: Atlas) -> Iterable[Recipe]:
    """The atlas's own recipe, and then those of everything else that it shows, in the order of their names."""
    others = {job.recipe.name: job.recipe for job in atlas.exhibits}
    others.update((video.clip.recipe.name, video.clip.recipe) for video in atlas.videos)
    others.pop(atlas.recipe.name, None)
    return (atlas.recipe, *(others[name] for name in sorted(others)))


def _example(atlas: Atlas) -> Example | None:
    """The feature of which there is most to show; of equal ones the first."""
    candidates = [feature for feature in atlas.features if feature.status == "ok"]
    if not candidates:
        return None
    raws = {entry.layer.name: raw_beside(atlas, entry) for entry in atlas.layers if entry.shown}

    def worth(feature: Feature) -> tuple[bool, bool, bool]:
        is_middle = layers.get_layer(feature.layer).region == EXAMPLE_REGION
        return feature.stages is not None, feature.number in raws[feature.layer], is_middle

    best = max(candidates, key=worth)  # the first of equal ones
    picture = picture_of(best)
    assert picture  # its status says that it is rendered
    return Example(
        feature=Link(str(best.job.target), best.page),
        picture=picture,
        stages=stages_of(best),
        progress=score_chart(best),
        raw=raws[best.layer].get(best.number),
    )
