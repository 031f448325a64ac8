"""The measures of studies, against brute force and figures that are known by construction."""

import math

import numpy as np
import pytest

from atlas.studies.fields.result import Disc
from atlas.studies.shared import maps

RANDOM = np.random.default_rng(7)


def test_change_is_the_mean_over_channels():
    one = np.zeros((2, 2, 3))
    other = one.copy()
    other[0, 1] = (0.3, -0.6, 0.0)
    assert maps.change(one, other).tolist() == [[0, pytest.approx(0.3)], [0, 0]]


def test_centre_of_mass_of_a_block():
    weights = np.zeros((20, 30))
    weights[4:8, 10:20] = 2.0
    assert maps.centre_of_mass(weights) == pytest.approx((6.0, 15.0))
    assert maps.centre_of_mass(np.zeros((3, 3))) is None


def test_spread_of_two_points():
    weights = np.zeros((1, 11))
    weights[0, 0] = weights[0, 10] = 1.0
    assert maps.spread(weights, (0.5, 5.5)) == pytest.approx(5.0)


def test_the_smallest_disc_holds_its_share_and_no_smaller_one_does():
    weights = RANDOM.random((17, 23)) ** 4
    disc = maps.smallest_disc(weights, 0.9)
    assert disc is not None
    total = weights.sum()

    def held(radius):
        inside = 0.0
        for row in range(17):
            for col in range(23):
                if math.hypot(row + 0.5 - disc.row, col + 0.5 - disc.col) <= radius:
                    inside += weights[row, col]
        return inside / total

    assert held(disc.radius) >= 0.9 > held(disc.radius - 1e-9)
    assert maps.smallest_disc(np.zeros((4, 4))) is None


def test_the_disc_of_a_filled_circle_is_that_circle():
    far = maps.distances((101, 101), (50.5, 50.5))
    disc = maps.smallest_disc((far <= 30).astype(float), 0.9)
    assert disc is not None
    assert disc.radius == pytest.approx(30 * math.sqrt(0.9), abs=0.5)


def test_shares_in_boxes_and_discs():
    weights = np.ones((10, 10))
    assert maps.share_in_box(weights, (0, 0, 5, 10)) == 0.5
    assert maps.share_in_box(weights, (-50, -50, 60, 60)) == 1
    assert maps.share_in_box(np.zeros((2, 2)), (0, 0, 2, 2)) is None
    assert maps.share_in_disc(weights, Disc(5, 5, 100)) == 1
    assert maps.share_in_disc(weights, Disc(0.5, 0.5, 0.1)) == 0.01


def test_profile_by_distance():
    far = np.array([0.5, 1.5, 1.6])
    values = np.array([1.0, 2.0, 4.0])
    found = maps.profile(values, far, np.array([0.0, 1.0, 2.0, 4.0]))
    assert found[:2] == [1.0, 3.0]
    assert math.isnan(found[2])


def test_means_over_cells_keep_the_whole_where_sides_divide():
    values = np.arange(24.0).reshape(4, 6)
    assert maps.means_over_cells(values, 2).tolist() == [[4.0, 7.0], [16.0, 19.0]]
    assert maps.means_over_cells(np.ones((7, 5)), 3).tolist() == [[1.0] * 3] * 3
