"""Stages of a rendering: its images at the start and after each octave, beside the master that they led to."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops, ImageStat

from atlas.inception import targets
from atlas.plan.jobs import Batch, Job
from atlas.plan.recipes import Octave, Recipe
from atlas.plan.starts import Photo
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.outcomes import Report
from atlas.rendering.parameterization import start_noise
from atlas.rendering.renderer import Renderer
from atlas.site.check import check_store
from atlas.store.masters import master_path, open_master, read_record, write_master
from atlas.store.sidecars import named_pixels
from atlas.store.stages import find_stages, has_stages, stages_path, write_stages
from atlas.store.weights_ids import write_weights_id
from studied import run_batches

CPU = torch.device("cpu")
TWO = Recipe("two", (Octave(76, 2, (0.5, 0.3), (1.2, 0.6)), Octave(96, 2, (0.3, 0.1))), gradient="rms")
ONE = replace(TWO, name="one", octaves=TWO.octaves[:1])


def job(text: str, recipe: Recipe = TWO) -> Job:
    return Job(targets.parse(text), recipe, 999)


@pytest.fixture(scope="module")
def renderer(weights) -> Renderer:
    return Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))


@pytest.fixture(scope="module")
def rendered(renderer, tmp_path_factory) -> tuple[Path, list[Job]]:
    """A store with a feature of two octaves, and things whose stages are not kept."""
    store = tmp_path_factory.mktemp("store")
    jobs = [job("Conv2d_2a_3x3[7]"), job("Conv2d_2a_3x3[5]"), job("Conv2d_2a_3x3[5, 3, 3]")]
    write_weights_id(store, renderer.weights.id)
    batches = [Batch(tuple(jobs), 4), Batch((job("Conv2d_2a_3x3[7]", ONE),), 1)]
    run_batches(batches, renderer, store, Report(), lambda _: None)
    return store, [*jobs, job("Conv2d_2a_3x3[7]", ONE)]


def panels(path: Path) -> list[Image.Image]:
    with Image.open(path) as strip:
        strip = strip.convert("RGB")
        return [strip.crop((x, 0, x + strip.height, strip.height)) for x in range(0, strip.width, strip.height)]


def difference(one: Image.Image, other: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def test_stages_are_the_noise_the_end_of_each_octave_and_the_picture_itself(renderer) -> None:
    one, alone = (renderer.render([job("Conv2d_2a_3x3[7]", recipe)], 2)[0] for recipe in (TWO, ONE))
    noise = start_noise(999, TWO.first_size).permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
    expected = [
        Image.fromarray(noise),
        Image.frombytes("RGB", (76, 76), alone.pixels),  # the first octave without the second
        Image.frombytes("RGB", (96, 96), one.pixels),
    ]
    assert [stage.tobytes() for stage in one.stages] == [picture.tobytes() for picture in expected]


def test_a_strip_shows_the_stages_side_by_side(rendered, renderer) -> None:
    store, jobs = rendered
    for feature, rendering in zip(jobs[:2], renderer.render(jobs[:3], 4), strict=False):
        master = master_path(store, renderer.weights.id, feature)
        assert find_stages(master, feature, read_record(master)) == stages_path(master)
        found = panels(stages_path(master))
        assert len(found) == 3
        stages = [stage.resize((96, 96), Image.Resampling.LANCZOS) for stage in rendering.stages]
        for panel, stage in zip(found, stages, strict=True):
            assert all(difference(panel, stage) < difference(panel, o) for o in stages if o is not stage)


def test_looking_on_changes_no_pixel(rendered, renderer, monkeypatch) -> None:
    store, jobs = rendered
    monkeypatch.setattr("atlas.rendering.renderer.has_stages", lambda job: False)
    unseen = renderer.render(jobs[:3], 4)
    assert all(one.stages == () for one in unseen)
    for one in unseen:
        assert one.record == read_record(master_path(store, renderer.weights.id, one.job))


def test_only_whole_features_of_several_octaves_keep_stages(rendered, renderer) -> None:
    store, jobs = rendered
    kept = [stages_path(master_path(store, renderer.weights.id, one)).exists() for one in jobs]
    assert kept == [True, True, False, False]
    assert not has_stages(job("Mixed_5b[3] + Mixed_5b[4]"))
    assert not has_stages(job("Mixed_5b[:]"))
    assert not has_stages(replace(jobs[0], start=Photo("a" * 64, (76, 76))))


def test_a_strip_of_other_pixels_or_of_other_octaves_is_not_found(rendered, renderer, tmp_path) -> None:
    store, jobs = rendered
    source = master_path(store, renderer.weights.id, jobs[0])
    record = read_record(source)
    master = tmp_path / source.name
    master.write_bytes(source.read_bytes())
    assert find_stages(master, jobs[0], record) is None  # missing
    other = stages_path(master_path(store, renderer.weights.id, jobs[1])).read_bytes()
    stages_path(master).write_bytes(other)
    assert find_stages(master, jobs[0], record) is None
    whole = stages_path(source).read_bytes()
    stages_path(master).write_bytes(whole[:-1])
    assert find_stages(master, jobs[0], record) is None
    stages_path(master).write_bytes(b"no picture")
    assert find_stages(master, jobs[0], record) is None
    write_stages(master, [Image.new("RGB", (96, 96))] * 2, record)
    assert find_stages(master, jobs[0], record) is None  # one octave too few
    stages_path(master).write_bytes(whole)
    assert find_stages(master, jobs[0], record) == stages_path(master)


def test_a_strip_with_nothing_to_say_whose_it_is_is_not_found(rendered, renderer, tmp_path) -> None:
    store, jobs = rendered
    source = master_path(store, renderer.weights.id, jobs[0])
    master = tmp_path / source.name
    buffer = io.BytesIO()
    Image.new("RGB", (288, 96)).save(buffer, "AVIF")
    stages_path(master).write_bytes(buffer.getvalue())
    assert named_pixels(stages_path(master)) is None
    assert find_stages(master, jobs[0], read_record(source)) is None


def test_equal_renderings_give_equal_strips(rendered, renderer, tmp_path) -> None:
    store, jobs = rendered
    one = renderer.render(jobs[:1], 4)[0]
    write_stages(tmp_path / "again.png", one.stages, one.record)
    strip = stages_path(master_path(store, renderer.weights.id, jobs[0]))
    assert (tmp_path / "again.stages.avif").read_bytes() == strip.read_bytes()


def test_the_check_names_strips_that_belong_to_no_master(rendered, renderer, tmp_path) -> None:
    store, jobs = rendered
    assert check_store(store) == []
    source = master_path(store, renderer.weights.id, jobs[0])
    folder = tmp_path / source.parts[-3] / source.parts[-2]
    write_weights_id(tmp_path, renderer.weights.id)
    for feature in jobs[:2]:
        here = master_path(store, renderer.weights.id, feature)
        write_master(folder / here.name, open_master(here)[0].tobytes(), read_record(here))
    other = stages_path(master_path(store, renderer.weights.id, jobs[1]))
    stages_path(folder / source.name).write_bytes(other.read_bytes())
    (folder / "gone.stages.avif").write_bytes(other.read_bytes())
    faults = check_store(tmp_path)
    assert len(faults) == 2
    assert all("belongs to no master" in fault for fault in faults)
