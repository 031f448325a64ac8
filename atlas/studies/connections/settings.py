"""Settings of the connections between layers: its table [connections]."""

from dataclasses import dataclass, replace
from typing import Annotated, Self

from atlas.plan.settings import StudySettings, Whole

MOST = 12  # of the pictures that they add to a feature's page


@dataclass(frozen=True)
class Settings(StudySettings):
    """Connections to the layer before, by weights alone.

    Attributes:
        strongest: So many features of the layer before, and of the next one, for each feature. 0: none.
    """

    strongest: Annotated[int, Whole(0, MOST)]

    def emptied(self) -> Self:
        """No connections."""
        return replace(self, strongest=0)
