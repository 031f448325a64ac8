"""The three standard streams of this process: always there, always writable, whatever their other ends do."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import BinaryIO


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
        if was_given and isinstance(stream, io.TextIOWrapper) and os.name == "posix":  # elsewhere a console is no file
            buffer = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115  # closed with its stream
            setattr(sys, name, SteadyStream(buffer, title, like=stream))


class SteadyStream(io.TextIOWrapper):
    """A text stream that becomes /dev/null at the first write that fails: a pipe without reader, a full disk.

    One event tells the log. Processes that are started later inherit /dev/null.
    """

    def __init__(self, buffer: BinaryIO, title: str, *, like: io.TextIOWrapper) -> None:
        """Wrap a file.

        Args:
            buffer: where the bytes go.
            title: the stream, in messages.
            like: the stream whose encoding and buffering it has.
        """
        by_line = like.line_buffering or like.write_through
        super().__init__(buffer, like.encoding, like.errors, newline="\n", line_buffering=by_line)
        self._title = title
        self._is_lost = False

    def write(self, text: str, /) -> int:
        """Write text; never fails for what is at the other end."""
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        """Pass on what is buffered; never fails for what is at the other end."""
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Put /dev/null in the stream's place, and say so once."""
        if isinstance(error, BlockingIOError):  # a parent such as Node.js made the pipe non-blocking, and it is full
            os.set_blocking(self.fileno(), True)
            self.flush()
            return
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
        if self is sys.stdout and error.errno != errno.EPIPE:  # a reader that has seen enough, such as head, is no news
            sys.stderr.write(f"warning: {self._title} takes no more text ({why}); the run continues without it\n")
