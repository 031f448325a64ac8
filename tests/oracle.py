"""The article's own algorithm, written a second time and on purpose differently: the judge of the renderer.

One image, torchvision's model with its batch norms, `loss.backward()`, `gaussian_blur`, `Resize`. Nothing of
`atlas.rendering` is used here, and of `atlas.plan` only the recipe's numbers.
"""

import random

import torch
import torchvision
from torch import Tensor, nn
from torchvision.transforms import functional as TF

MODULES = [
    "Conv2d_1a_3x3",
    "Conv2d_2a_3x3",
    "Conv2d_2b_3x3",
    "maxpool1",
    "Conv2d_3b_1x1",
    "Conv2d_4a_3x3",
    "maxpool2",
    "Mixed_5b",
    "Mixed_5c",
    "Mixed_5d",
    "Mixed_6a",
    "Mixed_6b",
    "Mixed_6c",
    "Mixed_6d",
    "Mixed_6e",
    "Mixed_7a",
    "Mixed_7b",
    "Mixed_7c",
]


MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision normalises

# the convolutions whose outputs a block puts side by side, in its order; None: the pooled features of the layer before
LAST = {
    "BasicConv2d": [""],
    "InceptionA": ["branch1x1", "branch5x5_2", "branch3x3dbl_3", "branch_pool"],
    "InceptionB": ["branch3x3", "branch3x3dbl_3", None],
    "InceptionC": ["branch1x1", "branch7x7_3", "branch7x7dbl_5", "branch_pool"],
    "InceptionD": ["branch3x3_2", "branch7x7x3_4", None],
    "InceptionE": ["branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"],
}


class Cut(nn.Module):
    """The article's NewModel, for any layer and several at once."""

    def __init__(self, model: nn.Module, layers: list[str]) -> None:
        super().__init__()
        self.model = model
        self.layers = layers

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = {}
        for name in MODULES:
            x = getattr(self.model, name)(x)
            if name in self.layers:
                found[name] = x
            if len(found) == len(self.layers):
                return found
        means = torch.nn.functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)  # torchvision's `forward`
        return {**found, "fc": self.model.fc(means)[..., None, None]}


def torchvision_model(state_dict: dict[str, Tensor], dtype: torch.dtype) -> nn.Module:
    classes = len(state_dict.get("fc.weight", range(1000)))
    model = torchvision.models.inception_v3(weights=None, num_classes=classes, init_weights=False, transform_input=True)
    missing, unexpected = model.load_state_dict(state_dict, strict=False)
    assert not unexpected
    assert all(name.startswith(("fc", "AuxLogits")) or "num_batches" in name for name in missing)
    return model.eval().to(dtype)


def neurons(focus: tuple, output: Tensor, first_grid: tuple[int, int]) -> Tensor:
    """The activations that a focus names: output [C, H, W] -> [n]. Focus: (feature or None, kind, *numbers)."""
    feature, kind, *numbers = focus
    maps = output if feature is None else output[feature : feature + 1]
    rows, cols = first_grid
    taken = []
    for row in range(maps.shape[1]):
        for col in range(maps.shape[2]):
            # the neuron of the first grid whose cell holds this one's middle
            first_row = int((row + 0.5) * rows / maps.shape[1])
            first_col = int((col + 0.5) * cols / maps.shape[2])
            if kind == "row" and first_row != numbers[0]:
                continue
            if kind == "neuron" and (first_row, first_col) != tuple(numbers):
                continue
            if kind == "prefix" and first_row * cols + first_col >= numbers[0]:
                continue
            taken.append(maps[:, row, col])
    return torch.stack(taken).flatten()


def article_loss(values: Tensor, metric: str, constant: float) -> Tensor:
    target = torch.ones(values.shape, dtype=values.dtype) * constant
    if metric == "l1":
        return torch.sum(target - values)
    if metric == "l2":
        return 5 * torch.sqrt(torch.sum((target - values) ** 2))
    if metric == "linf":
        return torch.max(torch.abs(target - values))
    raise ValueError(f"no loss for the metric {metric}")


def article_start(seed: int, size: int) -> Tensor:
    torch.manual_seed(seed)
    return torch.rand(1, 3, size, size) / 10 + 0.5


def article_render(
    model: nn.Module,
    foci: list[tuple[float, str, tuple]],
    recipe,
    *,
    seed: int = 999,
    dtype: torch.dtype = torch.float64,
    start: Tensor | None = None,
    blur_first: bool = False,
    transform_input: bool = False,
    normalise: bool = False,
) -> Tensor:
    """Image [3, H, W] after the recipe, from noise or a start [1, 3, H, W].

    Each focus is (coefficient, layer, what `neurons` takes). Pixels go in as they are, as in the article; a network
    that torchvision trained expects both `transform_input` and `normalise`.
    """
    cut = Cut(model, sorted({layer for _, layer, _ in foci}))
    with torch.random.fork_rng(devices=[]):
        single_input = article_start(seed, recipe.octaves[0].size).to(dtype) if start is None else start
    first_grids = {name: tuple(z.shape[-2:]) for name, z in cut(single_input).items()}
    for number, octave in enumerate(recipe.octaves):
        if number:
            single_input = torchvision.transforms.Resize(octave.size)(single_input)
        for i in range(octave.steps):
            seen = None
            if recipe.resize:
                least, largest = recipe.resize
                factor = least + (largest - least) * random.Random(f"{seed} {number} {i}").random()
                seen = [round(side * factor) for side in single_input.shape[-2:]]
            gradient = article_gradient(
                cut, single_input, foci, first_grids, recipe, transform_input, seen, normalise=normalise
            )
            if number == 0 and i < (recipe.rescue_steps or 0) and not gradient.any():
                gradient = scaled(linear_gradient(model, single_input, foci, seen), foci, recipe)
            n = octave.steps
            lr = octave.lr[0] * (n - i) / n + octave.lr[1] * i / n
            sigma = None
            if octave.sigma:
                sigma = octave.sigma[0] * (n - i) / n + octave.sigma[1] * i / n
            single_input = single_input.detach().clone()
            if sigma and blur_first:
                single_input = TF.gaussian_blur(single_input, 3, sigma=sigma)
            single_input -= lr * gradient
            if sigma and not blur_first:
                single_input = TF.gaussian_blur(single_input, 3, sigma=sigma)
    return single_input[0]


def article_gradient(
    cut, single_input, foci, first_grids, recipe, transform_input=False, seen=None, normalise=False
) -> Tensor:
    single_input = single_input.detach().clone().requires_grad_(True)
    pixels = TF.normalize(single_input, MEAN, DEVIATION) if normalise else single_input
    pixels = cut.model._transform_input(pixels) if transform_input else pixels
    outputs = cut(torchvision.transforms.Resize(seen)(pixels) if seen else pixels)
    loss = torch.zeros((), dtype=single_input.dtype)
    for coefficient, layer, focus in foci:
        if layer == "fc":
            share = outputs[layer].flatten().softmax(0)[focus[0]]
            values = (share / (1 - share)).log()
        else:
            values = neurons(focus, outputs[layer][0], first_grids[layer])
        loss = loss + coefficient * article_loss(values, recipe.metric, recipe.constant)
    loss.backward()
    return scaled(single_input.grad, foci, recipe, {name: z.shape[1] for name, z in outputs.items()})


def scaled(gradient, foci, recipe, widths=None) -> Tensor:
    if recipe.gradient == "per_feature":
        return gradient / sum(widths[layer] if focus[0] is None else 1 for _, layer, focus in foci)
    if recipe.gradient == "rms" and gradient.any():
        return gradient / torch.sqrt(torch.mean(gradient**2))
    return gradient


def linear_gradient(model, single_input, foci, seen) -> Tensor:
    """Gradient of the L1 loss of whole features as if the last ReLU on their path were not there."""
    before = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: before.__setitem__(name, out.clone()))
        for name, module in model.named_modules()
        if name.endswith(".bn")
    ]
    single_input = single_input.detach().clone().requires_grad_(True)
    layers = [layer for _, layer, _ in foci]
    Cut(model, layers)(torchvision.transforms.Resize(seen)(single_input) if seen else single_input)
    for hook in hooks:
        hook.remove()
    loss = torch.zeros((), dtype=single_input.dtype)
    for coefficient, layer, (feature, kind) in foci:
        assert kind == "whole"
        loss = loss - coefficient * linear_maps(model, layer, before)[0, feature].sum()
    loss.backward()
    return single_input.grad


def linear_maps(model, layer, before) -> Tensor:
    parts = []
    for last in LAST[type(getattr(model, layer)).__name__]:
        if last is None:
            earlier = MODULES[MODULES.index(layer) - 1]
            parts.append(nn.functional.max_pool2d(linear_maps(model, earlier, before), 3, 2))
        else:
            parts.append(before[".".join(part for part in (layer, last, "bn") if part)])
    return torch.cat(parts, 1)
