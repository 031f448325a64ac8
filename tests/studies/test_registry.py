"""A study from outside: one package, one template, one registration; it has settings, jobs, a result and a page."""

import shutil
import sys
from dataclasses import replace

import pytest
import torch

from atlas import studies
from atlas.common.errors import ConfigError
from atlas.inception.targets import parse
from atlas.plan.jobs import Job, rounds
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.renderer import Renderer
from atlas.site import build
from atlas.site import templates as site_templates
from atlas.site.catalogue import gather_atlas
from atlas.store.results import Results
from atlas.store.weights_ids import write_weights_id
from atlas.studies import Study, all_jobs, load_config
from atlas.studies.run import run_studies
from studied import run_batches

MODULES = {
    "settings": '''
from dataclasses import dataclass
from typing import Annotated

from atlas.plan.settings import FeatureTargets, StudySettings, Whole


@dataclass(frozen=True)
class Settings(StudySettings):
    """Features whose picture is summed up; every field has a default, since no preset has the table."""

    targets: FeatureTargets = ()
    digits: Annotated[int, Whole(1, 9)] = 3
''',
    "jobs": """
from atlas.plan.jobs import Job
from toy_study.settings import Settings


def jobs(config):
    recipe = config.get_recipe("tiny")
    return tuple(Job(target, recipe, config.seed) for target in config.study(Settings).targets)
""",
    "result": """
from dataclasses import dataclass

from atlas.store.results import ResultSpec
from toy_study.jobs import jobs
from toy_study.settings import Settings


@dataclass(frozen=True)
class Brightness:
    means: tuple[float, ...]


def settings(config):
    return (config.study(Settings).digits,) if jobs(config) else ()


BRIGHTNESS = ResultSpec("toy", 1, Brightness, jobs, settings)
""",
    "measure": """
from atlas.studies.shared.context import Measurement
from toy_study.jobs import jobs
from toy_study.result import BRIGHTNESS, Brightness
from toy_study.settings import Settings


def measurements(_):
    yield Measurement(BRIGHTNESS, measure)


def measure(context):
    config = context.results.config
    digits = config.study(Settings).digits
    return Brightness(tuple(round(float(context.picture(job).mean()), digits) for job in jobs(config)))
""",
    "page": """
from atlas.site.study_page import StudyCard, StudyPage
from toy_study.jobs import jobs
from toy_study.result import BRIGHTNESS
from toy_study.settings import Settings

CARD = StudyCard("toy", "Brightness", "How bright are the pictures?")


def pages(atlas):
    if wanted := jobs(atlas.config):
        found = atlas.result(BRIGHTNESS)
        means = found.means if found else [None] * len(wanted)
        rows = [(str(job.target), mean) for job, mean in zip(wanted, means)]
        yield CARD.page("Mean brightness of pictures.", rows=rows)


PAGE = StudyPage(
    card=CARD, pages=pages, jobs=jobs, mentions=CARD.mentions(Settings)
)
""",
}
TEMPLATE = """{% extends "base.html" %}
{% block main %}
<h1>{{ page.title }}</h1>
{% for target, mean in body.rows %}
<p>{{ target }}: {{ "pending" if mean is none else mean }}</p>
{% endfor %}
{% endblock %}
"""
TEXT = """
extends = "demo"
[features]
layers = ["Conv2d_1a_3x3"]
count = 1
recipe = "tiny"
only = true
[recipes.tiny]
gradient = "rms"
octaves = [{ size = 75, steps = 2, lr = [0.05, 0.02] }]
[toy]
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    package = tmp_path / "outside" / "toy_study"
    package.mkdir(parents=True)
    for name, code in {"__init__": "", **MODULES}.items():
        (package / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(package.parent)
    templates = tmp_path / "templates"
    shutil.copytree(build.templates_folder(), templates)
    (templates / "studies" / "toy.html").write_text(TEMPLATE)
    for module in (build, site_templates):
        monkeypatch.setattr(module, "templates_folder", lambda: templates)
    monkeypatch.setattr(site_templates, "_source_digest", site_templates._source_digest.__wrapped__)  # of these alone
    monkeypatch.setattr(studies, "STUDIES", (*studies.STUDIES, Study("toy", package="toy_study")))
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "toy_study"]:
        del sys.modules[name]


def load(folder, more, text=TEXT):
    file = folder / "atlas.toml"
    file.write_text(text + more)
    return replace(load_config(str(file)), store=folder / "store", site=folder / "site")


def test_a_study_from_outside_has_settings(toy, tmp_path):
    from toy_study.settings import Settings

    assert load_config("demo").study(Settings) == Settings()
    shown = load(tmp_path, 'targets = ["Conv2d_1a_3x3[3]"]\n', TEXT.replace("only = true", ""))
    assert [str(target) for target in shown.study(Settings).targets] == ["Conv2d_1a_3x3[3]"]
    assert 3 in shown.features_of("Conv2d_1a_3x3")  # what it names has a page
    alone = load(tmp_path, 'targets = ["Conv2d_1a_3x3[3]"]\n')
    assert alone.study(Settings).targets == ()
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, 'targets = ["Conv2d_1a_3x3[32]"]\ndigit = 10\n')
    assert 'toy.targets[0] = "Conv2d_1a_3x3[32]"' in str(caught.value)
    assert 'toy.digit = 10: no such key; did you mean "digits"?' in str(caught.value)


def test_a_table_of_no_study_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"toy = .*: no such key"):
        load(tmp_path, "")


def test_a_study_from_outside_is_rendered_measured_and_shown(toy, tmp_path, weights):
    from toy_study.jobs import jobs
    from toy_study.result import BRIGHTNESS
    from toy_study.settings import Settings

    config = load(tmp_path, "digits = 2\n")
    listed = load(tmp_path, 'targets = ["Conv2d_1a_3x3[3]"]\n', TEXT.replace("only = true", "")).study(Settings)
    config = config.with_study(replace(listed, digits=2))
    (job,) = jobs(config)
    assert job in all_jobs(config)
    cpu = torch.device("cpu")
    renderer = Renderer(weights, cpu, resolve_numerics(cpu, "fp32", 1))
    write_weights_id(config.store, weights.id)
    for batches in rounds([job], "cpu", 1):
        run_batches(batches, renderer, config.store, Report(), lambda outcome: None)
    measured: list[str] = []
    assert run_studies(config, renderer, measured.append) == []
    assert "toy" in measured
    (mean,) = Results(config, weights.id).read(BRIGHTNESS).means
    assert 0 < mean == round(mean, 2) < 1
    build.build_site(config, weights.id, studies.pages())
    assert f"<p>Conv2d_1a_3x3[3]: {mean}</p>" in (config.site / "toy/index.html").read_text()
    assert "How bright are the pictures?" in (config.site / "index.html").read_text()
    assert "toy/index.html" in (config.site / "Conv2d_1a_3x3/3/index.html").read_text()  # elsewhere in this atlas


def test_a_rendering_that_no_study_lists_is_an_error_that_says_where_to_list_it(tmp_path):
    atlas = gather_atlas(load(tmp_path, "", TEXT.replace("[toy]\n", "")), None)
    job = Job(parse("Conv2d_1a_3x3[3]"), atlas.recipe, 999)
    assert job not in atlas.renderings
    with pytest.raises(KeyError, match=r"Conv2d_1a_3x3\[3\] by recipe tiny: not in the jobs of any StudyPage"):
        atlas.renderings[job]
