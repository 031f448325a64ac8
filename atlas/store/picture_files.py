"""Picture files of the user: decoded to an upright picture in sRGB, or refused with the reason."""

import hashlib
import io
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from PIL import Image, ImageChops, ImageCms, ImageOps, TiffImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from atlas.common.errors import ConfigError
from atlas.common.paths import PathError, read_file

# Named, since Pillow would run other programs for some of the rest.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
_KINDS = "JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM and JPEG 2000"
COLOURS = "sRGB"  # the colour space of decoded pictures; to be changed with the way of decoding
LARGEST_FILE = 2**28  # bytes; a larger file is no photograph
LARGEST_JPEG = 2**28  # pixels; at most four times Pillow's limit, since both sides are halved
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_PAPER = (255, 255, 255)  # behind transparent pixels

# Files that may be taken for pictures and are not read: what they are, what to do, and their first bytes.
HEAD = 2**16  # bytes at the start of a file that are enough for `unsupported_kind`
_RAW = "a camera's RAW file", "export it as JPEG or TIFF"
_NO_AVIF = rb".{4}ftyp(?!.{0,60}avi[fs])"  # HEIC, AVIF and MP4 differ in the brands after "ftyp"
_UNSUPPORTED = (
    ("JPEG XL", "export it as JPEG or PNG", rb"\xff\x0a|\0\0\0\x0cJXL "),
    ("a Photoshop file", "export it as PNG or TIFF", rb"8BPS"),
    ("a GIMP file", "export it as PNG", rb"gimp xcf"),
    ("PDF", "export the page as PNG", rb"%PDF-"),
    ("PostScript", "export it as PNG", rb"%!PS|\xc5\xd0\xd3\xc6"),
    (*_RAW, rb".{4}ftypcrx |FUJIFILMCCD-RAW|IIR[OS]|MMOR|IIU\0|FOVb|\0MRM|.{6}HEAPCCDR|II\*\0.{4}CR"),
    ("HEIC", "export it as JPEG", _NO_AVIF + rb".{0,60}?(hei[cmsx]|hev[cmsx]|mif[12]|msf1)"),
    (
        "a video",
        "save one of its frames as PNG",
        _NO_AVIF
        + rb"|.{4}(moov|mdat|wide|free|skip|pnot)|RIFF.{4}AVI |\x1aE\xdf\xa3|\0\0\x01[\xb3\xba]|0&\xb2u|FLV\x01|OggS"
        + rb"|(?!GIF8)G(.{187}G){4}|.{4}G(.{191}G){4}",  # MPEG packets of camcorders
    ),
    ("a web page", "download the picture itself", rb"(\xef\xbb\xbf)?\s*<(?i:!DOCTYPE\s+html|html)"),
    ("SVG", "export it as PNG", rb"(\xef\xbb\xbf)?\s*(?i:(?=<\?xml|<!--|<!DOCTYPE\s+svg|<svg).*?<svg)"),
)
# TIFF tags. Most RAW files are TIFF files, of which Pillow would read the thumbnail.
_DNG_VERSION, _SUB_IFDS, _SUBFILE_TYPE, _COMPRESSION = 50706, 330, 254, 259
_THUMBNAIL, _OLD_JPEG = 1, 6
_RAW_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}  # Sony, Epson, Samsung, Nikon, Kodak, Pentax

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow's, by the colour space of a profile
_ROUNDING = 1  # levels of 255 by which profiles of sRGB differ from each other


@dataclass(frozen=True)
class Decoded:
    """A decoded picture file."""

    picture: Image.Image  # upright, in RGB, without metadata
    size: tuple[int, int]  # (width, height) in the file, upright; a large picture is decoded at half of it
    is_converted: bool  # whether its colour profile changed its pixels


def read_bytes(file: Path) -> bytes:
    """Read a picture file.

    Raises:
        ConfigError: no such file, no file, too large, or not readable.
    """
    try:
        return read_file(file, LARGEST_FILE)
    except PathError as error:
        raise ConfigError(f"{file}: {error}; name a picture") from None


def sha256_of(data: bytes) -> str:
    """The SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes, file: Path) -> Decoded:
    """Decode a picture file: upright, in sRGB, on white where it is transparent; of an animation the first frame.

    Args:
        data: the whole file.
        file: its name, for messages.

    Raises:
        ConfigError: no picture, of an unsupported kind, cut off, damaged, or too large.
    """
    if kind := unsupported_kind(data[:HEAD]):
        raise ConfigError(f"{file}: {kind}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about harmless oddities; other threads may undo it, so no check relies on it
        try:
            return _decode(data)
        except Image.DecompressionBombError:
            raise ConfigError(f"{file}: {_too_large(data)}") from None
        except UnidentifiedImageError:
            raise ConfigError(f"{file}: no picture of a known kind; those are {_KINDS}") from None
        except MemoryError:  # is no fault of the file
            raise
        except Exception as error:  # on damaged files Pillow's readers raise many kinds
            if decoded := _decode_without_end(data):
                return decoded
            why = "part of the picture is missing" if "truncated" in str(error) else error or type(error).__name__
            raise ConfigError(f"{file}: cut off or damaged: {why}; copy or save it again") from None


def unsupported_kind(head: bytes) -> str | None:
    """What a file is, if it is of an unsupported kind, and what to do with it; None if it may be a picture.

    Args:
        head: the first bytes of the file, `HEAD` of them or all.
    """
    if not head:
        return "an empty file: copy it again"
    kinds = ((what, remedy) for what, remedy, start in _UNSUPPORTED if re.match(start, head, re.DOTALL))
    found = next(kinds, None) or (_RAW if _is_raw_tiff(head) else None)
    return f"{found[0]}, which this program does not read: {found[1]}" if found else None


def _is_raw_tiff(head: bytes) -> bool:
    """Whether this is the start of a TIFF file that holds a camera's RAW data, by the tags of its first directory."""
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return False
    with suppress(Exception), warnings.catch_warnings():  # the directory is damaged, or not in the head
        warnings.simplefilter("ignore")
        tags, file = TiffImagePlugin.ImageFileDirectory_v2(head[:8]), io.BytesIO(head)
        file.seek(tags.next)
        tags.load(file)
        compression = tags.get(_COMPRESSION)
        is_thumbnail = tags.get(_SUBFILE_TYPE) == _THUMBNAIL or compression == _OLD_JPEG
        return _DNG_VERSION in tags or compression in _RAW_COMPRESSIONS or (_SUB_IFDS in tags and is_thumbnail)
    return False


def _too_large(data: bytes) -> str:
    if data.startswith(_JPEG):
        return f"more than {LARGEST_JPEG / 1e6:.0f} million pixels, the most that are read; make it smaller first"
    return (
        f"more than {(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f} million pixels, the most that are read of this kind; "
        f"make it smaller first, or save it as JPEG, of which {LARGEST_JPEG / 1e6:.0f} million are read"
    )


def _decode(data: bytes) -> Decoded:
    with _open(data) as image:
        width, height = image.size
        if width * height > (Image.MAX_IMAGE_PIXELS or 0):  # only a JPEG gets here
            image.draft(None, (width // 2, height // 2))
        is_halved = image.size != (width, height)
        image.load()
        upright = ImageOps.exif_transpose(image)
        picture, is_converted = _to_rgb(upright)
        is_turned = upright.size != image.size  # by 90°
    whole = (height, width) if is_turned else (width, height)
    return Decoded(picture, whole if is_halved else picture.size, is_converted)


def _open(data: bytes) -> ImageFile:
    image: ImageFile
    if data.startswith(_JPEG):  # Image.open refuses large ones, which are decoded at half
        image, most = JpegImageFile(io.BytesIO(data)), LARGEST_JPEG
    else:
        image, most = Image.open(io.BytesIO(data), formats=FORMATS), Image.MAX_IMAGE_PIXELS or 0
    if image.width * image.height > most:
        raise Image.DecompressionBombError
    return image


def _decode_without_end(data: bytes) -> Decoded | None:
    """Decode a JPEG that lacks only its end marker; None for any other file.

    A decoder ignores what follows the last pixel. So the file is decoded with two different ends: if the pixels are
    equal, none is missing.
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
    """The picture in sRGB at 8 bits, and whether its profile changed its pixels."""
    profile, alpha = image.info.get("icc_profile"), None
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode not in ("L", "CMYK"):
        image = image.convert("RGB")
    converted = _convert_to_srgb(image, profile)
    picture = converted or image.convert("RGB")
    if alpha:
        picture.putalpha(alpha)
        picture = Image.alpha_composite(Image.new("RGBA", image.size, _PAPER), picture).convert("RGB")
    picture.info = {}  # Pillow writes some of it into files
    return picture, converted is not None


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Convert grey of 16 or 32 bits to 8 bits. Pillow itself would clip at 255."""
    import numpy as np  # rarely needed, and the site is made without it

    values = np.asarray(image.convert("F"))
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinity, which are no brightness")
    least, most = float(values.min()), float(values.max())
    if image.mode.startswith("I") and least >= 0 and most < 2**16:
        least, most = 0, 2**16 - 1
    scale = 255 / (most - least) if most > least else 1.0
    return image.convert("F").point(lambda value: value * scale - least * scale).convert("L")


def _convert_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Convert a picture from the colours of its profile to sRGB: relative colorimetric, black points matched.

    Args:
        image: RGB, L or CMYK. RGB whose channels are equal also takes a grey profile.
        profile: the ICC profile of its file; None: it has none.

    Returns:
        The picture in RGB. None if its pixels are to be used as they are: there is no profile, it is one of sRGB, it
        is damaged, or it belongs to another kind of picture.
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
    first, *others = image.split()
    return all(ImageChops.difference(first, other).getbbox() is None for other in others)


def _changes_colours(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform changes any colour of a grid by more than rounding."""
    grid = _colour_grid().convert(mode)
    moved = ImageChops.difference(transform.apply(grid), grid.convert("RGB"))
    return moved.point(lambda levels: 255 * (levels > _ROUNDING)).getbbox() is not None


@cache
def _colour_grid() -> Image.Image:
    """16³ colours, RGB."""
    levels = range(0, 256, 17)
    return Image.frombytes("RGB", (64, 64), bytes(value for colour in product(levels, repeat=3) for value in colour))
