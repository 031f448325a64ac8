"""Sentences made from findings: each outcome, and no claim beyond the numbers."""

from dataclasses import replace
from itertools import zip_longest

import pytest

from atlas.site import verdicts
from atlas.studies.fields.result import Disc, FieldPoint, Fields
from atlas.studies.influence.result import ClipInfluence, FrameChange, PairInfluence, Sensitivity, TargetInfluence


def disc(radius):
    return Disc(10, 10, radius) if radius else None


def point(feature, branch, radius, change=None, *, is_spread=True):
    return FieldPoint(feature, branch, is_spread, not is_spread, start=None, end=disc(radius), change=disc(change))


def fields(inner, outer, *, changed=((), ())):
    """Radii at the end of neurons in interior and exterior branches, by turns of the two that there are of each.

    Args:
        inner: of the gradient, in interior branches.
        outer: of the gradient, in exterior ones.
        changed: those of the change, in the same order; none are filled up.
    """
    sides = zip((inner, outer), changed, (("branch7x7", "branch7x7dbl"), ("branch1x1", "branch_pool")), strict=True)
    points = (
        point(n, names[n % 2], *both)
        for gradient, change, names in sides
        for n, both in enumerate(zip_longest(gradient, change))
    )
    return Fields("Mixed_6b", (8, 8), 299, tuple(points))


WIDE, NARROW = (58, 59, 60, 61, 62), (38, 39, 40, 41, 42)


def test_the_guess_holds_where_interior_branches_reach_clearly_wider():
    words = verdicts.fields_verdict(fields(WIDE, NARROW))
    assert words.endswith(
        "By the gradient at the end, the guess does hold for these features: 5 of 5 neurons in interior branches have "
        "a field, of 60 px in the median, and 5 of 5 neurons in the first and the last branch, of 40 px. In 100 % of "
        "all pairs, ties as half, the interior one is wider."
    )


def test_the_guess_does_not_hold_where_exterior_branches_reach_clearly_wider():
    words = verdicts.fields_verdict(fields(NARROW, WIDE))
    assert "the guess does not hold for these features, which reach wider the other way: 5 of 5 neurons " in words
    assert "40 px in the median" in words
    assert "In 0 % of all pairs" in words


def test_change_and_gradient_are_judged_each_by_itself():
    words = verdicts.fields_verdict(fields(WIDE, NARROW, changed=((*NARROW[:-1], 59.5), WIDE)))
    by_change, by_gradient = words.split(" By the gradient at the end, ")
    assert by_change.startswith("By what changed in their pictures, the guess does not hold for these features")
    assert "5 of 5 neurons in interior branches have a field, of 40 px in the median" in by_change
    assert "In 8 % of all pairs" in by_change
    assert by_gradient.startswith("the guess does hold")


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ((60.1,) * 5, (60.1,) * 5),  # equal
        ((40, 50, 60, 70, 80.1), (40, 50, 60, 70, 80)),  # a difference, and next to none
        ((1, 2, 3, 60.1, 61, 62, 63), (57, 58, 59, 60, 64, 65, 66)),  # medians apart, and ranks the other way
    ],
)
def test_a_difference_within_its_error_tells_nothing(inner, outer):
    words = verdicts.fields_verdict(fields(inner, outer))
    assert "it cannot be told from these features whether the guess holds: " in words


def test_two_standard_errors_are_what_it_takes():
    """Of five against five the standard error is 0.1915, so 22.5 of 25 pairs are enough, and 22 are not."""
    outer, enough = (10, 20, 30, 40, 50), (40, 45, 55, 60, 65)
    assert verdicts.wider_share(enough, outer) == 22.5 / 25
    assert "does hold" in verdicts.fields_verdict(fields(enough, outer))
    assert "cannot be told" in verdicts.fields_verdict(fields((35, 45, 55, 60, 65), outer))
    assert "does not hold" in verdicts.fields_verdict(fields(outer, enough))


def test_few_neurons_with_a_gradient_tell_nothing():
    assert verdicts.fields_verdict(fields((60.1,), (60,))).endswith(
        "By the gradient at the end, the guess cannot be judged: 1 of 1 neurons in interior and 1 of 1 neurons in "
        "exterior branches have a field, and it takes 5 of each."
    )
    some = verdicts.fields_verdict(fields(WIDE, (*NARROW[1:], None, None)))
    assert ": 5 of 5 neurons in interior and 4 of 6 neurons in exterior branches" in some
    assert "cannot be judged" in verdicts.fields_verdict(fields((), NARROW))


def test_a_layer_of_one_branch_has_nothing_to_compare():
    points = tuple(point(n, "", 5.0) for n in range(32))
    words = verdicts.fields_verdict(Fields("Conv2d_2b_3x3", (8, 8), 299, points))
    assert words == "Conv2d_2b_3x3 is one convolution: it has no branches that could be compared."


def test_chosen_features_have_no_part_in_the_comparison():
    found = fields(WIDE, WIDE, changed=(WIDE, WIDE))
    chosen = tuple(point(n, "branch7x7", 170.0, 170.0, is_spread=False) for n in range(200, 240))
    assert verdicts.fields_verdict(replace(found, points=found.points + chosen)) == verdicts.fields_verdict(found)
    assert verdicts.radii(replace(found, points=chosen), "change", ("branch7x7",)) == []


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
PAIR = PairInfluence("as it is", 128, 90.0, True, True, 0.02, 0.01, (1.0,), (0.1,), MAP)


def target(added, disturbed, rounding=0.0, pair=PAIR, first=0.0):
    sensitivity = (
        Sensitivity("fp32", 1e-5, (0.0, disturbed), (1.0,), (0.1,), MAP),
        Sensitivity("fp32", None, (first, added), (1.0,), (0.1,), MAP),
    )
    return TargetInfluence("Mixed_6b", 654, "raster", (pair,), (0.0, rounding), sensitivity)


def test_what_follows_about_the_reach():
    assert verdicts.reach_verdict(target(0.1, 0.05)).endswith(
        "The start disturbed by 1e-05 in that corner, with no neuron added, changes it by 0.05, 50 % of that: the "
        "descent itself makes small differences that large."
    )
    assert verdicts.reach_verdict(target(0.1, 0.02)).endswith("changes it by 0.02, 20 % of that.")
    assert "No disturbance of the start in that corner" in verdicts.reach_verdict(target(0.1, 0.001))
    assert "nothing got there, or it had no gradient" in verdicts.reach_verdict(target(0.0, 0.05))
    assert "nothing got there, or it had no gradient" in verdicts.reach_verdict(target(None, 0.05))


def test_a_change_that_rounding_makes_too_is_not_put_down_to_the_neuron():
    """On ImageNet weights: 0.155 by the last neuron, 0.166 by rounding alone."""
    words = verdicts.reach_verdict(target(0.155, 0.05, rounding=0.166))
    assert "float32 against float64, which acts on every pixel at every step, changes it by 0.166, 107 % of" in words
    assert "its size cannot be put down to the neuron" in words
    assert "with no neuron added, changes it by 0.05, 32 % of that." in words
    assert "Rounding" not in verdicts.reach_verdict(target(0.155, 0.05, rounding=0.07))


def test_neurons_that_were_not_raised_say_nothing_of_the_reach():
    """A descent that loses both neurons leaves nothing to compare: 0.0007 was no small influence."""
    lost = replace(PAIR, raised=False, other=0.0007, own=0.0047)
    assert verdicts.pair_verdict(lost) == ("fields overlap: cannot be judged, since not all three pictures were raised")
    apart = replace(PAIR, fields_overlap=False, other=0.0, raised=False)
    assert "do not meet" not in verdicts.reach_verdict(target(0.1, 0.02, pair=apart))


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
