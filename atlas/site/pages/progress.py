"""How a rendering came about: the strip of its stages, and its score by step, as far as the record knows it."""

from itertools import accumulate

from atlas.site import words
from atlas.site.catalogue import Exhibit
from atlas.site.charts import Chart, Series, make_chart
from atlas.site.models import Stages
from atlas.site.stages import stages_copy
from atlas.store.records import Record
from atlas.store.stages import strip_size

HEIGHT = 200  # of the chart
LABEL = "Score by step, measured where the dots are; the lines only join the start and end of an octave"


def stages_of(exhibit: Exhibit) -> Stages | None:
    """The strip of an exhibit's stages; None where the store has none of this very picture."""
    if exhibit.stages is None:
        return None
    octaves = exhibit.job.recipe.octaves
    ends = accumulate(octave.steps for octave in octaves)
    labels = ("start", *(f"{octave.size} px, step {end}" for octave, end in zip(octaves, ends, strict=True)))
    width, height = strip_size(exhibit.job.recipe)
    return Stages(
        path=stages_copy(exhibit),
        width=width,
        height=height,
        labels=labels,
        alt=f"{exhibit.job.target} from noise to picture: the start, and the end of each octave.",
    )


def score_chart(exhibit: Exhibit) -> Chart | None:
    """The scores of a record by step; None while it is pending, or if no score is finite."""
    record, octaves = exhibit.record, exhibit.job.recipe.octaves
    if record is None:
        return None
    ends = tuple(accumulate((octave.steps for octave in octaves), initial=0))
    points: list[tuple[float, float | None]] = []
    for start, end, scores in zip(ends, ends[1:], record.octaves, strict=False):
        points += [(start, scores.score_start), (end, scores.score_end), (end, None)]
    if all(score is None for _, score in points):
        return None
    return make_chart(
        [Series("during the descent", tuple(points), "joined"), *_shown(record, ends[-1])],
        alt=_alt(record),
        x_label="step",
        y_label=LABEL,
        x_words=[(step, str(step)) for step in ends],
        height=HEIGHT,
    )


def _shown(record: Record, end: int) -> list[Series]:
    score = record.score_shown
    return [] if score is None else [Series("of the picture as stored", ((end, score),), "dots")]


def _alt(record: Record) -> str:
    spans = (
        f"{octave.size} px from {words.number(octave.score_start)} to {words.number(octave.score_end)}"
        for octave in record.octaves
    )
    return f"Score by step: {'; '.join(spans)}; {words.number(record.score_shown)} for the picture as stored."
