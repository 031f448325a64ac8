"""Compare the tuning of features with what knows nothing of stimuli: their renderings, and the first layer's kernels.

The dominant orientation of a rendering is that of its structure tensor (Bigün & Granlund 1987), where its coherence is
at least `COHERENT`; the dominant hue is the one by which pages sort. A rendering agrees if its orientation is within
22.5 degrees of the preferred one, its hue within 45: a quarter would by chance. A kernel of the first layer has the
orientation of its own spectrum, where that is selective.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from atlas.common.cores import count_cores
from atlas.plan.config import override
from atlas.plan.jobs import layer_jobs
from atlas.rendering.weights import load_weights
from atlas.site.colour import main_hue
from atlas.store.masters import master_path, open_master
from atlas.store.results import Results
from atlas.store.weights_ids import resolve_weights
from atlas.studies import load_config
from atlas.studies.shared.image_metrics import luma
from atlas.studies.shared.maps import Array
from atlas.studies.tuning.result import PERIODS, TUNING, Tuning

COHERENT = 0.2  # of a structure tensor: 0 for all directions alike, 1 for one
BORDER = 1 / 16  # of a side that is left out
LARGEST = 256  # pixels at which pictures are compared
HEADS = ("features", "words", "oriented", "judged", "right", "of all", "hues", "right")
NEAR_ORIENTATION, NEAR_HUE, NEAR_KERNEL = 22.5, 45.0, 10.0  # degrees
ORIENTED = 0.3  # of a kernel's spectrum: 0 for all directions alike, 1 for one
FIRST = "Conv2d_1a_3x3"


@dataclass
class Counts:
    """How many features of a layer, and of them how many have and keep to their words."""

    features: int = 0
    described: int = 0
    oriented: int = 0
    judged: int = 0  # those whose rendering has a dominant orientation
    right: int = 0
    right_of_all: int = 0  # of the oriented, whatever the coherence
    coloured: int = 0  # those whose rendering has a hue
    right_hue: int = 0

    def add(self, other: Counts) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="article", help="as of the build")
    for name in ("weights", "layers", "features"):
        parser.add_argument(f"--{name}", help="as of the build")
    parser.add_argument("--store", type=Path, help="as of the build")
    parser.add_argument("--pictures", type=Path, help="folder of other pictures, <layer>_<number>-<seed>.webp each")
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in ("weights", "layers", "features", "store")}
    config = override(load_config(options.config), **given)
    weights = resolve_weights(config.store, config.weights)
    found = Results(config, weights).read(TUNING) if weights else None
    if not weights or not found:
        sys.exit("compare-words: the store has no tuning of these features; give the options of the build")

    def pictures(layer: str) -> Iterator[tuple[int, Image.Image]]:
        jobs = zip(config.features_of(layer), layer_jobs(config, layer), strict=True)
        for number, job in jobs:
            path = master_path(config.store, weights, job)
            if options.pictures:
                path = options.pictures / f"{layer}_{number:04}-{job.seed}.webp"
                if path.exists():
                    yield number, Image.open(path).convert("RGB")
            elif path.exists():
                yield number, open_master(path)[0]

    total = Counts()
    print(f"{'layer':16}" + "".join(f"{head:>9}" for head in HEADS))
    for layer in found.layers:
        with ThreadPoolExecutor(count_cores()) as pool:
            some = list(pool.map(partial(judge, layer.features), pictures(layer.layer)))
        counts = Counts()
        for one in some:
            counts.add(one)
        total.add(counts)
        if counts.features:
            print(line(layer.layer, counts))
    print(line("all", total))
    for layer in found.layers:
        if layer.layer == FIRST:
            print(kernels(config.weights, layer.features))


def kernels(weights: str, tunings: dict[int, Tuning]) -> str:
    """How well preferred orientations of the first layer agree with the spectra of its kernels."""
    every = load_weights(weights).tensors[f"{FIRST}.conv.weight"].double().numpy()  # [F, 3, 3, 3]
    spectra = {number: spectrum_orientation(every[number]) for number in tunings}
    oriented = {number: angle for number, (angle, selectivity) in spectra.items() if selectivity >= ORIENTED}
    if not oriented:
        return f"no kernel of {FIRST} is oriented"
    away = [off(angle, tunings[number].orientation.preferred, 180) for number, angle in oriented.items()]
    near = sum(one <= NEAR_KERNEL for one in away)
    return f"oriented kernels of {FIRST}: {len(away)}; within {NEAR_KERNEL:g}°: {near}; median {np.median(away):.1f}°"


def spectrum_orientation(kernel: Array) -> tuple[float, float]:
    """The angle of a kernel's lines by its power spectrum, at frequencies of the gratings, and its selectivity.

    Args:
        kernel: [channels, rows, columns].

    Returns:
        Degrees from 0 (horizontal) to 180, and 1 − circular variance.
    """
    power = np.abs(np.fft.fft2(kernel.sum(0), s=(64, 64))) ** 2
    up, right = -np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None]
    power *= (np.hypot(up, right) <= 1 / min(PERIODS)) & (np.hypot(up, right) > 0)
    doubled = (power * np.exp(2j * np.arctan2(up, right))).sum()  # of the direction of change
    return float((np.degrees(np.angle(doubled)) / 2 + 90) % 180), float(np.abs(doubled) / max(power.sum(), 1e-12))


def judge(tunings: dict[int, Tuning], pair: tuple[int, Image.Image]) -> Counts:
    """Compare a feature's words with its rendering."""
    number, image = pair
    tuning, counts = tunings[number], Counts(features=1)
    counts.described = int(tuning.has_words)
    if tuning.orientation.beats_null:
        angle, coherence = orientation(image)
        is_right = off(angle, tuning.orientation.preferred, 180) <= NEAR_ORIENTATION
        counts.oriented, counts.right_of_all = 1, int(is_right)
        counts.judged, counts.right = int(coherence >= COHERENT), int(is_right and coherence >= COHERENT)
    if tuning.hue.beats_null and (hue := dominant_hue(image)) is not None:
        counts.coloured, counts.right_hue = 1, int(off(hue, tuning.hue.preferred, 360) <= NEAR_HUE)
    return counts


def orientation(image: Image.Image) -> tuple[float, float]:
    """The angle of a picture's lines by its structure tensor, degrees, and the tensor's coherence."""
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    border = round(BORDER * min(image.size))
    grey = luma(np.asarray(image, dtype=np.float64)[border:-border, border:-border] / 255)
    down, right = np.gradient(gaussian_filter(grey, 1.0))
    doubled = (right - 1j * down) ** 2  # of the gradient, which is across the lines
    angle = (np.degrees(np.angle(doubled.sum())) / 2 + 90) % 180
    return float(angle), float(np.abs(doubled.sum()) / max(np.abs(doubled).sum(), 1e-12))


def dominant_hue(image: Image.Image) -> float | None:
    """As pages sort by; None of a grey picture."""
    small = image.resize((48, 48), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float64).reshape(-1, 3) / 255
    return main_hue(((red, green, blue), 1) for red, green, blue in pixels.tolist())


def off(one: float, other: float, circle: float) -> float:
    """How far two angles are from each other."""
    return abs((one - other + circle / 2) % circle - circle / 2)


def line(name: str, one: Counts) -> str:
    def share(part: int, whole: int) -> str:
        return f"{part / whole:.0%}" if whole else "–"

    cells = [
        one.features,
        share(one.described, one.features),
        share(one.oriented, one.features),
        one.judged,
        share(one.right, one.judged),
        share(one.right_of_all, one.oriented),
        one.coloured,
        share(one.right_hue, one.coloured),
    ]
    return f"{name:16}" + "".join(f"{cell:>9}" for cell in cells)


if __name__ == "__main__":
    main()
