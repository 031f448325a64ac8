"""Results of gpu_check.py → docs/benchmarks/gpu.md, and the rows that README quotes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from atlas.inception import layers, targets
from atlas.plan.jobs import DEFAULT_SEED, Job
from atlas.studies import load_config

Results = Mapping[str, Mapping[str, Any]]
NEAR_BEST = 1.05  # a batch is large enough if its steps take at most so many times the best size's time


def make_report(results: Results) -> str:
    """All of it, in Markdown."""
    facts = found_in(results, "facts")
    parts = [
        "# On a GPU",
        "Measured by `make gpu-check`, in one run on one machine, and written by `scripts/gpu_check.py --report`.",
        bullets({key: facts[key] for key in facts if key not in ("missing", "small")}),
        "## What ran",
        table(
            ("phase", "ended", "seconds"),
            ((name, one["status"], f"{one['seconds']:.0f}") for name, one in results.items()),
        ),
    ]
    for heading, make in SECTIONS.items():
        lines = make(results)
        if lines:
            parts += [f"## {heading}", *lines]
    return "\n\n".join(parts) + "\n"


def readme_rows(results: Results) -> list[str]:
    """Rows of README's table of what a run takes, as far as they were measured."""
    rows = []
    device = found_in(results, "facts").get("device", "a GPU")
    seconds = all_features_seconds(results)
    if seconds is not None:
        rows.append(f"all 10,448 features by `octaves` on one {device}: {seconds / 60:.1f} minutes, extrapolated")
    video = found_in(results, "video")
    if "seconds" in video:
        rows.append(f"a video of {video['frames']} frames on one {device}: {video['seconds']:.1f} s")
    return [] if found_in(results, "facts").get("small") else rows


def found_in(results: Results, phase: str) -> Mapping[str, Any]:
    """What a phase found; empty if it did not run."""
    found: Mapping[str, Any] = results.get(phase, {}).get("found", {})
    return found


def best_rows(steps: Iterable[Mapping[str, Any]], precision: str) -> dict[str, int]:
    """The batch table of a precision: for each layer the least batch whose step is within 5 % of the fastest."""
    by_layer: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        if step["precision"] == precision and step["graphs"] and "seconds" in step:
            by_layer.setdefault(step["layer"], []).append(step)
    return {
        layer: min(one["rows"] for one in ones if one["seconds"] <= NEAR_BEST * min(o["seconds"] for o in ones))
        for layer, ones in by_layer.items()
    }


def all_features_seconds(results: Results) -> float | None:
    """What all 10,448 features would take by the article's recipe, from the whole way of a few layers.

    The speed of a layer that was not measured lies between those of its neighbours by depth. What the first batch of a
    layer took longer, for recording its steps, counts once for each branch of each layer.
    """
    measured = found_in(results, "whole").get("layers", [])
    if not measured:
        return None
    speeds = [(layers.depth(one["layer"]), one["flops"] * one["rows"] / one["second"]) for one in measured]
    recording = statistics.median(max(0.0, one["first"] - one["second"]) for one in measured)
    recipe = load_config().recipes["octaves"]
    total = 0.0
    for layer in layers.LAYERS:
        speed = interpolate(speeds, layers.depth(layer.name))
        for branch in layer.branches:
            job = Job(targets.feature_target(layer.name, branch.first), recipe, DEFAULT_SEED)
            total += job.flops * branch.features / speed + recording
    return total


def interpolate(points: Sequence[tuple[float, float]], at: float) -> float:
    """Linear between points that are sorted by their first number, and constant beyond them."""
    if at <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if at <= x1:
            return y0 + (y1 - y0) * (at - x0) / (x1 - x0)
    return points[-1][1]


def correctness_lines(results: Results) -> list[str]:
    found = found_in(results, "correctness")
    lines = cosine_lines(found)
    if "error_fp64" in found:
        lines.append(
            f"20 steps in float64 end {found['error_fp64']:.1e} from the article's loop (greatest difference "
            "of a pixel; 1e-6 is allowed)."
        )
    return lines


def cosine_lines(found: Mapping[str, Any]) -> list[str]:
    """Gradients of one step, by precision."""
    by_precision: dict[str, list[Mapping[str, Any]]] = {}
    for one in found.get("cosines", []):
        by_precision.setdefault(one["precision"], []).append(one)
    if not by_precision:
        return []
    rows = []
    for precision, ones in by_precision.items():
        least = min(ones, key=lambda one: one["cosine"])
        median = statistics.median(one["cosine"] for one in ones)
        rows.append((precision, len(ones), f"{least['cosine']:.6f}", f"{median:.6f}", f"`{least['target']}`"))
    return [
        "Gradients of one step on a random picture, against float64 on the CPU (cosine):",
        table(("precision", "targets", "least", "median", "least at"), rows),
    ]


def bytes_lines(results: Results, phase: str = "bytes") -> list[str]:
    compared = found_in(results, phase).get("compared", [])
    if not compared:
        return []
    checks = [key for key in compared[0] if key not in ("layer", "precision")]
    rows = (
        (one["layer"], one["precision"], *("equal" if one[key] else "**differ**" for key in checks)) for one in compared
    )
    return [table(("layer", "precision", *checks), rows)]


def speed_lines(results: Results) -> list[str]:
    found = found_in(results, "speed")
    steps, peak = found.get("steps", []), found.get("peak", {})
    if not steps:
        return []
    rows: list[tuple[object, ...]] = []
    for one in steps:
        if "seconds" not in one:
            rows.append((one["layer"], one["rows"], one["precision"], "–", one.get("error", ""), "–", "–"))
            continue
        speed = one["flops"] / one["seconds"]
        memory = f"{one['memory'] / 1e9:.1f} GB" if one["memory"] else "–"
        share = f"{speed / peak[one['precision']]:.0%}"
        graphs = "yes" if one["graphs"] else "no"
        rows.append(
            (
                one["layer"],
                one["rows"],
                one["precision"],
                graphs,
                f"{1e3 * one['seconds']:.3f}",
                f"{speed / 1e12:.1f}",
                share,
                memory,
            )
        )
    precisions = sorted({one["precision"] for one in steps})
    tables = {precision: best_rows(steps, precision) for precision in precisions}
    names = list(dict.fromkeys(one["layer"] for one in steps))
    peaks = ", ".join(f"{value / 1e12:.1f} TFLOP/s in {name}" for name, value in peak.items())
    return [
        f"A step on one image, by the layer's widest branch. Peak of a convolution: {peaks}.",
        table(("layer", "batch", "precision", "graphs", "ms", "TFLOP/s", "of the peak", "memory"), rows),
        "The batch table that follows, the least size within 5 % of the fastest:",
        table(("layer", *precisions), ((name, *(tables[p].get(name, "–") for p in precisions)) for name in names)),
    ]


def score_lines(results: Results) -> list[str]:
    ratios = found_in(results, "scores").get("ratios", [])
    if not ratios:
        return []
    precisions = [key for key in ratios[0] if key not in ("layer", "feature")]
    rows = []
    for name in precisions:
        values = sorted(one[name] for one in ratios)
        low, high = (values[round(share * (len(values) - 1))] for share in (0.05, 0.95))
        median = statistics.median(values)
        answer = "as good as float32" if 0.98 <= median <= 1.02 else "**not** as good as float32"
        rows.append((name, len(values), f"{median:.4f}", f"{low:.3f} to {high:.3f}", answer))
    return [
        "Ratio of `score_shown` to that in float32, first features of each layer; its median must lie in 0.98 to 1.02:",
        table(("precision", "features", "median", "middle nine tenths", ""), rows),
    ]


def whole_lines(results: Results) -> list[str]:
    found = found_in(results, "whole")
    measured = found.get("layers", [])
    if not measured:
        return []
    rows = (
        (
            one["layer"],
            one["rows"],
            f"{one['first']:.1f}",
            f"{one['second']:.1f}",
            f"{one['rows'] / one['second']:.1f}",
            f"{one['flops'] * one['rows'] / one['second'] / 1e12:.1f}",
        )
        for one in measured
    )
    lines = [
        "Full batches by the article's recipe, masters written; the first batch records its steps:",
        table(("layer", "batch", "first, s", "second, s", "features a second", "TFLOP/s"), rows),
    ]
    seconds = all_features_seconds(results)
    if seconds is not None and not found_in(results, "facts").get("small"):
        lines.append(f"All 10,448 features would take {seconds / 60:.1f} minutes.")
    return lines


def crisp_lines(results: Results) -> list[str]:
    found = found_in(results, "crisp")
    lines = bytes_lines(results, "crisp")
    if steps := found.get("steps"):
        ratios = (
            (
                one["layer"],
                one["rows"],
                *(f"{value:.2f}" for value in (one["crisp"], one["plain"], one["crisp"] / one["plain"])),
            )
            for one in steps
        )
        lines += [
            "Seconds of a batch with 40 steps an octave, and of the same octaves with pixels and plain descent:",
            table(("layer", "batch", "crisp", "pixels", "ratio"), ratios),
        ]
    if whole := found.get("whole"):
        speed = whole["rows"] / whole["seconds"]
        lines.append(f"The whole recipe at {whole['layer']}: {speed:.1f} features a second, masters written.")
    if kernels := found.get("kernels"):
        rows = ((f"`{one['kernel'][:90]}`", f"{one['share']:.1%}", one["calls"]) for one in kernels[:12])
        lines += ["Kernels at Mixed_5b, 40 steps an octave:", table(("kernel", "share", "calls"), rows)]
    return lines


def pace_lines(results: Results) -> list[str]:
    lines = bytes_lines(results, "pace")
    if batches := found_in(results, "pace").get("batches"):
        rows = (
            (one["recipe"], one["layer"], one["rows"], f"{one['predicted']:.2f}", f"{one['seconds']:.2f}")
            for one in batches
        )
        lines += [
            "What a batch is said to take before a run, and what it took:",
            table(("recipe", "layer", "batch", "said, s", "taken, s"), rows),
        ]
    return lines


def tuning_lines(results: Results) -> list[str]:
    found = found_in(results, "tuning")
    if "errors" not in found:
        return []
    layer, error = max(found["errors"].items(), key=lambda one: one[1])
    took = f"The tuning of {found['features']:,} features: {found['seconds']:.0f} s."
    return [f"{took} Responses are at most {error:.1e} from float64 on the CPU ({layer}; relative, 1e-4 is allowed)."]


def class_lines(results: Results) -> list[str]:
    found = found_in(results, "classes")
    lines = [*cosine_lines(found), *bytes_lines(results, "classes")]
    if "right" in found:
        lines.append(
            f"By recipe quick {found['right']} of {found['rendered']} classes are more probable in their picture than "
            f"all others together; {found['rendering']:.0f} s of rendering."
        )
    return lines


def video_lines(results: Results) -> list[str]:
    found = found_in(results, "video")
    if "seconds" not in found:
        return []
    encoding = f", and {found['encoding']:.1f} s of encoding" if "encoding" in found else ""
    first = f"{found['first_batch']:.1f} s of it for the first batch, which records its steps"
    return [f"{found['frames']} frames in batches of {found['rows']}: {found['seconds']:.1f} s, {first}{encoding}."]


def memory_lines(results: Results) -> list[str]:
    found = found_in(results, "memory")
    if "asked" not in found:
        return []
    sizes = ", ".join(found["batch_sizes"])
    asked, rendered = found["asked"], found["rendered"]
    return [
        f"With 3 GB of the card left by another process, batches of {asked} became {sizes}; {rendered} were rendered."
    ]


def article_lines(results: Results) -> list[str]:
    theirs = {one["layer"]: one["seconds"] for one in found_in(results, "article").get("steps", [])}
    ours: dict[str, float] = {}
    for one in found_in(results, "speed").get("steps", []):
        if "seconds" in one and one["graphs"] == any(s["graphs"] for s in found_in(results, "speed")["steps"]):
            ours[one["layer"]] = min(one["seconds"], ours.get(one["layer"], one["seconds"]))
    both = [layer for layer in theirs if layer in ours]
    if not both:
        return []
    rows = ((n, f"{1e3 * theirs[n]:.2f}", f"{1e3 * ours[n]:.3f}", f"{theirs[n] / ours[n]:.0f}") for n in both)
    mean = statistics.geometric_mean(theirs[layer] / ours[layer] for layer in both)
    return [
        "Milliseconds of a step on one image; ours in its fastest precision and batch:",
        table(("layer", "article", "ours", "ratio"), rows),
        f"Geometric mean of the ratios: {mean:.1f}.",
    ]


SECTIONS = {
    "Correct": correctness_lines,
    "Same bytes": bytes_lines,
    "Speed of a step": speed_lines,
    "Scores": score_lines,
    "The whole way": whole_lines,
    "Recipe crisp": crisp_lines,
    "Recipe natural, and the time a run is said to take": pace_lines,
    "The study of tuning": tuning_lines,
    "Classes": class_lines,
    "A raster video": video_lines,
    "Little memory": memory_lines,
    "The article's loop": article_lines,
}


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def bullets(values: Mapping[str, object]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in values.items())
