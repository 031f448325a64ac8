"""Numbers that are none, in weights, photographs and by learning rates; and memory that runs out beyond a descent."""

import io
import re

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import torture
from atlas.common.errors import ConfigError
from atlas.store.masters import list_masters, open_master
from atlas.store.picture_files import decode
from atlas.studies.influence import measure as influence
from atlas.studies.shared import context as contexts
from test_cli import run
from torture import final_files

WILD = """
[atlas]
weights = {weights!r}
[features]
layers = ["Conv2d_1a_3x3", "Mixed_5b"]
count = 2
recipe = "wild"
only = true
[dead]
features = 0
[recipes.wild]
octaves = [{{ size = 75, steps = 4, lr = [{lr}, {lr}] }}]
"""


def build(config, folder):
    where = ["--store", folder / "store", "--out", folder / "site", "--device", "cpu", "--threads", "1"]
    return run("build", "--config", config, *where)


# Weights


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("Mixed_7c.branch1x1.conv.weight", float("nan"), "holds NaN or infinity"),
        ("Conv2d_1a_3x3.bn.bias", float("inf"), "holds NaN or infinity"),
        ("Mixed_5b.branch1x1.bn.running_var", -1.0, "holds a variance below 0"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(name, value, words, weights, tmp_path):
    spoilt = {key: tensor.clone().contiguous() for key, tensor in weights.tensors.items()}
    spoilt[name].view(-1)[1] = value
    file = tmp_path / "spoilt.safetensors"
    safetensors.torch.save_file(spoilt, file)
    result = run("render", "Mixed_5b[0]", "--weights", file, "--store", tmp_path / "store", "--device", "cpu")
    assert result.exit_code == 3
    assert f"{name} {words}" in result.output
    assert not list(list_masters(tmp_path / "store"))


def test_weights_that_lead_beyond_all_numbers_fail_with_the_step_and_the_page_says_so(weights, tmp_path):
    """Each is finite, and the second layer's activations are not."""
    huge = {key: tensor.clone().contiguous() for key, tensor in weights.tensors.items()}
    for name in ("Conv2d_1a_3x3.conv.weight", "Conv2d_2a_3x3.conv.weight"):
        huge[name] *= 1e30
    file = tmp_path / "huge.safetensors"
    safetensors.torch.save_file(huge, file)
    config = tmp_path / "atlas.toml"
    config.write_text(WILD.format(weights=str(file), lr=0.5))
    result = build(config, tmp_path)
    assert result.exit_code == 1
    check_failures(tmp_path, ["Mixed_5b/0", "Mixed_5b/1"], result.output)


# Learning rates


def test_a_learning_rate_beyond_all_numbers_fails_with_the_step_and_the_page_says_so(weights_file, tmp_path):
    config = tmp_path / "atlas.toml"
    config.write_text(WILD.format(weights=str(weights_file), lr="1e38"))
    result = build(config, tmp_path)
    assert result.exit_code == 1
    check_failures(tmp_path, ["Conv2d_1a_3x3/0", "Mixed_5b/0"], result.output)


def check_failures(folder, features, output):
    for feature in features:
        page = (folder / "site" / feature / "index.html").read_text()
        assert re.search(r"became infinite or NaN in octave 1, at step \d", page), feature
        assert 'data-status="failed"' in page
        target = feature.replace("/", "[") + "]"
        assert f"failed: {target}: the image went non-finite in octave 1, step" in output
    assert run("check", "--store", folder / "store", "--site", folder / "site").exit_code == 0


def test_a_learning_rate_of_a_million_never_shows_one_colour_without_a_word(weights_file, tmp_path):
    """The network is piecewise linear: pictures of millions are finite, and clipped to [0, 1] they are colourful."""
    config = tmp_path / "atlas.toml"
    config.write_text(WILD.format(weights=str(weights_file), lr="1e6"))
    result = build(config, tmp_path)
    assert result.exit_code in (0, 1)
    masters = list(list_masters(tmp_path / "store"))
    assert len(masters) == 4
    for master in masters:
        picture, record = open_master(master)
        page = (tmp_path / "site" / record.target.replace("[", "/").rstrip("]") / "index.html").read_text()
        is_plain = all(most - least < 8 for least, most in picture.getextrema())
        assert f'data-status="{record.status}"' in page
        assert record.status != "ok" or not is_plain


# Photographs


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_photograph_with_numbers_that_are_none_is_refused(value, tmp_path):
    """Of all kinds that are read, TIFF alone can hold them."""
    grey = np.linspace(0, 1, 90 * 90, dtype=np.float32).reshape(90, 90)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "TIFF")
    assert decode(buffer.getvalue(), tmp_path / "a.tif").picture.getextrema()[0] == (0, 255)
    grey[3, 3] = value
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "TIFF")
    with pytest.raises(ConfigError, match=r"a\.tif: .*NaN or infinity"):
        decode(buffer.getvalue(), tmp_path / "a.tif")


# Memory


OUT = [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()]


@pytest.mark.parametrize("error", OUT, ids=["cuda", "host"])
def test_gradients_of_studies_are_taken_in_halves(error, studied, monkeypatch):
    from atlas.inception.targets import parse
    from atlas.plan.jobs import Job
    from atlas.store.results import Results

    context = contexts.MeasureContext(Results(studied.config, studied.renderer.weights.id), studied.renderer)
    recipe = studied.config.recipes["small"]
    targets = [parse(f"Mixed_5b[{f}]") for f in range(5)]
    pictures = [context.start(Job(target, recipe, 999)) for target in targets]
    calm = context.gradients(targets, pictures, (76, 76), "raw")
    take, asked = contexts.MeasureContext._gradients, []

    def cramped(self, targets, *arguments):
        asked.append(len(targets))
        if len(targets) > 1:
            raise error
        return take(self, targets, *arguments)

    monkeypatch.setattr(contexts.MeasureContext, "_gradients", cramped)
    found = context.gradients(targets, pictures, (76, 76), "raw")
    assert asked == [4, 2, 1, 1, 1, 1, 1]
    for one, other in zip(calm, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


def test_a_build_goes_on_where_memory_runs_out_and_the_next_one_makes_up_for_it(classified_file, tmp_path, monkeypatch):
    """In a descent, in the judge after it, in a study, in a video, and while a master is encoded."""
    from atlas import pipeline
    from atlas.rendering import outcomes as execute
    from atlas.rendering import renderer

    config = torture.write_tiny_atlas(tmp_path, classified_file)
    assert build(config, tmp_path / "calm").exit_code == 0

    def never(*_, **__):
        raise MemoryError

    write, judge = execute.write_master, renderer.judge

    def cramped_write(path, *arguments):
        if path.name == "Conv2d_1a_3x3_0000.png":
            raise MemoryError
        write(path, *arguments)

    def cramped_judge(network, targets, *arguments):
        if any(str(target) == "Mixed_5b[1]" for target in targets):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return judge(network, targets, *arguments)

    monkeypatch.setattr(execute, "write_master", cramped_write)
    monkeypatch.setattr(renderer, "judge", cramped_judge)
    monkeypatch.setattr(influence, "measure_influence", never)
    monkeypatch.setattr(pipeline, "encode_clip", never)
    result = build(config, tmp_path / "cramped")
    assert result.exit_code in (1, 5)
    for words in (
        "failed: Conv2d_1a_3x3[0]: out of memory even alone",
        "failed: Mixed_5b[1]: out of memory even alone",
        "failed: study influence: out of memory",
        "failed: the video of Mixed_5b[3]: out of memory",
    ):
        assert words in result.output
    assert "pending" in (tmp_path / "cramped" / "site" / "Mixed_5b" / "1" / "index.html").read_text()
    monkeypatch.undo()
    assert build(config, tmp_path / "cramped").exit_code == 0
    for folder in ("store", "site"):
        assert final_files(tmp_path / "cramped" / folder).keys() == final_files(tmp_path / "calm" / folder).keys()
