"""The site as a whole: store → files, their words, their links and their stability."""

import gc
import hashlib
import html
import json
import posixpath
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from atlas import studies
from atlas.cli.console import site_lines
from atlas.common.errors import ConfigError, StoreError
from atlas.inception import layers
from atlas.plan.config import Config, override
from atlas.plan.jobs import feature_jobs
from atlas.plan.recipes import Octave, Recipe
from atlas.site import build, templates, words
from atlas.site.build import SiteReport, build_site
from atlas.site.check import check_site
from atlas.site.models import Link, Page
from atlas.site.pictures import Encoded
from atlas.site.templates import NO_BREAK, Templates
from atlas.store import files
from atlas.store.masters import master_path
from atlas.store.records import Numerics, WeightsId
from atlas.store.weights_ids import resolve_weights, write_weights_id
from atlas.studies import load_config
from macros import render_macro
from stores import WEIGHTS, fill, put

LAYERS = "Conv2d_1a_3x3,Mixed_5b,Mixed_5c"
SCRIPT = '<script src="{root}static/find.js" data-root="{root}" defer>'


def small(folder: Path, **changes: str) -> Config:
    """Two features of three layers in two regions."""
    flags = {"layers": LAYERS, "features": "2", **changes}
    return override(
        load_config("demo"),
        store=folder / "store",
        site=folder / "site",
        **{"features_only": True, "recipe": "quick", **flags},
    )


def files_of(site: Path) -> dict[str, bytes]:
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, SiteReport]:
    config = small(tmp_path_factory.mktemp("atlas"))
    fill(config, statuses=("ok", "ok", "no_gradient", None, "failed", "ok"))
    return config, build_site(config, WEIGHTS, studies.pages())


def text(config: Config, path: str) -> str:
    return (config.site / path).read_text(encoding="utf-8")


def commands(page: str) -> list[str]:
    """What stands in a page to be copied."""
    return [re.sub("<[^>]+>", "", block) for block in re.findall("<pre>(.*?)</pre>", page, re.S)]


def test_every_layer_region_and_feature_has_its_page(built: tuple[Config, SiteReport]) -> None:
    config, report = built
    pages = {path for path in files_of(config.site) if path.endswith(".html")}
    features = {f"{job.target.terms[0].layer}/{job.target.terms[0].feature}/index.html" for job in feature_jobs(config)}
    of_layers = {f"{layer}/index.html" for layer in LAYERS.split(",")}
    regions = {f"region/{slug}/index.html" for slug in ("entry-convolutions", "early-mixed")}
    assert pages == {"index.html", "method/index.html", "dead/index.html"} | features | of_layers | regions
    assert report.pages == len(pages)
    assert report.pending == 1
    assert report.pictures == report.encoded == 5 * 3 + 2 * 2 + 3  # and sheets of regions and layers
    assert report.bytes == sum(len(data) for data in files_of(config.site).values())


def test_the_check_finds_nothing_in_a_built_site(built: tuple[Config, SiteReport]) -> None:
    config, report = built
    result = check_site(config.site)
    assert result.faults == ()
    assert (result.pages, result.bytes) == (report.pages, report.bytes)


def test_home_has_all_layers_and_links_to_those_that_are_planned(built: tuple[Config, SiteReport]) -> None:
    home = text(built[0], "index.html")
    assert re.findall(r'<text class="name"[^>]*>([^<]+)', home) == [layer.name for layer in layers.LAYERS]
    assert 'href="Mixed_5b/index.html"' in home
    assert 'href="Mixed_7c/index.html"' not in home
    assert "5 of 6 features rendered" in home


def test_a_feature_page_says_how_its_picture_was_made(built: tuple[Config, SiteReport]) -> None:
    page = text(built[0], "Mixed_5c/1/index.html")
    command = (
        "atlas render &#34;Mixed_5c[1]&#34; --weights demo --recipe quick --seed 999 --device cpu --precision fp32 "
        "--batch-size 4 --threads 2"
    )
    assert command in commands(page)
    rates = [render_macro("sentences.html", "span", octave.lr) for octave in built[0].get_recipe("quick").octaves]
    for fact in ("0.01235", "3.142", "0.1 → 1.1", *rates, WEIGHTS.sha256, "branch1x1", f"63 × 63{NO_BREAK}px"):
        assert fact in page
    assert 'rel="prev" href="../0/index.html"' in page
    assert 'rel="next"' not in page


def test_a_feature_page_names_the_hardware_where_it_is_known(built: tuple[Config, SiteReport]) -> None:
    assert "<dd>cpu, fp32, batch size 4, 2 threads; torch" in text(built[0], "Mixed_5c/1/index.html")
    known = Numerics("cuda", "tf32", 16, 8, "NVIDIA H100", "91002")
    assert render_macro("sentences.html", "hardware", known) == "cuda (NVIDIA H100, cuDNN 91002)"
    other = replace(known, device="cpu", model="AVX512", cudnn=None)
    assert render_macro("sentences.html", "hardware", other) == "cpu (AVX512)"


def test_each_status_is_named_and_explained(built: tuple[Config, SiteReport]) -> None:
    config, _ = built
    for path, status in (("Mixed_5b/0", "no_gradient"), ("Mixed_5b/1", "pending"), ("Mixed_5c/0", "failed")):
        page = text(config, f"{path}/index.html")
        assert f'data-status="{status}"' in page
        assert f'<span class="status {status}">{status}</span>' in page
    assert "octave 2, at step 13" in text(config, "Mixed_5c/0/index.html")
    assert '<span class="status no_gradient">' in text(config, "Mixed_5b/index.html")
    assert '<span class="status pending">' in text(config, "index.html")


def test_a_pending_feature_has_a_page_without_picture_or_record(built: tuple[Config, SiteReport]) -> None:
    config, _ = built
    assert [path.name for path in (config.site / "Mixed_5b/1").iterdir()] == ["index.html"]
    page = text(config, "Mixed_5b/1/index.html")
    assert 'class="version"' not in page  # the row of the layer has the pictures of others
    assert "record.json" not in page
    assert commands(page) == ["atlas render &#34;Mixed_5b[1]&#34; --weights demo --recipe quick --seed 999"]


def test_every_page_names_the_weights(built: tuple[Config, SiteReport]) -> None:
    config, _ = built
    for path in config.site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert page.count(WEIGHTS.note) == 1 + (path == config.site / "index.html"), (
            path
        )  # the footer, and a note at home
        assert f'title="{WEIGHTS.sha256}"' in page


def test_no_page_has_an_absolute_address_or_anything_inline(built: tuple[Config, SiteReport]) -> None:
    for path in built[0].site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        depth = len(path.relative_to(built[0].site).parts) - 1
        assert "http:" not in page.replace("http-equiv", "")
        assert "https:" not in page
        scripts = re.findall("<script.*?</script>", page, re.S)
        assert all(re.fullmatch(r'<script src="(\.\./)*static/\w+\.js"[^>]* defer></script>', one) for one in scripts)
        assert SCRIPT.format(root="../" * depth) in page
        assert not re.search(r"<[^>]+ (style|on\w+)=|<style", page)
        assert page.startswith("<!DOCTYPE html>")
        assert page.count("<h1>") == 1
        assert "Content-Security-Policy\" content=\"default-src 'none';" in page
        assert len(re.findall(r"<a ", page.split("<main")[0])) <= 12  # links that repeat on every page


def test_the_record_beside_a_page_is_the_masters(built: tuple[Config, SiteReport]) -> None:
    config, _ = built
    record = json.loads(text(config, "Mixed_5c/1/record.json"))
    assert record["target"] == "Mixed_5c[1]"
    assert record["weights"]["sha256"] == WEIGHTS.sha256


def test_a_rebuild_writes_nothing_and_encodes_nothing(built: tuple[Config, SiteReport]) -> None:
    config, report = built
    times = {path: path.stat().st_mtime_ns for path in config.site.rglob("*")}
    again = build_site(config, WEIGHTS, studies.pages())
    assert again == replace(report, encoded=0)
    assert {path: path.stat().st_mtime_ns for path in config.site.rglob("*")} == times


def test_a_page_is_filled_in_again_only_if_something_of_it_changed(
    built: tuple[Config, SiteReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = built
    filled: list[str] = []
    fill_in = Templates.page

    def watched(self: Templates, page: Page, base_url: str = "") -> bytes:
        filled.append(page.path)
        return fill_in(self, page, base_url)

    monkeypatch.setattr(Templates, "page", watched)
    before = files_of(config.site)
    build_site(config, WEIGHTS, studies.pages())
    assert filled == []
    page = config.site / "Mixed_5c/1/index.html"
    page.write_bytes(page.read_bytes()[:-1])
    build_site(config, WEIGHTS, studies.pages())
    assert filled == ["Mixed_5c/1/index.html"]
    assert files_of(config.site) == before
    filled.clear()
    build_site(replace(config, title="Another"), WEIGHTS, studies.pages())
    assert len(filled) == sum(path.endswith(".html") for path in before)
    build_site(config, WEIGHTS, studies.pages())
    assert files_of(config.site) == before


def test_the_digest_of_a_page_knows_templates_code_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"title": "Atlas", "base_url": "", "weights": WEIGHTS, "menu": (Link("Method", "method/index.html"),)}
    page = Page("a/index.html", "feature.html", "Title", "", (), {"recipe": load_config().recipes["raw"]})
    folder = tmp_path / "templates"
    folder.mkdir()

    def digest(page: Page, facts: dict[str, object] = facts) -> str:
        templates._source_digest.cache_clear()
        return Templates(facts).digest(page)

    own = digest(page)
    assert digest(page) == own
    others = [digest(replace(page, body={"recipe": load_config().recipes["octaves"]}))]
    others += [digest(replace(page, template="layer.html")), digest(page, {**facts, "base_url": "https://a.b/"})]
    monkeypatch.setattr(templates, "templates_folder", lambda: folder)
    others.append(digest(page))
    (folder / "feature.html").write_text("{{ page.title }}")
    others.append(digest(page))
    (folder / "feature.html").write_text("{{ page.title }}!")
    others.append(digest(page))
    monkeypatch.setattr(templates, "PACKAGE", tmp_path)
    others.append(digest(page))
    assert len({own, *others}) == len(others) + 1
    monkeypatch.undo()
    assert digest(page) == own


def test_a_build_elsewhere_has_the_same_bytes(built: tuple[Config, SiteReport], tmp_path: Path) -> None:
    config, _ = built
    other = replace(config, site=tmp_path / "other")
    build_site(other, WEIGHTS, studies.pages())
    assert files_of(other.site) == files_of(config.site)


def test_an_interrupted_build_goes_on_where_it_stopped(built: tuple[Config, SiteReport], tmp_path: Path) -> None:
    config, report = built
    other = replace(config, site=tmp_path / "other")

    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_site(other, WEIGHTS, studies.pages(), on_progress=interrupt)
    assert gc.isenabled()
    again = build_site(other, WEIGHTS, studies.pages())
    assert again.encoded < report.pictures // 2
    assert files_of(other.site) == files_of(config.site)


def test_only_what_changed_is_encoded_again(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    before = files_of(config.site)
    job = feature_jobs(config)[0]
    put(config.store, job, seed="another")
    report = build_site(config, WEIGHTS, studies.pages())
    after = files_of(config.site)
    changed = {path for path in after if after[path] != before.get(path)}
    assert report.encoded == 3 + 2 + 1  # the picture, and the sheets of its region and layer
    assert {path for path in changed if path.endswith((".avif", ".jpg"))} == {
        "Conv2d_1a_3x3/0/picture.avif",
        "Conv2d_1a_3x3/0/thumb.avif",
        "Conv2d_1a_3x3/0/thumb.jpg",
        "Conv2d_1a_3x3/sheet.avif",
        "region/entry-convolutions/sheet.avif",
        "region/entry-convolutions/sheet.jpg",
    }


def test_a_lost_or_cut_web_copy_is_made_again(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    before = files_of(config.site)
    (config.site / "Mixed_5b/0/thumb.jpg").unlink()
    copy = config.site / "Mixed_5b/1/picture.avif"
    copy.write_bytes(copy.read_bytes()[:-10])
    assert build_site(config, WEIGHTS, studies.pages()).encoded == 2
    assert files_of(config.site) == before


def test_files_of_an_earlier_build_go_and_others_stay(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    (config.site / "CNAME").write_text("atlas.example.org")
    (config.site / "Mixed_5b/notes.txt").write_text("mine")
    leftover = config.site / "Mixed_5c" / f".{files._host()}-0123456789abcdef.tmp"
    leftover.write_bytes(b"half")
    fewer = override(config, layers="Conv2d_1a_3x3,Mixed_5c")
    build_site(fewer, WEIGHTS, studies.pages())
    left = files_of(config.site)
    assert {path for path in left if "Mixed_5b" in path} == {"Mixed_5b/notes.txt"}
    assert "CNAME" in left
    assert not leftover.exists()
    assert check_site(config.site).faults == ()


@pytest.mark.parametrize("path", ["404.html", "sitemap.xml", "Mixed_5b/1/thumb.jpg"])
def test_a_persons_own_file_is_never_replaced_or_removed(tmp_path: Path, path: str) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(override(config, features="1"), WEIGHTS, studies.pages())
    mine = config.site / path
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    published = replace(config, base_url="https://example.org/atlas/")
    for _ in range(2):  # a run that was refused must not have listed it
        with pytest.raises(StoreError, match=rf"{path}: is there already.*--out"):
            build_site(published, WEIGHTS, studies.pages())
        assert mine.read_text() == "mine"
    build_site(override(config, features="1"), WEIGHTS, studies.pages())
    assert mine.read_text() == "mine"
    mine.unlink()
    build_site(published, WEIGHTS, studies.pages())
    assert check_site(config.site).faults == ()


def test_a_link_in_the_place_of_a_page_is_someones_own(tmp_path: Path) -> None:
    config = small(tmp_path)
    build_site(config, None, studies.pages())
    link = config.site / "404.html"
    link.symlink_to("nowhere.html")
    with pytest.raises(StoreError, match=r"404\.html: is there already"):
        build_site(replace(config, base_url="https://example.org/atlas/"), None, studies.pages())
    assert link.is_symlink()


def test_a_file_that_is_there_and_right_becomes_the_sites(tmp_path: Path) -> None:
    config = small(tmp_path)
    config.site.mkdir()
    (config.site / ".nojekyll").touch()
    build_site(config, None, studies.pages())
    assert ".nojekyll" in json.loads(text(config, ".atlas-site.json"))["files"]


def test_what_a_killed_first_run_left_is_the_sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(tmp_path)
    fill(config)
    with monkeypatch.context() as patch:
        # all is written, and nothing is finished
        patch.setattr("atlas.site.output.Output.finish", lambda self, kept: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build_site(config, WEIGHTS, studies.pages())
    build_site(replace(config, base_url="https://example.org/atlas/"), WEIGHTS, studies.pages())  # all pages are others
    assert check_site(config.site).faults == ()


def test_a_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    config = small(tmp_path)
    config.site.mkdir()
    (config.site / ".gitkeep").touch()
    build_site(config, None, studies.pages())  # dotfiles alone are no obstacle
    home = tmp_path / "home"
    home.mkdir()
    (home / "letters.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"letters\.txt.*--out"):
        build_site(replace(config, site=home), None, studies.pages())
    assert [path.name for path in home.iterdir()] == ["letters.txt"]


@pytest.mark.parametrize("site", ["store", "store/site", "."])
def test_a_site_and_a_store_that_contain_each_other_are_refused(tmp_path: Path, site: str) -> None:
    config = replace(small(tmp_path / "here"), site=tmp_path / "here" / site)
    fill(config)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="contain each other"):
        build_site(config, WEIGHTS, studies.pages())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("place", ["loop", "loop/site"])
def test_a_looping_link_in_the_place_of_the_site_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StoreError, match=r"loop.*cannot be read"):
        build_site(replace(small(tmp_path), site=tmp_path / place), None, studies.pages())


def test_a_file_where_the_site_should_be_is_refused(tmp_path: Path) -> None:
    config = small(tmp_path)
    config.site.write_text("mine")
    with pytest.raises(StoreError, match=r"is a file.*--out"):
        build_site(config, None, studies.pages())


def test_a_manifest_that_points_outside_is_refused(tmp_path: Path) -> None:
    config = small(tmp_path)
    build_site(config, None, studies.pages())
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    manifest = config.site / ".atlas-site.json"
    manifest.write_text(json.dumps({"format": 1, "files": {"../victim.txt": {}}}))
    with pytest.raises(StoreError, match="damaged"):
        build_site(config, None, studies.pages())
    assert victim.exists()


def test_a_manifest_with_a_name_that_no_file_has_is_refused(tmp_path: Path) -> None:
    config = small(tmp_path)
    build_site(config, None, studies.pages())
    (config.site / ".atlas-site.json").write_text(json.dumps({"format": 1, "files": {"a\0/b": {}}}))
    with pytest.raises(StoreError, match="damaged"):
        build_site(config, None, studies.pages())


def test_a_folder_that_became_a_looping_link_is_left_alone(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    (config.site / "Mixed_5b").rename(tmp_path / "elsewhere")
    (config.site / "Mixed_5b").symlink_to("Mixed_5b")
    build_site(override(config, layers="Conv2d_1a_3x3,Mixed_5c"), WEIGHTS, studies.pages())
    assert (config.site / "Mixed_5b").is_symlink()


def test_nothing_is_removed_through_a_link_out_of_the_site(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    outside = tmp_path / "outside"
    (config.site / "Mixed_5b").rename(outside)
    (config.site / "Mixed_5b").symlink_to(outside)
    before = files_of(outside)
    build_site(override(config, layers="Conv2d_1a_3x3,Mixed_5c"), WEIGHTS, studies.pages())
    assert files_of(outside) == before


def test_nothing_rendered_yet_still_makes_a_whole_site(tmp_path: Path) -> None:
    config = small(tmp_path)
    report = build_site(config, None, studies.pages())
    assert (report.pending, report.pictures) == (6, 0)
    assert check_site(config.site).faults == ()
    assert "Nothing is rendered with them yet" in text(config, "index.html")


def test_masters_of_another_provenance_are_not_shown(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    other = override(config, seed=1)
    assert build_site(other, WEIGHTS, studies.pages()).pending == 6
    stranger = WeightsId("demo", "f" * 64, "others")
    assert build_site(config, stranger, studies.pages()).pending == 6


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_damaged_master_is_pending_and_counted(tmp_path: Path, is_cut: bool) -> None:
    config = small(tmp_path)
    paths = fill(config)
    data = bytearray(paths[2].read_bytes())
    if is_cut:
        data = data[: len(data) // 2]
    else:
        data[-60] ^= 255  # in the pixels, before the end that shows a file to be whole
    paths[2].write_bytes(data)
    report = build_site(config, WEIGHTS, studies.pages())
    assert report.pending == 1
    assert len(report.damaged) == 1
    assert report.damaged[0].startswith(str(paths[2]))
    assert 'data-status="pending"' in text(config, "Mixed_5b/0/index.html")
    assert check_site(config.site).faults == ()
    assert build_site(config, WEIGHTS, studies.pages()) == replace(report, encoded=0)


def spoilt_note(folder: Path) -> None:
    (folder / "weights.json").write_text("{")


def lost_note(folder: Path) -> None:
    (folder / "weights.json").unlink()


def renamed(folder: Path) -> None:
    folder.rename(folder.with_name("mine-00000000"))


@pytest.mark.parametrize("spoil", [spoilt_note, lost_note, renamed])
def test_masters_of_weights_that_nobody_can_tell_are_named(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    config = small(tmp_path)
    fill(config)
    (config.store / "empty-01234567").mkdir()
    assert resolve_weights(config.store, config.weights)
    spoil(config.store / WEIGHTS.folder)
    weights = resolve_weights(config.store, config.weights)
    assert weights is None
    (line,) = build_site(config, weights, studies.pages()).damaged
    assert line.startswith(f"{config.store}/")
    assert "not shown" in line


def test_a_file_that_stays_damaged_does_not_build_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(tmp_path)
    spoilt = Encoded((), 0, {tmp_path / "master.png": "damaged"})
    monkeypatch.setattr(build, "encode_all", lambda *_, **__: spoilt)
    with pytest.raises(StoreError, match=r"master\.png: still damaged"):
        build_site(config, WEIGHTS, studies.pages())


def described(config: Config, path: str) -> str:
    """What a page says of itself to a search engine."""
    return html.unescape(text(config, path).split('<meta name="description" content="')[1].split('"')[0])


def test_descriptions_count_what_is_shown(built: tuple[Config, SiteReport], tmp_path: Path) -> None:
    config = built[0]
    made = "as pictures made by gradient descent on the input."
    assert described(config, "Mixed_5b/index.html") == f"1 of the 256 features of Mixed_5b in InceptionV3, {made}"
    assert described(config, "index.html").endswith(": 5 renderings of features from 3 layers in 2 regions.")
    one = small(tmp_path, layers="Conv2d_1a_3x3", features="all")
    build_site(one, None, studies.pages())
    planned = "32 features of Conv2d_1a_3x3 in InceptionV3, planned and not rendered."
    assert described(one, "Conv2d_1a_3x3/index.html") == planned
    fill(one)
    build_site(one, WEIGHTS, studies.pages())
    assert described(one, "Conv2d_1a_3x3/index.html") == f"All 32 features of Conv2d_1a_3x3 in InceptionV3, {made}"
    assert described(one, "index.html").endswith(": 32 renderings of features from 1 layer in 1 region.")


def test_the_pages_of_a_layer_have_descriptions_of_their_own(tmp_path: Path) -> None:
    config = small(tmp_path, layers="Mixed_5b", features="65")
    build_site(config, None, studies.pages())
    assert described(config, "Mixed_5b/page/2/index.html").endswith(" rendered. Page 2 of 2.")


def test_a_region_tells_of_pictures_only_where_it_has_some(tmp_path: Path) -> None:
    config = small(tmp_path, layers="Conv2d_1a_3x3,Mixed_5b", features="1")
    fill(config, statuses=("ok", None))
    build_site(config, WEIGHTS, studies.pages())
    slugs = ("entry-convolutions", "early-mixed")
    shown, pending = (render_macro("sentences.html", "demo_region", slug) for slug in slugs)
    assert shown in text(config, "region/entry-convolutions/index.html")
    assert pending not in text(config, "region/early-mixed/index.html")
    assert ">The feature in one picture</a>" in text(config, "Conv2d_1a_3x3/index.html")


def test_links_are_relative_to_their_page() -> None:
    paths = ("index.html", "a/index.html", "a/b/index.html", "a/bc/index.html", "a/b/c/x.avif", "b/index.html")
    for path in paths:
        page = Page(path, "", "", "", (), None)
        for target in (*paths, "a/b/index.html#2,3"):
            assert page.link(target) == posixpath.relpath(target, posixpath.dirname(path) or "."), (path, target)


def test_a_layer_of_many_features_is_cut_into_pages(tmp_path: Path) -> None:
    config = small(tmp_path, layers="Mixed_7c", features="0-1300")
    build_site(config, None, studies.pages())
    first, middle = text(config, "Mixed_7c/index.html"), text(config, "Mixed_7c/page/10/index.html")
    assert first.count('class="tile"') == middle.count('class="tile"') == 64
    assert text(config, "Mixed_7c/page/21/index.html").count('class="tile"') == 1301 - 20 * 64
    navigation = re.findall(r'<nav class="pages".*?</nav>', middle, re.S)[0]
    assert navigation.count("<li>") <= 12
    assert 'href="../../index.html"' in navigation
    assert 'href="../21/index.html"' in navigation
    assert 'href="../page/10/index.html">Mixed_7c' in text(config, "Mixed_7c/600/index.html")


def test_hostile_words_are_escaped(tmp_path: Path) -> None:
    weights = WeightsId("it's-<b>", "a" * 64, "<script>alert(1)</script> & more")
    config = replace(small(tmp_path), title='<script>alert("title")</script>', weights="it's-<b>.pth")
    fill(config, weights=weights)
    build_site(config, weights, studies.pages())
    for path in config.site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert "<script>" not in page
        assert "<b>" not in page
    # quoted for a shell, and then for HTML
    assert "--weights &#39;it&#39;&#34;&#39;&#34;&#39;s-&lt;b&gt;.pth&#39;" in text(config, "Mixed_5b/0/index.html")


def test_absolute_addresses_come_with_a_base_url_alone(tmp_path: Path) -> None:
    config = small(tmp_path, base_url="https://example.org/atlas")
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    feature = text(config, "Mixed_5b/0/index.html")
    assert '<link rel="canonical" href="https://example.org/atlas/Mixed_5b/0/">' in feature
    assert '<meta property="og:image" content="https://example.org/atlas/Mixed_5b/0/thumb.jpg">' in feature
    assert "<loc>https://example.org/atlas/Mixed_5b/0/</loc>" in text(config, "sitemap.xml")
    assert 'href="https://example.org/atlas/static/style.css"' in text(config, "404.html")
    assert check_site(config.site).faults == ()
    private = replace(config, base_url="")
    report = build_site(private, WEIGHTS, studies.pages())
    assert site_lines(private, report, zip_site=False)[0].startswith("warning: this site had a base URL")
    assert not any(
        "base URL" in line
        for line in site_lines(private, build_site(private, WEIGHTS, studies.pages()), zip_site=False)
    )
    assert not (config.site / "404.html").exists()
    assert not (config.site / "sitemap.xml").exists()
    assert "example.org" not in text(config, "Mixed_5b/0/index.html")


def test_the_commands_of_the_last_line_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "si te%41?" / "pub #1"
    monkeypatch.setattr("sys.argv", ["/my tools/atlas"])
    config = replace(load_config(), site=folder)
    said = site_lines(config, SiteReport(1, 0, 0, 0, 0, 0, 0, (), False), zip_site=False)[-1]
    before, after = said.split(" in a browser, or run: ")
    assert shlex.split(before) == ["open", str(folder / "index.html")]
    assert shlex.split(after) == ["/my tools/atlas", "serve", str(folder)]


def test_a_recipe_of_ones_own_is_shown_to_be_pasted(tmp_path: Path) -> None:
    own = Recipe("quick", (Octave(80, 3, (0.5, 0.25)), Octave(96, 2, (0.2, 0.1), (1.0, 0.5))), gradient="rms")
    config = small(tmp_path, features="1")
    config = replace(config, recipes={**config.recipes, "quick": own})
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    page = text(config, "Mixed_5b/0/index.html")
    assert "--config atlas.toml --weights demo --recipe quick" in commands(page)[0]
    assert "[recipes.quick]" in commands(page)[1]
    file = tmp_path / "atlas.toml"
    file.write_text(words.own_toml(own))
    assert load_config(str(file)).get_recipe("quick") == own


def test_weights_are_found_by_name_and_by_folder(tmp_path: Path) -> None:
    config = small(tmp_path)
    assert resolve_weights(config.store, config.weights) is None
    one, two = WeightsId("demo", "1" * 64, "one"), WeightsId("demo", "2" * 64, "two")
    write_weights_id(config.store, one)
    assert resolve_weights(config.store, config.weights) == one
    write_weights_id(config.store, two)
    with pytest.raises(ConfigError, match=r"demo-11111111, demo-22222222; .*--weights demo-11111111"):
        resolve_weights(config.store, config.weights)
    assert resolve_weights(config.store, str(tmp_path / "demo-22222222")) == two


def test_weights_of_a_file_are_chosen_by_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.write_bytes(b"tensors")
    config = replace(small(tmp_path), weights=str(file))
    write_weights_id(config.store, WeightsId("mine", "1" * 64, "older"))
    assert resolve_weights(config.store, config.weights) is None
    right = WeightsId("mine", hashlib.sha256(b"tensors").hexdigest(), "newer")
    write_weights_id(config.store, right)
    assert resolve_weights(config.store, config.weights) == right


def test_numbers_read_well() -> None:
    assert words.number(-0.000123456) == "−0.0001235"
    assert words.number(None) == "not finite"
    assert render_macro("sentences.html", "sentence", "seeded weights") == "Seeded weights."


def test_the_stylesheet_is_small_and_neutral() -> None:
    style = (Path(__file__).parent.parent / "templates/static/style.css").read_bytes()
    assert len(style) <= 30_000
    assert b"url(" not in style
    assert b"@import" not in style


def test_the_scripts_are_small_together() -> None:
    scripts = (Path(__file__).parent.parent / "templates/static").glob("*.js")
    assert sum(len(script.read_bytes()) for script in scripts) <= 35_000


def test_masters_lie_where_the_catalogue_looks(tmp_path: Path) -> None:
    config = small(tmp_path)
    job = feature_jobs(config)[0]
    assert put(config.store, job) == master_path(config.store, WEIGHTS, job)


def test_a_number_and_its_unit_stand_on_one_line(built: tuple[Config, SiteReport]) -> None:
    pages = [path.read_text(encoding="utf-8") for path in built[0].site.rglob("*.html")]
    assert not [found for page in pages for found in re.findall(r"\d (?:%|px\b|[KMG]B\b)", page)]
    assert any(re.search(rf"\d{NO_BREAK}px", page) for page in pages)


def test_a_command_keeps_the_spaces_that_a_shell_reads(tmp_path: Path) -> None:
    config = replace(small(tmp_path), weights="trip 100 %.pth")
    build_site(config, None, studies.pages())
    page = text(config, "Mixed_5b/0/index.html")
    assert "--weights 'trip 100 %.pth'" in html.unescape(commands(page)[0])
    assert re.search(rf"\d{NO_BREAK}px", page.split("</pre>")[0])
