"""What an image is made of: pixels, a spectrum, or the phases of a spectrum. Parameters ↔ images, as pure functions.

The descent moves parameters. Where they are pixels, high frequencies come up first, since nothing ties a pixel to its
neighbours. Coefficients of a spectrum that are scaled down with their frequency give large and small shapes the same
say, as photographs have them (Olah et al., "Feature Visualization", Distill 2017, and its library lucid). With the
magnitudes held at those of photographs and only the phases free, no frequency can be exaggerated at all (Fel et al.,
"Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization", NeurIPS 2023).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from atlas.inception.architecture import Size
from atlas.plan.recipes import Recipe
from atlas.rendering.transforms import resize

# Square root of the covariance of the colours in ImageNet's photographs, from lucid (`lucid/optvis/param/color.py`),
# over the length of its longest column.
COLORS = tuple(
    tuple(value / math.hypot(0.26, 0.27, 0.27) for value in row)
    for row in ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
)
# A parameter of 1 contributes a / f^p. With lucid's p of 1 pictures are pale: the mean of the image moves too fast for
# its shapes. At 0.75 their contrast is that of photographs, and a smaller one gives noise.
_SPECTRUM_SCALE, _SPECTRUM_POWER = 0.53, 0.75
_SPECTRUM_NOISE = 0.01  # standard deviation of the parameters of a start
# Amplitude a and exponent p of the mean spectrum of photographs, a / f^p. Measured by `scripts/measure_spectra.py` in
# the first channel, which is brightness, of 17 photographs: those of Debian's mate-backgrounds and of scikit-image. The
# others have the same magnitude, as in ImageNet, by whose covariance of colours all are scaled.
_PHOTO_AMPLITUDE, _PHOTO_POWER = 0.057, 1.37
_MARGIN = 1e-3  # between a pixel and 0 or 1 before the logarithm of its odds is taken


class Parameterization(Protocol):
    """Images of one size as parameters; both are [B, 3, …] and of the same type, on one device."""

    @property
    def size(self) -> Size:
        """(height, width) of the images in pixels."""

    def images(self, params: Tensor) -> Tensor:
        """Parameters -> images [B, 3, H, W] in the range of pixels; differentiable."""

    def params(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W] -> parameters; the inverse of `images`, as far as there is one."""

    def enlarge(self, params: Tensor, larger: Self) -> Tensor:
        """Parameters of the same images at the size of another parameterization of this kind.

        Args:
            params: of this one.
            larger: at no smaller size, but for pixels.
        """


@dataclass(frozen=True)
class Pixels:
    """Parameters that are pixels, or, with `colors`, from which pixels follow one by one."""

    size: Size
    colors: Tensor | None  # [3, 3], from decorrelated channels to the odds of red, green and blue; None: pixels

    def images(self, params: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W]."""
        return params if self.colors is None else _to_pixels(params, self.colors)

    def params(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W]."""
        params = images if self.colors is None else _from_pixels(images, self.colors)
        return params.contiguous(memory_format=torch.channels_last)  # as the convolutions want and return them

    def enlarge(self, params: Tensor, larger: Self) -> Tensor:
        """Resize as torchvision does."""
        return resize(params, larger.size).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Spectrum:
    """Parameters that, times `scale`, are coefficients of a discrete Fourier transform."""

    size: Size
    scale: Tensor  # [H, W // 2 + 1]: the contribution of a parameter of 1
    colors: Tensor | None  # [3, 3], from channels to the odds of red, green and blue; None: they are these

    def images(self, params: Tensor) -> Tensor:
        """[B, 3, H, 2·(W // 2 + 1)], real and imaginary parts in turn -> [B, 3, H, W] in (0, 1)."""
        return _to_pixels(_Synthesis.apply(params, self.scale, self.size), self.colors)

    def params(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, 2·(W // 2 + 1)]."""
        return torch.view_as_real(_analyze(_from_pixels(images, self.colors)) / self.scale).flatten(3)

    def enlarge(self, params: Tensor, larger: Self) -> Tensor:
        """Pad with frequencies of 0: the larger image is the trigonometric interpolation of the smaller one."""
        padded = pad_spectrum(_as_of_real(_scaled(params, self.scale), self.size), self.size, larger.size)
        return torch.view_as_real(padded / larger.scale).flatten(3)


@dataclass(frozen=True)
class Phases:
    """Parameters that are the phases of a spectrum whose magnitudes are held at those of photographs."""

    size: Size
    magnitudes: Tensor  # [H, W // 2 + 1]
    noise: Tensor  # [3, H, W // 2 + 1]: the phases of a start
    colors: Tensor  # [3, 3], from channels to the odds of red, green and blue

    def images(self, params: Tensor) -> Tensor:
        """[B, 3, H, W // 2 + 1] in radians -> [B, 3, H, W] in (0, 1)."""
        return _to_pixels(_synthesize(self._coefficients(params), self.size), self.colors)

    def params(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W // 2 + 1]; the magnitudes are lost."""
        return by_row(torch.angle, _analyze(_from_pixels(images, self.colors)))

    def enlarge(self, params: Tensor, larger: Self) -> Tensor:
        """Keep the phases; frequencies that only the larger images have get those of a start."""
        known = _as_of_real(self._coefficients(params), self.size)
        padded = by_row(torch.angle, pad_spectrum(known, self.size, larger.size))  # [B, 3, H', W' // 2 + 1]
        is_known = _is_below(self.size, larger.size).to(params.device)
        return torch.where(is_known, padded, larger.noise)

    def _coefficients(self, params: Tensor) -> Tensor:
        real, imaginary = by_row(torch.cos, params), by_row(torch.sin, params)
        return torch.complex(real * self.magnitudes, imaginary * self.magnitudes)


def make_parameterization(recipe: Recipe, size: Size, seed: int, like: Tensor) -> Parameterization:
    """A recipe's parameterization of images.

    Args:
        recipe: its parameterization and colours.
        size: (height, width) in pixels.
        seed: of phases that no smaller image gives.
        like: a tensor of the type and on the device of the images.
    """
    colors = like.new_tensor(COLORS)
    mixing = colors if recipe.color == "decorrelated" else None
    if recipe.parameterization == "pixels":
        return Pixels(size, mixing)
    frequencies = _frequencies(size)
    if recipe.parameterization == "fourier":
        scale = _SPECTRUM_SCALE / frequencies**_SPECTRUM_POWER
        return Spectrum(size, scale.to(colors.dtype).to(colors.device), mixing)
    magnitudes = _PHOTO_AMPLITUDE / frequencies**_PHOTO_POWER
    magnitudes[0, 0] = 0  # the mean is grey
    generator = torch.Generator().manual_seed(seed)
    noise = torch.angle(_analyze(torch.randn(3, *size, generator=generator)))
    return Phases(size, magnitudes.to(colors.dtype).to(colors.device), noise.to(like), colors)


def start_image(recipe: Recipe, seed: int, size: Size) -> Tensor:
    """The first image of a rendering that starts from noise, [3, H, W] float32, drawn on the CPU.

    Args:
        recipe: whose parameters are random: pixels as in the article, a faint spectrum, or phases.
        seed: of a generator of its own, so that every rendering of a recipe starts from the same noise.
        size: (height, width) in pixels.
    """
    if recipe.parameterization == "pixels":
        return start_noise(seed, size)
    form = make_parameterization(recipe, size, seed, torch.empty(0))
    if isinstance(form, Phases):
        return form.images(form.noise[None])[0]
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    params = torch.randn(1, 3, height, 2 * (width // 2 + 1), generator=generator) * _SPECTRUM_NOISE
    return form.images(params)[0]


def start_noise(seed: int, size: Size) -> Tensor:
    """The article's first image: grey with faint uniform noise.

    Args:
        seed: of a generator of its own, so that every rendering starts from the same noise.
        size: (height, width) in pixels.

    Returns:
        [3, height, width] float32 in [0.5, 0.6), drawn on the CPU whatever device follows.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, *size, generator=generator)[0] / 10 + 0.5


def pad_spectrum(coefficients: Tensor, size: Size, larger: Size) -> Tensor:
    """Coefficients of images at a larger size that interpolate those of the given ones.

    Args:
        coefficients: of real images, [B, 3, h, w // 2 + 1] complex.
        size: (h, w) of the images.
        larger: (H, W), neither side smaller.

    Returns:
        [B, 3, H, W // 2 + 1] complex. Where a side is even, the highest frequency stands for itself and its negative:
        each gets half.
    """
    (height, width), (new_height, new_width) = size, larger
    gain = math.sqrt(new_height * new_width / (height * width))  # of an orthonormal transform
    padded = coefficients.new_zeros(*coefficients.shape[:2], new_height, new_width // 2 + 1)
    above, below = (height + 1) // 2, height // 2  # rows of frequencies from 0 up, and of negative ones
    columns = width // 2 + 1
    padded[:, :, :above, :columns] = coefficients[:, :, :above] * gain
    padded[:, :, new_height - below :, :columns] = coefficients[:, :, height - below :] * gain
    if height % 2 == 0 and new_height > height:
        padded[:, :, new_height - below] /= 2
        padded[:, :, below] = padded[:, :, new_height - below]
    if width % 2 == 0 and new_width > width:
        padded[..., columns - 1] /= 2
    return padded


def by_row(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Apply a function to each row of a batch by itself, [B, …] -> [B, …].

    On a CPU, torch computes the last few numbers of a tensor by another implementation of the exponential function
    and its kin than the others, so that the bits of a row would depend on its place in the batch.
    """
    if values.device.type != "cpu":
        return function(values)
    return torch.stack([function(row) for row in values])


def _scaled(params: Tensor, scale: Tensor) -> Tensor:
    """Coefficients of parameters, [B, 3, H, 2·(W // 2 + 1)] -> [B, 3, H, W // 2 + 1] complex."""
    return torch.view_as_complex(params.unflatten(3, (-1, 2))) * scale


class _Synthesis(torch.autograd.Function):
    """Parameters of a spectrum -> maps, [B, 3, H, 2·(W // 2 + 1)] -> [B, 3, H, W].

    torch's own gradient is the same; this one takes a product less for scaling.
    """

    @staticmethod
    def forward(ctx: Any, params: Tensor, scale: Tensor, size: Size) -> Tensor:
        ctx.save_for_backward(scale)
        return _synthesize(_scaled(params, scale), size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = ctx.saved_tensors
        scale, width = scale.clone(), gradients[0].shape[3]
        scale[:, 1 : (width + 1) // 2] *= 2  # each of these stands for its negative too
        return torch.view_as_real(_analyze(gradients[0]) * scale).flatten(3), None, None


class _Sigmoid(torch.autograd.Function):
    """The logistic function, row by row on a CPU as in `by_row`, with a gradient of all rows together."""

    @staticmethod
    def forward(ctx: Any, odds: Tensor) -> Tensor:
        pixels = by_row(torch.sigmoid, odds)
        ctx.save_for_backward(pixels)
        return pixels

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (pixels,) = ctx.saved_tensors
        gradient: Tensor = torch.ops.aten.sigmoid_backward(gradients[0], pixels)
        return gradient


def _to_pixels(maps: Tensor, colors: Tensor | None) -> Tensor:
    """Channels -> red, green and blue in (0, 1); [B, 3, H, W] both."""
    odds = maps if colors is None else _mix(colors, maps)
    pixels: Tensor = _Sigmoid.apply(odds)
    return pixels


def _from_pixels(images: Tensor, colors: Tensor | None) -> Tensor:
    """The inverse of `_to_pixels`, of images clipped to a little less than the range of pixels."""
    odds = by_row(lambda image: torch.logit(image, eps=_MARGIN), images)
    return odds if colors is None else _mix(torch.linalg.inv(colors), odds)


def _mix(matrix: Tensor, maps: Tensor) -> Tensor:
    """Channels times a matrix, [B, 3, H, W] -> [B, 3, H, W]; a product for each row, whose bits know no neighbours."""
    return torch.bmm(matrix.expand(len(maps), -1, -1), maps.flatten(2)).view_as(maps)


def _synthesize(coefficients: Tensor, size: Size) -> Tensor:
    maps: Tensor = torch.fft.irfft2(coefficients, s=size, norm="ortho")
    return maps


def _analyze(maps: Tensor) -> Tensor:
    coefficients: Tensor = torch.fft.rfft2(maps, norm="ortho")
    return coefficients


def _as_of_real(coefficients: Tensor, size: Size) -> Tensor:
    """The coefficients as real images have them, without the parts that have no effect on one."""
    return _analyze(_synthesize(coefficients, size))


def _is_below(size: Size, larger: Size) -> Tensor:
    """Which frequencies of a larger image one of a size has, but for its highest, [H', W' // 2 + 1] bool."""
    height, width = larger
    rows: Tensor = (torch.fft.fftfreq(height) * height).round().abs()  # cycles per image
    cols = torch.arange(width // 2 + 1)
    return (rows < (size[0] + 1) // 2)[:, None] & (cols < (size[1] + 1) // 2)


def _frequencies(size: Size) -> Tensor:
    """Cycles per pixel by row and column of a spectrum, [H, W // 2 + 1] float64; the least one at 0."""
    height, width = size
    rows = torch.fft.fftfreq(height, dtype=torch.float64)
    cols = torch.fft.rfftfreq(width, dtype=torch.float64)
    return torch.hypot(rows[:, None], cols).clamp(min=1 / max(size))
