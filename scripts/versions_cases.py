"""What `compare_versions.py` asks of each version: targets, configurations and command lines."""

import json
from collections.abc import Mapping
from typing import Any

SIZE = 96  # pixels of the last octave
LEAST_SIZE = 75  # that the network takes
STEPS = {1: (10,), 2: (5, 5), 3: (4, 3, 3)}  # of each octave, by the number of octaves
RESCUE_STEPS = 2
PRECISIONS = ("fp64", "fp32")

# Together with PLACED and a dream they reach every kind of branch of every block.
WHOLE = (
    "Conv2d_1a_3x3[5]",
    "Conv2d_2b_3x3[30]",
    "Conv2d_3b_1x1[17]",
    "Mixed_5b[10]",
    "Mixed_5c[:]",
    "Mixed_5d[100]",
    "Mixed_6a[199]",
    "Mixed_6a[600]",
    "Mixed_6c[700]",
    "0.3*Mixed_6a[400] + 0.7*Mixed_6b[201]",
    "Mixed_6d[3] + Mixed_6e[450]",
    "Mixed_7a[20] + -0.5*Mixed_7a[400]",
    "Mixed_7b[100] + 2*Mixed_7b[1300]",
    "Mixed_7b[900] + Mixed_7c[1615]",
    "Mixed_7c[500]",
)
# Neurons, rows and prefixes of the map at the least size; a recipe with smaller sizes later does not take them.
PLACED = (
    "Conv2d_2a_3x3[11, 20, 22]",
    "Conv2d_4a_3x3[100, 3, :]",
    "Mixed_5b[240, :20]",
    "Mixed_5d[140, 2, 3]",
    "Mixed_6b[100, 1, 2]",
    "Mixed_6b[415, 1, :]",
    "Mixed_6e[300, :4]",
    "Mixed_7c[1880, :1]",
)
DREAM = ("data/valley.jpg", "--target", "Mixed_5d[:]")

SMALL_WHOLE = ("Conv2d_1a_3x3[5]", "Mixed_5c[:]", "Mixed_6a[600]", "0.3*Mixed_6a[400] + 0.7*Mixed_6b[201]")
SMALL_PLACED = ("Conv2d_4a_3x3[100, 3, :]", "Mixed_6b[100, 1, 2]", "Mixed_6e[300, :4]")
SMALL_RECIPE, SMALL_DREAM = "quick-rescued", "smooth-demo"

# Other options of a run, each into a store of its own; "masters.toml" is the scaled presets.
VARIANTS = (
    ("render", *WHOLE[:6], "--recipe", "quick", "--batch-size", "3", "--seed", "7"),
    ("render", *WHOLE[3:8], "--recipe", "raw-demo", "--precision", "bf16"),
    ("render", *WHOLE[3:8], "--recipe", "dream", "--weights-input", "2x-1"),
    ("raster", "Mixed_6b[654]", "--recipe", "raster", "--stride", "2", "--fps", "3"),
)
# Weights of a person: torchvision's InceptionV3 as it starts its training.
FILE_WEIGHTS = """
import safetensors.torch, torch, torchvision
torch.manual_seed(1)
model = torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
safetensors.torch.save_file(model.state_dict(), "untrained.safetensors")
"""

# A whole build: all studies, and every kind of page. Few steps, and as few features as the studies take.
BUILT = """
extends = "demo"
[atlas]
title = "Comparison"
base_url = "https://example.org/atlas/"
[features]
count = 2
recipe = "quick"
[recipes.quick]
gradient = "rms"
octaves = [
  { size = 80, steps = 3, lr = [0.08, 0.06], sigma = [1.2, 0.6] },
  { size = 96, steps = 2, lr = [0.06, 0.02], sigma = [0.8, 0.3] },
]
[recipes.quick-rescued]
gradient = "rms"
rescue_steps = 2
octaves = [
  { size = 80, steps = 3, lr = [0.08, 0.06], sigma = [1.2, 0.6] },
  { size = 96, steps = 2, lr = [0.06, 0.02], sigma = [0.8, 0.3] },
]
[recipes.raster-demo]
octaves = [{ size = 96, steps = 3, lr = [2.0, 1.0], sigma = [1.5, 0.5] }]
[recipes.raw-demo]
gradient = "rms"
octaves = [{ size = 96, steps = 3, lr = [0.08, 0.02] }]
[recipes.smooth-demo]
gradient = "rms"
resize = [0.9, 1.1]
octaves = [{ size = 96, steps = 3, lr = [0.08, 0.02], sigma = [1.2, 0.5] }]
[recipes.dream-demo]
input = "trained"
gradient = "rms"
octaves = [
  { size = 80, steps = 2, lr = [0.022, 0.016] },
  { size = 96, steps = 2, lr = [0.014, 0.01] },
]
[neurons]
targets = ["Mixed_6b[415, 2, 2]"]
beside = ["Mixed_6b[654]"]
[fields]
features = 1
[influence]
targets = ["Mixed_5b[0]"]
[palette]
features = 4
[compare]
targets = ["Mixed_6b[654]"]
[metrics]
targets = ["Mixed_6b[0]"]
[interactions]
pairs = [["Mixed_6a[199]", "Mixed_6b[201]"], ["Mixed_6b[415, 2, 2]", "Mixed_6b[654, 1, :]"]]
walk = 3
features = 2
[connections]
strongest = 2
[examples]
folder = "data/pictures"
size = 96
[dead]
recipe = "quick-rescued"
features = 1
"""

# Configurations that are refused.
REFUSED = {
    "unknown-key": '[atlas]\ntitel = "x"',
    "unknown-table": '[rastr]\ntargets = ["Mixed_6b[654]"]',
    "unknown-recipe": '[features]\nrecipe = "octave"',
    "unknown-layer": '[features]\nlayers = ["Mixed_6b", "Mixed_8a"]',
    "wrong-type": '[atlas]\nseed = "999"',
    "wrong-type-of-a-table": "recipes = 3",
    "out-of-range": "[recipes.mine]\noctaves = [{ size = 20, steps = 3, lr = [1, 1] }]",
    "no-such-feature": '[features]\nlayers = ["Mixed_5b"]\ncount = [0, 300]',
    "unreadable-target": '[neurons]\ntargets = ["Mixed_6b[415, 2"]',
    "two-sizes": '[raster]\nrecipe = "octaves"',
    "resized-too-small": "[recipes.mine]\nresize = [0.5, 1]\noctaves = [{ size = 100, steps = 3, lr = [1, 1] }]",
    "base-url": '[atlas]\nbase_url = "ftp://example.org"',
    "several": '[atlas]\nseed = -1\ntitel = "x"\n[features]\ncount = "many"\n[nonsense]\na = 1',
    "not-toml": "[atlas\n",
}
SMALL_REFUSED = ("unknown-key", "out-of-range", "several")

COMMANDS = ("layers", "plan", "render", "raster", "dream", "examples", "site", "serve", "check", "bench", "build")

# Command lines without the configurations above. The small ones need no torch.
SMALL_COMMAND_LINES = (
    ("--version",),
    ("layers", "--json"),
    ("nonsense",),
    ("plan", "--seed", "-1"),
    ("plan", "--layers", "Mixed_5z"),
    ("render", "Mixed_6b[768]"),
    ("render", "Mixed_6b[654]", "--features", "3"),
    ("check", "--store", "data/demo-store"),
    ("check", "--store", "damaged-store"),
    ("site", "--config", "data/demo-store.toml", "--store", "a-file", "--out", "none"),
)
COMMAND_LINES = (
    *SMALL_COMMAND_LINES,
    ("--help",),
    *((command, "--help") for command in COMMANDS),
    ("layers",),
    ("plan",),
    ("plan", "--config", "demo", "--features", "0-3,654", "--features-only"),
    ("plan", "--config", "data/demo-store.toml"),
    ("plan", "--config", "data/demo-store.toml", "--recipe", "raw", "--layers", "Mixed_6b,Mixed_5b"),
    ("plan", "--config", "nowhere.toml"),
    ("plan", "--config", ""),
    ("plan", "--base-url", "example.org"),
    ("plan", "--weights-input", "3x"),
    ("plan", "--bogus"),
    ("render", "Mixed_6b[654", "--config", "demo"),
    ("render", "Mixed_6b[654, 17, :]"),
    ("render", "Mixed_6b[1, 2, 2]", "--recipe", "smooth"),
    ("render", "Mixed_6b[1]", "--recipe", "octave"),
    ("render", "Mixed_6b[1]", "--shard", "0/3"),
    ("render", "Mixed_6b[1]", "--batch-size", "none"),
    ("render", "Mixed_6b[1]", "--quiet", "--verbose"),
    ("render", "Mixed_6b[1]", "--device", "tpu"),
    ("render", "Mixed_6b[1]", "--device", "cpu", "--precision", "tf32"),
    ("render", "Mixed_6b[1]", "--executor", "rai"),
    ("render", "Mixed_6b[1]", "--address", "10.0.0.1:6379"),
    ("render", "Mixed_6b[1]", "--weights", "nowhere.pth", "--device", "cpu"),
    ("render", "Mixed_6b[1]", "--weights", "a-file", "--device", "cpu"),
    ("render", "Mixed_6b[1]", "--config", "demo", "--store", "a-file", "--device", "cpu"),
    ("raster", "Mixed_6b[654, 3, :]", "--config", "demo"),
    ("raster", "Mixed_6b[654]", "--recipe", "smooth"),
    ("dream", "nowhere.jpg", "--target", "Mixed_6b[:]", "--config", "demo"),
    ("dream", "a-file", "--target", "Mixed_6b[:]", "--config", "demo"),
    ("dream", "data/valley.jpg", "--target", "Mixed_6b[1, 40, 2]", "--config", "demo"),
    ("examples", "empty", "--config", "data/demo-store.toml"),
    ("examples", "data/pictures", "--drawn"),
    ("site", "--config", "data/demo-store.toml", "--store", "empty", "--out", "sample-site"),
    ("serve", "nowhere"),
    ("check", "--store", "a-file"),
    ("check", "--store", "nowhere"),
    ("check", "--site", "sample-site"),
    ("check", "--site", "damaged-site"),
    ("check", "--site", "nowhere"),
    ("bench", "--batch-size", "none"),
)


def scaled(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe of a configuration at `SIZE`, with ten steps in all."""
    octaves = recipe["octaves"]
    last = octaves[-1]["size"]
    small = [
        {**octave, "size": max(LEAST_SIZE, round(octave["size"] * SIZE / last)), "steps": steps}
        for octave, steps in zip(octaves, STEPS[len(octaves)], strict=True)
    ]
    rescue = {"rescue_steps": RESCUE_STEPS} if "rescue_steps" in recipe else {}
    return {**recipe, **rescue, "octaves": small}


def takes_positions(recipe: Mapping[str, Any]) -> bool:
    """Whether the network never sees a smaller image than at first."""
    return "resize" not in recipe or bool(recipe["resize"][0] >= 1)


def to_toml(value: object) -> str:
    """A value of a configuration as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {to_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value)
