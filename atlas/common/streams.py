"""The three standard streams of this process: always there, always writable, whatever their other ends do."""

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
    """Make the standard streams safe to use: none is closed, and one that breaks during the run becomes /dev/null."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their numbers
        if getattr(sys, name) is None:  # closed by who started it: the next file to be opened would have its number
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be text, nor need a terminal have every sign
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")
    for name, title in (("stdout", "standard output"), ("stderr", "standard error")):
        stream = getattr(sys, name)
        was_given = stream is getattr(sys, f"__{name}__")  # and so has a second owner, who keeps it open
        if was_given and isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, text_stream(SteadyFile(stream.fileno(), title), like=stream))


def text_stream(file: SteadyFile, *, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream that writes to a file, with the encoding and buffering of another stream."""
    by_line = like.line_buffering or like.write_through
    return io.TextIOWrapper(io.BufferedWriter(file), like.encoding, like.errors, newline="\n", line_buffering=by_line)


class SteadyFile(io.FileIO):
    """A file that becomes /dev/null at the first write that fails: a pipe without reader, a full disk.

    One event tells the log. Processes that are started later inherit /dev/null.
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
        """Write bytes, as many as are taken at once; never fails for what is at the other end."""
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
        with suppress(OSError):  # no file can be opened any more: then every later write fails, and is passed over
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
        from atlas.common import log  # rarely needed, and this module is imported before anything else

        why = error.strerror or str(error)
        log.event("stream lost", stream=self._title, why=why)
        # of a reader that has seen enough, such as head, nothing is said
        if self._title == "standard output" and error.errno != errno.EPIPE:
            sys.stderr.write(f"warning: {self._title} takes no more text ({why}); the run continues without it\n")
