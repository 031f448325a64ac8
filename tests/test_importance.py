"""The importance map of a rendering by phases: how much each pixel counted, beside the master."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from atlas.inception import targets
from atlas.plan.jobs import Batch, Job
from atlas.plan.recipes import Octave, Recipe, Transform
from atlas.rendering.descent import Rows, descend, gradient_at, make_schedule, take_step, to_grey
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.objectives import compile_objective
from atlas.rendering.outcomes import Report
from atlas.rendering.parameterization import make_parameterization, start_image
from atlas.rendering.renderer import Renderer
from atlas.rendering.transforms import make_views, see
from atlas.site.check import check_store
from atlas.store.importance import find_importance, importance_path, write_importance
from atlas.store.masters import list_masters, master_path, read_record
from atlas.store.weights_ids import write_weights_id
from studied import run_batches

CPU = torch.device("cpu")
PHASES = Recipe(
    "phases",
    (Octave(76, 2, (0.5, 0.3)), Octave(80, 3, (0.3, 0.1))),
    parameterization="phase",
    color="decorrelated",
    optimizer="adam",
    transforms=(Transform(crop=(0.5, 0.7)), Transform(noise=0.05)),
)
TARGETS = [targets.parse(text) for text in ("Conv2d_2a_3x3[7]", "Conv2d_2a_3x3[5]")]


def job(text: str, recipe: Recipe = PHASES) -> Job:
    return Job(targets.parse(text), recipe, 999)


@pytest.fixture(scope="module")
def renderer(weights) -> Renderer:
    return Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))


@pytest.fixture(scope="module")
def rendered(renderer, tmp_path_factory) -> tuple[Path, list[Job]]:
    store = tmp_path_factory.mktemp("store")
    jobs = [job("Conv2d_2a_3x3[7]"), job("Conv2d_2a_3x3[7]", replace(PHASES, name="f", parameterization="fourier"))]
    write_weights_id(store, renderer.weights.id)
    run_batches([Batch((one,), 1) for one in jobs], renderer, store, Report(), lambda _: None)
    return store, jobs


def test_it_is_the_sum_of_the_gradients_magnitudes_over_the_steps_of_the_last_octave(renderer) -> None:
    network = renderer.network("fp32")
    start = start_image(PHASES, 999, (76, 76))[None].repeat(2, 1, 1, 1)
    images: list[torch.Tensor] = []
    kept: list[torch.Tensor] = []
    found = descend(
        network, TARGETS, PHASES, start, seed=999, after_step=images.append, after_octave=lambda one: kept.append(one)
    )
    assert len(images) == 5
    # the images before each step of the last octave are those after the one before; the first is the enlarged one
    views = make_views(PHASES, 1, 999, (80, 80), start)
    objective = compile_objective(TARGETS, (76, 76), (80, 80), CPU, start.dtype)
    sums = torch.zeros(2, 80, 80)
    for at in (1, 2):
        look = partial(see, views=views, step=torch.tensor(at))
        sums += gradient_at(network, objective, PHASES, images[1 + at], look).abs().sum(1)
    for one, least in zip(found, sums, strict=True):
        assert one.importance is not None
        assert one.importance.shape == (80, 80)
        first = one.importance - least  # what the first step added: a gradient too, so nowhere negative
        assert first.min() >= -1e-4 * least.max()
        assert first.max() > 0.1 * least.max()


def test_the_part_that_a_crop_never_shows_does_not_count(renderer) -> None:
    recipe = replace(PHASES, octaves=(Octave(76, 1, (0.5, 0.3)),), transforms=(Transform(crop=(0.5, 0.5)),))
    start = start_image(recipe, 999, (76, 76))[None]
    (found,) = descend(renderer.network("fp32"), TARGETS[:1], recipe, start, seed=999)
    assert found.importance is not None
    share = (found.importance > 0).float().mean().item()
    assert 0.15 < share < 0.3  # half of each side, and the neighbours between which it looks up


def test_a_row_that_fails_keeps_its_map_and_the_others_go_on(renderer) -> None:
    start = start_image(PHASES, 999, (76, 76))[None].repeat(2, 1, 1, 1)
    form = make_parameterization(PHASES, (76, 76), 999, start)
    rows = Rows.first(form.params(start)).at_octave(form.params(start), form, "adam")
    schedule = make_schedule(PHASES.octaves[0], 0, TARGETS, PHASES, form, (), start)
    gradient = torch.ones(2, 3, 76, 76)
    gradient[0, 0, 0, 0] = math.nan
    by_params = torch.ones_like(rows.params)
    by_params[0, 0, 0, 0] = math.nan
    found = take_step(rows, gradient, by_params, schedule)
    assert found.alive.tolist() == [False, True]
    assert not found.importance[0][0].any()
    assert torch.equal(found.importance[0][1], torch.full((76, 76), 3.0))


def test_a_grey_picture_of_it_is_white_where_it_is_largest_and_of_nothing_black() -> None:
    importance = torch.linspace(0, 1, 200).view(10, 20)
    grey = to_grey(importance)
    assert grey.dtype == torch.uint8
    assert grey.max() == 255
    assert grey.min() == 0
    assert abs(grey[5, 0].item() / 255 - importance[5, 0].item() / 0.99) < 0.01
    assert not to_grey(torch.zeros(4, 4)).any()


def test_it_lies_beside_its_master_and_is_no_master(rendered, renderer) -> None:
    store, (phases, fourier) = rendered
    paths = [master_path(store, renderer.weights.id, one) for one in (phases, fourier)]
    assert sorted(list_masters(store)) == sorted(paths)
    assert find_importance(paths[0], phases, read_record(paths[0])) == importance_path(paths[0])
    assert not importance_path(paths[1]).exists()
    assert find_importance(paths[1], fourier, read_record(paths[1])) is None
    assert check_store(store) == []
    with Image.open(importance_path(paths[0])) as picture:
        assert picture.size == (80, 80)


def test_one_of_another_picture_is_not_shown_and_named(rendered, renderer, tmp_path) -> None:
    store, (phases, _) = rendered
    source = master_path(store, renderer.weights.id, phases)
    record = read_record(source)
    folder = tmp_path / source.parent.parent.name / source.parent.name
    folder.mkdir(parents=True)
    write_weights_id(tmp_path, renderer.weights.id)
    master = folder / source.name
    master.write_bytes(source.read_bytes())
    write_importance(master, Image.new("L", (80, 80)), replace(record, pixels_sha256="0" * 64))
    assert find_importance(master, phases, record) is None
    (fault,) = check_store(tmp_path)
    assert str(importance_path(master)) in fault
    assert "belongs to no master" in fault
