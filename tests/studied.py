"""A small configuration whose renderings are all made and whose studies have run, with real InceptionV3."""

from dataclasses import astuple, dataclass, replace
from pathlib import Path

import torch

from atlas.plan.config import Config
from atlas.plan.jobs import rounds
from atlas.rendering.batches import BatchLimits, render_batches
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report, keep_attempts
from atlas.rendering.renderer import Renderer
from atlas.rendering.weights import Weights
from atlas.store.results import rounded
from atlas.store.weights_ids import write_weights_id
from atlas.studies import all_jobs, load_config
from atlas.studies.run import run_studies
from atlas.studies.shared.likeness import Likeness

CPU = torch.device("cpu")
TEXT = """
extends = "article"
[features]
layers = ["Conv2d_2a_3x3", "Mixed_5b", "Mixed_6b"]
count = 1
recipe = "small"
[recipes.small]
octaves = [{ size = 76, steps = 4, lr = [0.5, 0.3], sigma = [1.2, 0.6] }]
[raster]
targets = ["Mixed_5b[3]"]
recipe = "small"
stride = 1
[neurons]
targets = ["Conv2d_2a_3x3[7, 10, 20]", "Mixed_5b[7, 1, 5]"]
beside = ["Mixed_5b[7]"]
recipe = "small"
[fields]
layers = ["Mixed_5b"]
features = 1
recipe = "small"
[influence]
targets = ["Conv2d_2a_3x3[5]", "Mixed_6b[654]"]
recipe = "small"
[dream]
targets = []
[interactions]
pairs = [["Conv2d_4a_3x3[0]", "Mixed_5b[0]"]] # the first layer is not in this atlas
[recipes.plain]
octaves = [{ size = 80, steps = 3, lr = [0.5, 0.3] }]
[compare]
targets = ["Conv2d_2a_3x3[7]", "Mixed_5b[3]"]
recipes = ["plain", "small"]
raw_features = 1
beside = []
[metrics]
targets = ["Conv2d_2a_3x3[7]", "Conv2d_2a_3x3[5]"]
recipe = "small"
[tuning]
size = 0
"""


def kept(found: Likeness) -> Likeness:
    """The same in as many digits as a result's file keeps."""
    return Likeness(*rounded(astuple(found)))


@dataclass(frozen=True)
class Studied:
    """A configuration, the renderer that made its store, and the studies that ran."""

    config: Config
    renderer: Renderer
    asked: list[str]


def run_batches(batches, renderer, store, report, on_done=lambda outcome: None):
    """Render batches in this process, one after the other, into a store."""
    keep_attempts(render_batches(batches, renderer, BatchLimits()), renderer.weights.id, store, report, on_done)


def make_studied(folder: Path, weights: Weights) -> Studied:
    """Render everything and run every study."""
    (folder / "atlas.toml").write_text(TEXT)
    config = load_config(str(folder / "atlas.toml"))
    config = replace(config, store=folder / "store", site=folder / "site")
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    write_weights_id(config.store, weights.id)
    for batches in rounds(all_jobs(config), "cpu", 8):
        run_batches(batches, renderer, config.store, Report(), lambda outcome: None)
    asked: list[str] = []
    run_studies(config, renderer, asked.append)
    return Studied(config, renderer, asked)
