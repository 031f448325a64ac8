"""What a version of this program makes: a source tree → masters, stores, sites and messages as JSON.

Only the command line is used, so that modules may move. All files lie in a temporary folder, and nothing is written
into the tree. One thread of the CPU and the demo weights.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from PIL import Image

import versions_cases as cases

RUNNER = Path(__file__).with_name("versions_runner.py")
PRESETS = ("article", "demo")
BASE_URL = "https://example.org/atlas/"
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "COLUMNS": "160",
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": "1700000000",
    "TERM": "dumb",
}
ON_CPU = ("--device", "cpu", "--threads", "1")
MANIFEST = ".atlas-site.json"
MEASURED = ("octaves", "score_start", "score_shown", "gradient_norm", "pixels_sha256")  # of a record
_FREE_SPACE = re.compile(r"[\d.]+ [KMGT]?B are free")

Arguments = Sequence[str]
Part = dict[str, Any]  # what was made, by its name


@dataclass
class Workspace:
    """A temporary folder in which the program of a tree is run."""

    tree: Path
    folder: Path
    runs: Part = field(default_factory=dict)  # how the runs that fill stores and sites ended
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, arguments: Arguments) -> Part:
        """Run one command line in a process of its own."""
        command = [sys.executable, "-m", "atlas", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self._environment, capture_output=True, check=False)
        return self._ending(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def run_all(self, command_lines: Sequence[Arguments]) -> Part:
        """Run command lines in one process; returns how each ended."""
        out = self.folder / "results.json"
        given = json.dumps(command_lines).encode()
        subprocess.run([sys.executable, RUNNER, out], cwd=self.folder, env=self._environment, input=given, check=True)
        results = zip(command_lines, json.loads(out.read_bytes()), strict=True)
        return {shlex.join(arguments): self._ending(*result) for arguments, result in results}

    def fill(self, command_lines: Sequence[Arguments]) -> None:
        """Run command lines that fill stores and sites, and note how each ended."""
        self.runs |= self.run_all(command_lines)

    def run_code(self, code: str) -> None:
        """Run Python code in a process of its own."""
        subprocess.run([sys.executable, "-c", code], cwd=self.folder, env=self._environment, check=True)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Note how long a part takes."""
        started = time.monotonic()
        yield
        self.seconds[part] = round(time.monotonic() - started, 1)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(self.tree), "TORCH_HOME": str(self.folder / "torch")}

    def _ending(self, code: int, out: str, err: str) -> Part:
        out, err = (self._without_paths(text) for text in (out, err))
        return {"exit code": code, "stderr": _last_line(err), "stdout": out}

    def _without_paths(self, text: str) -> str:
        text = text.replace(str(self.folder), "<folder>").replace(str(self.tree), "<tree>")
        return _FREE_SPACE.sub("… are free", text)


def take_snapshot(tree: Path, *, small: bool = False) -> dict[str, Part]:
    """Everything that is compared, by part; "about", which says how it was made, is not compared.

    Args:
        tree: root of a source tree.
        small: a few of everything, in seconds.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Workspace(tree.resolve(), Path(name).resolve())
        snapshot = {"presets": _prepare(work)}
        with work.timed("masters"):
            snapshot |= render_few_masters(work) if small else render_masters(work)
        with work.timed("sample"):
            snapshot |= build_sample(work)
        if not small:
            with work.timed("built"):
                snapshot |= build_all(work)
            with work.timed("variants"):
                snapshot |= render_variants(work)
        with work.timed("commands"):
            snapshot["commands"] = run_few_commands(work) if small else run_commands(work)
        return {"about": {**machine(), "small": small, "seconds": work.seconds}, **snapshot, "runs": work.runs}


def take_expectations(tree: Path) -> dict[str, Part]:
    """A few records and exit codes, for a regression test.

    Returns:
        `machine`, the one that measured; `exit_codes` of command lines; `recipes`, by digest; `weights`, by folder;
        `records` without these and without what depends on the machine; and `measured`, which is the latter.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Workspace(tree.resolve(), Path(name).resolve())
        _prepare(work)
        masters = render_few_masters(work)["masters fp64"]
        codes = {name: end["exit code"] for name, end in run_few_commands(work).items()}
    records = {path: file["atlas"] for path, file in masters.items() if "atlas" in file}
    return {
        "machine": {**machine(), "instructions": _only(record["numerics"].pop("model") for record in records.values())},
        "exit_codes": codes,
        "recipes": {record["recipe_digest"]: record.pop("recipe") for record in records.values()},
        "weights": {path.split("/")[0]: record.pop("weights") for path, record in records.items()},
        "measured": {path: {key: record.pop(key) for key in MEASURED} for path, record in records.items()},
        "records": {path: _without(record, "torch", "torchvision") for path, record in records.items()},
    }


def machine() -> dict[str, str]:
    """What pixels depend on beside the program: the processor and the version of torch."""
    return {"processor": _processor(), "torch": version("torch")}


def render_masters(work: Workspace) -> dict[str, Part]:
    """All targets by every recipe of the presets, scaled, and a dream by each, in float64 and float32."""
    recipes = _write_scaled_presets(work)
    command_lines: list[Arguments] = []
    for precision in cases.PRECISIONS:
        for name, recipe in recipes.items():
            how = _masters_options(f"masters-{precision}", "--recipe", name, "--precision", precision)
            targets = cases.WHOLE + cases.PLACED if cases.takes_positions(recipe) else cases.WHOLE
            command_lines += [("render", *targets, *how), ("dream", *cases.DREAM, *how)]
    work.fill(command_lines)
    return {f"masters {precision}": read_folder(work.folder / f"masters-{precision}") for precision in cases.PRECISIONS}


def render_few_masters(work: Workspace) -> dict[str, Part]:
    """Some of the targets by one recipe, and a dream by another, in float64."""
    _write_scaled_presets(work)
    how = _masters_options("masters-fp64", "--precision", "fp64")
    targets = cases.SMALL_WHOLE + cases.SMALL_PLACED
    work.fill(
        [
            ("render", *targets, "--recipe", cases.SMALL_RECIPE, *how),
            ("dream", *cases.DREAM, "--recipe", cases.SMALL_DREAM, *how),
        ]
    )
    return {"masters fp64": read_folder(work.folder / "masters-fp64")}


def build_sample(work: Workspace) -> dict[str, Part]:
    """The store that ships with the tests, and its site."""
    store = work.tree / "tests" / "data" / "demo-store"
    site = ("--out", "sample-site", "--base-url", BASE_URL)
    work.fill([("site", "--config", "data/demo-store.toml", *site)])
    return {"sample store": read_folder(store), "sample site": read_folder(work.folder / "sample-site")}


def build_all(work: Workspace) -> dict[str, Part]:
    """A store with all studies and its site; and the site of a configuration of which only some is in the store."""
    (work.folder / "built.toml").write_text(cases.BUILT)
    common = ("--config", "built.toml", "--store", "built-store")
    pending = ("--features", "4", "--recipe", "quick", "--out", "pending-site", "--base-url", "", "--zip")
    work.fill([("build", *common, "--out", "built-site", "--precision", "fp32", *ON_CPU), ("site", *common, *pending)])
    folders = ("built-store", "built-site", "pending-site")
    archive = {"pending-site.zip": read_file(work.folder / "pending-site.zip")}
    return {name.replace("-", " "): read_folder(work.folder / name) for name in folders} | {"archive": archive}


def render_variants(work: Workspace) -> dict[str, Part]:
    """Other seeds, batch sizes, precisions and input conventions; a video; and a person's own weights."""
    work.run_code(cases.FILE_WEIGHTS)
    own = ("--config", "masters.toml", "--weights", "untrained.safetensors", "--store", "own-weights")
    command_lines = [(*words, *_masters_options(f"variants/{at}")) for at, words in enumerate(cases.VARIANTS)]
    command_lines += [
        ("render", *cases.WHOLE[-4:], *own, *ON_CPU),
        ("site", *own, "--features", "2", "--recipe", "octaves", "--out", "own-weights-site"),
    ]
    work.fill(command_lines)
    folders = ("variants", "own-weights", "own-weights-site")
    return {name.replace("-", " "): read_folder(work.folder / name) for name in folders}


def run_commands(work: Workspace) -> Part:
    """How command lines end, each in a process of its own: usage, configurations that are refused, faults found."""
    _prepare_faults(work)
    shutil.copytree(work.folder / "sample-site", work.folder / "damaged-site")
    _damage(work.folder / "damaged-site", "*.html")
    return {
        shlex.join(arguments): work.run(arguments) for arguments in (*cases.COMMAND_LINES, *_refused(cases.REFUSED))
    }


def run_few_commands(work: Workspace) -> Part:
    """How some of them end, in one process."""
    _prepare_faults(work)
    return work.run_all([*cases.SMALL_COMMAND_LINES, *_refused(cases.SMALL_REFUSED)])


def _prepare_faults(work: Workspace) -> None:
    """Make what the program is to refuse."""
    for name, text in cases.REFUSED.items():
        (work.folder / f"{name}.toml").write_text(f"{text}\n")
    (work.folder / "a-file").write_text("neither weights nor a picture nor a store\n")
    (work.folder / "empty").mkdir()
    shutil.copytree(work.folder / "data" / "demo-store", work.folder / "damaged-store")
    _damage(work.folder / "damaged-store", "*.png")


def _refused(names: Iterable[str]) -> list[Arguments]:
    return [("plan", "--config", f"{name}.toml") for name in names]


def read_folder(folder: Path) -> Part:
    """What the files of a folder hold, by their paths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): read_file(path) for path in files}


def read_file(path: Path) -> Any:
    """What a file holds: its text; of PNG files, archives and manifests what is compared of them; else a hash."""
    data = path.read_bytes()
    if path.suffix == ".png":
        return _read_png(data)
    if path.suffix == ".zip":
        return _read_archive(path)
    if path.name == MANIFEST:
        return _read_manifest(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _sha256(data)


def _read_png(data: bytes) -> Part:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        pixels = f"{image.mode} {image.size} ".encode() + image.tobytes()
        chunks: Part = {str(key): _parsed(text) for key, text in image.info.items() if isinstance(text, str)}
    return {"pixels": _sha256(pixels), **chunks, "file": _sha256(data)}


def _read_archive(path: Path) -> Part:
    """The members of an archive, whose content is that of the folder which was packed."""
    with ZipFile(path) as archive:
        return {one.filename: [one.file_size, one.date_time, one.compress_type] for one in archive.infolist()}


def _read_manifest(data: bytes) -> Part:
    """The manifest of a site without the digests of pages, which change with any file of the program."""
    manifest: Part = json.loads(data)
    for path, note in manifest["files"].items():
        if path.endswith(".html"):
            note.pop("source", None)
    return manifest


def _only(values: Iterable[str]) -> str:
    """The value that all of them are."""
    (value,) = set(values)
    return value


def _without(record: Part, *keys: str) -> Part:
    return {key: value for key, value in record.items() if key not in keys}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _prepare(work: Workspace) -> Part:
    """Copy what the program may read, since it may sweep a store, and make sure that it is the tree's."""
    source = work.tree / "tests" / "data"
    ignored = shutil.ignore_patterns("unchanged.json")
    shutil.copytree(source, work.folder / "data", ignore=ignored)
    work.run_code(
        f"import atlas, pathlib, sys; sys.exit(not pathlib.Path(atlas.__file__).is_relative_to({str(work.tree)!r}))"
    )
    return {name: _preset(work.tree, name) for name in PRESETS}


def _preset(tree: Path, name: str) -> Any:
    """A preset's settings, wherever it lies in the package."""
    (file,) = (tree / "atlas").rglob(f"{name}.toml")
    return tomllib.loads(file.read_text())


def _write_scaled_presets(work: Workspace) -> Part:
    """Write a configuration with the recipes of the presets, scaled; returns them."""
    found = {name: recipe for preset in PRESETS for name, recipe in _preset(work.tree, preset)["recipes"].items()}
    recipes = {name: cases.scaled(recipe) for name, recipe in found.items()}
    settings = {"extends": "demo", "recipes": recipes, "neurons": {"targets": []}}  # the preset's are of a larger map
    lines = (f"{key} = {cases.to_toml(value)}\n" for key, value in settings.items())
    (work.folder / "masters.toml").write_text("".join(lines))
    return recipes


def _masters_options(store: str, *how: str) -> Arguments:
    return ("--config", "masters.toml", "--store", store, *how, *ON_CPU)


def _damage(folder: Path, pattern: str) -> None:
    """Cut one file of a folder short, remove another, and garble a third."""
    first, second, third, *_ = sorted(folder.rglob(pattern))
    first.write_bytes(first.read_bytes()[:-100])
    second.unlink()
    data = third.read_bytes()
    third.write_bytes(data[: len(data) // 2] + bytes(8) + data[len(data) // 2 + 8 :])


def _last_line(text: str) -> str:
    """The last line that says something; lines that frame a text do not."""
    lines = (line.strip("│╭╮╰╯─ \r") for line in text.splitlines())
    return next((line for line in reversed([*lines]) if line), "")


def _processor() -> str:
    """The processor's model in words; its family and number too, since names of models in a cloud may be short."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return platform.processor()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", file.read_text(), re.MULTILINE))
    return ", ".join(f"{key} {value}" for key, value in sorted(found.items()))
