"""Make the project's virtual environment and install the project into it; run by the Makefile with the Python to use.

With `--keep-torch`, a torch and torchvision that already work in that Python are used instead of installed again. With
`--hashes`, as CI runs it, an environment is refused if pip took a file for it that is not one of those named there.
"""

from __future__ import annotations  # so that an old Python gets as far as the message about its age

import argparse
import json
import re
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
WORKS = """
import torch, torchvision
from importlib.metadata import version
for name in ("torch", "torchvision"):
    print(f"{name}=={version(name)}")
"""
OURS = ".made-by-atlas"  # marks an environment that may be cleared and removed
REPORT = "installed.json"  # what pip says that it took, inside the environment
TORCH_NOTE = "its-torch.txt"  # constraints on the kept pair, inside the environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the virtual environment")
    parser.add_argument("--keep-torch", action="store_true", help="use the torch of this Python, if it works")
    parser.add_argument("--extra", help="add the packages of this extra of pyproject.toml to it, such as dev")
    parser.add_argument("--hashes", type=Path, help="the files that may be installed, by their SHA-256")
    options = parser.parse_args()
    if sys.version_info < OLDEST:
        sys.exit(
            f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed: make PYTHON=python3.12 …"
        )
    if not options.extra:
        create(options.folder, keep_torch=options.keep_torch)
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
        (library(folder) / "host.pth").write_text("\n".join(sorted(packages)) + "\n")


def working_torch() -> str | None:
    """`torch==…` and `torchvision==…` of this Python, if both can be imported together."""
    result = subprocess.run([sys.executable, "-c", WORKS], capture_output=True, text=True, check=False)
    return result.stdout if result.returncode == 0 else None


def library(folder: Path) -> Path:
    """The environment's folder of packages."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}, scheme="venv"))


def install(folder: Path, extra: str, hashes: Path | None) -> None:
    """Install the project, editable, with the versions of constraints.txt, and check their files."""
    constraints = ROOT / "constraints.txt"
    kept = folder / TORCH_NOTE
    if kept.exists():
        pins = [
            line for line in constraints.read_text().splitlines() if not line.startswith(("torch==", "torchvision=="))
        ]
        constraints = folder / "constraints.txt"
        constraints.write_text("\n".join([*pins, kept.read_text()]))
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    print(
        f"installing the packages of {extra}"
        if extra
        else "installing"
        if kept.exists()
        else "installing; torch is some 5 GB"
    )
    report = folder / REPORT
    if hashes and not kept.exists():  # what torch leaves open, such as the versions of its CUDA packages
        pinned = folder / "pins.txt"
        lines = [line.rstrip(" \\") for line in hashes.read_text().splitlines() if "==" in line]
        pinned.write_text("\n".join(lines))
        pip += ["--constraint", str(pinned)]
    command = [*pip, "--constraint", str(constraints), "--report", str(report), "--editable", f"{ROOT}{extra}"]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"pip could not install the project into {folder}; the lines above say why")
    if hashes and (wrong := unknown_files(json.loads(report.read_text()), hashes.read_text())):
        sys.exit("\n".join([f"not the files that {hashes} names; make hashes writes it anew:", *wrong]))


def unknown_files(report: dict[str, Any], hashes: str) -> list[str]:
    """The packages of pip's report that were installed from other files than the known ones, the project apart.

    Args:
        report: what `pip install --report` writes.
        hashes: requirements with --hash, as uv writes them.
    """
    allowed: dict[str, set[str]] = {}
    name = ""
    for line in hashes.splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line):
            name = f"{plain_name(found[1])}=={found[2]}"
        elif found := re.match(r"\s+--hash=sha256:([0-9a-f]{64})", line):
            allowed.setdefault(name, set()).add(found[1])
    wrong = []
    for item in report["install"]:
        package = f"{plain_name(item['metadata']['name'])}=={item['metadata']['version']}"
        origin = item["download_info"]
        digest = origin.get("archive_info", {}).get("hashes", {}).get("sha256")
        if "dir_info" not in origin and digest not in allowed.get(package, set()):
            wrong.append(f"{package}: sha256 {digest}")
    return wrong


def plain_name(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
