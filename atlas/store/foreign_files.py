"""Files that are not pictures this program reads: first bytes → what a file is, and what to do with it."""

import re
import struct
from contextlib import suppress

HEAD = 2**16  # bytes at the start of a file that say what it is

_HEIF = "HEIC", "export it as JPEG"
_RAW = "a camera's RAW file", "export it as JPEG or TIFF"
_PDF = "PDF", "export the page as PNG"
_VIDEO = "a video", "save one of its frames as PNG"
_POSTSCRIPT = "PostScript", "export it as PNG"
_STARTS = (
    (b"\xff\x0a", ("JPEG XL", "export it as JPEG or PNG")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", ("JPEG XL", "export it as JPEG or PNG")),
    (b"8BPS", ("a Photoshop file", "export it as PNG or TIFF")),
    (b"gimp xcf", ("a GIMP file", "export it as PNG")),
    (b"%PDF-", _PDF),
    (b"%!PS", _POSTSCRIPT),
    (b"\xc5\xd0\xd3\xc6", _POSTSCRIPT),  # EPS with a preview
    (b"\x1aE\xdf\xa3", _VIDEO),  # Matroska, WebM
    (b"\0\0\x01\xba", _VIDEO),  # MPEG
    (b"\0\0\x01\xb3", _VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", _VIDEO),  # Windows Media
    (b"FLV\x01", _VIDEO),
    (b"OggS", _VIDEO),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),  # Olympus
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\0", _RAW),  # Panasonic, Leica
    (b"FOVb", _RAW),  # Sigma
    (b"\0MRM", _RAW),  # Minolta
)
# Brands of ISO media files.
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_QUICKTIME = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}  # boxes that old ones begin with
_SVG = re.compile(rb"\A(\xef\xbb\xbf)?\s*(<\?xml|<!--|<!DOCTYPE\s+svg|<svg)", re.IGNORECASE)
_WEB_PAGE = re.compile(rb"\A(\xef\xbb\xbf)?\s*<(!DOCTYPE\s+html|html)", re.IGNORECASE)
# Tags of TIFF, in which most cameras wrap what they save: a reader would take the thumbnail for the picture.
_DNG_VERSION, _SUB_IFDS, _SUBFILE_TYPE, _COMPRESSION = 50706, 330, 254, 259
_OLD_JPEG = 6
_SHORT, _LONG = 3, 4
_RAW_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}  # Sony, Epson, Samsung, Nikon, Kodak, Pentax


def foreign_kind(head: bytes) -> str | None:
    """Say what a file is that is not read, and what to do with it; None if it may be a picture.

    Args:
        head: the first bytes of the file, `HEAD` of them or all.
    """
    if not head:
        return "an empty file: copy it again"
    found = _kind(head)
    return f"{found[0]}, which this program does not read: {found[1]}" if found else None


def _kind(head: bytes) -> tuple[str, str] | None:
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[4:8] == b"ftyp":
        return _kind_of_media(head)
    if head[4:8] in _QUICKTIME or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return _VIDEO
    if not head.startswith(b"GIF8") and any(_is_transport_stream(head, *packets) for packets in ((0, 188), (4, 192))):
        return _VIDEO
    if head[6:14] == b"HEAPCCDR" or (head[:4] in (b"II*\0", b"MM\0*") and _is_raw(head)):
        return _RAW
    if _WEB_PAGE.match(head):
        return "a web page", "download the picture itself"
    if _SVG.match(head) and b"<svg" in head.lower():
        return "SVG", "export it as PNG"
    return None


def _kind_of_media(head: bytes) -> tuple[str, str] | None:
    """The kind of a file that begins as HEIF, AVIF, Canon's RAW and MP4 do."""
    end = min(int.from_bytes(head[:4]), 256)
    brands = {head[at : at + 4] for at in (8, *range(16, end, 4))}
    if brands & _AVIF_BRANDS:
        return None
    if brands & _HEIF_BRANDS:
        return _HEIF
    return _RAW if head[8:12] == b"crx " else _VIDEO


def _is_transport_stream(head: bytes, first: int, length: int) -> bool:
    """Whether packets of MPEG, as camcorders write them, begin at these places."""
    return all(head[first + n * length :][:1] == b"G" for n in range(5))


def _is_raw(head: bytes) -> bool:
    """Whether a TIFF file holds what a camera's sensor saw, by its first directory."""
    if head[8:10] == b"CR":  # Canon
        return True
    tags = _tiff_tags(head)
    has_thumbnail = tags.get(_SUBFILE_TYPE, 0) & 1 or tags.get(_COMPRESSION) == _OLD_JPEG
    if _SUB_IFDS in tags and has_thumbnail:
        return True
    return _DNG_VERSION in tags or tags.get(_COMPRESSION) in _RAW_COMPRESSIONS


def _tiff_tags(head: bytes) -> dict[int, int]:
    """The tags of a TIFF file's first directory and their values; 0 for those that are no single short or long."""
    order = "<" if head.startswith(b"II") else ">"
    tags = {}
    with suppress(struct.error):  # it lies beyond the head, or is cut off
        (at,) = struct.unpack_from(f"{order}I", head, 4)
        (count,) = struct.unpack_from(f"{order}H", head, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHI4s", head, entry)
            form = {_SHORT: "H", _LONG: "I"}.get(kind)
            tags[tag] = struct.unpack_from(order + form, value)[0] if form else 0
    return tags
