"""Studies on real renderings of the seeded network: what must come out by construction, and when they run again."""

from dataclasses import astuple, replace

import numpy as np
import pytest
import torch

from atlas.inception.layers import receptive_field
from atlas.inception.targets import parse
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering.parameterization import start_image, start_noise
from atlas.rendering.updates import blur
from atlas.store.masters import master_path, open_master
from atlas.store.results import Results
from atlas.studies.fields.jobs import field_probes
from atlas.studies.fields.measure import measure_fields
from atlas.studies.fields.result import fields_spec
from atlas.studies.influence.jobs import influence_pairs
from atlas.studies.influence.measure import AMOUNTS
from atlas.studies.influence.result import INFLUENCE, clip_spec
from atlas.studies.interactions.settings import Settings as InteractionsSettings
from atlas.studies.neurons.result import NEURONS
from atlas.studies.raster.jobs import config_clips
from atlas.studies.run import measurements, run_studies
from atlas.studies.shared.context import MeasureContext, to_array
from atlas.studies.shared.maps import share_in_box, share_in_disc, smallest_disc

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rendered(studied):
    return studied.config, studied.renderer, studied.asked


@pytest.fixture
def results(rendered):
    config, renderer, _ = rendered
    return Results(config, renderer.weights.id)


def test_every_study_runs_once(rendered):
    config, renderer, asked = rendered
    results = Results(config, renderer.weights.id)
    names = [wanted.spec.name for wanted in measurements(config) if results.digest(wanted.spec)]
    assert asked == names
    assert names[:4] == ["neurons", "fields-Mixed_5b", "influence-Mixed_5b_0003_video-1-7", "influence"]
    again: list[str] = []
    run_studies(config, renderer, again.append)
    assert again == []


def test_a_result_that_was_edited_is_named_and_measured_again(rendered):
    config, renderer, _ = rendered
    results = Results(config, renderer.weights.id)
    path = results.path(NEURONS)
    whole = path.read_bytes()
    found = results.read(NEURONS)
    path.write_bytes(whole.replace(b"Conv2d_2a_3x3[7, 10, 20]", b"Conv2d_2a_3x3[7, 10, 21]"))
    assert results.read(NEURONS) is None
    assert results.damaged["neurons"].startswith(f"{path}: damaged")
    asked: list[str] = []
    run_studies(config, renderer, asked.append)
    assert asked == ["neurons"]
    assert path.read_bytes() == whole
    assert Results(config, renderer.weights.id).read(NEURONS) == found


def test_a_changed_picture_is_measured_again(rendered, tmp_path):
    config, renderer, _ = rendered
    master = master_path(config.store, renderer.weights.id, NEURONS.jobs(config)[0])
    kept = master.read_bytes()
    try:
        master.unlink()
        assert Results(config, renderer.weights.id).read(NEURONS) is None
    finally:
        master.write_bytes(kept)
    assert Results(config, renderer.weights.id).read(NEURONS) is not None


def test_a_neuron_changes_the_picture_around_its_place(results):
    """An entry neuron sees 11 px, so what changed must lie there: its centre is that of the field."""
    entry, _ = results.read(NEURONS).neurons
    assert entry.target == "Conv2d_2a_3x3[7, 10, 20]"
    # receptive field of Conv2d_2a: 7 px, jump 2, first centre at 3.5 px
    assert entry.centre == pytest.approx((10 * 2 + 3.5, 20 * 2 + 3.5), abs=2)
    assert entry.spread < 7
    assert entry.inside > 0.5  # blur carries the rest over the edge


def test_untouched_noise_is_the_noise_blurred_step_by_step(rendered, results):
    config, renderer, _ = rendered
    job = NEURONS.jobs(config)[0]
    image = start_noise(999, (76, 76))[None]
    octave = job.recipe.octaves[0]
    for step in range(octave.steps):
        image = blur(image, octave.sigma_at(step))
    expected = (image[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy() / 255
    assert np.abs(MeasureContext(results, renderer).untouched(job) - expected).max() < 1e-6
    octave = replace(octave, steps=2, sigma=(1.0, 1.0))  # a recipe may have several octaves of one size
    one, two = (replace(job.recipe, octaves=octaves) for octaves in ((replace(octave, steps=4),), (octave, octave)))
    found = [MeasureContext(results, renderer).untouched(replace(job, recipe=recipe)) for recipe in (one, two)]
    assert np.array_equal(*found)
    # and a rendering of a neuron is exactly that where the neuron cannot see and blur did not carry
    picture, _ = open_master(master_path(config.store, renderer.weights.id, job))
    assert np.array_equal(np.asarray(picture)[50:], np.round(expected * 255)[50:])


@pytest.mark.parametrize("kind", ["fourier", "phase"])
def test_what_a_recipe_leaves_untouched_is_its_start_without_steps_of_any_size(kind, rendered, results):
    config, renderer, _ = rendered
    still = (Octave(75, 1, (0.0, 0.0)), Octave(96, 1, (0.0, 0.0)))
    recipe = Recipe("still", still, parameterization=kind, color="decorrelated")
    job = replace(NEURONS.jobs(config)[0], target=parse("Mixed_5b[3]"), recipe=recipe)
    (rendering,) = renderer.render([job], 1)
    context = MeasureContext(results, renderer)
    assert np.abs(context.untouched(job) * 255 - np.asarray(rendering.image)).max() <= 1
    assert context.start(job).std() > 1e-3
    assert np.array_equal(context.start(job), to_array(start_image(recipe, job.seed, (75, 75))))


def test_effective_fields_are_of_each_branch_and_of_what_lists_name(results):
    found = results.read(fields_spec("Mixed_5b"))
    assert [(point.feature, point.is_spread, point.is_named) for point in found.points] == [
        (0, True, True),
        (3, False, True),
        (7, False, True),
        (64, True, False),
        (128, True, False),
        (224, True, False),
    ]
    assert [point.branch for point in found.points] == [*["branch1x1"] * 3, "branch5x5", "branch3x3dbl", "branch_pool"]


def test_a_probe_that_a_list_no_longer_names_is_asked_anew(rendered, results):
    """Feature 0 is spread evenly and named by a pair: without the pair its rendering stays the same."""
    config, renderer, _ = rendered
    other = Results(config.with_study(config.study(InteractionsSettings).emptied()), renderer.weights.id)
    spec = fields_spec("Mixed_5b")
    assert spec.jobs(other.config) == spec.jobs(config)
    assert other.read(spec) is None
    assert results.read(spec) is not None


def test_gradients_lie_inside_the_theoretical_fields(rendered, results):
    """The probes' gradients, and so nearly all that their discs are made of, come from where the neuron can look."""
    config, renderer, _ = rendered
    probes = field_probes(config, "Mixed_5b")
    context = MeasureContext(results, renderer)
    pictures = [context.picture(probe.job) for probe in probes]
    gradients = context.gradients([probe.job.target for probe in probes], pictures, (76, 76), "raw")
    assert sum(gradient.any() for gradient in gradients) >= 4
    for probe, gradient, point in zip(probes, gradients, measure_fields(context, "Mixed_5b").points, strict=True):
        assert point.end == smallest_disc(gradient)
        box = receptive_field("Mixed_5b", probe.feature).box(*probe.neuron)
        if gradient.any():
            assert share_in_box(gradient, box) >= 0.999


def test_the_change_of_a_probe_is_measured_against_noise_that_was_only_blurred(rendered, results):
    config, renderer, _ = rendered
    context = MeasureContext(results, renderer)
    (octave,) = config.get_recipe("small").octaves
    blurred = start_noise(999, (76, 76))[None]
    for step in range(octave.steps):
        blurred = blur(blurred, octave.sigma_at(step))
    untouched = (blurred[0].clamp(0, 1) * 255).round().permute(1, 2, 0).double().numpy() / 255
    found = measure_fields(context, "Mixed_5b").points
    kept = results.read(fields_spec("Mixed_5b")).points
    assert [replace(one, start=None, end=None, change=None) for one in found] == [
        replace(one, start=None, end=None, change=None) for one in kept
    ]
    assert [astuple(one.change) for one in kept if one.change] == [
        pytest.approx(astuple(one.change), rel=1e-5) for one in found if one.change
    ]
    for probe, point in zip(field_probes(config, "Mixed_5b"), found, strict=True):
        changed = np.abs(context.picture(probe.job) - untouched).mean(2)
        assert (point.change is not None) == (results.is_raised(probe.job) and changed.any())
        if point.change:
            assert share_in_disc(changed, point.change) >= 0.9
            assert share_in_disc(changed, replace(point.change, radius=point.change.radius - 0.01)) < 0.9
            centre = receptive_field("Mixed_5b").centre + 0.5 + 3 * 8  # of neuron 3, 3
            assert (point.change.row, point.change.col) == pytest.approx((centre, centre), abs=10)
    assert sum(point.change is not None for point in found) >= 3
    lost = [probe for probe in field_probes(config, "Mixed_5b") if results.status(probe.job) == "not_raised"]
    assert [str(probe.job.target) for probe in lost] == ["Mixed_5b[7, 3, 3]"]  # its change is no picture of it


def test_frames_of_a_video(rendered, results):
    config, _, _ = rendered
    (clip,) = config_clips(config)
    found = results.read(clip_spec(clip))
    assert len(found.frames) == 49
    assert all(0 <= frame.in_field <= 1 for frame in found.frames if frame.in_field is not None)
    assert max(frame.change for frame in found.frames) > 0


def test_neurons_whose_fields_do_not_meet_leave_each_other_alone(results):
    entry, mixed = results.read(INFLUENCE).targets
    assert [pair.variant for pair in entry.pairs] == ["as it is", "without blur", "larger image"]
    for pair in entry.pairs:
        assert not pair.fields_overlap
        assert pair.other == 0
        assert pair.own > 0
    assert mixed.pairs[0].fields_overlap


def test_a_pair_counts_only_where_all_three_pictures_were_raised(rendered, results):
    config, _, _ = rendered
    found = [pair for target in results.read(INFLUENCE).targets for pair in target.pairs]
    expected = [all(results.status(job) == "ok" for job in pair.jobs) for pair in influence_pairs(config)]
    assert [pair.raised for pair in found] == expected
    assert set(expected) == {True, False}


def test_disturbances_are_followed_in_both_precisions(results):
    _, mixed = results.read(INFLUENCE).targets
    assert [(one.precision, one.amount) for one in mixed.sensitivity] == [
        (precision, amount) for precision in ("fp32", "fp64") for amount in (*AMOUNTS, None)
    ]
    for one in mixed.sensitivity:
        assert len(one.steps) == 4
    assert len(mixed.rounding) == 4
    # at least the disturbance itself is left
    disturbed = mixed.sensitivity[2]
    assert max(value for value in disturbed.profile if value is not None) > 0
    for one in mixed.sensitivity:  # the map's farther half is what was followed over the steps
        where = np.array(one.where)
        row, col = np.indices(where.shape)
        far = np.hypot(15 - row, 15 - col)
        assert where[far > np.median(far)].mean() == pytest.approx(one.steps[-1], rel=0.1, abs=1e-6)


def test_a_larger_image_keeps_the_distance(rendered):
    config, _, _ = rendered
    as_it_is, _, larger = influence_pairs(config)[:3]
    distance = [np.subtract(pair.second, pair.first).tolist() for pair in (as_it_is, larger)]
    assert distance[0] == distance[1]
    assert larger.jobs[2].recipe.octaves[0].size == 114
