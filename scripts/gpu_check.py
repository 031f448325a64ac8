"""Check this program on a GPU in minutes: correctness, equal bytes, speed, memory. `make gpu-check`.

Phases run in order of importance. Each runs in a process of its own, so that neither a CUDA error nor a phase that
hangs affects the next one. Each has a time limit, and all of them share a budget. After each phase one JSON object is
appended to `--out`: a run that is cut off leaves the results of the phases before. `--report` writes
docs/benchmarks/gpu.md from that file.

A bare machine needs torch and torchvision. Other packages that it lacks can be brought as wheels in a folder
(`scripts/gpu_pack.py` downloads them); they are unpacked, not installed.
"""

from __future__ import annotations

import argparse
import atexit
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_phases import Phase, Setting

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "build" / "gpu-check"  # where gpu_pack.py puts wheels and weights
REPORT = ROOT / "docs" / "benchmarks" / "gpu.md"
BUDGET = 450.0  # seconds; with imports and exit less than eight minutes
LEAST = 3.0  # seconds left for which no phase is begun


def main() -> None:
    options = read_options()
    if options.report:
        write_report(options.out)
        return
    use_wheels(options.wheels)
    sys.path.insert(0, str(ROOT))
    from atlas.common.cores import shorten_spin

    shorten_spin(os.environ)  # before torch is imported
    from gpu_phases import PHASES, Setting

    setting = Setting(options.device, options.weights, options.small)
    names = options.phases.split(",") if options.phases else [phase.name for phase in PHASES]
    if unknown := set(names) - {phase.name for phase in PHASES}:
        sys.exit(
            f"gpu-check: no such phase: {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in PHASES)}"
        )
    chosen = [phase for phase in PHASES if phase.name in names]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    results = run_phases(chosen, setting, options.out, options.budget)
    sys.exit(1 if any(result["status"] in ("failed", "timed out") for result in results) else 0)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    parser.add_argument("--small", action="store_true", help="a little of every phase, to test the check itself")
    parser.add_argument(
        "--weights", default="demo", help="demo (the default), imagenet or a file, which may be one of gpu_pack.py"
    )
    parser.add_argument(
        "--wheels", type=Path, default=PACK / "wheels", help="folder of wheels to use where there is one"
    )
    parser.add_argument("--phases", metavar="P,P", help="names of phases (default: all)")
    parser.add_argument("--budget", type=float, default=BUDGET, help=f"seconds in all (default: {BUDGET:.0f})")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "gpu-check.jsonl", help="results are appended to this file"
    )
    parser.add_argument("--report", action="store_true", help="only write docs/benchmarks/gpu.md from --out")
    return parser.parse_args()


def use_wheels(folder: Path) -> None:
    """Unpack the wheels of a folder and put them behind what is installed, here and in every child."""
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        return
    site = tempfile.mkdtemp(prefix="gpu-check-wheels-")
    atexit.register(shutil.rmtree, site, ignore_errors=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    sys.path.append(site)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), site]))


def run_phases(phases: Iterable[Phase], setting: Setting, out: Path, budget: float) -> list[dict[str, Any]]:
    """Run phases one after the other; returns their results, which `out` holds too."""
    ends, results = time.monotonic() + budget, []
    for phase in phases:
        left = ends - time.monotonic()
        if left < LEAST:
            result = {"phase": phase.name, "status": "skipped", "why": "no time left", "seconds": 0.0}
        else:
            result = run_phase(phase, setting, min(phase.seconds, left))
        results.append(result)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(summary(result), flush=True)
    return results


def run_phase(phase: Phase, setting: Setting, seconds: float) -> dict[str, Any]:
    """Run a phase in a process of its own, and end it when its time is up; what it found until then counts."""
    context = multiprocessing.get_context("fork")  # the imports are done once, and CUDA is not initialised here
    near, far = context.Pipe(duplex=False)
    began = time.monotonic()
    process = context.Process(target=in_child, args=(phase, setting, far))
    process.start()
    far.close()
    result: dict[str, Any] = {"phase": phase.name, "status": "timed out", "found": {}}
    try:
        while near.poll(max(0.0, began + seconds - time.monotonic())):
            kind, value = near.recv()
            if kind == "found":
                add_to(result["found"], value)
            else:
                result |= {"status": kind, **({"why": value} if value else {})}
                break
    except EOFError:
        result |= {"status": "failed", "why": "its process died"}
    if process.pid and process.is_alive() and result["status"] == "timed out":
        process.kill()
        with suppress(ProcessLookupError):  # its own children, if it has come so far as to have a group of its own
            os.killpg(process.pid, signal.SIGKILL)
    process.join(10)  # one that the driver holds is left behind
    return {**result, "seconds": round(time.monotonic() - began, 1)}


def in_child(phase: Phase, setting: Setting, pipe: Connection) -> None:
    """Send what a phase finds, as soon as it is there, and how the phase ended."""
    from gpu_phases import SkippedError

    os.setsid()  # so that its own children end with it
    try:
        for found in phase.run(setting):
            pipe.send(("found", found))
        pipe.send(("ok", None))
    except SkippedError as why:
        pipe.send(("skipped", str(why)))
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))
    pipe.close()
    os._exit(0)  # the parent's buffers and exit handlers are not this process's


def add_to(found: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put results together: lists are joined, anything else replaces what was there."""
    for key, value in more.items():
        found[key] = [*found.get(key, []), *value] if isinstance(value, list) else value


def summary(result: Mapping[str, Any]) -> str:
    """A phase in a few lines for a person."""
    lines = [f"{result['phase']}: {result['status']}, {result['seconds']} s"]
    if result.get("why"):
        lines += [f"  {line}" for line in str(result["why"]).strip().splitlines()[-12:]]
    for key, value in result.get("found", {}).items():
        shown = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        lines += [f"  {key}: {one if isinstance(one, str) else json.dumps(one)}"[:400] for one in shown]
    return "\n".join(lines)


def write_report(results: Path) -> None:
    """Write docs/benchmarks/gpu.md from results, and print the rows that README quotes."""
    sys.path.insert(0, str(ROOT))
    from gpu_report import make_report, readme_rows

    found = read_results(results.read_text(encoding="utf-8").splitlines())
    REPORT.write_text(make_report(found), encoding="utf-8")
    print(f"{REPORT} written; rows for README:\n" + "\n".join(readme_rows(found)))


def read_results(lines: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The results of the last run, by phase; a run begins with its facts.

    Phases that were run by themselves after it, with `--phases`, replace its own where they found something.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        if not line.strip():
            continue
        result = json.loads(line)
        if result["phase"] == "facts":
            found = {}
        if result.get("found") or result["phase"] not in found:
            found[result["phase"]] = result
    return found


if __name__ == "__main__":
    main()
