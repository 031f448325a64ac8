"""The network looks at pictures, batch by batch: source → the strongest few for each feature; memory stays bounded."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atlas.common.errors import ConfigError
from atlas.render.model import Network
from atlas.studies.examples.pictures import PictureSource, square_of
from atlas.studies.examples.top_k import TopK

READERS = 4  # threads that decode the next pictures while the network looks at these

Pixels = NDArray[np.uint8]  # [size, size, 3]


class Watcher(Protocol):
    """Whoever wants to see how looking goes."""

    def progress(self, task: str, done: int, total: int) -> None:
        """Told before the first picture and after every batch."""

    def skips(self, why: str) -> None:
        """Told of each picture that cannot be read."""


@dataclass(frozen=True)
class Wanted:
    """The features of a layer that are asked about."""

    layer: str
    features: tuple[int, ...]


@dataclass(frozen=True)
class Scan:
    """What looking at all pictures came to."""

    strongest: dict[str, TopK]  # by layer, features in the order in which they were asked
    seen: int  # pictures that could be read


def scan_pictures(
    network: Network, source: PictureSource, wanted: Sequence[Wanted], size: int, rows: int, kept: int, watcher: Watcher
) -> Scan:
    """Run every picture through the network once, and keep for each feature the few that excite it most.

    A picture's number is its rank among all hashes, so that neither names nor order change the result.

    Args:
        network: in float32.
        source: the pictures.
        wanted: layers and features, each layer once.
        size: pixels of the square that the network sees.
        rows: pictures in a batch; the last one is padded.
        kept: pictures for each feature.
        watcher: told of progress, and of each picture that cannot be read.
    """
    numbers = {sha256: number for number, sha256 in enumerate(sorted(source.hashes))}
    strongest = {one.layer: TopK.empty(len(one.features), kept) for one in wanted}
    done = seen = 0
    watcher.progress("scanning pictures", 0, len(numbers))
    for asked, found in _batches(source, size, rows, watcher):
        if found:
            maps = network.activations(stacked(list(found.values()), rows).to(network.device), strongest.keys())
            ranks = torch.tensor([numbers[sha256] for sha256 in found])
            for one in wanted:
                part = maps[one.layer][: len(found), list(one.features)]  # [B, F, rows, cols]
                strongest[one.layer] = strongest[one.layer].merged(part, ranks)
        done, seen = done + asked, seen + len(found)
        watcher.progress("scanning pictures", done, len(numbers))
    return Scan(strongest, seen)


def stacked(pictures: Sequence[Pixels], rows: int) -> Tensor:
    """Pictures as images for the network: [size, size, 3] each -> [rows, 3, size, size] float32 in [0, 1].

    The last one is repeated where there are fewer than `rows`, so that a picture's score does not depend on how many
    there are.
    """
    padded = [*pictures, *[pictures[-1]] * (rows - len(pictures))]
    return torch.from_numpy(np.stack(padded)).permute(0, 3, 1, 2).float() / 255


def _batches(source: PictureSource, size: int, rows: int, watcher: Watcher) -> Iterator[tuple[int, dict[str, Pixels]]]:
    """How many pictures were asked for, and those that could be read, by hash; decodes one batch ahead."""

    def gather(ahead: dict[str, Future[Pixels]]) -> tuple[int, dict[str, Pixels]]:
        found = {}
        for sha256, future in ahead.items():
            try:
                found[sha256] = future.result()
            except ConfigError as error:
                watcher.skips(str(error))
        return len(ahead), found

    def read(sha256: str) -> Pixels:
        return np.asarray(square_of(source.open(sha256), size))

    hashes = source.hashes
    with ThreadPoolExecutor(READERS) as pool:
        ahead: dict[str, Future[Pixels]] = {}
        for start in range(0, len(hashes), rows):
            following = {sha256: pool.submit(read, sha256) for sha256 in hashes[start : start + rows]}
            if ahead:
                yield gather(ahead)
            ahead = following
        if ahead:
            yield gather(ahead)
