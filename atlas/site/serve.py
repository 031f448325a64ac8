"""The preview server: a site's folder → HTTP on this machine only, with the byte ranges that videos need."""

import errno
import os
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from mimetypes import MimeTypes
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.http import parse_range_header
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import redirect, send_file
from werkzeug.wrappers import Request, Response

from atlas.common.errors import ConfigError, StoreError

HOST = "127.0.0.1"
INDEX = "index.html"
_BACKLOG = 128

_TYPES = MimeTypes()  # Python's own: what the operating system calls a type differs from machine to machine
for _type, _ending in (("image/avif", ".avif"), ("text/javascript", ".js"), ("application/xml", ".xml")):
    _TYPES.add_type(_type, _ending)


def serve(folder: Path, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve a site until interrupted.

    Args:
        folder: the site.
        port: of 127.0.0.1; 0 takes any free one.
        on_ready: called with the address once it answers.

    Raises:
        StoreError: there is no site in the folder.
        ConfigError: the port is taken, or may not be used.
    """
    if not (folder / INDEX).is_file():
        raise StoreError(
            f"{folder}: no {INDEX} there, so there is no site to show; run atlas build or atlas site first"
        )
    with _listen(port) as listener:
        number = listener.getsockname()[1]
        app = _App(_real(folder))
        server = make_server(HOST, number, app, threaded=True, request_handler=_Quiet, fd=listener.fileno())
        on_ready(f"http://{HOST}:{number}/")
        server.serve_forever()


class _Quiet(WSGIRequestHandler):
    """Prints no line for a request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class _App:
    """WSGI application: the files of one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = self._answer(Request(environ))
        try:
            yield from response(environ, start_response)
        finally:
            response.close()  # its file too, where the reader went away or already has it

    def _answer(self, request: Request) -> Response:
        try:
            return self._send(request)
        except PermissionError:
            return Response(f"403: {request.path} may not be read\n", HTTPStatus.FORBIDDEN, mimetype="text/plain")
        except (NotFound, OSError, ValueError):  # ValueError: a name with a NUL
            return self._missing(request)
        except HTTPException as error:
            return Response(f"{error.code} {error.name}\n", error.code, error.get_headers(), mimetype="text/plain")

    def _send(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(["GET", "HEAD"])
        path = self._find(request.path)
        if path.is_dir():
            if not request.path.endswith("/"):
                # made from the path that was found: "//name" taken as it came would lead to another host
                inside = path.relative_to(self._root).as_posix()
                return redirect(f"/{inside}/", HTTPStatus.PERMANENT_REDIRECT)
            path = self._find(f"{request.path}{INDEX}")
        if not path.is_file():
            raise NotFound
        return self._file(path, request)

    def _find(self, path: str) -> Path:
        """The file or folder of an address; never one outside the site, not through a link either."""
        found = _real(self._root / path.lstrip("/"))
        if not found.is_relative_to(self._root):
            raise NotFound
        return found

    def _file(self, path: Path, request: Request) -> Response:
        environ = dict(request.environ)
        ranges = parse_range_header(environ.get("HTTP_RANGE"))
        if ranges is None or ranges.units != "bytes" or len(ranges.ranges) != 1:
            environ.pop("HTTP_RANGE", None)  # malformed, unknown or several: RFC 9110 lets these be ignored
        elif ranges.ranges[0][0] < -path.stat().st_size:
            environ["HTTP_RANGE"] = "bytes=0-"  # more of the end than there is: RFC 9110 asks for all, werkzeug refuses
        kind = _TYPES.guess_type(path.name)[0] or "application/octet-stream"
        return send_file(path, environ, mimetype=kind)  # without an age: Cache-Control: no-cache

    def _missing(self, request: Request) -> Response:
        try:
            page = self._find("404.html").read_bytes()
        except (NotFound, OSError):
            return Response(f"404: this site has no {request.path}\n", HTTPStatus.NOT_FOUND, mimetype="text/plain")
        return Response(page, HTTPStatus.NOT_FOUND, mimetype="text/html")


def _real(path: Path) -> Path:
    """Where a path leads; unlike `Path.resolve`, of links that lead in a circle too."""
    return Path(os.path.realpath(path))


def _listen(port: int) -> socket.socket:
    """An open socket. Opened here, since werkzeug ends the program where a port is taken."""
    try:
        return socket.create_server((HOST, port), backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is taken by another program" if taken else f"cannot be used: {error}"
        raise ConfigError(f"port {port} of {HOST} {why}; choose another with --port, or 0 for any free one") from None
