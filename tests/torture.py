"""What the tests of reliability share: how long they run, a tiny atlas with something of everything, and its files."""

import json
import os
import subprocess
import sys
from pathlib import Path

from atlas.site.output import MANIFEST
from atlas.store.importance import importance_path
from atlas.store.media import MEDIA, media_fault
from atlas.store.stages import stages_path

BESIDE = (".stages.avif", ".importance.avif", ".npz")  # files that are made together with another one
IS_FULL = bool(os.environ.get("ATLAS_TORTURE"))  # as `make torture` sets it

# Two octaves, so that stages are kept; all parameterizations; classes and their voters; several noises; a video,
# neurons, a dream from a photograph, most of the studies, and a site that leaves something out.
TINY_ATLAS = """
[atlas]
weights = {weights!r}
[site]
budget = "2.1MB"
[features]
layers = {layers}
count = 2
recipe = "tiny"
face = "moved"
[recipes.moved]
input = "trained"
parameterization = "fourier"
color = "decorrelated"
optimizer = "adam"
transforms = [{{ jitter = 2 }}, {{ scale = [0.9, 1.1] }}, {{ rotate = 5 }}]
octaves = [{{ size = 75, steps = 3, lr = [0.1, 0.1] }}, {{ size = 76, steps = 2, lr = [0.1, 0.05] }}]
[recipes.phases]
input = "trained"
parameterization = "phase"
color = "decorrelated"
optimizer = "adam"
transforms = [{{ crop = [0.6, 1.0] }}, {{ noise = 0.05 }}]
octaves = [{{ size = 75, steps = 2, lr = [0.5, 0.1] }}]
[recipes.tiny]
gradient = "rms"
octaves = [
  {{ size = 75, steps = 3, lr = [0.05, 0.02], sigma = [1, 0.5] }},
  {{ size = 76, steps = 2, lr = [0.05, 0.02], sigma = [1, 0.5] }},
]
[recipes.flat]
gradient = "rms"
octaves = [{{ size = 75, steps = 2, lr = [0.05, 0.02], sigma = [1, 0.5] }}]
[recipes.saved]
gradient = "rms"
rescue_steps = 1
octaves = [{{ size = 75, steps = 2, lr = [0.05, 0.02] }}]
[raster]
targets = ["Mixed_5b[3]"]
recipe = "flat"
stride = 3
[neurons]
targets = ["Mixed_5b[3, 1, 5]"]
recipe = "flat"
[dream]
photos = ["drawn"]
targets = ["Mixed_5b[:]"]
recipe = "flat"
size = 75
[tuning]
size = {tuning}
shuffles = 1
[connections]
strongest = {connections}
[seeds]
count = 2
features = 1
layers = ["Mixed_5b"]
[votes]
strongest = 2
voters = 1
[fields]
layers = ["Mixed_5b"]
features = 1
recipe = "flat"
[influence]
targets = ["Conv2d_1a_3x3[2]"]
recipe = "flat"
[palette]
recipes = ["tiny"]
features = 4
[compare]
targets = ["Mixed_5b[3]"]
recipes = ["tiny", "flat"]
raw_features = 1
beside = ["phases"]
recipe_features = 1
[metrics]
targets = ["Mixed_5b[3]"]
recipe = "flat"
[interactions]
pairs = []
layers = []
[dead]
recipe = "saved"
"""


def write_tiny_atlas(folder: Path, weights_file: Path) -> Path:
    """The configuration as a file; the weights must have a classifier."""
    config = folder / "atlas.toml"
    layers = ["Conv2d_1a_3x3", "Mixed_5b", "fc", *(["Mixed_7c"] if IS_FULL else [])]
    slow = {"tuning": 75, "connections": 6} if IS_FULL else {"tuning": 0, "connections": 0}  # longer than all the rest
    config.write_text(TINY_ATLAS.format(weights=str(weights_file), layers=layers, **slow))
    return config


def start_build(config: Path, store: Path, site: Path) -> subprocess.Popen:
    """`atlas build` in a process of its own; its words are lost unless the test reads standard error."""
    command = [sys.executable, "-m", "atlas", "build", "--config", config, "--store", store, "--out", site]
    command += ["--device", "cpu", "--threads", "1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish_build(config: Path, store: Path, site: Path) -> tuple[int, str]:
    """A build that nobody disturbs: exit code and what it said."""
    process = start_build(config, store, site)
    words = process.communicate(timeout=600)[1]
    return process.returncode, words


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, hidden ones too: path → content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def final_files(folder: Path) -> dict[str, bytes]:
    """Every file under its final name."""
    return {path: data for path, data in files_of(folder).items() if not path.endswith(".tmp")}


def half_files(site: Path, calm: dict[str, bytes]) -> list[str]:
    """The files of a site that are not whole; pages may differ from those of a calm build, which has more to show."""
    found = []
    for path, data in final_files(site).items():
        if path.endswith(MEDIA):
            is_whole = media_fault(site / path) is None
        elif path.endswith(".js"):
            is_whole = data == calm.get(path) or data.endswith(b"};\n")
        elif path.endswith(".json"):
            is_whole = json.loads(data) is not None
        else:
            is_whole = data == calm.get(path) or data[-8:] == calm.get(path, b"</html>\n")[-8:]
        found += [] if is_whole else [path]
    return found


def remove_some(store: Path, site: Path, random) -> None:
    """Remove half of everything, so that there is something to do again; what lies beside a file goes with it.

    The site's manifest stays, without which it would be a folder of somebody else's.
    """
    for folder in (store, site):
        names = [name for name in final_files(folder) if name != MANIFEST]
        for name in random.sample(names, len(names) // 2):
            if folder == store and name.endswith(BESIDE):
                continue
            file = folder / name
            beside = [sidecar(file) for sidecar in (stages_path, importance_path)] if name.endswith(".png") else []
            beside += file.parent.glob("tuning-*.npz") if name.endswith("/tuning.json") else []
            for one in (*beside, file):
                one.unlink(missing_ok=folder == store)
