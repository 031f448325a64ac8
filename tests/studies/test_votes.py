"""Votes for classes: they sum to the logit, what they say is on the pages, and a walk leads down to Conv2d_1a."""

import math
import re
import shutil
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from atlas import pipeline, studies
from atlas.cli.console import RunConsole
from atlas.demo.pictures import CLASSES
from atlas.inception.layers import FC
from atlas.inception.targets import feature_target
from atlas.plan.jobs import layer_jobs
from atlas.rendering.model import Network
from atlas.rendering.weights import load_weights
from atlas.runs import RunOptions
from atlas.site.build import build_site
from atlas.site.catalogue import gather_atlas
from atlas.site.check import check_site
from atlas.site.pages.orders import orders_script
from atlas.site.study_page import with_weights
from atlas.store.masters import master_path, read_record
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.shared.context import MeasureContext, to_tensor
from atlas.studies.votes.measure import both_ends, held_copies, moves, votes_from
from atlas.studies.votes.result import COPIES, VOTERS, VOTES, WEIGHED
from atlas.studies.votes.settings import Settings

PAGES = studies.pages()
CPU = torch.device("cpu")
OPTIONS = RunOptions(device="cpu", threads=1, batch_size=2)
TEXT = """
extends = "demo"
[features]
layers = ["Mixed_7b", "Mixed_7c", "fc"]
count = [0, 34]
recipe = "tiny"
[recipes.tiny]
gradient = "rms"
octaves = [
  { size = 96, steps = 30, lr = [0.08, 0.06], sigma = [1.2, 0.6] },
  { size = 112, steps = 20, lr = [0.06, 0.02], sigma = [0.8, 0.3] },
]
[votes]
strongest = 3
voters = 2
[connections]
strongest = 2
[dead]
features = 0
[dream]
photos = ["drawn"]
targets = ["fc[34]"]
recipe = "dreamed"
[recipes.dreamed]
gradient = "rms"
octaves = [{ size = 80, steps = 4, lr = [0.03, 0.02] }]
[tuning]
size = 0
[seeds]
features = 0
[compare]
targets = []
raw_features = 0
recipe_features = 0
[examples]
folder = ""
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("votes")
    (folder / "atlas.toml").write_text(TEXT)
    config = load_config(str(folder / "atlas.toml"))
    empty = [settings.emptied() for kind, settings in config.studies.items() if "seeds" not in kind.__module__]
    kept = [config.study(kind) for kind in config.studies if kind.__module__.split(".")[-2] in KEPT]
    config = config.with_study(*empty, *kept)
    config = replace(config, store=folder / "store", site=folder / "site")
    with RunConsole() as console:
        pipeline.build(config, OPTIONS, console)
    return with_weights(config, load_weights("demo").id, PAGES)


KEPT = ("votes", "connections", "dreams", "dead", "tuning")


@pytest.fixture(scope="module")
def context(built):
    renderer = pipeline.make_renderer(built, OPTIONS)
    return MeasureContext(Results(built, renderer.weights.id), renderer)


@pytest.fixture(scope="module")
def votes(context):
    return context.results.read(VOTES)


@pytest.fixture(scope="module")
def weighed(context):
    return context.results.read(WEIGHED)


def page(built, path):
    return (built.site / path).read_text()


def test_all_votes_and_the_bias_are_the_logit(context):
    """To 1e-6, against the network in float64."""
    job = layer_jobs(context.config, FC)[0]
    image = to_tensor(context.picture(job))[None].double()
    tensors = context.renderer.weights.tensors
    network = Network(context.renderer.weights, CPU, torch.float64)
    with torch.inference_mode():
        maps = network.activations(image, {VOTERS, FC})
    for number, logit in enumerate(maps[FC].flatten().tolist()):
        found = votes_from(maps[VOTERS], tensors[f"{FC}.weight"][number])
        assert float(found.sum() + tensors[f"{FC}.bias"][number].double()) == pytest.approx(logit, abs=1e-6)


def test_what_is_kept_adds_up_to_the_score_of_the_picture(context, votes):
    for job in layer_jobs(context.config, FC):
        one, number = votes.classes[job.target.terms[0].feature], job.target.terms[0].feature
        record = read_record(master_path(context.config.store, context.results.weights, job))
        picture, network = to_tensor(context.picture(job))[None], context.renderer.network("fp32")
        with torch.inference_mode():
            logits = network.activations(picture, {FC})[FC].flatten().tolist()
        assert one.logit == pytest.approx(logits[number], rel=1e-4)
        share = dict(one.seen)[number]
        assert math.log(share / (1 - share)) == pytest.approx(record.score_shown, abs=2e-3)
        assert [vote for _, vote in one.votes_for] == sorted((vote for _, vote in one.votes_for), reverse=True)
        assert all(vote > 0 for _, vote in one.votes_for)
        assert all(vote < 0 for _, vote in one.votes_against)
        assert one.voters <= 2048


def test_a_feature_votes_by_its_weights(context, weighed):
    weights = context.renderer.weights.tensors[f"{FC}.weight"]
    assert set(weighed.features) == set(context.config.features_of(VOTERS))
    for number, one in weighed.features.items():
        column = weights[:, number].tolist()
        expected = sorted(range(len(column)), key=lambda at: -column[at])[:3]
        assert [at for at, _ in one.votes_for] == [at for at in expected if column[at] > 0]


def test_the_features_with_the_largest_votes_for_a_class_are_rendered_and_have_pages(built, context, votes):
    expected = {at for number in (0, 34) for at, _ in votes.classes[number].votes_for[:2]}
    assert len(expected) > 2
    assert set(built.features_of(VOTERS)) == {0, 34} | expected
    for at in expected:
        assert 'data-status="pending"' not in page(built, f"{VOTERS}/{at}/index.html")
    off = built.with_study(replace(built.study(Settings), voters=0))
    none = with_weights(off, context.results.weights, PAGES)
    assert none.features_of(VOTERS) == (0, 34)


def test_a_class_that_is_rendered_anew_takes_no_pages_away(built, context, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(built.store, store)
    config = replace(built, store=store)
    job = layer_jobs(config, FC)[0]
    master_path(store, context.results.weights, job).unlink()
    again = with_weights(config, context.results.weights, PAGES)
    assert again.features_of(VOTERS) == built.features_of(VOTERS)
    assert Results(again, context.results.weights).read(VOTES) is None


def test_a_site_takes_the_names_of_classes_that_its_configuration_gives(built, context, tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("".join(f"thing {number}\n" for number in range(55)))
    atlas = gather_atlas(replace(built, class_names=file), context.results.weights, PAGES)
    assert [atlas.words_of(feature) for feature in atlas.layer(FC).features] == ["thing 0", "thing 34"]


def test_names_of_classes_are_escaped_where_a_script_writes_them(built, context, tmp_path):
    strange = replace(context.results.weights, classes=("<b>&",) * 55)
    atlas = gather_atlas(replace(built, site=tmp_path), strange, PAGES)
    assert b"&lt;b&gt;&amp;" in orders_script(atlas, FC)
    assert b"<b>" not in orders_script(atlas, FC)


def test_both_ends_are_largest_and_least_and_on_their_side_of_zero():
    assert both_ends(torch.tensor([0.5, -2.0, 3.0, 0.0, -1.0]), 2) == (((2, 3.0), (0, 0.5)), ((1, -2.0), (4, -1.0)))
    assert both_ends(torch.tensor([1.0]), 4) == (((0, 1.0),), ())


def test_copies_are_moved_and_scaled_and_always_the_same():
    one = moves(COPIES)
    assert torch.equal(one, moves(COPIES))
    assert len({tuple(map(tuple, some.tolist())) for some in one}) == COPIES
    picture = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    moved = F.grid_sample(picture, F.affine_grid(one[:1], [1, 3, 40, 40], align_corners=False), align_corners=False)
    assert (moved - picture).abs().mean() > 0.05
    assert (one[:, 0, 0] - 1).abs().max() < 0.16
    assert one[:, :, 2].abs().max() < 0.17  # of half a side


class AlwaysSecond:
    """A network that sees class 1 in whatever is not black."""

    device = CPU

    def activations(self, images, _):
        return {FC: torch.stack([torch.zeros(len(images)), images.mean((1, 2, 3))], 1)[..., None, None]}


def test_copies_that_are_still_the_class_are_counted(context):
    grey = torch.full((1, 3, 40, 40), 0.5)
    assert held_copies(context, AlwaysSecond(), grey, 1) == COPIES
    assert held_copies(context, AlwaysSecond(), grey, 0) == 0


def test_a_class_page_names_its_class_and_its_votes_add_up(built, votes):
    text = page(built, "fc/34/index.html")
    assert "<title>fc 34: face" in text
    assert "<dt>Probability</dt>" in text
    table = text[text.index('id="votes"') :]
    cells = re.findall(r"<td>(?:<strong>)?([+\N{MINUS SIGN}]?[\d.]+)(?:</strong>)?</td></tr>", table)
    numbers = [float(cell.replace("\N{MINUS SIGN}", "-")) for cell in cells]
    *parts, logit = numbers
    assert logit == pytest.approx(votes.classes[34].logit, abs=0.006)
    assert sum(parts) == pytest.approx(logit, abs=0.005 * len(numbers))


def test_the_way_down_goes_by_the_features_that_vote_and_feed_most(built, context, votes):
    from atlas.studies.connections.result import connections_spec

    text = page(built, "fc/34/index.html")
    way = text[text.index('id="way"') :].partition("</ul>")[0]
    first = votes.classes[34].votes_for[0][0]
    second = context.results.read(connections_spec(VOTERS)).fed_by_planned[first][0][0]
    assert re.findall(r'href="\.\./\.\./([^"]+)/index\.html"|href="(index\.html)"', way) == [
        ("", "index.html"), (f"Mixed_7c/{first}", ""), (f"Mixed_7b/{second}", "")
    ]  # fmt: skip


def test_a_feature_of_mixed_7c_names_classes_and_links_those_of_the_atlas(built, weighed):
    text = page(built, "Mixed_7c/34/index.html")
    section = text[text.index('id="votes"') :]
    for number, _ in (*weighed.features[34].votes_for, *weighed.features[34].votes_against):
        name = f'<a href="../../fc/{number}/index.html">{CLASSES[number]}</a>' if number in (0, 34) else CLASSES[number]
        assert f'<th scope="row">{name}</th>' in section
    assert 'id="votes"' not in page(built, "Mixed_7b/34/index.html")


def test_search_data_and_tiles_know_the_name_of_a_class(built):
    assert "face" in page(built, "static/index.js")
    assert "fc[34],fc,34," in page(built, "features.csv")
    assert re.search(r'"target": "fc\[34\]".*?"responds_to": "face"', page(built, "features.json"), re.DOTALL)
    assert '<span class="said">face</span>' in page(built, "fc/index.html")
    assert ">2 of 55 classes" in page(built, "index.html").replace("\n", "").replace('<span class="many">· ', ">")


def test_a_dream_towards_a_class_states_its_probability_before_and_after(built):
    (file,) = (built.site / "dreams").glob("*fc_0034/index.html")
    text = file.read_text()
    assert re.search(r"<dt>Probability</dt><dd>.* before, <strong>.* after", text)
    assert "<code>fc[34]</code>, face" in text


def test_the_site_is_whole_and_without_a_classifier_it_has_no_region(built, tmp_path, context):
    assert check_site(built.site).faults == ()
    bare = replace(context.renderer.weights.id, classes=())
    other = replace(built, site=tmp_path / "site", classes=0).with_study(
        *(settings.emptied() for settings in built.studies.values())
    )
    build_site(other, bare, studies.pages())
    assert not (other.site / "fc").exists()
    assert not (other.site / "region" / "classifier").exists()
    assert check_site(other.site).faults == ()


def test_no_votes_are_wanted_without_classes_or_where_they_are_switched_off(built, context):
    off = built.with_study(replace(built.study(Settings), strongest=0))
    none = built.with_study(*(settings.emptied() for settings in built.studies.values())).with_classes(0)
    wanted = [Results(config, context.renderer.weights.id).digest(VOTES) for config in (built, off, none)]
    assert [digest is not None for digest in wanted] == [True, False, False]


@pytest.mark.parametrize("number", [5, 34, 53])
def test_renderings_of_classes_are_classified_as_their_class(number, context):
    job = replace(layer_jobs(context.config, FC)[0], target=feature_target(FC, number))
    (made,) = context.renderer.render([job], 1)
    assert made.record.score_shown > 0
