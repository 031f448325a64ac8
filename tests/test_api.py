"""The public API: three lines of README, the defaults of the command line, and errors in words."""

import io
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from PIL import Image

import atlas
from atlas import Octave, Recipe, Target, Transform, api, load_weights
from atlas.common.errors import ConfigError, TargetError, WeightsError
from atlas.plan.config import check_recipe
from atlas.studies import load_config

TINY = Recipe("tiny", (Octave(75, 1, (0.04, 0.02)),), gradient="rms")


def make(target="Conv2d_1a_3x3[3]", recipe=TINY, **options):
    return api.render(target, weights="demo", recipe=recipe, device="cpu", **options)


@pytest.mark.parametrize("before", ["import atlas", "import atlas.rendering.model"])
def test_render_can_be_called_whatever_was_imported_before(before):
    lines = f"""
{before}
from atlas import render
from atlas import render as again
for one in (render, again):
    try:
        one("x")
    except Exception as error:
        print(error)
"""
    found = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert found.stdout.count("target “x” cannot be read") == 2


def test_import_takes_no_torch():
    lines = "import atlas, sys; print('torch' in sys.modules, hasattr(atlas, 'nothing'))"
    found = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert found.stdout == "False False\n"


def test_every_public_name_is_there():
    for name in atlas.__all__:
        assert getattr(api, name).__doc__, name


def test_a_rendering_shows_itself_and_does_not_change():
    rendering = make()
    shown = Image.open(io.BytesIO(rendering._repr_png_()))
    assert (shown.size, shown.tobytes()) == ((75, 75), rendering.pixels)
    with pytest.raises(FrozenInstanceError):
        rendering.record = None


def test_the_bytes_are_those_of_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from atlas.cli import app
    from atlas.store.masters import open_master

    arguments = ["render", "Conv2d_1a_3x3[3]", "--recipe", "quick", "--weights", "demo", "--device", "cpu"]
    result = CliRunner().invoke(app, [*arguments, "--store", str(tmp_path), "--threads", "1"])
    picture, record = open_master(Path(result.stdout.strip()))
    rendering = make(recipe="quick", threads=1)
    assert rendering.pixels == picture.tobytes()
    assert rendering.record == record


def test_recipes_have_the_defaults_of_the_command_line():
    recipes = load_config().recipes
    for text, photo, name in (("Mixed_5b[3]", None, "octaves"), ("Mixed_5b[3, 1, :]", None, "raster")):
        assert api._find_recipe(None, Target.parse(text), photo) == recipes[name]
    assert api._find_recipe(None, Target.parse("Mixed_5b[:]"), api.read_photo(api.DRAWN_FILE)[0]) == recipes["dream"]


def test_a_photograph_is_a_start(tmp_path):
    Image.effect_noise((120, 90), 60).convert("RGB").save(tmp_path / "noise.png")
    found = make(Target.parse("Conv2d_1a_3x3[:]"), start=tmp_path / "noise.png")
    assert found.image.size == (100, 75)
    assert re.fullmatch("[0-9a-f]{64}", found.record.start)
    assert make("Conv2d_1a_3x3[:]", start="drawn").image.size == (112, 75)


def test_two_threads_render_from_photographs(tmp_path):
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for number, file in enumerate(files):
        Image.effect_noise((90, 90), 40 + 20 * number).convert("RGB").save(file)
    alone = [make("Conv2d_1a_3x3[:]", start=file).pixels for file in files]
    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            found = pool.map(lambda file: make("Conv2d_1a_3x3[:]", start=file).pixels, files)
            assert list(found) == alone


def test_the_input_of_weights_is_as_given_or_said_to_be_assumed():
    demo = load_weights("demo")
    unknown = replace(demo, id=replace(demo.id, name="mine", sha256="0" * 64))
    trained = replace(TINY, input="trained")
    for weights, given, used, is_warned in (
        (unknown, "x", "x", False), (unknown, None, "2x-1", True), (unknown, None, "2x-1", True),
        (demo, None, "x", False), (demo, "2x-1", "2x-1", False),
    ):  # fmt: skip
        options = {"recipe": trained, "device": "cpu", "weights_input": given}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert api.render("Conv2d_1a_3x3[3]", weights=weights, **options).record.input == used
        assert ['say weights_input="x"' in str(one.message) for one in caught] == [True] * is_warned
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a recipe that gives pixels as they are asks for nothing
        api.render("Conv2d_1a_3x3[3]", weights=unknown, recipe=TINY, device="cpu")


def test_size_is_of_the_picture_and_steps_are_of_each_octave():
    recipe = Recipe("two", (Octave(80, 3, (0.04, 0.02)), Octave(100, 2, (0.04, 0.02))), gradient="rms")
    record = make(recipe=recipe, size=120, steps=1).record
    assert [octave["size"] for octave in record.recipe["octaves"]] == [96, 120]
    assert [octave["steps"] for octave in record.recipe["octaves"]] == [1, 1]


def test_a_recipe_of_lists_and_dicts_is_that_of_a_file(tmp_path):
    lines = """[recipes.mine]
    parameterization = "fourier"
    optimizer = "adam"
    transforms = [{ jitter = 8 }, { scale = [0.9, 1.1] }]
    octaves = [{ size = 80, steps = 1, lr = [0.1, 0.05] }]"""
    (tmp_path / "a.toml").write_text(lines)
    mine = load_config(str(tmp_path / "a.toml")).recipes["mine"]
    octaves, fields = [Octave(80, 1, [0.1, 0.05])], {"parameterization": "fourier", "optimizer": "adam"}
    for transforms in ([{"jitter": 8}, {"scale": [0.9, 1.1]}], (Transform(jitter=8), Transform(scale=(0.9, 1.1)))):
        assert check_recipe(Recipe("mine", octaves, transforms=transforms, **fields)) == mine
    assert make(recipe=Recipe("mine", octaves, transforms=[{"jitter": 8}])).record.recipe["transforms"] == [
        {"jitter": 8}
    ]
    for recipe in load_config().recipes.values():
        assert check_recipe(recipe) == recipe


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (
            replace(TINY, optimizer="adamw"),
            r'recipes.tiny.optimizer = "adamw": allowed: sgd, adam; did you mean "adam"?',
        ),
        (replace(TINY, gradient="RMS"), "allowed: sum, per_feature, rms"),
        (replace(TINY, metric="L2"), "allowed: l1, l2, linf"),
        (replace(TINY, input="x"), "allowed: raw, trained"),
        (replace(TINY, octaves=Octave(75, 1, (1, 1))), "must be a list of at least one table"),
        (replace(TINY, octaves=(Octave(75, 0, (1, 1)),)), "octaves[0].steps = 0: must be a whole number from 1"),
        (replace(TINY, octaves=(Octave(75, 1, 0.1),)), "octaves[0].lr = 0.1: must be two numbers [first, last]"),
        (replace(TINY, parameterization="fourier", octaves=(Octave(75, 1, (1, 1), (1, 1)),)), "sigma blurs pixels"),
        (replace(TINY, name="../x"), "a recipe's name is made of a-z"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_by_key(recipe, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        make(recipe=recipe)


def test_a_rendering_is_saved_with_its_record_and_is_short_as_text(tmp_path):
    from atlas.store.masters import open_master

    rendering = make()
    rendering.save(tmp_path / "a.png")
    picture, record = open_master(tmp_path / "a.png")
    assert (picture.tobytes(), record) == (rendering.pixels, rendering.record)
    assert re.fullmatch(
        r"<Rendering Conv2d_1a_3x3\[3\] by tiny, 75 × 75 px, no_gradient, score [\d.]+ → [\d.]+>", repr(rendering)
    )
    assert re.fullmatch(r"<Weights demo, 55 classes, SHA-256 [0-9a-f]{8}…>", repr(load_weights("demo")))


def test_weights_are_a_path_and_anything_else_is_named(weights_file, weights):
    rendering = api.render("Conv2d_1a_3x3[3]", weights=weights_file, recipe=TINY, device="cpu")
    assert rendering.record.weights.name == "trial"
    with pytest.raises(WeightsError, match=r"weights of type dict: must be a name, a path.*save model.state_dict\(\)"):
        api.render("Conv2d_1a_3x3[3]", weights=dict(weights.tensors))


def test_weights_are_loaded_once_and_passed():
    weights = load_weights("demo")
    one, two = (api.render("Conv2d_1a_3x3[3]", weights=weights, recipe=TINY, device="cpu", seed=s) for s in (1, 2))
    assert one.pixels != two.pixels
    assert one.record.weights == weights.id


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"target": "Mixed_6z[1]"}, TargetError, "no layer is called"),
        ({"target": "Mixed_5b[3, 50, :]"}, TargetError, "no row 50"),
        ({"recipe": "octave"}, ConfigError, 'recipe "octave": no such recipe'),
        ({"size": 74}, ConfigError, "images of 74 to 74 px, and the sizes allowed are 75 to 4096"),
        ({"steps": 0}, ConfigError, "steps 0: must be at least 1"),
        ({"seed": -1}, ConfigError, "seed -1: must be a whole number from 0"),
        ({"precision": "tf32"}, ConfigError, "--precision tf32: on cpu"),
        ({"weights_input": "2x"}, ConfigError, 'weights_input "2x": allowed: x, 2x-1'),
        ({"start": "nowhere.jpg"}, ConfigError, "nowhere.jpg"),
    ],
)
def test_errors_are_said_in_words(options, error, words):
    with pytest.raises(error, match=words):
        make(**options)


def test_weights_that_are_not_there_are_an_error_in_words(tmp_path):
    with pytest.raises(WeightsError, match="nothing"):
        api.render("Conv2d_1a_3x3[3]", weights=str(tmp_path / "nothing.pth"), recipe=TINY, device="cpu")
