"""People's picture files: each kind is read as it is meant, each oddity refused in a line, and the store keeps them."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from atlas.check import check_store
from atlas.errors import ConfigError, StoreError
from atlas.plan.config import Config, load_config
from atlas.plan.jobs import Job
from atlas.plan.lists.dream import name_photos
from atlas.plan.starts import DRAWN_PHOTO, LARGEST_SIDE
from atlas.plan.targets import parse
from atlas.store import photos
from atlas.store.photo_files import decode_picture, read_bytes
from atlas.store.weights_ids import write_weights_id
from stores import WEIGHTS, put

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
    return decode_picture(data, Path("photo"))


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


@pytest.mark.parametrize(
    "data", [b"", b"plain text", b"%!PS-Adobe-3.0 EPSF\n", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"\0" * 99]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match="photo: "):
        decoded(data)


@pytest.mark.parametrize("times", [1.1, 2.1])
def test_a_bomb_is_refused_and_not_only_warned_of(times: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", round(60 * 40 / times))
    with pytest.raises(ConfigError, match=r"photo: more than 0 million pixels, .* smaller first"):
        decoded(encoded(upright(), "PNG"))


def test_pillows_limit_is_on() -> None:
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


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
    return photos.look_at_photos(config, said.append), said


def jobs_of(config: Config) -> list[Job]:
    recipe = config.recipes["dream"]
    return [Job(parse("Mixed_5b[:]"), recipe, 999, named.photo) for named in config.lists.dream.photos]


def kept(config: Config) -> tuple[Config, Path]:
    known, _ = looked_at(config)
    photos.keep_photos(known, jobs_of(known))
    return known, photos.photo_path(known.store, known.lists.dream.photos[0].photo)


def test_a_large_photograph_is_made_smaller_with_a_line_that_says_so(config: Config) -> None:
    known, said = looked_at(config)
    beach, drawn = known.lists.dream.photos
    assert (beach.name, beach.given, drawn.given) == ("beach-day", "beach day.png", "drawn")
    assert beach.photo.size == (LARGEST_SIDE, 1800)
    assert beach.photo.sha256 == hashlib.sha256(beach.file.read_bytes()).hexdigest()
    assert drawn.photo == DRAWN_PHOTO
    (line,) = said
    assert "beach day.png: 3,000 × 2,000 px, resized to 1,800 × 1,200 px" in line
    assert not known.store.exists()


def test_a_small_photograph_stays_as_it_is(config: Config) -> None:
    upright(30, 45).save(config.lists.dream.photos[0].file)
    known, said = looked_at(config)
    assert (known.lists.dream.photos[0].photo.size, said) == ((45, 30), [])


def test_the_store_keeps_pixels_and_nothing_else_of_the_file(config: Config) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera of somebody"
    upright().save(config.lists.dream.photos[0].file, exif=exif)
    known, path = kept(config)
    assert photos.open_photo(known.store, known.lists.dream.photos[0].photo).tobytes() == upright().tobytes()
    assert b"somebody" not in path.read_bytes()
    assert str(known.store.parent) not in (path.parent / "beach-day.json").read_text()
    assert photos.has_photo(known.store, DRAWN_PHOTO)


def test_only_what_jobs_start_from_is_kept(config: Config) -> None:
    known, _ = looked_at(config)
    photos.keep_photos(known, jobs_of(known)[1:])
    assert [path.stem for path in photos.list_photos(known.store)] == [DRAWN_PHOTO.sha256]


def test_a_store_that_has_it_needs_no_file(config: Config) -> None:
    known, _ = kept(config)
    config.lists.dream.photos[0].file.unlink()
    assert looked_at(config) == (known, [])
    with pytest.raises(ConfigError, match=r"beach day\.png: no such file"):
        looked_at(replace(config, store=config.store / "other"))


def test_another_photograph_of_the_same_name_is_another(config: Config) -> None:
    known, path = kept(config)
    upright(90, 60).save(config.lists.dream.photos[0].file)
    again, other = kept(config)
    assert again.lists.dream.photos[0].photo != known.lists.dream.photos[0].photo
    assert {path, other} < set(photos.list_photos(config.store))
    config.lists.dream.photos[0].file.unlink()
    assert looked_at(config)[0] == again, "the name means what was rendered last"


def test_a_file_that_changes_between_is_refused(config: Config) -> None:
    known, _ = looked_at(config)
    upright(90, 60).save(config.lists.dream.photos[0].file)
    with pytest.raises(ConfigError, match="has changed since"):
        photos.keep_photos(known, jobs_of(known))


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
        photos.open_photo(known.store, known.lists.dream.photos[0].photo)
    if damage != "gone":
        write_weights_id(known.store, WEIGHTS)
        put(known.store, jobs_of(known)[0])
        (fault,) = check_store(known.store)
        assert fault.startswith(f"{path}: ")
    photos.keep_photos(known, jobs_of(known))
    assert path.read_bytes() == before
    assert damage == "gone" or check_store(known.store) == []


def test_a_note_of_another_shape_counts_as_none(config: Config) -> None:
    _, path = kept(config)
    config.lists.dream.photos[0].file.unlink()
    note = path.parent / "beach-day.json"
    for text in (
        "{",
        "[]",
        '{"file": "beach day.png"}',
        json.dumps({"file": "x", "sha256": path.stem, "size": [1200, 1800]}),
        json.dumps({"file": "beach day.png", "sha256": f"../photos/{path.stem}", "size": [1200, 1800]}),
        "[" * 100_000,
    ):
        note.write_text(text)
        with pytest.raises(ConfigError, match="no such file"):
            looked_at(config)


def test_names_are_safe_in_paths_and_never_shared() -> None:
    texts = ["a/My Photo (1).JPG", "../..", "ünder.png", "x" * 99 + ".jpg", ".hidden.jpg"]
    names = [named.name for named in name_photos(texts)]
    assert names == ["My-Photo-1", "photo", "nder", "x" * 40, "hidden"]
    assert len(name_photos(["a.jpg", "a.jpg"])) == 1
    with pytest.raises(ConfigError, match=r'"a\.jpg" and "A\.png" would share the name A; rename one'):
        name_photos(["a.jpg", "b/A.png"])


def test_the_picture_that_ships_is_what_the_plan_says() -> None:
    data = photos.DRAWN_FILE.read_bytes()
    assert hashlib.sha256(data).hexdigest() == DRAWN_PHOTO.sha256
    assert decode_picture(data, photos.DRAWN_FILE).size == DRAWN_PHOTO.size[::-1]
    assert len(data) < 200_000


def test_memory_that_runs_out_is_no_fault_of_the_file(monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")

    def never(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image, "open", never)
    with pytest.raises(MemoryError):
        decode_picture(buffer.getvalue(), Path("holiday.png"))
