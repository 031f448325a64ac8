"""People's picture files: each kind is read as it is meant, each oddity refused in a line, and the store keeps them."""

import hashlib
import io
import json
import struct
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat, PngImagePlugin

import icc
from atlas.common.errors import ConfigError, StoreError
from atlas.inception.targets import parse
from atlas.plan.config import Config
from atlas.plan.jobs import Job
from atlas.plan.starts import DRAWN_PHOTO, LARGEST_SIDE
from atlas.site.check import check_store
from atlas.store import photos, picture_files
from atlas.store.picture_files import LARGEST_JPEG, decode, read_bytes, unsupported_kind
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from atlas.studies.dreams.settings import Settings as DreamsSettings
from atlas.studies.dreams.settings import name_photos
from atlas.studies.dreams.starts import identify_photos, keep_photos
from stores import WEIGHTS, put, record

ROOT = Path(__file__).parent.parent
BACKS = {  # EXIF orientation -> how its pixels lie, seen from the upright picture
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def upright(width: int = 60, height: int = 40) -> Image.Image:
    """Red at the top left, blue at the top right, green below."""
    image = Image.new("RGB", (width, height), (0, 160, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2 - 1, height // 2 - 1), fill=(200, 0, 0))
    draw.rectangle((width // 2, 0, width, height // 2 - 1), fill=(0, 0, 200))
    return image


def encoded(image: Image.Image, kind: str, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    return decode(data, Path("photo")).picture


def near(pixel, wanted, by=12) -> bool:
    return all(abs(one - other) <= by for one, other in zip(pixel, wanted, strict=True))


@pytest.mark.parametrize("orientation", BACKS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_upright_as_its_exif_says(orientation: int, kind: str) -> None:
    back = BACKS[orientation]
    lying = upright() if back is None else upright().transpose(back)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decoded(encoded(lying, kind, exif=exif, **({"subsampling": 0} if kind == "JPEG" else {})))
    assert found.size == (60, 40)
    corners = [found.getpixel(at) for at in ((5, 5), (55, 5), (5, 35), (55, 35))]
    for pixel, wanted in zip(corners, ((200, 0, 0), (0, 0, 200), (0, 160, 0), (0, 160, 0)), strict=True):
        assert near(pixel, wanted)


def grey(mode: str, value: float) -> Image.Image:
    image = Image.new(mode, (8, 8), 0)
    image.paste(value, (4, 0, 8, 8))
    return image


def palette() -> Image.Image:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([250, 120, 10, 10, 20, 30])
    return image


def clear_half(mode: str, colour: tuple[int, ...]) -> Image.Image:
    """The colour without any cover on the left, whole on the right."""
    image = Image.new(mode, (8, 8), (*colour, 0))
    image.paste((*colour, 255), (4, 0, 8, 8))
    return image


CONVERSIONS = {  # a file, and the colours of its left and right halves
    "CMYK JPEG": (encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), (255, 0, 0), (255, 0, 0)),
    "CMYK TIFF": (encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF"), (0, 255, 255), (0, 255, 255)),
    "16-bit PNG": (encoded(grey("I;16", 32896), "PNG"), (0, 0, 0), (128, 128, 128)),
    "16-bit TIFF": (encoded(grey("I;16", 65535), "TIFF"), (0, 0, 0), (255, 255, 255)),
    "32-bit TIFF": (encoded(grey("I", 65535), "TIFF"), (0, 0, 0), (255, 255, 255)),
    "float TIFF": (encoded(grey("F", 0.7), "TIFF"), (0, 0, 0), (255, 255, 255)),
    "bilevel": (encoded(grey("1", 1), "PNG"), (0, 0, 0), (255, 255, 255)),
    "grey": (encoded(grey("L", 90), "PNG"), (0, 0, 0), (90, 90, 90)),
    "palette": (encoded(palette(), "PNG"), (250, 120, 10), (250, 120, 10)),
    "clear palette": (encoded(palette(), "PNG", transparency=0), (255, 255, 255), (255, 255, 255)),
    "alpha": (encoded(clear_half("RGBA", (200, 30, 40)), "PNG"), (255, 255, 255), (200, 30, 40)),
    "grey alpha": (encoded(clear_half("LA", (7,)), "PNG"), (255, 255, 255), (7, 7, 7)),
}


@pytest.mark.parametrize("kind", CONVERSIONS)
def test_every_kind_of_colour_becomes_rgb(kind: str) -> None:
    data, left, right = CONVERSIONS[kind]
    found = decoded(data)
    assert found.mode == "RGB"
    assert near(found.getpixel((1, 4)), left, by=2)
    assert near(found.getpixel((6, 4)), right, by=2)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert near(decoded(data).getpixel((8, 8)), (255, 0, 0), by=3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_file_cut_off_anywhere_is_refused(kind: str, keep: float) -> None:
    noise = Image.effect_noise((120, 90), 80).convert("RGB")
    data = encoded(noise, kind)
    assert decoded(data).size == (120, 90)
    with pytest.raises(ConfigError, match=r"photo: (cut off or damaged|no picture)"):
        decoded(data[: round(len(data) * keep)])


# Colours

WHOLE = {  # settings by which a file's pixels are nearly or wholly those that were saved
    "JPEG": {"quality": 97, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 97, "subsampling": "4:4:4"},
    "TIFF": {},
}


@pytest.fixture(scope="module")
def colours() -> Image.Image:
    """A picture of many colours, in sRGB."""
    return decode(photos.DRAWN_FILE.read_bytes(), photos.DRAWN_FILE).picture.resize((172, 115))


def mean_error(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference in the channel where it is largest, in levels of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("profile", [icc.P3, icc.ADOBE], ids=["Display P3", "Adobe RGB"])
def test_colours_of_a_profile_become_srgb(kind: str, profile: bytes, colours: Image.Image) -> None:
    wide = icc.in_colours_of(colours, profile)
    found = decode(encoded(wide, kind, icc_profile=profile, **WHOLE[kind]), Path("photo"))
    assert found.is_converted
    assert found.picture.info == {}
    assert mean_error(wide, colours) > 6
    assert mean_error(found.picture, colours) < (2.5 if kind in ("JPEG", "AVIF") else 0.5)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_profile_of_srgb_changes_no_pixel(kind: str, colours: Image.Image) -> None:
    plain = decode(encoded(colours, kind, **WHOLE[kind]), Path("photo"))
    found = decode(encoded(colours, kind, icc_profile=icc.SRGB, **WHOLE[kind]), Path("photo"))
    assert found == plain
    assert not found.is_converted


@pytest.mark.parametrize("kind", WHOLE)
def test_grey_is_as_light_as_its_profile_says(kind: str) -> None:
    ramp = Image.linear_gradient("L")  # 0 at the top, 255 below
    found = decode(encoded(ramp, kind, icc_profile=icc.grey(1.8), **WHOLE[kind]), Path("photo"))
    assert found.is_converted
    for level in range(256):
        light = (level / 255) ** 1.8
        wanted = 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)
        assert near(found.picture.getpixel((9, level)), [wanted] * 3, by=2)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_ink_has_the_colours_of_its_profile(kind: str) -> None:
    inks = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 161, 197), (0, 0, 0, 255): (48, 48, 48)}
    for ink, wanted in inks.items():
        page = Image.new("CMYK", (16, 16), ink)
        found = decode(encoded(page, kind, icc_profile=icc.CMYK), Path("photo"))
        assert found.is_converted
        assert near(found.picture.getpixel((8, 8)), wanted, by=3)
        assert ink == (0, 0, 0, 0) or not near(page.convert("RGB").getpixel((8, 8)), wanted, by=20)


def test_transparent_pictures_and_palettes_are_converted_too(colours: Image.Image) -> None:
    wide = icc.in_colours_of(colours, icc.P3)
    clear = wide.copy()
    clear.putalpha(Image.new("L", wide.size, 255))
    clear.paste((9, 9, 9, 0), (0, 0, 20, 115))
    found = decoded(encoded(clear, "PNG", icc_profile=icc.P3))
    assert found.getpixel((5, 50)) == (255, 255, 255)
    assert mean_error(found.crop((20, 0, 172, 115)), colours.crop((20, 0, 172, 115))) < 0.5
    few = wide.quantize(64)
    wanted = decoded(encoded(few.convert("RGB"), "PNG", icc_profile=icc.P3))
    assert decoded(encoded(few, "PNG", icc_profile=icc.P3)).tobytes() == wanted.tobytes()
    shade = Image.merge("LA", (Image.new("L", (8, 8), 128), Image.new("L", (8, 8), 255)))
    assert near(decoded(encoded(shade, "PNG", icc_profile=icc.grey(1.8))).getpixel((4, 4)), (146, 146, 146), by=2)


UNUSABLE = {
    "no profile at all": b"not a profile",
    "cut off": icc.P3[:200],
    "of grey": icc.grey(2.2),
    "of ink": icc.CMYK,
    "of grey that says ink": icc.grey(2.2).replace(b"GRAY", b"CMYK"),
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("what", UNUSABLE)
def test_a_profile_that_cannot_be_used_is_dropped(what: str, kind: str, colours: Image.Image) -> None:
    plain = decode(encoded(colours, kind, **WHOLE[kind]), Path("photo"))
    found = decode(encoded(colours, kind, icc_profile=UNUSABLE[what], **WHOLE[kind]), Path("photo"))
    assert found == plain
    assert found.picture.info == {}


# What is no picture

SHORT, LONG = 3, 4


def tiff(tags: dict[int, tuple[int, int]], order: str = "<") -> bytes:
    """The start of a TIFF file: kind and value by tag."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, (kind, value) in tags.items():
        head += struct.pack(f"{order}HHI", tag, kind, 1)
        head += struct.pack(f"{order}HH", value, 0) if kind == SHORT else struct.pack(f"{order}I", value)
    return head + b"\0" * 200


def media(brand: bytes, *others: bytes) -> bytes:
    """The start of a file as HEIF, AVIF and MP4 have it."""
    box = b"ftyp" + brand + b"\0\0\0\0" + b"".join(others)
    return struct.pack(">I", len(box) + 4) + box + b"\0\0\0\x08mdat"


FOREIGN = {
    "HEIC, which this program does not read: export it as JPEG": [
        media(b"heic", b"mif1", b"heic"),
        media(b"mif1", b"mif1", b"heic"),
        media(b"heix", b"mif1"),
        media(b"msf1", b"hevc"),
    ],
    "a camera's RAW file, which this program does not read: export it as JPEG or TIFF": [
        media(b"crx ", b"isom"),  # Canon
        b"II*\0\x10\0\0\0CR\x02\0" + b"\0" * 50,
        b"II\x1a\0\0\0HEAPCCDR",
        tiff({254: (LONG, 1), 271: (LONG, 150), 330: (LONG, 150), 50706: (LONG, 0x0401)}),  # DNG
        tiff({254: (LONG, 1), 271: (LONG, 150), 330: (LONG, 150)}, ">"),  # Nikon
        tiff({259: (SHORT, 34713)}, ">"),
        tiff({259: (SHORT, 6), 330: (LONG, 150)}),  # Sony
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"FOVb\0\0\2\0",
        b"\0MRM\0\0\0\0",
    ],
    "JPEG XL, which this program does not read: export it as JPEG or PNG": [
        b"\xff\x0a\xfa\x1f",
        b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 20,
    ],
    "a Photoshop file, which this program does not read: export it as PNG or TIFF": [b"8BPS\0\1" + b"\0" * 20],
    "a GIMP file, which": [b"gimp xcf v011\0"],
    "PDF, which this program does not read: export the page as PNG": [b"%PDF-1.7\n%\xe2\xe3"],
    "PostScript, which": [b"%!PS-Adobe-3.0 EPSF\n"],
    "SVG, which this program does not read: export it as PNG": [
        b"<svg/>",
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    ],
    "a web page, which this program does not read: download the picture itself": [
        b"<!DOCTYPE html>\n<html><svg></svg></html>",
        b"<html><title>404</title></html>",
    ],
    "a video, which this program does not read: save one of its frames as PNG": [
        media(b"qt  ", b"qt  "),
        media(b"mp42", b"isom"),
        b"\0\0\0\x08wide\0\0\0\x20mdat",
        b"\x1aE\xdf\xa3\x9f",
        b"RIFF\x40\0\0\0AVI LIST",
        b"0&\xb2u\x8ef\xcf\x11\xa6\xd9",
        (b"G" + b"\0" * 187) * 6,
        (b"\0\0\0\1G" + b"\0" * 187) * 6,
    ],
    "an empty file: copy it again": [b""],
    "no picture of a known kind": [
        b"plain text",
        b"\x89PNG\r\n\x1a\n",
        b"\0" * 99,
        b"<?xml version='1.0'?><a/>",
        b"Gif",
    ],
}


@pytest.mark.parametrize(("words", "data"), [(words, data) for words, all_of in FOREIGN.items() for data in all_of])
def test_what_is_no_picture_is_refused_by_what_it_is(words: str, data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        decoded(data)
    assert str(caught.value).startswith(f"photo: {words}")


def test_pictures_are_not_taken_for_something_else() -> None:
    frames = [Image.new("RGB", (40, 30), (200, 0, at)) for at in (0, 90)]
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "JPEG2000"):
        assert unsupported_kind(encoded(frames[0], kind)) is None
    assert unsupported_kind(encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:])) is None
    assert unsupported_kind(media(b"mif1", b"mif1", b"avif")) is None
    assert unsupported_kind(encoded(frames[0], "TIFF", tiffinfo={271: "a camera", 254: 0}, compression="jpeg")) is None


@pytest.mark.parametrize("times", [1.1, 2.1])
def test_a_bomb_is_refused_and_not_only_warned_of(times: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", round(60 * 40 / times))
    with pytest.raises(ConfigError, match=r"photo: more than 0 million pixels, .* or save it as JPEG, of which 268"):
        decoded(encoded(upright(), "PNG"))


def test_a_bomb_is_refused_whatever_the_filters_of_warnings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters are of the whole process: another thread may undo those of this one."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 40 - 1)
    monkeypatch.setattr(warnings, "simplefilter", lambda *_, **__: None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        with pytest.raises(ConfigError, match="photo: more than 0 million pixels"):
            decoded(encoded(upright(), "PNG"))


def test_pillows_limit_is_on() -> None:
    assert Image.MAX_IMAGE_PIXELS == 89_478_485
    assert LARGEST_JPEG <= 4 * Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("settings", [{}, {"progressive": True}], ids=["baseline", "progressive"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_at_half(settings: dict, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = upright(121, 80) if orientation == 1 else upright(121, 80).transpose(BACKS[orientation])
    data = encoded(lying, "JPEG", exif=exif, quality=95, subsampling=0, **settings)
    whole = decode(data, Path("photo"))
    assert whole.size == whole.picture.size == (121, 80)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    found = decode(data, Path("photo"))
    assert (found.size, found.picture.size) == ((121, 80), (61, 40))
    assert near(found.picture.getpixel((10, 10)), (200, 0, 0))
    assert near(found.picture.getpixel((50, 10)), (0, 0, 200))
    monkeypatch.setattr(picture_files, "LARGEST_JPEG", 9000)
    with pytest.raises(ConfigError, match=r"more than 0 million pixels, the most that are read; make it smaller first"):
        decode(data, Path("photo"))


def test_a_photograph_of_108_megapixels_takes_little_memory(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((12_000, 9_000)).save(tmp_path / "phone.jpg")
    program = (
        "import resource, sys; from pathlib import Path; from atlas.store.picture_files import decode, read_bytes\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000))\n"  # whole and in RGB it has 432 MB, twice
        "file = Path(sys.argv[1]); found = decode(read_bytes(file), file); print(*found.size, *found.picture.size)"
    )
    command = [sys.executable, "-c", program, tmp_path / "phone.jpg"]
    said = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    assert said.split() == ["12000", "9000", "6000", "4500"]


@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}])
def test_a_jpeg_without_its_end_is_taken_if_no_pixel_is_missing(settings: dict) -> None:
    data = encoded(Image.effect_noise((120, 90), 80).convert("RGB"), "JPEG", **settings)
    whole = decode(data, Path("photo"))
    for missing in (1, 2):
        assert decode(data[:-missing], Path("photo")) == whole
    for missing in (6, 50, 200, 2000):
        with pytest.raises(
            ConfigError, match=r"photo: cut off or damaged: part of the picture is missing; copy or save"
        ):
            decoded(data[:-missing])


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_bytes(tmp_path / "none.jpg")
    with pytest.raises(ConfigError, match="is no file"):
        read_bytes(tmp_path)


# The store


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A photograph of 2,000 × 3,000 pixels, which is named by a configuration."""
    upright(3000, 2000).save(tmp_path / "beach day.png")
    (tmp_path / "atlas.toml").write_text(
        '[atlas]\nstore = "store"\n[dream]\nphotos = ["beach day.png", "drawn"]\ntargets = ["Mixed_5b[:]"]\n'
    )
    return load_config(str(tmp_path / "atlas.toml"))


def looked_at(config: Config) -> tuple[Config, list[str]]:
    said: list[str] = []
    return identify_photos(config, said.append), said


def jobs_of(config: Config) -> list[Job]:
    recipe = config.recipes["dream"]
    return [Job(parse("Mixed_5b[:]"), recipe, 999, named.photo) for named in config.study(DreamsSettings).photos]


def kept(config: Config) -> tuple[Config, Path]:
    known, _ = looked_at(config)
    keep_photos(known, jobs_of(known))
    return known, photos.photo_path(known.store, known.study(DreamsSettings).photos[0].photo)


def test_a_large_photograph_is_made_smaller_with_a_line_that_says_so(config: Config) -> None:
    known, said = looked_at(config)
    beach, drawn = known.study(DreamsSettings).photos
    assert (beach.slug, beach.given, drawn.given) == ("beach-day", "beach day.png", "drawn")
    assert beach.photo.size == (LARGEST_SIDE, 1800)
    assert beach.photo.sha256 == hashlib.sha256(beach.file.read_bytes()).hexdigest()
    assert drawn.photo == DRAWN_PHOTO
    (line,) = said
    assert "beach day.png: 3,000 × 2,000 px, resized to 1,800 × 1,200 px" in line
    assert not known.store.exists()


def test_a_small_photograph_stays_as_it_is(config: Config) -> None:
    upright(30, 45).save(config.study(DreamsSettings).photos[0].file)
    known, said = looked_at(config)
    assert (known.study(DreamsSettings).photos[0].photo.size, said) == ((45, 30), [])


def test_the_store_keeps_pixels_and_nothing_else_of_the_file(config: Config) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera of somebody"
    upright().save(config.study(DreamsSettings).photos[0].file, exif=exif)
    known, path = kept(config)
    assert photos.open_photo(known.store, known.study(DreamsSettings).photos[0].photo).tobytes() == upright().tobytes()
    assert b"somebody" not in path.read_bytes()
    (note,) = path.parent.glob(f"{path.stem}*.json")
    assert str(known.store.parent) not in note.read_text()
    assert photos.open_photo(known.store, DRAWN_PHOTO).size == DRAWN_PHOTO.size[::-1]


def test_only_what_jobs_start_from_is_kept(config: Config) -> None:
    known, _ = looked_at(config)
    keep_photos(known, jobs_of(known)[1:])
    assert [path.stem for path in photos.list_photos(known.store)] == [DRAWN_PHOTO.sha256]


def test_a_store_that_has_it_needs_no_file(config: Config) -> None:
    known, _ = kept(config)
    config.study(DreamsSettings).photos[0].file.unlink()
    assert looked_at(config) == (known, [])
    with pytest.raises(ConfigError, match=r"beach day\.png: no such file"):
        looked_at(replace(config, store=config.store / "other"))


def test_another_photograph_of_the_same_name_is_another(config: Config) -> None:
    known, path = kept(config)
    upright(90, 60).save(config.study(DreamsSettings).photos[0].file)
    again, other = kept(config)
    assert again.study(DreamsSettings).photos[0].photo != known.study(DreamsSettings).photos[0].photo
    assert {path, other} < set(photos.list_photos(config.store))
    assert looked_at(config)[0] == again
    config.study(DreamsSettings).photos[0].file.unlink()
    with pytest.raises(ConfigError, match=r"beach day\.png: no such file, and 2 pictures in the store had") as caught:
        looked_at(config)
    assert str(path) in str(caught.value)
    assert str(other) in str(caught.value)
    path.unlink()
    assert looked_at(config)[0] == again


def test_a_file_that_changes_between_is_refused(config: Config) -> None:
    known, _ = looked_at(config)
    upright(90, 60).save(config.study(DreamsSettings).photos[0].file)
    with pytest.raises(ConfigError, match="has changed since"):
        keep_photos(known, jobs_of(known))


@pytest.mark.parametrize("damage", ["cut", "edited", "foreign", "gone"])
def test_damage_in_the_store_is_found_and_mended(config: Config, damage: str) -> None:
    known, path = kept(config)
    before = path.read_bytes()
    with Image.open(path) as image:
        image.load()
        edited, digest = image.copy(), image.info["atlas-photo"]
    edited.putpixel((3, 3), (1, 2, 3))
    info = PngImagePlugin.PngInfo()
    info.add_itxt("atlas-photo", digest)
    if damage == "cut":
        path.write_bytes(before[:-60])
    elif damage == "gone":
        path.unlink()
    else:
        edited.save(path, pnginfo=info if damage == "edited" else None)
    with pytest.raises(StoreError, match="render again"):
        photos.open_photo(known.store, known.study(DreamsSettings).photos[0].photo)
    if damage != "gone":
        write_weights_id(known.store, WEIGHTS)
        put(known.store, jobs_of(known)[0])
        (fault,) = check_store(known.store)
        assert fault.startswith(f"{path}: ")
    keep_photos(known, jobs_of(known))
    assert path.read_bytes() == before
    assert damage == "gone" or check_store(known.store) == []


def test_a_note_of_another_shape_counts_as_none(config: Config) -> None:
    _, path = kept(config)
    config.study(DreamsSettings).photos[0].file.unlink()
    (note,) = path.parent.glob(f"{path.stem}*.json")
    whole = note.read_text()
    for text in (
        "{",
        "[]",
        '{"file": "beach day.png"}',
        json.dumps({"file": "x", "sha256": path.stem, "size": [1200, 1800]}),
        json.dumps({"file": "beach day.png", "sha256": f"../photos/{path.stem}", "size": [1200, 1800]}),
        "[" * 100_000,
    ):
        note.write_text(text)
        with pytest.raises(ConfigError, match="no such file; name a picture"):
            looked_at(config)
    note.unlink()
    (path.parent / "beach-day.json").write_text(whole)  # where earlier versions kept it
    assert photos.photo_path(config.store, looked_at(config)[0].study(DreamsSettings).photos[0].photo) == path


def test_slugs_are_safe_in_paths() -> None:
    texts = ["a/My Photo (1).JPG", "../..", "ünder.png", "x" * 99 + ".jpg", ".hidden.jpg", "夏.jpg", "drawn"]
    slugs = [named.slug for named in name_photos(texts)]
    assert slugs == ["My-Photo-1", "", "nder", "x" * 40, "hidden", "", "drawn"]
    assert len(name_photos(["a.jpg", "a.jpg", "./a.jpg"])) == 1


# Files of other colours


def save_wide(config: Config, colours: Image.Image) -> None:
    """Make the configuration's photograph one of Display P3."""
    icc.in_colours_of(colours, icc.P3).save(config.study(DreamsSettings).photos[0].file, icc_profile=icc.P3)


def as_earlier(config: Config, picture: Image.Image) -> Path:
    """Keep the configuration's photograph as earlier versions did: its pixels as they are."""
    named = config.study(DreamsSettings).photos[0]
    digest = hashlib.sha256(named.file.read_bytes()).hexdigest()
    info = PngImagePlugin.PngInfo()
    info.add_itxt("atlas-photo", hashlib.sha256(picture.tobytes()).hexdigest())
    path = config.store / "photos" / f"{digest}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, pnginfo=info)
    note = {"file": named.given, "sha256": digest, "size": [picture.height, picture.width]}
    (path.parent / "beach-day.json").write_text(json.dumps(note))
    return path


def test_the_store_keeps_srgb_and_no_profile(config: Config, colours: Image.Image) -> None:
    save_wide(config, colours)
    known, path = kept(config)
    photo = known.study(DreamsSettings).photos[0].photo
    file = config.study(DreamsSettings).photos[0].file
    assert path.name == f"{hashlib.sha256(file.read_bytes()).hexdigest()}-srgb.png"
    with Image.open(path) as image:
        assert set(image.info) == {"atlas-photo", "atlas-photo-colours"}
    assert mean_error(photos.open_photo(known.store, photo), colours) < 0.5
    assert looked_at(config) == (known, [])
    config.study(DreamsSettings).photos[0].file.unlink()
    assert looked_at(config) == (known, [])


def test_a_dream_of_wrongly_read_pixels_is_another(config: Config, colours: Image.Image) -> None:
    save_wide(config, colours)
    photo = kept(config)[0].study(DreamsSettings).photos[0].photo
    job = jobs_of(kept(config)[0])[0]
    before = replace(job, start=replace(photo, is_converted=False))
    assert job.path != before.path
    assert f"~{photo.sha256[:8]}-srgb.png" in str(job.path)
    assert record(job, b"").is_of(job, WEIGHTS)
    assert not record(before, b"").is_of(job, WEIGHTS)
    write_weights_id(config.store, WEIGHTS)
    put(config.store, job)
    put(config.store, before)
    assert check_store(config.store) == []


def test_what_is_kept_without_a_word_on_its_colours_is_read_again(config: Config, colours: Image.Image) -> None:
    """Earlier versions took the pixels of every file as sRGB."""
    save_wide(config, colours)
    as_earlier(config, icc.in_colours_of(colours, icc.P3))
    known, path = kept(config)
    assert known.study(DreamsSettings).photos[0].photo.is_converted
    assert mean_error(photos.open_kept(path), colours) < 0.5


def test_a_picture_without_a_profile_is_what_it_was(config: Config, colours: Image.Image) -> None:
    colours.save(config.study(DreamsSettings).photos[0].file)
    path = as_earlier(config, colours)
    known, now = kept(config)
    assert now == path
    assert photos.open_kept(path).tobytes() == colours.tobytes()
    assert not known.study(DreamsSettings).photos[0].photo.is_converted


def test_the_picture_that_ships_is_what_the_plan_says() -> None:
    data = photos.DRAWN_FILE.read_bytes()
    assert hashlib.sha256(data).hexdigest() == DRAWN_PHOTO.sha256
    assert decode(data, photos.DRAWN_FILE).picture.size == DRAWN_PHOTO.size[::-1]
    assert len(data) < 200_000


def test_memory_that_runs_out_is_no_fault_of_the_file(monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")

    def never(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image, "open", never)
    with pytest.raises(MemoryError):
        decode(buffer.getvalue(), Path("holiday.png"))
