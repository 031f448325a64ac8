"""Make the project's virtual environment and install the project into it; run by the Makefile with the Python to use.

With `--keep-torch`, a torch and torchvision that already work in that Python are used instead of installed again. With
`--hashes`, as CI runs it, pip refuses every file that is not named there.
"""

from __future__ import annotations  # so that an old Python gets as far as the message about its age

import argparse
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
WORKS = """
import torch, torchvision
from importlib.metadata import version
for name in ("torch", "torchvision"):
    print(f"{name}=={version(name)}")
"""
OURS = ".made-by-atlas"  # marks an environment that may be cleared and removed
TORCH_NOTE = "its-torch.txt"  # constraints on the kept pair, inside the environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the virtual environment")
    parser.add_argument("--keep-torch", action="store_true", help="use the torch of this Python, if it works")
    parser.add_argument("--extra", help="add the packages of this extra of pyproject.toml to it, such as dev")
    parser.add_argument("--hashes", type=Path, help="requirements with the SHA-256 of each file; installs all of them")
    options = parser.parse_args()
    if sys.version_info < OLDEST:
        sys.exit(
            f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed: make PYTHON=python3.12 …"
        )
    if not options.extra:
        create(options.folder, keep_torch=options.keep_torch and not options.hashes)
    install(options.folder, f"[{options.extra}]" if options.extra else "", options.hashes)


def create(folder: Path, *, keep_torch: bool) -> None:
    """Make the environment anew, but never out of a folder that is something else."""
    if folder.exists() and not (folder / OURS).exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not an environment that this program made, so it is left alone; choose another VENV")
    pair = working_torch() if keep_torch else None
    print(f"making {folder} with {sys.executable}, {'keeping its torch' if pair else 'with a torch of its own'}")
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        sys.exit(
            f"{sys.executable} cannot make an environment with pip; on Debian and Ubuntu: apt install python3-venv"
        )
    (folder / OURS).touch()
    if pair:
        (folder / TORCH_NOTE).write_text(pair)
        # a .pth file rather than --system-site-packages, which would miss the packages of a virtual environment
        packages = [path for path in {*site.getsitepackages(), sysconfig.get_path("purelib")} if Path(path).is_dir()]
        base = {"base": str(folder), "platbase": str(folder)}
        library = Path(sysconfig.get_path("purelib", vars=base, scheme="venv"))
        (library / "host.pth").write_text("\n".join(sorted(packages)) + "\n")


def working_torch() -> str | None:
    """`torch==…` and `torchvision==…` of this Python, if both can be imported together."""
    result = subprocess.run([sys.executable, "-c", WORKS], capture_output=True, text=True, check=False)
    return result.stdout if result.returncode == 0 else None


def install(folder: Path, extra: str, hashes: Path | None) -> None:
    """Install the project, editable, with the versions of constraints.txt, or with the files of a list of hashes."""
    print(f"installing the packages of {extra}" if extra else "installing; torch is some 5 GB, unless it is kept")
    if hashes:  # they include what builds the project, which pip would otherwise fetch apart and unchecked
        pip_install(folder, "--require-hashes", "--requirement", str(hashes))
        pip_install(folder, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        return
    constraints, kept = ROOT / "constraints.txt", folder / TORCH_NOTE
    if kept.exists():
        pins = constraints.read_text().splitlines()
        constraints = folder / "constraints.txt"
        others = [line for line in pins if not line.startswith(("torch==", "torchvision=="))]
        constraints.write_text("\n".join([*others, kept.read_text()]))
    pip_install(folder, "--constraint", str(constraints), "--editable", f"{ROOT}{extra}")


def pip_install(folder: Path, *arguments: str) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*pip, *arguments], check=False).returncode:
        sys.exit(f"pip could not install the project into {folder}; the lines above say why")


if __name__ == "__main__":
    main()
