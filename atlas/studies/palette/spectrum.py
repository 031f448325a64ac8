"""Fine grids in pictures: luminance → spectrum → its strongest peak. Pure functions."""

from collections.abc import Sequence

import numpy as np

from atlas.store.result_files import rounded
from atlas.studies.palette.result import Peak
from atlas.studies.shared.maps import Array

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear red, green and blue (ITU-R BT.709)
LOWEST = 0.05  # cycles per pixel: what is coarser than 20 px is no fine grid


def luminance(picture: Array) -> Array:
    """Relative luminance of an sRGB picture: [H, W, 3] in [0, 1] -> [H, W] in [0, 1]."""
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    found: Array = linear @ np.array(LUMINANCE)
    return found


def mean_spectrum(maps: Sequence[Array]) -> Array:
    """Mean power spectrum of maps, each of which weighs the same, whatever its contrast.

    A last odd row or column is left out, so that a period of 2 pixels has a frequency of its own, and a Hann window
    keeps a slow change across the map out of the high frequencies.

    Args:
        maps: at least one [H, W], all of one size.

    Returns:
        [H', W'] with H' and W' even, in the order of `np.fft.fft2`; all 0 if every map is flat.
    """
    height, width = (side - side % 2 for side in maps[0].shape)
    window = np.outer(_hann(height), _hann(width))
    total = np.zeros((height, width))
    for values in maps:
        inside = values[:height, :width]
        weighted = window * (inside - (window * inside).sum() / window.sum())
        power = np.abs(np.fft.fft2(weighted)) ** 2
        if np.ptp(inside) > 0:
            total += power / power.sum()
    mean: Array = total / len(maps)
    return mean


def strongest_peak(power: Array, lowest: float = LOWEST) -> Peak | None:
    """The strongest local maximum of a spectrum, very low frequencies left out.

    Args:
        power: [H, W] in the order of `np.fft.fft2`.
        lowest: cycles per pixel below which nothing counts.

    Returns:
        None if nothing there is stronger than all that surrounds it. The strength is held against the median of what
        counts.
    """
    rows, cols = np.meshgrid(np.fft.fftfreq(power.shape[0]), np.fft.fftfreq(power.shape[1]), indexing="ij")
    counts = np.hypot(rows, cols) >= lowest
    around = [np.roll(power, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    is_peak = counts & (power > np.max(around, axis=0))
    median = float(np.median(power[counts]))
    if not is_peak.any() or not median > 0:
        return None
    at = np.unravel_index(np.argmax(np.where(is_peak, power, -1.0)), power.shape)
    strength = rounded(float(power[at]) / median)
    assert strength is not None  # both are finite, and the median is above 0
    return Peak(rounded(abs(float(rows[at]))) or 0.0, rounded(abs(float(cols[at]))) or 0.0, strength)


def _hann(length: int) -> Array:
    """Hann's window, periodic."""
    window: Array = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return window
