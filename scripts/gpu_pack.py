"""Pack what `gpu_check.py` needs on a bare GPU machine, and print its size: the tree, wheels, and weights of 8 bits.

Wheels are downloaded for the packages that such a machine lacks, for Python 3.12 on Linux. Weights are rounded to 8
bits, a quarter of their size. Everything goes to build/gpu-check/, which git ignores. `tree.tar.gz` holds the files
that git tracks, without stores and pictures, for a machine without a clone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from pathlib import Path

from atlas.common.errors import AtlasError
from atlas.rendering.weights import load_weights
from quantise import quantise, write_quantised

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "build" / "gpu-check"
WHEELS = ("msgspec", "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "ffmpeg-python", "future")
# The encoder, of 65 MiB, stays at home: that phase goes without it.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
LEFT_OUT = ("tests/data/", "docs/images/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a file of weights to take along; the demo's are in the tree")
    parser.add_argument("--python", default="3.12", help="version of the other machine's Python (default: 3.12)")
    options = parser.parse_args()
    PACK.mkdir(parents=True, exist_ok=True)
    download_wheels(PACK / "wheels", options.python)
    if options.weights:
        try:
            weights = load_weights(options.weights)
        except AtlasError as error:
            sys.exit(f"gpu-pack: {error}")
        write_quantised(PACK / f"{weights.id.name}.safetensors", quantise(weights.tensors))
    pack_tree(PACK / "tree.tar.gz")
    files = sorted(path for path in PACK.rglob("*") if path.is_file())
    for path in files:
        print(f"{path.stat().st_size / 2**20:8.1f} MiB  {path.relative_to(ROOT)}")
    print(f"{sum(path.stat().st_size for path in files) / 2**20:8.1f} MiB  in all")


def download_wheels(folder: Path, python: str) -> None:
    """Download the wheels of the versions that constraints.txt names."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *platforms]
    command += ["--python-version", python, "--implementation", "cp", "--constraint", str(ROOT / "constraints.txt")]
    result = subprocess.run([*command, "--dest", str(folder), *WHEELS], check=False)
    if result.returncode:
        sys.exit("gpu-pack: pip could not download the wheels; its lines above say why")


def pack_tree(file: Path) -> None:
    """The files of the project that git has, without what only other tests need."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name and not name.startswith(LEFT_OUT) and (ROOT / name).is_file()]
    with tarfile.open(file, "w:gz") as archive:
        for name in names:
            archive.add(ROOT / name, name)


if __name__ == "__main__":
    main()
