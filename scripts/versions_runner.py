"""Run many command lines of `python -m atlas` in one process, which imports torch once.

    python scripts/versions_runner.py OUT < COMMANDS

COMMANDS is a JSON list of lists of arguments. OUT receives a JSON list with the exit code, the standard output and the
standard error of each.
"""

import io
import json
import runpy
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path


def main() -> None:
    results = [run(arguments) for arguments in json.load(sys.stdin)]
    Path(sys.argv[1]).write_text(json.dumps(results), encoding="utf-8")


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line."""
    given, sys.argv = sys.argv, ["atlas", *arguments]
    out, err = io.BytesIO(), io.BytesIO()
    out_text, err_text = (io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) for buffer in (out, err))
    try:
        with redirect_stdout(out_text), redirect_stderr(err_text):
            code = run_module()
    finally:
        sys.argv = given
    return code, out.getvalue().decode(errors="replace"), err.getvalue().decode(errors="replace")


def run_module() -> int:
    """The exit code that `python -m atlas` ends with."""
    try:
        runpy.run_module("atlas", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
