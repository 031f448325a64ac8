"""The log of a run: events, as lines of JSON in a file, and on the terminal as --quiet and --verbose ask."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from atlas.common.errors import AtlasError, StoreError

Loudness = Literal["quiet", "normal", "verbose"]

_LOGGER = logging.getLogger("atlas")
_WARNINGS = logging.getLogger("py.warnings")  # where Python puts warnings that are captured
_FIELDS = "atlas_fields"
_NOTICE = "notice"
_loudness: ContextVar[Loudness] = ContextVar("loudness", default="normal")


def event(name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log that something happened; without effect outside of `watched`.

    Args:
        name: what happened, such as "rendered".
        level: a level of the standard library's logging.
        fields: values for JSON; what JSON cannot hold becomes text.
    """
    _LOGGER.log(level, name, extra={_FIELDS: fields})


def notice(message: str) -> None:
    """Tell the user why nothing seems to happen, such as that the run waits for another one."""
    event(_NOTICE, message=message)


def loudness() -> Loudness:
    """How much of the watched run the terminal shows."""
    return _loudness.get()


@contextmanager
def watched(file: Path | None, loud: Loudness) -> Iterator[None]:
    """Log the events of a run, its warnings, and how it ends.

    Args:
        file: the events are appended to it, so that a resumed run has one log; None: no file.
        loud: "quiet" shows only failures and errors on the terminal, "verbose" every event.

    Raises:
        StoreError: the file cannot be written.
    """
    handlers = [_Terminal(loud), *([_open(file)] if file else [])]
    token, level, propagates = _loudness.set(loud), _LOGGER.level, _LOGGER.propagate
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    for handler in handlers:
        _LOGGER.addHandler(handler)
        _WARNINGS.addHandler(handler)
    logging.captureWarnings(True)
    try:
        event("started", arguments=sys.argv[1:])
        yield
        event("ended")
    except BaseException as error:
        _tell_end(error)
        raise
    finally:
        logging.captureWarnings(False)
        for handler in handlers:
            _LOGGER.removeHandler(handler)
            _WARNINGS.removeHandler(handler)
            handler.close()
        _LOGGER.setLevel(level)
        _LOGGER.propagate = propagates
        _loudness.reset(token)


class JsonFormatter(logging.Formatter):
    """An event as a JSON object: time (UTC), level, event, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        is_warning = record.name == _WARNINGS.name
        said = {"event": "warning", "message": record.getMessage().strip()} if is_warning else {"event": record.msg}
        whole = {"time": time, "level": record.levelname.lower(), **said, **getattr(record, _FIELDS, {})}
        if record.exc_info:
            whole["traceback"] = self.formatException(record.exc_info)
        return json.dumps(whole, ensure_ascii=False, default=str)


class _Terminal(logging.Handler):
    """Events on standard error. It is looked up for each event, since a progress bar replaces it."""

    def __init__(self, loud: Loudness) -> None:
        super().__init__()
        self._loud = loud

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, _FIELDS, {})
        if self._loud == "quiet":
            return
        if record.name == _WARNINGS.name:
            sys.stderr.write(f"warning: {record.getMessage().strip().splitlines()[0]}\n")
        elif record.msg == _NOTICE:
            sys.stderr.write(f"{fields['message']}\n")
        elif self._loud == "verbose":
            words = [f"{datetime.now():%H:%M:%S}", record.getMessage(), *(f"{k}={v}" for k, v in fields.items())]
            sys.stderr.write(" ".join(words) + "\n")


class _File(logging.FileHandler):
    """A log that ends when it cannot be written any more, without ending the run."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=_open_at_once)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  # the standard library's name
        self.setLevel(logging.CRITICAL + 1)
        sys.stderr.write(f"warning: {self.baseFilename}: cannot be written ({sys.exc_info()[1]}); the log ends here\n")

    def close(self) -> None:
        with suppress(OSError):  # what is left in the buffer
            super().close()


def _open_at_once(file: str, flags: int) -> int:
    """Open a file; a pipe that no program reads is an error, and not waited for."""
    handle = os.open(file, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(handle, True)  # a slow reader gets every event whole
    return handle


def _open(file: Path) -> logging.Handler:
    try:
        handler = _File(file, encoding="utf-8", errors="backslashreplace")  # names of files need not be text
    except OSError as error:
        why = "no program reads at the other end of this pipe" if error.errno == errno.ENXIO else error.strerror
        raise StoreError(f"{file}: the log cannot be written: {why}; name another --log-file") from None
    handler.setFormatter(JsonFormatter())
    return handler


def _tell_end(error: BaseException) -> None:
    """Log how a run ended that did not end well."""
    if isinstance(error, AtlasError):
        event("error", level=logging.ERROR, message=str(error), exit_code=error.exit_code)
    elif isinstance(error, KeyboardInterrupt):
        event("interrupted", level=logging.WARNING)
    elif (code := getattr(error, "exit_code", None)) is not None:  # a command's own way to end
        event("ended", exit_code=code)
    else:
        _LOGGER.error("crashed", exc_info=error, extra={_FIELDS: {"message": f"{type(error).__name__}: {error}"}})
