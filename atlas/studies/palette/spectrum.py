"""Fine grids in pictures: luminance → spectrum → its strongest peak. Pure functions."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter

from atlas.studies.palette.result import Peak
from atlas.studies.shared.image_metrics import power_spectrum
from atlas.studies.shared.maps import Array

LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear red, green and blue (ITU-R BT.709)
LOWEST = 0.05  # cycles per pixel: what is coarser than 20 px is no fine grid
AROUND = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])  # the eight neighbours


def luminance(picture: Array) -> Array:
    """Relative luminance of an sRGB picture: [H, W, 3] in [0, 1] -> [H, W] in [0, 1]."""
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array(LUMINANCE))


def mean_spectrum(maps: Sequence[Array]) -> Array:
    """Mean power spectrum of maps, each of which has the same weight, whatever its contrast.

    A last odd row or column is left out, so that a period of 2 pixels has a frequency of its own.

    Args:
        maps: at least one [H, W], all of one size.

    Returns:
        [H', W'] with H' and W' even, in the order of `np.fft.fft2`; all 0 if every map is flat.
    """
    height, width = (side - side % 2 for side in maps[0].shape)
    total = np.zeros((height, width))
    for values in maps:
        inside = values[:height, :width]
        if np.ptp(inside) > 0:
            power = power_spectrum(inside, is_periodic=True)
            total += power / power.sum()
    return total / len(maps)


def strongest_peak(power: Array, lowest: float = LOWEST) -> Peak | None:
    """The strongest local maximum of a spectrum, without very low frequencies.

    Args:
        power: [H, W] in the order of `np.fft.fft2`.
        lowest: cycles per pixel below which nothing counts.

    Returns:
        None if nothing there is stronger than its eight neighbours. The strength is relative to the median of what
        counts.
    """
    rows, cols = np.meshgrid(*map(np.fft.fftfreq, power.shape), indexing="ij")
    counts = np.hypot(rows, cols) >= lowest
    is_peak = counts & (power > maximum_filter(power, footprint=AROUND, mode="wrap"))
    median = float(np.median(power[counts]))
    if not is_peak.any() or not median > 0:
        return None
    at = np.unravel_index(np.argmax(np.where(is_peak, power, -1.0)), power.shape)
    return Peak(abs(float(rows[at])), abs(float(cols[at])), float(power[at]) / median)
