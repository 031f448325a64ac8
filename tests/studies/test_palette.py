"""The palette: colours against published values, grids of known period, and what filters predict."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch

from atlas import studies
from atlas.common.errors import ConfigError
from atlas.plan.config import override
from atlas.plan.jobs import rounds
from atlas.rendering.model import fold
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.renderer import Renderer
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.site.colour import CORNERS, hex_of, nearest_corner, oklab, oklch
from atlas.store.masters import master_path, open_master
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.palette import corners
from atlas.studies.palette.jobs import jobs as every_job
from atlas.studies.palette.measure import dominant_colours, inner, mean_colour, phase_colours
from atlas.studies.palette.page import draw_colours, draw_weights
from atlas.studies.palette.result import Palette, PaletteFeature, Peak, Swatch, palette_spec
from atlas.studies.palette.spectrum import luminance, mean_spectrum, strongest_peak
from atlas.studies.run import run_studies
from macros import render_macro
from studied import run_batches

CPU = torch.device("cpu")
WORDS = "studies/palette_words.html"
TEXT = """
extends = "article"
[features]
layers = ["Conv2d_1a_3x3", "Conv2d_2a_3x3"]
count = 2
recipe = "soft"
[recipes.soft]
gradient = "rms"
octaves = [{ size = 76, steps = 30, lr = [0.1, 0.08], sigma = [1.2, 0.6] }]
[recipes.sharp]
gradient = "rms"
octaves = [{ size = 75, steps = 30, lr = [0.1, 0.08] }]
[palette]
recipes = ["soft", "sharp"]
features = 10
[tuning]
size = 0
"""


def palette_summary(readings):
    return render_macro(WORDS, "summary", corners.judge_palette(readings), corners.FEWEST)


def exceptions_sentence(readings):
    return render_macro(WORDS, "exceptions", corners.judge_palette(readings))


def positions_summary(readings, peak):
    return render_macro(WORDS, "positions", corners.judge_positions(readings, peak))


def grid_summary(found):
    return render_macro(WORDS, "grid", found.peak, corners.PEAK)


def cause_words(reading):
    return render_macro(WORDS, "causes", reading.causes)


ZERO = ((0.0, 0.0, 0.0),) * 3
ALL_UP = ((1.0, 1.0, 1.0),) * 3
ALL_DOWN = ((-1.0, -1.0, -1.0),) * 3


def filter_of(red, green, blue, **changes) -> PaletteFeature:
    """A feature whose picture is what a blurring recipe makes of its filter."""
    colour = tuple(float(sum(map(sum, kernel)) > 0) for kernel in (red, green, blue))
    found = PaletteFeature(
        0, (red, green, blue), 0.5, True, colour, colour, ((colour, colour), (colour, colour)), (Swatch(colour, 1.0),)
    )
    return replace(found, **changes)


# colours


@pytest.mark.parametrize(
    ("colour", "expected"),
    [  # CSS Color 4's sample values, and Ottosson's own for white
        ((1.0, 1.0, 1.0), (1.0, 0.0, None)),
        ((1.0, 0.0, 0.0), (0.62796, 0.25768, 29.234)),
        ((0.0, 1.0, 0.0), (0.86644, 0.29483, 142.495)),
        ((0.0, 0.0, 1.0), (0.45201, 0.31321, 264.052)),
        ((0.0, 1.0, 1.0), (0.90540, 0.15455, 194.769)),
        ((1.0, 0.0, 1.0), (0.70167, 0.32249, 328.363)),
        ((1.0, 1.0, 0.0), (0.96798, 0.21101, 109.769)),
        ((0x66 / 255, 0x33 / 255, 0x99 / 255), (0.44027, 0.16030, 303.373)),
    ],
)
def test_published_oklch_values(colour, expected):
    found = oklch(colour)
    lightness, chroma, hue = expected
    assert found.lightness == pytest.approx(lightness, abs=2e-5)
    assert found.chroma == pytest.approx(chroma, abs=2e-5)
    if hue is None:
        assert not found.has_hue
    else:
        assert found.has_hue
        assert found.hue == pytest.approx(hue, abs=2e-3)


def test_published_oklab_of_red():
    assert oklab((1.0, 0.0, 0.0)) == pytest.approx((0.627955, 0.224863, 0.125846), abs=2e-6)


def test_corners_of_the_cube():
    assert [nearest_corner(tuple(map(float, corner))) for corner in CORNERS] == list(CORNERS)
    assert CORNERS[nearest_corner((0.9, 0.2, 0.6))] == "magenta"
    assert len(CORNERS) == 8


def test_colours_are_held_inside_their_range():
    assert hex_of((1.2, 0.5, -3.0)) == "#ff8000"


# pictures


def stripes(period: float, angle: str, size: int = 128, noise: float = 0.1) -> np.ndarray:
    rows, cols = np.indices((size, size))
    along = {"down": rows, "right": cols, "diagonal": rows + cols}[angle]
    wave = 0.5 + 0.3 * np.cos(2 * np.pi * along / period)
    grain = np.random.default_rng(3).uniform(-noise, noise, (size, size))
    return np.repeat((wave + grain).clip(0, 1)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("period", [2.0, 2.5, 4.0, 8.0])
def test_stripes_have_their_period(period):
    for angle, at in (("down", (1 / period, 0.0)), ("right", (0.0, 1 / period))):
        peak = strongest_peak(mean_spectrum([luminance(stripes(period, angle))]))
        assert (peak.rows, peak.cols) == pytest.approx(at, abs=1 / 128)
        assert peak.strength > 1000


def test_odd_pictures_lose_a_row_and_not_the_period_of_two():
    for angle, at in (("down", (0.5, 0.0)), ("right", (0.0, 0.5)), ("diagonal", (0.5, 0.5))):
        peak = strongest_peak(mean_spectrum([luminance(stripes(2.0, angle, 75))]))
        assert (peak.rows, peak.cols) == at


def test_noise_has_no_peak_that_stands_out():
    generator = np.random.default_rng(7)
    maps = [generator.uniform(size=(64, 64)) for _ in range(8)]
    assert strongest_peak(mean_spectrum(maps)).strength < corners.PEAK


def test_a_slow_change_is_no_peak():
    rows, _ = np.indices((64, 64))
    grain = np.random.default_rng(5).uniform(-0.01, 0.01, (64, 64))
    peak = strongest_peak(mean_spectrum([rows / 64 + grain]))
    assert peak is None or peak.strength < corners.PEAK
    flat = np.full((64, 64), 0.3)
    assert strongest_peak(mean_spectrum([flat])) is None


def test_luminance_of_grey_and_primaries():
    assert luminance(np.array([[[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]))[0] == pytest.approx(
        [1.0, 0.2126, 0.0722]
    )
    assert luminance(np.full((1, 1, 3), 0.5))[0, 0] == pytest.approx(0.21404, abs=1e-5)


def test_dominant_colours_and_their_shares():
    picture = np.zeros((20, 20, 3))
    picture[:, :12] = (1, 0, 0)
    picture[:, 12:18] = (0, 0, 1)
    assert [(s.colour, s.share) for s in dominant_colours(picture)] == [
        ((1.0, 0.0, 0.0), 0.6),
        ((0.0, 0.0, 1.0), 0.3),
        ((0.0, 0.0, 0.0), 0.1),
    ]


def test_means_of_positions_and_of_the_middle():
    picture = np.zeros((16, 16, 3))
    picture[0::2, 1::2] = (1, 0, 0.5)
    assert phase_colours(picture) == (((0, 0, 0), (1, 0, 0.5)), ((0, 0, 0), (0, 0, 0)))
    assert mean_colour(picture) == (0.25, 0.0, 0.125)
    framed = np.ones((16, 16, 3))
    framed[2:-2, 2:-2] = 0
    assert mean_colour(inner(framed)) == (0, 0, 0)


# what filters predict


def test_the_sign_of_each_sum_is_a_corner():
    mixed = ((3.0, -1.0, -1.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    reading = corners.read_feature(filter_of(ALL_UP, ALL_DOWN, mixed))
    assert CORNERS[reading.predicted] == "magenta"
    assert reading.agrees
    assert cause_words(reading) == ""
    assert corners.balance(mixed) == pytest.approx(1 / 5)


def test_slopes_are_the_gradient_of_the_convolution():
    """An oracle: the gradient of a strided convolution's summed map, at the four positions away from the border."""
    kernel = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    image = torch.zeros(1, 3, 15, 15, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.conv2d(image, kernel[None], stride=2).sum().backward()
    rows = tuple(tuple(tuple(row) for row in channel) for channel in kernel.tolist())
    found = filter_of(*rows)
    for row, col in corners.PHASES:
        assert corners.slopes_at(found, row, col) == pytest.approx(image.grad[0, :, 6 + row, 6 + col].tolist())


def cause_of(found: PaletteFeature) -> tuple[tuple[str, ...], str]:
    reading = corners.read_feature(found)
    assert not reading.agrees
    return tuple(cause.kind for cause in reading.causes), cause_words(reading)


def test_each_cause_is_measured():
    grey = (0.55, 0.55, 0.55)
    assert cause_of(filter_of(ALL_UP, ALL_DOWN, ALL_UP, mean=grey, open=0.0)) == (
        ("closed",),
        "its ReLU is closed everywhere at the start",
    )
    causes, words = cause_of(filter_of(ALL_UP, ALL_DOWN, ALL_UP, mean=grey, open=0.005))
    assert (causes, words) == (("closed",), "its ReLU is closed in all but 0.5 % of the neurons at the start")
    even = ((1.0, -1.0, 1.0), (-1.0, 0.1, 0.0), (0.0, 0.0, 0.0))
    assert cause_of(filter_of(even, ALL_DOWN, ALL_DOWN, mean=(0.4, 0, 0))) == (
        ("balanced",),
        "red is nearly balanced (2.4 %)",
    )
    apart = ((5.0, -1.0, 0.0), (-1.0, -1.0, 0.0), (0.0, 0.0, 0.0))
    assert cause_of(filter_of(apart, ALL_DOWN, ALL_DOWN, mean=(0.25, 0, 0))) == (
        ("stride",),
        "3 of the 4 positions have the other sign for red",
    )
    assert cause_of(filter_of(ALL_DOWN, ALL_UP, ALL_UP, mean=(0.6, 1, 1), inner=(0.0, 1, 1)))[0] == ("border",)
    assert cause_of(filter_of(ALL_DOWN, ALL_UP, ALL_UP, mean=(0.6, 1, 1), inner=(0.6, 1, 1))) == (
        ("unknown",),
        "no cause found for red",
    )


def test_summaries_take_either_side():
    good = filter_of(ALL_UP, ALL_UP, ALL_DOWN)
    bad = replace(good, mean=(0.0, 1.0, 0.0), inner=(0.0, 1.0, 0.0))
    holds, partly, fails = (
        [corners.read_feature(one) for one in (*[good] * met, *[bad] * (8 - met))] for met in (6, 4, 1)
    )
    assert palette_summary(holds) == (
        "The mean colour is nearest to the predicted corner in 6 of 8 renderings, the largest dominant colour in 8. "
        "For this recipe the explanation holds: three signs of each kernel predict its colour."
    )
    assert "holds in part" in palette_summary(partly)
    assert "no more than chance, which is one in 8: the explanation does not hold" in palette_summary(fails)
    assert exceptions_sentence(fails) == "What is measured of the 7 exceptions: none of these: 7."
    assert exceptions_sentence(holds[:3]) == ""


GREY = (0.55, 0.55, 0.55)  # as which all begin; the nearest corner is white


def still(red, green, blue) -> PaletteFeature:
    """A feature whose ReLU is closed, so that its picture stays grey."""
    flat = {"phases": ((GREY, GREY), (GREY, GREY)), "dominant": (Swatch(GREY, 1.0),)}
    return filter_of(red, green, blue, open=0.0, had_gradient=False, mean=GREY, inner=GREY, **flat)


def test_a_picture_that_nothing_moved_is_no_evidence():
    """On ImageNet weights 14 of 32 never moved: 12 counted against the explanation, and 2, predicted white, for it."""
    moved = [filter_of(ALL_UP, ALL_UP, ALL_DOWN)] * 18
    grey = [*[still(ALL_UP, ALL_DOWN, ALL_UP)] * 12, *[still(ALL_UP, ALL_UP, ALL_UP)] * 2]
    readings = [corners.read_feature(one) for one in (*moved, *grey)]
    words = palette_summary(readings)
    assert words.startswith("The mean colour is nearest to the predicted corner in 18 of 18 renderings, ")
    assert "The 14 others had no gradient and are left out" in words
    assert "the explanation holds" in words
    assert exceptions_sentence(readings) == ""
    assert {cause_words(reading) for reading in readings[18:]} == {"its ReLU is closed everywhere at the start"}
    striped = replace(moved[0], phases=(((1, 0, 0), (0, 0, 0)), ((0, 0, 0), (0, 0, 0))))
    found = Palette("quick", 160, (striped, *grey), None)
    assert corners.contrast(found) == pytest.approx(1 / 3)
    assert corners.contrast(replace(found, features=tuple(grey))) == 0


def test_few_pictures_that_moved_judge_nothing():
    moved = [corners.read_feature(replace(filter_of(ALL_UP, ALL_UP, ALL_DOWN), mean=(0.0, 0.0, 0.0)))] * 4
    words = palette_summary([*moved, corners.read_feature(still(ALL_UP, ALL_UP, ALL_UP))])
    assert words == (
        "For this recipe the explanation cannot be judged: 4 renderings had a gradient, and at least 5 are needed. "
        "The 1 other had no gradient and is left out: such pictures are no evidence."
    )


def test_positions_of_grey_pictures_are_not_counted():
    """In grey pictures all four positions lie on one side, so half of what is asked of them is met by chance."""
    grey = corners.read_feature(still(SPLIT, ALL_UP, ALL_DOWN))
    assert grey.tile_asked > grey.tile_met > 0
    assert "4 of 4 values (100 %)" in positions_summary([split_feature(1, 0, 0, 0), grey, grey], FINE)


# red goes up at pixels of even row and column, and down at the others; green and blue go one way everywhere
SPLIT = ((1.0, -1.0, 1.0), (-1.0, -1.0, -1.0), (1.0, -1.0, 1.0))
FINE = Peak(0.0, 0.5, 1000.0)


def split_feature(*reds):
    phases = (((reds[0], 1, 0), (reds[1], 1, 0)), ((reds[2], 1, 0), (reds[3], 1, 0)))
    return corners.read_feature(replace(filter_of(SPLIT, ALL_UP, ALL_DOWN), phases=phases))


def test_only_colours_that_should_differ_tell_of_a_grid():
    plain = corners.read_feature(filter_of(ALL_UP, ALL_UP, ALL_DOWN))
    assert (plain.tile_asked, plain.tile_met) == (0, 0)
    assert "predicts no grid here" in positions_summary([plain] * 4, FINE)
    split = split_feature(1, 0, 0, 0)
    assert (split.tile_asked, split.tile_met) == (4, 4)
    assert "4 of 4 values (100 %)" in positions_summary([split, plain], FINE)


@pytest.mark.parametrize(
    ("reds", "peak", "words"),
    [
        ((1, 0, 0, 0), FINE, "So what looks like a grid"),
        ((1, 0, 0, 0), Peak(0.5, 0.5, 1000.0), "So what looks like a grid"),
        ((1, 0, 0, 0), Peak(0.0, 0.25, 1000.0), "But no grid of 2 pixels stands out"),
        ((1, 0, 0, 0), Peak(0.0, 0.5, 8.0), "But no grid of 2 pixels stands out"),
        ((1, 0, 0, 0), None, "But no grid of 2 pixels stands out"),
        ((0, 0, 1, 1), FINE, "does not explain"),
    ],
)
def test_a_grid_is_explained_only_where_one_stands_out(reds, peak, words):
    assert words in positions_summary([split_feature(*reds)], peak)


def test_grids_in_words():
    found = Palette("raw", 128, (filter_of(ALL_UP, ALL_UP, ALL_UP),), Peak(0.0, 0.5, 12345.0))
    assert "0.5 cycles per pixel (0 downwards and 0.5 to the right), a period of 2 pixels" in grid_summary(found)
    assert "12,345 times" in grid_summary(found)
    assert grid_summary(replace(found, peak=Peak(0.1, 0.0, 8.0))).startswith("No grid stands out")
    assert "no peak" in grid_summary(replace(found, peak=None))
    assert corners.contrast(found) == 0
    striped = replace(found.features[0], phases=(((1, 0, 0), (0, 0, 0)), ((0, 0, 0), (0, 0, 0))))
    assert corners.contrast(replace(found, features=(striped,))) == pytest.approx(1 / 3)


def test_drawings():
    weights = draw_weights((((2.0, 0.0, -2.0), (0.0,) * 3, (0.0,) * 3), ZERO, ZERO))
    assert [square[4] for square in weights[:3]] == ["#ff8080", "#808080", "#008080"]
    assert weights[5][:2] == (2, 1)
    assert {square[4] for square in draw_weights((ZERO, ZERO, ZERO))} == {"#808080"}
    found = filter_of(ALL_UP, ZERO, ZERO, dominant=(Swatch((1, 0, 0), 0.75), Swatch((0, 0, 1), 0.25)))
    assert [(x, width, fill) for x, _, width, _, fill in draw_colours(found)] == [
        (0, 12, "#ff0000"),
        (0, 9, "#ff0000"),
        (9, 3, "#0000ff"),
    ]


# the table, the study and the page


def test_the_table():
    config = load_config("article")
    assert len(every_job(config)) == 64
    assert len(config.features_of("Conv2d_1a_3x3")) == 32
    assert every_job(override(config, layers="Mixed_5b")) == ()
    alone = override(config, features_only=True)
    assert every_job(alone) == ()
    assert len(alone.features_of("Conv2d_1a_3x3")) == 16
    demo = load_config("demo")
    assert {job.recipe.name for job in every_job(demo)} == {"quick", "raw-demo"}
    assert sum(job.flops for job in every_job(demo)) < 0.2e12


@pytest.mark.parametrize(
    ("table", "message"),
    [('recipes = ["rae"]', 'palette.recipes.*no such recipe.*"raw"'), ("features = 33", "1 to 32")],
)
def test_a_wrong_table_is_refused(tmp_path, table, message):
    (tmp_path / "atlas.toml").write_text(f"[palette]\n{table}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(str(tmp_path / "atlas.toml"))


@pytest.fixture(scope="module")
def measured(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("palette")
    (folder / "atlas.toml").write_text(TEXT)
    config = replace(load_config(str(folder / "atlas.toml")), store=folder / "store", site=folder / "site")
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    for batches in rounds(every_job(config), "cpu", 8):
        run_batches(batches, renderer, config.store, Report(), lambda outcome: None)
    run_studies(config, renderer, lambda name: None)
    return config, renderer


def test_what_is_measured_is_of_the_renderings_and_the_weights(measured):
    config, renderer = measured
    results = Results(config, renderer.weights.id)
    for recipe, size in (("soft", 76), ("sharp", 75)):
        found = results.read(palette_spec(recipe))
        assert [feature.feature for feature in found.features] == list(range(10))
        assert found.size == size
    kernels = fold(renderer.weights.tensors, "Conv2d_1a_3x3")[0]
    assert np.allclose([feature.kernel for feature in found.features], kernels[:10], rtol=1e-5)
    image, _ = open_master(master_path(config.store, renderer.weights.id, palette_spec("sharp").jobs(config)[3]))
    assert found.features[3].mean == pytest.approx(np.asarray(image).mean((0, 1)) / 255, rel=1e-5)
    assert all(0 < feature.open < 1 for feature in found.features)  # seeded weights are calibrated so


def test_the_explanation_holds_of_the_seeded_network(measured):
    """Without blur each of the four positions goes its own way: by construction, wherever a ReLU is open."""
    config, renderer = measured
    results = Results(config, renderer.weights.id)
    sharp = [corners.read_feature(one) for one in results.read(palette_spec("sharp")).features]
    assert sum(reading.tile_met for reading in sharp) > 0.9 * sum(reading.tile_asked for reading in sharp) > 0
    soft = [corners.read_feature(one) for one in results.read(palette_spec("soft")).features]
    assert sum(reading.agrees for reading in soft) >= 0.7 * len(soft)
    peak = results.read(palette_spec("sharp")).peak
    assert max(peak.rows, peak.cols) == 0.5
    assert peak.strength > corners.PEAK


def test_the_page_is_reached_from_home_and_is_whole(measured):
    config, renderer = measured
    build_site(config, renderer.weights.id, studies.pages())
    assert check_site(config.site).faults == ()
    assert 'href="palette/index.html"' in (config.site / "index.html").read_text(encoding="utf-8")
    page = (config.site / "palette/index.html").read_text(encoding="utf-8")
    assert page.count('aria-label="Weights of feature') == 20
    assert page.count("Measured at the four positions.") == 10
    assert 'href="../Conv2d_1a_3x3/9/index.html"' in page
    assert "style=" not in page
    hues = [oklch(one.mean) for one in Results(config, renderer.weights.id).read(palette_spec("soft")).features]
    assert page.count("oklch(") == 20
    assert page.count(" none)") >= sum(not hue.has_hue for hue in hues)


def test_entries_are_ordered_by_hue():
    from atlas.studies.palette.page import _by_hue

    colours = [colorsys.hsv_to_rgb(h / 7, 1, 1) for h in range(7)] + [(0.5, 0.5, 0.5), (0.1, 0.1, 0.1)]
    found = [filter_of(ALL_UP, ZERO, ZERO, mean=colour) for colour in colours]
    ordered = [one.mean for one in sorted(found, key=_by_hue)]
    assert ordered[-2:] == [(0.1, 0.1, 0.1), (0.5, 0.5, 0.5)]
    hues = [oklch(colour).hue for colour in ordered[:-2]]
    assert hues == sorted(hues)
