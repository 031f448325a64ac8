"""Invariance by resizing: the sizes that the network sees, the resampling, and batches that share a size."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from atlas.common.errors import ConfigError, TargetError
from atlas.inception import targets
from atlas.plan import jobs as planning
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering.descent import descend
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.rendering.transforms import resample
from atlas.studies import load_config

CPU = torch.device("cpu")
SHORT = Recipe("short", (Octave(96, 4, (0.04, 0.02), (1.2, 0.4)),), gradient="rms", resize=(0.9, 1.1))


def seen(seed=999, octave=0, steps=range(400), recipe=SHORT, size=(1000, 2000)):
    return [recipe.size_seen(size, seed, octave, step) for step in steps]


def test_sizes_fill_the_bounds_and_keep_the_proportions():
    heights = [height for height, _ in seen()]
    assert 900 <= min(heights) < 910
    assert 1090 < max(heights) <= 1100
    assert sum(heights) / len(heights) == pytest.approx(1000, abs=10)
    assert all(abs(width - 2 * height) <= 1 for height, width in seen())


def test_sizes_are_drawn_from_seed_octave_and_step_alone():
    assert seen() == seen()
    assert seen(steps=[7]) == seen()[7:8]
    assert seen(seed=998) != seen() != seen(octave=1)
    # Python's Random is the same everywhere; a change of these would be another recipe under the same digest
    assert [height for height, _ in seen(steps=range(4))] == [1027, 1056, 1014, 932]


def test_without_resize_the_image_is_seen_as_it_is():
    images = torch.rand(2, 3, 96, 80)
    assert set(seen(recipe=replace(SHORT, resize=None))) == {(1000, 2000)}
    assert resample(images, (96, 80)) is images


@pytest.mark.parametrize("size", [(269, 269), (329, 329), (86, 105), (300, 75)])
def test_resampling_and_its_gradient_are_those_of_interpolate(size):
    one, other = (
        torch.rand(2, 3, 96, 120, dtype=torch.float64, generator=generator(1)).requires_grad_() for _ in range(2)
    )
    pull = torch.rand(2, 3, *size, dtype=torch.float64, generator=generator(2))
    expected = F.interpolate(other, size, mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(resample(one, size), expected, rtol=0, atol=1e-12)
    (resample(one, size) * pull).sum().backward()
    (expected * pull).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-12)


def test_resampling_rounds_a_row_alike_wherever_it_lies():
    images = torch.rand(5, 3, 299, 299, generator=generator(3))
    together = resample(images, (283, 283))
    for place in range(5):
        moved = images.roll(place, 0)
        assert torch.equal(resample(moved, (283, 283))[place], together[0])


def test_the_network_sees_another_size_at_each_step(network64):
    """The first step's gradient is that of the resized start, and not of the start."""
    target = targets.parse("Mixed_5b[3]")
    start = start_noise(999, (96, 96))[None].double()
    once = replace(SHORT, octaves=(Octave(96, 1, (1.0, 1.0)),), gradient="sum")
    (moved,) = descend(network64, [target], once, start, seed=999)
    leaf = start.clone().requires_grad_()
    view = F.interpolate(leaf, once.size_seen((96, 96), 999, 0, 0), mode="bilinear", antialias=True)
    network64.activations(view, {"Mixed_5b"})["Mixed_5b"][0, 3].sum().backward()
    torch.testing.assert_close(moved.image - start[0], leaf.grad[0], rtol=0, atol=1e-10)


def test_scores_are_taken_at_the_octaves_own_size(network64):
    start = start_noise(999, (96, 96))[None].double()
    (result,) = descend(network64, [targets.parse("Mixed_5b[3]")], SHORT, start, seed=999)
    for images, score in ((start, result.octaves[0].score_start), (result.image[None], result.octaves[0].score_end)):
        mean = network64.activations(images, {"Mixed_5b"})["Mixed_5b"][0, 3].mean()
        assert score == pytest.approx(mean.item(), rel=1e-9)


def test_bytes_depend_neither_on_neighbours_nor_on_the_place_in_the_batch(weights):
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    job, *others = (Job(targets.parse(text), SHORT, 999) for text in ("Mixed_5b[3]", "Mixed_5b[4]", "Mixed_5b[:]"))
    alone = renderer.render([job], 3)[0]
    for place in (1, 2):
        batch = [*others[:place], job, *others[place:]]
        again = renderer.render(batch, 3)[place]
        assert (again.pixels, again.record) == (alone.pixels, alone.record)


def test_jobs_of_different_seeds_share_no_batch(weights):
    jobs = [Job(targets.parse(f"Mixed_5b[{n}]"), SHORT, seed) for n in range(2) for seed in (999, 7)]
    batches = [batch for batches in planning.rounds(jobs, "cpu", 4) for batch in batches]
    assert [[job.seed for job in batch.jobs] for batch in batches] == [[999, 999], [7, 7]]
    fixed = [replace(job, recipe=replace(SHORT, resize=None)) for job in jobs]
    assert [len(batch.jobs) for batches in planning.rounds(fixed, "cpu", 4) for batch in batches] == [4]
    with pytest.raises(ValueError, match="needs the seed"):
        Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1)).render(jobs, 4)


def test_positions_are_refused_where_maps_may_be_smaller():
    with pytest.raises(TargetError, match="smaller size"):
        Job(targets.parse("Mixed_6b[654, 1, :]"), SHORT, 999)
    Job(targets.parse("Mixed_6b[654, 1, :]"), replace(SHORT, resize=(1.0, 1.2)), 999)


OCTAVE = "octaves = [{ size = 80, steps = 1, lr = [1, 1] }]"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("resize = [0.9, 1.1]", "see images of 72 to 88 px, and the sizes allowed are 75"),
        ("resize = [1.0, 60]", "4800 px"),
        ("resize = [1.1, 1.0]", "the least first"),
        ("resize = [0, 1]", "above 0"),
        ("resize = 1.1", "two numbers"),
        ("rescue_steps = 0", "from 1"),
        ("rescue_steps = true", "whole number"),
    ],
)
def test_mistakes_are_named(tmp_path, line, words):
    file = tmp_path / "mine.toml"
    file.write_text(f"[recipes.mine]\n{line}\n{OCTAVE}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(file))
    assert f"{file}: recipes.mine.{line.split(' ')[0]}" in str(caught.value)
    assert words in str(caught.value)


def test_recipes_from_before_keep_their_digests(recipes):
    digests = {
        "octaves": "6ced8996",
        "raw": "e5ee489a",
        "raster": "656e8d17",
        "quick": "8e4ecb51",
        "dream-raw": "86d5ea1d",
    }
    assert {name: recipes[name].digest for name in digests} == digests
    assert recipes["octaves"].as_dict().keys() == {"octaves", "metric", "constant", "gradient"}
    assert recipes["smooth"].as_dict()["resize"] == [0.9, 1.1]
    assert replace(recipes["smooth"], resize=(0.9, 1.2)).digest != recipes["smooth"].digest
    assert recipes["rescued"].octaves == recipes["octaves"].octaves
    assert recipes["rescued"].digest != recipes["octaves"].digest


def generator(number):
    return torch.Generator().manual_seed(number)
