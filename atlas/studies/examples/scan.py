"""Max activation scan: pictures run through the network, batch by batch → the top k of each feature; bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlas.common.errors import ConfigError
from atlas.rendering.model import Network
from atlas.studies.examples.pictures import PictureSource, square_of

READERS = 4  # threads that decode the next pictures while the network runs on these
NO_PICTURE = -1  # instead of a picture's number

Pixels = NDArray[np.uint8]  # [size, size, 3]


class Watcher(Protocol):
    """What is told how a scan goes."""

    def progress(self, task: str, done: int, total: int) -> None:
        """Called when a task begins and after each of its parts: rendering, videos, pictures."""

    def skips(self, why: str) -> None:
        """Called for each picture that cannot be read."""


@dataclass(frozen=True)
class TopK:
    """For each of F features the k pictures with the highest score; memory does not grow with the number of pictures.

    A picture's score is the activation of its strongest neuron. Of equal scores the picture with the lower number comes
    first.
    """

    scores: Tensor  # [F, k] float32, descending; -inf where there is no picture
    pictures: Tensor  # [F, k] int64: number of the picture
    places: Tensor  # [F, k] int64: place of the strongest neuron in its map, in reading order

    @classmethod
    def empty(cls, features: int, kept: int) -> Self:
        """Before the first batch."""
        none = torch.full((features, kept), NO_PICTURE)
        return cls(torch.full((features, kept), -torch.inf), none, none)

    def merged(self, maps: Tensor, pictures: Tensor) -> "TopK":
        """The top k of these and another batch; the result does not depend on the order of batches or pictures.

        Args:
            maps: [B, F, rows, cols] activations, on any device.
            pictures: [B] int64, on the CPU; no number is given twice.
        """
        # [B, F, rows, cols] -> [B, F] twice; of equal neurons the first in reading order
        scores, places = (part.cpu() for part in maps.flatten(2).max(2))
        scores = torch.where(scores.isfinite(), scores, -torch.inf)
        numbers = pictures[:, None].expand_as(places)
        joined = [
            torch.cat([old, new.T], 1)  # [F, k + B]
            for old, new in ((self.scores, scores), (self.pictures, numbers), (self.places, places))
        ]
        order = torch.from_numpy(np.lexsort((joined[1].numpy(), -joined[0].numpy())))[:, : self.scores.shape[1]]
        return TopK(*(part.gather(1, order) for part in joined))


def scan_pictures(
    network: Network,
    source: PictureSource,
    wanted: Mapping[str, Sequence[int]],
    size: int,
    rows: int,
    kept: int,
    watcher: Watcher,
) -> tuple[dict[str, TopK], int]:
    """Run every picture through the network once, and keep for each feature the few that excite it most.

    A picture's number is its rank among all hashes, so that neither names nor order change the result.

    Args:
        network: in float32.
        source: the pictures.
        wanted: features, by layer.
        size: pixels of the square that the network sees.
        rows: pictures in a batch; the last one is padded.
        kept: pictures for each feature.
        watcher: told of progress, and of each picture that cannot be read.

    Returns:
        By layer the top k, its features in the order in which they were wanted; and how many pictures could be read.
    """
    numbers = {sha256: number for number, sha256 in enumerate(sorted(source.pictures))}
    top = {layer: TopK.empty(len(features), kept) for layer, features in wanted.items()}
    done = seen = 0
    watcher.progress("scanning pictures", 0, len(numbers))
    for batch in _batches(source, size, rows):
        found = {sha256: picture for sha256, picture in batch.items() if not isinstance(picture, ConfigError)}
        for picture in batch.values():
            if isinstance(picture, ConfigError):
                watcher.skips(str(picture))
        if found:
            maps = network.activations(stacked(list(found.values()), rows).to(network.device), wanted.keys())
            ranks = torch.tensor([numbers[sha256] for sha256 in found])
            for layer, features in wanted.items():
                part = maps[layer][: len(found), list(features)]  # [B, F, rows, cols]
                top[layer] = top[layer].merged(part, ranks)
        done, seen = done + len(batch), seen + len(found)
        watcher.progress("scanning pictures", done, len(numbers))
    return top, seen


def stacked(pictures: Sequence[Pixels], rows: int) -> Tensor:
    """Pictures as images for the network: [size, size, 3] each -> [rows, 3, size, size] float32 in [0, 1].

    The last one is repeated if there are fewer than `rows`, so that a picture's score does not depend on how many there
    are.
    """
    padded = [*pictures, *[pictures[-1]] * (rows - len(pictures))]
    return torch.from_numpy(np.stack(padded)).permute(0, 3, 1, 2).float() / 255


def _batches(source: PictureSource, size: int, rows: int) -> Iterator[dict[str, Pixels | ConfigError]]:
    """Pictures by hash, or why they cannot be read; decodes one batch ahead."""

    def read(sha256: str) -> tuple[str, Pixels | ConfigError]:
        try:
            return sha256, np.asarray(square_of(source.open(sha256), size))
        except ConfigError as error:
            return sha256, error

    hashes = list(source.pictures)
    with ThreadPoolExecutor(READERS) as pool:
        begun = (pool.map(read, hashes[at : at + rows]) for at in range(0, len(hashes) + rows, rows))
        for batch, _ in pairwise(begun):  # the last, which has no batch after it, is empty
            yield dict(batch)
