"""How many features pass a check, with intervals. Pure functions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

NORMAL_95 = 1.96


@dataclass(frozen=True)
class Share:
    """How many features pass a check, of those of which it can be told."""

    passed: int
    told: int
    undecided: int = 0

    @property
    def limits(self) -> tuple[float, float]:
        """Wilson's interval of the share that passes; 95 % confidence."""
        return wilson(self.passed, self.told)


def wilson(passed: int, told: int) -> tuple[float, float]:
    """Wilson's interval of a share, 95 % confidence."""
    if not told:
        return 0.0, 1.0
    share, square = passed / told, NORMAL_95**2
    middle = share + square / (2 * told)
    spread = NORMAL_95 * math.sqrt(share * (1 - share) / told + square / (4 * told**2))
    low, high = ((middle + sign * spread) / (1 + square / told) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def share_of(outcomes: Iterable[bool | None]) -> Share:
    """How many of some outcomes are positive."""
    every = list(outcomes)
    told = [passed for passed in every if passed is not None]
    return Share(sum(told), len(told), len(every) - len(told))
