"""The atlas as data: features.csv, features.json, the licence of the pictures, and what cites them."""

import csv
import html
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import atlas
from atlas import studies
from atlas.common.errors import ConfigError
from atlas.plan.config import Config, override
from atlas.site import words
from atlas.site.build import build_site
from atlas.site.catalogue import gather_atlas
from atlas.site.check import check_site
from atlas.site.exports import features_csv, features_json
from atlas.studies import load_config
from stores import WEIGHTS, fill, put

ROOT = Path(__file__).parent.parent
COLUMNS = (
    "target,layer,number,recipe,status,score_start,score_shown,colours,responds_to,"
    "seeds,seeds_value,photographs,photographs_value,path,path_value,page,picture,record,pixels_sha256,"
    "rescued_recipe,rescued_score,rescued_picture,rescued_record,rescued_pixels_sha256"
)
RESCUED, SHOWN, GREY, PENDING = "Conv2d_1a_3x3[0]", "Conv2d_1a_3x3[1]", "Mixed_5b[0]", "Mixed_5b[1]"
LICENSE = "CC BY 4.0, <b> & others"


def small(folder: Path) -> Config:
    """Two features of two layers."""
    config = override(
        load_config("demo"), layers="Conv2d_1a_3x3,Mixed_5b", features="2", recipe="quick", features_only=True
    )
    return replace(config, store=folder / "store", site=folder / "site")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A site with a feature that was rescued, one that is ok, one without a gradient, and a pending one."""
    config = small(tmp_path_factory.mktemp("exports"))
    fill(config, statuses=("no_gradient", "ok", "no_gradient", None))
    rescue = gather_atlas(config, WEIGHTS, studies.pages()).features[0].rescue
    assert rescue
    put(config.store, rescue.job, seed="rescued")
    build_site(config, WEIGHTS, studies.pages())
    return config


def read_csv(config: Config) -> dict[str, dict[str, str]]:
    with (config.site / "features.csv").open(encoding="utf-8", newline="") as file:
        return {row["target"]: row for row in csv.DictReader(file)}


def read_json(config: Config, path: str = "features.json") -> Any:
    return json.loads((config.site / path).read_text(encoding="utf-8"))


def page(config: Config, path: str) -> str:
    return (config.site / path).read_text(encoding="utf-8")


def bibtex(config: Config, path: str) -> str:
    """The BibTeX entry of a page, as it is copied."""
    folded = re.search(
        r"<details>\n<summary>Cite this feature</summary>\n<pre><code>(.*?)</code>", page(config, path), re.S
    )
    assert folded, path
    return html.unescape(folded[1])


# Data


def test_every_planned_feature_has_a_row_in_the_order_of_the_network(built: Config) -> None:
    assert page(built, "features.csv").split("\n")[0] == COLUMNS
    assert list(read_csv(built)) == [RESCUED, SHOWN, GREY, PENDING]
    rows = read_json(built)["features"]
    assert [row["target"] for row in rows] == [RESCUED, SHOWN, GREY, PENDING]
    assert {",".join(row) for row in rows} == {COLUMNS}
    everything = gather_atlas(override(load_config("article"), features="all"), None, ())
    assert features_csv(everything).count(b"\n") == 1 + 10_448


def test_a_row_says_what_the_record_says(built: Config) -> None:
    row, record = read_csv(built)[SHOWN], read_json(built, "Conv2d_1a_3x3/1/record.json")
    assert (row["layer"], row["number"], row["recipe"], row["status"]) == ("Conv2d_1a_3x3", "1", "quick", "ok")
    assert (float(row["score_start"]), float(row["score_shown"])) == (record["score_start"], record["score_shown"])
    assert row["pixels_sha256"] == record["pixels_sha256"]
    assert row["record"] == "Conv2d_1a_3x3/1/record.json"
    assert row["rescued_recipe"] == row["rescued_score"] == row["rescued_picture"] == ""


def test_the_files_that_rows_name_are_in_the_site(built: Config) -> None:
    named = [row[key] for row in read_csv(built).values() for key in row if re.search("page$|picture$|record$", key)]
    there = [path for path in named if path]
    assert len(there) == 4 + 2 * 3 + 2
    assert [path for path in there if not (built.site / path).is_file()] == []


def test_a_pending_feature_has_empty_fields(built: Config) -> None:
    row = read_csv(built)[PENDING]
    known = {"target": PENDING, "layer": "Mixed_5b", "number": "1", "recipe": "quick", "status": "pending"}
    known["page"] = "Mixed_5b/1/index.html"
    assert {key: value for key, value in row.items() if value} == known
    same = read_json(built)["features"][-1]
    assert same == {**dict.fromkeys(same), **known, "number": 1, "colours": []}


def test_a_rescued_feature_has_both_pictures(built: Config) -> None:
    row = read_csv(built)[RESCUED]
    own, rescued = (read_json(built, row[key]) for key in ("record", "rescued_record"))
    assert (row["status"], row["score_shown"], row["pixels_sha256"]) == ("no_gradient", "0.0", own["pixels_sha256"])
    assert row["rescued_recipe"] == rescued["recipe_name"] == "quick-rescued"
    assert (float(row["rescued_score"]), row["rescued_pixels_sha256"]) == (3.14159, rescued["pixels_sha256"])
    assert row["rescued_picture"] == row["rescued_record"].replace("record.json", "picture.avif")
    assert read_csv(built)[GREY]["rescued_recipe"] == ""  # its rescue is pending


def test_colours_are_those_of_the_picture_that_is_shown(built: Config) -> None:
    made = gather_atlas(built, WEIGHTS, studies.pages())
    colours = {feature.face.folder: ("red", "blue") for feature in made.features[:1]}
    made = replace(made, colours=colours)
    assert b",red blue,,,,,,,,Conv2d_1a_3x3/0/index.html," in features_csv(made)
    assert json.loads(features_json(made))["features"][0]["colours"] == ["red", "blue"]
    assert any(row["colours"] for row in read_csv(built).values())  # as measured by the build


def test_both_files_say_the_same(built: Config) -> None:
    found = read_json(built)
    texts = [
        {
            key: " ".join(value) if isinstance(value, list) else "" if value is None else str(value)
            for key, value in row.items()
        }
        for row in found["features"]
    ]
    assert texts == list(read_csv(built).values())
    assert found["weights"] == {"name": "demo", "sha256": WEIGHTS.sha256}
    assert found["title"] == built.title


def test_a_build_elsewhere_has_the_same_bytes(built: Config, tmp_path: Path) -> None:
    other = replace(built, site=tmp_path / "other")
    build_site(other, WEIGHTS, studies.pages())
    for name in ("features.csv", "features.json"):
        assert (other.site / name).read_bytes() == (built.site / name).read_bytes()


def test_a_new_picture_changes_its_row_alone(tmp_path: Path) -> None:
    config = small(tmp_path)
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    before = read_csv(config)
    made = gather_atlas(config, WEIGHTS, studies.pages())
    put(config.store, made.features[1].job, status="failed", seed="another")
    build_site(config, WEIGHTS, studies.pages())
    after = read_csv(config)
    assert [target for target in after if after[target] != before[target]] == [SHOWN]
    assert after[SHOWN]["status"] == "failed"


def test_an_atlas_without_weights_is_pending_data(tmp_path: Path) -> None:
    config = small(tmp_path)
    build_site(config, None, studies.pages())
    assert read_json(config)["weights"] is None
    assert {row["status"] for row in read_csv(config).values()} == {"pending"}


def test_the_home_page_links_to_both_files(built: Config) -> None:
    home = page(built, "index.html")
    assert '<a href="features.csv">features.csv</a>' in home
    assert '<a href="features.json">features.json</a>' in home
    assert check_site(built.site).faults == ()


# Licence


def test_a_licence_is_shown_on_every_page_and_in_the_data(tmp_path: Path) -> None:
    config = replace(small(tmp_path), license=LICENSE, base_url="https://example.org/atlas/")
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    for path in config.site.rglob("*.html"):
        footer = path.read_text(encoding="utf-8").split("<footer")[1]
        assert "<p>Licence of the pictures: CC BY 4.0, &lt;b&gt; &amp; others</p>" in footer, path
    assert read_json(config)["license"] == LICENSE
    assert "license" not in read_json(config, "Mixed_5b/0/record.json")


def test_without_a_licence_nothing_is_shown(built: Config) -> None:
    assert read_json(built)["license"] is None
    assert not [path for path in built.site.rglob("*.html") if "Licence" in path.read_text(encoding="utf-8")]


def test_a_licence_is_a_text_in_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "atlas.toml"
    file.write_text('[atlas]\nlicense = "CC0 1.0"\n')
    assert load_config(str(file)).license == "CC0 1.0"
    assert load_config("article").license is load_config("demo").license is None
    for wrong, why in (("''", "must not be empty"), ("3", "must be a string")):
        file.write_text(f"[atlas]\nlicense = {wrong}\n")
        with pytest.raises(ConfigError, match=rf"atlas\.license = .*{why}"):
            load_config(str(file))


# Citations


def test_a_feature_can_be_cited(built: Config, tmp_path: Path) -> None:
    entry = (
        "@misc{Conv2d_1a_3x3-1-quick,\n"
        "  title = {{Feature Conv2d\\_1a\\_3x3[1] of InceptionV3}},\n"
        "  howpublished = {InceptionV3 feature atlas: demo},\n"
        f"  note = {{Recipe quick, weights demo, SHA-256 {WEIGHTS.sha256[:16]}}},\n"
    )
    assert bibtex(built, "Conv2d_1a_3x3/1/index.html") == entry + "}"
    public = replace(built, site=tmp_path / "public", base_url="https://example.org/a_b/")
    build_site(public, WEIGHTS, studies.pages())
    url = "  url = {https://example.org/a_b/Conv2d_1a_3x3/1/},\n"
    assert bibtex(public, "Conv2d_1a_3x3/1/index.html") == entry + url + "}"


def test_the_picture_that_is_shown_is_cited_and_a_pending_one_is_not(built: Config) -> None:
    assert "Recipe quick-rescued, weights" in bibtex(built, "Conv2d_1a_3x3/0/index.html")
    assert "Recipe quick, weights" in bibtex(built, "Mixed_5b/0/index.html")
    assert "Cite this feature" not in page(built, "Mixed_5b/1/index.html")


def test_a_title_of_any_characters_is_cited(tmp_path: Path) -> None:
    config = replace(small(tmp_path), title="50 % of {A & B}} $x_1 #2 ~^\\ <i>")
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    entry = bibtex(config, "Mixed_5b/0/index.html")
    assert entry.count("{") == entry.count("}")  # BibTeX counts those after a backslash too
    escaped = words.tex(config.title)
    assert f"howpublished = {{{escaped}}}," in entry
    assert re.sub(r"\\(?:[&%$#_]|text\w+\{\})", "", escaped) == "50  of A  B x1 2  <i>"


def test_the_repository_can_be_cited() -> None:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    facts = dict(re.findall(r"^([\w-]+): +(.+)$", "\n".join(lines), re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (facts["cff-version"], facts["type"], facts["license"]) == ("1.2.0", "software", project["license"])
    assert (facts["title"], facts["version"]) == (load_config("article").title, atlas.__version__)
    assert "  - name: The feature atlas authors" in lines
    readme = (ROOT / "README.md").read_text(encoding="utf-8").split("## Citing")[1].split("\n## ")[0]
    assert f"version = {{{atlas.__version__}}}" in readme
    assert f"title = {{{{{facts['title']}}}}}" in readme
