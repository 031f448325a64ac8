"""What each feature responds to: stimuli by their properties, and the tuning of each feature to them."""

from dataclasses import dataclass
from typing import Literal

from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.store.results import ResultSpec
from atlas.studies.tuning.settings import Settings

Family = Literal[
    "grey", "hue", "grating", "colour grating", "bar", "edge", "colour edge", "spot", "dots", "ring", "eye",
    "colour spot", "arc", "corner", "junction", "letter", "face", "checks", "plaid", "border", "texture", "thing",
]  # fmt: skip
GROUPS: dict[str, tuple[Family, ...]] = {  # families whose stimuli are alike, from plain to rich
    "uniform": ("grey", "hue"),
    "lines": ("grating", "colour grating", "bar", "edge", "colour edge"),
    "crossed": ("checks", "plaid"),
    "border": ("border",),
    "round": ("spot", "dots", "ring", "eye", "colour spot"),
    "curved": ("arc",),
    "angular": ("corner", "junction", "letter", "face"),
    "rich": ("texture", "thing"),
}
SHAPES = ("crossed", "round", "curved", "angular")  # groups that words name as shapes
PERIODS = (4.0, 6.0, 9.0, 14.0, 22.0, 36.0)  # of gratings, pixels
ORIENTATIONS = 16  # in 180 degrees
HUES = 24  # in 360 degrees
STRONGEST = 5  # stimuli that are kept of each feature


@dataclass(frozen=True)
class Stimulus:
    """A drawn picture by its properties; None where its family does not have one.

    Angles are in degrees, counterclockwise as seen. Those of lines lie in [0, 180): 0 is horizontal, 90 vertical. Those
    of directions lie in [0, 360): 0 points right, 90 up.
    """

    family: Family
    angle: float | None = None  # of lines; or the direction of the bright side, or to which a corner or arc is open
    size: float | None = None  # pixels: period, width of a line, or radius
    phase: float | None = None  # of a grating, degrees
    opening: float | None = None  # of a corner, degrees
    bright: bool | None = None  # brighter than the grey around it
    level: float | None = None  # of a grey picture, in [0, 1]
    hue: float | None = None  # degrees in OKLCH
    other_hue: float | None = None  # of what surrounds it, or lies on the other side
    chroma: float | None = None  # in OKLCH
    name: str | None = None  # which letter, junction, texture or thing


@dataclass(frozen=True)
class Curve:
    """A circular tuning curve: its values are percent of the feature's strongest response to lines, or to colours."""

    values: tuple[int, ...]  # evenly spaced from 0 degrees
    preferred: float  # degrees: the direction of the mean vector
    selectivity: float  # 1 − circular variance: 0 all alike, 1 all at one angle
    strength: float  # selectivity × length of the mean vector: what the null is a threshold for
    beats_null: bool


@dataclass(frozen=True)
class Tuning:
    """What a feature responds to."""

    orientation: Curve  # of lines, 180 degrees
    width: float | None  # degrees, half of the orientations' range above half height; None: all of them are
    frequency: tuple[
        int, ...
    ]  # by period of gratings, at the preferred orientation: percent of the strongest response of all
    period: float | None  # pixels: the peak of that; None: no response
    band: tuple[float | None, float | None]  # periods where it falls to half on either side; None: it does not
    hue: Curve  # 360 degrees
    side: float | None  # direction of the bright side of edges, degrees; None: none is preferred
    polarity: float  # of lines and spots: 1 only bright ones excite it, −1 only dark ones
    line: int  # number of the strongest line, spot and arc; None: none excites it
    spot: int | None
    arc: int | None
    is_coloured: bool  # whether coloured lines are ahead of grey ones by more than the null
    shape: int | None  # number of the strongest stimulus among `SHAPES`, if a shape beats the null
    strongest: tuple[int, ...]  # numbers of the strongest stimuli; of gratings that differ by phase alone, the first

    @property
    def has_words(self) -> bool:
        """Whether anything beats the null."""
        return self.orientation.beats_null or self.hue.beats_null or self.is_coloured or self.shape is not None


@dataclass(frozen=True)
class Limits:
    """The strengths that only few features with shuffled weights exceed."""

    orientation: float
    hue: float
    shape: float  # share by which the strongest shape is ahead of other stimuli
    colour: float  # share by which the strongest coloured line is ahead of grey ones


@dataclass(frozen=True)
class LayerTuning:
    """The tuning of a layer: of its planned features, and summed over all of them."""

    layer: str
    features: dict[int, Tuning]  # by number
    limits: Limits
    null: int  # features with shuffled weights, from which the limits come
    groups: dict[str, int]  # how many of all features respond most to each group; the others respond to none
    described: int  # how many of all have words
    orientations: tuple[int, ...]  # how many of all prefer each of ORIENTATIONS, if one at all
    hues: tuple[int, ...]  # likewise each of HUES


@dataclass(frozen=True)
class TuningOfLayers:
    """The tuning of all layers of a configuration."""

    shown_to_all: int  # stimuli
    stimuli: dict[int, Stimulus]  # by number: those that some feature's tuning names
    size: int  # pixels of a stimulus
    pictures: dict[int, bytes]  # WebP: the middle of those that are among some feature's strongest
    layers: tuple[LayerTuning, ...]


def _jobs(_: Config) -> tuple[Job, ...]:
    return ()  # it needs no rendering


def _settings(config: Config) -> tuple[object, ...]:
    """Size, number of shuffles and planned features; none if it is not wanted."""
    wanted = config.study(Settings)
    features = ((name, config.features_of(name)) for name in config.map_layers)
    return (wanted.size, wanted.shuffles, *features) if wanted.size and config.map_layers else ()


TUNING = ResultSpec("tuning", 2, TuningOfLayers, _jobs, _settings)
