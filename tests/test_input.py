"""What the network is given for a picture: pixels as they are, or mapped as in the training of its weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

import oracle
from atlas.cli import app
from atlas.common.errors import ConfigError
from atlas.inception.targets import parse
from atlas.plan.config import override
from atlas.plan.jobs import Job
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering.descent import descend
from atlas.rendering.model import Network
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import DEMO_FILE, Weights
from atlas.site.check import check_store
from atlas.store.masters import find_record, master_path, open_master, read_record, write_master
from atlas.store.records import DEMO_SHA256, Record, WeightsId, read_json
from atlas.store.weights_ids import WEIGHTS_FILE, noted_input, read_weights_id, write_weights_id
from atlas.studies import load_config

CPU = torch.device("cpu")
RAW = Recipe("short", (Octave(75, 3, (0.04, 0.02), (1.2, 0.4)), Octave(80, 2, (0.02, 0.01))), gradient="rms")
TRAINED = replace(RAW, name="short-trained", input="trained")
TEXT = "Mixed_5b[200]"


def expecting(weights, input_map):
    return Weights(replace(weights.id, input=input_map), weights.tensors)


def render(weights, recipe=TRAINED, precision="fp32"):
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, precision, 1))
    return renderer.render([Job(parse(TEXT), recipe, 999)], 1)[0]


def folded_copy(tensors):
    """The same network, made to expect 2x − 1 for what it expected as x: by halved weights and shifted means."""
    name = "Conv2d_1a_3x3"
    weight = tensors[f"{name}.conv.weight"].double()
    mean = tensors[f"{name}.bn.running_mean"].double()
    changed = {
        f"{name}.conv.weight": (weight / 2).to(tensors[f"{name}.conv.weight"].dtype),
        f"{name}.bn.running_mean": (mean - weight.sum((1, 2, 3)) / 2).to(tensors[f"{name}.bn.running_mean"].dtype),
    }
    return {**tensors, **changed}


def test_the_folded_map_is_the_map(weights, network64):
    pictures = torch.rand(2, 3, 80, 90, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    mapped = Network(weights, CPU, torch.float64, "2x-1")
    for layer in ("Conv2d_1a_3x3", "Mixed_5b"):
        found = mapped.activations(pictures, {layer})[layer]
        torch.testing.assert_close(
            found, network64.activations(2 * pictures - 1, {layer})[layer], rtol=1e-10, atol=1e-10
        )


def test_a_trained_descent_is_the_articles_through_torchvisions_own_preprocessing(weights, model64):
    """Normalisation and `transform_input` together are 2x − 1."""
    start = start_noise(999, (75, 75))[None].double()
    network = Network(weights, CPU, torch.float64, "2x-1")
    (found,) = descend(network, [parse(TEXT)], TRAINED, start)
    foci = [(1, "Mixed_5b", (200, "whole"))]
    expected = oracle.article_render(model64, foci, TRAINED, transform_input=True, normalise=True)
    assert (found.image - expected).abs().max() < 1e-9
    assert (found.image - oracle.article_render(model64, foci, TRAINED)).abs().max() > 1e-3


def test_a_raw_recipe_gives_pixels_as_they_are_whatever_the_weights_expect(weights):
    one, other = (render(expecting(weights, input_map), RAW) for input_map in ("x", "2x-1"))
    assert one.pixels == other.pixels
    assert one.record == other.record
    assert one.record.to_json() == other.record.to_json()
    assert one.record.input == "x"


def test_a_trained_recipe_gives_what_the_weights_expect(weights):
    as_they_are, mapped = (render(expecting(weights, input_map)) for input_map in ("x", "2x-1"))
    assert as_they_are.pixels == render(weights, RAW).pixels
    assert mapped.pixels != as_they_are.pixels
    assert (as_they_are.record.input, mapped.record.input) == ("x", "2x-1")
    copy = Weights(replace(weights.id, input="2x-1"), folded_copy(weights.tensors))
    exact, same = render(expecting(weights, "x"), precision="fp64"), render(copy, precision="fp64")
    assert same.record.score_shown == pytest.approx(exact.record.score_shown, rel=1e-4)


# what the store makes of it


def test_digests_of_raw_recipes_are_those_from_before_there_was_a_choice(recipes):
    assert (recipes["octaves"].digest, recipes["quick"].digest) == ("6ced8996", "8e4ecb51")
    assert replace(recipes["quick"], input="trained").digest != recipes["quick"].digest


def test_weights_are_known_by_name_or_hash_and_other_files_expect_what_torchvision_trains(weights):
    assert DEMO_SHA256 in DEMO_FILE.with_name("README.md").read_text(encoding="utf-8")
    known = {
        WeightsId("imagenet", "a" * 64, ""): "2x-1",
        WeightsId("demo", "b" * 64, ""): "x",
        WeightsId("my-copy", DEMO_SHA256, ""): "x",
        WeightsId("mine", "c" * 64, ""): "2x-1",
    }
    assert {one: one.trained_input for one in known} == known


def test_what_a_user_says_of_a_file_has_a_path_of_its_own(weights, tmp_path):
    """Raw masters are shared by both; trained ones are told apart, and each is fresh for its own."""
    usual, said = (replace(weights.id, input=input_map) for input_map in (None, "x"))
    assert usual.trained_input == "2x-1"
    raw, trained = (Job(parse(TEXT), recipe, 999) for recipe in (RAW, TRAINED))
    assert master_path(tmp_path, usual, raw) == master_path(tmp_path, said, raw)
    paths = [master_path(tmp_path, one, trained) for one in (usual, said)]
    assert [path.name for path in paths] == ["Mixed_5b_0200.png", "Mixed_5b_0200~x.png"]
    for one, path in zip((usual, said), paths, strict=True):
        rendering = render(Weights(one, weights.tensors))
        write_master(path, rendering.pixels, rendering.record)
    write_weights_id(tmp_path, usual)
    for one, path in zip((usual, said), paths, strict=True):
        assert find_record(path, trained, one).input == one.trained_input
        other = said if one is usual else usual
        assert find_record(path, trained, other) is None
    assert check_store(tmp_path) == []
    paths[0].replace(paths[1])
    assert "belongs to" in check_store(tmp_path)[0]


def test_records_from_before_there_was_a_choice_are_raw_and_up_to_date(weights, tmp_path):
    rendering = render(weights, RAW)
    old = json.loads(rendering.record.to_json())
    assert old.pop("input") == "x"
    assert "input" not in old["weights"]
    record = read_json(json.dumps(old), Record)
    assert record == rendering.record
    assert record.is_of(Job(parse(TEXT), RAW, 999), weights.id)
    assert not record.is_of(Job(parse(TEXT), TRAINED, 999), replace(weights.id, input="2x-1"))


def test_the_note_of_the_weights_keeps_what_was_said(weights, tmp_path):
    plain = replace(weights.id, input=None)
    assert noted_input(tmp_path, plain) is None
    write_weights_id(tmp_path, replace(plain, input="x"))
    assert json.loads((tmp_path / plain.folder / WEIGHTS_FILE).read_text())["input"] == "x"
    assert noted_input(tmp_path, plain) == "x"
    known = replace(plain, name="imagenet", input="x")
    write_weights_id(tmp_path, known)
    assert noted_input(tmp_path, known) is None  # what is known of weights is not noted
    old = {"name": plain.name, "sha256": plain.sha256, "note": plain.note}
    (tmp_path / plain.folder / WEIGHTS_FILE).write_text(json.dumps(old))
    assert read_weights_id(tmp_path / plain.folder / WEIGHTS_FILE).trained_input == "2x-1"


# configuration and command line


def test_a_configuration_says_what_its_weights_expect(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[atlas]\nweights = "mine.pth"\nweights_input = "x"\n[recipes.a]\ninput = "trained"\n'
                    "octaves = [{ size = 75, steps = 1, lr = [0.1, 0.1] }]\n")  # fmt: skip
    config = load_config(str(file))
    assert config.weights_input == "x"
    assert config.recipes["a"].input == "trained"
    assert override(config, weights="imagenet").weights_input is None  # what the file says is of its own weights
    assert override(config, weights="other.pth", weights_input="2x-1").weights_input == "2x-1"
    with pytest.raises(ConfigError, match=r'--weights-input "2x": allowed: x, 2x-1'):
        override(config, weights_input="2x")
    file.write_text('[atlas]\nweights_input = "2x"\n')
    with pytest.raises(ConfigError, match="weights_input"):
        load_config(str(file))


def test_what_a_file_of_weights_is_taken_to_expect_is_said_until_somebody_says_it(weights_file, tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text(
        f"[atlas]\nweights = {str(weights_file)!r}\nstore = 'store'\n[recipes.a]\ninput = 'trained'\ngradient = 'rms'\n"
        "octaves = [{ size = 75, steps = 2, lr = [0.1, 0.1] }]\n"
    )

    def go(*more):
        arguments = ["render", "Conv2d_1a_3x3[3]", "--config", str(file), "--recipe", "a", *more]
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        return result

    said = "assuming that they expect 2x - 1"
    first = go()
    assert said in first.stderr
    assert read_record(Path(first.stdout.strip())).input == "2x-1"
    assert said not in go().stderr  # the store notes it
    second = go("--weights-input", "x")
    assert said not in second.stderr
    assert second.stdout.strip().endswith("~x.png")
    assert open_master(Path(second.stdout.strip()))[1].input == "x"
    safetensors.torch.load_file(weights_file)  # and the file is as it was
