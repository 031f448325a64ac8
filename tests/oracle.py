"""The article's own algorithm, written a second time and on purpose differently: the judge of the renderer.

One image, torchvision's model with its batch norms, `loss.backward()`, `gaussian_blur`, `Resize`. Nothing of
`atlas.render` is used here, and of `atlas.plan` only the recipe's numbers.
"""

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
                break
        return found


def torchvision_model(state_dict: dict[str, Tensor], dtype: torch.dtype) -> nn.Module:
    model = torchvision.models.inception_v3(weights=None, init_weights=False, transform_input=True)
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
    return torch.max(torch.abs(target - values))


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
    blur_first: bool = False,
    transform_input: bool = False,
) -> Tensor:
    """Image [3, H, W] after the recipe. Each focus is (coefficient, layer, what `neurons` takes)."""
    cut = Cut(model, sorted({layer for _, layer, _ in foci}))
    with torch.random.fork_rng(devices=[]):
        single_input = article_start(seed, recipe.octaves[0].size).to(dtype)
    first_grids = {name: tuple(z.shape[-2:]) for name, z in cut(single_input).items()}
    for number, octave in enumerate(recipe.octaves):
        if number:
            single_input = torchvision.transforms.Resize([octave.size, octave.size])(single_input)
        for i in range(octave.steps):
            gradient = article_gradient(cut, single_input, foci, first_grids, recipe, transform_input)
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


def article_gradient(cut, single_input, foci, first_grids, recipe, transform_input=False) -> Tensor:
    single_input = single_input.detach().clone().requires_grad_(True)
    pixels = cut.model._transform_input(single_input) if transform_input else single_input
    outputs = cut(pixels)
    loss = torch.zeros((), dtype=single_input.dtype)
    features = 0
    for coefficient, layer, focus in foci:
        values = neurons(focus, outputs[layer][0], first_grids[layer])
        loss = loss + coefficient * article_loss(values, recipe.metric, recipe.constant)
        features += outputs[layer].shape[1] if focus[0] is None else 1
    loss.backward()
    gradient = single_input.grad
    if recipe.gradient == "per_feature":
        return gradient / features
    if recipe.gradient == "rms":
        return gradient / torch.sqrt(torch.mean(gradient**2))
    return gradient
