"""Web copies: sizes, colours, stability, and region sheets."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from atlas import studies
from atlas.plan.config import Config, override
from atlas.plan.recipes import Octave, Recipe
from atlas.site.build import build_site
from atlas.site.catalogue import gather_atlas
from atlas.site.copies import JPEG, Encoder
from atlas.site.models import fit
from atlas.site.pictures import REGION_TILE, region_sheet
from atlas.studies import load_config
from stores import WEIGHTS, fill, picture

AVIF = Encoder("AVIF", 60, 9)
SHARP = Octave(96, 3, (0.5, 0.25))
BLURRED = Octave(96, 3, (0.5, 0.25), (1.0, 0.5))


def test_a_picture_is_shrunk_and_never_enlarged() -> None:
    assert fit((380, 380), 160) == (160, 160)
    assert fit((160, 160), 160) == (160, 160)
    assert fit((96, 96), 160) == (96, 96)
    assert fit((400, 100), 160) == (160, 40)
    assert fit((1000, 1), 160) == (160, 1)


@pytest.mark.parametrize("encoder", [AVIF, JPEG])
def test_a_copy_keeps_the_colours(encoder: Encoder) -> None:
    """Red and blue columns one pixel wide: with chroma subsampling they become one purple."""
    stripes = Image.new("RGB", (64, 64))
    stripes.putdata([((220, 30, 30), (30, 30, 220))[at % 2] for at in range(64 * 64)])
    back = Image.open(io.BytesIO(encoder.encode(stripes))).convert("RGB")
    error = ImageStat.Stat(ImageChops.difference(stripes, back)).mean
    assert max(error) < 16


@pytest.mark.parametrize("encoder", [AVIF, JPEG])
def test_equal_pictures_give_equal_bytes(encoder: Encoder) -> None:
    image = Image.frombytes("RGB", (96, 96), picture("a", 96))
    assert encoder.encode(image) == encoder.encode(image.copy())


def test_sizes_in_the_site_are_those_of_the_pages(tmp_path: Path) -> None:
    config = override(
        load_config("article"),
        layers="Conv2d_1a_3x3,Mixed_5b",
        features="1",
        recipe="octaves",
        weights="demo",
        features_only=True,
    )
    config = replace(config, store=tmp_path / "store", site=tmp_path / "site")
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    folder = config.site / "Mixed_5b/0"
    sizes = {}
    for name in ("picture.avif", "thumb.avif", "thumb.jpg"):
        with Image.open(folder / name) as image:
            sizes[name] = image.size
    assert sizes == {"picture.avif": (380, 380), "thumb.avif": (160, 160), "thumb.jpg": (160, 160)}
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert 'srcset="picture.avif"><img src="thumb.jpg" width="380" height="380"' in page
    fine = config.site / "Conv2d_1a_3x3/0/picture.avif"
    assert fine.read_bytes() == Encoder("AVIF", 75, 9).encode(master_of(config, "Conv2d_1a_3x3_0000"))
    assert (folder / "picture.avif").read_bytes() == AVIF.encode(master_of(config, "Mixed_5b_0000"))


def master_of(config: Config, slug: str) -> Image.Image:
    with Image.open(next(config.store.rglob(f"{slug}.png"))) as master:
        return master.convert("RGB")


@pytest.mark.parametrize(
    ("name", "octaves", "quality"),
    [
        ("plain", (SHARP,), 75),
        ("raw", (BLURRED,), 60),
        ("mixed", (SHARP, BLURRED), 60),
    ],
)
def test_what_is_rendered_without_blur_is_encoded_finer(
    tmp_path: Path, name: str, octaves: tuple[Octave, ...], quality: int
) -> None:
    config = small(tmp_path)
    config = replace(config, recipe=name, recipes={**config.recipes, name: Recipe(name, octaves)})
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    copy = (config.site / "Mixed_5b/0/picture.avif").read_bytes()
    assert copy == Encoder("AVIF", quality, 9).encode(master_of(config, "Mixed_5b_0000"))


def small(folder: Path) -> Config:
    config = override(load_config("demo"), layers="Mixed_5b,Mixed_5c", features="3", recipe="quick", features_only=True)
    return replace(config, store=folder / "store", site=folder / "site")


def test_fine_copies_are_made_anew_and_stay_as_long_as_they_are_asked_for(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    avif = len(list(config.site.rglob("*.avif")))
    assert build_site(config, WEIGHTS, studies.pages(), fine=True).encoded == avif
    copy = (config.site / "Mixed_5b/0/picture.avif").read_bytes()
    assert copy == Encoder("AVIF", 60, 6).encode(master_of(config, "Mixed_5b_0000"))
    assert build_site(config, WEIGHTS, studies.pages(), fine=True).encoded == 0
    assert build_site(config, WEIGHTS, studies.pages()).encoded == avif


@pytest.mark.parametrize(
    ("layers", "features", "rows"),
    [
        ("Mixed_5b,Mixed_5c", "0-11,270", [12, 12]),
        ("Mixed_5b,Mixed_5c", "20", [16, 16]),
        ("Conv2d_1a_3x3,Conv2d_2a_3x3,Conv2d_2b_3x3", "8", [8, 8, 8]),  # the palette has more of the first
    ],
)
def test_rows_of_a_sheet_are_full(tmp_path: Path, layers: str, features: str, rows: list[int]) -> None:
    config = override(load_config("demo"), layers=layers, features=features, store=tmp_path)
    (region,) = (region for region in gather_atlas(config, None, studies.pages()).regions if region.planned)
    assert [len(row) for row in region_sheet(region).rows] == rows


def test_a_sheet_has_a_row_for_each_layer_and_grey_for_what_is_pending(tmp_path: Path) -> None:
    config = override(load_config("demo"), layers="Mixed_5b,Mixed_5c,Mixed_7a", features="3", features_only=True)
    config = replace(config, store=tmp_path / "store", site=tmp_path / "site")
    fill(config, statuses=("ok", "ok", "ok", None, "ok", "ok", None, None, None))
    build_site(config, WEIGHTS, studies.pages())
    with Image.open(config.site / "region/early-mixed/sheet.jpg") as sheet:
        assert sheet.size == (3 * (REGION_TILE + 4) + 4, 2 * (REGION_TILE + 4) + 4)
        spread = [ImageStat.Stat(sheet.crop((8, top, 92, top + 84))).stddev for top in (8, 108)]
    assert min(spread[0]) > 20  # a picture
    assert max(spread[1]) < 3  # the pending feature below it
    assert not (config.site / "region/late-mixed/sheet.jpg").exists()  # nothing to show
