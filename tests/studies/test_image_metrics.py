"""Measures of pictures, against figures that are known by construction."""

import itertools
import math
import statistics

import numpy as np
import pytest

from atlas.studies.shared import image_metrics

RANDOM = np.random.default_rng(11)


def wave(size, rows, cols, *, amplitude=0.2):
    """A sinusoid with so many cycles a pixel along rows and columns, [size, size] around a grey of 0.5."""
    row, col = np.indices((size, size))
    return 0.5 + amplitude * np.sin(2 * np.pi * (rows * row + cols * col))


def grey(value):
    """[H, W] -> [H, W, 3]."""
    return np.repeat(value[:, :, None], 3, axis=2)


def test_a_picture_is_like_itself_and_unlike_its_negative():
    picture = RANDOM.random((40, 40, 3))
    assert image_metrics.likeness(picture, picture).ssim == pytest.approx(1)
    assert image_metrics.likeness(picture, picture).correlation == pytest.approx(1)
    assert image_metrics.likeness(picture, 1 - picture).correlation == pytest.approx(-1)


def test_unrelated_pictures_have_nothing_in_common():
    found = image_metrics.likeness(RANDOM.random((90, 90, 3)), RANDOM.random((90, 90, 3)))
    assert abs(found.correlation) < 0.03
    assert abs(found.ssim) < 0.05


def test_correlation_is_pearsons():
    one, other = RANDOM.random((9, 9, 3)), RANDOM.random((9, 9, 3))
    expected = statistics.correlation(one.ravel().tolist(), other.ravel().tolist())
    assert image_metrics.correlation(one, other) == pytest.approx(expected)


def test_one_colour_correlates_with_nothing():
    flat = np.full((20, 20, 3), 0.4)
    assert image_metrics.likeness(flat, RANDOM.random((20, 20, 3))).correlation is None


@pytest.mark.parametrize("swapped", [False, True])
def test_pictures_of_two_sizes_are_compared_at_the_smaller_one(swapped):
    small, large = grey(wave(60, 0.04, 0.02)), grey(wave(90, 0.04 * 60 / 90, 0.02 * 60 / 90))
    assert image_metrics.shrink(large, 60).shape == small.shape
    pair = (large, small) if swapped else (small, large)
    assert image_metrics.likeness(*pair).correlation > 0.98  # the same but for half a pixel
    assert image_metrics.shrink(small, 90) is small


@pytest.mark.parametrize("frequency", [0.1, 0.2, 0.3, 0.45, 0.1234, 0.3456])
def test_the_centroid_of_a_wave_is_its_frequency(frequency):
    for rows, cols in ((frequency, 0), (0, frequency), (frequency * 0.6, frequency * 0.8)):
        assert image_metrics.spectral_centroid(wave(160, rows, cols)) == pytest.approx(frequency, abs=2e-3)


@pytest.mark.parametrize(("frequency", "share"), [(0.1, 0.0), (0.2, 0.0), (0.3, 1.0), (0.1234, 0.0), (0.4321, 1.0)])
def test_a_wave_is_fine_above_half_the_nyquist_frequency(frequency, share):
    """Also where the wave does not close on itself, and a window must keep its borders apart."""
    assert image_metrics.fine_share(wave(128, frequency, 0)) == pytest.approx(share, abs=1e-4)


def test_the_fine_share_of_two_waves_is_that_of_their_powers():
    both = wave(128, 0.0625, 0, amplitude=0.3) + wave(128, 0, 0.375, amplitude=0.1)
    assert image_metrics.fine_share(both) == pytest.approx(0.1**2 / (0.3**2 + 0.1**2), rel=1e-3)


def test_brightness_has_no_part_in_the_spectrum():
    picture = RANDOM.random((64, 64)) / 2
    assert image_metrics.fine_share(picture + 0.4) == pytest.approx(image_metrics.fine_share(picture))
    assert image_metrics.spectral_centroid(picture + 0.4) == pytest.approx(image_metrics.spectral_centroid(picture))


def test_white_noise_spreads_over_the_plane():
    """Half the Nyquist frequency is a circle of radius 1/4 in a square of side 1."""
    assert image_metrics.fine_share(RANDOM.random((300, 300))) == pytest.approx(1 - math.pi / 16, abs=0.01)


def test_rounding_is_no_structure():
    flat = np.full((80, 80), 128 / 255)
    flat[::7, ::5] = 129 / 255
    assert image_metrics.spectral_centroid(flat) is None
    assert image_metrics.fine_share(flat) is None


def test_luma_is_weighted_by_rec_709():
    colours = np.eye(3)[None]  # red, green, blue
    assert image_metrics.luma(colours)[0] == pytest.approx([0.2126, 0.7152, 0.0722], abs=5e-4)


@pytest.mark.parametrize("count", [1, 2, 8, 64, 512])
def test_entropy_of_colours_alike_in_number(count):
    values = np.array(list(itertools.product(np.arange(8) / 7, repeat=3)))[:: 512 // count]
    assert image_metrics.colour_entropy(np.repeat(values, 3, axis=0)[None], 8) == pytest.approx(math.log2(count))


def test_entropy_of_unequal_shares():
    picture = np.zeros((1, 4, 3))
    picture[0, 3] = 1.0
    assert image_metrics.colour_entropy(picture, 8) == pytest.approx(0.25 * 2 + 0.75 * math.log2(4 / 3))


def test_edges_of_a_step_and_of_slopes():
    step = np.zeros((50, 50))
    step[:, 25:] = 0.5
    assert image_metrics.edge_density(step, 0.1) == pytest.approx(2 / 50)
    rows, cols = np.indices((14, 14))
    for slope, expected in ((0.0706, 0.0), (0.0708, 1.0)):  # the threshold is √2 times the slope
        for turn in (0, 0.7, math.pi / 4, math.pi / 2):
            ramp = slope * (math.sin(turn) * rows + math.cos(turn) * cols)
            assert image_metrics.edge_density(ramp, 0.1) == pytest.approx(
                expected, abs=0.3
            )  # borders have half the slope
