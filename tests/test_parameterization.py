"""Spectra, colours, transforms and Adam: against an independent oracle in float64, and rows that know no neighbours."""

from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter

import crisp_oracle as oracle
from atlas.inception import targets
from atlas.plan.recipes import Octave, Recipe, Transform
from atlas.rendering.cuda_graphs import CudaGraphs
from atlas.rendering.descent import descend
from atlas.rendering.model import Network
from atlas.rendering.parameterization import make_parameterization, pad_spectrum, start_image
from atlas.rendering.transforms import make_views, see
from atlas.rendering.updates import adam
from atlas.site.words import own_toml
from atlas.studies import load_config
from macros import render_macro

SEED = 7
MOTIONS = (Transform(jitter=3), Transform(scale=(0.8, 1.25)), Transform(rotate=15.0), Transform(jitter=2))
CRISP = Recipe(
    "trial",
    (Octave(75, 3, (0.05, 0.04)), Octave(86, 3, (0.04, 0.02))),
    input="trained",
    parameterization="fourier",
    color="decorrelated",
    optimizer="adam",
    transforms=MOTIONS,
)
ONE = replace(CRISP, octaves=CRISP.octaves[:1])
RECIPES = {
    "crisp": CRISP,
    "preset": load_config().recipes["crisp"].scaled(75, 3),
    "no transforms": replace(CRISP, transforms=()),
    "epsilon": replace(CRISP, epsilon=0.5),
    "rgb": replace(CRISP, color="rgb", input="raw"),
    "plain descent": replace(CRISP, optimizer="sgd", octaves=tuple(replace(o, lr=(0.2, 0.1)) for o in CRISP.octaves)),
    "pixels, adam": replace(ONE, parameterization="pixels"),
    "phase": replace(ONE, parameterization="phase", transforms=(Transform(crop=(0.3, 0.9)), Transform(noise=0.1))),
    "all transforms": replace(CRISP, transforms=(*MOTIONS, Transform(crop=(0.5, 1.0)), Transform(noise=0.05))),
}
TEXTS = ("Mixed_5b[200]", "Mixed_5b[25]", "Mixed_5b[100]")  # which all have a gradient


@pytest.fixture(scope="module")
def trained32(weights):
    return Network(weights, torch.device("cpu"), torch.float32, "2x-1")


def rendered(network, recipe, texts, dtype=torch.float32, **given):
    start = torch.stack([start_image(recipe, SEED, recipe.first_size)] * len(texts)).to(dtype)
    return descend(network, [targets.parse(text) for text in texts], recipe, start, seed=SEED, **given)


@pytest.mark.parametrize("name", RECIPES)
def test_descents_are_those_of_the_oracle(name, weights, model64):
    recipe = RECIPES[name]
    network = Network(weights, torch.device("cpu"), torch.float64, "2x-1" if recipe.input == "trained" else "x")
    start = start_image(recipe, SEED, recipe.first_size).double()
    found = rendered(network, recipe, TEXTS, torch.float64)
    for text, one in zip(TEXTS, found, strict=True):
        feature = targets.parse(text).terms[0].feature
        expected = oracle.render(model64, "Mixed_5b", feature, recipe, start, SEED)
        assert (one.image - expected).abs().max() < 1e-9
        assert (one.image[:, :75, :75] - start[:, :75, :75]).abs().max() > 1e-2, (
            "the descent must move for this to mean anything"
        )


@pytest.mark.parametrize("name", RECIPES)
def test_rows_keep_their_bits_whatever_their_neighbours(name, network32, trained32):
    recipe = RECIPES[name]
    network = trained32 if recipe.input == "trained" else network32
    first, second, third = rendered(network, recipe, TEXTS)
    turned = rendered(network, recipe, (TEXTS[2], TEXTS[0], TEXTS[0]))
    assert torch.equal(turned[0].image, third.image)
    assert torch.equal(turned[1].image, first.image)
    assert torch.equal(turned[2].image, first.image)
    assert not torch.equal(first.image, second.image)


def test_a_recipe_is_the_same_read_from_its_own_data():
    for recipe in RECIPES.values():
        read = TypeAdapter(Recipe).validate_python({"name": recipe.name, **recipe.as_dict()})
        assert (read, read.digest) == (recipe, recipe.digest)
    assert len({recipe.digest for recipe in RECIPES.values()}) == len(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_a_table_that_a_page_shows_can_be_pasted(name, tmp_path):
    recipe = replace(RECIPES[name], name="mine")
    (tmp_path / "mine.toml").write_text(own_toml(recipe))
    assert load_config(tmp_path / "mine.toml").recipes["mine"] == recipe


def test_pages_say_what_a_recipe_does():
    said = render_macro("sentences.html", "recipe_notes", RECIPES["preset"])
    assert "its Fourier transform, scaled by 1/f^0.75 at frequency f. Its colours are those of photographs" in said
    assert "the image moved by up to 24 pixels, scaled by 0.9 to 1.1, turned by up to 5°, at random." in said
    said = render_macro("sentences.html", "recipe_notes", RECIPES["phase"])
    assert "cropped to 0.3 to 0.9 of its side, with noise of standard deviation 0.1, at random." in said


@pytest.mark.parametrize("name", ["crisp", "phase", "all transforms"])
def test_captured_steps_have_the_bits_of_plain_ones(name, trained32):
    def capture(body):
        return body

    recipe = RECIPES[name]
    recipe = replace(recipe, octaves=tuple(replace(octave, steps=9) for octave in recipe.octaves))
    plain = rendered(trained32, recipe, TEXTS)
    replayed = rendered(trained32, recipe, TEXTS, graphs=CudaGraphs(capture))
    assert all(torch.equal(one.image, other.image) for one, other in zip(plain, replayed, strict=True))


def test_a_row_that_fails_stays_and_the_others_go_on(trained32):
    recipe = replace(ONE, octaves=(Octave(75, 4, (0.05, 0.05)), Octave(86, 2, (0.05, 0.05))))
    good = rendered(trained32, recipe, TEXTS)
    start = torch.stack([start_image(recipe, SEED, recipe.first_size)] * 3)
    start[1, :, 5, 5] = float("nan")
    found = descend(trained32, [targets.parse(text) for text in TEXTS], recipe, start, seed=SEED)
    assert found[1].failed_at
    assert (found[1].failed_at.octave, found[1].failed_at.step) == (0, 0)
    assert torch.equal(found[0].image, good[0].image)
    assert torch.equal(found[2].image, good[2].image)


def test_steps_are_those_of_torchs_adam():
    """By an epsilon that counts for nothing, and with gradients that change from step to step."""
    generator = torch.Generator().manual_seed(2)
    ours = torch.zeros(2, 3, 4, 4, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    optimizer, moments = torch.optim.Adam([theirs], lr=0.05, eps=1e-30), (torch.zeros_like(ours),) * 2
    for step in range(1, 6):
        gradient = torch.randn(ours.shape, dtype=torch.float64, generator=generator)
        theirs.grad = gradient
        optimizer.step()
        root = torch.tensor([1 - 0.999**step], dtype=torch.float64).sqrt()
        direction, moments = adam(moments, gradient, root, 1e-30)
        ours = ours - 0.05 / (1 - 0.9**step) * direction
        assert torch.allclose(ours, theirs, atol=1e-14)


def test_adam_leaves_rows_without_a_gradient_where_they_are():
    zero = torch.zeros(1, 3, 2, 2)
    direction, _ = adam((zero, zero), zero, torch.ones(1), 0.01)
    assert not direction.any()


@pytest.mark.parametrize("kind", ["fourier", "phase", "pixels"])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (8, 5)])
def test_images_become_parameters_and_return(kind, size):
    recipe = Recipe("trial", CRISP.octaves, parameterization=kind, color="decorrelated")
    form = make_parameterization(recipe, size, SEED, torch.empty(0, dtype=torch.float64))
    images = start_image(recipe, SEED, size)[None].double()
    params = form.params(images)
    assert torch.allclose(form.images(params), images, atol=1e-6)
    assert (
        params.shape
        == {
            "fourier": (1, 3, size[0], 2 * (size[1] // 2 + 1)),
            "phase": (1, 3, size[0], size[1] // 2 + 1),
            "pixels": (1, 3, *size),
        }[kind]
    )


@pytest.mark.parametrize("kind", ["fourier", "phase"])
@pytest.mark.parametrize("size", [(75, 75), (81, 81)])
def test_an_image_has_the_same_bits_in_any_row(kind, size):
    """An odd number of pixels, so that the last row of a batch ends in numbers that fill no vector."""
    recipe = Recipe("trial", CRISP.octaves, parameterization=kind, color="decorrelated")
    form = make_parameterization(recipe, size, SEED, torch.empty(0))
    one = start_image(recipe, SEED, size)
    for batch in range(2, 9):
        params = form.params(torch.stack([one] * batch))
        images = form.images(params * 300)
        assert all(torch.equal(row, params[0]) for row in params)
        assert all(torch.equal(row, images[0]) for row in images)


@pytest.mark.parametrize("old", [(6, 6), (7, 7), (6, 7)])
@pytest.mark.parametrize("new", [(7, 7), (7, 8), (12, 14), (13, 13)])
def test_a_padded_spectrum_interpolates(old, new):
    maps = torch.randn(3, *old, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    padded = pad_spectrum(torch.fft.rfft2(maps, norm="ortho")[None], old, new)
    found = torch.fft.irfft2(padded, s=new, norm="ortho")[0]
    assert torch.allclose(found, oracle.interpolated(maps, *new), atol=1e-12)


def test_a_larger_spectrum_keeps_its_frequencies_and_adds_zeros():
    """Of an orthonormal transform, a coefficient grows with the side; and its scale with the power 0.75 of it."""
    recipe = Recipe("trial", CRISP.octaves, parameterization="fourier", color="decorrelated")
    small, large = (make_parameterization(recipe, (side, side), SEED, torch.empty(0)) for side in (9, 15))
    images = start_image(recipe, SEED, (9, 9))[None]
    params = small.params(images)
    larger = small.enlarge(params, large)
    assert torch.allclose(larger[:, :, :5, :10], params[:, :, :5] * (15 / 9) ** 0.25, atol=1e-6)
    assert not larger[:, :, 5:11].any()
    assert not larger[..., 10:].any()


def test_larger_phases_keep_theirs_and_take_others_from_the_start():
    recipe = Recipe("trial", CRISP.octaves, parameterization="phase", color="decorrelated")
    like = torch.empty(0, dtype=torch.float64)
    small, large = (make_parameterization(recipe, (side, side), SEED, like) for side in (9, 15))
    params = small.params(torch.rand(1, 3, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))
    larger = small.enlarge(params, large)
    turns = (larger[:, :, 1:5, 1:5] - params[:, :, 1:5, 1:5]) / (2 * torch.pi)
    assert (turns - turns.round()).abs().max() < 1e-9
    assert torch.equal(larger[0, :, 5:11], large.noise[:, 5:11])


@pytest.mark.parametrize("size", [(20, 20), (17, 24)])
def test_transforms_and_their_gradients_are_those_of_grid_sample(size):
    transforms = (
        Transform(jitter=30),
        Transform(scale=(0.6, 2.5)),
        Transform(rotate=180.0),
        Transform(crop=(0.2, 1.0)),
    )
    recipe = Recipe("trial", (Octave(75, 12, (1, 1)),), transforms=transforms)
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(2, 3, *size, dtype=torch.float64, generator=generator)
    weights = torch.rand(2, 3, *size, dtype=torch.float64, generator=generator)
    views = make_views(recipe, 0, SEED, size, images)
    for step in range(12):
        ours, theirs = (images.clone().requires_grad_() for _ in range(2))
        seen = see(ours, views, torch.tensor(step))
        expected = torch.stack([oracle.seen_of(image, recipe, SEED, 0, step) for image in theirs])
        assert torch.allclose(seen, expected, atol=1e-12)
        gradients = [
            torch.autograd.grad((maps * weights).sum(), x)[0] for maps, x in ((seen, ours), (expected, theirs))
        ]
        assert torch.allclose(*gradients, atol=1e-12)


def test_what_is_drawn_depends_on_seed_octave_and_step_alone():
    recipe = Recipe("trial", (Octave(75, 4, (1, 1)), Octave(75, 4, (1, 1))), transforms=MOTIONS)
    image = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(1))

    def seen(seed, octave, step):
        return see(image, make_views(recipe, octave, seed, (20, 20), image), torch.tensor(step))

    assert torch.equal(seen(1, 0, 2), seen(1, 0, 2))
    others = [seen(1, 0, 1), seen(1, 1, 2), seen(2, 0, 2)]
    assert not any(torch.equal(seen(1, 0, 2), other) for other in others)
