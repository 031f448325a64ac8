"""A person's picture file, of whatever kind → an upright RGB picture, or an error that says what is wrong with it."""

import hashlib
import io
import math
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from atlas.common.errors import ConfigError
from atlas.common.paths import PathError, read_file
from atlas.store.foreign_files import HEAD, foreign_kind
from atlas.store.profiles import convert_to_srgb

# Named, since Pillow would run other programs for some of the rest.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
_KINDS = "JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM and JPEG 2000"
COLOURS = "sRGB"  # in which pictures are read, by their profiles; another word when that changes
LARGEST_FILE = 2**28  # bytes: what is larger is no photograph
LARGEST_JPEG = 2**28  # pixels: no more than four times what Pillow's limit lets through, since it is halved
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
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


@dataclass(frozen=True)
class Decoded:
    """A picture out of a file."""

    picture: Image.Image  # upright, in RGB, and without whatever else its file says
    size: tuple[int, int]  # (width, height) of the whole picture, upright; it is decoded at half of that if it is large
    is_converted: bool  # whether its colour profile changed its pixels


def decode_picture(data: bytes, file: Path) -> Image.Image:
    """The picture of `decode`."""
    return decode(data, file).picture


def decode(data: bytes, file: Path) -> Decoded:
    """Decode a file's bytes: upright, in sRGB; of an animation the first frame, on white where it is transparent.

    Args:
        data: the whole file.
        file: its name, for messages.

    Raises:
        ConfigError: no picture, of a kind that is not read, cut off, damaged, or too large.
    """
    if kind := foreign_kind(data[:HEAD]):
        raise ConfigError(f"{file}: {kind}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities that do no harm
        try:
            return _decode(data)
        except (_TooLargeError, Image.DecompressionBombError) as error:
            raise ConfigError(f"{file}: {_too_large(isinstance(error, _TooLargeError) and error.is_jpeg)}") from None
        except UnidentifiedImageError:
            raise ConfigError(f"{file}: no picture of a known kind; those are {_KINDS}") from None
        except MemoryError:  # no fault of the file
            raise
        except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
            if decoded := _decode_without_end(data):
                return decoded
            why = "part of the picture is missing" if "truncated" in str(error) else error or type(error).__name__
            raise ConfigError(f"{file}: cut off or damaged: {why}; copy or save it again") from None


class _TooLargeError(Exception):
    """A picture has more pixels than are read of its kind."""

    def __init__(self, is_jpeg: bool) -> None:
        super().__init__()
        self.is_jpeg = is_jpeg


def _too_large(is_jpeg: bool) -> str:
    if is_jpeg:
        return f"more than {LARGEST_JPEG / 1e6:.0f} million pixels, the most that are read; make it smaller first"
    return (
        f"more than {_most_pixels() / 1e6:.0f} million pixels, the most that are read of this kind; make it smaller "
        f"first, or save it as JPEG, of which {LARGEST_JPEG / 1e6:.0f} million are read"
    )


def _most_pixels() -> int:
    return Image.MAX_IMAGE_PIXELS or 0


def _decode(data: bytes) -> Decoded:
    with _open(data) as image:
        size, is_halved = image.size, _halve_if_large(image)
        image.load()
        upright = ImageOps.exif_transpose(image)
        picture, is_converted = _to_rgb(upright)
        if not is_halved:
            size = picture.size
        elif upright.size != image.size:  # turned by 90°
            size = size[::-1]
    return Decoded(picture, size, is_converted)


def _open(data: bytes) -> ImageFile:
    if data.startswith(_JPEG):  # large ones are decoded at half their size, and Image.open would refuse them
        return JpegImageFile(io.BytesIO(data))
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _halve_if_large(image: ImageFile) -> bool:
    """Let a picture of more pixels than are read be decoded at half its width and height, which only JPEG can."""
    width, height = image.size
    if width * height <= _most_pixels():
        return False
    if not isinstance(image, JpegImageFile) or width * height > LARGEST_JPEG:
        raise _TooLargeError(isinstance(image, JpegImageFile))
    image.draft(None, (width // 2, height // 2))
    return True


def _decode_without_end(data: bytes) -> Decoded | None:
    """Decode a JPEG that lacks its end marker and no pixel; None for any other file.

    A decoder passes over what follows the last pixel. So no pixel is missing if none depends on what follows.
    """
    if not data.startswith(_JPEG):
        return None
    body = data.rstrip(_JPEG_END[:1])
    try:
        one, other = (_decode(body + filler * 64 + _JPEG_END) for filler in (b"\0", b"\xaa"))
    except MemoryError:
        raise
    except Exception:  # as in `decode`
        return None
    return one if one.picture == other.picture else None


def _to_rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture in sRGB at 8 bits, and whether its profile was needed for that."""
    profile, alpha = image.info.get("icc_profile"), None
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode not in ("L", "CMYK"):
        image = image.convert("RGB")
    converted = convert_to_srgb(image, profile)
    picture = converted or image.convert("RGB")
    if alpha:
        picture.putalpha(alpha)
        picture = Image.alpha_composite(Image.new("RGBA", image.size, _PAPER), picture).convert("RGB")
    picture.info = {}  # Pillow writes some of it into whatever is saved
    return picture, converted is not None


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
