"""What the page of influence says of its results: each outcome, and no claim beyond the numbers."""

import re
from dataclasses import replace

import pytest

from atlas.studies.influence.result import ClipInfluence, FrameChange, PairInfluence, Sensitivity, TargetInfluence
from macros import render_macro

WORDS = "studies/influence_words.html"


def frames_summary(found):
    return render_macro(WORDS, "frames", found)


def reach_summary(found):
    return render_macro(WORDS, "reach", found)


def pair_summary(found):
    return render_macro(WORDS, "pair", found)


def test_shares_of_frames_are_weighted_by_their_change():
    frames = (FrameChange(0.3, 1.0, 0.5, 9.0), FrameChange(0.1, 0.0, 0.5, 9.0), FrameChange(0.0, None, None, None))
    words = frames_summary(ClipInfluence("Mixed_6b", 1, 128, frames))
    assert words.startswith("25 % of all change falls outside")
    assert words.endswith("50 % outside of its effective one.")
    without = (*frames, FrameChange(0.1, 0.0, None, None))  # a neuron without a gradient has no effective field
    words = frames_summary(ClipInfluence("Mixed_6b", 1, 128, without))
    assert words.endswith("50 % outside of its effective one (of the 80 % by neurons that have a gradient).")
    still = ClipInfluence("Mixed_6b", 1, 128, (FrameChange(0.0, None, None, None),))
    assert frames_summary(still) == "No frame differs from the one before."


MAP = ((0.0, 0.25), (0.0, 0.5))
PAIR = PairInfluence("as it is", 128, 90.0, True, True, 0.02, 0.01, (1.0,), (0.1,), MAP)


def target(added, disturbed, rounding=0.0, pair=PAIR, first=0.0):
    sensitivity = (
        Sensitivity("fp32", 1e-5, (0.0, disturbed), (1.0,), (0.1,), MAP),
        Sensitivity("fp32", None, (first, added), (1.0,), (0.1,), MAP),
    )
    return TargetInfluence("Mixed_6b", 654, "raster", (pair,), (0.0, rounding), sensitivity)


def test_what_follows_about_the_reach():
    assert reach_summary(target(0.1, 0.05)).endswith(
        "The start disturbed by 1e-05 in that corner, with no neuron added, changes it by 0.05, 50 % of that: the "
        "descent itself makes small differences that large."
    )
    assert reach_summary(target(0.1, 0.02)).endswith("changes it by 0.02, 20 % of that.")
    assert "No disturbance of the start in that corner" in reach_summary(target(0.1, 0.001))
    assert "nothing reached it, or the neuron had no gradient" in reach_summary(target(0.0, 0.05))
    assert "nothing reached it, or the neuron had no gradient" in reach_summary(target(None, 0.05))


def test_a_change_that_rounding_makes_too_is_not_put_down_to_the_neuron():
    """On ImageNet weights: 0.155 by the last neuron, 0.166 by rounding alone."""
    words = reach_summary(target(0.155, 0.05, rounding=0.166))
    assert "float32 against float64, which acts on every pixel at every step, changes it by 0.166, 107 % of" in words
    assert "its size cannot be attributed to the neuron" in words
    assert "with no neuron added, changes it by 0.05, 32 % of that." in words
    assert "Rounding" not in reach_summary(target(0.155, 0.05, rounding=0.07))


def test_neurons_that_were_not_raised_say_nothing_of_the_reach():
    """A descent that loses both neurons leaves nothing to compare: 0.0007 was no small influence."""
    lost = replace(PAIR, raised=False, other=0.0007, own=0.0047)
    assert pair_summary(lost) == ("fields overlap: cannot be judged, since not all three pictures were raised")
    apart = replace(PAIR, fields_overlap=False, other=0.0, raised=False)
    assert "do not meet" not in reach_summary(target(0.1, 0.02, pair=apart))


@pytest.mark.parametrize(("disturbed", "rounding"), [(0.0, 0.0), (0.02, 0.0), (0.09, 0.0), (0.0, 0.09)])
def test_what_arrives_at_once_is_told_apart_from_what_grows(disturbed, rounding):
    at_once = reach_summary(target(0.1, disturbed, rounding, first=0.003))
    assert "before anything could grow, it was 0.003" in at_once
    assert "passed on from step to step" in reach_summary(target(0.1, disturbed, rounding))


def test_fields_that_do_not_meet_are_an_argument_only_if_nothing_changed():
    apart = replace(PAIR, fields_overlap=False, other=0.0)
    assert "do not meet left each other" in reach_summary(target(0.1, 0.02, pair=apart))
    assert "do not meet" not in reach_summary(target(0.1, 0.02, pair=replace(apart, other=0.001)))
    assert pair_summary(PAIR) == (
        "fields overlap: the other neuron changed 0.01, 50 % of the change by the nearer neuron itself"
    )


def test_rows_of_disturbances():
    rows = render_macro(WORDS, "rows", target(0.1, 0.02, rounding=0.03))
    assert re.findall("<th.*?>(.*?)</th><td>(.*?)</td><td>(.*?)</td>", rows) == [
        ("last neuron added, in float32", "0.1", ""),
        ("start disturbed by 1e-05, in float32", "0.02", "20 %"),
        ("nothing disturbed: float32 against float64", "0.03", "30 %"),
    ]
