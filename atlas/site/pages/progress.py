"""How a rendering came about: the strip of its stages, and its score by step, as far as the record knows it."""

from itertools import accumulate

from atlas.site import words
from atlas.site.catalogue import PlannedRendering
from atlas.site.charts import Chart, Series, make_chart
from atlas.store.stages import strip_size

HEIGHT = 200  # of the chart
LABEL = "Score by step, measured where the dots are; the lines only join the start and end of an octave"


def stages_copy(rendering: PlannedRendering) -> str:
    """Where the strip of a rendering lies in the site."""
    return f"{rendering.folder}/stages.avif"


def stages_of(rendering: PlannedRendering) -> dict[str, object] | None:
    """The strip of a rendering: its start and the end of each octave; None where the store has none of this picture."""
    if not rendering.has_stages:
        return None
    octaves = rendering.job.recipe.octaves
    ends = accumulate(octave.steps for octave in octaves)
    labels = ("start", *(f"{octave.size} px, step {end}" for octave, end in zip(octaves, ends, strict=True)))
    alt = f"{rendering.job.target} from noise to picture: the start, and the end of each octave."
    width, height = strip_size(rendering.job.recipe)
    return {"path": stages_copy(rendering), "width": width, "height": height, "labels": labels, "alt": alt}


def score_chart(rendering: PlannedRendering) -> Chart | None:
    """The scores of a record by step; None while it is pending, or if no score is finite."""
    record = rendering.record
    if record is None:
        return None
    ends = tuple(accumulate((octave.steps for octave in rendering.job.recipe.octaves), initial=0))
    points: list[tuple[float, float | None]] = []
    for start, end, scores in zip(ends, ends[1:], record.octaves, strict=False):
        points += [(start, scores.score_start), (end, scores.score_end), (end, None)]
    if all(score is None for _, score in points):
        return None
    series = [Series("during the descent", tuple(points), "joined")]
    if record.score_shown is not None:
        series.append(Series("of the picture as stored", ((ends[-1], record.score_shown),), "dots"))
    x_words = [(step, str(step)) for step in ends]
    spans = (
        f"{octave.size} px from {words.number(octave.score_start)} to {words.number(octave.score_end)}"
        for octave in record.octaves
    )
    alt = f"Score by step: {'; '.join(spans)}; {words.number(record.score_shown)} for the picture as stored."
    return make_chart(series, alt=alt, x_label="step", y_label=LABEL, x_words=x_words, height=HEIGHT)
