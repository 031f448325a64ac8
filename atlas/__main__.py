"""Entry point of `python -m atlas` and of the `atlas` command; what Ctrl-C does, from the first import on."""

import io
import os
import signal
import sys
import warnings
from types import FrameType

from atlas import INTERRUPTED

_AT_ONCE = b"\natlas: stopped at once; what is finished is kept, and the same command goes on from there\n"


def main() -> None:
    """Run the command line. The first Ctrl-C ends what is being done, a second one stops at once."""
    _ready_streams()
    # what Pillow mutters about a file is for nobody: a picture is whole, or it is damaged and named
    warnings.filterwarnings("ignore", module=r"PIL\.")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as under nohup
        signal.signal(signal.SIGINT, _interrupt)
    try:
        from atlas.cli import app

        app()
    except SystemExit as end:
        sys.exit(INTERRUPTED if end.code == 1 and _was_interrupted() else end.code)  # 1 is what "Aborted!" ends with
    except BaseException:
        if not _was_interrupted():
            raise
        # a library made another error of it; or it came before or after there was a command
        sys.stderr.write("atlas: interrupted; the same command goes on from there\n")
        sys.exit(INTERRUPTED)


def _ready_streams() -> None:
    """Let everything be said, whatever the streams are that this process was given."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their numbers
        if getattr(sys, name) is None:  # closed by who started it: the next file to be opened would have its number
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be text, nor need a terminal have every sign
        is_utf8 = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _stop)
    raise KeyboardInterrupt


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End this process without waiting; files are whole or not there, and processes that it started end with it."""
    os.write(2, _AT_ONCE)
    os._exit(INTERRUPTED)


def _was_interrupted() -> bool:
    return signal.getsignal(signal.SIGINT) is _stop


if __name__ == "__main__":
    main()
