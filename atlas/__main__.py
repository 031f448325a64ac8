"""Entry point of `python -m atlas` and of the `atlas` command; what Ctrl-C does, from the first import on."""

import os
import signal
import sys
import warnings
from contextlib import suppress
from types import FrameType

from atlas import INTERRUPTED
from atlas.common.cores import shorten_spin
from atlas.common.streams import prepare_streams

_AT_ONCE = b"\natlas: stopped at once; what is finished is kept, and the same command goes on from there\n"


def main() -> None:
    """Run the command line. The first Ctrl-C ends what is being done, a second one stops at once."""
    prepare_streams()
    shorten_spin(os.environ)
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


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _stop)
    raise KeyboardInterrupt


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End this process without waiting; files are whole or not there, and processes that it started end with it."""
    with suppress(OSError):  # the terminal may be gone
        os.write(2, _AT_ONCE)
    os._exit(INTERRUPTED)


def _was_interrupted() -> bool:
    return signal.getsignal(signal.SIGINT) is _stop


if __name__ == "__main__":
    main()
