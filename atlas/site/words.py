"""Words and numbers for people: scores, statuses, recipes and records → text."""

import json
import math
import shlex
from functools import cache

from atlas.common.text import count_of as count_of  # templates count with it
from atlas.common.text import plural as plural
from atlas.inception.layers import FC, Layer, receptive_field
from atlas.plan.clips import Clip
from atlas.plan.config import article_recipes
from atlas.plan.jobs import Job
from atlas.plan.recipes import Recipe
from atlas.site.models import kind_of
from atlas.store.clips import clip_target
from atlas.store.records import Record

_TEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"{": r"\textbraceleft{}", "}": r"\textbraceright{}"}  # \{ would still count as a brace for BibTeX
)


def number(value: float | None) -> str:
    """A score in four significant digits, with a true minus sign; what is not finite is said so."""
    if value is None:
        return "not finite"
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share in percent, in two significant digits; a tiny one is said to be so."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def short_percent(share: float) -> str:
    """A share in percent, for a label."""
    return percent(share).replace("less than ", "<")


def whole_percent(share: float) -> str:
    """A share in whole percents; a tiny one is said to be so."""
    if 0 < share < 0.01:
        return "less than 1 %"
    return f"{100 * share:.0f} %"


def probability(log_odds: float | None) -> str:
    """The probability of a class in percent, from its score; it is never 0 or 1. What is not finite is said so."""
    if log_odds is None:
        return "not finite"
    if abs(log_odds) > math.log(999):
        return "more than 99.9 %" if log_odds > 0 else "less than 0.1 %"
    return f"{100 / (1 + math.exp(-log_odds)):.1f} %"


def fixed(value: float) -> str:
    """A number in two decimals, with a true minus sign, and none before zero."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """A number in two decimals with its sign, + or the true minus sign."""
    return ("+" if round(value, 2) > 0 else "") + fixed(value)


def tex(text: str) -> str:
    """A text for a field of BibTeX, with the characters that TeX reads as commands replaced."""
    return text.translate(_TEX)


def features_of(layer: Layer, count: int | None = None) -> str:
    """How many features a layer has, or some of them; those of the classifier are classes."""
    return count_of(layer.features if count is None else count, kind_of(layer.name))


def field_of(layer: str, feature: int | None = None) -> str:
    """The theoretical receptive field of a feature, or of the widest branch of a layer, in pixels."""
    if layer == FC:
        return "the whole image"
    height, width = receptive_field(layer, feature).size
    return f"{height} × {width} px"


def command(job: Job, record: Record | None, weights: str) -> tuple[str, ...]:
    """The command that makes a rendering, for a shell; with the numerics of the record, makes it again.

    Args:
        job: target, recipe and seed.
        record: of the rendering, if there is one.
        weights: what `--weights` takes.

    Returns:
        Its parts, to be joined by spaces; an option and its value stay together.
    """
    return _command("render", f'"{job.target}"', recipe=job.recipe, weights=weights, seed=job.seed) + _numerics(record)


def dream_command(
    photo: str, job: Job, recipe: Recipe, size: int | None, record: Record | None, weights: str
) -> tuple[str, ...]:
    """The command that makes a dream, for a shell; parts as of `command`.

    Args:
        photo: what `atlas dream` takes for the photograph.
        job: target, recipe at its size, seed and start.
        recipe: before it was brought to a size.
        size: of the command; None: the recipe's own.
        record: of the dream, if there is one.
        weights: what `--weights` takes.
    """
    given = (shlex.quote(photo), f'--target "{job.target}"')
    sized = () if size is None else (f"--size {size}",)
    return _command("dream", *given, recipe=recipe, weights=weights, seed=job.seed) + sized + _numerics(record)


def raster_command(clip: Clip, weights: str) -> tuple[str, ...]:
    """The command that makes a video, for a shell; parts as of `command`."""
    parts = _command("raster", f'"{clip_target(clip)}"', recipe=clip.recipe, weights=weights, seed=clip.seed)
    return (*parts, f"--stride {clip.stride}", f"--fps {clip.fps}")


def _command(name: str, *given: str, recipe: Recipe, weights: str, seed: int) -> tuple[str, ...]:
    config = () if is_preset(recipe) else ("--config atlas.toml",)
    options = (f"--weights {shlex.quote(weights)}", f"--recipe {recipe.name}", f"--seed {seed}")
    return (f"atlas {name}", *given, *config, *options)


def _numerics(record: Record | None) -> tuple[str, ...]:
    """The options on which the last bits of a rendering depend."""
    if record is None:
        return ()
    numerics = record.numerics
    return (
        *([f"--weights-input {record.input}"] if record.input_suffix else []),
        f"--device {shlex.quote(numerics.device)}",
        f"--precision {shlex.quote(numerics.precision)}",
        f"--batch-size {numerics.batch_size}",
        f"--threads {numerics.threads}",
    )


def is_preset(recipe: Recipe) -> bool:
    """Whether the package itself has this recipe under this name."""
    return _preset_digests().get(recipe.name) == recipe.digest


@cache
def _preset_digests() -> dict[str, str]:
    return {name: recipe.digest for name, recipe in article_recipes().items()}


def own_toml(recipe: Recipe) -> str | None:
    """A recipe that the package does not have, as a table of a configuration file, ready to be pasted."""
    if is_preset(recipe):
        return None
    values = recipe.as_dict()
    octaves = values.pop("octaves")
    settings = [f"{key} = {_toml(value)}" for key, value in values.items()]
    rows = [f"  {_toml(octave)}," for octave in octaves]
    return "\n".join([f"[recipes.{recipe.name}]", *settings, "octaves = [", *rows, "]"]) + "\n"


def _toml(value: object) -> str:
    """A value of a recipe; JSON writes numbers and strings as TOML does, and tables otherwise."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
