"""Settings of the tuning to drawn stimuli: its table [tuning]."""

from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import PlainValidator

from atlas.common.errors import ConfigError
from atlas.plan.settings import StudySettings, Whole

SMALLEST, LARGEST = 75, 512  # pixels that the network takes, and that are worth their time


def _read_size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not (value == 0 or SMALLEST <= value <= LARGEST):
        raise ConfigError(f"must be a whole number from {SMALLEST} to {LARGEST}, or 0 for no tuning")
    return value


@dataclass(frozen=True)
class Settings(StudySettings):
    """The tuning of all features of the layers, by one forward pass and some with shuffled weights.

    Attributes:
        size: Pixels of a stimulus, 75 to 512. 0: no tuning.
        shuffles: Networks with shuffled weights: only what goes beyond them is said.
    """

    size: Annotated[int, PlainValidator(_read_size)]
    shuffles: Annotated[int, Whole(1, 99)]

    def emptied(self) -> Self:
        """No tuning."""
        return replace(self, size=0)
