"""Which preset `make demo` takes, and what it says of it."""

import pytest

import demo_preset
from atlas.common.errors import WeightsError
from atlas.plan.config import PRESETS
from atlas.studies import load_config


@pytest.mark.parametrize(("can_be_had", "expected"), [(True, "demo-imagenet"), (False, "demo")])
def test_imagenet_weights_are_taken_if_they_can_be_had(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, can_be_had: bool, expected: str
) -> None:
    def load(source: str) -> None:
        assert source == "imagenet"
        if not can_be_had:
            raise WeightsError("the server cannot be reached")

    monkeypatch.setattr(demo_preset, "load_weights", load)
    assert demo_preset.choose_preset("imagenet") == expected
    said = capsys.readouterr().err
    assert f"by preset {expected}\n" in said
    assert ("cannot be reached" in said) is not can_be_had


def test_weights_that_are_named_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_preset, "load_weights", None)
    assert demo_preset.choose_preset("demo") == "demo"
    assert demo_preset.choose_preset("mine.pth") == "demo-imagenet"


def test_both_presets_render_the_same_targets() -> None:
    demo, imagenet = load_config("demo"), load_config("demo-imagenet")
    assert {demo.weights, imagenet.weights} == {"demo", "imagenet"}
    assert demo.layers == imagenet.layers
    assert {"demo", "demo-imagenet"} <= set(PRESETS)
    changed = [name for name, recipe in demo.recipes.items() if recipe.digest != imagenet.recipes[name].digest]
    assert changed == ["raster-demo"]
