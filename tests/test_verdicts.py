"""Sentences made from findings: each outcome, and no claim beyond the numbers."""

from dataclasses import replace

import pytest

from atlas.findings.fields import Disc, FieldPoint, Fields
from atlas.findings.influence import ClipInfluence, FrameChange, PairInfluence, Sensitivity, TargetInfluence
from atlas.site import verdicts


def point(feature, branch, radius):
    return FieldPoint(feature, branch, None, Disc(10, 10, radius) if radius else None)


def fields(inner, outer):
    points = (point(0, "branch1x1", outer), point(200, "branch7x7", inner), point(700, "branch_pool", None))
    return Fields("Mixed_6b", (8, 8), 299, points)


def test_whether_interior_branches_reach_wider():
    assert "The guess does hold" in verdicts.fields_verdict(fields(60, 40))
    assert "60 px in the median" in verdicts.fields_verdict(fields(60, 40))
    assert "The guess does not hold" in verdicts.fields_verdict(fields(30, 40))
    assert "Too few" in verdicts.fields_verdict(fields(None, 40))


def test_median_of_a_branch():
    points = [point(n, "branch1x1", radius) for n, radius in enumerate((10, 30, 20, None))]
    assert verdicts.branch_median(points, "branch1x1") == 20
    assert verdicts.branch_median(points, "branch7x7") is None


def test_shares_of_frames_are_weighted_by_their_change():
    frames = (FrameChange(0.3, 1.0, 0.5, 9.0), FrameChange(0.1, 0.0, 0.5, 9.0), FrameChange(0.0, None, None, None))
    words = verdicts.frames_verdict(ClipInfluence("Mixed_6b", 1, 128, frames))
    assert words.startswith("25 % of all change falls outside")
    assert words.endswith("50 % outside of its effective one.")
    without = (*frames, FrameChange(0.1, 0.0, None, None))  # a neuron without a gradient has no effective field
    words = verdicts.frames_verdict(ClipInfluence("Mixed_6b", 1, 128, without))
    assert words.endswith("50 % outside of its effective one (of the 80 % by neurons that have a gradient).")
    still = ClipInfluence("Mixed_6b", 1, 128, (FrameChange(0.0, None, None, None),))
    assert verdicts.frames_verdict(still) == "No frame differs from the one before."


MAP = ((0.0, 0.25), (0.0, 0.5))
PAIR = PairInfluence("as it is", 128, 90.0, True, 0.02, 0.01, (1.0,), (0.1,), MAP)


def target(added, disturbed, rounding=0.0, pair=PAIR, first=0.0):
    sensitivity = (
        Sensitivity("fp32", 1e-5, (0.0, disturbed), (1.0,), (0.1,), MAP),
        Sensitivity("fp32", None, (first, added), (1.0,), (0.1,), MAP),
    )
    return TargetInfluence("Mixed_6b", 654, "raster", (pair,), (0.0, rounding), sensitivity)


def test_what_follows_about_the_reach():
    assert "at most 1e-05 in that corner, which no neuron made, comes to 0.05" in verdicts.reach_verdict(
        target(0.1, 0.05)
    )
    assert "needs no neuron at all" in verdicts.reach_verdict(target(0.1, 0.0, rounding=0.09))
    assert "grew to 0.02: a part of that" in verdicts.reach_verdict(target(0.1, 0.02))
    assert "No small difference that was tried" in verdicts.reach_verdict(target(0.1, 0.001))
    assert "nothing to explain" in verdicts.reach_verdict(target(0.0, 0.05))
    assert "nothing to explain" in verdicts.reach_verdict(target(None, 0.05))


@pytest.mark.parametrize(("disturbed", "rounding"), [(0.0, 0.0), (0.02, 0.0), (0.09, 0.0), (0.0, 0.09)])
def test_what_arrives_at_once_is_told_apart_from_what_grows(disturbed, rounding):
    at_once = verdicts.reach_verdict(target(0.1, disturbed, rounding, first=0.003))
    assert "before anything could grow, it was 0.003" in at_once
    assert "handed on from step to step" in verdicts.reach_verdict(target(0.1, disturbed, rounding))


def test_fields_that_do_not_meet_are_an_argument_only_if_nothing_changed():
    apart = replace(PAIR, fields_overlap=False, other=0.0)
    assert "do not meet left each other" in verdicts.reach_verdict(target(0.1, 0.02, pair=apart))
    assert "do not meet" not in verdicts.reach_verdict(target(0.1, 0.02, pair=replace(apart, other=0.001)))
    assert verdicts.pair_verdict(PAIR) == (
        "fields overlap: the other neuron changed 0.01, 50 % of what the nearer neuron itself drew"
    )


def test_rows_of_disturbances():
    rows = verdicts.disturbances(target(0.1, 0.02, rounding=0.03))
    assert rows == [
        ("start disturbed by 1e-05, in float32", 0.02),
        ("nothing disturbed: float32 against float64", 0.03),
    ]
