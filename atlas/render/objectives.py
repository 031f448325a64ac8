"""What each row of a batch maximises: activations and targets → loss and score a row. Pure functions.

Row b of a batch has its own target. A mask over the feature map says which neurons count, so a whole map, a row, a
neuron and a raster prefix are the same code; rows without a term add nothing to any other row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.plan import layers
from atlas.plan.layers import Size
from atlas.plan.recipes import Metric
from atlas.plan.targets import Neuron, Position, Prefix, Row, Target, Term

L2_FACTOR = 5.0  # of the longer article's L2 metric


@dataclass(frozen=True)
class TermGroup:
    """Terms of one layer, at most one of each row: n of them."""

    layer: str
    rows: Tensor  # [n] int64: of the batch
    features: Tensor | None  # [n] int64; None: all features of the layer
    masks: Tensor  # [n, 1, rows, cols]: which neurons count, 0 or 1
    coefficients: Tensor  # [n]


@dataclass(frozen=True)
class Objective:
    """The targets of a batch at one image size, as tensors."""

    groups: tuple[TermGroup, ...]
    batch_size: int

    @property
    def taps(self) -> frozenset[str]:
        """Layers whose activations are needed."""
        return frozenset(group.layer for group in self.groups)


def compile_objective(
    targets: Sequence[Target], first_size: Size, size: Size, device: torch.device, dtype: torch.dtype
) -> Objective:
    """Put the targets of a batch into tensors.

    Args:
        targets: one a row.
        first_size: (height, width) in pixels to which positions belong.
        size: (height, width) in pixels of the images now.
        device: where the activations are.
        dtype: of masks and coefficients, and so of losses and scores.
    """
    grouped: dict[tuple[int, str, bool], list[tuple[int, Term]]] = {}
    for row, target in enumerate(targets):
        for slot, term in enumerate(target.terms):
            # by slot, so that no group names a row twice: adding up stays in one order, and so deterministic
            grouped.setdefault((slot, term.layer, term.feature is None), []).append((row, term))
    groups = tuple(_group(key, grouped[key], first_size, size, device, dtype) for key in sorted(grouped))
    return Objective(groups, len(targets))


def losses(objective: Objective, activations: Mapping[str, Tensor], metric: Metric, constant: float) -> Tensor:
    """The distance between a large constant and the activations, which descent makes small.

    Args:
        objective: what counts.
        activations: by layer, [B, features, rows, cols].
        metric: l1 is Σ(C − z), without absolute value; l2 is 5·√Σ(C − z)²; linf is max|C − z|. All from the article.
        constant: C.

    Returns:
        [B], the sum over a row's terms of coefficient · distance.
    """
    total = _zeros(objective)
    for group in objective.groups:
        gap = constant - _pick(group, activations)  # [n, F, rows, cols]
        total = total.index_add(0, group.rows, group.coefficients * _distance(gap, group.masks, metric))
    return total


def scores(objective: Objective, activations: Mapping[str, Tensor]) -> Tensor:
    """What is maximised: the mean activation of a term's neurons (a sum would grow with the map).

    Args:
        objective: what counts.
        activations: by layer, [B, features, rows, cols].

    Returns:
        [B], the sum over a row's terms of coefficient · mean.
    """
    total = _zeros(objective)
    for group in objective.groups:
        picked = _pick(group, activations)
        neurons = group.masks.sum((1, 2, 3)) * picked.shape[1]
        mean = (group.masks * picked).sum((1, 2, 3)) / neurons
        total = total.index_add(0, group.rows, group.coefficients * mean)
    return total


def position_mask(position: Position, grid: Size) -> Tensor:
    """The neurons of a position.

    Args:
        position: whole map, row, neuron or prefix.
        grid: (rows, cols) of the feature map to which it belongs.

    Returns:
        [rows, cols] float64, 1 where a neuron counts and 0 elsewhere.
    """
    rows, cols = grid
    mask = torch.zeros(rows, cols, dtype=torch.float64)
    match position:
        case Row(row):
            mask[row] = 1
        case Neuron(row, col):
            mask[row, col] = 1
        case Prefix(count):
            mask.view(-1)[:count] = 1
        case _:
            mask[:] = 1
    return mask


def resize_mask(mask: Tensor, grid: Size) -> Tensor:
    """A mask for a feature map of another size, by nearest neighbour.

    `nearest-exact` rather than `nearest`, which would shift it by half a neuron.

    Args:
        mask: [rows, cols].
        grid: (rows, cols) wanted.
    """
    # [rows, cols] -> [1, 1, rows, cols] -> [1, 1, rows', cols'] -> [rows', cols']
    return F.interpolate(mask[None, None], grid, mode="nearest-exact")[0, 0]


def _group(
    key: tuple[int, str, bool],
    members: list[tuple[int, Term]],
    first_size: Size,
    size: Size,
    device: torch.device,
    dtype: torch.dtype,
) -> TermGroup:
    _, layer, takes_all = key
    terms = [term for _, term in members]
    first_grid, grid = layers.grid(layer, first_size), layers.grid(layer, size)
    masks = torch.stack([resize_mask(position_mask(term.position, first_grid), grid) for term in terms])
    features = None if takes_all else torch.tensor([term.feature for term in terms], device=device)
    return TermGroup(
        layer,
        torch.tensor([row for row, _ in members], device=device),
        features,
        masks[:, None].to(device, dtype),  # [n, rows, cols] -> [n, 1, rows, cols]
        torch.tensor([term.coefficient for term in terms], dtype=torch.float64).to(device, dtype),
    )


def _pick(group: TermGroup, activations: Mapping[str, Tensor]) -> Tensor:
    """A group's feature maps, [n, F, rows, cols] with F = 1 or all features, in the type of its masks."""
    maps = activations[group.layer]
    picked = maps[group.rows] if group.features is None else maps[group.rows, group.features][:, None]
    return picked.to(group.masks.dtype)


def _distance(gap: Tensor, masks: Tensor, metric: Metric) -> Tensor:
    """[n, F, rows, cols] -> [n]."""
    if metric == "l1":
        return (masks * gap).sum((1, 2, 3))
    if metric == "l2":
        return L2_FACTOR * (masks * gap**2).sum((1, 2, 3)).sqrt()
    return (masks * gap.abs()).amax((1, 2, 3))


def _zeros(objective: Objective) -> Tensor:
    masks = objective.groups[0].masks
    return torch.zeros(objective.batch_size, device=masks.device, dtype=masks.dtype)
