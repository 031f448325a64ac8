"""Image metrics: likeness of two pictures; fineness, colours and edges of one. Pure functions.

Pictures are [H, W, 3] in [0, 1]. Luma is [H, W] in the same units: Rec. 709's weights of the stored values, which are
not linear in light (for that see `palette.spectrum.luminance`).
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal.windows import hann
from skimage.color import rgb2gray
from skimage.filters import sobel
from skimage.measure import shannon_entropy
from skimage.metrics import structural_similarity
from skimage.transform import downscale_local_mean

from atlas.studies.shared.likeness import Likeness
from atlas.studies.shared.maps import Array

NYQUIST = 0.5  # cycles a pixel, the finest that a row or column of pixels can hold
COLOUR_BINS = (4, 6, 6)  # of lightness, green to red, and blue to yellow (CIELAB)
COLOUR_ENDS = ((0.0, 100.0), (-75.0, 75.0), (-75.0, 75.0))  # what lies outside counts in the outermost bins
COLOUR_SPREAD = 0.6  # bins by which a count is blurred, so that a small difference in colour never moves all of a count
DIRECTIONS = 8  # between 0 and 180 degrees
SCALES = 4  # each at half the size of the one before
EVEN = 0.05  # slope in CIELAB's lightness a pixel, spread over all directions: a flat picture has no direction
GRAIN = 1 / 255  # a luma whose standard deviation is less shows the rounding to 8 bits, and nothing else


def shrink(picture: Array, largest: int) -> Array:
    """The picture with at most so many pixels on its longer side, by Lanczos resampling; never enlarged."""
    height, width = picture.shape[:2]
    scale = largest / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS), dtype=np.float64) / 255


def likeness(one: Array, other: Array) -> Likeness:
    """How alike two pictures are, at the size of the smaller one.

    Structural similarity (Wang et al. 2004) is the mean over windows of 7 × 7 pixels and over channels.
    """
    largest = min(max(one.shape), max(other.shape))
    one, other = shrink(one, largest), shrink(other, largest)
    ssim = structural_similarity(one, other, channel_axis=2, data_range=1.0)
    return Likeness(float(ssim), correlation(one, other))


def likenesses(
    picture: Array | None, bases: Sequence[Array | None], at: int
) -> tuple[Likeness | None, tuple[Likeness, ...]]:
    """How alike a picture is to one of several others, and to each of the rest.

    Args:
        picture: [H, W, 3]; None: it shows nothing.
        bases: the others, likewise.
        at: position of the one.

    Returns:
        Both of pictures that show something; None and nothing if the picture or the one does not.
    """
    if picture is None or bases[at] is None:
        return None, ()
    found = [None if base is None else likeness(picture, base) for base in bases]
    return found[at], tuple(one for number, one in enumerate(found) if number != at and one)


def correlation(one: Array, other: Array) -> float | None:
    """Pearson's correlation over all pixels and channels; None if one picture is of one value throughout."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def luma(picture: Array) -> Array:
    """Rec. 709's weights of the stored values, [H, W, 3] -> [H, W]."""
    return np.asarray(rgb2gray(picture))


def power_spectrum(grey: Array, *, is_periodic: bool = False) -> Array:
    """Power of a luma at each frequency, without its mean, [H, W] in the order of `np.fft.fft2`.

    A Hann window hides the borders: they do not meet, and the step between them would count as fine detail.

    Args:
        grey: [H, W].
        is_periodic: take the window whose period is the picture's side, and not one pixel less.
    """
    window = np.outer(*(hann(length, sym=not is_periodic) for length in grey.shape))
    centred = grey - (grey * window).sum() / window.sum()  # so that nothing is left at frequency 0
    return np.asarray(np.abs(np.fft.fft2(centred * window)) ** 2)


def spectrum(grey: Array) -> tuple[Array, Array] | None:
    """Power at each frequency, and the frequency in cycles a pixel, [H, W] each; None if only rounding is left."""
    if grey.std() < GRAIN:
        return None
    rows, cols = map(np.fft.fftfreq, grey.shape)
    return power_spectrum(grey), np.hypot(rows[:, None], cols[None, :])


def fine_share(grey: Array) -> float | None:
    """Share of the spectral power above half the Nyquist frequency; None if there is nothing but rounding."""
    if not (found := spectrum(grey)):
        return None
    power, frequency = found
    return float(power[frequency > NYQUIST / 2].sum() / power.sum())


def spectral_centroid(grey: Array) -> float | None:
    """Mean frequency, weighted by power, in cycles a pixel; None if there is nothing but rounding."""
    return float(np.average(found[1], weights=found[0])) if (found := spectrum(grey)) else None


def colour_entropy(picture: Array, levels: int) -> float:
    """Entropy of the histogram of colours with so many levels a channel, in bits: 0 to 3·log2(levels)."""
    binned = np.minimum((picture * levels).astype(np.int64), levels - 1)  # [H, W, 3]
    return float(shannon_entropy(binned @ [levels * levels, levels, 1]))


def edge_density(grey: Array, threshold: float) -> float:
    """Share of the pixels at which the magnitude of the Sobel gradient exceeds a threshold.

    The magnitude is scikit-image's: the root mean square of the two filters' responses, which is √2 times the slope,
    in pixel ranges a pixel, whatever its direction.
    """
    return float((sobel(grey) > threshold).mean())


def colour_shares(lab: Array) -> Array:
    """How often each colour comes, wherever in the picture: a histogram of CIELAB that adds up to 1, flattened."""
    low, high = np.transpose(COLOUR_ENDS)
    counts, _ = np.histogramdd(np.clip(lab.reshape(-1, 3), low, high), COLOUR_BINS, COLOUR_ENDS)
    blurred = gaussian_filter(counts, COLOUR_SPREAD, mode="nearest").ravel()
    return np.asarray(blurred / blurred.sum())


def direction_shares(lightness: Array) -> Array:
    """How much slope each direction has at each scale: a histogram that adds up to 1, [SCALES · DIRECTIONS].

    Directions are those of the gradient, with opposite ones counted as one, and each pixel counts by its slope.

    Args:
        lightness: CIELAB's, [H, W], at least 2^SCALES pixels a side.
    """
    found = []
    for scale in range(SCALES):
        if scale:
            height, width = (side // 2 for side in lightness.shape)
            lightness = downscale_local_mean(lightness[: 2 * height, : 2 * width], (2, 2))
        down, right = np.gradient(lightness)
        slope = np.hypot(down, right).ravel()
        place = (np.arctan2(down, right).ravel() % np.pi) * DIRECTIONS / np.pi  # between two directions
        first, share = place.astype(np.int64), place % 1
        counts = np.bincount(first % DIRECTIONS, slope * (1 - share), DIRECTIONS)
        counts += np.bincount((first + 1) % DIRECTIONS, slope * share, DIRECTIONS)
        found.append(counts / slope.size + EVEN / DIRECTIONS)
    slopes = np.concatenate(found)
    return np.asarray(slopes / slopes.sum())
