"""Disks that are full, folders that cannot be written, that are files or that vanish: what is said, and what stays."""

import errno
import fcntl
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import torture
from atlas.common import log
from atlas.common.errors import StoreError
from atlas.inception.targets import parse
from atlas.plan.jobs import Job
from atlas.site.pages import make_pages
from atlas.store import files
from atlas.store.files import (
    check_same_folder,
    locked_folder,
    make_folder,
    open_atomically,
    sweep_temporaries,
    temporary_file,
    write_atomically,
)
from atlas.store.forecast import Forecast, _bytes_in, require_space
from atlas.studies import load_config
from test_cli import run
from torture import IS_FULL, final_files, finish_build

RECIPE = load_config().recipes["octaves"]


@pytest.fixture(scope="module")
def atlas_of(classified_file, tmp_path_factory):
    """A configuration, and what an undisturbed run makes of it."""
    folder = tmp_path_factory.mktemp("full")
    config = torture.write_tiny_atlas(folder, classified_file)
    assert build(config, folder / "calm", folder / "calm-site").exit_code == 0
    return config, final_files(folder / "calm"), final_files(folder / "calm-site")


def build(config, store, site):
    arguments = ["--config", config, "--store", store, "--out", site, "--device", "cpu", "--threads", "1"]
    return run("build", *arguments)


# Full


@pytest.mark.torture
def test_a_disk_that_is_full_at_every_write_in_turn(atlas_of, tmp_path, monkeypatch):
    """After some writes none succeeds any more; each run goes on from where the last one was stopped."""
    config, expected, expected_site = atlas_of
    store, site = tmp_path / "store", tmp_path / "site"
    numbers, left, write = random.Random(3), [0], files._create

    class Full:
        """A file that takes nothing."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    def create(path):
        left[0] -= 1
        return write(path) if left[0] >= 0 else Full(write(path))

    monkeypatch.setattr(files, "_create", create)
    monkeypatch.setattr("atlas.rendering.outcomes.WRITERS", 1)
    stopped, runs = [], 0
    while True:
        left[0] = numbers.randrange(1, 10 if IS_FULL else 40)  # a video's five files are of use only together
        result, runs = build(config, store, site), runs + 1
        assert final_files(store).items() <= expected.items()
        assert torture.half_files(site, expected_site) == []
        assert not [*store.rglob("*.tmp"), *site.rglob("*.tmp")]
        if result.exit_code == 0:
            break
        assert result.exit_code == 4, result.output
        message = result.output.splitlines()[-1]
        assert "cannot be written" in message
        assert "No space left on device" in message
        assert " bytes)" in message
        assert "Traceback" not in result.output
        stopped.append(Path(message.removeprefix("atlas: ").partition(": ")[0]))
    assert {path.is_relative_to(store) for path in stopped} == {True, False}, "store and site were both full once"
    assert (final_files(store), final_files(site)) == (expected, expected_site)
    print(  # noqa: T201 (a figure for docs/reliability.md)
        f"full {len(stopped)} times: {sum(p.is_relative_to(store) for p in stopped)} in the store, the rest in the site"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
@pytest.mark.torture
def test_a_small_file_system_that_fills_up(atlas_of, tmp_path):
    """A real one; when it is made larger the next run goes on."""
    config, expected, expected_site = atlas_of
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        for size in ("500k", "64m"):
            result = build(config, disk / "store", disk / "site")
            assert result.exit_code == 4
            assert "No space left on device" in result.output
            assert str(disk) in result.output
            assert final_files(disk / "store").items() <= expected.items()
            subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)
        assert build(config, disk / "store", disk / "site").exit_code == 0
        assert (final_files(disk / "store"), final_files(disk / "site")) == (expected, expected_site)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_file_system_that_may_not_be_written(atlas_of, tmp_path):
    config, *_ = atlas_of
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        result = build(config, disk / "store", tmp_path / "site")
        assert (result.exit_code, "Traceback" in result.output) == (4, False)
        assert "Read-only file system" in result.output
        assert str(disk / "store") in result.output
    finally:
        subprocess.run(["umount", disk], check=True)


# Room


SITE_BYTES = 30_000_000


def ahead(number):
    jobs = tuple(Job(parse(f"Mixed_6b[{f}]"), RECIPE, 999) for f in range(number))
    return Forecast(jobs, jobs)


def usage(free):
    return lambda folder: shutil._ntuple_diskusage(10**12, 10**12 - free, free)


def test_a_run_for_which_there_is_no_room_is_refused(tmp_path, monkeypatch):
    forecast = ahead(400)
    needed = forecast.master_bytes + SITE_BYTES
    monkeypatch.setattr(shutil, "disk_usage", usage(needed))
    require_space(forecast, tmp_path / "a" / "store", (tmp_path / "site", SITE_BYTES))
    monkeypatch.setattr(shutil, "disk_usage", usage(needed - 1))
    with pytest.raises(StoreError) as error:
        require_space(forecast, tmp_path / "a" / "store", (tmp_path / "site", SITE_BYTES))
    assert str(tmp_path / "a" / "store") in str(error.value)
    assert f"{forecast.master_bytes:,}" in str(error.value)
    assert f"{SITE_BYTES:,}" in str(error.value)
    require_space(forecast, tmp_path / "a" / "store")  # masters alone fit


def test_what_the_site_holds_already_counts(tmp_path, monkeypatch):
    forecast = ahead(400)
    monkeypatch.setattr(shutil, "disk_usage", usage(forecast.master_bytes + SITE_BYTES - 1000))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page.html").write_bytes(bytes(1000))
    require_space(forecast, tmp_path / "store", (tmp_path / "site", SITE_BYTES))


def test_a_file_of_the_site_that_vanishes_while_it_is_counted_has_no_bytes(tmp_path, monkeypatch):
    for name in ("a.html", "b.html"):
        (tmp_path / name).write_bytes(bytes(1000))
    lstat = Path.lstat

    def vanish(path):
        if path.name == "a.html":
            path.unlink()
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", vanish)
    require_space(ahead(400), tmp_path / "store", (tmp_path, SITE_BYTES))
    assert _bytes_in(tmp_path) == 1000


def test_what_is_small_or_unknown_is_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", usage(0))
    require_space(ahead(2), tmp_path)

    def unknown(folder):
        raise OSError(errno.ENOSYS, "no such thing")

    monkeypatch.setattr(shutil, "disk_usage", unknown)
    require_space(ahead(700), tmp_path)


def test_build_and_render_exit_4_without_room_before_anything_is_written(classified_file, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", usage(5_000_000))
    where = ["--weights", classified_file, "--store", tmp_path / "store", "--features", "64", "--device", "cpu"]
    for command in (["build", "--out", tmp_path / "site"], ["render"]):
        result = run(*command, *where)
        assert result.exit_code == 4
        assert "5.0 MB free" in result.output
        assert not (tmp_path / "store").exists()
    assert "5.0 MB free where the store is" in run("plan", *where[:-2]).output


# Folders


def test_folders_that_are_files_and_files_that_are_folders(atlas_of, tmp_path):
    config, expected, expected_site = atlas_of
    (tmp_path / "file").write_text("a file")
    for store, site in (("file", "site-a"), ("store", "file")):
        result = build(config, tmp_path / store, tmp_path / site)
        assert (result.exit_code, "Traceback" in result.output) == (4, False)
        assert str(tmp_path / "file") in result.output
    store, site = tmp_path / "store-b", tmp_path / "site-b"
    for folder, names in ((store, expected), (site, expected_site)):
        name = next(name for name in names if name.endswith((".png", "index.html")) and "photos" not in name)
        (folder / name / "in the way").mkdir(parents=True)
        if folder == site:
            (site / ".atlas-site.json").write_text('{"format":1,"files":{}}')
        result = build(config, store, site if folder == site else tmp_path / "site-c")
        assert (result.exit_code, "Traceback" in result.output) == (4, False)
        assert str(folder / name) in result.output
        shutil.rmtree(folder / name)
    assert build(config, store, site).exit_code == 0
    assert (final_files(store), final_files(site)) == (expected, expected_site)


def test_a_store_that_vanishes_stops_the_run(atlas_of, tmp_path, monkeypatch):
    config, expected, expected_site = atlas_of
    store, site = tmp_path / "store", tmp_path / "site"
    from atlas.rendering import outcomes as execute

    write, written = execute.write_master, []

    def vanish(path, *arguments):
        write(path, *arguments)
        written.append(path)
        if len(written) == 5:
            shutil.move(store, tmp_path / "elsewhere")

    monkeypatch.setattr(execute, "WRITERS", 1)
    monkeypatch.setattr(execute, "write_master", vanish)
    result = build(config, store, site)
    assert result.exit_code == 4
    assert "vanished" in result.output
    assert str(store) in result.output
    assert not list(store.rglob("*.png"))
    shutil.rmtree(store, ignore_errors=True)
    shutil.move(tmp_path / "elsewhere", store)
    assert build(config, store, site).exit_code == 0
    assert (final_files(store), final_files(site)) == (expected, expected_site)


def test_a_site_that_vanishes_is_no_success(atlas_of, tmp_path, monkeypatch):
    config, _, expected_site = atlas_of
    store, site = tmp_path / "store", tmp_path / "site"

    def make_and_remove(atlas):
        pages = make_pages(atlas)
        shutil.rmtree(site)
        return pages

    monkeypatch.setattr("atlas.site.build.make_pages", make_and_remove)
    result = build(config, store, site)
    assert (result.exit_code, "vanished" in result.output) == (4, True)
    monkeypatch.undo()
    assert build(config, store, site).exit_code == 0
    assert final_files(site) == expected_site


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"Permission denied"):
        write_atomically(tmp_path / "inside" / "file", b"data")


def test_a_folder_that_may_not_be_written_even_by_root(tmp_path, monkeypatch):
    """What a read-only disk says."""

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    for act in (lambda: write_atomically(tmp_path / "a", b"12"), lambda: make_folder(tmp_path / "b")):
        with pytest.raises(StoreError, match="Read-only file system"):
            act()


# Temporary files


def test_only_what_nobody_writes_any_more_is_swept(tmp_path):
    left = tmp_path / "deep" / f".{files._host()}-0123456789abcdef.tmp"
    left.parent.mkdir()
    left.write_bytes(b"half")
    others = [tmp_path / "my.tmp", tmp_path / ".0123.tmp"]
    for other in others:
        other.write_bytes(b"a person's")
    with files._create(tmp_path / f".{files._host()}-fedcba9876543210.tmp") as file:
        file.write(b"being written")
        assert sweep_temporaries(tmp_path) == 1
        assert not left.exists()
        assert Path(file.name).exists()
    assert sweep_temporaries(tmp_path) == 1
    assert all(other.exists() for other in others)


OTHERS = [".00c0ffee-0123456789abcdef.tmp", ".0123456789abcdef.tmp"]  # of another host, and of an earlier version


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("locks", [True, False, None])  # seen by every host, by none (there are no locks), by their own
def test_a_file_of_another_host_is_swept_after_a_day_and_only_if_nobody_writes_it(name, locks, tmp_path, monkeypatch):
    """On some file systems of several machines every lock seems free, whoever holds it elsewhere."""
    monkeypatch.setattr(files, "_lock", lambda handle, *, wait: {True: False, False: None, None: True}[locks])
    left = tmp_path / name
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 23 * 3600,) * 2)
    assert sweep_temporaries(tmp_path) == 0
    os.utime(left, (time.time() - 25 * 3600,) * 2)
    assert sweep_temporaries(tmp_path) == (0 if locks else 1)


def test_a_sweep_on_another_host_spares_what_is_written_here(tmp_path, monkeypatch):
    with open_atomically(tmp_path / "file") as file:
        file.write(b"whole")
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(files, "_host", lambda: "00c0ffee")
            elsewhere.setattr(files, "_lock", lambda handle, *, wait: True)
            assert sweep_temporaries(tmp_path) == 0
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("code", [errno.ENOENT, errno.ESTALE])
def test_a_file_that_vanishes_while_it_is_written_is_written_once_more(code, tmp_path, monkeypatch):
    """Another machine, with an earlier version or a wrong clock, removed it; NFS has an error of its own for that."""
    times = iter([1, 2])

    def vanish(handle, keep):
        if next(times) <= keep:
            for path in tmp_path.rglob("*.tmp"):
                path.unlink()
            if code == errno.ESTALE:
                raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", lambda handle: vanish(handle, 1) if os.path.isfile(handle) else None)  # noqa: PTH113  # a handle is no path
    write_atomically(tmp_path / "file", b"whole")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"whole")]
    times = iter([1, 2])
    monkeypatch.setattr(os, "fsync", lambda handle: vanish(handle, 2))
    with pytest.raises(StoreError, match="its temporary file was removed by another; mend that and run again"):
        write_atomically(tmp_path / "other", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_video_whose_file_vanishes_is_encoded_once_more(tmp_path):
    """And a program that fails for another reason is not started again."""
    tries = []

    def encode():
        with temporary_file(tmp_path / "folder") as path:
            tries.append(path)
            if len(tries) == 1:
                path.unlink()
            return path.read_bytes()

    assert files.again_if_vanished(encode) == b""
    assert len(tries) == 2

    def fail():
        with temporary_file(tmp_path / "folder") as path:
            tries.append(path)
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        files.again_if_vanished(fail)
    assert len(tries) == 3


def test_a_file_that_is_swept_before_its_lock_is_made_again(tmp_path, monkeypatch):
    lock, sweeps = files._lock, [1]

    def late(handle, *, wait):
        if wait and sweeps:
            sweeps.pop()
            (found,) = tmp_path.rglob("*.tmp")
            found.unlink()
        return lock(handle, wait=wait)

    monkeypatch.setattr(files, "_lock", late)
    write_atomically(tmp_path / "file", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_folder_is_known_by_more_than_its_name(tmp_path):
    folder = tmp_path / "folder"
    identity = make_folder(folder)
    check_same_folder(folder, identity)
    folder.rename(tmp_path / "other")
    folder.mkdir()
    with pytest.raises(StoreError, match="vanished"):
        check_same_folder(folder, identity)


# Two at once


@pytest.mark.torture
@pytest.mark.parametrize("attempt", range(5 if IS_FULL else 1))
def test_two_builds_at_once_come_to_what_one_does(attempt, atlas_of, tmp_path):
    config, expected, expected_site = atlas_of
    store, site = tmp_path / "store", tmp_path / "site"
    both = [torture.start_build(config, store, site) for _ in range(2)]
    words = [process.communicate(timeout=600)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], words
    assert (torture.files_of(store), torture.files_of(site)) == (expected, expected_site)
    assert finish_build(config, store, site)[0] == 0


def test_a_locked_folder_keeps_another_process_out(tmp_path):
    with locked_folder(tmp_path):
        code = f"import fcntl, os; fcntl.flock(os.open({str(tmp_path)!r}, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        assert b"BlockingIOError" in subprocess.run(["python3", "-c", code], capture_output=True).stderr
    assert subprocess.run(["python3", "-c", code]).returncode == 0


@pytest.mark.parametrize(("loud", "says"), [("normal", True), ("quiet", False)])
def test_who_waits_for_another_says_so_unless_it_is_quiet(loud, says, tmp_path, capsys):
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    leaving = threading.Timer(0.2, os.close, [other])
    leaving.start()
    with log.watched(None, loud), locked_folder(tmp_path):
        leaving.join()
    assert (f"another run is writing {tmp_path}" in capsys.readouterr().err) is says
    with log.watched(None, loud), locked_folder(tmp_path):
        assert capsys.readouterr().err == ""


def test_a_store_is_swept_through_links_and_a_site_is_not(tmp_path):
    elsewhere = tmp_path / "elsewhere" / f".{files._host()}-0123456789abcdef.tmp"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"half")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(elsewhere.parent, target_is_directory=True)
    assert sweep_temporaries(tmp_path / "folder") == 0
    assert sweep_temporaries(tmp_path / "folder", through_links=True) == 1
    assert not elsewhere.exists()


def test_a_file_for_another_program_is_gone_in_the_end_and_swept_if_not(tmp_path):
    folder = tmp_path / "folder"
    with temporary_file(folder) as path:
        path.write_bytes(b"half")
        assert sweep_temporaries(tmp_path) == 0
    assert list(folder.iterdir()) == []
    code = f"""
import os, pathlib
from atlas.store.files import temporary_file
with temporary_file(pathlib.Path({str(folder)!r})) as path:
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code])
    assert len(list(folder.iterdir())) == 1
    assert sweep_temporaries(tmp_path) == 1
