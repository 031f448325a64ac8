"""How long a run will take: seconds by pixels, operations and recipe, and that they are measured."""

from dataclasses import replace

import pytest
import torch

from atlas import runs
from atlas.inception import targets
from atlas.plan.jobs import Batch, Job
from atlas.plan.recipes import Octave, Recipe, Transform
from atlas.rendering.executors import local
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.pace import Pace, measure_pace
from atlas.runs import RunOptions, expect
from atlas.store.forecast import Forecast

CPU = torch.device("cpu")
PLAIN = Recipe("plain", (Octave(76, 10, (0.1, 0.1)), Octave(100, 5, (0.1, 0.1))))
CRISP = replace(
    PLAIN,
    name="crisp",
    parameterization="fourier",
    color="decorrelated",
    optimizer="adam",
    transforms=(Transform(jitter=4), Transform(scale=(0.9, 1.1)), Transform(rotate=5)),
)


def batch(layer: str, recipe: Recipe, rows: int = 3) -> Batch:
    return Batch((Job(targets.feature_target(layer, 0), recipe, 999),), rows)


def test_more_threads_than_cores_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlas.rendering.pace.count_cores", lambda: 1)
    used = []
    monkeypatch.setattr("atlas.rendering.pace._Clock.pixel", lambda *_: used.append(torch.get_num_threads()) or 1e-9)
    measure_pace(CPU, resolve_numerics(CPU, "fp32", 1000), [PLAIN])
    assert set(used) == {1}


def test_a_batch_takes_seconds_for_its_pixels_and_for_its_operations_at_two_rates() -> None:
    pace = Pace(first=2e-9, deep=1e-9, bend=10_000, beside={PLAIN: 1e-6, CRISP: 3e-6})
    pixels = 3 * (10 * 76**2 + 5 * 100**2)
    assert batch("Mixed_6b", PLAIN).jobs[0].pixels * 3 == pixels
    shallow, deep = batch("Conv2d_1a_3x3", PLAIN), batch("Mixed_6b", PLAIN)
    assert shallow.flops / pixels < 10_000 < deep.flops / pixels
    assert pace.seconds(shallow) == pytest.approx(2e-9 * shallow.flops + 1e-6 * pixels)
    network = 2e-9 * 10_000 * pixels + 1e-9 * (deep.flops - 10_000 * pixels)
    assert pace.seconds(deep) == pytest.approx(network + 1e-6 * pixels)
    assert pace.seconds(batch("Mixed_6b", CRISP)) == pytest.approx(network + 3e-6 * pixels)
    assert replace(pace, workers=4).seconds(deep) == pytest.approx(pace.seconds(deep) / 4)


def test_what_is_left_is_priced_by_recipe_the_longest_first(monkeypatch) -> None:
    pace = Pace(first=2e-9, deep=1e-9, bend=10_000, beside={PLAIN: 1e-6, CRISP: 3e-6})
    monkeypatch.setattr(local, "measure_pace", lambda device, numerics, recipes: pace)
    monkeypatch.setattr(runs, "WORTH_MEASURING", 0)
    executor = local.LocalExecutor(CPU, resolve_numerics(CPU, "fp32", 1))
    jobs = tuple(
        Job(targets.feature_target("Mixed_6b", number), recipe, 999) for number in (0, 1) for recipe in (PLAIN, CRISP)
    )
    found = expect(Forecast(jobs, jobs[1:]), RunOptions(), 2, executor)
    assert [(cost.recipe, cost.renderings) for cost in found.costs] == [("crisp", 2), ("plain", 1)]
    crisp, plain = batch("Mixed_6b", CRISP, 2), batch("Mixed_6b", PLAIN, 2)  # one row of which is padding
    assert found.seconds == pytest.approx(pace.seconds(crisp) + pace.seconds(plain))
    assert found.flops == crisp.flops + plain.flops
    assert expect(Forecast(jobs, ()), RunOptions(), 2, executor).costs == ()
    monkeypatch.setattr(runs, "WORTH_MEASURING", found.flops)
    assert expect(Forecast(jobs, jobs[1:]), RunOptions(), 2, executor).seconds == pytest.approx(found.flops / 30e9)


def test_each_recipe_is_measured_and_the_network_no_slower_than_a_busy_core_may_seem() -> None:
    pace = measure_pace(CPU, resolve_numerics(CPU, "fp32", 1), [PLAIN, CRISP, PLAIN])
    assert pace.beside.keys() == {PLAIN, CRISP}
    assert 0 <= pace.deep <= 1 / 30e9
    assert 0 <= pace.first <= 2 / 30e9
    assert pace.bend < batch("Mixed_6b", PLAIN).jobs[0].flops / PLAIN.octaves[0].size ** 2
