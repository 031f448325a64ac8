"""The pages of studies, built from a real store."""

import re
from dataclasses import replace

import pytest

from atlas import studies
from atlas.inception.layers import get_layer
from atlas.plan.config import override
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.dead.settings import Settings as DeadSettings
from atlas.studies.fields.jobs import field_probes
from atlas.studies.fields.result import Disc, FieldPoint, Fields, fields_spec
from atlas.studies.fields.settings import Settings as FieldsSettings
from atlas.studies.influence.page import make_map
from atlas.studies.neurons.jobs import beside_jobs, neuron_jobs
from atlas.studies.neurons.settings import Settings as NeuronsSettings
from stores import WEIGHTS, fill, put


@pytest.fixture(scope="module")
def site(studied):
    build_site(studied.config, studied.renderer.weights.id, studies.pages())
    return studied.config.site


def words_of(path):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text()))


def test_the_site_is_whole(site):
    assert check_site(site).faults == ()


def test_home_leads_to_every_study(site):
    home = (site / "index.html").read_text()
    for page in ("neurons", "fields", "influence"):
        assert f'href="{page}/index.html"' in home
        assert (site / page / "index.html").is_file()


def test_a_study_without_a_finding_has_no_page_and_no_link(studied, tmp_path):
    bare = replace(studied.config.only_features(), site=tmp_path / "site")
    bare = bare.with_study(replace(bare.study(DeadSettings), features=0))
    build_site(bare, studied.renderer.weights.id, studies.pages())
    assert not (tmp_path / "site" / "influence").exists()
    assert "Studies" not in (tmp_path / "site" / "index.html").read_text()


def test_a_neuron_page_marks_field_place_and_change(site):
    page = (site / "Conv2d_2a_3x3/7/10-20/index.html").read_text()
    # receptive field 7 px around (23.5, 43.5)
    assert '<rect x="40.0" y="20.0" width="7.0" height="7.0"/>' in page
    assert 'cx="43.5" cy="23.5"' in page
    assert "row 23, column 43 of the picture" in words_of(site / "Conv2d_2a_3x3/7/10-20/index.html")
    wide = words_of(site / "Mixed_5b/7/1-5/index.html")
    assert "31 × 31 px in theory" in wide
    assert "covers the whole picture" not in wide


def test_every_listed_feature_has_a_page(site):
    for feature in ("Conv2d_2a_3x3/5", "Conv2d_2a_3x3/7", "Mixed_5b/3", "Mixed_5b/7", "Mixed_6b/654"):
        assert (site / feature / "index.html").is_file()


def test_a_rendering_beside_the_features_has_its_record(site):
    records = list((site / "renderings").rglob("record.json"))
    assert len(records) == len(list((site / "renderings").rglob("picture.avif"))) > 20


def test_the_influence_page_says_what_was_measured(site):
    words = words_of(site / "influence/index.html")
    assert "fields do not meet: the other neuron changed 0, 0 % of the change by the nearer neuron itself" in words
    assert words.count("cannot be judged, since not all three pictures were raised") == 5  # of two features, three ways
    assert "float32 against float64" in words
    assert "outside of the added neuron" in words
    assert (site / "influence/index.html").read_text().count("<svg") >= 6


def test_a_map_halves_from_shade_to_shade_and_joins_neighbours():
    made = make_map("corner disturbed", ((0.8, 0.8, 0.4), (0.0, 0.1, 0.01), (0.2, 0.2, 0.2)))
    assert made["runs"] == [(0, 0, 2, 10), (0, 2, 1, 8), (1, 1, 1, 4), (2, 0, 3, 6)]
    assert make_map("nothing", ((0.0, 0.0), (0.0, 0.0)))["runs"] == []


def test_the_fields_page_has_a_row_a_branch(site, studied):
    page = (site / "fields/index.html").read_text()
    assert page.count('<th scope="row">branch') == 4
    assert re.findall(r'<th scope="row"><a href="../(.*?)">(.*?)</a></th><td>(.*?)</td><td>(.*?)</td>', page) == [
        (f"Mixed_5b/{feature}/index.html", feature, "branch1x1", "31 × 31\u00a0px") for feature in ("0", "3", "7")
    ]
    assert page.count("the guess cannot be judged") == 2
    found = Results(studied.config, studied.renderer.weights.id).read(fields_spec("Mixed_5b"))
    drawn = [disc for point in found.points for disc in (point.start, point.end, point.change) if disc]
    assert page.count("<circle") == len(drawn)
    chosen = found.points[1]
    assert f"<td>{chosen.end.radius:.0f}\u00a0px</td><td>{chosen.change.radius:.0f}\u00a0px</td></tr>" in page


def write_fields(config, layer):
    """A finding of a layer: radii that differ by disc and by feature, and some are missing."""
    points = []
    for at, probe in enumerate(field_probes(config, layer)):
        put(config.store, probe.job)
        discs = [None if at % 5 == n else Disc(80, 80, 20 + 30 * n + at / 10) for n in range(3)]
        branch = get_layer(layer).branch_of(probe.feature).name
        points.append(FieldPoint(probe.feature, branch, probe.is_spread, probe.is_named, *discs))
    Results(config, WEIGHTS).write(fields_spec(layer), Fields(layer, (4, 4), 160, tuple(points)))


def test_the_articles_own_features_are_on_the_fields_page(tmp_path):
    config = override(load_config("demo"), layers="Conv2d_2b_3x3,Mixed_6b", features="1")
    fields = replace(config.study(FieldsSettings), layers=("Mixed_6b", "Conv2d_2b_3x3"), features=8)
    config = config.only_features().with_study(fields, config.study(NeuronsSettings))
    config = replace(config, store=tmp_path / "store", site=tmp_path / "site")
    fill(config)
    for layer in fields.layers:
        write_fields(config, layer)
    build_site(config, WEIGHTS, studies.pages())
    page = (config.site / "fields/index.html").read_text()
    rows = re.findall(r'<tr><th scope="row"><a href="../Mixed_6b/(.*?)/index.html">.*?</th>(.*?)</tr>', page)
    cells = {int(feature): re.findall(r"<td>(.*?)</td>", row) for feature, row in rows}
    assert list(cells) == [354, 415, 654]
    assert cells[415] == ["branch7x7dbl", "351 × 351\u00a0px", "22\u00a0px", "52\u00a0px", "82\u00a0px"]
    assert cells[654] == ["branch_pool", "191 × 191\u00a0px", "no gradient", "53\u00a0px", "83\u00a0px"]
    words = words_of(config.site / "fields/index.html")
    assert words.count("the guess does hold") + words.count("cannot be told from these") == 2
    assert "Conv2d_2b_3x3 is one convolution: it has no branches that could be compared." in words
    assert check_site(config.site).faults == ()


def test_a_neuron_that_was_not_raised_is_said_to_be_so_in_the_list(site, studied):
    source = Results(studied.config, studied.renderer.weights.id)
    (beside,) = beside_jobs(studied.config)
    jobs = (*beside, *neuron_jobs(studied.config))
    words = words_of(site / "neurons/index.html")
    lost = [str(job.target) for job in jobs if not source.is_raised(job)]
    assert len(lost) < len(jobs)
    for job in jobs:
        said = f"{job.target}: not raised" in words or f"{job.target}: no gradient" in words
        assert said == (str(job.target) in lost)
