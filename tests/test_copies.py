"""Web copies made side by side: order, errors and interruptions."""

import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from atlas.common.errors import StoreError
from atlas.site import copies
from atlas.site.copies import Copy, Encoder, SpoiltError, Work, draw_master, make_all

JPEG = Encoder("JPEG", 90)
COPIES = (Copy("a/thumb.jpg", JPEG, 16, "digest"),)


@dataclass(frozen=True)
class Plain:
    """A square of one grey; the lighter it is, the longer it takes."""

    grey: int

    def draw(self) -> Image.Image:
        time.sleep(self.grey / 1000)
        return Image.new("RGB", (16, 16), (self.grey,) * 3)


@dataclass(frozen=True)
class Marked:
    """Leaves a file behind when it is drawn."""

    file: Path

    def draw(self) -> Image.Image:
        self.file.touch()
        time.sleep(0.01)
        return Image.new("RGB", (1, 1))


@dataclass(frozen=True)
class Flat:
    """A picture in a mode that JPEG does not have."""

    def draw(self) -> Image.Image:
        return Image.new("RGBA", (16, 16))


def work(source) -> Work:
    return Work(COPIES, source.draw)


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_results_come_in_the_order_of_the_works(monkeypatch, cores):
    monkeypatch.setattr(copies, "count_cores", lambda: cores)
    greys = [90, 0, 60, 5, 0, 30, *range(40)]
    results = list(make_all([work(Plain(grey)) for grey in greys]))
    assert results == [[JPEG.encode(Image.new("RGB", (16, 16), (grey,) * 3))] for grey in greys]


def test_a_damaged_picture_stops_no_other(tmp_path):
    missing = tmp_path / "none.png"
    results = list(make_all([Work(COPIES, partial(draw_master, missing)), work(Plain(9))]))
    assert isinstance(results[0], SpoiltError)
    assert results[0].file == missing
    assert "no such file" in results[0].why
    assert len(results[1]) == 1


def test_a_picture_that_cannot_be_encoded_is_named():
    with pytest.raises(StoreError, match=r"a/thumb\.jpg: the web copy cannot be encoded"):
        list(make_all([work(Flat())]))


def test_closing_does_not_wait_for_what_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "count_cores", lambda: 1)
    works = [work(Marked(tmp_path / str(at))) for at in range(100)]
    with closing(make_all(works)) as results:
        next(results)
    assert 1 <= len(list(tmp_path.iterdir())) < 50
