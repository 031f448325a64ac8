"""What a step does with a gradient beside subtracting it: the direction of Adam, and the blur. Pure functions."""

import math

import torch
from torch import Tensor

ADAM_MEANS = (0.9, 0.999)  # share of the old mean of the gradient, and of its square (Kingma and Ba, 2015, Algorithm 1)


def adam(
    moments: tuple[Tensor, ...], gradient: Tensor, root: Tensor, epsilon: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The direction of Adam (Kingma and Ba, 2015, Algorithm 1), and its new moments.

    The first moment's correction is a part of the rate. Epsilon is relative to each row's largest root mean square, so
    that it means the same in every layer: where one frequency has nearly all of the gradient, as for plain colours,
    those that hold only noise must not move as fast.

    Args:
        moments: means of the gradient and of its square so far, [B, 3, …].
        gradient: of this step, [B, 3, …].
        root: square root of the second moment's correction, [1].
        epsilon: share of the largest root mean square that is added to each.
    """
    first, second = moments
    mean = torch.lerp(first, gradient, 1 - ADAM_MEANS[0])
    square = (second * ADAM_MEANS[1]).addcmul_(gradient, gradient, value=1 - ADAM_MEANS[1])
    size = square.sqrt().div_(root)
    floor = size.amax((1, 2, 3), keepdim=True) * epsilon  # [B, 1, 1, 1]
    tiny = torch.finfo(size.dtype).tiny  # of a row without a gradient
    return mean / size.add_(floor).clamp_(min=tiny), (mean, square)


def blur(images: Tensor, sigma: float) -> Tensor:
    """3×3 Gaussian blur with reflected borders, as torchvision's `gaussian_blur(images, 3, sigma)`.

    Args:
        images: [B, 3, H, W].
        sigma: pixels, above 0.
    """
    return blur_by(images, *torch.tensor(blur_kernel(sigma), dtype=images.dtype, device=images.device))


def blur_kernel(sigma: float) -> tuple[float, float]:
    """Weights of the middle pixel and of either neighbour; the two-dimensional kernel is their outer product."""
    side = math.exp(-0.5 / sigma / sigma)
    centre = 1 / (1 + 2 * side)
    return centre, side * centre


def blur_by(images: Tensor, centre: Tensor, side: Tensor) -> Tensor:
    """Blur by a kernel (side, centre, side) in both directions; [B, 3, H, W] and two scalars."""
    return _blur_along(_blur_along(images, centre, side, 2), centre, side, 3)


def _blur_along(images: Tensor, centre: Tensor, side: Tensor, dim: int) -> Tensor:
    length = images.shape[dim]
    # torch's own reflection padding is six times slower than joining slices
    padded = torch.cat([images.narrow(dim, 1, 1), images, images.narrow(dim, length - 2, 1)], dim)
    before, after = padded.narrow(dim, 0, length), padded.narrow(dim, 2, length)
    return (before + after).mul_(side).addcmul_(images, centre)
