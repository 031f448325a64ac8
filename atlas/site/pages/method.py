"""The method page: what a feature is, how a recipe works, and what a picture does not say, shown on one feature."""

from collections.abc import Callable, Iterable, Sequence

from atlas.inception import layers
from atlas.plan.recipes import Octave, Recipe
from atlas.site.catalogue import STATES, Atlas, Feature, PlannedRendering
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Page
from atlas.site.pages.parts import METHOD, make_page
from atlas.site.pages.progress import score_chart, stages_of

HEIGHT = 170  # of a curve's view box
EXAMPLE_REGION = "middle-mixed"  # has textures that a reader recognises


def method_page(atlas: Atlas) -> Page:
    """The page, whatever the store has."""
    return make_page(
        METHOD,
        "method.html",
        "Method",
        "How the pictures of this atlas are made: features, targets, gradient descent, octaves, scores.",
        recipe=atlas.recipe,
        figures=[recipe_figure(recipe) for recipe in _recipes(atlas)],
        layers=len(layers.LAYERS),
        features=sum(layer.features for layer in layers.LAYERS),
        regions=[region.title for region in layers.REGIONS],
        classes=atlas.config.classes,
        trained_input=atlas.weights.trained_input if atlas.weights else None,
        states=STATES,
        example=_example(atlas),
    )


def recipe_figure(recipe: Recipe) -> dict[str, object]:
    """The curves of a recipe, exactly what its octaves say at each step, and what a script needs to read them."""
    curves = [_chart(recipe, "Rate", [octave.lr for octave in recipe.octaves], Octave.lr_at)]
    if any(octave.sigma for octave in recipe.octaves):
        curves.append(_chart(recipe, "Blur, px", [octave.sigma for octave in recipe.octaves], Octave.sigma_at))
    return {
        "name": recipe.name,
        "curves": curves,  # of the rate and, where it blurs, of the blur
        "facts": {
            "steps": sum(octave.steps for octave in recipe.octaves),
            "octaves": [(octave.size, octave.steps, octave.lr, octave.sigma) for octave in recipe.octaves],
            # in each chart: x of the first step, x of the end of the last one, and y of the axis
            "ends": (curves[0].left, curves[0].right, curves[0].bottom),
        },
    }


def _chart(
    recipe: Recipe,
    label: str,
    ends: Sequence[tuple[float, float] | None],
    value_at: Callable[[Octave, int], float | None],
) -> Chart:
    points: list[tuple[float, float | None]] = []
    ticks: list[tuple[float, str]] = [(0, "0")]
    start, said = 0, []
    for octave, pair in zip(recipe.octaves, ends, strict=True):
        last = octave.steps - 1
        if pair:
            points += [(start + step, value_at(octave, step)) for step in (0, last)] + [(start + last, None)]
            said.append(f"{pair[0]:g} towards {pair[1]:g} at {octave.size} px")
        start += octave.steps
        ticks.append((start, str(start)))
    alt = f"{label} of recipe {recipe.name} by step: {'; '.join(said)}."
    series = [Series(label, tuple(points))]
    return make_chart(series, alt=alt, x_label="step", y_label=label, x_words=ticks, height=HEIGHT)


def _recipes(atlas: Atlas) -> Iterable[Recipe]:
    """The atlas's own recipe, and then those of everything else that it shows, in the order of their names."""
    others = {job.recipe.name: job.recipe for job in atlas.renderings}
    others.update((recipe.name, recipe) for study in atlas.studies for recipe in study.recipes(atlas.config))
    others.pop(atlas.recipe.name, None)
    return (atlas.recipe, *(others[name] for name in sorted(others)))


def _example(atlas: Atlas) -> dict[str, object] | None:
    """The feature of which there is most to show, of equal ones the first; and another rendering of it."""
    candidates = [feature for feature in atlas.features if feature.status == "ok"]
    if not candidates:
        return None
    others: dict[tuple[str, int], PlannedRendering] = {}  # by layer and number
    for compare in (study.comparison for study in reversed(atlas.studies) if study.comparison):
        for entry in atlas.layers:
            others.update({(entry.layer.name, number): other for number, other in compare(atlas, entry).items()})

    def worth(feature: Feature) -> tuple[bool, bool, bool]:
        is_middle = layers.get_layer(feature.layer).region == EXAMPLE_REGION
        return feature.has_stages, (feature.layer, feature.number) in others, is_middle

    best = max(candidates, key=worth)  # the first of equal ones
    other = others.get((best.layer, best.number))
    return {"feature": best, "stages": stages_of(best), "progress": score_chart(best), "other": other}
