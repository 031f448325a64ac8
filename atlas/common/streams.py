"""The standard streams of this process: always open and writable, whatever happens at their other ends."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def prepare_streams() -> None:
    """Open the standard streams that are closed, and let those that break during the run become /dev/null."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their numbers
        if getattr(sys, name) is None:  # was closed: the next file that is opened would get its number
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be text, and a terminal may lack characters
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")
    for name, title in (("stdout", "standard output"), ("stderr", "standard error")):
        stream = getattr(sys, name)
        was_given = stream is getattr(sys, f"__{name}__")  # and sys.__stdout__ keeps it open
        if was_given and isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, text_stream(SteadyFile(stream.fileno(), title), like=stream))


def text_stream(file: SteadyFile, *, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """A text stream that writes to a file, with the encoding and buffering of another stream."""
    by_line = like.line_buffering or like.write_through
    return io.TextIOWrapper(io.BufferedWriter(file), like.encoding, like.errors, newline="\n", line_buffering=by_line)


class SteadyFile(io.FileIO):
    """A file that becomes /dev/null at the first write that fails, as on a pipe without a reader or a full disk.

    The log gets one event. Processes that are started later inherit /dev/null.
    """

    def __init__(self, number: int, title: str) -> None:
        """Write to an open file.

        Args:
            number: of the file; it stays open when this object is closed.
            title: the stream, in messages.
        """
        super().__init__(number, "w", closefd=False)
        self._title = title
        self._is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes; returns how many were taken. Never fails."""
        try:
            written: int | None = super().write(data)
        except OSError as error:
            self._lose(error)
            return memoryview(data).nbytes
        if written is None:  # a parent such as Node.js made the pipe non-blocking, and it is full
            os.set_blocking(self.fileno(), True)
            return self.write(data)
        return written

    def _lose(self, error: OSError) -> None:
        """Put /dev/null in the stream's place, and say so once."""
        if self._is_lost:
            return
        self._is_lost = True
        with suppress(OSError):  # no file can be opened any more: every later write fails, and is ignored
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
        from atlas.common import log  # rarely needed, and this module is imported first

        why = error.strerror or str(error)
        log.event("stream lost", stream=self._title, why=why)
        # EPIPE: the reader, such as head, wants no more
        if self._title == "standard output" and error.errno != errno.EPIPE:
            sys.stderr.write(f"warning: {self._title} takes no more text ({why}); the run continues without it\n")
