"""Settings of single neurons: its table [neurons]."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import PlainValidator

from atlas.common.errors import ConfigError
from atlas.inception.targets import Neuron, Target
from atlas.plan.settings import EachOnce, FeatureTargets, Info, OneSizeRecipe, StudySettings, read_target


def _read_neuron(value: object, info: Info) -> Target:
    target = read_target(value)
    if len(target.terms) != 1 or not isinstance(target.terms[0].position, Neuron):
        raise ConfigError('is no single neuron, such as "Mixed_6b[415, 9, 9]"')
    if recipe := info.context.recipes.get(info.data.get("recipe", "")):
        target.check_positions(recipe.first_size)
    return target


@dataclass(frozen=True)
class Settings(StudySettings):
    """Single neurons with a page of their own, and features shown beside one of their rows and neurons.

    Attributes:
        recipe: A recipe of one size.
        targets: Single neurons, each with a page of its own.
        beside: Features that are shown beside one of their rows and neurons.
    """

    recipe: OneSizeRecipe
    targets: Annotated[tuple[Annotated[Target, PlainValidator(_read_neuron)], ...], EachOnce]
    beside: FeatureTargets
