"""A build that is killed, again and again, and what it leaves behind."""

import hashlib
import random
import signal
import time

import pytest

import torture
from atlas.store.masters import list_masters
from torture import IS_FULL, files_of, final_files, finish_build, half_files, remove_some, start_build

KILLS = 50 if IS_FULL else 4


@pytest.mark.torture
def test_kills_at_random_moments_lose_nothing(classified_file, tmp_path):
    """A SIGKILL cannot be caught, so what is found afterwards is what a power cut would leave."""
    config = torture.write_tiny_atlas(tmp_path, classified_file)
    calm, calm_site = tmp_path / "calm", tmp_path / "calm-site"
    began = time.monotonic()
    assert finish_build(config, calm, calm_site)[0] == 0
    duration = time.monotonic() - began
    expected, expected_site = files_of(calm), files_of(calm_site)

    store, site = tmp_path / "killed", tmp_path / "killed-site"
    moments = random.Random(5)
    kills = {"any moment": 0, "masters": 0, "videos and findings": 0, "site": 0}
    watched = {
        "masters": lambda: {*store.rglob("*.png"), *store.rglob("*.avif")},
        "videos and findings": lambda: {*store.rglob("findings/*"), *store.rglob("*.mp4"), *store.rglob("clip.json")},
        "site": lambda: {*site.rglob("*.*")},
    }
    complete: dict = {}
    left_behind = 0
    for number in range(20 * KILLS):
        if sum(kills.values()) == KILLS:
            break
        kind = list(kills)[number % len(kills)]
        process = start_build(config, store, site)
        if kind == "any moment":  # loading included
            time.sleep(moments.random() * duration)
        else:
            _wait_for_a_new_file(watched[kind], process)
            time.sleep(moments.random() * 0.06)
        was_killed = process.poll() is None
        process.send_signal(signal.SIGKILL)
        words = process.communicate()[1]
        assert was_killed or process.returncode == 0, words
        kills[kind] += was_killed
        now = _stamps(store)
        left_behind += len(list(store.rglob("*.tmp"))) + len(list(site.rglob("*.tmp")))
        assert complete.items() <= now.items(), "a complete master was rendered again"
        assert final_files(store).items() <= expected.items(), "a file is not what an undisturbed run makes"
        assert half_files(site, expected_site) == []
        if len(final_files(store)) > len(expected) - 3:  # nearly done: make room for further kills
            remove_some(store, site, moments)
            now = {path: stamp for path, stamp in now.items() if path.exists()}
        complete = now
    assert sum(kills.values()) == KILLS
    assert finish_build(config, store, site)[0] == 0
    assert complete.items() <= _stamps(store).items()
    assert files_of(store) == expected
    assert files_of(site) == expected_site
    # a figure for docs/reliability.md
    print(f"killed {KILLS} times: {kills}; {left_behind} temporary files were left, and swept")  # noqa: T201


def _stamps(store):
    """Hash and time of each master: a master that is written again has another time."""
    return {p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in list_masters(store)}


def _wait_for_a_new_file(look, process):
    known = look()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and look() <= known:
        time.sleep(0.004)
