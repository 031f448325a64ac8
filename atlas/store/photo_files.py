"""A person's picture file, of whatever kind → an upright RGB picture, or an error that says what is wrong with it."""

import hashlib
import io
import math
import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from atlas.errors import ConfigError
from atlas.paths import PathError, read_file

# Named, since Pillow would run other programs for some of the rest.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
_KINDS = "JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM and JPEG 2000"
LARGEST_FILE = 2**28  # bytes: what is larger is no photograph
_PAPER = (255, 255, 255)  # what shows through transparent pixels


def read_bytes(file: Path) -> bytes:
    """A file's bytes.

    Raises:
        ConfigError: no such file, no file, too large, or not readable.
    """
    try:
        return read_file(file, LARGEST_FILE)
    except PathError as error:
        raise ConfigError(f"{file}: {error}; name a picture") from None


def sha256_of(data: bytes) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def decode_picture(data: bytes, file: Path) -> Image.Image:
    """The picture in a file's bytes, upright and in RGB; of an animation the first frame, on white where transparent.

    Args:
        data: the whole file.
        file: its name, for messages.

    Raises:
        ConfigError: no picture, of an unknown kind, cut off, damaged, or larger than Pillow's limit.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities that do no harm
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            most = f"{(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million pixels"
            raise ConfigError(f"{file}: more than {most}, the most that are read; make it smaller first") from None
        except UnidentifiedImageError:
            raise ConfigError(f"{file}: no picture of a known kind; those are {_KINDS}") from None
        except MemoryError:  # no fault of the file
            raise
        except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
            raise ConfigError(f"{file}: cut off or damaged: {error or type(error).__name__}; save it again") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    """The picture in RGB; whatever has more than 8 bits is brought to 8."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, _PAPER)
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits as 8: Pillow itself would cut off everything above 255."""
    least, most = image.convert("F").getextrema()
    assert isinstance(least, float | int)  # of one channel
    assert isinstance(most, float | int)
    if image.mode == "F" and not all(
        map(math.isfinite, struct.unpack(f"{image.width * image.height}f", image.tobytes()))
    ):
        raise ValueError("it holds NaN or infinity, which are no brightness")
    if image.mode.startswith("I") and least >= 0 and most < 2**16:
        least, most = 0, 2**16 - 1
    scale = 255 / (most - least) if most > least else 1.0
    return image.convert("F").point(lambda value: value * scale - least * scale).convert("L")
