"""Max activation scan: pictures run through the network, batch by batch → each feature's top k, and all activations.

Memory is bounded, whatever the number of pictures.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from atlas.studies.shared.context import Pixels, stacked

READERS = 4  # threads that decode the next pictures while the network runs on these
MOST_COMPARED = 20_000  # pictures whose scores are kept, those of the lowest hashes: at most 0.8 GB for all features
NO_PICTURE = -1  # instead of a picture's number

Array = NDArray[np.float32]


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


@dataclass(frozen=True)
class Scan:
    """What a scan found, by layer, features in the order in which they were wanted."""

    tops: Mapping[str, TopK]
    scores: Mapping[str, Array]  # [F, pictures] of those in `compared`
    compared: Sequence[int]  # numbers of the pictures whose scores are kept, ascending
    seen: int  # pictures that could be read


def scan_pictures(
    network: Network,
    source: PictureSource,
    wanted: Mapping[str, Sequence[int]],
    size: int,
    rows: int,
    kept: int,
    watcher: Watcher,
) -> Scan:
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
    """
    numbers_of = {sha256: number for number, sha256 in enumerate(sorted(source.pictures))}
    order = [numbers_of[sha256] for sha256 in source.pictures]
    top = {layer: TopK.empty(len(features), kept) for layer, features in wanted.items()}
    most = min(len(order), MOST_COMPARED)
    scores = {layer: np.zeros((len(features), most), np.float32) for layer, features in wanted.items()}
    is_read = np.zeros(len(order), bool)
    for numbers, pictures in read_batches(source, order, size, rows, "scanning pictures", watcher):
        maps = network.activations(stacked(pictures, rows).to(network.device), wanted.keys())
        is_read[numbers] = True
        kept_ones = [at for at, number in enumerate(numbers) if number < most]
        for layer, features in wanted.items():
            part = maps[layer][: len(numbers), list(features)]  # [B, F, rows, cols]
            top[layer] = top[layer].merged(part, torch.tensor(numbers))
            strongest = part[kept_ones].amax((2, 3)).nan_to_num(0, 0, 0)  # [B, F]
            scores[layer][:, [numbers[at] for at in kept_ones]] = strongest.T.cpu().numpy()
    compared = np.flatnonzero(is_read[:most])
    return Scan(
        tops=top,
        scores={layer: some[:, compared] for layer, some in scores.items()},
        compared=compared.tolist(),
        seen=int(is_read.sum()),
    )


def read_batches(
    source: PictureSource, numbers: Iterable[int], size: int, rows: int, task: str, watcher: Watcher
) -> Iterator[tuple[list[int], list[Pixels]]]:
    """Some pictures, a batch at a time, those left out that cannot be read; decodes one batch ahead.

    Args:
        source: the pictures.
        numbers: which, each by its rank among all hashes.
        size: pixels of the square that the network sees.
        rows: pictures in a batch.
        task: what is said to be in progress.
        watcher: told of progress, and of each picture that cannot be read.
    """
    hashes, wanted = sorted(source.pictures), list(numbers)
    done = 0
    watcher.progress(task, 0, len(wanted))

    def read(number: int) -> tuple[int, Pixels | ConfigError]:
        try:
            return number, np.asarray(square_of(source.open(hashes[number]), size))
        except ConfigError as error:
            return number, error

    with ThreadPoolExecutor(READERS) as pool:
        begun = (pool.map(read, wanted[at : at + rows]) for at in range(0, len(wanted) + rows, rows))
        for batch, _ in pairwise(begun):  # the last, which has no batch after it, is empty
            found = dict(batch)
            for picture in found.values():
                if isinstance(picture, ConfigError):
                    watcher.skips(str(picture))
            good = {number: picture for number, picture in found.items() if not isinstance(picture, ConfigError)}
            if good:
                yield list(good), list(good.values())
            done += len(found)
            watcher.progress(task, done, len(wanted))
