"""Time one step of descent by this program against the article's code as written, and against lucent where installed.

For each layer the programs take turns in one run, and the ratio of their medians counts: single timings on a shared
machine do not. Weights are random, since no timing depends on them. Writes JSON and prints a Markdown table.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from rich.progress import track
from torch import Tensor, nn

from atlas.plan import layers, targets
from atlas.plan.jobs import batch_size
from atlas.plan.recipes import Octave, Recipe
from atlas.render import numerics as arithmetic
from atlas.render.descent import descend, start_noise
from atlas.render.network import Network
from atlas.render.weights import Weights, expected_shapes
from atlas.store.records import WeightsId

SIZE = 299
FEATURE = 3
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


def article_step(model: nn.Module, image: Tensor) -> Tensor:
    """One step as the article prints it (on a detached tensor, since the printed one raises)."""
    single_input = image.detach()
    single_input.requires_grad = True
    output = model(single_input)
    focus = output[0][FEATURE]
    target = torch.ones(focus.shape, device=image.device) * 200
    loss = torch.sum(target - focus)
    loss.backward()
    gradient = single_input.grad
    single_input = single_input.detach() - 0.4 * gradient
    return torchvision.transforms.functional.gaussian_blur(single_input, 3, sigma=2.4)


def lucent_step(model: nn.Module, layer: str, device: torch.device) -> Callable[[], object] | None:
    """A function that runs lucent's own loop for some steps, with its defaults; None if it is not installed."""
    try:
        from lucent.optvis import objectives, param, render
    except ImportError:
        return None
    del device  # lucent takes the first GPU, if there is one
    objective = objectives.channel(layer, FEATURE)

    def run(steps: int) -> None:
        render.render_vis(
            model,
            objective,
            lambda: param.image(SIZE),
            thresholds=(steps,),
            show_image=False,
            progress=False,
            fixed_image_size=SIZE,
        )
        for module in model.modules():  # lucent leaves its hooks behind, and would be slower with every call
            module._forward_hooks.clear()

    return run


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


def seconds(run: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def measure(layer: str, options: argparse.Namespace, device: torch.device, weights: Weights) -> dict[str, float | int]:
    """Seconds per image and step of each program, as medians over the rounds."""
    numerics = arithmetic.resolve_numerics(device, options.precision, options.threads)
    network = Network(weights, device, arithmetic.dtype_of(numerics.precision))
    model = torchvision.models.inception_v3(weights=None, init_weights=False, aux_logits=True, transform_input=False)
    model.load_state_dict(dict(weights.tensors), strict=False)
    model.eval().to(device)
    cut = NewModel(model, layer)
    size = options.batch_size or batch_size(layer, device.type)
    recipe = Recipe("bench", (Octave(SIZE, options.steps, (0.4, 0.3), (2.4, 0.8)),))
    start = torch.stack([start_noise(999, (SIZE, SIZE))] * size)
    wanted = [targets.feature_target(layer, FEATURE)] * size
    image = start[:1].to(device)

    def ours() -> None:
        with arithmetic.applied(numerics):
            descend(network, wanted, recipe, start)

    def article() -> None:
        now = image
        for _ in range(options.steps):
            now = article_step(cut, now)

    programs: dict[str, tuple[Callable[[], object], int]] = {"ours": (ours, size * options.steps)}
    programs["article"] = (article, options.steps)
    lucent = lucent_step(model, layer, device)
    if lucent:
        programs["lucent"] = (lambda: lucent(options.steps), options.steps)
    torch.set_num_threads(numerics.threads)
    times: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(options.rounds + 1):
        for name, (run, count) in programs.items():
            taken = seconds(run, device) / count
            if number:  # the first round warms up
                times[name].append(taken)
    medians: dict[str, float | int] = {name: statistics.median(values) for name, values in times.items()}
    return {**medians, "batch_size": size}


def table(rows: dict[str, dict[str, float | int]]) -> str:
    has_lucent = all("lucent" in row for row in rows.values())
    lines = ["| layer | batch | ours, ms | article, ms | × article | GFLOP/s |" + (" × lucent |" if has_lucent else "")]
    lines.append("|---|---|---|---|---|---|" + ("---|" if has_lucent else ""))
    for layer, row in rows.items():
        speed = layers.step_flops(layer, (SIZE, SIZE)) / row["ours"] / 1e9
        line = f"| {layer} | {row['batch_size']} | {1e3 * row['ours']:.1f} | {1e3 * row['article']:.1f} "
        line += f"| {row['article'] / row['ours']:.2f} | {speed:.0f} |"
        lines.append(line + (f" {row['lucent'] / row['ours']:.2f} |" if has_lucent else ""))
    for name in ("article", "lucent") if has_lucent else ("article",):
        mean = statistics.geometric_mean([row[name] / row["ours"] for row in rows.values()])
        lines.append(f"\nGeometric mean of the ratios to {name}: {mean:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--batch-size", type=int, help="default: the table's")
    parser.add_argument("--steps", type=int, default=2, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", help="separated by commas; default: all")
    parser.add_argument("--out", type=Path, help="where to write JSON")
    options = parser.parse_args()
    device = arithmetic.resolve_device(options.device)
    weights = random_weights()
    names = options.layers.split(",") if options.layers else [layer.name for layer in layers.LAYERS]
    rows = {name: measure(name, options, device, weights) for name in track(names, "layers")}
    print(table(rows))
    if options.out:
        about = {"torch": torch.__version__, "machine": platform.machine(), "size": SIZE, "rounds": options.rounds}
        options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
