"""Charts: where values lie, and what becomes of gaps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas.site.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Series, make_chart


def chart(*series, **options):
    return make_chart(series, alt="a", x_label="x", y_label="y", **options)


def test_lines_run_from_edge_to_edge():
    drawn = chart(Series("one", ((0, 0.0), (10, 1.0))))
    assert drawn.series[0].paths == (f"M{LEFT} {HEIGHT - BOTTOM}L{WIDTH - RIGHT} {TOP}",)
    assert [words for _, words in drawn.y_ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_a_gap_breaks_a_line_and_drops_a_dot():
    points = ((0, 1.0), (1, None), (2, 1.0), (3, 2.0))
    assert len(chart(Series("one", points)).series[0].paths) == 2
    assert len(chart(Series("one", points, "dots")).series[0].dots) == 3


def test_a_logarithmic_axis_holds_zero_on_its_floor():
    drawn = chart(Series("one", ((0, 0.0), (1, 1e-4), (2, 1.0))), log=True, floor=1e-8)
    assert drawn.series[0].paths[0].startswith(f"M{LEFT} {HEIGHT - BOTTOM}L")
    assert f" {(TOP + HEIGHT - BOTTOM) / 2:g}L" in drawn.series[0].paths[0]
    assert "10⁻⁸" in {words for _, words in drawn.y_ticks}


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=20),
    st.booleans(),
)
def test_everything_lies_inside(points, log):
    drawn = chart(Series("one", tuple(points), "dots"), log=log, floor=1e-8 if log else 0.0)
    for x, y in drawn.series[0].dots:
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM
    assert all(TOP - 1 <= at <= HEIGHT - BOTTOM + 1 for at, _ in drawn.y_ticks)


def test_places_keep_their_order():
    axis = Axis(0, 10, 0, 100)
    places = [axis.place(value) for value in (0, 1, 5, 10, 12)]
    assert places == [0, 10, 50, 100, 100]
    assert Axis(1, 1000, 0, 90, is_log=True).place(10) == pytest.approx(30)
    assert math.isclose(Axis(1, 1000, 90, 0, is_log=True).place(100), 30)


def test_a_band_is_closed_around_its_line_and_broken_by_gaps():
    points = ((0, 1.0), (1, 1.0), (2, None), (3, 1.0))
    band = ((0.5, 2.0), (0.0, 1.0), None, (1.0, 1.0))
    drawn = chart(Series("one", points, "joined", band)).series[0]
    assert len(drawn.dots) == 3
    assert len(drawn.paths) == 2
    first, last = drawn.bands
    left, third, bottom = LEFT, round(LEFT + (WIDTH - RIGHT - LEFT) / 3, 1), HEIGHT - BOTTOM
    middle, quarter = (TOP + bottom) / 2, (TOP + 3 * bottom) / 4  # the axis goes from 0 to 2
    assert first == f"M{left} {quarter:g}L{third:g} {bottom}L{third:g} {middle:g}L{left} {TOP}Z"
    assert last.endswith("Z")


def test_an_axis_holds_the_whole_band():
    drawn = chart(Series("one", ((0, 1.0), (1, 1.0)), band=((0.0, 3.0), (-1.0, 2.0))))
    words = [words for _, words in drawn.y_ticks]
    assert (words[0], words[-1]) == ("−1", "3")
