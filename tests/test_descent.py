"""The octave loop: its pieces against torchvision's, and what becomes of rows that go wrong."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torchvision.transforms import functional as TF

from atlas.inception import targets
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering.descent import descend, to_pixels
from atlas.rendering.model import Network
from atlas.rendering.numerics import applied, resolve_numerics
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.rendering.transforms import resize
from atlas.rendering.updates import blur
from atlas.rendering.weights import Weights

CPU = torch.device("cpu")
SHORT = Recipe("short", (Octave(75, 3, (0.04, 0.02), (1.2, 0.4)), Octave(80, 2, (0.02, 0.01))), gradient="rms")


def run(network, texts, recipe=SHORT, dtype=torch.float32):
    start = torch.stack([start_noise(999, recipe.first_size)] * len(texts)).to(dtype)
    return descend(network, [targets.parse(text) for text in texts], recipe, start)


def renderer(weights, precision="fp32"):
    return Renderer(weights, CPU, resolve_numerics(CPU, precision, 1))


def test_start_is_the_articles():
    torch.manual_seed(999)
    assert torch.equal(start_noise(999, (299, 299)), (torch.rand(1, 3, 299, 299) / 10 + 0.5)[0])


def test_start_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    start_noise(999, (75, 75))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.1, 2.4, 50.0])
def test_blur_is_torchvisions(sigma):
    images = torch.rand(2, 3, 9, 12).double()
    torch.testing.assert_close(blur(images, sigma), TF.gaussian_blur(images, 3, sigma=sigma), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(340, 340), (60, 90)])
def test_resize_is_torchvisions(size):
    images = torch.rand(1, 3, 75, 75).double()
    torch.testing.assert_close(resize(images, size), torchvision.transforms.Resize(list(size))(images))


def test_pixels_are_clipped_and_rounded():
    values = torch.tensor([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7.0])
    assert to_pixels(values).tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize("text", ["Conv2d_2b_3x3[5]", "Mixed_5c[9]", "Mixed_6a[3]", "Mixed_7a[:]", "Mixed_5b[:]"])
def test_scores_rise(text, weights):
    recipe = SHORT.scaled(128, 8)
    (rendering,) = renderer(weights).render([Job(targets.parse(text), recipe, 999)], 1)
    record = rendering.record
    assert record.status == "ok"
    assert record.score_shown > record.score_start
    assert all(octave.score_end > octave.score_start for octave in record.octaves)


def test_a_row_that_explodes_keeps_its_last_finite_image(network32):
    wild = Recipe("wild", (Octave(75, 4, (1e38, 1e38)), Octave(80, 2, (1e38, 1e38))))
    (exploded,) = run(network32, ["Mixed_5b[3]"], wild)
    assert exploded.failed_at is not None
    assert exploded.failed_at.octave == 0
    assert exploded.image.isfinite().all()
    assert exploded.image.shape == (3, 80, 80)


def test_a_row_that_explodes_harms_no_other(network32):
    recipe = Recipe("sharp", (Octave(75, 4, (0.5, 0.4)),))
    calm, wild = "Mixed_5b[3]", "1e38*Mixed_5b[3]"
    together = run(network32, [calm, wild], recipe)
    beside_another = run(network32, [calm, "Mixed_5b[4]"], recipe)
    assert [result.failed_at is None for result in together] == [True, False]
    assert torch.equal(together[0].image, beside_another[0].image)
    assert together[0].octaves == beside_another[0].octaves


def test_only_the_row_that_explodes_fails(network32, weights):
    """Rows with dead and live features: the live one explodes, the dead one stays the start."""
    wild = Recipe("wild", (Octave(75, 4, (1e38, 1e38)),))
    live, dead = run(_with_dead_feature(weights, "Mixed_5b", 7), ["Mixed_5b[3]", "Mixed_5b[7]"], wild)
    assert live.failed_at is not None
    assert dead.failed_at is None
    assert not dead.had_gradient
    assert torch.equal(dead.image, start_noise(999, (75, 75)))


def test_failed_status_names_the_step(weights):
    wild = Recipe("wild", (Octave(75, 4, (1e38, 1e38)),))
    (rendering,) = renderer(weights).render([Job(targets.parse("Mixed_5b[3]"), wild, 999)], 1)
    assert rendering.record.status == "failed"
    assert rendering.record.failed_at.octave == 0
    assert len(rendering.pixels) == 3 * 75 * 75


def test_no_gradient_status(weights):
    dead = Weights(weights.id, _kill(weights.tensors, "Mixed_5b.branch1x1", 7))
    (rendering,) = renderer(dead).render([Job(targets.parse("Mixed_5b[7]"), SHORT, 999)], 1)
    assert (rendering.record.status, rendering.record.gradient_norm) == ("no_gradient", 0.0)


def test_a_gradient_that_comes_in_a_later_octave_counts(weights):
    """A feature that is closed on the start noise and open on the smoother one that the second octave sees."""
    recipe = Recipe("late", (Octave(75, 2, (0.02, 0.02)), Octave(150, 4, (0.02, 0.02))), gradient="rms")
    noise = start_noise(999, (75, 75))[None]
    network = Network(weights, CPU, torch.float64)
    with torch.inference_mode():
        first, later = (
            network.activations(images.double(), {"Conv2d_1a_3x3"})["Conv2d_1a_3x3"][0].amax((1, 2))
            for images in (noise, resize(noise, (150, 150)))
        )
    feature = int((later / first).argmax())
    assert later[feature] > 1.02 * first[feature]
    tensors = dict(weights.tensors)
    bias = tensors["Conv2d_1a_3x3.bn.bias"].clone()
    bias[feature] -= (first[feature] + later[feature]) / 2
    late = Weights(weights.id, tensors | {"Conv2d_1a_3x3.bn.bias": bias})
    (rendering,) = renderer(late).render([Job(targets.parse(f"Conv2d_1a_3x3[{feature}]"), recipe, 999)], 1)
    record = rendering.record
    assert record.octaves[0].score_start == record.octaves[0].score_end == 0
    assert record.gradient_norm == 0  # of the very first step
    assert record.status == "ok"
    assert record.score_shown > 0


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_known_of_a_batch_leaves_the_device_in_one_copy(count, network32, monkeypatch):
    """On a GPU every single number would be a copy of its own, and wait for the device."""
    copies = []
    for name in ("item", "tolist", "__bool__", "__int__", "__float__"):
        original = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda t, f=original, n=name: copies.append(n) or f(t))
    run(network32, ["Mixed_5b[3]", "Mixed_5b[4]"], Recipe("many", (Octave(75, 1, (0.1, 0.1)),) * count))
    assert copies == ["tolist"]


def test_not_raised_status(weights):
    backwards = Recipe("backwards", (Octave(75, 3, (-0.01, -0.01)),), gradient="rms")
    (rendering,) = renderer(weights).render([Job(targets.parse("Mixed_5b[3]"), backwards, 999)], 1)
    assert rendering.record.status == "not_raised"
    assert rendering.record.score_shown <= rendering.record.score_start


def test_score_shown_is_of_the_stored_picture_in_float32(weights, network32):
    (rendering,) = renderer(weights, "fp64").render([Job(targets.parse("Mixed_5b[3]"), SHORT, 999)], 2)
    pixels = torch.frombuffer(bytearray(rendering.pixels), dtype=torch.uint8).view(80, 80, 3).permute(2, 0, 1)
    with torch.inference_mode():
        mean = network32.activations(pixels[None].float() / 255, {"Mixed_5b"})["Mixed_5b"][0, 3].mean()
    assert rendering.record.score_shown == pytest.approx(mean.item(), rel=1e-5)


def test_score_start_is_at_the_last_size(weights, network32):
    (rendering,) = renderer(weights).render([Job(targets.parse("Mixed_5b[3]"), SHORT, 999)], 2)
    start = resize(start_noise(999, (75, 75))[None], (80, 80))
    with torch.inference_mode():
        mean = network32.activations(start, {"Mixed_5b"})["Mixed_5b"][0, 3].mean()
    assert rendering.record.score_start == pytest.approx(mean.item(), rel=1e-5)


@pytest.mark.parametrize("metric", ["l1", "l2"])
@pytest.mark.parametrize(
    "text", ["Conv2d_4a_3x3[3]", "Mixed_5c[:]", "Mixed_6b[3]", "Mixed_7a[3]", "Mixed_5b[1] + Mixed_6b[2]"]
)
def test_bytes_depend_neither_on_neighbours_nor_on_the_place_in_the_batch(text, metric, weights):
    recipe = replace(SHORT, metric=metric)
    job = Job(targets.parse(text), recipe, 999)
    layer = job.target.deepest
    neighbours = (f"{layer}[4]", 999), (f"{layer}[:]", 1), (f"Conv2d_2b_3x3[:, 3, :] + {layer}[6]", 2)
    others = [Job(targets.parse(other), recipe, seed) for other, seed in neighbours]
    made = renderer(weights)
    alone = made.render([job], 4)[0]
    for place in (0, 2, 3):
        batch = [*others[:place], job, *others[place:]]
        again = made.render(batch, 4)[place]
        assert (again.pixels, again.record) == (alone.pixels, alone.record)


def test_a_seed_gives_another_picture(weights):
    made = renderer(weights)
    one, two = made.render([Job(targets.parse("Mixed_5b[3]"), SHORT, seed) for seed in (999, 7)], 2)
    assert one.pixels != two.pixels


def test_numerics_are_restored(weights):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1)).render(
        [Job(targets.parse("Conv2d_1a_3x3[0]"), SHORT, 999)], 1
    )
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


@pytest.mark.parametrize("usual", ["highest", "high", "medium"])
def test_matrix_products_are_exact_whatever_the_environment_asks_for(usual):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(usual)
        with applied(resolve_numerics(CPU, "fp32", 1)):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == usual
    finally:
        torch.set_float32_matmul_precision(before)


def test_bf16_descends_too(weights):
    (rendering,) = renderer(weights, "bf16").render([Job(targets.parse("Mixed_5b[3]"), SHORT, 999)], 1)
    assert rendering.record.numerics.precision == "bf16"
    assert rendering.record.score_shown > rendering.record.score_start


def _kill(tensors, name, feature):
    """Tensors in which one feature's ReLU is closed everywhere."""
    bias = tensors[f"{name}.bn.bias"].clone()
    bias[feature] = -1e6
    return {**tensors, f"{name}.bn.bias": bias}


def _with_dead_feature(weights, layer, feature):
    return Network(Weights(weights.id, _kill(weights.tensors, f"{layer}.branch1x1", feature)), CPU, torch.float32)
