"""The strongest few of a stream: batches of activations → for each feature the pictures that excite it most."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

NO_PICTURE = -1  # instead of a picture


@dataclass(frozen=True)
class TopK:
    """For each of F features, at most k pictures, the strongest first; memory does not grow with the stream."""

    scores: Tensor  # [F, k] float32: activation of the strongest neuron; -inf where there is none
    pictures: Tensor  # [F, k] int64: number of the picture; of equal scores the lower one comes first
    places: Tensor  # [F, k] int64: place of that neuron in its map, in reading order

    @classmethod
    def empty(cls, features: int, kept: int) -> Self:
        """Before the first batch."""
        none = torch.full((features, kept), NO_PICTURE)
        return cls(torch.full((features, kept), -torch.inf), none, none)

    def merged(self, maps: Tensor, pictures: Tensor) -> "TopK":
        """With another batch taken in; the result does not depend on the order of batches or pictures.

        Args:
            maps: [B, F, rows, cols] activations, on any device.
            pictures: [B] int64, on the CPU; each number comes once in a stream.
        """
        # [B, F, rows, cols] -> [B, F] twice; of equal neurons the first in reading order
        scores, places = (part.cpu() for part in maps.flatten(2).max(2))
        scores = torch.where(scores.isfinite(), scores, -torch.inf)
        everyone = pictures[:, None].expand_as(places)
        joined = [
            torch.cat([mine, theirs.T], 1)  # [F, k + B]
            for mine, theirs in ((self.scores, scores), (self.pictures, everyone), (self.places, places))
        ]
        by_number = joined[1].argsort(dim=1)
        by_score = joined[0].gather(1, by_number).argsort(dim=1, descending=True, stable=True)
        order = by_number.gather(1, by_score)[:, : self.scores.shape[1]]
        return TopK(*(part.gather(1, order) for part in joined))
