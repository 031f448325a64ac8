"""What the page of fields says of its results: each outcome, and no claim beyond the numbers."""

from dataclasses import replace
from itertools import zip_longest

import pytest

from atlas.studies.fields.page import FEWEST, Comparison, Radii, compare_sides, radii
from atlas.studies.fields.result import Disc, FieldPoint, Fields
from macros import render_macro


def fields_summary(found):
    return render_macro("studies/fields_words.html", "guess", found.layer, compare_sides(found), FEWEST)


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
    words = fields_summary(fields(WIDE, NARROW))
    assert words.endswith(
        "By the gradient at the end, the guess does hold for these features: 5 of 5 neurons in interior branches have "
        "a field, of 60 px in the median, and 5 of 5 neurons in the first and the last branch, of 40 px. In 100 % of "
        "all pairs, ties as half, the interior one is wider."
    )


def test_the_guess_does_not_hold_where_exterior_branches_reach_clearly_wider():
    words = fields_summary(fields(NARROW, WIDE))
    assert "the guess does not hold for these features, which reach wider the other way: 5 of 5 neurons " in words
    assert "40 px in the median" in words
    assert "In 0 % of all pairs" in words


def test_change_and_gradient_are_judged_each_by_itself():
    words = fields_summary(fields(WIDE, NARROW, changed=((*NARROW[:-1], 59.5), WIDE)))
    by_change, by_gradient = words.split(" By the gradient at the end, ")
    assert by_change.startswith("By the change in their pictures, the guess does not hold for these features")
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
    words = fields_summary(fields(inner, outer))
    assert "it cannot be told from these features whether the guess holds: " in words


def test_two_standard_errors_are_what_it_takes():
    """Of five against five the standard error is 0.1915, so 22.5 of 25 pairs are enough, and 22 are not."""
    outer, enough = (10, 20, 30, 40, 50), (40, 45, 55, 60, 65)
    assert Comparison("end", Radii(5, enough), Radii(5, outer)).share == 22.5 / 25
    assert "does hold" in fields_summary(fields(enough, outer))
    assert "cannot be told" in fields_summary(fields((35, 45, 55, 60, 65), outer))
    assert "does not hold" in fields_summary(fields(outer, enough))


def test_few_neurons_with_a_gradient_tell_nothing():
    assert fields_summary(fields((60.1,), (60,))).endswith(
        "By the gradient at the end, the guess cannot be judged: 1 of 1 neurons in interior and 1 of 1 neurons in "
        "exterior branches have a field, and at least 5 of each are needed."
    )
    some = fields_summary(fields(WIDE, (*NARROW[1:], None, None)))
    assert ": 5 of 5 neurons in interior and 4 of 6 neurons in exterior branches" in some
    assert "cannot be judged" in fields_summary(fields((), NARROW))


def test_a_layer_of_one_branch_has_nothing_to_compare():
    points = tuple(point(n, "", 5.0) for n in range(32))
    words = fields_summary(Fields("Conv2d_2b_3x3", (8, 8), 299, points))
    assert words == "Conv2d_2b_3x3 is one convolution: it has no branches that could be compared."


def test_chosen_features_have_no_part_in_the_comparison():
    found = fields(WIDE, WIDE, changed=(WIDE, WIDE))
    chosen = tuple(point(n, "branch7x7", 170.0, 170.0, is_spread=False) for n in range(200, 240))
    assert fields_summary(replace(found, points=found.points + chosen)) == fields_summary(found)
    assert radii(replace(found, points=chosen), "change", ("branch7x7",)) == Radii(0, ())
