"""What each row of a batch maximises: activations and targets → loss and score a row. Pure functions.

Row b of a batch has its own target. A mask over the feature map says which neurons count, so a whole map, a row, a
neuron and a raster prefix are the same code; rows without a term add nothing to any other row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception import layers
from atlas.inception.architecture import Size
from atlas.inception.layers import FC
from atlas.inception.targets import Neuron, Position, Prefix, Row, Target, Term, Whole
from atlas.plan.recipes import METRICS, Metric
from atlas.rendering.model import ChannelSubset, subset_of

L2_FACTOR = 5.0  # of the longer article's L2 metric


@dataclass(frozen=True)
class TermGroup:
    """Terms of one layer, at most one of each row: n of them.

    Sums run over all rows of the batch and are picked afterwards, since the order of a sum depends on the shape: so
    the bits of a row do not depend on how many others have such a term.
    """

    layer: str
    rows: Tensor | None  # [n] int64: rows of the batch that have a term here; None: all, in order
    features: Tensor | None  # [B] int64, 0 for rows without a term; None: all features of the layer
    place: int | None  # of a layer of which the network gives wanted features alone: row b's is channel place + b
    masks: Tensor  # [B, 1, rows, cols]: which neurons count, 0 or 1; all 0 for rows without a term
    coefficients: Tensor  # [n]


@dataclass(frozen=True)
class Objective:
    """The targets of a batch at one image size, as tensors."""

    groups: tuple[TermGroup, ...]
    batch_size: int
    size: Size  # (height, width) in pixels at which the network sees the images
    wanted: ChannelSubset | None  # of the deepest layer; None: all its features

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
        size: (height, width) in pixels at which the network sees the images.
        device: where the activations are.
        dtype: of masks and coefficients, and so of losses and scores.
    """
    grouped: dict[tuple[int, str, bool], dict[int, Term]] = {}  # terms by row
    for row, target in enumerate(targets):
        for slot, term in enumerate(target.terms):
            # by slot, so that no group names a row twice: adding up stays in one order, and so deterministic
            grouped.setdefault((slot, term.layer, term.feature is None), {})[row] = term
    deepest = max((layer for _, layer, _ in grouped), key=layers.depth)
    # the log-odds of a class depend on the logits of the others
    needs_all = deepest == FC or any(layer == deepest and takes_all for _, layer, takes_all in grouped)
    # of the deepest layer: for each group one feature a row, so that shapes depend on rows alone
    wanted: list[int] = []
    groups = []
    for (_, layer, takes_all), terms in sorted(grouped.items()):
        features = [(terms[row].feature or 0) if row in terms else 0 for row in range(len(targets))]
        coefficients = torch.tensor([term.coefficient for term in terms.values()], dtype=torch.float64)
        is_subset = layer == deepest and not needs_all
        groups.append(
            TermGroup(
                layer,
                rows=None if len(terms) == len(targets) else torch.tensor(list(terms), device=device),
                features=None if takes_all else torch.tensor(features, device=device),
                place=len(wanted) if is_subset else None,
                masks=_masks(layer, terms, len(targets), first_size, size).to(dtype).to(device),
                coefficients=coefficients.to(dtype).to(device),
            )
        )
        wanted += features if is_subset else ()
    others = {group.layer for group in groups} - {deepest}
    subset = None if needs_all else subset_of(deepest, wanted, others, device)
    return Objective(tuple(groups), len(targets), size, subset)


def losses(objective: Objective, activations: Mapping[str, Tensor], metric: Metric, constant: float) -> Tensor:
    """The distance between a large constant and the activations, which descent makes small.

    Args:
        objective: what counts.
        activations: by layer, [B, features, rows, cols].
        metric: l1 is Σ(C − z), without absolute value; l2 is 5·√Σ(C − z)²; linf is max|C − z|. All from the article.
        constant: C.

    Returns:
        [B], the sum over a row's terms of coefficient · distance.

    Raises:
        ValueError: there is no such metric.
    """
    return _sum(objective, activations, lambda group, maps: _distance(constant - maps, group, metric))


def scores(objective: Objective, activations: Mapping[str, Tensor]) -> Tensor:
    """What is maximised: the mean activation of a term's neurons (a sum would grow with the map); of a class, log-odds.

    Args:
        objective: what counts.
        activations: by layer, [B, features, rows, cols].

    Returns:
        [B], the sum over a row's terms of coefficient · mean.
    """
    return _sum(objective, activations, _mean)


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
        case Whole():
            mask[:] = 1
        case _:
            assert_never(position)
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


def _masks(layer: str, terms: Mapping[int, Term], batch_size: int, first_size: Size, size: Size) -> Tensor:
    """Each row's mask at a size, [B, 1, rows, cols]; 0 for rows without a term."""
    first_grid, grid = layers.grid(layer, first_size), layers.grid(layer, size)
    masks = torch.zeros(batch_size, 1, *grid, dtype=torch.float64)
    for row, term in terms.items():
        masks[row, 0] = resize_mask(position_mask(term.position, first_grid), grid)
    return masks


def _pick(group: TermGroup, activations: Mapping[str, Tensor]) -> Tensor:
    """Every row's feature maps, [B, F, rows, cols] with F = 1 or all features, in the type of the masks.

    Of a class its log-odds, which a map of one neuron holds.
    """
    maps = activations[group.layer]
    if group.layer == FC and group.features is not None:
        return log_odds(maps.to(group.masks.dtype).flatten(1), group.features)[:, None, None, None]
    if group.place is not None:
        # [B, n, rows, cols] -> [B, B, rows, cols] -> [rows, cols, B] -> [B, 1, rows, cols]
        maps = maps.narrow(1, group.place, len(maps)).diagonal().permute(2, 0, 1)[:, None]
    elif group.features is not None:
        maps = maps[torch.arange(len(maps), device=maps.device), group.features][:, None]
    return maps.to(group.masks.dtype)


def log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """Logarithms of the odds p / (1 − p) of a class in each row, where p is its probability by the softmax.

    That is its logit minus the log-sum-exp of the other logits. A logit alone says nothing: the softmax stays the same
    if the same number is added to all of them, and all grow where an image leaves what the network has seen.

    Args:
        logits: [B, classes]; a single one is the log-odds itself, as of a sigmoid.
        classes: [B] int64.

    Returns:
        [B].
    """
    own = logits.gather(1, classes[:, None])[:, 0]  # [B, classes] -> [B]
    if logits.shape[1] == 1:
        return own
    is_own = torch.zeros_like(logits, dtype=torch.bool).scatter(1, classes[:, None], value=True)
    return own - logits.masked_fill(is_own, -torch.inf).logsumexp(1)


def _mean(group: TermGroup, maps: Tensor) -> Tensor:
    """[B, F, rows, cols] -> [n]."""
    neurons = _of_rows(group, group.masks.sum((1, 2, 3))) * maps.shape[1]
    return _of_rows(group, (group.masks * maps).sum((1, 2, 3))) / neurons


def _distance(gap: Tensor, group: TermGroup, metric: Metric) -> Tensor:
    """[B, F, rows, cols] -> [n]; rows without a term go before the root, whose slope at 0 is infinite."""
    match metric:
        case "l1":
            return _of_rows(group, (group.masks * gap).sum((1, 2, 3)))
        case "l2":
            return L2_FACTOR * _of_rows(group, (group.masks * gap**2).sum((1, 2, 3))).sqrt()
        case "linf":
            return _of_rows(group, (group.masks * gap.abs()).amax((1, 2, 3)))
        case _:
            raise ValueError(f'metric "{metric}": allowed: {", ".join(METRICS)}')


def _of_rows(group: TermGroup, values: Tensor) -> Tensor:
    """Those of the rows that have a term here, [B] -> [n]."""
    return values if group.rows is None else values[group.rows]


def _sum(
    objective: Objective, activations: Mapping[str, Tensor], measure: Callable[[TermGroup, Tensor], Tensor]
) -> Tensor:
    """Sum over each row's terms of coefficient · measure, [B]; `measure` takes [B, F, rows, cols] to [n]."""
    masks = objective.groups[0].masks
    total = torch.zeros(objective.batch_size, device=masks.device, dtype=masks.dtype)
    for group in objective.groups:
        values = group.coefficients * measure(group, _pick(group, activations))
        total = total + values if group.rows is None else total.index_add(0, group.rows, values)
    return total
