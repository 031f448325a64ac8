"""Features without a gradient: which rows are rescued, for how long, and that no other row notices."""

from dataclasses import replace

import pytest
import torch

from atlas.inception import targets
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering.descent import descend
from atlas.rendering.model import Network
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights
from seeded import closed

CPU = torch.device("cpu")
GREY = Recipe("grey", (Octave(75, 20, (0.02, 0.02)),), gradient="rms")
RESCUED = replace(GREY, name="rescued", rescue_steps=16)
# targets that are dead on the start noise, and the channel before their last ReLU that is closed there
CONVOLVED, POOLED = "Mixed_5b[7]", "Mixed_6a[487]"
CHANNELS = {CONVOLVED: ("Mixed_5b.branch1x1", 7), POOLED: ("Mixed_5d.branch1x1", 7)}


@pytest.fixture(scope="module")
def dead(weights):
    """The seeded weights with both channels closed on the start noise."""
    tensors = weights.tensors
    for channel in CHANNELS.values():
        tensors = closed(tensors, *channel)
    return Weights(weights.id, tensors)


def record(weights, text, recipe):
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    return renderer.render([Job(targets.parse(text), recipe, 999)], 1)[0].record


def images(weights, texts, recipe, dtype=torch.float64):
    start = torch.stack([start_noise(999, recipe.first_size)] * len(texts)).to(dtype)
    network = Network(weights, CPU, dtype)
    return [descent.image for descent in descend(network, [targets.parse(text) for text in texts], recipe, start)]


@pytest.mark.parametrize("layer", ["Conv2d_1a_3x3", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_7a", "Mixed_7c"])
def test_activations_are_the_same_to_the_last_bit(layer, network32):
    pictures = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        plain = network32.activations(pictures, {layer})[layer]
        assert torch.equal(network32.straight_activations(pictures, {layer})[layer], plain)


@pytest.mark.parametrize("text", [CONVOLVED, POOLED])
def test_a_dead_feature_comes_alive(text, dead):
    grey, rescued = record(dead, text, GREY), record(dead, text, RESCUED)
    assert (grey.status, grey.gradient_norm, grey.score_shown) == ("no_gradient", 0.0, 0.0)
    assert rescued.status == "ok"
    assert rescued.gradient_norm > 0
    assert rescued.score_shown > grey.score_shown


@pytest.mark.parametrize("text", [CONVOLVED, POOLED])
def test_a_living_feature_needs_no_rescue(text, weights):
    assert torch.equal(images(weights, [text], RESCUED)[0], images(weights, [text], GREY)[0])


@pytest.mark.parametrize("text", [CONVOLVED, POOLED])
def test_nothing_is_rescued_after_the_first_steps(text, weights):
    """A channel that three steps do not open: two of them may move the image, and the third may not."""
    far = Weights(weights.id, closed(weights.tensors, *CHANNELS[text], bias=-50))
    one, two, three = (
        images(far, [text], replace(GREY, octaves=(Octave(75, steps, (0.02, 0.02)),), rescue_steps=2))[0]
        for steps in (1, 2, 3)
    )
    assert not torch.equal(one, two)
    assert torch.equal(two, three)


def test_nothing_is_rescued_after_the_first_octave(weights):
    far = Weights(weights.id, closed(weights.tensors, *CHANNELS[CONVOLVED], bias=-50))
    octaves = (Octave(75, 1, (0.02, 0.02)), Octave(75, 3, (0.02, 0.02)))
    first, both = (
        images(far, [CONVOLVED], replace(GREY, octaves=o, rescue_steps=9))[0] for o in (octaves[:1], octaves)
    )
    assert torch.equal(first, both)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_rendering_does_not_notice_a_rescue_beside_it(dtype, dead):
    """Neither the living row nor the rescued one."""
    recipe = replace(RESCUED, octaves=(Octave(75, 6, (0.02, 0.02), (0.6, 0.4)),), rescue_steps=4)
    living, other = "Mixed_6a[3]", "Mixed_6a[4]"
    together = images(dead, [living, POOLED], recipe, dtype)
    assert torch.equal(together[0], images(dead, [living, other], recipe, dtype)[0])
    assert torch.equal(together[1], images(dead, [POOLED, POOLED], recipe, dtype)[1])
    assert torch.equal(together[1], images(dead, [other, POOLED], recipe, dtype)[1])


def test_no_gradient_is_said_only_where_the_rescue_finds_none_either(weights):
    """A feature whose last ReLU is closed and, before it, every ReLU that it hears from."""
    tensors = closed(weights.tensors, "Mixed_5b.branch5x5_2", 3, bias=-50)
    for channel in range(48):
        tensors = closed(tensors, "Mixed_5b.branch5x5_1", channel, bias=-1e6)
    found = record(Weights(weights.id, tensors), "Mixed_5b[67]", RESCUED)
    assert (found.status, found.gradient_norm) == ("no_gradient", 0.0)


def test_a_rescued_row_that_stays_closed_is_not_raised(weights):
    far = Weights(weights.id, closed(weights.tensors, *CHANNELS[CONVOLVED], bias=-50))
    found = record(far, CONVOLVED, RESCUED)
    assert (found.status, found.score_shown) == ("not_raised", 0.0)
    assert found.gradient_norm > 0


def test_a_sum_is_rescued_only_where_all_of_it_is_dead(dead):
    recipe = replace(GREY, octaves=(Octave(75, 2, (0.02, 0.02)),))
    half, whole = "Mixed_5b[7] + Mixed_5b[8]", "Mixed_5b[7] + Mixed_6a[487]"
    for text, is_rescued in ((half, False), (whole, True)):
        plain, rescued = (images(dead, [text], replace(recipe, rescue_steps=steps))[0] for steps in (None, 2))
        assert torch.equal(plain, rescued) != is_rescued
