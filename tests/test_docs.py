"""README and docs: every link leads somewhere, every recipe is described, every example runs."""

import re
from pathlib import Path

import pytest
from PIL import Image

from atlas.studies import load_config

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
LONGEST_README = 150  # lines


def links_of(page):
    """Targets of the links and pictures of a page that stay in the repository."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)]


def anchors_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.M)
    kept = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", one).lower()) for one in headings)
    return {one.replace(" ", "-") for one in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(page):
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file), target


def test_every_page_is_reached_from_the_readme():
    found = [ROOT / "README.md"]
    for page in found:  # grows
        files = ((page.parent / target.partition("#")[0]).resolve() for target in links_of(page))
        found += [file for file in files if file.suffix == ".md" and file not in found]
    assert {page for page in PAGES if page.parent.name == "docs"} <= set(found)


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_README
    assert any("docs/images/" in line for line in lines[:10]), "a picture on the first screen"


def test_every_recipe_is_described():
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), flags=re.M)
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == set(load_config().recipes)


@pytest.mark.parametrize("name", ["README.md", "docs/recipes.md"])
def test_the_lines_of_python_run(name, tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(block, names := {})
    (picture,) = tmp_path.glob("*.png")
    with Image.open(picture) as image:
        assert image.size[0] >= 96
    assert "rendering" not in names or names["rendering"].record.status == "ok"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_table_of_toml_is_a_configuration(page, tmp_path):
    for name in ("my-inception.pth", "birds.txt"):
        (tmp_path / name).touch()
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        if "[recipes.mine]" not in block:
            block += "[recipes.mine]\noctaves = [{ size = 75, steps = 1, lr = [1, 1] }]\n"
        file = tmp_path / "docs.toml"
        file.write_text(block, encoding="utf-8")
        load_config(str(file))
