"""How long does the site of a whole atlas take? Times `atlas site` over synthetic masters, and weighs what it writes.

Makes a store of one master for each of the 10,448 features, with its strip of stages (kept and used again, if they are
there), and of the results that every feature's page shows: connections, nearest features, and the map. The article's
other lists stay pending. Runs the command in a process of its own: a first build, a build in which nothing changed, and
one after a single master changed; then the site is packed as for GitHub Pages. For each it reports the seconds, those
of the CPU, the largest memory of all processes together, and what the site weighs.

The pictures are the project's own drawings, four to a picture, enlarged, with grain, so that a master weighs what a
real one does. A few hundred are drawn; turning them and swapping their channels makes as many as there are features.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from atlas.demo.pictures import CLASSES, draw_class
from atlas.inception.layers import get_layer, layer_before
from atlas.plan.config import Config, override
from atlas.plan.jobs import Job, feature_jobs
from atlas.store.masters import master_path, open_master, pixels_sha256, read_record, write_master
from atlas.store.records import Numerics, OctaveScores, Record, WeightsId
from atlas.store.results import Results
from atlas.store.stages import stages_path, write_stages
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from atlas.studies.connections.result import (
    Connections,
    Ties,
    Wiring,
    connected_layers,
    connections_spec,
    wiring_spec,
)
from atlas.studies.connections.settings import Settings as ConnectionsSettings
from atlas.studies.map.result import FEATURE_MAP, FeatureMap
from atlas.studies.nearest.result import MOST, NEAREST, Near, Nearest

WEIGHTS = WeightsId("imagenet", "b" * 64, "No weights: synthetic pictures, to time the site")
DRAWN = 96  # pixels at which each of the four pictures is drawn
CONTRAST = 1.5
HALT = 5  # seconds between two samples that mean a halt
GRAIN = 0.012
TURNS = [(turns, flip, channels) for channels in range(6) for flip in range(2) for turns in range(4)]
CHANNELS = ([0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [1, 0, 2], [2, 1, 0])
KINDS = {  # what the site is made of: of each file the first line that its path ends in
    "pictures, AVIF": "picture.avif",
    "thumbnails, AVIF": "thumb.avif",
    "thumbnails, JPEG": "thumb.jpg",
    "stages, AVIF": "stages.avif",
    "records, JSON": "record.json",
    "pages, HTML": ".html",
    "the rest": "",
}


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    name: str
    seconds: float  # without those in which this script itself was halted
    cpu_seconds: float  # of all processes: on a machine with other work it says more than the seconds
    memory: int  # bytes: the largest sum over all its processes of what is theirs alone and their part of the shared
    processes: int  # at that moment
    encoded: str  # what the command said of the site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the store and the site; needs 4 GB for all features")
    parser.add_argument("--features", default="all", help="of each layer: all, or the first N")
    parser.add_argument("--pictures", type=int, default=256, help="to draw, at least 218 for all features")
    parser.add_argument("--fine", action="store_true", help="encode as atlas site --fine does")
    parser.add_argument("--budget", help="as atlas site --budget")
    parser.add_argument("--out", type=Path, help="folder for site.json and site.md; default: print alone")
    parser.add_argument("--machine", default="", help="in words, for the report")
    options = parser.parse_args()

    config = override(load_config("article"), features=options.features)
    config = override(config, store=options.folder / "store", site=options.folder / "site")
    jobs = feature_jobs(config)
    make_store(config, jobs, options.pictures)
    make_results(config)
    masters = sum(path.stat().st_size for path in config.store.rglob("*.png"))
    if config.site.exists():
        sys.exit(f"{config.site}: is there already, and the first build is to be timed; remove it")

    command = [sys.executable, "-m", "atlas", "site", "--features", options.features]
    command += ["--store", str(config.store), "--out", str(config.site), *(["--fine"] if options.fine else [])]
    command += ["--budget", options.budget] if options.budget else []
    runs = [watch("first build", command), watch("nothing changed", command)]
    kinds = weigh(config.site)
    change_one(config, jobs[len(jobs) // 2])
    runs.append(watch("one master changed", command))
    change_one(config, jobs[len(jobs) // 2])  # as it was
    runs += deploy(config.site, options.folder / "artifact.tar")
    report(options, len(jobs), masters, runs, kinds)


def make_store(config: Config, jobs: Sequence[Job], pictures: int) -> None:
    """Write the masters that are missing, in as many processes as there are cores."""
    if len(jobs) > pictures * len(TURNS):
        sys.exit(f"--pictures {pictures}: {len(jobs)} features need at least {-(-len(jobs) // len(TURNS))}")
    write_weights_id(config.store, WEIGHTS)
    lots = [jobs[first::pictures] for first in range(pictures)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(partial(write_lot, config.store), range(pictures), lots), 1):
            if done % 32 == 0:
                print(f"masters: {done} of {pictures} drawings", file=sys.stderr)


def make_results(config: Config) -> None:
    """Connections and nearest of each feature, as many as the article's, and its place on the map: all by chance."""
    results = Results(config, WEIGHTS)
    chance = Random("nearest")
    numbers = {layer: config.features_of(layer) for layer in config.layers}
    everyone = [(layer, number) for layer, members in numbers.items() for number in members]

    def near() -> tuple[Near, ...]:
        return tuple(Near(layer, number, chance.random()) for layer, number in chance.sample(everyone, MOST))

    nearest = {layer: {number: near() for number in members} for layer, members in numbers.items()}
    results.write(NEAREST, Nearest(nearest, {layer: tuple(members) for layer, members in numbers.items()}))
    rows = math.ceil(math.sqrt(len(everyone)))
    cells = chance.sample([(column, row) for row in range(rows) for column in range(2 * rows)], len(everyone))
    placed = {layer: {number: cells.pop() for number in members} for layer, members in numbers.items()}
    results.write(FEATURE_MAP, FeatureMap(2 * rows, rows, placed))
    for layer, members in numbers.items():
        count = min(config.study(ConnectionsSettings).strongest, len(members))
        alike = {n: tuple((one, chance.random()) for one in chance.sample(members, count)) for n in members}
        results.write(wiring_spec(layer), Wiring(layer, alike))
    for layer in connected_layers(config):
        before, chance = layer_before(layer).name, Random(layer)
        first, second = get_layer(before).features, get_layer(layer).features
        planned_before, planned = config.features_of(before), config.features_of(layer)

        def ties(features: Sequence[int], chance: Random = chance) -> Ties:
            count = min(config.study(ConnectionsSettings).strongest, len(features))
            shares = sorted((chance.random() / count for _ in range(count)), reverse=True)
            return tuple(zip(chance.sample(features, count), shares, strict=True))

        found = Connections(
            layer=layer,
            before=before,
            fed_by=tuple(ties(range(first)) for _ in range(second)),
            fed_by_planned={feature: ties(planned_before) for feature in planned},
            feeds={feature: ties(range(second)) for feature in planned_before},
            feeds_planned={feature: ties(planned) for feature in planned_before},
        )
        results.write(connections_spec(layer), found)


def write_lot(store: Path, seed: int, jobs: Sequence[Job]) -> None:
    """The masters of one drawing, turned and coloured differently for each job."""
    torch.set_num_threads(1)
    for recipe in dict.fromkeys(job.recipe for job in jobs):
        write_alike(store, seed, [job for job in jobs if job.recipe == recipe])


def write_alike(store: Path, seed: int, jobs: Sequence[Job]) -> None:
    """Those of one recipe."""
    masters = [master_path(store, WEIGHTS, job) for job in jobs]
    missing = [at for at, path in enumerate(masters) if not (path.exists() and stages_path(path).exists())]
    if not missing:
        return
    base = draw(seed, jobs[0].sizes[-1][0])
    for at in missing:
        put(store, jobs[at], turn(base, at))
    write_strips([masters[at] for at in missing], [jobs[at] for at in missing], base)


def write_strips(masters: Sequence[Path], jobs: Sequence[Job], base: NDArray[np.uint8]) -> None:
    """Strips of stages: one is encoded, and of the others all but the hash of their masters' pixels is the same."""
    noise = np.random.default_rng(0).integers(0, 256, base.shape, np.uint8)
    count = len(jobs[0].recipe.octaves) + 1
    amounts = [at / (count - 1) for at in range(count)]
    stages = [Image.fromarray((noise * (1 - amount) + base * amount).astype(np.uint8)) for amount in amounts]
    records = [read_record(path) for path in masters]
    write_stages(masters[0], stages, records[0])
    strip = stages_path(masters[0]).read_bytes()
    first = records[0].pixels_sha256.encode()
    assert strip.count(first) == 1
    for path, record in zip(masters, records, strict=True):
        stages_path(path).write_bytes(strip.replace(first, record.pixels_sha256.encode()))


def draw(seed: int, size: int) -> NDArray[np.uint8]:
    """Four drawings side by side, [size, size, 3]."""
    generator = torch.Generator().manual_seed(seed)
    name = CLASSES[seed % len(CLASSES)]
    one, two, three, four = draw_class(name, 4, DRAWN, generator)  # [3, DRAWN, DRAWN] each
    four_together = torch.cat([torch.cat([one, two], 2), torch.cat([three, four], 2)], 1)
    large = F.interpolate(four_together[None], size=(size, size), mode="bicubic")[0]
    large = (large - 0.5) * CONTRAST + 0.5 + GRAIN * torch.randn(large.shape, generator=generator)
    return (large.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def turn(base: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
    """The at-th of 48 pictures that are made of one without drawing anew."""
    turns, flip, channels = TURNS[at]
    turned = np.rot90(base, turns)
    return np.ascontiguousarray((turned[::-1] if flip else turned)[:, :, CHANNELS[channels]])


def put(store: Path, job: Job, picture: NDArray[np.uint8]) -> None:
    """Write a master with a record as the renderer would make it, its numbers made up."""
    pixels = picture.tobytes()
    digest = pixels_sha256(pixels)
    start, gain, norm = (int(digest[at : at + 8], 16) / 2**32 for at in (0, 8, 16))
    scores = [start + gain * at for at in range(len(job.recipe.octaves) + 1)]
    record = Record(
        target=str(job.target),
        recipe_name=job.recipe.name,
        recipe=job.recipe.as_dict(),
        recipe_digest=job.recipe.digest,
        start="noise",
        seed=job.seed,
        weights=WEIGHTS,
        input=job.recipe.input_map(WEIGHTS.trained_input),
        torch="2.15.0+cu130",
        torchvision="0.30.0+cu130",
        numerics=Numerics("cuda", "bf16", 16, 16),
        status="ok",
        failed_at=None,
        octaves=tuple(OctaveScores(o.size, scores[at], scores[at + 1]) for at, o in enumerate(job.recipe.octaves)),
        score_start=start,
        score_shown=scores[-1],
        gradient_norm=norm,
        width=picture.shape[1],
        height=picture.shape[0],
        pixels_sha256=digest,
    )
    write_master(master_path(store, WEIGHTS, job), pixels, record)


def change_one(config: Config, job: Job) -> None:
    """Turn one master upside down; the results are of it as it is then."""
    image, _ = open_master(master_path(config.store, WEIGHTS, job))
    put(config.store, job, np.ascontiguousarray(np.asarray(image)[::-1]))
    make_results(config)


def watch(name: str, command: Sequence[str]) -> Run:
    """Run a command and sample the memory of its processes."""
    began, used = time.perf_counter(), cpu_seconds()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    samples: list[tuple[int, int]] = []
    halts: list[float] = []
    sampler = threading.Thread(target=sample, args=(process, samples, halts), daemon=True)
    sampler.start()
    _, words = process.communicate()
    sampler.join()
    seconds = time.perf_counter() - began - sum(halts)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with {process.returncode}\n{words}")
    memory, processes = max(samples, default=(0, 0))
    said = next((line for line in words.splitlines() if line.startswith("site: ")), "")
    cpu = round(cpu_seconds() - used, 1)
    run = Run(name, round(seconds, 1), cpu, memory, processes, said.removeprefix("site: "))
    times = f"{run.seconds} s, {run.cpu_seconds} s of the CPU"
    if halts:
        print(f"halted {len(halts)} times by someone else, for {sum(halts):.0f} s that do not count", file=sys.stderr)
    print(f"{run.name}: {times}, {memory / 1e6:.0f} MB in {processes} processes; {run.encoded}")
    return run


def deploy(site: Path, archive: Path) -> list[Run]:
    """Pack a site as GitHub's workflow for Pages does: one tar archive, which is compressed to be uploaded."""
    pack = ["tar", "--dereference", "--hard-dereference", "--directory", str(site), "-cf", str(archive), "."]
    runs = [watch("one archive", pack)]
    packed = archive.stat().st_size
    runs.append(watch("compressed", ["gzip", "--force", str(archive)]))
    compressed = archive.with_suffix(".tar.gz")
    entries = sum(1 + len(names) for _, _, names in os.walk(site))
    runs[0] = replace(runs[0], encoded=f"{entries:,} entries, {packed:,} bytes")
    runs[1] = replace(runs[1], encoded=f"{compressed.stat().st_size:,} bytes")
    compressed.unlink()
    return runs


def cpu_seconds() -> float:
    """Of all processes that this one started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sample(process: subprocess.Popen[str], samples: list[tuple[int, int]], halts: list[float]) -> None:
    """Sum the memory of a process and its descendants ten times a second, until it ends; Linux only.

    A gap between two samples says that all of this was stopped, as a machine does that is suspended.
    """
    last = time.perf_counter()
    while process.poll() is None:
        now = time.perf_counter()
        if now - last > HALT:
            halts.append(now - last)
        last = now
        sizes = [size for pid in family(process.pid) if (size := own_memory(pid))]
        samples.append((sum(sizes), len(sizes)))
        time.sleep(0.1)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:  # grows while it is read
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue  # ended meanwhile
    return found


def own_memory(pid: int) -> int:
    """Bytes of a process, of pages shared with others its part; 0 if it ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def weigh(site: Path) -> dict[str, tuple[int, int]]:
    """Of each kind of file the number and the bytes."""
    counts: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for folder, _, names in os.walk(site):
        for name in names:
            kind = next(kind for kind, ending in KINDS.items() if name.endswith(ending))
            counts[kind] += 1
            weights[kind] += Path(folder, name).stat().st_size
    return {kind: (counts[kind], weights[kind]) for kind in KINDS}


def report(
    options: argparse.Namespace, features: int, masters: int, runs: Sequence[Run], kinds: dict[str, tuple[int, int]]
) -> None:
    """Print the tables, and write them where that is asked for."""
    total = sum(size for _, size in kinds.values())
    command = f"atlas site --features {options.features}{' --fine' if options.fine else ''}"
    what = f"`{command}` over {features:,} synthetic masters of {masters / features / 1e3:,.0f} KB each"
    machine = f" on {options.machine}" if options.machine else ""
    lines = [
        "# The site of a whole atlas",
        "",
        f"{what}{machine}. By `scripts/bench_site.py`.",
        "",
        "| run | seconds | of the CPU | memory of all processes, at most | what the command said |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {r.name} | {r.seconds:,.1f} | {r.cpu_seconds:,.1f} | {r.memory / 1e6:,.0f} MB in {r.processes} "
            f"| {r.encoded} |"
            for r in runs
        ),
        "",
        "| files | number | bytes | bytes a file |",
        "|---|---:|---:|---:|",
        *(f"| {k} | {n:,} | {size / 1e6:,.1f} MB | {size / max(n, 1):,.0f} |" for k, (n, size) in kinds.items()),
        f"| all | {sum(n for n, _ in kinds.values()):,} | {total / 1e6:,.1f} MB | |",
    ]
    print("\n".join(lines))
    if not options.out:
        return
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "site.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = {
        "command": command,
        "machine": options.machine,
        "features": features,
        "master_bytes": masters,
        "runs": [asdict(run) for run in runs],
        "files": {kind: {"number": number, "bytes": size} for kind, (number, size) in kinds.items()},
        "bytes": total,
    }
    (options.out / "site.json").write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
