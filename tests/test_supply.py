"""What may be installed: pinned, with the hash of every file; and what make makes of its variables."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import make_venv

ROOT = Path(__file__).parent.parent
HASHES = (ROOT / ".ci" / "hashes.txt").read_text()


def wheel(folder, name, content):
    """A wheel of one module, and the line that requires it with a hash."""
    file, info = folder / f"{name}-1.2-py3-none-any.whl", f"{name}-1.2.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}==1.2 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands in for the environment's Python")
def test_a_file_that_is_not_named_is_refused_before_anything_is_installed(tmp_path, monkeypatch, capfd):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": tmp_path, "TARGET": tmp_path / "installed"}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    hashes = tmp_path / "hashes.txt"
    hashes.write_text(wheel(tmp_path, "good", "") + wheel(tmp_path, "other", ""))
    wheel(tmp_path, "other", "changed = True")
    with pytest.raises(SystemExit):
        make_venv.install(tmp_path, "", hashes)
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    assert not (tmp_path / "installed").exists()


def test_every_pin_has_hashes_of_the_same_version_and_no_address_is_written_down():
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert len(pins) > 50
    hashed = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+).*\\\n    --hash=sha256:[0-9a-f]{64}", HASHES, re.MULTILINE))
    assert {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}.items() <= hashed.items()
    assert "//" not in HASHES


def make(*arguments):
    """What make would do, and its exit code; the same under a ``make`` that runs the tests."""
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = ["make", "--dry-run", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
@pytest.mark.parametrize("value", ["o'brien", "two  words", 'a"b', "a;b&c", "#1", "a,b", "(x)"])
@pytest.mark.parametrize(
    ("target", "variable", "option"), [("demo", "STORE", "--store"), ("publish", "REMOTE", "--remote")]
)
def test_a_variable_of_make_is_one_word_of_the_shell(target, variable, option, value):
    code, said = make(target, f"{variable}={value}", "VENV=some/where_1.2")
    words = shlex.split(said.splitlines()[-1] if target == "demo" else said.split("publish.py")[1])
    assert (code, words[words.index(option) + 1]) == (0, value)


@needs_make
def test_what_is_not_set_is_no_option():
    assert make("atlas", "VENV=here")[1].splitlines()[-1].split() == ["here/bin/atlas", "build"]
    said = make("demo", "VENV=here", "CONFIG=it.toml")[1].splitlines()[-1]
    assert said.split("&&")[1].split() == ["here/bin/atlas", "build", "--config", '"$preset"']
    assert make("serve", "SITE=a b", "VENV=here")[1].splitlines()[-1] == "here/bin/atlas serve  'a b' "


@needs_make
@pytest.mark.parametrize("folder", ["my env", "my'env", "a;b", "a(b", 'a"b', ""])
def test_an_environment_that_make_cannot_name_is_refused_in_words(folder):
    code, said = make("demo", f"VENV={folder}")
    assert code == 2
    assert f'VENV="{folder}"' in said or f"VENV={folder}:" in said
