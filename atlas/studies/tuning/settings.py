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
    """The tuning of all features of the layers, by one forward pass and some with shuffled weights."""

    size: Annotated[int, PlainValidator(_read_size)]  # pixels of a stimulus; 0: no tuning
    shuffles: Annotated[int, Whole(1, 99)]  # of the weights, for the null

    def emptied(self) -> Self:
        """No tuning."""
        return replace(self, size=0)
