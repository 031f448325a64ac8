"""The gradient of each row's loss at its image, through the network as a recipe lets it see: resized, or rescued."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.plan.recipes import Recipe
from atlas.render.network import Network
from atlas.render.objectives import Objective, losses


def gradient_at(
    network: Network, objective: Objective, recipe: Recipe, images: Tensor, seen: Size, *, straight: bool = False
) -> Tensor:
    """Gradient of each row's loss at its image.

    Args:
        network: frozen network.
        objective: the targets, at the size that the network sees.
        recipe: its metric and constant.
        images: [B, 3, H, W].
        seen: (height, width) in pixels at which the network sees the images.
        straight: let the last ReLU of each target pass the gradient as if it were linear.

    Returns:
        [B, 3, H, W].
    """
    leaf = images.detach().requires_grad_()
    view = resample(leaf, seen)
    look = network.straight_activations if straight else network.activations
    activations = look(view, objective.taps, objective.wanted)
    loss = losses(objective, activations, recipe.metric, recipe.constant)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return gradient


def rescue(
    network: Network, objective: Objective, recipe: Recipe, images: Tensor, seen: Size, gradient: Tensor
) -> Tensor:
    """The gradient with those rows replaced in which it is 0 everywhere; arguments and shapes as of `gradient_at`.

    Where every neuron of a target has its ReLU closed, no gradient comes through, though the image could open it. In
    such a row the last ReLU on the target's path passes the gradient as if it were linear. (Lucid redirects it at every
    ReLU where a row's whole gradient ends, for the same reason: its issue 68.) All rows are computed again and the
    others dropped, so that a row's bits do not depend on how many of its neighbours are rescued. Looking for such rows
    makes the host wait for the device.
    """
    is_dead = (gradient == 0).flatten(1).all(1)  # [B, 3, H, W] -> [B]
    if not is_dead.any():
        return gradient
    passed = gradient_at(network, objective, recipe, images, seen, straight=True)
    return torch.where(is_dead[:, None, None, None], passed, gradient)


def resample(images: Tensor, size: Size) -> Tensor:
    """Bilinear and antialiased, as `F.interpolate` does it, to which it is equal but for rounding.

    A product with two matrices, because the backward pass of antialiased `F.interpolate` adds atomically on CUDA and
    so refuses to run among deterministic algorithms. One product for each row and channel: that of all rows at once
    might round a row by its place in the batch.

    Args:
        images: [B, 3, H, W]; the gradient flows back to them.
        size: (height, width) in pixels; that of the images gives them back.

    Returns:
        [B, 3, *size].
    """
    if images.shape[-2:] == size:
        return images
    tall, wide = (
        _weights(old, new).to(images.dtype).to(images.device).expand(images.shape[0] * images.shape[1], -1, -1)
        for old, new in zip(images.shape[-2:], size, strict=True)
    )  # [B·3, height, H] and [B·3, width, W]
    flat = torch.bmm(tall, torch.bmm(images.flatten(0, 1), wide.transpose(1, 2)))  # [B·3, height, width]
    return flat.reshape(*images.shape[:2], *size)


@lru_cache(maxsize=256)  # a recipe sees some 60 sizes over and over
def _weights(old: int, new: int) -> Tensor:
    """What each of `new` pixels takes from each of `old`, [new, old] float64: pictures of single pixels, resized."""
    single = torch.eye(old, dtype=torch.float64)[None, None]  # [1, 1, old, old]
    return F.interpolate(single, (new, old), mode="bilinear", align_corners=False, antialias=True)[0, 0]
