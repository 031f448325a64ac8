"""How alike two pictures are, as measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Likeness:
    """How alike two pictures of one size are, pixel by pixel."""

    ssim: float | None  # mean structural similarity over windows and channels; 1: equal, 0: unrelated
    correlation: float | None  # Pearson's, over pixels and channels; None: one of the two is of one value throughout
