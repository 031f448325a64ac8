"""What may be installed: pinned, with the hash of every file; and what make makes of its variables."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import make_venv

ROOT = Path(__file__).parent.parent
HASHES = (ROOT / ".ci" / "hashes.txt").read_text()
ONE, OTHER = "ab" * 32, "cd" * 32
LIST = f"some-package==1.2 ; sys_platform == 'linux' \\\n    --hash=sha256:{ONE} \\\n    --hash=sha256:{'0' * 64}\n"


def item(name="Some_Package", version="1.2", digest=ONE):
    return {
        "metadata": {"name": name, "version": version},
        "download_info": {"archive_info": {"hashes": {"sha256": digest}}},
    }


def unknown(*items):
    return make_venv.unknown_files({"install": list(items)}, LIST)


def test_a_file_that_is_not_named_is_told():
    assert unknown(item()) == []
    assert unknown(item(digest=OTHER)) == [f"some-package==1.2: sha256 {OTHER}"]
    assert unknown(item(version="1.3")) == [f"some-package==1.3: sha256 {ONE}"]
    assert unknown(item(), item(name="another")) == [f"another==1.2: sha256 {ONE}"]
    assert unknown({**item(), "download_info": {}}) == ["some-package==1.2: sha256 None"]


def test_the_project_itself_has_no_file():
    assert unknown({"metadata": {"name": "x", "version": "1"}, "download_info": {"dir_info": {"editable": True}}}) == []


def test_every_pin_has_hashes_of_the_same_version_and_no_address_is_written_down():
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert len(pins) > 50
    hashed = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+).*\\\n    --hash=sha256:[0-9a-f]{64}", HASHES, re.MULTILINE))
    assert {make_venv.plain_name(name): version for name, version in pins}.items() <= hashed.items()
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
    assert make("demo", "VENV=here")[1].splitlines()[-1].split() == ["here/bin/atlas", "build", "--config", "demo"]
    assert make("serve", "SITE=a b", "VENV=here")[1].splitlines()[-1] == "here/bin/atlas serve  'a b' "


@needs_make
@pytest.mark.parametrize("folder", ["my env", "my'env", "a;b", "a(b", 'a"b', ""])
def test_an_environment_that_make_cannot_name_is_refused_in_words(folder):
    code, said = make("demo", f"VENV={folder}")
    assert code == 2
    assert f'VENV="{folder}"' in said or f"VENV={folder}:" in said
