"""Tuning → one line of words, by rule.

Only what beats the null is said, in the words of the strongest stimulus of its kind.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from atlas.site.colour import hue_name
from atlas.studies.tuning.result import Stimulus, Tuning

FINE, COARSE = 7.0, 16.0  # pixels: periods up to which stripes are fine, and beyond which they are coarse
ACROSS = 45  # degrees to either side of the perpendicular within which the bright side of edges lies
CLEAR = 0.3  # polarity from which lines are called bright or dark
AMONG = ", among other things"  # where no line is the strongest stimulus
NAMED = 15  # degrees from horizontal or vertical within which an orientation is called so
GROUP_WORDS = {
    "uniform": "even grey or colour",
    "lines": "lines, edges and gratings",
    "crossed": "checks and plaids",
    "border": "borders of fine and coarse",
    "round": "spots, rings and eyes",
    "curved": "curves",
    "angular": "corners, letters and faces",
    "rich": "textures and things",
}
SIDES = (  # eighths of a circle, counterclockwise from the right
    "on the right",
    "at the upper right",
    "above",
    "at the upper left",
    "on the left",
    "at the lower left",
    "below",
    "at the lower right",
)
WAYS = (
    "right",
    "to the upper right",
    "up",
    "to the upper left",
    "left",
    "to the lower left",
    "down",
    "to the lower right",
)


def describe(tuning: Tuning, stimuli: Mapping[int, Stimulus]) -> str:
    """What a feature responds to, such as "fine vertical stripes"; "" if nothing beats the null."""
    parts, line = [], stimuli[tuning.line]
    is_line = tuning.strongest[:1] == (tuning.line,)
    if tuning.shape is not None:
        parts.append(shape_words(toned(stimuli[tuning.shape], [stimuli[at] for at in tuning.strongest])))
    if tuning.orientation.beats_null:
        parts.append(line_words(tuning, line) if is_line else orient("lines", tuning) + ("" if parts else AMONG))
    if tuning.is_coloured and not (tuning.orientation.beats_null and is_line):
        parts.append(colour_pair(line))
    if tuning.hue.beats_null:
        parts.append(hue_name(tuning.hue.preferred))
    return "; ".join(parts)


def toned(shape: Stimulus, strongest: Iterable[Stimulus]) -> Stimulus:
    """A shape, neither bright nor dark if both are among the strongest stimuli."""
    is_either = any((one.family, one.bright) == (shape.family, not shape.bright) for one in strongest)
    return replace(shape, bright=None) if is_either else shape


def line_words(tuning: Tuning, strongest: Stimulus) -> str:
    """The preferred orientation, in the words of the strongest line: stripes, edges or single lines."""
    colours = f", {colour_pair(strongest)}" if tuning.is_coloured else ""
    if strongest.family == "edge":
        return orient("edges", tuning) + bright_side(tuning)
    if strongest.family == "colour edge":  # whose sides are as bright as each other
        return orient("edges", tuning) + colours
    if strongest.family == "bar":
        tone = "bright " if tuning.polarity > CLEAR else "dark " if tuning.polarity < -CLEAR else ""
        return tone + orient("lines", tuning)
    period = strongest.size or 0.0
    size = "fine " if period <= FINE else "coarse " if period > COARSE else ""
    return size + orient("stripes", tuning) + colours


def colour_pair(line: Stimulus) -> str:
    """The colours of a coloured grating or edge: "yellow against blue"."""
    return f"{hue_name(line.hue or 0)} against {hue_name(line.other_hue or 0)}"


def orient(noun: str, tuning: Tuning) -> str:
    """Lines of an orientation: "vertical edges", "diagonal edges (rising, 45°)"."""
    angle = tuning.orientation.preferred
    for name, at in (("horizontal", 0), ("vertical", 90), ("horizontal", 180)):
        if abs(angle - at) <= NAMED:
            return f"{name} {noun}"
    return f"diagonal {noun} ({'rising' if angle < 90 else 'falling'}, {angle:.0f}°)"


def bright_side(tuning: Tuning) -> str:
    """On which side of its edges it is bright: ", bright above"; "" if that does not matter."""
    if tuning.side is None:
        return ""
    across = (tuning.orientation.preferred + 90, tuning.orientation.preferred - 90)
    off = [abs((angle - tuning.side + 180) % 360 - 180) for angle in across]
    return f", bright {side_word(across[off.index(min(off))])}" if min(off) <= ACROSS else ""


def side_word(direction: float) -> str:
    """Where a direction points: "above", "on the left"."""
    return SIDES[round(direction / 45) % len(SIDES)]


def shape_words(one: Stimulus) -> str:
    """A shape: "dark spots of 8 px", "curves of radius 12 px, open on the left"."""
    return _shape(one, "s")


def _shape(one: Stimulus, s: str) -> str:
    """A shape with its noun in the plural, by an s, or in the singular."""
    tone = "" if one.bright is None else "bright " if one.bright else "dark "
    size = f"{one.size or 0:g} px"
    across = f"{2 * (one.size or 0):g} px"
    match one.family:
        case "spot" | "ring":
            return f"{tone}{one.family}{s} of {across}"
        case "dots":
            return f"pattern{s} of {tone}spots of {across}"
        case "colour spot":
            ground = "" if one.other_hue is None else f" on {hue_name(one.other_hue)}"
            return f"{hue_name(one.hue or 0)} spot{s} of {across}{ground}"
        case "eye":
            return f"eye{s} of {across} (spot{s} in ring{s})"
        case "arc":
            return f"{tone}curve{s} of radius {size}, open {side_word(one.angle or 0)}"
        case "corner":
            way = WAYS[round((one.angle or 0) / 45 + 4) % len(WAYS)]  # away from where it is open
            return f"{tone}corner{s} of {one.opening:.0f}°, pointing {way}"
        case "junction":
            return f"{tone}lines that meet as in {one.name}"
        case "letter":
            return f"{tone}strokes as in {one.name}"
        case "face":
            return f"{tone}face{s} of {across}"
        case "plaid":
            return f"soft spots in a grid, {size} apart"
        case _:
            return f"checks of {size}"


def stimulus_words(one: Stimulus) -> str:
    """A stimulus among others, for captions and for those who cannot see it."""
    turned = "" if one.angle is None else f" at {one.angle:.0f}°"
    colours = "" if one.hue is None or one.other_hue is None else f", {hue_name(one.hue)} and {hue_name(one.other_hue)}"
    match one.family:
        case "grey":
            return f"even grey, {one.level or 0:.0%}"
        case "hue":
            return f"even {hue_name(one.hue or 0)}"
        case "grating" | "colour grating":
            return f"grating{turned}, period {one.size or 0:g} px{colours}"
        case "edge" | "colour edge":
            return f"edge{colours}" if colours else f"edge, bright {side_word(one.angle or 0)}"
        case "bar":
            return f"{'bright' if one.bright else 'dark'} line{turned}, {one.size or 0:g} px"
        case "border":
            return f"fine and coarse checks, fine {side_word(one.angle or 0)}"
        case "texture" | "thing":
            return f"drawn {one.name}"
        case _:
            return _shape(one, "")
