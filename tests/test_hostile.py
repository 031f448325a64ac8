"""Files from others: links in a store, pictures and weights that are not what they say, and what they lead to."""

import argparse
import io
import json
import os
import pickle
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from atlas import studies
from atlas.cli.settings import with_photos
from atlas.common.errors import AtlasError, StoreError, WeightsError
from atlas.common.paths import read_file
from atlas.plan.starts import LARGEST_SIDE
from atlas.rendering.weight_files import read_weight_file
from atlas.rendering.weights import load_weights
from atlas.site.build import build_site
from atlas.site.check import check_site, check_store
from atlas.store import masters
from atlas.store.clips import read_clip
from atlas.store.crops import crop_name, open_crop, write_crop
from atlas.store.files import write_atomically
from atlas.store.masters import find_record, master_path, open_master, pixels_sha256, read_record, write_master
from atlas.store.photos import open_kept
from atlas.store.picture_files import decode
from atlas.store.results import read_result, write_result
from atlas.store.stages import stages_path, write_stages
from atlas.store.weights_ids import WEIGHTS_FILE, read_weights_id, resolve_weights, write_weights_id
from atlas.studies import load_config
from atlas.studies.examples.pictures import open_pictures
from atlas.studies.examples.settings import Settings as ExamplesSettings
from test_store import JOB, PIXELS, RECORD, WEIGHTS

DATA = Path(__file__).parent / "data"
PRECIOUS = b"somebody's own"


# Links


@pytest.fixture
def precious(tmp_path):
    file = tmp_path / "elsewhere" / "precious"
    write_atomically(file, PRECIOUS)
    return file


def test_a_link_in_a_store_is_read_by_what_it_shows_and_never_written_through(precious, tmp_path):
    """Every kind of file that a store has: a link to a file outside is not taken for one, and is itself replaced."""
    store = tmp_path / "store"
    master = master_path(store, WEIGHTS, JOB)
    image = Image.frombytes("RGB", (16, 16), PIXELS)
    crops = store / WEIGHTS.folder / "examples"
    finding = store / WEIGHTS.folder / "findings" / "depth.json"
    writes = {
        master: lambda: write_master(master, PIXELS, RECORD),
        stages_path(master): lambda: write_stages(master, [image], RECORD),
        store / WEIGHTS.folder / WEIGHTS_FILE: lambda: write_weights_id(store, WEIGHTS),
        finding: lambda: write_result(finding, {"x": 1}, "inputs"),
    }
    for path, write in writes.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(precious)
        assert find_record(master, JOB, WEIGHTS) is None
        assert read_result(finding, dict, "inputs") is None
        with pytest.raises(AtlasError):
            read_weights_id(store / WEIGHTS.folder / WEIGHTS_FILE)
        write()
        assert path.is_file()
        assert not path.is_symlink()
        path.unlink()
    assert precious.read_bytes() == PRECIOUS
    name = crop_name(image)
    (crops / "crops").mkdir(parents=True)
    (crops / "crops" / name).symlink_to(precious)
    with pytest.raises(StoreError, match="damaged"):
        open_crop(crops / "crops" / name)
    open_crop(crops / "crops" / write_crop(crops, image))
    assert not (crops / "crops" / name).is_symlink()
    clip = store / WEIGHTS.folder / "clip.json"
    clip.symlink_to(precious)
    with pytest.raises(StoreError, match="not a record"):
        read_clip(clip)
    assert precious.read_bytes() == PRECIOUS


# What is no file


@pytest.fixture
def demo(tmp_path):
    """A copy of the sample store, with its configuration."""
    config = with_photos(load_config(str(DATA / "demo-store.toml")))
    shutil.copytree(config.store, tmp_path / "store")
    return replace(config, store=tmp_path / "store", site=tmp_path / "site")


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


@contextmanager
def limits(seconds):
    """Fails where something is waited for, or read without end."""

    def late(*_):
        pytest.fail("something was waited for")

    most = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, most[1]))
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, most)


@pytest.mark.parametrize("put", [pipe, device])
def test_what_is_no_file_counts_as_missing_wherever_it_stands(put, demo):
    """One of each kind of file of a store; every one is named by the check, and costs the site only itself."""
    folder = next(path for path in demo.store.iterdir() if path.name.startswith("demo-"))
    places = {
        "master": next(folder.glob("small-0*/Mixed_5c_*.png")),
        "strip": next(folder.glob("small-0*/Mixed_5d_*.stages.avif")),
        "photo": next((demo.store / "photos").glob("*.png")),
        "clip": next(folder.rglob("clip.json")),
        "crop": next(folder.glob("examples/crops/*.webp")),
        "finding": folder / "findings" / "metrics.json",
    }
    for path in places.values():
        path.unlink()
        put(path)
    with limits(60):
        faults = check_store(demo.store)
        weights = resolve_weights(demo.store, demo.weights)
        report = build_site(demo, weights, studies.pages())
    named = {name for name, path in places.items() if any(fault.startswith(str(path)) for fault in faults)}
    assert named == places.keys() - {"finding"}
    assert report.pending == 1
    assert not (demo.site / "metrics").exists()
    assert (demo.site / "compare" / "index.html").is_file()
    assert check_site(demo.site).faults == ()


@pytest.mark.parametrize("put", [pipe, device])
def test_a_note_of_weights_and_examples_that_are_no_files_count_as_missing(put, demo):
    folder = next(path for path in demo.store.iterdir() if path.name.startswith("demo-"))
    for path in (folder / "weights.json", folder / "examples" / "examples.json"):
        path.unlink()
        put(path)
    with limits(20):
        assert any(str(folder / "weights.json") in fault for fault in check_store(demo.store))
        assert resolve_weights(demo.store, demo.weights) is None


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(OSError, match="has 5 bytes, and at most 4 are read"):
        read_file(path, 4)
    with pytest.raises(OSError, match="is no file, but a folder"):
        read_file(tmp_path, 4)
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path(os.devnull)):  # neither has bytes that end
        with pytest.raises(OSError, match="is no file, but a pipe or a device"):
            read_file(place, 4)


# Masters


def large_master(path, size):
    """A master of few bytes whose header and record agree on a size that is never rendered."""
    pixels = bytes(3 * size * size)
    write_master(path, pixels, replace(RECORD, width=size, height=size, pixels_sha256=pixels_sha256(pixels)))


def test_a_master_of_more_pixels_than_are_rendered_takes_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "master.png"
    monkeypatch.setattr(masters, "LARGEST_SIZE", 300)
    large_master(path, 301)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(StoreError, match="larger than the 300 px that are rendered"):
        open_master(path)


def test_a_master_of_another_size_than_is_asked_for_is_not_fresh(tmp_path):
    path = tmp_path / "master.png"
    large_master(path, 300)
    assert find_record(path, JOB, WEIGHTS) is None
    write_master(path, PIXELS, RECORD)
    assert find_record(path, JOB, WEIGHTS) == RECORD


def test_a_photograph_larger_than_any_that_is_kept_takes_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.write_bytes(png(LARGEST_SIDE + 1, LARGEST_SIDE + 1))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(StoreError, match="larger than a photograph is kept"):
        open_kept(path)


def test_no_warning_of_the_reader_reaches_the_terminal(tmp_path):
    """Of a picture of 100 million pixels Pillow says a line of its own, in whatever process it is looked at."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "master.png").write_bytes(png(10_000, 10_000))
    command = [sys.executable, "-m", "atlas", "check", "--store", str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent)
    assert done.returncode == 1
    assert "master.png" in done.stdout
    assert "Warning" not in done.stdout + done.stderr


def png(width, height, kind=b"IHDR"):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(kind, header) + chunk(b"IDAT", zlib.compress(b"\0" * 2**20)) + chunk(b"IEND", b"")
    )


def test_a_master_whose_header_claims_more_than_its_record_takes_no_memory(tmp_path, monkeypatch):
    path = tmp_path / "master.png"
    write_master(path, PIXELS, RECORD)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 9000, 9000)  # 243 MB
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(StoreError, match="its size is not that of its record, so it was edited"):
        open_master(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": "1"},
        {"seed": "999"},
        {"extra": 1},
        {"recipe": None},
        {"weights": {**asdict(RECORD.weights), "extra": 1}},
        {"octaves": [{"size": 16, "score_start": 0, "score_end": 1, "extra": 1}]},
        {"failed_at": {"octave": 0, "step": 0, "extra": 1}},
    ],
)
def test_a_master_of_another_version_or_edited_by_hand_is_refused(change, tmp_path):
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_itxt("atlas", json.dumps({**json.loads(RECORD.to_json()), **change}))
    Image.frombytes("RGB", (16, 16), PIXELS).save(tmp_path / "master.png", pnginfo=info)
    with pytest.raises(StoreError, match=r"not a record that this version reads: .*; render it again"):
        read_record(tmp_path / "master.png")


# Pictures


def as_bytes(image, kind, **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def test_a_folder_of_hostile_pictures_gives_those_that_are_pictures(tmp_path):
    """What decides is what a file holds, and neither its ending nor its size on the disk."""
    noise = Image.effect_noise((40, 30), 90).convert("RGB")
    good = {
        "cmyk.jpg": as_bytes(noise.convert("CMYK"), "JPEG"),
        "deep.png": as_bytes(noise.convert("L").convert("I;16"), "PNG"),
        "moving.gif": as_bytes(noise, "GIF", save_all=True, append_images=[noise.rotate(90)]),
        "a jpeg.png": as_bytes(noise, "JPEG"),
        "no ending": as_bytes(noise, "WEBP"),
    }
    bad = {
        "bomb.png": png(60_000, 60_000),
        "cut.jpg": as_bytes(noise, "JPEG")[:-200],
        "text.jpg": b"not a picture",
        "script.png": b"%!PS\n(x) run",
        "nothing.gif": b"",
    }
    for name, data in {**good, **bad}.items():
        (tmp_path / name).write_bytes(data)
    skipped = []
    source = open_pictures(ExamplesSettings(tmp_path, 75, False, "mine"), skipped.append)
    assert source is not None
    assert [line.split(": ")[0] for line in skipped] == [str(tmp_path / name) for name in ("nothing.gif", "script.png")]
    read = 0
    for digest in source.pictures:
        try:
            assert source.open(digest).mode == "RGB"
            read += 1
        except AtlasError as error:
            assert str(tmp_path) in str(error)
    assert (read, len(source.pictures) + source.unread) == (len(good), len(good) + len(bad))


def test_a_bomb_is_refused_before_it_is_decoded():
    data = png(60_000, 60_000)
    assert len(data) < 2000
    with pytest.raises(AtlasError, match="more than 89 million pixels"):
        decode(data, Path("bomb.png"))


# Weights


class Evil:
    """Would leave a trace if its pickle were trusted."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (Path(self.trace),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_code_is_refused(protocol, tmp_path):
    trace = tmp_path / "trace"
    data = pickle.dumps({"Conv2d_1a_3x3.conv.weight": Evil(trace)}, protocol)
    pickle.loads(data)
    assert trace.exists()
    trace.unlink()
    for name in ("bare.pth", "named.pt", "named.safetensors"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(WeightsError, match=r"could run code|not a whole") as caught:
            load_weights(str(tmp_path / name))
        assert "weights_only" not in str(caught.value)  # torch advises to trust the file
    assert not trace.exists()


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff\xe0\0\x10JFIF", b"a text", b"", b"PK\x03\x04", b"(dp0\n", b"cos\nsystem\n"]
)
def test_a_file_that_torch_did_not_write_is_refused_in_the_programs_own_words(data, tmp_path):
    (tmp_path / "net.pth").write_bytes(data)
    with pytest.raises(WeightsError, match=r"save model\.state_dict\(\) instead|not a whole torch file") as caught:
        load_weights(str(tmp_path / "net.pth"))
    assert "weights_only" not in str(caught.value)


def repacked(data, method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
    return buffer.getvalue()


def with_two_directories(packed):
    """An archive in which Python finds a list of parts that are not packed, and torch the one of those that are."""
    end = len(packed) - 22
    size, start = struct.unpack("<2L", packed[end + 12 : end + 20])
    shown = bytearray(packed[start : start + size])
    at = 0
    while at < size:
        struct.pack_into("<H", shown, at + 10, zipfile.ZIP_STORED)
        at += 46 + sum(struct.unpack("<3H", shown[at + 28 : at + 34]))
    return packed[:end] + bytes(shown) + packed[end:]


def test_an_archive_of_weights_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"ones": torch.ones(3)}, tmp_path / "net.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_weight_file(tmp_path / "net.pth", 2**20)["ones"].tolist() == [1, 1, 1]


def test_an_archive_of_weights_is_held_once_in_memory(tmp_path):
    file = tmp_path / "net.pth"
    torch.save({str(number): torch.rand(10**5) for number in range(100)}, file)
    tracemalloc.start()
    try:
        assert len(read_weight_file(file, 2**30)) == 100
        most = tracemalloc.get_traced_memory()[1]  # without the tensors themselves
    finally:
        tracemalloc.stop()
    assert most < 1.5 * file.stat().st_size


def test_an_archive_of_weights_may_not_hold_more_than_its_size_says(tmp_path):
    """Packed zeros would take a thousand times the memory that the size of the file promises."""
    buffer = io.BytesIO()
    torch.save({"zeros": torch.zeros(10**6)}, buffer)
    whole, file = buffer.getvalue(), tmp_path / "net.pth"
    for fine in (whole, repacked(whole, zipfile.ZIP_STORED)):
        file.write_bytes(fine)
        assert list(read_weight_file(file, 2**30)) == ["zeros"]
        with pytest.raises(WeightsError, match="at most 1,000,000 are read"):
            read_weight_file(file, 10**6)
    packed = repacked(whole, zipfile.ZIP_DEFLATED)
    assert len(packed) < 10**4
    file.write_bytes(packed)
    with pytest.raises(WeightsError, match="packed like a zip file"):
        read_weight_file(file, 2**30)
    file.write_bytes(with_two_directories(packed))
    assert not any(part.compress_type for part in zipfile.ZipFile(file).infolist())
    assert list(torch.load(file, weights_only=True)) == ["zeros"]
    with pytest.raises(WeightsError, match="not a whole torch file"):
        read_weight_file(file, 2**30)


def zip_of(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (zip_of("net/data.pkl", "net/code/__torch__/net.py", "net/constants.pkl"), "a TorchScript program"),
        (zip_of("net/models/model.json", "net/archive_format"), "a program of torch.export (.pt2)"),
        (zip_of("serialized_exported_program.json", "version"), "a program of torch.export (.pt2)"),
        (zip_of("weights/net.pth", "readme.txt"), "a zip file that torch.save did not write"),
    ],
)
def test_an_archive_of_another_kind_is_called_what_it_is(data, says, tmp_path):
    (tmp_path / "net.pt").write_bytes(data)
    with pytest.raises(WeightsError, match=re.escape(says)):
        load_weights(str(tmp_path / "net.pt"))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch prefers torch.export
def test_a_real_torchscript_program_is_called_so(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"a TorchScript program.*save model\.state_dict\(\)"):
        load_weights(str(tmp_path / "net.pt"))


@pytest.mark.parametrize(
    ("beside", "named"),
    [
        ({"accuracy": np.float64(0.78)}, r"numpy\.?_?\w*\.multiarray\.scalar"),
        ({"args": argparse.Namespace(lr=0.1)}, r"argparse\.Namespace"),
    ],
)
def test_what_stands_in_the_way_of_a_checkpoint_is_named(beside, named, tmp_path):
    torch.save({"state_dict": {"x": torch.zeros(1)}, **beside}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=rf"\(it holds {named}\).*save model\.state_dict\(\) instead"):
        load_weights(str(tmp_path / "net.pth"))


class Much:
    """A few bytes of pickle that ask for many of memory."""

    def __reduce__(self):
        return bytearray, (2**26,)


@pytest.mark.parametrize("is_archive", [True, False])
def test_a_pickle_that_would_fill_memory_is_refused(is_archive, tmp_path):
    file = tmp_path / "net.pth"
    buffer = io.BytesIO()
    torch.save({"x": 1}, buffer, _use_new_zipfile_serialization=is_archive)
    data = buffer.getvalue()
    if is_archive:
        packed = io.BytesIO()
        with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(packed, "w") as new:
            for part in old.infolist():
                is_pickle = part.filename.endswith("data.pkl")
                new.writestr(part.filename, pickle.dumps({"x": Much()}, 2) if is_pickle else old.read(part))
        data = packed.getvalue()
    else:
        data = data.replace(pickle.dumps({"x": 1}, 2), pickle.dumps({"x": Much()}, 2))
    file.write_bytes(data)
    assert len(torch.load(file, weights_only=True)["x"]) == 2**26
    with pytest.raises(WeightsError, match="not a plain state dict"):
        read_weight_file(file, 2**30)


def test_a_file_of_weights_that_is_far_too_large_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "huge.pth", "wb") as file:
        file.truncate(2**33)  # takes no room on the disk
    with pytest.raises(WeightsError, match="8,589,934,592 bytes"):
        load_weights(str(tmp_path / "huge.pth"))


# The network

OFFLINE = """
import socket, sys

def refuse(*given, **named):
    raise AssertionError(f"a connection was asked for: {given}")

for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.create_connection = refuse
sys.addaudithook(lambda event, given: refuse(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
from atlas.__main__ import main
main()
"""


def test_a_build_with_the_demo_weights_opens_no_connection(tmp_path):
    config = tmp_path / "atlas.toml"
    config.write_text(
        'extends = "demo"\n[features]\nlayers = ["Conv2d_1a_3x3"]\ncount = 1\nrecipe = "tiny"\nonly = true\n'
        "[recipes.tiny]\noctaves = [{ size = 75, steps = 1, lr = [0.05, 0.02] }]\n"
    )
    command = [sys.executable, "-c", OFFLINE, "build", "--config", str(config), "--device", "cpu"]
    command += ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "site"), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").is_file()


def test_a_crop_that_was_cut_off_is_written_again(tmp_path):
    image = Image.new("RGB", (20, 30), "red")
    path = tmp_path / "crops" / write_crop(tmp_path, image)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    write_crop(tmp_path, image)
    assert path.read_bytes() == whole


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch says that it looks into sparse tensors slowly
@pytest.mark.parametrize("spoil", [torch.Tensor.to_sparse, lambda tensor: tensor.to("meta")])
def test_weights_whose_numbers_are_not_there_are_refused(spoil, weights, tmp_path):
    name = "Mixed_5b.branch1x1.conv.weight"
    torch.save({**weights.tensors, name: spoil(weights.tensors[name])}, tmp_path / "net.pth")
    with pytest.raises(WeightsError):
        load_weights(str(tmp_path / "net.pth"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only names that are text")
@pytest.mark.parametrize("ending", [b".pth", b".safetensors"])
def test_a_file_of_weights_may_have_a_name_that_is_no_text(ending, weights, tmp_path):
    file = os.fsdecode(os.fsencode(tmp_path) + b"/m\xfcller" + ending)
    tensors = {name: tensor.contiguous() for name, tensor in weights.tensors.items()}
    if ending == b".pth":
        torch.save(tensors, file)
    else:
        Path(file).write_bytes(safetensors.torch.save(tensors))
    found = load_weights(file).id
    assert found.note == f"weights from the file m�ller{ending.decode()}"
    write_weights_id(tmp_path, found)
    assert read_weights_id(tmp_path / found.folder / WEIGHTS_FILE) == found
