"""The mean spectrum of photographs, by channel of decorrelated colours: amplitude a and exponent p of a / f^p.

`_PHOTO_AMPLITUDE` and `_PHOTO_POWER` in `atlas/rendering/parameterization.py` are those of the first channel.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from atlas.rendering.parameterization import COLORS

SIZE = 380  # pixels: a square from the middle of each photograph
MARGIN = 0.02  # of pixels from 0 and 1, before the logarithm of their odds
BANDS = np.geomspace(2 / SIZE, 0.45, 16)  # cycles per pixel, in which magnitudes are averaged


def spectrum(path: Path) -> np.ndarray:
    """Magnitudes by channel and frequency, [3, SIZE, SIZE // 2 + 1]."""
    image = Image.open(path).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.asarray(square, dtype=np.float64) / 255)
    channels = torch.logit(pixels, eps=MARGIN) @ torch.linalg.inv(torch.tensor(COLORS, dtype=torch.float64)).T
    channels = channels.permute(2, 0, 1) - channels.mean((0, 1))[:, None, None]  # [H, W, 3] -> [3, H, W]
    window = torch.outer(*[torch.hann_window(SIZE, periodic=False, dtype=torch.float64)] * 2)
    window /= window.square().mean().sqrt()
    return np.asarray(torch.fft.rfft2(channels * window, norm="ortho").abs())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="+")
    options = parser.parse_args()
    mean = np.mean([spectrum(path) for path in options.photos], axis=0)
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE))
    for channel in mean:
        bands = list(pairwise(BANDS))
        values = [channel[(frequency >= low) & (frequency < high)].mean() for low, high in bands]
        middles = [np.sqrt(low * high) for low, high in bands]
        slope, offset = np.polyfit(np.log(middles), np.log(values), 1)
        print(f"({np.exp(offset):.3f}, {-slope:.2f})")


if __name__ == "__main__":
    main()
