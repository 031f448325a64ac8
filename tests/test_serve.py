"""The preview server: files, ranges, redirects, and what it refuses."""

import gc
import http.client
import io
import os
import queue
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from atlas.common.errors import ConfigError, StoreError
from atlas.site.serve import serve

DATA = bytes(range(256)) * 8


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    folder = tmp_path_factory.mktemp("served")
    site = folder / "site"
    (site / "Mixed_6b/654").mkdir(parents=True)
    (site / "index.html").write_text("<!DOCTYPE html>home")
    (site / "Mixed_6b/654/index.html").write_text("feature")
    (site / "clip.mp4").write_bytes(DATA)
    (site / "thumb.avif").write_bytes(b"avif")
    (folder / "secret.txt").write_text("secret")
    (site / "way-out.txt").symlink_to(folder / "secret.txt")
    (site / "outside").symlink_to(folder)
    (site / "404.html").symlink_to(folder / "secret.txt")
    (site / "loop").symlink_to("loop")
    (site / "short.mp4").write_bytes(DATA[:10])
    (site / "empty.mp4").touch()
    ready: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve, args=(site, 0, ready.put), daemon=True).start()
    parts = urlsplit(ready.get(timeout=10))
    assert parts.hostname == "127.0.0.1"
    assert parts.port
    return parts.hostname, parts.port


def ask(
    address: tuple[str, int], path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_a_folder_shows_its_index_after_a_slash(address: tuple[str, int]) -> None:
    assert ask(address, "/")[1] == b"<!DOCTYPE html>home"
    response, _ = ask(address, "/Mixed_6b/654")
    assert (response.status, response.getheader("Location")) == (308, "/Mixed_6b/654/")
    response, body = ask(address, "/Mixed_6b/654/")
    assert (response.status, body) == (200, b"feature")
    assert ask(address, "/Mixed_6b/")[0].status == 404  # no index: no listing


def test_types_do_not_depend_on_the_machine(address: tuple[str, int]) -> None:
    assert ask(address, "/thumb.avif")[0].getheader("Content-Type") == "image/avif"
    assert ask(address, "/clip.mp4")[0].getheader("Content-Type") == "video/mp4"
    assert ask(address, "/index.html")[0].getheader("Content-Type") == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=100-", 100, 2047), ("bytes=-48", 2000, 2047), ("bytes=2000-9999", 2000, 2047)],
)
def test_a_range_gives_that_part(address: tuple[str, int], asked: str, first: int, last: int) -> None:
    response, body = ask(address, "/clip.mp4", Range=asked)
    assert response.status == 206
    assert response.getheader("Content-Range") == f"bytes {first}-{last}/2048"
    assert response.getheader("Accept-Ranges") == "bytes"
    assert body == DATA[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=-10", "bytes=-11", "bytes=-100", "bytes=0-"])
def test_more_of_the_end_than_there_is_gives_all(address: tuple[str, int], asked: str) -> None:
    response, body = ask(address, "/short.mp4", Range=asked)
    assert (response.status, response.getheader("Content-Range"), body) == (206, "bytes 0-9/10", DATA[:10])
    response, body = ask(address, "/empty.mp4", Range=asked)
    assert (response.status, body) == (200, b"")


def test_a_range_beyond_the_end_is_refused(address: tuple[str, int]) -> None:
    response, _ = ask(address, "/clip.mp4", Range="bytes=2048-")
    assert response.status == 416
    assert response.getheader("Content-Range") == "bytes */2048"


@pytest.mark.parametrize("asked", ["bytes=a-b", "lines=0-1", "bytes=0-1,4-5"])
def test_ranges_that_are_none_or_several_give_the_whole(address: tuple[str, int], asked: str) -> None:
    response, body = ask(address, "/clip.mp4", Range=asked)
    assert (response.status, body) == (200, DATA)


def test_a_range_of_an_older_version_gives_the_whole(address: tuple[str, int]) -> None:
    response, body = ask(address, "/clip.mp4", Range="bytes=0-9", If_Range='"older"')
    assert (response.status, body) == (200, DATA)


def test_head_gives_the_headers_alone(address: tuple[str, int]) -> None:
    response, body = ask(address, "/clip.mp4", "HEAD")
    assert (response.status, response.getheader("Content-Length"), body) == (200, "2048", b"")
    assert response.getheader("Accept-Ranges") == "bytes"


def test_a_browser_asks_again_each_time(address: tuple[str, int]) -> None:
    response, _ = ask(address, "/clip.mp4")
    assert response.getheader("Cache-Control") == "no-cache"
    tag = response.getheader("ETag")
    assert tag
    assert ask(address, "/clip.mp4", If_None_Match=tag)[0].status == 304


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/way-out.txt", "/outside/secret.txt", "/outside",
     "/none.html", "/loop", "/loop/", "/loop/index.html", "/index.html/x", "/%00", "/" + "x" * 5000],
)  # fmt: skip
def test_nothing_outside_the_site_is_shown(address: tuple[str, int], path: str) -> None:
    response, body = ask(address, path)
    assert response.status == 404
    assert b"secret" not in body.replace(b"secret.txt", b"")


@pytest.mark.parametrize("spoilt", ["short.mp4", "404.html"])
def test_a_file_that_may_not_be_read_is_no_crash(monkeypatch: pytest.MonkeyPatch, spoilt: str, tmp_path: Path) -> None:
    """Root may read everything, so what the system would say is put in its place."""
    (tmp_path / "index.html").write_text("home")
    (tmp_path / spoilt).write_text("closed")
    opens = io.open

    def open_(file: object, *arguments: Any, **options: Any) -> Any:
        if str(file).endswith(spoilt):
            raise PermissionError(13, "Permission denied", str(file))
        return opens(file, *arguments, **options)

    ready: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve, args=(tmp_path, 0, ready.put), daemon=True).start()
    parts = urlsplit(ready.get(timeout=10))
    monkeypatch.setattr("builtins.open", open_)
    monkeypatch.setattr("io.open", open_)
    assert parts.hostname
    assert parts.port
    here = parts.hostname, parts.port
    response, body = ask(here, f"/{spoilt}")
    assert (response.status, body) == (403, f"403: /{spoilt} may not be read\n".encode())
    assert ask(here, "/none")[1] == b"404: this site has no /none\n"


def test_a_redirect_never_leads_to_another_host(address: tuple[str, int]) -> None:
    assert ask(address, "//Mixed_6b/654")[0].getheader("Location") == "/Mixed_6b/654/"


def test_other_methods_are_refused(address: tuple[str, int]) -> None:
    response, _ = ask(address, "/", "POST")
    assert response.status == 405
    assert "GET" in (response.getheader("Allow") or "")


def test_the_sites_own_page_tells_what_is_missing(address: tuple[str, int], tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("home")
    (tmp_path / "404.html").write_text("not in this atlas")
    ready: queue.Queue[str] = queue.Queue()
    threading.Thread(target=serve, args=(tmp_path, 0, ready.put), daemon=True).start()
    parts = urlsplit(ready.get(timeout=10))
    assert parts.hostname
    assert parts.port
    response, body = ask((parts.hostname, parts.port), "/none")
    assert (response.status, body) == (404, b"not in this atlas")


def test_a_folder_without_a_site_says_what_to_do(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="atlas build or atlas site"):
            serve(folder, 0, print)


def test_a_taken_port_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("home")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match="taken by another program; choose another with --port"):
            serve(tmp_path, other.getsockname()[1], print)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_it_is_quiet_and_ends_well_when_interrupted(tmp_path: Path) -> None:
    import signal

    (tmp_path / "index.html").write_text("home")
    code = (
        "import signal, sys; from pathlib import Path; from atlas.site.serve import serve\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a background job
        "serve(Path(sys.argv[1]), 0, lambda address: print(address, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdout
        parts = urlsplit(running.stdout.readline().strip())
        assert parts.hostname
        assert parts.port
        assert ask((parts.hostname, parts.port), "/")[0].status == 200
        assert ask((parts.hostname, parts.port), "/none")[0].status == 404
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=20)
    assert (output, errors, running.returncode) == ("", "", 0)


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_files_are_closed_though_readers_go_away(address: tuple[str, int]) -> None:
    """As a browser does with videos, and with what it has already."""
    tag = ask(address, "/clip.mp4")[0].getheader("ETag")
    for _ in range(20):
        assert ask(address, "/clip.mp4", If_None_Match=tag)[0].status == 304
        with socket.create_connection(address) as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
            reader.sendall(b"GET /clip.mp4 HTTP/1.1\r\nHost: here\r\nRange: bytes=0-\r\n\r\n")
    assert ask(address, "/clip.mp4")[0].status == 200
    gc.collect()
