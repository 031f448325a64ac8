"""How alike two pictures are, as measured."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Likeness:
    """How alike two pictures of one size are, pixel by pixel."""

    ssim: float | None  # mean structural similarity over windows and channels; 1: equal, 0: unrelated
    correlation: float | None  # Pearson's, over pixels and channels; None: one of the two is of one value throughout

    def exceeds(self, others: Iterable["Likeness"]) -> bool:
        """Whether the correlation is higher than all others that are known; not if it is unknown itself."""
        own = self.correlation
        return own is not None and all(own > one.correlation for one in others if one.correlation is not None)
