"""Features without a gradient: which are rescued, the page that counts them, and the pipeline's second pass."""

import re
from dataclasses import replace

import pytest

from atlas import pipeline, runs, studies
from atlas.common.errors import ConfigError
from atlas.inception.targets import feature_target, parse
from atlas.plan.config import override
from atlas.plan.jobs import Job, feature_jobs
from atlas.runs import RunOptions
from atlas.site import words
from atlas.site.build import build_site
from atlas.site.catalogue import Feature, PlannedRendering, gather_atlas
from atlas.site.check import check_site
from atlas.site.study_page import StudyPage
from atlas.site.templates import NO_BREAK
from atlas.store.masters import read_record
from atlas.store.records import OctaveScores
from atlas.studies import load_config
from atlas.studies.dead.rescues import rescue_recipe, rescues
from macros import render_macro
from seeded import closed
from stores import WEIGHTS, fill, put, record

TEXT = """
extends = "article"
[features]
layers = ["Conv2d_1a_3x3", "Mixed_5b", "Mixed_6a"]
count = 4
recipe = "grey"
only = true
[recipes.grey]
gradient = "rms"
octaves = [{ size = 75, steps = 20, lr = [0.02, 0.02] }]
[recipes.back]
gradient = "rms"
rescue_steps = 16
octaves = [{ size = 75, steps = 20, lr = [0.02, 0.02] }]
"""
WORDS = "studies/dead_words.html"
DEAD = 'recipe = "back"\nfeatures = 2\n'


@pytest.fixture
def load(tmp_path):
    """A configuration of features alone, to which their rescues belong."""

    def write(dead=DEAD, text=TEXT):
        file = tmp_path / "mine.toml"
        file.write_text(text + "[dead]\n" + dead)
        return replace(load_config(str(file)), store=tmp_path / "store", site=tmp_path / "site")

    return write


def rescued_job(config, text):
    return Job(parse(text), config.get_recipe("back"), 999)


def test_the_first_dead_features_of_each_layer_are_rescued(load):
    config = load()
    every = feature_jobs(config)
    found = rescues(config, [*every[::-1], Job(feature_target("Mixed_7c", 1), every[0].recipe, 999)])
    assert [own for own, _ in found] == [*every[0:2], *every[4:6], *every[8:10]]
    assert [rescued for _, rescued in found] == [
        rescued_job(config, f"{layer}[{feature}]")
        for layer in ("Conv2d_1a_3x3", "Mixed_5b", "Mixed_6a")
        for feature in (0, 1)
    ]
    assert rescues(config, every[2:3]) == (rescues(config, every[2:])[0],)
    assert rescues(config, ()) == ()
    assert rescues(load('recipe = "back"\nfeatures = 0\n'), every) == ()


def test_what_is_rendered_by_the_rescuing_recipe_already_is_not_rescued_again(load):
    config = load(text=TEXT.replace('recipe = "grey"', 'recipe = "back"'))
    assert rescues(config, feature_jobs(config)) == ()


def test_the_recipe_that_rescues_is_the_features_own_unless_one_is_named(load):
    assert rescue_recipe(load()).name == "back"
    own = load("features = 1\n", text=TEXT.replace("rescue_steps = 16", "rescue_steps = 17"))
    found = rescue_recipe(own)
    assert (found.name, found.rescue_steps, found.octaves) == ("grey-rescued", 16, own.get_recipe("grey").octaves)
    assert rescue_recipe(load_config()).name == "crisp"  # which rescues from the start
    article = override(load_config(), recipe="octaves")
    assert rescue_recipe(article) == article.get_recipe("rescued")  # the same by another name
    assert rescue_recipe(override(load_config("demo"), recipe="quick")).name == "quick-rescued"
    rescuing = load("features = 1\n", text=TEXT.replace('recipe = "grey"', 'recipe = "back"'))
    assert rescue_recipe(rescuing).name == "back"


def test_a_recipe_without_a_rescue_is_refused(load):
    with pytest.raises(ConfigError, match=r'dead\.recipe = "grey": must be a recipe with rescue_steps'):
        load('recipe = "grey"\n')


def test_the_page_counts_by_layer_and_shows_what_was_rescued(load):
    config = load()
    fill(config, statuses=("no_gradient", "no_gradient", "no_gradient", "ok", "ok", "no_gradient", "ok", None, "ok"))
    for text in ("Conv2d_1a_3x3[0]", "Mixed_5b[1]"):  # Conv2d_1a_3x3[1] is pending
        put(config.store, rescued_job(config, text), seed="rescued")
    build_site(config, WEIGHTS, studies.pages())
    page = (config.site / "dead/index.html").read_text(encoding="utf-8").replace(NO_BREAK, " ")
    rows = re.findall(r"<tr><th scope=\"row\"><a[^>]*>(\w+)</a></th><td>(\d+)</td><td>(\d+)</td><td>([^<]*)</td>", page)
    # nine statuses in turn, so the tenth feature on begin again
    assert rows == [("Conv2d_1a_3x3", "4", "3", "75 %"), ("Mixed_5b", "3", "1", "33 %"), ("Mixed_6a", "4", "3", "75 %")]
    assert "7 of the 11 features rendered here (64 %)" in page
    assert "They lie in 3 of 3 layers." in page
    assert "Of 2 pictures without a gradient, 2 scored higher once rescued." in page
    assert page.count('<figure class="shot">') == 2 + 1 + 2
    assert page.count('<span class="status pending">') == 3
    assert 'href="../renderings/back-' in page
    assert 'href="dead/index.html"' in (config.site / "index.html").read_text(encoding="utf-8")
    assert check_site(config.site).faults == ()


def test_a_dead_features_own_page_shows_its_rescue(load):
    config = load()
    fill(config, statuses=("no_gradient", "no_gradient", "ok", "ok"))
    put(config.store, rescued_job(config, "Mixed_5b[0]"), seed="rescued")
    build_site(config, WEIGHTS, studies.pages())
    pages = {n: (config.site / f"Mixed_5b/{n}/index.html").read_text(encoding="utf-8") for n in (0, 1, 2)}
    assert '<h2 id="rescued">' in pages[0]
    assert "score 0, <a" in pages[0]
    assert "3.142" in pages[0]
    assert "in its first 16 steps" in pages[0]
    for pending_or_ok in (pages[1], pages[2]):
        assert 'id="rescued"' not in pending_or_ok


def test_where_features_stand_together_the_rescued_picture_stands_and_is_marked(load):
    """What the rescue did not raise stays as it is."""
    config = load('recipe = "back"\nfeatures = "all"\n')
    fill(config, statuses=("no_gradient", "not_raised", "no_gradient", "ok"))
    for text, status in (("Mixed_5b[0]", "ok"), ("Mixed_5b[1]", "ok"), ("Mixed_5b[2]", "no_gradient")):
        put(config.store, rescued_job(config, text), status=status, seed="rescued")
    build_site(config, WEIGHTS, studies.pages())
    layer = (config.site / "Mixed_5b/index.html").read_text(encoding="utf-8")
    tiles = re.findall(r'<a class="tile" href="([^"]*)">(.*?)</a>', layer, re.DOTALL)
    marked = [(page, "status rescued" in tile, "renderings/back-" in tile) for page, tile in tiles]
    assert marked == [(f"{n}/index.html", n < 2, n < 2) for n in range(4)]
    assert 'data-facts="not_raised' in layer  # filters go by what the feature's own picture came to
    page = (config.site / "Mixed_5b/1/index.html").read_text(encoding="utf-8")
    assert page.index("renderings/back-") < page.index('id="rescued"')  # first the rescued one, and then both
    assert "the picture is not raised" in page
    assert '"faces":{"0":"renderings/back-' in (config.site / "static/index.js").read_text(encoding="utf-8")
    assert check_site(config.site).faults == ()


def test_sheets_show_the_rescued_pictures(load):
    config = load('recipe = "back"\n')
    fill(config, statuses=("no_gradient",))
    made = {}
    for at, is_rescued in enumerate((False, True)):
        for job in feature_jobs(config) if is_rescued else ():
            put(config.store, rescued_job(config, str(job.target)), seed="rescued")
        site = replace(config, site=config.site / str(at))
        build_site(site, WEIGHTS, studies.pages())
        made[is_rescued] = [
            (site.site / name).read_bytes() for name in ("region/early-mixed/sheet.jpg", "Mixed_5b/sheet.avif")
        ]
    assert made[True][0] != made[False][0]
    assert made[True][1] != made[False][1]


def test_nothing_dead_is_said_to_be_so(load):
    config = load()
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    page = (config.site / "dead/index.html").read_text(encoding="utf-8")
    assert "None of the 12 features rendered here, in 3 layers, is without one." in page
    assert 'id="rescued"' not in page


def test_no_page_where_nothing_is_rescued_or_rendered(load):
    config = load()
    build_site(config, None, studies.pages())
    assert not (config.site / "dead").exists()
    config = load('recipe = "back"\nfeatures = 0\n')
    fill(config, statuses=("no_gradient",))
    build_site(config, WEIGHTS, studies.pages())
    assert not (config.site / "dead").exists()


def test_summary_says_what_a_later_octave_found(load):
    config = load()
    jobs = feature_jobs(config)[4:6]
    dead = [
        Feature(job, "folder", record(job, b"", status="no_gradient"), layer="Mixed_5b", number=number)
        for number, job in enumerate(jobs)
    ]
    assert "raised" not in render_macro(WORDS, "summary", dead)
    later = (OctaveScores(75, 0.0, 0.0), OctaveScores(96, 2.0, 5.0))
    dead[0] = replace(dead[0], record=replace(dead[0].record, octaves=later))
    assert render_macro(WORDS, "summary", dead) == (
        "2 of the 2 features rendered here (100 %) had no gradient at any step. They lie in 1 of 1 layer. 1 of them "
        "was raised by a later octave: an older record counts the first octave alone."
    )


@pytest.mark.parametrize(
    ("scores", "summary"),
    [
        ([], "None of them is rescued yet."),
        ([5.0], "Of 1 picture without a gradient, 1 scored higher once rescued."),
        ([1.0], "Of 1 picture without a gradient, 0 scored higher once rescued."),
        ([5.0, 1.0, None], "Of 3 pictures without a gradient, 1 scored higher once rescued."),
        ([5.0, 6.0], "Of 2 pictures without a gradient, 2 scored higher once rescued."),
    ],
)
def test_summaries_of_rescues(load, scores, summary):
    config = load()
    own, again = feature_jobs(config)[4], rescued_job(config, "Mixed_5b[0]")
    lowest = replace(record(own, b"", status="no_gradient"), score_shown=1.0)
    grey = Feature(own, "Mixed_5b/0", lowest, layer="Mixed_5b", number=0)

    def rescued(score):
        return replace(grey, rescue=PlannedRendering(again, "a", replace(record(again, b""), score_shown=score)))

    pending = replace(grey, rescue=PlannedRendering(again, "a"))
    assert render_macro(WORDS, "rescue_summary", [*map(rescued, scores), pending]) == summary
    lost = replace(grey, record=replace(grey.record, status="not_raised"))
    pair = [rescued(5.0), replace(lost, rescue=rescued(0.5).rescue)]
    assert render_macro(WORDS, "rescue_summary", pair).endswith(
        "Of 1 picture not raised, 0 scored higher once rescued."
    )


def test_what_a_later_octave_raised_needs_no_rescue(load):
    """On ImageNet weights Mixed_7a 0 came to 14.86 without a rescue; an older record calls that no_gradient."""
    job = feature_jobs(load())[4]
    found = {
        (status, shown): replace(record(job, b"", status=status), score_start=0.5, score_shown=shown).needs_rescue
        for status in ("ok", "no_gradient", "not_raised", "failed")
        for shown in (0.5, 14.86)
    }
    assert {key for key, needs in found.items() if needs} == {
        ("no_gradient", 0.5), ("not_raised", 0.5), ("not_raised", 14.86),
    }  # fmt: skip


def test_a_feature_that_a_later_octave_raised_is_said_to_be_so(load):
    job = feature_jobs(load())[4]
    grey = replace(record(job, b"", status="no_gradient"), octaves=(OctaveScores(75, 0.0, 0.0),) * 2)
    feature = PlannedRendering(job, "folder", grey)
    outcome = render_macro("sentences.html", "outcome", feature)
    assert "no step could activate a neuron of this feature" in outcome
    risen = replace(grey, octaves=(OctaveScores(75, 0.0, 0.0), OctaveScores(96, 2.0, 5.0)))
    outcome = render_macro("sentences.html", "outcome", replace(feature, record=risen))
    assert outcome.endswith("A later one, at a larger size, raised it.")


def notes_of(recipe):
    return render_macro("sentences.html", "recipe_notes", recipe)


def test_recipes_with_a_rescue_or_resizing_are_shown_to_be_pasted(tmp_path, recipes):
    file = tmp_path / "atlas.toml"
    for own in (recipes["rescued"], recipes["smooth"]):
        file.write_text(words.own_toml(replace(own, name="own")))
        assert load_config(str(file)).get_recipe("own") == replace(own, name="own")
    assert notes_of(recipes["smooth"]) == (
        "At each step the network sees the image at a random size, 0.9 to 1.1 times its own."
    )
    assert "In the first 16 steps" in notes_of(recipes["rescued"])
    assert notes_of(recipes["octaves"]) == ""


class Quiet:
    """A watcher that keeps what it is told of starts."""

    def __init__(self):
        self.started = []

    def progress(self, task, done, total):
        self.started.append((total, done))

    def __getattr__(self, name):
        return lambda *_: None


def test_a_run_rescues_what_was_not_raised(load, weights, tmp_path, monkeypatch):
    """A first step so large that it closes the feature: the recipe that rescues has smaller ones."""
    monkeypatch.setattr(runs, "load_weights", lambda _: weights)
    text = TEXT.replace("lr = [0.02, 0.02] }]", "lr = [-0.02, -0.02] }]", 1)  # downhill, for the features' own recipe
    config = load(text=text.replace("count = 4", "count = [3]").replace('"Conv2d_1a_3x3", ', ""))
    options = RunOptions(device="cpu", threads=1, batch_size=2)
    report = pipeline.render(config, feature_jobs(config), options, Quiet(), rescue=True)
    assert [one.record.status for one in report.outcomes] == ["not_raised", "not_raised", "ok", "ok"]


def test_a_run_rescues_what_turned_out_to_be_dead_and_no_more(load, weights, tmp_path, monkeypatch):
    """One feature of Mixed_5b is dead on the start noise, and one pooled feature of Mixed_6a."""
    tensors = closed(closed(weights.tensors, "Mixed_5b.branch1x1", 2), "Mixed_5d.branch1x1", 7)
    monkeypatch.setattr(runs, "load_weights", lambda _: replace(weights, tensors=tensors))
    config = load(text=TEXT.replace("count = 4", "count = [2, 3, 487]").replace('"Conv2d_1a_3x3", ', ""))
    options, watcher = RunOptions(device="cpu", threads=1, batch_size=2), Quiet()
    jobs = feature_jobs(config)
    plain = pipeline.render(config, jobs, options, watcher)
    assert len(plain.outcomes) == len(jobs) == 5
    report = pipeline.render(config, jobs, options, watcher, rescue=True)
    rescued = {str(one.job.target): one for one in report.outcomes if one.job.recipe.rescue_steps}
    assert rescued.keys() == {"Mixed_5b[2]", "Mixed_6a[487]"}
    own = {str(one.job.target): one for one in report.outcomes if not one.job.recipe.rescue_steps}
    for text, outcome in rescued.items():
        assert own[text].record.status == "no_gradient"
        assert read_record(outcome.path).status == "ok"
        assert outcome.record.score_shown > own[text].record.score_shown
    assert watcher.started == [(5, 0), (5, 5), (2, 0)]
    again = pipeline.render(config, jobs, options, watcher, rescue=True)
    assert again.rendered == 0
    assert len(again.outcomes) == 7


def test_a_damaged_rescue_that_a_study_lists_too_is_named_once(load):
    config = load()
    fill(config, statuses=("no_gradient",))
    job = rescued_job(config, "Mixed_5b[0]")
    put(config.store, job, seed="rescued").write_bytes(b"no picture")
    own = Job(job.target, config.get_recipe(config.recipe), config.seed)
    page = StudyPage(rescues=lambda _, dead: [(own, job)], jobs=lambda _: [job])
    (line,) = gather_atlas(config, WEIGHTS, [page]).damaged
    assert "damaged" in line
