"""Nearest features: what two pictures must share to be near, who is nearest, and wiring against autograd."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.color import rgb2lab

from atlas.inception.architecture import Conv
from atlas.inception.layers import get_layer
from atlas.plan.config import override
from atlas.plan.jobs import feature_jobs
from atlas.rendering.model import fold
from atlas.store.masters import master_path, write_master
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.connections.measure import kernel_cosines, measure_wiring
from atlas.studies.connections.result import wired_layers, wiring_spec
from atlas.studies.nearest.chain import COLOURS, chain
from atlas.studies.nearest.measure import describe, measure_described, measure_nearest, nearest
from atlas.studies.nearest.result import NEAREST, described_spec
from atlas.studies.shared.context import MeasureContext
from atlas.studies.shared.image_metrics import DIRECTIONS, SCALES, colour_shares, direction_shares
from stores import WEIGHTS, fill, record


def stripes(angle: float, period: float, *, shift: float = 0.0, ink=(255, 0, 0), size: int = 128) -> Image.Image:
    """Stripes whose brightness changes along an angle, in degrees from the horizontal."""
    y, x = np.mgrid[:size, :size]
    along = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    wave = (0.5 + 0.5 * np.sin(2 * np.pi * (along / period + shift)))[..., None]
    return Image.fromarray((wave * ink + (1 - wave) * 255).round().astype(np.uint8))


def likeness(one: Image.Image, other: Image.Image) -> float:
    ((_, found),) = nearest([describe(one), describe(other)], 1)[0]
    return found


def test_a_direction_falls_into_its_bin_at_every_scale() -> None:
    for bin_at in range(DIRECTIONS):
        picture = np.asarray(stripes(180 * bin_at / DIRECTIONS, 32), dtype=float) / 255
        shares = direction_shares(rgb2lab(picture)[..., 0]).reshape(SCALES, DIRECTIONS)
        assert (shares.argmax(1) == bin_at).all()
        assert shares.sum() == pytest.approx(1)


def test_opposite_slopes_are_one_direction_and_a_flat_picture_has_none() -> None:
    ramp = np.tile(np.linspace(0, 100, 64), (64, 1))
    assert direction_shares(ramp) == pytest.approx(direction_shares(ramp[:, ::-1]))
    flat = direction_shares(np.full((64, 64), 50.0))
    assert flat == pytest.approx(np.full(SCALES * DIRECTIONS, 1 / (SCALES * DIRECTIONS)))


def test_colours_count_and_places_do_not() -> None:
    picture = np.zeros((64, 64, 3))
    picture[:20] = (1, 0.2, 0.1)
    moved = np.roll(picture, 30, axis=0).transpose(1, 0, 2)
    assert colour_shares(rgb2lab(picture)) == pytest.approx(colour_shares(rgb2lab(moved)))
    assert colour_shares(rgb2lab(picture)).sum() == pytest.approx(1)


def test_likeness_is_one_for_equal_pictures_and_falls_with_colour_direction_and_scale() -> None:
    own = stripes(0, 16)
    assert likeness(own, own) == 1
    shifted = likeness(own, stripes(0, 16, shift=0.3))
    others = [
        likeness(own, stripes(0, 16, ink=(0, 160, 0))),
        likeness(own, stripes(90, 16)),
        likeness(own, stripes(0, 40)),
    ]
    assert shifted > 0.98 > max(others)
    assert likeness(own, stripes(90, 16, ink=(0, 160, 0))) < min(others)
    flat = Image.new("RGB", (128, 128), "white")
    assert likeness(flat, flat) == 1  # although it has no direction


def test_size_does_not_count() -> None:
    assert likeness(stripes(30, 16), stripes(30, 32, size=256)) > 0.97


def test_the_nearest_come_first_never_itself_and_of_equal_ones_the_earlier() -> None:
    pictures = [stripes(0, 16), stripes(90, 16), stripes(5, 16), stripes(0, 16), stripes(0, 16)]
    found = nearest([describe(picture) for picture in pictures], 3)
    assert [at for at, _ in found[0]] == [3, 4, 2]
    assert [at for at, _ in found[3]] == [0, 4, 2]
    assert all(at not in [other for other, _ in row] for at, row in enumerate(found))
    assert nearest([], 3) == []
    assert nearest([describe(pictures[0])], 3) == [[]]
    assert len(nearest([describe(picture) for picture in pictures], 99)[0]) == 4


def test_rows_are_held_against_all_others_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    described = [describe(stripes(13 * at, 10 + at)) for at in range(11)]
    whole = nearest(described, 4)
    monkeypatch.setattr("atlas.studies.nearest.measure.ROWS", 3)
    assert nearest(described, 4) == whole


def test_a_description_begins_with_its_colours() -> None:
    assert len(colour_shares(np.zeros((2, 2, 3)))) == COLOURS


def test_a_chain_finds_the_row_that_pictures_were_drawn_in() -> None:
    described = [describe(stripes(10 * at, 16)) for at in range(9)]
    shuffled = (4, 0, 7, 2, 8, 1, 5, 3, 6)
    assert chain({at: described[at] for at in shuffled}) == list(range(9))


def test_neighbours_in_a_chain_are_more_alike_than_in_the_order_of_numbers() -> None:
    draw = np.random.default_rng(7)
    described = {at: describe(stripes(draw.uniform(0, 180), draw.uniform(8, 60))) for at in range(40)}
    pairs = nearest(list(described.values()), 39)
    likeness = [dict(row) for row in pairs]

    def mean(order: list[int]) -> float:
        return float(np.mean([likeness[one][other] for one, other in pairwise(order)]))

    order = chain(described)
    assert sorted(order) == list(described)
    assert mean(order) > mean(list(described)) + 0.1
    assert chain(dict(described)) == order
    assert chain({}) == []
    assert chain({7: described[0]}) == [7]


@pytest.fixture
def config(tmp_path):
    """Six features of two layers; in each one has no gradient and one is pending."""
    made = override(
        load_config("demo"), layers="Mixed_5b,Mixed_6b", features="6", store=tmp_path / "a", site=tmp_path / "b"
    )
    made = made.only_features()
    fill(made, statuses=("ok", "no_gradient", "ok", None, "ok", "ok"))
    return made


def measured(config) -> Results:
    results = Results(config, WEIGHTS)
    context = MeasureContext(results, None)
    for layer in config.layers:
        results.write(described_spec(layer), measure_described(context, layer))
    results.write(NEAREST, measure_nearest(context))
    return Results(config, WEIGHTS)


def test_a_copy_of_a_picture_is_its_nearest_across_layers(config) -> None:
    jobs = {str(job.target): job for job in feature_jobs(config)}
    own, twin = jobs["Mixed_5b[0]"], jobs["Mixed_6b[5]"]
    pixels = stripes(20, 12, size=own.sizes[-1][0]).tobytes()
    for job in (own, twin):
        write_master(master_path(config.store, WEIGHTS, job), pixels, record(job, pixels))
    found = measured(config).read(NEAREST)
    assert found is not None
    (first, *others) = found.layers["Mixed_5b"][0]
    assert (first.layer, first.feature, first.likeness) == ("Mixed_6b", 5, 1.0)
    assert [one.likeness for one in others] == sorted((one.likeness for one in others), reverse=True)


def test_only_pictures_that_show_something_have_neighbours_and_are_some(config) -> None:
    found = measured(config).read(NEAREST)
    assert found is not None
    assert {layer: sorted(features) for layer, features in found.layers.items()} == {
        "Mixed_5b": [0, 2, 4, 5],
        "Mixed_6b": [0, 2, 4, 5],
    }
    named = {(near.layer, near.feature) for rows in found.layers.values() for row in rows.values() for near in row}
    assert not {feature for _, feature in named} & {1, 3}


def test_a_changed_picture_is_described_anew_and_its_layer_alone(config) -> None:
    measured(config)
    job = feature_jobs(config)[0]
    pixels = bytes(3 * job.sizes[-1][0] * job.sizes[-1][1])
    write_master(master_path(config.store, WEIGHTS, job), pixels, record(job, pixels))
    results = Results(config, WEIGHTS)
    assert results.read(described_spec("Mixed_5b")) is None
    assert results.read(described_spec("Mixed_6b")) is not None
    assert results.read(NEAREST) is None


@pytest.mark.parametrize(("name", "features"), [("Mixed_5b", [64, 70, 127]), ("Mixed_6b", [384, 400, 575])])
def test_cosines_are_those_of_the_kernels_that_autograd_finds(name, features, weights) -> None:
    layer = get_layer(name)
    branch = layer.branch_of(features[0])
    kernels = {op: fold(weights.tensors, layer.parameter(op))[0].cpu() for op in branch.ops if isinstance(op, Conv)}
    image = torch.zeros(1, layer.inputs, 33, 33, dtype=torch.float64, requires_grad=True)
    maps = image
    for op in branch.ops:
        assert isinstance(op, Conv)
        maps = F.conv2d(maps, kernels[op].double(), stride=op.stride, padding=op.padding)
    found = []
    for feature in features:
        (gradient,) = torch.autograd.grad(maps[0, feature - branch.first, 16, 16], image, retain_graph=True)
        found.append(gradient.flatten())
    vectors = F.normalize(torch.stack(found))
    assert torch.allclose(kernel_cosines(weights, layer, branch, features), vectors @ vectors.T, atol=1e-5)


def test_wiring_stays_in_a_branch_and_leaves_out_opposites_and_pools(weights) -> None:
    config = override(load_config(), layers="Mixed_6a", features="all")
    assert wired_layers(config) == ("Mixed_6a",)
    context = MeasureContext(Results(config, WEIGHTS), SimpleNamespace(weights=weights))
    found = measure_wiring(context, "Mixed_6a").alike
    layer = get_layer("Mixed_6a")
    assert sorted(found) == list(range(480))  # the last 288 are a pool's
    for feature, ties in found.items():
        assert all(number in layer.branch_of(feature).range and number != feature for number, _ in ties)
        assert all(0 < cosine <= 1 for _, cosine in ties)
        assert [cosine for _, cosine in ties] == sorted((cosine for _, cosine in ties), reverse=True)


def test_without_connections_there_is_no_wiring() -> None:
    config = load_config("demo")
    config = config.only_features()
    assert wired_layers(config) == ()
    assert Results(config, WEIGHTS).digest(wiring_spec("Mixed_6b")) is None
