"""The weights that ship with the project: whole, small, and really trained."""

import re

import pytest
import torch
from typer.testing import CliRunner

from atlas.cli import app
from atlas.common.errors import WeightsError
from atlas.demo.pictures import draw
from atlas.inception.targets import feature_target
from atlas.plan.jobs import Job
from atlas.rendering import weights as loading
from atlas.rendering.model import Network
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.renderer import Renderer
from atlas.studies import load_config
from atlas.studies.examples.pictures import PictureSource, draw_pictures
from atlas.studies.examples.scan import scan_pictures
from known_answers import best_of_pictures
from test_input import folded_copy
from train_demo_weights import TEST_SEED, measure, shipped

CPU = torch.device("cpu")
SMALL_SAMPLE = 400  # pictures; the card's figure is of 2,000
MARGIN = 0.05  # below the card's figure: more than twice the standard error of the small sample


@pytest.fixture(scope="module")
def network():
    return shipped()


@pytest.mark.parametrize("size", [128, 160])
def test_accuracy_on_fresh_pictures_is_what_the_card_says(size, network):
    card = loading.DEMO_FILE.with_name("README.md").read_text()
    said = re.search(rf"\| {size} px \| ([0-9.]+) % \|", card)
    assert said
    assert measure(network, size, CPU, SMALL_SAMPLE) >= float(said[1]) / 100 - MARGIN


def test_a_copy_that_expects_2x_minus_1_has_the_same_crops_and_scores():
    """As if torchvision had trained them: each given what it expects, both rank the drawn pictures alike."""
    weights = loading.load_weights("demo")
    assert weights.id.trained_input == "x"
    copy = folded_copy(weights.tensors)
    networks = (
        Network(weights, CPU, torch.float64),
        Network(loading.Weights(weights.id, copy), CPU, torch.float64, "2x-1"),
        Network(loading.Weights(weights.id, copy), CPU, torch.float64),  # given x, which it does not expect
    )
    source = draw_pictures(96)
    source = PictureSource(dict(list(source.pictures.items())[::6]))
    wanted = dict.fromkeys(("Conv2d_4a_3x3", "Mixed_5d", "Mixed_6b"), range(8))
    with torch.inference_mode():
        right, same, wrong = (scan_pictures(network, source, wanted, 96, 4, 3, Silent()).tops for network in networks)
    for layer, one in right.items():
        assert torch.equal(one.pictures, same[layer].pictures)
        assert torch.equal(one.places, same[layer].places)
        torch.testing.assert_close(one.scores, same[layer].scores, rtol=1e-5, atol=1e-5)
        assert not torch.equal(one.pictures, wrong[layer].pictures)


class Silent:
    """A watcher that says nothing."""

    def progress(self, task, done, total):
        pass


def test_the_file_is_small():
    assert loading.DEMO_FILE.stat().st_size <= 25e6


@pytest.mark.parametrize("layer", ["Conv2d_2b_3x3", "Mixed_6b", "Mixed_7b"])
def test_renderings_excite_their_features_more_than_pictures_do(layer):
    """The table of known answers, in small: 4 features a layer and 60 pictures."""
    recipe = load_config().recipes["quick"]
    renderer = Renderer(loading.load_weights("demo"), CPU, resolve_numerics(CPU, "auto", 1))
    jobs = tuple(Job(feature_target(layer, feature), recipe, 999) for feature in range(4))
    best = best_of_pictures(renderer, jobs, 60)[layer]
    alive = [r.record for r in renderer.render(jobs, 4) if r.record.status != "no_gradient"]
    won = sum(record.score_shown > best[int(re.findall(r"\d+", record.target)[-1])] for record in alive)
    assert alive
    assert won >= len(alive) - 1


@pytest.mark.parametrize("spoil", [lambda data: data[:-1000], lambda data: data[:5000] + b"x" + data[5001:]])
def test_an_altered_file_is_refused_and_nothing_renders(spoil, tmp_path, monkeypatch):
    copy = tmp_path / "demo.safetensors"
    copy.write_bytes(spoil(loading.DEMO_FILE.read_bytes()))
    monkeypatch.setattr(loading, "DEMO_FILE", copy)
    with pytest.raises(WeightsError, match="cut off or altered"):
        loading.load_weights("demo")
    arguments = ["render", "Conv2d_1a_3x3[0]", "--weights", "demo", "--recipe", "quick", "--store", str(tmp_path / "s")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 3
    assert "install the package again" in result.output
    assert not (tmp_path / "s").exists()


def test_pictures_of_the_test_are_not_those_of_training():
    one, _ = draw(4, 75, torch.Generator().manual_seed(2015), group=4)
    two, _ = draw(4, 75, torch.Generator().manual_seed(TEST_SEED), group=4)
    assert not torch.equal(one, two)
