"""Tuning: stimuli against their own properties, networks of known tuning, the null, words, and what pages show."""

import io
import json
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atlas.common.errors import ConfigError
from atlas.plan.config import override
from atlas.rendering.model import Network
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights
from atlas.site.colour import oklch
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.shared.context import MeasureContext
from atlas.studies.tuning import curves, measure
from atlas.studies.tuning.curves import Responses, band, half_width, hues, limits_of, orientations, peak_period, tunings
from atlas.studies.tuning.figures import polar
from atlas.studies.tuning.result import GROUPS, PERIODS, TUNING, Curve, Limits, Stimulus, Tuning
from atlas.studies.tuning.settings import Settings
from atlas.studies.tuning.stimuli import CHROMAS, COLOUR_GROUND, all_stimuli, draw
from atlas.studies.tuning.words import describe, shape_words, stimulus_words
from compare_words import spectrum_orientation

CPU = torch.device("cpu")
FIRST = "Conv2d_1a_3x3"
SIZE = 160
STIMULI = dict(enumerate(all_stimuli()))
OPEN = Limits(0.0, 0.0, 0.0, 0.0)  # everything goes beyond it
ENTRY = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1"]


@pytest.fixture(scope="module")
def pictures():
    return np.stack([measure.to_bytes(one, SIZE) for one in all_stimuli()])


def context_of(weights, tmp_path, layers=(FIRST,), size=SIZE):
    config = override(load_config(), layers=",".join(layers), features="2", store=tmp_path / "store")
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    return MeasureContext(Results(config.with_study(Settings(size, 1)), weights.id), renderer)


def first_layer(weights, kernels):
    """Weights whose first convolution has these kernels, [32, 3, 3, 3], and a batch norm that changes nothing."""
    tensors = dict(weights.tensors)
    tensors[f"{FIRST}.conv.weight"] = torch.tensor(kernels, dtype=torch.float32)
    tensors[f"{FIRST}.bn.weight"] = torch.full((32,), (1 + 0.001) ** 0.5)
    for part, value in (("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        tensors[f"{FIRST}.bn.{part}"] = torch.full((32,), value)
    return Weights(replace(weights.id, sha256="0123" * 16), tensors)


def respond(weights, tmp_path, pictures, names=(FIRST,)):
    context = context_of(weights, tmp_path, names)
    return measure.respond(context, context.renderer.network("fp32", "trained"), pictures, names)


# stimuli


def test_every_stimulus_is_drawn_once_and_inside_its_range():
    stimuli = all_stimuli()
    assert len(set(stimuli)) == len(stimuli) > 1000
    assert {one.family for one in stimuli} == {family for group in GROUPS.values() for family in group}
    for one in stimuli[::7]:
        picture = draw(one, 96)
        assert picture.shape == (96, 96, 3)
        assert 0 <= picture.min() <= picture.max() <= 1
        assert (picture == draw(one, 96)).all()


@pytest.mark.parametrize("family", ["grating", "colour grating"])
def test_a_grating_has_its_period_and_angle(family):
    for one in [one for one in all_stimuli() if one.family == family][::11]:
        grey = draw(one, 180) @ [0.2, 0.3, 0.5]
        grey = (grey - grey.mean()) * np.outer(np.hanning(180), np.hanning(180))
        power = np.abs(np.fft.fft2(grey, s=(720, 720)))
        row, col = np.unravel_index(power.argmax(), power.shape)
        up, right = -np.fft.fftfreq(720)[row], np.fft.fftfreq(720)[col]
        assert 1 / np.hypot(up, right) == pytest.approx(one.size, rel=0.08)
        angle = (np.degrees(np.arctan2(up, right)) + 90) % 180
        assert abs((angle - one.angle + 90) % 180 - 90) < 3


def test_edges_are_bright_on_their_side_and_spots_are_as_large_as_they_say():
    up, right = np.mgrid[79.5:-80:-1, -79.5:80]
    for one in all_stimuli():
        if one.family == "edge":
            side = np.cos(np.radians(one.angle)) * right + np.sin(np.radians(one.angle)) * up
            tones = draw(one, 160)[..., 0]
            assert tones[side > 6].min() > 0.9
            assert tones[side < -6].max() < 0.1
        if one.family == "spot":
            area = np.abs(draw(one, 160)[..., 0] - 0.5).sum() / 0.45
            assert area == pytest.approx(np.pi * one.size**2, rel=0.05)
        if one.family in ("arc", "corner"):  # the weight of an arc lies away from where it is open, a corner's towards
            weight = np.abs(draw(one, 160)[..., 0] - 0.5)
            towards = (weight * (np.cos(np.radians(one.angle)) * right + np.sin(np.radians(one.angle)) * up)).sum()
            assert (towards > 0) == (one.family == "corner")


def test_colours_have_their_hue_and_chroma_by_the_conversion_that_pages_use():
    for one in all_stimuli():
        if one.family == "hue":
            found = oklch(tuple(draw(one, 75)[0, 0]))
            assert found.chroma == pytest.approx(one.chroma, abs=0.004)
            assert abs((found.hue - one.hue + 180) % 360 - 180) < 3
            assert found.lightness == pytest.approx(oklch((COLOUR_GROUND,) * 3).lightness, abs=0.01)


# networks of known tuning


@pytest.mark.parametrize(("seed", "derivative"), [(1, 1), (2, 2)])
def test_planted_orientations_are_found(weights, tmp_path, pictures, seed, derivative):
    """Edge and line detectors: derivatives across a direction; against each kernel's own spectrum."""
    angles = np.random.default_rng(seed).uniform(0, 180, 32)
    up, right = np.mgrid[1:-2:-1, -1:2]
    across = np.sin(np.radians(angles))[:, None, None] * -up + np.cos(np.radians(angles))[:, None, None] * right
    smooth = np.exp(-(up**2 + right**2) / 1.5)
    planes = (across if derivative == 1 else 0.6 - across**2) * smooth
    planes -= planes.mean((1, 2), keepdims=True)
    kernels = np.repeat(planes[:, None], 3, axis=1)
    found = respond(first_layer(weights, kernels), tmp_path, pictures)[FIRST]
    expected = np.array([spectrum_orientation(kernel)[0] for kernel in kernels])
    off = np.abs((orientations(found).preferred - expected + 90) % 180 - 90)
    assert np.median(off) <= 4
    assert (off <= 10).mean() >= 0.9


def test_an_opponent_kernel_has_its_hue(weights, tmp_path, pictures):
    """Blue against yellow and so on: the hue whose drawn colour gives the largest sum of weights."""
    opponents = np.array([[-1, -1, 2], [2, -1, -1], [-1, 2, -1], [1, 0, -1]])
    kernels = np.zeros((32, 3, 3, 3))
    kernels[:4] = opponents[:, :, None, None] / 9
    found = respond(first_layer(weights, kernels), tmp_path, pictures)[FIRST]
    drawn = [one for one in all_stimuli() if one.family == "hue" and one.chroma == CHROMAS[1]]
    colours = np.array([draw(one, 75)[0, 0] for one in drawn])  # [hues, 3]
    angles = np.radians([one.hue for one in drawn])
    for at, opponent in enumerate(opponents):
        gains = np.maximum(0, colours @ opponent - COLOUR_GROUND * opponent.sum())
        expected = np.degrees(np.angle((gains * np.exp(1j * angles)).sum()))
        assert abs((hues(found).preferred[at] - expected + 180) % 360 - 180) < 10
    assert describe(tunings(found, OPEN, [0])[0], STIMULI).endswith("blue")


def test_an_edge_of_colours_is_named_by_both(weights, tmp_path, pictures):
    """Red on one side and green on the other, of one brightness: no grey line excites it."""
    kernels = np.zeros((32, 3, 3, 3))
    kernels[:, 0, :, 0] = kernels[:, 1, :, 2] = 1
    kernels[:, 1, :, 0] = kernels[:, 0, :, 2] = -1
    kernels[1, :, :, 0], kernels[1, :, :, 2] = 1, -1  # from bright to dark
    found = respond(first_layer(weights, kernels), tmp_path, pictures)[FIRST]
    red, grey = tunings(found, replace(OPEN, orientation=np.inf, hue=np.inf, shape=np.inf, colour=0.5), [0, 1]).values()
    assert describe(red, STIMULI) == "red against cyan"
    assert describe(grey, STIMULI) == ""


def test_few_features_of_unseen_shuffles_have_words(weights, tmp_path):
    """The limits come from some shuffles of the weights; of others at most one feature in a hundred has words."""
    small = np.stack([measure.to_bytes(one, 80) for one in all_stimuli()])
    context = context_of(weights, tmp_path, ENTRY)
    seen = measure.null_strengths(context, small, 4)
    beyond = []
    for seed in range(100, 104):
        network = Network(measure.shuffled(weights, seed), CPU, torch.float32, weights.id.trained_input)
        for name, found in measure.respond(context, network, small, ENTRY).items():
            ends = np.array(astuple(limits_of(seen[name])))[:, None]
            beyond.append((curves.strengths(found) > ends).any(0))
    assert np.concatenate(beyond).mean() <= 0.01
    assert np.concatenate(beyond).any()  # or the limits would say nothing


def test_a_shuffle_keeps_the_numbers_of_each_output(weights):
    name = "Mixed_5b.branch3x3dbl_2.conv.weight"
    before, after = (one.tensors[name].flatten(1) for one in (weights, measure.shuffled(weights, 3)))
    assert (before != after).any()
    assert torch.equal(before.sort(1).values, after.sort(1).values)


def test_silent_features_have_no_words_and_break_nothing(pictures):
    none = Responses(np.zeros((len(all_stimuli()), 3)), np.zeros((len(all_stimuli()), 3)))
    limits = limits_of(curves.strengths(none))
    found = tunings(none, limits, range(3))
    assert [describe(one, STIMULI) for one in found.values()] == ["", "", ""]
    assert found[0].strongest == ()
    assert curves.strongest_groups(none) == [None] * 3


# curves


def test_a_curve_is_relative_to_the_stimuli_of_its_kind():
    """A feature that a face excites ten times as much as any line has the same curve over lines."""
    lines = np.array([one.family == "grating" and one.angle == 45 for one in all_stimuli()], dtype=float)
    faces = np.array([10.0 * (one.family == "face") for one in all_stimuli()])
    maps = np.stack([lines, lines + faces], axis=1)
    found = Responses(maps, maps)
    assert (orientations(found).values[:, 0] == orientations(found).values[:, 1]).all()
    assert orientations(found).values.max() > 0
    assert (hues(found).values == 0).all()  # nothing of the kind excites it
    assert found.relative[:, 1].max() == 100
    assert found.relative[lines > 0, 1].max() == 10


def test_stimuli_that_disagree_on_an_orientation_weigh_less():
    peak, opposite, none = np.eye(16)[0], np.eye(16)[8], np.zeros(16)
    three = np.array([[peak, peak, peak], [peak, peak, opposite], [peak, peak, none]])  # [features, sets, angles]
    assert curves.agreement(three.transpose(1, 2, 0)) == pytest.approx([1, 2 / 3, 2 / 3])
    # one curve from gratings and all bars, or from gratings and bright bars that count twice: 7 or 4 of 9 sets agree
    of_bars = [(1.0, 1.0), (2.0, 0.0)]
    maps = np.array(
        [
            [2.0 if one.family == "grating" else bright if one.bright else dark for bright, dark in of_bars]
            if one.family in ("grating", "bar") and one.angle == 45
            else [0.0, 0.0]
            for one in all_stimuli()
        ]
    )
    maps = np.hstack([maps, np.ones((len(maps), 9))])  # beside features that prefer nothing
    found = Responses(maps, maps)
    assert orientations(found).values[:, 0] == pytest.approx(orientations(found).values[:, 1])
    first, second = curves.strengths(found)[0, :2]
    assert second / first == pytest.approx((4 / 7) ** 2)


def test_what_all_features_have_in_common_does_not_count():
    """Features that all prefer one orientation by as much say nothing; one that prefers another does."""
    shared = np.array([one.family in ("grating", "bar") and one.angle == 45 for one in all_stimuli()], dtype=float)
    other = np.array([one.family in ("grating", "bar") and one.angle == 135 for one in all_stimuli()], dtype=float)
    maps = np.stack([*[shared] * 20, other], axis=1)
    strong = curves.strengths(Responses(maps, maps))[0]
    assert strong[20] > 10 * strong[0]


@pytest.mark.parametrize(
    ("family", "angle"), [("grating", 45.0), ("colour grating", 45.0), ("bar", 45.0), ("edge", 135.0), ("edge", 315.0)]
)
def test_each_family_of_lines_has_its_orientation(family, angle):
    """Lines of an edge are across its bright side: one that is bright at the upper left runs to the upper right."""
    maps = np.array([[one.family == family and one.angle == angle] for one in all_stimuli()], dtype=float)
    assert orientations(Responses(maps, maps)).preferred[0] == pytest.approx(45)


def test_half_width_is_that_of_a_known_curve():
    angles = 180 * np.arange(16) / 16
    off = np.abs((angles - 78.75 + 90) % 180 - 90)
    assert half_width(np.maximum(0, 1 - off / 60), 11.25) == pytest.approx(
        30
    )  # a triangle: half height at half its foot
    assert half_width(np.full(16, 3.0), 11.25) is None
    assert half_width(np.zeros(16), 11.25) is None


def test_the_peak_of_a_parabola_is_found_between_periods():
    logs = np.log(PERIODS)
    wanted = np.log(11.0)
    assert peak_period(50 - (logs - wanted) ** 2) == pytest.approx(11.0, rel=0.01)
    assert peak_period(np.array([9.0, 5, 4, 3, 2, 1])) == PERIODS[0]
    assert peak_period(np.zeros(6)) is None


def test_a_band_ends_where_the_curve_is_at_half():
    low, high = band(np.array([0.0, 10, 20, 10, 0, 0]))
    assert (low, high) == (pytest.approx(PERIODS[1]), pytest.approx(PERIODS[3]))
    assert band(np.array([0.0, 2, 4, 8, 9, 10])) == (pytest.approx(14 * (9 / 14) ** 0.75), None)  # low-pass
    assert band(np.zeros(6)) == (None, None)


def test_an_orientation_is_the_same_both_ways_round():
    figure = polar([5, 0, 0, 0], 0, 180, "x")
    assert figure.preferred == (-88, 0, 88, 0)
    assert [dot[:2] for dot in figure.dots][::4] == [(88, 0), (-88, 0)]
    assert polar([0, 0, 0], 0, 360, "x").path == "M0 0L0 0L0 0Z"


# words


def tuned(**facts):
    none = Curve((0,) * 16, 0.0, 0.0, 0.0, beats_null=False)
    usual = Tuning(none, None, (0,) * 6, None, (None, None), none, None, 0.0, 0, None, None, False, None, (0,))
    return replace(usual, **facts)


def beyond(preferred):
    return Curve((0,) * 16, preferred, 1.0, 1.0, beats_null=True)


LINES = {
    "fine": Stimulus("grating", angle=0.0, size=6.0),
    "grating": Stimulus("grating", angle=0.0, size=9.0),
    "coarse": Stimulus("colour grating", angle=0.0, size=18.0, hue=90.0, other_hue=270.0),
    "bar": Stimulus("bar", angle=0.0, size=5.0, bright=False),
    "edge": Stimulus("edge", angle=0.0, size=1.0),
    "colour edge": Stimulus("colour edge", angle=0.0, hue=90.0, other_hue=270.0),
}


@pytest.mark.parametrize(
    ("family", "facts", "expected"),
    [
        ("fine", {"orientation": beyond(91.0)}, "fine vertical stripes"),
        ("coarse", {"orientation": beyond(172.0)}, "coarse horizontal stripes"),
        ("grating", {"orientation": beyond(44.0)}, "diagonal stripes (rising, 44°)"),
        ("grating", {"orientation": beyond(67.5)}, "diagonal stripes (rising, 68°)"),
        ("grating", {"orientation": beyond(90.0), "strongest": (7, 0)}, "vertical lines, among other things"),
        ("bar", {"orientation": beyond(90.0), "polarity": -0.8}, "dark vertical lines"),
        ("edge", {"orientation": beyond(3.0), "side": 80.0}, "horizontal edges, bright above"),
        ("edge", {"orientation": beyond(90.0), "side": 270.0}, "vertical edges"),  # along the edge: no side of it
        ("edge", {"orientation": beyond(90.0), "side": 200.0}, "vertical edges, bright on the left"),
        ("colour edge", {"orientation": beyond(90.0), "is_coloured": True}, "vertical edges, yellow against blue"),
        ("colour edge", {"orientation": beyond(112.0), "side": 200.0}, "diagonal edges (falling, 112°)"),  # as bright
        ("coarse", {"orientation": beyond(90.0), "is_coloured": True}, "coarse vertical stripes, yellow against blue"),
        ("coarse", {"is_coloured": True}, "yellow against blue"),
        ("coarse", {"is_coloured": True, "hue": beyond(100.0)}, "yellow against blue; yellow"),
        (
            "coarse",
            {"orientation": beyond(90.0), "is_coloured": True, "strongest": (7, 0)},
            "vertical lines, among other things; yellow against blue",
        ),
        ("edge", {"orientation": beyond(90.0), "strongest": (7, 0), "shape": 0}, "checks of 1 px; vertical lines"),
        ("grating", {"hue": beyond(100.0)}, "yellow"),
        ("grating", {}, ""),
    ],
)
def test_words_say_what_goes_beyond_the_null(family, facts, expected):
    stimuli = {0: LINES[family], 7: Stimulus("face", size=16.0, bright=True)}
    assert describe(tuned(**facts), stimuli) == expected


def test_shapes_have_the_words_of_their_stimulus():
    wanted = {
        Stimulus("spot", size=4.0, bright=False): "dark spots of 8 px",
        Stimulus("arc", size=12.0, angle=180.0, bright=True): "bright curves of radius 12 px, open on the left",
        Stimulus("colour spot", size=6.0, hue=30.0, other_hue=210.0): "red spots of 12 px on cyan",
        Stimulus("checks", size=9.0, angle=0.0): "checks of 9 px",
        Stimulus("corner", angle=180.0, opening=45.0, bright=True): "bright corners of 45°, pointing right",
        Stimulus("dots", size=7.0, bright=False): "patterns of dark spots of 14 px",
        Stimulus("plaid", size=36.0, angle=0.0): "soft spots in a grid, 36 px apart",
    }
    for one, expected in wanted.items():
        assert shape_words(one) == expected
        assert describe(tuned(shape=0), {0: one}) == expected


def test_a_shape_that_excites_bright_and_dark_is_called_neither():
    bright, dark = (Stimulus("corner", angle=0.0, opening=90.0, bright=bright) for bright in (True, False))
    stimuli = {0: dark, 1: bright, 2: replace(bright, family="spot")}
    assert describe(tuned(shape=0, strongest=(0, 1)), stimuli) == "corners of 90°, pointing left"
    assert describe(tuned(shape=0, strongest=(0, 2)), stimuli) == "dark corners of 90°, pointing left"


@given(st.sampled_from(all_stimuli()))
def test_every_stimulus_has_a_caption(one):
    said = stimulus_words(one)
    assert 3 < len(said) < 60
    assert "None" not in said


# the result, and settings


def test_a_layer_is_measured_whole_and_its_responses_are_kept(weights, tmp_path):
    name = "Conv2d_2a_3x3"
    context = context_of(weights, tmp_path, (name,), size=75)
    found = measure.measure_tuning(context)
    (layer,) = found.layers
    assert sorted(layer.features) == [0, 1]
    assert sum(layer.groups.values()) <= 32
    assert layer.null == 32 * 1 * measure.EARLY_SHUFFLES
    assert set(found.pictures) == {at for one in layer.features.values() for at in one.strongest}
    with np.load(io.BytesIO(context.results.path(TUNING).with_name(f"tuning-{name}.npz").read_bytes())) as table:
        assert table["strongest"].shape == table["mean"].shape == (len(all_stimuli()), 32)
        assert table["strongest"].dtype == np.float16
        assert (table["strongest"] >= table["mean"]).all()
        assert json.loads(str(table["stimuli"][0])) == {**vars(all_stimuli()[0])}
    context.results.write(TUNING, found)
    assert context.results.read(TUNING).layers[0].features.keys() == layer.features.keys()


@pytest.mark.parametrize("size", [74, 513, -1, True, "96"])
def test_a_size_that_the_network_does_not_take_is_refused(tmp_path, size):
    file = tmp_path / "atlas.toml"
    file.write_text(f'extends = "demo"\n[tuning]\nsize = {json.dumps(size)}\n')
    with pytest.raises(ConfigError, match="75 to 512, or 0 for no tuning"):
        load_config(str(file))


def test_no_size_is_no_tuning():
    config = load_config()
    assert list(measure.measurements(config))
    assert list(measure.measurements(config.only_features())) == []
