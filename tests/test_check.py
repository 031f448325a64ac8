"""The check: sound stores and sites pass, and each kind of damage is named."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import icc
from atlas import studies
from atlas.cli import app
from atlas.common.errors import StoreError
from atlas.inception.targets import parse
from atlas.plan.config import Config, override
from atlas.plan.jobs import Job, feature_jobs, target_jobs
from atlas.site import check
from atlas.site.build import build_site
from atlas.site.check import check_site, check_store, mixed_hardware
from atlas.store.masters import master_path, write_master
from atlas.store.records import Numerics
from atlas.store.weights_ids import write_weights_id
from atlas.studies import load_config
from stores import WEIGHTS, fill, picture, put, record


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("check")
    config = override(load_config("demo"), layers="Mixed_5b,Mixed_5c", features="2", features_only=True)
    config = replace(config, store=folder / "store", site=folder / "site")
    fill(config, statuses=("ok", "ok", None, "ok"))
    build_site(config, WEIGHTS, studies.pages())
    return config


@pytest.fixture
def config(original: Config, tmp_path: Path) -> Config:
    copy = replace(original, store=tmp_path / "store", site=tmp_path / "site")
    shutil.copytree(original.store, copy.store)
    shutil.copytree(original.site, copy.site)
    return copy


def masters(config: Config) -> list[Path]:
    return sorted(config.store.rglob("*.png"))


def only_fault(faults: list[str] | tuple[str, ...]) -> str:
    assert len(faults) == 1, faults
    return faults[0]


def test_a_sound_store_has_no_faults(config: Config) -> None:
    assert check_store(config.store) == []


def test_seeds_and_positions_are_understood(config: Config) -> None:
    for job in target_jobs(override(config, seed=7, recipe="raster"), ["Mixed_6b[654, 3, :]", "Mixed_6b[415, 9, 9]"]):
        put(config.store, job)
    assert check_store(config.store) == []


def test_a_missing_or_empty_store_is_a_fault(tmp_path: Path) -> None:
    assert "no such folder" in only_fault(check_store(tmp_path / "none"))
    assert "holds no masters" in only_fault(check_store(tmp_path))


def test_a_truncated_master_is_found(config: Config) -> None:
    path = masters(config)[1]
    path.write_bytes(path.read_bytes()[:-40])
    fault = only_fault(check_store(config.store))
    assert fault.startswith(str(path))
    assert "render it again" in fault


def test_an_edited_master_is_found(config: Config) -> None:
    path = masters(config)[0]
    job = feature_jobs(config)[0]
    size = job.recipe.octaves[-1].size
    write_master(path, picture("forged", size), record(job, picture("true", size)))
    assert "edited" in only_fault(check_store(config.store))


def on_hardware(config: Config, *kinds: tuple[str, str | None, str, str | None]) -> None:
    """Masters of these kinds: device, model, torch and cuDNN of each."""
    jobs = [Job(parse(f"Mixed_5b[{feature}]"), config.recipes["quick"], 999) for feature in range(len(kinds))]
    for job, (device, model, torch, cudnn) in zip(jobs, kinds, strict=True):
        pixels = picture("any", job.recipe.octaves[-1].size)
        numerics = Numerics(device, "tf32", 16, 8, model, cudnn)
        path = master_path(config.store, WEIGHTS, job)
        write_master(path, pixels, replace(record(job, pixels), torch=torch, numerics=numerics))


H100 = ("cuda", "NVIDIA H100 80GB HBM3", "2.15.0", "91002")
H200 = ("cuda", "NVIDIA H200", "2.15.0", "91002")
OLDER = ("cuda", None, "2.15.0", None)


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ([H100, H200, H100], "2 kinds of hardware or builds: NVIDIA H100 80GB HBM3 (2), NVIDIA H200 (1); their"),
        ([H100, OLDER, H200], "2 kinds of hardware or builds: {} (1), {} (1), and 1 whose records do not say; their"),
        ([("cpu", None, "2.15.0", None), OLDER], "2 kinds of hardware or builds: cpu (1), cuda (1); their"),
        (
            [H100, (*H100[:3], "91100")],
            "2 kinds of hardware or builds: {0} with cuDNN 91002 (1), {0} with cuDNN 91100 (1); their",
        ),
        (
            [H100, H100, (*H100[:2], "2.16.0", "91100")],
            (
                "2 kinds of hardware or builds: {0} with torch 2.15.0 and cuDNN 91002 (2), "
                "{0} with torch 2.16.0 and cuDNN 91100 (1); their"
            ),
        ),
        ([H100, ("cuda", "\x1b[2J", "2.15.0", "91002")], "NVIDIA H100 80GB HBM3 (1), ?[2J (1); their"),
    ],
)
def test_a_store_of_several_kinds_of_hardware_says_so_and_has_no_fault(
    config: Config, kinds: list[tuple[str, str | None, str, str | None]], words: str
) -> None:
    shutil.rmtree(config.store)
    write_weights_id(config.store, WEIGHTS)
    on_hardware(config, *kinds)
    result = CliRunner().invoke(app, ["check", "--store", str(config.store)])
    _, line = result.stderr.splitlines()
    assert line.startswith(f"{config.store / WEIGHTS.folder}: masters of ")
    assert words.format(H100[1], H200[1]) in line
    assert (result.exit_code, result.stdout) == (0, "")


def test_what_records_do_not_say_is_no_difference(config: Config) -> None:
    shutil.rmtree(config.store)
    on_hardware(config, H100, OLDER, (*H100[:3], None))
    assert mixed_hardware(config.store) == []
    masters(config)[0].write_bytes(b"")
    assert mixed_hardware(config.store) == []


@pytest.mark.parametrize("place", ["Mixed_5b_0007.png", "../other-00000000/Mixed_5b_0000.png"])
def test_a_master_in_the_wrong_place_is_found(config: Config, place: str) -> None:
    path = masters(config)[0]
    target = path.parent / place
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    fault = only_fault(check_store(config.store))
    assert f"belongs to {path}" in fault


def test_a_recipe_that_is_not_its_digests_is_found(config: Config) -> None:
    path, job = masters(config)[0], feature_jobs(config)[0]
    pixels = picture("any", job.recipe.octaves[-1].size)
    honest = record(job, pixels)
    write_master(path, pixels, replace(honest, recipe={**honest.recipe, "constant": 100.0}))
    assert "recipe" in only_fault(check_store(config.store))


def test_a_target_that_cannot_be_read_is_found(config: Config) -> None:
    path, job = masters(config)[0], feature_jobs(config)[0]
    pixels = picture("any", job.recipe.octaves[-1].size)
    write_master(path, pixels, replace(record(job, pixels), target="Mixed_5b[9999]"))
    assert str(path) in only_fault(check_store(config.store))


def test_weights_folders_are_checked(config: Config) -> None:
    note = next(config.store.rglob("weights.json"))
    note.write_text("{")
    assert only_fault(check_store(config.store)).startswith(str(note))
    write_weights_id(config.store, WEIGHTS)
    assert check_store(config.store) == []


def moved_and_linked(folder: Path, elsewhere: Path) -> Path:
    """Move a folder away and put a link in its place, as people do whose disk is full."""
    elsewhere.mkdir()
    folder.rename(elsewhere / folder.name)
    folder.symlink_to(elsewhere / folder.name, target_is_directory=True)
    return elsewhere / folder.name


@pytest.mark.parametrize("above", [0, 1, 2], ids=["recipe", "weights", "store"])
def test_what_lies_in_a_linked_folder_is_checked(config: Config, tmp_path: Path, above: int) -> None:
    path = masters(config)[1]
    moved_and_linked(path.parents[above], tmp_path / "other disk")
    assert check_store(config.store) == []
    path.write_bytes(path.read_bytes()[:-40])
    assert only_fault(check_store(config.store)).startswith(f"{path}: ")


def test_links_in_a_circle_end_and_a_second_name_changes_nothing(config: Config) -> None:
    folder = masters(config)[0].parent
    (folder / "up").symlink_to(config.store, target_is_directory=True)
    (config.store / "a-second-name").symlink_to(folder.parent, target_is_directory=True)
    (config.store / "nowhere").symlink_to(config.store / "none")
    assert check_store(config.store) == []


def test_a_layers_folder_of_a_site_may_be_a_link(config: Config, tmp_path: Path) -> None:
    moved_and_linked(config.site / "Mixed_5b", tmp_path / "other disk")
    build_site(config, WEIGHTS, studies.pages())
    assert check_site(config.site).faults == ()
    (config.site / "Mixed_5b/0/thumb.jpg").write_bytes(b"cut")
    assert any("Mixed_5b/0/thumb.jpg" in fault for fault in check_site(config.site).faults)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every folder")
def test_an_unreadable_folder_is_an_error(config: Config) -> None:
    folder = masters(config)[0].parent
    folder.chmod(0)
    try:
        with pytest.raises(StoreError, match="cannot be read"):
            check_store(config.store)
    finally:
        folder.chmod(0o755)


def test_a_sound_site_has_no_faults(config: Config) -> None:
    result = check_site(config.site)
    assert result.faults == ()
    assert result.links > 100


def test_a_folder_without_a_site_is_a_fault(tmp_path: Path) -> None:
    assert "atlas build or atlas site" in only_fault(check_site(tmp_path).faults)


def test_a_missing_picture_is_found(config: Config) -> None:
    (config.site / "Mixed_5b/0/thumb.jpg").unlink()
    faults = check_site(config.site).faults
    assert any("Mixed_5b/0/thumb.jpg: missing" in fault for fault in faults)
    assert any("leads to no file" in fault and "Mixed_5b/index.html" in fault for fault in faults)


@pytest.mark.parametrize("name", ["thumb.jpg", "picture.avif"])
@pytest.mark.parametrize("keep", [0, 100, -20])
def test_a_cut_picture_is_found_even_without_a_manifest(config: Config, name: str, keep: int) -> None:
    path = config.site / "Mixed_5b/0" / name
    path.write_bytes(path.read_bytes()[:keep])
    found = [fault for fault in check_site(config.site).faults if fault.startswith(f"{path}:")]
    assert len(found) == 2
    assert any("cut off" in fault or "not a picture" in fault for fault in found)
    assert any("bytes, and" in fault for fault in found)


def change(config: Config, page: str, old: str, new: str) -> None:
    path = config.site / page
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        ('href="Mixed_5z/index.html"', "leads to no file"),
        ('href="Mixed_5b"', "leads to a folder"),
        ('href="Mixed_5b/"', "leads to a folder"),
        ('href="../../etc/passwd"', "leads out of the site"),
        ('href="/Mixed_5b/index.html"', "not relative"),
        ('href="https://example.org/"', "not relative"),
        ('href="//example.org/x"', "not relative"),
        ('href="http://[x/"', "no address"),
        ('href="javascript:alert(1)"', "not relative"),
        ('href="Mixed_5b/index.html?x=1"', "not relative"),
        ('href="method/index.html#nowhere"', "does not have"),
        ('href="#nowhere"', "does not have"),
        ('href=""', "not relative"),
    ],
)
def test_each_kind_of_bad_link_is_found(config: Config, new: str, fault: str) -> None:
    change(config, "index.html", 'href="Mixed_5b/index.html"', new)
    found = only_fault(check_site(config.site).faults)
    assert fault in found
    assert found.startswith(str(config.site / "index.html"))


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ('<svg><a href="Mixed_5z/index.html"><text>x</text></a></svg>', "leads to no file"),
        ('<svg><use xlink:href="static/none.svg"></use></svg>', "leads to no file"),
        ('<svg><use href="#none"></use></svg>', "does not have"),
        ('<video poster="none.jpg"></video>', "leads to no file"),
        ('<source srcset="static/icon.svg, none.avif 2x">', "leads to no file"),
    ],
)
def test_bad_links_are_found_wherever_they_stand(config: Config, markup: str, fault: str) -> None:
    change(config, "index.html", "</main>", f"{markup}</main>")
    assert fault in only_fault(check_site(config.site).faults)


def test_what_a_style_sheet_names_must_be_there(config: Config) -> None:
    (config.site / "static/extra.css").write_text("a { background: url('none.png') } b { background: url(icon.svg) }")
    assert "none.png" in only_fault(check_site(config.site).faults)


def test_a_page_to_which_nothing_leads_is_found(config: Config) -> None:
    (config.site / "lost").mkdir()
    shutil.copy(config.site / "method/index.html", config.site / "lost/index.html")
    assert "no links lead there" in only_fault(check_site(config.site).faults)


@pytest.fixture
def published(config: Config) -> Config:
    config = replace(config, base_url="https://example.org/atlas/")
    build_site(config, WEIGHTS, studies.pages())
    assert check_site(config.site).faults == ()
    return config


@pytest.mark.parametrize(
    ("page", "old", "new", "fault"),
    [
        ("404.html", "atlas/static/style.css", "atlas/static/none.css", "leads to no file"),
        ("404.html", "https://example.org/atlas/static", "https://example.com/static", "not where the home page"),
        ("Mixed_5b/index.html", "atlas/Mixed_5b/", "atlas/Mixed_5z/", "leads to no file"),
        ("Mixed_5b/0/index.html", "atlas/Mixed_5b/0/thumb.jpg", "atlas/Mixed_5b/0/none.jpg", "leads to no file"),
        ("sitemap.xml", "atlas/Mixed_5b/0/", "atlas/Mixed_5b/1/", 'lacks the page "Mixed_5b/0/"'),
        ("sitemap.xml", "<loc>https://example.org/atlas/</loc>", "", 'lacks the page "index.html"'),
        ("sitemap.xml", "<loc>https://example.org/atlas/<", f"<loc>&#{'1' * 5000};<", "an address that cannot be read"),
        ("sitemap.xml", "<loc>https://example.org/atlas/<", "<loc>https://example.org/atlas///[x<", "leads to no file"),
    ],
)
def test_absolute_addresses_are_followed(published: Config, page: str, old: str, new: str, fault: str) -> None:
    change(published, page, old, new)
    assert any(fault in found for found in check_site(published.site).faults)


@pytest.mark.parametrize("path", ["a&b/", "a&amp;b/", "it's/", "a&copy=1/"])
def test_a_base_url_may_have_what_xml_escapes(config: Config, path: str) -> None:
    build_site(replace(config, base_url=f"https://example.org/{path}"), WEIGHTS, studies.pages())
    assert check_site(config.site).faults == ()


def test_good_fragments_pass(config: Config) -> None:
    change(config, "index.html", 'href="Mixed_5b/index.html"', 'href="method/index.html#score"')
    assert check_site(config.site).faults == ()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (' width="160"', "", "lacks width, height or alt"),
        (' alt=""', "", "lacks width, height or alt"),
        ("thumb.avif", "none.avif", "leads to no file"),
        ("</html>", "", "cut off"),
        (
            'class="mosaic" data-size="l">',
            'class="mosaic" data-size="l">' + '<li><a class="tile" href="#main">0</a></li>' * 63,
            "65 features",
        ),
    ],
)
def test_bad_markup_is_found(config: Config, old: str, new: str, fault: str) -> None:
    change(config, "Mixed_5b/index.html", old, new)
    assert fault in only_fault(check_site(config.site).faults)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{")])
def test_a_missing_or_damaged_record_is_found(config: Config, damage: Callable[[Path], object]) -> None:
    damage(config.site / "Mixed_5b/0/record.json")
    assert any("record.json is missing or damaged" in fault for fault in check_site(config.site).faults)


def test_a_missing_manifest_is_found(config: Config) -> None:
    (config.site / ".atlas-site.json").unlink()
    assert "missing or damaged" in only_fault(check_site(config.site).faults)


def test_a_file_that_only_the_manifest_names_is_missed(config: Config) -> None:
    path = config.site / ".atlas-site.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["videos/none.mp4"] = {}
    path.write_text(json.dumps(manifest))
    assert "videos/none.mp4: missing" in only_fault(check_site(config.site).faults)


@pytest.mark.parametrize(
    "manifest",
    [
        '{"format":1,"files":{"index.html":{"bytes":"x"}}}',
        '{"format":1,"files":{"index.html":{"bytes":[1]}}}',
        '{"format":1,"files":{"\\ud800":{}}}',
        '{"format":1,"files":{"a\\u0000/b":{}}}',
        '{"format":1,"files":[]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_manifest_is_a_fault(config: Config, manifest: str) -> None:
    (config.site / ".atlas-site.json").write_text(manifest)
    assert "missing or damaged" in only_fault(check_site(config.site).faults)


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ("<![foo[bar", "is no HTML (unknown status keyword"),
        (f'<a href="&#{"1" * 5000};">x</a>', "is no HTML (Exceeds the limit"),
        ("""<a href="#3,3">x</a><p data-player='{"grid":["a","b"]}'></p>""", 'link "#3,3" leads to a place'),
        (f"""<a href="#3,3">x</a><p data-player='{"[" * 100_000}'></p>""", 'link "#3,3" leads to a place'),
    ],
)
def test_a_page_that_someone_else_wrote_ends_no_check(config: Config, markup: str, fault: str) -> None:
    (config.site / "foreign.html").write_text(f"{markup}</html>")
    faults = check_site(config.site).faults
    assert len(faults) == 2, faults
    assert any(f"foreign.html: {fault}" in found or f"foreign.html: the {fault}" in found for found in faults)
    assert any("no links lead there" in found for found in faults)


@pytest.mark.skipif(os.name != "posix", reason="makes a name that only Unix has")
def test_a_fault_of_a_file_whose_name_is_no_text_can_be_printed(config: Config) -> None:
    (config.site / os.fsdecode(b"caf\xe9.html")).write_text("</html>")
    result = CliRunner().invoke(app, ["check", "--site", str(config.site)])
    assert (result.exit_code, "caf\\udce9.html: no links lead there" in result.stdout) == (1, True)


def test_a_site_too_large_for_its_host_is_found(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "LARGEST_SITE", 10_000)
    assert "GitHub Pages takes 10,000" in only_fault(check_site(config.site).faults)


@pytest.mark.parametrize("name", ["picture.avif", "thumb.avif", "thumb.jpg"])
def test_a_copy_with_a_colour_profile_is_found(config: Config, name: str) -> None:
    """Chromium shows nothing of an AVIF whose profile is one of grey; a person's own files may have what they like."""
    path = config.site / "Mixed_5b" / "0" / name
    with Image.open(path) as image:
        image.load()
    image.save(path, icc_profile=icc.grey(2.2))
    image.save(config.site / f"mine{path.suffix}", icc_profile=icc.SRGB)
    faults = [fault for fault in check_site(config.site).faults if "were written" not in fault]
    assert only_fault(faults).startswith(f"{path}: has a colour profile")


def test_a_picture_that_is_none_is_found(config: Config) -> None:
    Image.new("RGB", (4, 4)).save(config.site / "extra.png")
    assert check_site(config.site).faults == ()
    (config.site / "extra.png").write_text("not a picture")
    assert "not a picture" in only_fault(check_site(config.site).faults)
