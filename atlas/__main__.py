"""Entry point of `python -m atlas` and of the `atlas` command; handles Ctrl-C from the first import on."""

import os
import signal
import sys
import warnings
from contextlib import suppress
from types import FrameType

from atlas import INTERRUPTED
from atlas.common.cores import shorten_spin
from atlas.common.errors import RESUME
from atlas.common.streams import prepare_streams

_AT_ONCE = f"\natlas: stopped at once; {RESUME}\n".encode()


def main() -> None:
    """Run the command line. The first Ctrl-C ends the run in order, a second one ends the process at once."""
    prepare_streams()
    shorten_spin(os.environ)
    # Pillow's warnings are not for users: a picture that is not whole is an error of its own
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
        # a library raised another error instead, or Ctrl-C came before or after the command
        sys.stderr.write(f"atlas: interrupted; {RESUME}\n")
        sys.exit(INTERRUPTED)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _stop)
    raise KeyboardInterrupt


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End this process without waiting: files are written atomically, and child processes end with their parent."""
    with suppress(OSError):  # the terminal may be gone
        os.write(2, _AT_ONCE)
    os._exit(INTERRUPTED)


def _was_interrupted() -> bool:
    return signal.getsignal(signal.SIGINT) is _stop


if __name__ == "__main__":
    main()
