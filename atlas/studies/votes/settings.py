"""Settings of the votes for classes: its table [votes]."""

from dataclasses import dataclass, replace
from typing import Annotated, Self

from atlas.plan.settings import StudySettings, Whole

MOST_VOTERS = 8
MOST = 24  # rows that votes add to a page, either way


@dataclass(frozen=True)
class Settings(StudySettings):
    """Votes of the features of Mixed_7c for classes.

    Attributes:
        strongest: So many features of Mixed_7c that vote for each class, and as many against it. 0: none.
        voters: So many features with the largest votes for each class are rendered too.
    """

    strongest: Annotated[int, Whole(0, MOST)]
    voters: Annotated[int, Whole(0, MOST_VOTERS)]

    def emptied(self) -> Self:
        """No votes."""
        return replace(self, strongest=0, voters=0)
