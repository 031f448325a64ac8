"""Time one step of descent by this program against the article's code as written, and against lucent where installed.

Each program has a process of its own, so that none profits from what another tells torch or the C library. For each
layer they take turns, and the ratio of their medians counts: single timings on a shared machine do not. A layer's time
is the mean over its branches by their features, since this program does not run the branches that a feature does not
need. Weights are random, since no timing depends on them. Writes JSON and prints a Markdown table.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torchvision
from rich.progress import track
from torch import Tensor, nn

from atlas.inception import layers, targets
from atlas.plan.jobs import batch_size
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering import numerics as arithmetic
from atlas.rendering.cuda_graphs import CudaGraphs, cuda_capture
from atlas.rendering.descent import descend
from atlas.rendering.memory import keep_freed_memory
from atlas.rendering.model import Network
from atlas.rendering.numerics import hardware_of
from atlas.rendering.parameterization import start_noise
from atlas.rendering.weights import Weights, expected_shapes
from atlas.store.records import WeightsId

SIZE = 299
FEW = {"cuda": 4}  # steps of the shorter of two runs, 1 elsewhere; on a GPU as many as are captured
POOLS = {"Conv2d_3b_1x1": "maxpool1", "Mixed_5b": "maxpool2"}  # torchvision's names, before these layers


class NewModel(nn.Module):
    """The article's wrapper: torchvision's layers, called one after the other up to one of them."""

    def __init__(self, model: nn.Module, layer: str) -> None:
        super().__init__()
        self.model = model
        self.names = [one.name for one in layers.LAYERS[: layers.depth(layer) + 1]]

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names:
            if name in POOLS:
                x = getattr(self.model, POOLS[name])(x)
            x = getattr(self.model, name)(x)
        return x


def article_step(model: nn.Module, image: Tensor, feature: int) -> Tensor:
    """One step as the article prints it (on a detached tensor, since the printed one raises)."""
    single_input = image.detach()
    single_input.requires_grad = True
    output = model(single_input)
    focus = output[0][feature]
    target = torch.ones(focus.shape, device=image.device) * 200
    loss = torch.sum(target - focus)
    loss.backward()
    gradient = single_input.grad
    assert gradient is not None
    single_input = single_input.detach() - 0.4 * gradient
    blurred: Tensor = torchvision.transforms.functional.gaussian_blur(single_input, 3, sigma=2.4)
    return blurred


def lucent_steps(model: nn.Module, layer: str, feature: int, steps: int) -> None:
    """Lucent's own loop, with its defaults."""
    from lucent.optvis import objectives, param, render

    render.render_vis(
        model,
        objectives.channel(layer, feature),
        lambda: param.image(SIZE),
        thresholds=(steps,),
        show_image=False,
        progress=False,
        fixed_image_size=SIZE,
    )
    for module in model.modules():  # lucent leaves its hooks behind, and would be slower with every call
        module._forward_hooks.clear()


def random_weights() -> Weights:
    tensors = {}
    generator = torch.Generator().manual_seed(1)
    for name, shape in expected_shapes().items():
        if name.endswith("running_var"):
            tensors[name] = torch.ones(shape)
        elif len(shape) == 4:
            fan = shape[1] * shape[2] * shape[3]
            tensors[name] = torch.randn(shape, generator=generator) * (2 / fan) ** 0.5
        else:
            tensors[name] = torch.zeros(shape) if name.endswith(("bias", "running_mean")) else torch.ones(shape)
    return Weights(WeightsId("random", "0" * 64, "random"), tensors)


Run = Callable[[str, int, int], Callable[[], object]]  # layer, feature, steps → what to time


def prepare_ours(options: argparse.Namespace) -> Run:
    device = arithmetic.resolve_device(options.device)
    numerics = arithmetic.resolve_numerics(device, options.precision, options.threads)
    if device.type == "cpu":
        keep_freed_memory()
    network = Network(random_weights(), device, arithmetic.dtype_of(numerics.precision))

    def prepare(layer: str, feature: int, steps: int) -> Callable[[], object]:
        rows = options.batch_size or batch_size(layer, device.type, hardware_of(device).memory)
        recipe = Recipe("bench", (Octave(SIZE, steps, (0.4, 0.3), (2.4, 0.8)),))
        wanted = [targets.feature_target(layer, feature)] * rows
        start = torch.stack([start_noise(999, (SIZE, SIZE))] * rows)
        graphs = CudaGraphs(cuda_capture(device)) if device.type == "cuda" else None  # as whoever renders has one

        def run() -> None:
            with arithmetic.applied(numerics):
                descend(network, wanted, recipe, start, graphs=graphs)

        if graphs:
            run()  # records the step, which is done once for many batches
        return run

    return prepare


def article_model(tensors: Mapping[str, Tensor], device: torch.device) -> nn.Module:
    """Torchvision's model as the article uses it: in eval mode, and its weights are not frozen."""
    model = torchvision.models.inception_v3(weights=None, init_weights=False, aux_logits=True, transform_input=False)
    model.load_state_dict({name: tensors[name] for name in expected_shapes()}, strict=False)
    placed: nn.Module = model.eval().to(device)
    return placed


def torchvision_model(options: argparse.Namespace) -> tuple[nn.Module, torch.device]:
    device = arithmetic.resolve_device(options.device)
    torch.set_num_threads(arithmetic.resolve_numerics(device, "auto", options.threads).threads)
    return article_model(random_weights().tensors, device), device


def prepare_article(options: argparse.Namespace) -> Run:
    model, device = torchvision_model(options)

    def prepare(layer: str, feature: int, steps: int) -> Callable[[], object]:
        cut = NewModel(model, layer)
        start = start_noise(999, (SIZE, SIZE))[None].to(device)

        def run() -> None:
            image = start
            for _ in range(steps):
                image = article_step(cut, image, feature)

        return run

    return prepare


def prepare_lucent(options: argparse.Namespace) -> Run:
    model, _ = torchvision_model(options)
    return lambda layer, feature, steps: partial(lucent_steps, model, layer, feature, steps)


PROGRAMS: dict[str, Callable[[argparse.Namespace], Run]] = {
    "ours": prepare_ours,
    "article": prepare_article,
    "lucent": prepare_lucent,
}


def serve(program: str, options: argparse.Namespace, pipe: Connection) -> None:
    """In a process of its own: receive (layer, feature, steps), answer with seconds, until told None."""
    device = arithmetic.resolve_device(options.device)
    prepare = PROGRAMS[program](options)
    while asked := pipe.recv():
        run = prepare(*asked)
        arithmetic.wait_for(device)
        start = time.perf_counter()
        run()
        arithmetic.wait_for(device)
        pipe.send(time.perf_counter() - start)


def seconds_a_step(pipe: Connection, layer: str, feature: int, steps: int, few: int) -> float:
    """Of a long and a short run the difference: what a program does once does not count as part of a step."""
    taken: list[float] = []
    for count in (few, few + steps):
        pipe.send((layer, feature, count))
        taken.append(pipe.recv())
    return (taken[1] - taken[0]) / steps


def measure(layer: str, options: argparse.Namespace, pipes: dict[str, Connection]) -> dict[str, float]:
    """Seconds per image and step of each program, as medians over the rounds."""
    device = arithmetic.resolve_device(options.device)
    rows = options.batch_size or batch_size(layer, device.type, hardware_of(device).memory)
    block = layers.get_layer(layer)
    steps = options.steps if layers.step_flops(layer, (SIZE, SIZE)) > 3e9 else 4 * options.steps
    steps *= 50 if device.type == "cuda" else 1  # there a step takes a fraction of a millisecond
    taken: dict[str, list[float]] = {name: [] for name in pipes}
    for turn in range(options.rounds + 1):
        for name, pipe in pipes.items():
            found = 0.0
            for branch in block.branches if name == "ours" else block.branches[:1]:  # to the peers all are alike
                share = branch.features / block.features / rows if name == "ours" else 1.0
                found += share * seconds_a_step(pipe, layer, branch.first, steps, FEW.get(device.type, 1))
            if turn:  # the first warms up
                taken[name].append(found)
    return {"batch_size": rows, **{name: statistics.median(values) for name, values in taken.items()}}


def table(rows: dict[str, dict[str, float]]) -> str:
    has_lucent = all("lucent" in row for row in rows.values())
    lines = ["| layer | batch | ours, ms | article, ms | × article | GFLOP/s |" + (" × lucent |" if has_lucent else "")]
    lines.append("|---|---|---|---|---|---|" + ("---|" if has_lucent else ""))
    for layer, row in rows.items():
        block = layers.get_layer(layer)
        flops = [layers.step_flops(layer, (SIZE, SIZE), branch.first) * branch.features for branch in block.branches]
        speed = sum(flops) / block.features / row["ours"] / 1e9
        line = f"| {layer} | {row['batch_size']:.0f} | {1e3 * row['ours']:.1f} | {1e3 * row['article']:.1f} "
        line += f"| {row['article'] / row['ours']:.2f} | {speed:.0f} |"
        lines.append(line + (f" {row['lucent'] / row['ours']:.2f} |" if has_lucent else ""))
    for name in ("article", "lucent") if has_lucent else ("article",):
        mean = statistics.geometric_mean([row[name] / row["ours"] for row in rows.values()])
        lines.append(f"\nGeometric mean of the ratios to {name}: {mean:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--precision",
        default="auto",
        help="of this program; to the others torch's defaults apply, which are TF32 on a GPU",
    )
    parser.add_argument("--threads", type=int)
    parser.add_argument("--batch-size", type=int, help="default: the table's")
    parser.add_argument("--steps", type=int, default=2, help="of one measurement; four times as many for short steps")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", help="separated by commas; default: all")
    parser.add_argument("--machine", default="", help="in words, for the JSON")
    parser.add_argument("--out", type=Path, help="where to write JSON")
    options = parser.parse_args()
    names = options.layers.split(",") if options.layers else [layer.name for layer in layers.LAYERS]
    programs = [name for name in PROGRAMS if name != "lucent" or find_spec("lucent")]
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in programs:
        pipes[name], far = context.Pipe()
        processes.append(context.Process(target=serve, args=(name, options, far), daemon=True))
        processes[-1].start()
    rows = {name: measure(name, options, pipes) for name in track(names, "layers")}
    for pipe in pipes.values():
        pipe.send(None)
    print(table(rows))
    if options.out:
        about = {"machine": options.machine, "torch": str(torch.__version__), "size": SIZE, "rounds": options.rounds}
        options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
