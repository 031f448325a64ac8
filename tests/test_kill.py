"""A run that is killed, again and again, and what it leaves behind."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from atlas.store.masters import list_masters

KILLS = 20
PLAN = """
[atlas]
weights = {weights!r}
[features]
layers = ["Conv2d_1a_3x3", "Conv2d_4a_3x3", "Mixed_5b", "Mixed_6a"]
count = 6
recipe = "tiny"
only = true
[recipes.tiny]
gradient = "rms"
octaves = [{{ size = 75, steps = 6, lr = [0.05, 0.02], sigma = [1, 0.5] }}]
"""


def test_kills_at_random_moments_lose_nothing(weights_file, tmp_path):
    """A SIGKILL cannot be caught, so what is found afterwards is what a power cut would leave."""
    config = tmp_path / "atlas.toml"
    config.write_text(PLAN.format(weights=str(weights_file)))

    def start(store):
        command = [sys.executable, "-m", "atlas", "render", "--config", str(config), "--store", str(store)]
        environment = {**os.environ, "COLUMNS": "200"}
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    calm, killed = tmp_path / "calm", tmp_path / "killed"
    began = time.monotonic()
    assert start(calm).wait(timeout=120) == 0
    duration = time.monotonic() - began
    expected = contents(calm)
    moments = random.Random(5)
    complete: dict[Path, tuple[str, int]] = {}
    kills = 0
    while kills < KILLS:
        process = start(killed)
        if kills % 2:  # while masters are being made and written
            _wait_for_a_new_master(killed, len(complete), process)
            time.sleep(moments.random() * 0.06)
        else:  # at any moment, loading included
            time.sleep(moments.random() * duration)
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = _stamps(killed)
        assert complete.items() <= now.items(), "a complete master was rendered again"
        assert contents(killed).items() <= expected.items(), "a master is not what an undisturbed run makes"
        complete = now
        if len(complete) >= len(expected) - 2:  # nearly done: make room for further kills
            for path in moments.sample(sorted(complete), len(complete) * 2 // 3):
                path.unlink()
                del complete[path]
    assert start(killed).wait(timeout=120) == 0
    assert contents(killed) == expected


def contents(store):
    return {path.relative_to(store): path.read_bytes() for path in list_masters(store)}


def _stamps(store):
    """Hash and time of each master: a master that is written again has another time."""
    return {p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in list_masters(store)}


def _wait_for_a_new_master(store, known, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if sum(1 for _ in list_masters(store)) > known:
            return
        time.sleep(0.002)
