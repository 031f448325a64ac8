"""A picture and its ICC profile → the picture in sRGB, by littleCMS."""

import io
from functools import cache
from itertools import product

from PIL import Image, ImageChops, ImageCms

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # by the colour space of a profile
_ROUNDING = 1  # levels of 255 by which profiles of sRGB differ from each other


def convert_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Convert a picture from the colours of its profile to sRGB: relative colorimetric, black points matched.

    Args:
        image: RGB, L or CMYK. RGB whose channels are equal also takes a grey profile.
        profile: the ICC profile of its file; None: it has none.

    Returns:
        The picture in RGB. None if the pixels stay what they are: there is no profile, it is one of sRGB, or it
        cannot be used, because it is damaged or belongs to another kind of picture.
    """
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES.get(source.profile.xcolor_space.strip())
        if mode is None or (mode == "CMYK") != (image.mode == "CMYK") or (mode == "L" and not _is_grey(image)):
            return None
        intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags)
    except (ImportError, OSError, TypeError, ValueError, ImageCms.PyCMSError):  # ImportError: no littleCMS in Pillow
        return None
    return transform.apply(image.convert(mode)) if _changes_colours(transform, mode) else None


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "L":
        return True
    red, green, blue = image.split()
    return all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))


def _changes_colours(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform moves any of a grid of colours by more than rounding."""
    grid = _colour_grid().convert(mode)
    moved = ImageChops.difference(transform.apply(grid), grid.convert("RGB"))
    return moved.point(lambda levels: 255 * (levels > _ROUNDING)).getbbox() is not None


@cache
def _colour_grid() -> Image.Image:
    """16³ colours, RGB."""
    levels = range(0, 256, 17)
    return Image.frombytes("RGB", (64, 64), bytes(value for colour in product(levels, repeat=3) for value in colour))
