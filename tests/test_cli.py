"""The command line: help, messages, exit codes, and whole runs on real weights at small sizes."""

import errno
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
import typer.main
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

import oracle
from atlas import __version__
from atlas.cli import app
from atlas.cli.console import LOST_BASE_URL, rendered_line
from atlas.common.errors import RESUME, WeightsError
from atlas.inception.layers import LAYERS
from atlas.plan import jobs as planning
from atlas.rendering.descent import to_pixels
from atlas.rendering.weight_files import find_state_dict
from atlas.rendering.weights import load_weights
from atlas.store.forecast import Forecast
from atlas.store.masters import list_masters, open_master
from atlas.studies import load_config
from make_docs import DOCS

COMMANDS = ["layers", "plan", "render", "raster", "dream", "examples", "site", "serve", "check", "bench", "build"]
TINY = """
[atlas]
title = "Tiny"
weights = {weights!r}
store = "store"
site = "out"
[features]
layers = ["Conv2d_2a_3x3", "Mixed_5b", "Mixed_6b", "Mixed_7a"]
count = 3
recipe = "tiny"
only = true
[dead]
features = 0
[recipes.tiny]
gradient = "rms"
octaves = [
  {{ size = 75, steps = 3, lr = [0.05, 0.02], sigma = [1, 0.5] }},
  {{ size = 80, steps = 2, lr = [0.02, 0.01] }},
]
"""


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def config(weights_file, tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text(TINY.format(weights=str(weights_file)))
    return file


def parameters(command):
    return typer.main.get_command(app).commands[command].params


def test_the_commands_are_these():
    assert sorted(typer.main.get_command(app).commands) == sorted(COMMANDS)
    assert run("--version").output.strip() == f"atlas {__version__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_help(command):
    assert run(command, "--help").exit_code == 0
    assert typer.main.get_command(app).commands[command].help
    assert [p.name for p in parameters(command) if not getattr(p, "help", None)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    assert f"atlas {command}" in readme


def test_layers():
    rows = json.loads(run("layers", "--json").stdout)
    assert len(rows) == 16
    assert rows[9] == {
        "layer": "Mixed_6b",
        "region": "middle-mixed",
        "features": 768,
        "grid": [17, 17],
        "gflop_per_step": 12.46,
    }
    assert re.search(r"Mixed_7c\s+late-mixed\s+2,048\s+8×8\s+22.84", run("layers").stdout)


def test_a_target_is_rendered_at_another_size_and_length(tmp_path):
    arguments = ["--weights", "demo", "--store", tmp_path, "--device", "cpu"]
    result = run("render", "Conv2d_1a_3x3[3]", "--recipe", "small", "--size", "96", "--steps", "2", *arguments)
    record = open_master(Path(result.stdout.strip()))[1]
    assert [(octave["size"], octave["steps"]) for octave in record.recipe["octaves"]] == [(77, 2), (96, 2)]
    assert "--size and --steps are for targets" in run("render", "--size", "96", *arguments).output
    assert (
        'recipe "small": the network would see'
        in run("render", "Mixed_5b[1]", "--recipe", "small", "--size", "80", *arguments).output
    )


def test_plan_counts_without_loading_weights(tmp_path):
    output = run("plan", "--store", tmp_path / "none", "--features", "0-15,654", "--features-only").stdout
    assert re.search(r"Mixed_6b\s+17\s+0\s+17", output)
    assert re.search(r"Conv2d_1a_3x3\s+16\s+0\s+16", output)
    assert re.search(r"fc\s+17\s+0\s+17", output)
    assert re.search(r"all\s+281\s+0\s+281\s+\d\.\d\d PFLOP", output)
    assert re.search(r"crisp\s+213\s+\d\.\d\d PFLOP\s+[\d.]+ \w+\ncrisp-large\s+68 ", output)
    assert re.search(r"all\s+281\s+\d\.\d\d PFLOP\s+[\d.]+ \w+\ndevice +\w+", output)


USAGE = [
    (["render", "Mixed_6b[654]", "--features", "3"], "exclude each other"),
    (["render", "Mixed_6b[654]", "--layers", "Mixed_6b"], "exclude each other"),
    (["render", "Mixed_6b[768]"], "its 768 features are 0 to 767"),
    (["render", "Mixed_6b[654, 17, :]"], "rows are 0 to 16"),
    (["render", "Mixed_6b[1]", "--recipe", "octave"], 'did you mean "octaves"?'),
    (["render", "Mixed_6b[1]", "--batch-size", "none"], '--batch-size "none"'),
    (["render", "Mixed_6b[1]", "--batch-size", "0"], '--batch-size "0"'),
    (["render", "Mixed_6b[1]", "--device", "tpu"], "allowed: auto, cpu, cuda"),
    (["render", "Mixed_6b[1]", "--device", "cpu", "--precision", "tf32"], "on cpu, allowed: auto, fp64, fp32, bf16"),
    (["render", "Mixed_6b[1]", "--shard", "0/3"], "write I/N"),
    (["render", "--config", "nowhere.toml"], "the presets are article, demo"),
    (["plan", "--layers", "Mixed_5z"], '--layers "Mixed_5z": no layer is called'),
    (["plan", "--seed", "-1"], "--seed"),
    (["nonsense"], "nonsense"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_mistakes_of_usage_exit_2_and_say_what(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_batch_size_that_is_refused_is_in_the_log(tmp_path):
    result = run("render", "Mixed_6b[1]", "--batch-size", "0", "--log-file", tmp_path / "log")
    words = '--batch-size "0": allowed: auto, or a number from 1 to 4096'
    assert (result.exit_code, result.stderr) == (2, f"atlas: {words}\n")
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["message"] == words


def test_without_a_gpu_hours_are_refused_unless_meant(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    folders = ["--store", tmp_path / "store", "--out", tmp_path / "site"]
    result = run("build", "--features", "all", "--features-only", *folders)
    assert result.exit_code == 2
    assert "43.61 PFLOP" in result.output
    assert "no GPU can be used" in result.output
    assert "--device cpu" in result.output
    assert not (tmp_path / "site").exists()


def test_cuda_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    result = run("render", "Mixed_6b[1]", "--device", "cuda:1")
    assert result.exit_code == 2
    assert "use --device cpu" in result.output


def test_a_target_in_fp64_is_the_articles_picture(config, weights_file, model64, tmp_path):
    """The whole way from the command line to the master, against the article's code with the same file."""
    result = run("render", "Mixed_6b[654]", "--config", config, "--precision", "fp64", "--recipe", "octaves_small")
    assert result.exit_code == 2
    assert "octaves" in result.output
    config.write_text(
        config.read_text()
        + "[recipes.octaves_small]\noctaves = [\n"
        + "{ size = 75, steps = 5, lr = [0.4, 0.3], sigma = [2.4, 0.8] },\n"
        + "{ size = 85, steps = 5, lr = [0.3, 0.2], sigma = [1.5, 0.4] },\n"
        + "{ size = 95, steps = 5, lr = [0.2, 0.1], sigma = [1.1, 0.3] },\n]\n"
    )
    result = run("render", "Mixed_6b[654]", "--config", config, "--precision", "fp64", "--recipe", "octaves_small")
    assert result.exit_code == 0
    picture, record = open_master(Path(result.stdout.strip()))
    recipe = _recipe_of(record)
    expected = to_pixels(oracle.article_render(model64, [(1, "Mixed_6b", (654, "whole"))], recipe))
    assert picture.tobytes() == expected.permute(1, 2, 0).contiguous().numpy().tobytes()
    assert record.weights.name == "trial"
    assert record.numerics.precision == "fp64"


def _recipe_of(record):
    from atlas.plan.recipes import Octave, Recipe

    octaves = [Octave(o["size"], o["steps"], tuple(o["lr"]), tuple(o["sigma"])) for o in record.recipe["octaves"]]
    return Recipe(record.recipe_name, tuple(octaves))


def test_every_kind_of_target_renders_and_paths_are_printed_in_order(config):
    texts = [
        "Mixed_6b[654]",
        "Mixed_5b[7, 3, :]",
        "Mixed_5b[7, 3, 3]",
        "Mixed_5b[7, :10]",
        "Mixed_6b[:]",
        "Mixed_6a[199] + Mixed_6b[201]",
        "0.3*Mixed_6a[199] + 0.7*Mixed_6b[201]",
    ]
    result = run("render", *texts, "--config", config, "--batch-size", "2", "--seed", "7")
    assert result.exit_code == 0
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert [open_master(path)[1].target for path in paths] == texts
    assert all(path.stem.endswith("~s7") for path in paths)
    again = run("render", *texts, "--config", config, "--batch-size", "2", "--seed", "7")
    assert rendered_line(0, 7) in again.stderr
    assert again.stdout == result.stdout


def test_named_targets_are_rendered_without_padding_and_an_interruption_changes_nothing(config, tmp_path):
    """Three features, two of them of one branch: a batch of two and one of one, whichever are there already."""
    named = ["Mixed_5b[0]", "Mixed_5b[1]", "Mixed_5b[70]"]
    paths = [Path(line) for line in run("render", *named, "--config", config).stdout.splitlines()]
    assert [open_master(path)[1].numerics.batch_size for path in paths] == [2, 2, 1]
    before = [path.read_bytes() for path in paths]
    paths[1].unlink()
    assert run("render", *named, "--config", config).exit_code == 0
    assert [path.read_bytes() for path in paths] == before
    alone = run("render", "Mixed_5b[1]", "--config", config, "--store", tmp_path / "alone").stdout.strip()
    assert open_master(Path(alone))[1].numerics.batch_size == 1
    by_the_table = run("render", "--config", config, "--store", tmp_path / "table").stdout.splitlines()
    assert {open_master(Path(path))[1].numerics.batch_size for path in by_the_table} == {2, 4}


def test_shards_render_disjoint_parts(config, tmp_path):
    stores = [tmp_path / "one", tmp_path / "two"]
    for number, store in enumerate(stores, 1):
        assert run("render", "--config", config, "--store", store, "--shard", f"{number}/2").exit_code == 0
    one, two = ({path.name for path in list_masters(store)} for store in stores)
    assert not one & two
    assert len(one | two) == 12


def test_a_failed_target_exits_1_and_the_rest_is_there(config):
    config.write_text(config.read_text() + "[recipes.wild]\noctaves = [{ size = 75, steps = 3, lr = [1e38, 1e38] }]\n")
    result = run("render", "Mixed_5b[3]", "Mixed_5b[1]", "--config", config, "--recipe", "wild")
    assert result.exit_code == 1
    assert "failed: Mixed_5b[3]: the image went non-finite in octave 1, step" in result.stderr
    assert len(result.stdout.splitlines()) == 2


def test_build_check_and_rebuild(config, tmp_path):
    result = run("build", "--config", config)
    assert result.exit_code == 0
    assert "12 to make" in result.stderr
    assert (tmp_path / "out" / "Mixed_6b" / "2" / "index.html").is_file()
    assert run("check", "--config", config).exit_code == 0
    files = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    again = run("build", "--config", config)
    assert rendered_line(0, 12) in again.stderr
    assert "(0 encoded)" in again.stderr
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == files
    assert run("site", "--config", config).exit_code == 0
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == files
    avif = sum(path.suffix == ".avif" and path.name != "stages.avif" for path in files)
    assert f"({avif} encoded)" in run("site", "--config", config, "--fine").stderr
    assert "(0 encoded)" in run("build", "--config", config, "--fine").stderr
    victim = next(list_masters(tmp_path / "store"))
    victim.write_bytes(victim.read_bytes()[:-30])
    (tmp_path / "out" / "Mixed_6b" / "1" / "index.html").unlink()
    spoilt = run("check", "--config", config)
    assert spoilt.exit_code == 1
    assert str(victim) in spoilt.stdout
    assert "Mixed_6b/1/index.html" in spoilt.stdout


def test_what_check_says_to_render_again_is_rendered_again(config, tmp_path):
    assert run("build", "--config", config).exit_code == 0
    victim = next(list_masters(tmp_path / "store"))
    whole = victim.read_bytes()
    with Image.open(victim) as image:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("atlas", image.info["atlas"])
        image.putpixel((3, 3), (1, 2, 3))
        image.save(victim, pnginfo=info)
    told = run("check", "--config", config)
    assert (told.exit_code, "was edited; render it again" in told.stdout) == (1, True)
    again = run("build", "--config", config)
    assert rendered_line(1, 11) in again.stderr
    assert victim.read_bytes() == whole
    assert run("check", "--config", config).exit_code == 0


def test_other_weights_in_the_same_file_are_not_taken_for_fresh(config, weights, weights_file, tmp_path):
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(weights_file.read_bytes())
    assert run("render", "--config", config, "--weights", mine).exit_code == 0
    other = {name: tensor.clone() for name, tensor in weights.tensors.items()}
    other["Conv2d_1a_3x3.conv.weight"] *= -1
    safetensors.torch.save_file(other, mine)
    assert re.search(r"all\s+12\s+0\s+12", run("plan", "--config", config, "--weights", mine).stdout)
    assert rendered_line(12, 0) in run("render", "--config", config, "--weights", mine).stderr


def test_a_lost_note_of_the_weights_comes_back(config, tmp_path):
    assert run("build", "--config", config).exit_code == 0
    (note,) = (tmp_path / "store").glob("*/weights.json")
    before = note.read_bytes()
    note.unlink()
    assert run("check", "--config", config).exit_code == 1
    assert rendered_line(0, 12) in run("build", "--config", config).stderr
    assert note.read_bytes() == before


def test_a_site_is_not_replaced_by_an_empty_one(config, tmp_path):
    assert run("build", "--config", config).exit_code == 0
    pictures = sorted((tmp_path / "out").rglob("*.avif"))
    result = run("site", "--config", config, "--weights", "typo.pth")
    assert result.exit_code == 2
    assert "would lose its pictures" in result.output
    assert sorted((tmp_path / "out").rglob("*.avif")) == pictures


def test_a_bad_folder_for_the_site_is_refused_before_anything_is_rendered(config, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    assert run("build", "--config", config, "--out", tmp_path / "taken").exit_code == 4
    for inside in (tmp_path / "store", tmp_path / "store" / "site", tmp_path):
        result = run("build", "--config", config, "--out", inside)
        assert result.exit_code == 2
        assert "contain each other" in result.output
    assert not (tmp_path / "store").exists()


def test_a_bare_check_finds_a_store_inside_the_store(config, tmp_path, monkeypatch):
    """As after `make demo`, whose store is renders/demo."""
    arguments = ["--store", tmp_path / "renders" / "demo", "--out", tmp_path / "site"]
    assert run("build", "--config", config, *arguments).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert run("check").exit_code == 0
    next(list_masters(tmp_path / "renders")).write_bytes(b"")
    assert run("check").exit_code == 1


def test_many_threads_do_not_talk_the_refusal_away(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert run("build", "--features", "all", "--threads", "1000", "--store", tmp_path).exit_code == 2


def test_the_first_round_is_shown_while_the_rest_is_pending(config, tmp_path, monkeypatch):
    from atlas.site import build as site_build

    seen = []
    original = site_build.build_site

    def spy(*arguments, **options):
        report = original(*arguments, **options)
        seen.append(report.pending)
        return report

    monkeypatch.setattr("atlas.pipeline.build_site", spy)
    assert run("build", "--config", config, "--batch-size", "2").exit_code == 0
    assert seen == [4, 0]


def test_a_site_that_loses_its_base_url_says_so_even_in_two_builds(config):
    assert run("site", "--config", config, "--base-url", "https://example.org/atlas/").exit_code == 0
    lost = f"warning: {LOST_BASE_URL}"
    assert lost in run("build", "--config", config, "--batch-size", "2", "--quiet").output
    assert lost not in run("site", "--config", config).output


def test_interrupting_says_how_to_go_on(config, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("atlas.rendering.outcomes.write_master", interrupt)
    result = run("render", "Mixed_5b[1]", "--config", config)
    assert result.exit_code == 130
    assert RESUME in result.output


def test_a_store_that_cannot_be_written_exits_4(config, tmp_path):
    (tmp_path / "taken").write_text("a file")
    result = run("render", "Mixed_5b[1]", "--config", config, "--store", tmp_path / "taken")
    assert result.exit_code == 4
    assert str(tmp_path / "taken") in result.output


def test_weights_that_are_wrong_exit_3(config, tmp_path, weights):
    def message(weights_path):
        result = run("render", "Mixed_5b[1]", "--config", config, "--weights", weights_path)
        assert result.exit_code == 3
        return result.output

    assert "no such file" in message(tmp_path / "none.pth")
    (tmp_path / "net.safetensors").write_bytes(b"not one")
    assert "net.safetensors: not a plain state dict" in message(tmp_path / "net.safetensors")
    (tmp_path / "net.bin").write_bytes(b"\x02" + bytes(7) + b"{")
    assert "not a whole safetensors file" in message(tmp_path / "net.bin")
    for content in (b"not one either", b"", b"PK", b"PK\x03\x04" + b"x" * 99, b"\x80\x02", b"<html>404</html>"):
        (tmp_path / "net.pth").write_bytes(content)
        assert "net.pth: not a " in message(tmp_path / "net.pth")
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    assert "it has epoch" in message(tmp_path / "other.pth")
    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    assert "(it holds setattr), and anything else could run code" in message(tmp_path / "evil.pth")
    assert not Evil.ran
    torch.save({"state_dict": {"conv1.weight": torch.zeros(2)}, "epoch": 3}, tmp_path / "resnet.ckpt")
    assert "it has conv1.weight" in message(tmp_path / "resnet.ckpt")
    torch.save([1, 2], tmp_path / "list.pth")
    assert "not a state dict" in message(tmp_path / "list.pth")
    short = {k: v for k, v in weights.tensors.items() if not k.startswith("Mixed_7c")}
    short["Mixed_5b.branch1x1.conv.weight"] = torch.zeros(3, 3)
    torch.save(short, tmp_path / "short.pth")
    torch.save({"model": {f"module.{name}": tensor for name, tensor in short.items()}}, tmp_path / "short.ckpt")
    assert "short.ckpt, key model, prefix module.: not torchvision's InceptionV3" in message(tmp_path / "short.ckpt")
    told = message(tmp_path / "short.pth")
    assert "Mixed_5b.branch1x1.conv.weight is (3, 3), not (64, 192, 1, 1)" in told
    assert "tensors not as expected" in told


class Evil:
    """Would leave a trace if its pickle were trusted."""

    ran = False

    def __reduce__(self):
        return setattr, (Evil, "ran", True)


@pytest.mark.parametrize("name", ["half.pth", "half.PT", "half.pth.tar", "half.ckpt", "half.bin", "half.safetensors"])
@pytest.mark.parametrize("save", [torch.save, safetensors.torch.save_file])
def test_weights_are_read_by_what_their_file_holds(name, save, weights, tmp_path):
    """In half precision and with fc, too."""
    tensors = {name: tensor.half() for name, tensor in weights.tensors.items()}
    tensors |= {"fc.weight": torch.zeros(1000, 2048).half(), "AuxLogits.fc.bias": torch.zeros(1000).half()}
    save(tensors, tmp_path / name)
    found = load_weights(str(tmp_path / name))
    assert (found.id.name, found.id.note) == ("half", f"weights from the file {name}")
    assert found.tensors.keys() == weights.tensors.keys()


def with_prefix(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


CHECKPOINTS = {
    "prefix module. removed": lambda t: with_prefix("module.", t),
    "prefix _orig_mod.module. removed": lambda t: with_prefix("_orig_mod.module.", t),
    "prefix backbone. removed": lambda t: with_prefix("backbone.", t) | {"head.weight": torch.zeros(2)},
    "from key state_dict": lambda t: {"epoch": 3, "state_dict": t, "optimizer": {"state": {0: {"step": 1}}}},
    "prefix model. removed; from key model_state_dict": lambda t: {"model_state_dict": with_prefix("model.", t)},
    "from key trainer.model": lambda t: {"trainer": {"model": t}},
    "from key \\u202e\\n": lambda t: {"\u202e\n": t},
}


@pytest.mark.parametrize("note", CHECKPOINTS)
def test_a_checkpoint_is_taken_where_nothing_is_ambiguous(note, weights, tmp_path):
    torch.save(CHECKPOINTS[note](dict(weights.tensors)), tmp_path / "net.pth")
    found = load_weights(str(tmp_path / "net.pth"))
    assert found.id.note == f"weights from the file net.pth; {note}"
    assert all(torch.equal(tensor, weights.tensors[name]) for name, tensor in found.tensors.items())


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (lambda t: {"state_dict": t, "state_dict_ema": dict(t)}, "key state_dict; key state_dict_ema"),
        (
            lambda t: {"model": with_prefix("net.", t) | with_prefix("ema.", t)},
            "key model, prefix ema.; key model, prefix",
        ),
    ],
)
def test_a_checkpoint_with_two_networks_is_refused_with_both(make, places, weights, tmp_path):
    torch.save(make({name: tensor + 0 for name, tensor in weights.tensors.items()}), tmp_path / "net.pth")
    with pytest.raises(WeightsError, match="Save the one that you mean alone") as caught:
        load_weights(str(tmp_path / "net.pth"))
    assert places in str(caught.value)


def test_a_state_dict_is_taken_whatever_else_its_file_holds(weights):
    names = list(weights.tensors)
    plain = dict.fromkeys(names, "plain")
    assert find_state_dict({**plain, **dict.fromkeys((f"ema.{name}" for name in names), "ema")}, names, "").note == ""
    assert find_state_dict({**plain, "state_dict": plain}, names, "").note == ""


def test_a_state_dict_that_a_file_holds_twice_is_named_by_its_shortest_key(weights):
    names = list(weights.tensors)
    plain = dict.fromkeys(names, "plain")
    assert find_state_dict({"trainer": {"best": plain}, "model": plain}, names, "").key == "model"


def test_a_checkpoint_that_holds_itself_ends(weights):
    circle = {}
    circle |= {f"key{number}": circle for number in range(100)}
    assert find_state_dict(circle, list(weights.tensors), "").tensors is circle


def test_weights_of_fid_are_taken_with_a_line_about_their_pools(weights, tmp_path):
    torch.save({**weights.tensors, "fc.weight": torch.zeros(1008, 2048)}, tmp_path / "fid.pth")
    arguments = ["--weights", tmp_path / "fid.pth", "--store", tmp_path / "store", "--recipe", "quick"]
    result = run("render", "Conv2d_1a_3x3[0]", *arguments, "--batch-size", "1", "--device", "cpu")
    assert result.exit_code == 0
    assert result.stderr.count("that network's average pools leave out the padding") == 1
    assert "Mixed_7c has a max pool instead" in load_weights(str(tmp_path / "fid.pth")).id.note


def test_imagenet_weights_that_cannot_be_reached_exit_3_with_three_ways_on(tmp_path, monkeypatch):
    from urllib.error import URLError

    def refuse(*_arguments, **_options):
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    result = run("render", "Conv2d_1a_3x3[0]", "--recipe", "quick", "--store", tmp_path / "store", "--device", "cpu")
    assert result.exit_code == 3
    for way in ("--weights FILE", "folder", "--weights demo", "no network"):
        assert way in result.output
    assert not list(list_masters(tmp_path / "store"))


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR])
def test_a_folder_that_cannot_keep_the_imagenet_weights_is_named(code, tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(code, os.strerror(code), str(tmp_path))

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", lambda *_: pytest.fail("the network was asked"))
    monkeypatch.setattr("os.makedirs", refuse)
    result = run("render", "Conv2d_1a_3x3[0]", "--recipe", "quick", "--store", tmp_path / "store", "--device", "cpu")
    assert result.exit_code == 3
    named = f"{tmp_path / 'hub' / 'checkpoints'}: the ImageNet weights cannot be kept there: {os.strerror(code)}; "
    assert named + "set TORCH_HOME to a folder that can be written" in result.output
    assert "cannot be reached" not in result.output


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError("timed out"), http.client.IncompleteRead(b"")])
def test_a_network_that_breaks_off_is_not_the_folders_fault(error, tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    result = run("render", "Conv2d_1a_3x3[0]", "--recipe", "quick", "--store", tmp_path / "store", "--device", "cpu")
    assert (result.exit_code, "cannot be reached" in result.output) == (3, True)


@pytest.fixture
def published(tmp_path, monkeypatch, weights):
    """Publish a file under the name of its hash, as torchvision does, at a file:// address."""
    from torchvision.models import Inception_V3_Weights

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    def publish(digest=None):
        file = tmp_path / "net.pth"
        torch.save(dict(weights.tensors), file)
        digest = digest or hashlib.sha256(file.read_bytes()).hexdigest()[:8]
        named = file.rename(tmp_path / f"net-{digest}.pth")
        member = Inception_V3_Weights.IMAGENET1K_V1
        monkeypatch.setattr(member, "_value_", replace(member.value, url=named.as_uri()))
        return tmp_path / "home" / "hub" / "checkpoints" / named.name

    return publish


IMAGENET = ["render", "Conv2d_1a_3x3[0]", "--recipe", "quick", "--device", "cpu", "--batch-size", "1"]


def test_imagenet_weights_are_downloaded_once_and_named_by_their_hash(published, tmp_path, monkeypatch):
    cached = published()
    result = run(*IMAGENET, "--store", tmp_path / "store")
    assert result.exit_code == 0
    digest = hashlib.sha256(cached.read_bytes()).hexdigest()
    assert f"imagenet-{digest[:8]}" in result.stdout
    monkeypatch.setattr("torch.hub.urlopen", None)
    assert run(*IMAGENET, "--store", tmp_path / "other").exit_code == 0


def test_a_download_with_another_hash_is_refused(published, tmp_path):
    published("00000000")
    result = run(*IMAGENET, "--store", tmp_path / "store")
    assert result.exit_code == 3
    assert "invalid hash" in result.output


def test_a_cached_file_with_another_hash_is_refused_before_it_is_read(published, tmp_path):
    cached = published()
    cached.parent.mkdir(parents=True)
    torch.save({"model": Evil()}, cached)
    result = run(*IMAGENET, "--store", tmp_path / "store")
    assert result.exit_code == 3
    assert "delete it and try again" in result.output
    assert not Evil.ran


@pytest.mark.parametrize("file", DOCS, ids=lambda file: file.name)
def test_pages_that_are_written_from_help_and_docstrings_are_current(file):
    assert file.read_text(encoding="utf-8") == DOCS[file](), "run make docs"


def test_a_reader_that_has_seen_enough_is_no_fault_of_a_disk():
    command = f"{sys.executable} -m atlas layers --json | true"
    for _ in range(3):
        assert subprocess.run(command, shell=True, capture_output=True, text=True).stderr == ""


def test_what_is_known_to_be_pending_makes_a_forecast():
    jobs = tuple(planning.feature_jobs(load_config("demo")))
    ahead = Forecast(jobs, (jobs[3],))
    assert (ahead.fresh, ahead.flops) == (len(jobs) - 1, jobs[3].flops)
    parts = ahead.by_layer()
    assert list(parts) == [layer.name for layer in LAYERS if layer.name in {job.target.deepest for job in jobs}]
    assert [part.flops > 0 for part in parts.values()] == [True] + [False] * (len(parts) - 1)
