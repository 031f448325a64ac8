"""The archive of a site: the same bytes each time, and a site again when it is unpacked."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atlas import studies
from atlas.cli import app
from atlas.common.errors import ConfigError, StoreError
from atlas.plan.config import Config, override
from atlas.site.archive import write_archive
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.studies import load_config
from stores import WEIGHTS, fill


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = override(load_config("demo"), layers="Mixed_5b", features="2", features_only=True)
    config = replace(config, store=tmp_path / "store", site=tmp_path / "mine")
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    return config


def test_what_is_unpacked_is_the_site(config: Config, tmp_path: Path) -> None:
    (config.site / "CNAME").write_text("someone's own")
    path = write_archive(config.site)
    assert path == tmp_path / "mine.zip"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "elsewhere")
    unpacked = tmp_path / "elsewhere" / "mine"
    assert [entry.name for entry in (tmp_path / "elsewhere").iterdir()] == ["mine"]
    assert check_site(unpacked).faults == ()
    files = {file.relative_to(config.site) for file in config.site.rglob("*") if file.is_file()}
    assert {file.relative_to(unpacked) for file in unpacked.rglob("*") if file.is_file()} == files - {Path("CNAME")}
    assert all((unpacked / file).read_bytes() == (config.site / file).read_bytes() for file in files - {Path("CNAME")})


def test_the_same_site_gives_the_same_bytes(config: Config, tmp_path: Path) -> None:
    first = write_archive(config.site).read_bytes()
    for file in config.site.rglob("*.html"):
        file.touch()
    assert write_archive(config.site).read_bytes() == first
    other = replace(config, site=tmp_path / "again" / "mine")
    build_site(other, WEIGHTS, studies.pages())
    assert write_archive(other.site).read_bytes() == first


def test_entries_are_sorted_dated_and_packed_where_that_helps(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(write_archive(config.site)) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    stored = {entry.filename for entry in entries if entry.compress_type == zipfile.ZIP_STORED}
    assert stored == {entry.filename for entry in entries if entry.filename.endswith((".avif", ".jpg"))}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with zipfile.ZipFile(write_archive(config.site)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH"):
        write_archive(config.site)


def test_an_archive_that_cannot_be_made_leaves_the_old_one(config: Config, tmp_path: Path) -> None:
    path = write_archive(config.site)
    before = path.read_bytes()
    (config.site / "Mixed_5b/0/thumb.jpg").unlink()
    with pytest.raises(StoreError, match=r"thumb\.jpg"):
        write_archive(config.site)
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine", "mine.zip", "store"]


def test_a_folder_without_a_site_has_no_archive(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no site"):
        write_archive(tmp_path / "none")
    assert not (tmp_path / "none.zip").exists()


def test_the_command_line_packs_the_site(config: Config, tmp_path: Path) -> None:
    chosen = ["--config", "demo", "--layers", "Mixed_5b", "--features", "2", "--features-only"]
    folders = ["--store", str(config.store), "--out", str(tmp_path / "other")]
    result = CliRunner().invoke(app, ["site", *chosen, *folders, "--zip"])
    assert result.exit_code == 0, result.output
    assert f"archive: {(tmp_path / 'other.zip').resolve()}" in result.output
    assert zipfile.is_zipfile(tmp_path / "other.zip")


def _other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letters.txt", "mine")


@pytest.mark.parametrize(
    "put",
    [
        lambda path: path.write_text("precious"),
        lambda path: path.touch(),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b"PK\x05\x06" + b"\xff" * 18),
        _other_zip,
    ],
)
def test_what_is_no_archive_of_a_site_is_left_alone(
    config: Config, tmp_path: Path, put: Callable[[Path], None]
) -> None:
    path = tmp_path / "mine.zip"
    put(path)
    before = path.lstat()
    with pytest.raises(StoreError, match=r"mine\.zip: is there already and is no archive of a site.*--out"):
        write_archive(config.site)
    assert path.lstat() == before


@pytest.mark.skipif(os.name != "posix", reason="makes a name that only Unix has")
def test_a_name_that_no_archive_can_hold_is_refused(config: Config, tmp_path: Path) -> None:
    site = config.site.rename(tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(StoreError, match="no UTF-8, so no archive can hold it"):
        write_archive(site)
    assert {path.name for path in tmp_path.iterdir()} == {"store", site.name}
    assert write_archive(site.rename(tmp_path / "café")).name == "café.zip"
