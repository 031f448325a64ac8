"""Which modules load without torch, the map of the packages, and the package as it is installed."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKED = """
import sys
for name in ("torch", "torchvision", "numpy", "imageio", "imageio_ffmpeg", "ffmpeg"):
    sys.modules[name] = None
import {module}
"""
FREE = [
    "atlas.plan.config",
    "atlas.plan.jobs",
    "atlas.store.masters",
    "atlas.store.clips",
    "atlas.store.forecast",
    "atlas.site.build",
    "atlas.site.serve",
    "atlas.site.check",
    "atlas.cli.console",
    "atlas.cli",
]


@pytest.mark.parametrize("module", FREE)
def test_modules_that_need_no_torch(module):
    subprocess.run([sys.executable, "-c", BLOCKED.format(module=module)], check=True, cwd=ROOT)


def test_the_guard_itself_works():
    result = subprocess.run([sys.executable, "-c", BLOCKED.format(module="atlas.rendering.model")], capture_output=True)
    assert b"import of torch halted" in result.stderr


def test_the_map_names_every_package():
    named = set(re.findall(r"`(atlas/[a-z_/]*/)`", (ROOT / "docs" / "architecture.md").read_text()))
    packages = {f"{path.parent.relative_to(ROOT)}/" for path in (ROOT / "atlas").glob("*/__init__.py")}
    assert packages <= named


def test_a_wheel_works_in_an_environment_without_torch(tmp_path):
    """Layers and site run from the wheel alone, with the templates that lie at the root of the repository."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], check=True, cwd=ROOT
    )
    (wheel,) = tmp_path.glob("*.whl")
    home = tmp_path / "empty"
    venv.create(home, with_pip=True)
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints = ["--constraint", ROOT / "constraints.txt"]
    subprocess.run([*pip, *constraints, "typer", "jinja2", "pillow", "rich", "werkzeug", "msgspec"], check=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    atlas = home / "bin" / "atlas"
    layers = subprocess.run([atlas, "layers"], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert "Mixed_7c" in layers.stdout
    subprocess.run([atlas, "site", "--config", "demo", "--store", "none", "--out", "site"], check=True, cwd=tmp_path)
    assert (tmp_path / "site" / "static" / "style.css").stat().st_size > 1000
    assert "Mixed_6b" in (tmp_path / "site" / "index.html").read_text()
    assert not list(home.glob("lib/python*/site-packages/torch"))
