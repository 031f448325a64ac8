"""Settings of studies: what they name, what they ask to be rendered, and how errors are reported."""

import pytest

from atlas.common.errors import ConfigError
from atlas.plan.config import override
from atlas.plan.jobs import feature_jobs
from atlas.studies import all_jobs, load_config
from atlas.studies.fields.jobs import field_probes
from atlas.studies.fields.settings import Settings as FieldsSettings
from atlas.studies.influence.jobs import influence_pairs
from atlas.studies.neurons.jobs import beside_jobs, neuron_jobs
from atlas.studies.neurons.settings import Settings as NeuronsSettings
from atlas.studies.raster.settings import Settings as RasterSettings


@pytest.fixture
def load(tmp_path):
    def make(text):
        file = tmp_path / "atlas.toml"
        file.write_text(text)
        return load_config(str(file))

    return make


ERRORS = {
    "[raster]\ntargets = ['Mixed_6b[654, 3, 3]']": ("raster.targets", "is no whole feature"),
    "[raster]\ntargets = 'Mixed_6b[654]'": ("raster.targets", "list of strings"),
    "[raster]\ntargets = ['Mixed_6b[900]']": ("raster.targets", "0 to 767"),
    "[raster]\nfps = 0": ("raster.fps", "from 1 to 120"),
    "[raster]\nstrid = 2": ("raster.strid", 'did you mean "stride"?'),
    "[raster]\nrecipe = 'octaves'": ("raster.recipe", "must stay at one size"),
    "[neurons]\ntargets = ['Mixed_6b[654]']": ("neurons.targets", "is no single neuron"),
    "[neurons]\ntargets = ['Mixed_6b[654, 17, 0]']": ("neurons.targets", "no row 17"),
    "[fields]\nlayers = ['Mixed_6z']": ("fields.layers", "Mixed_6z"),
    "[fields]\nfeatures = 0": ("fields.features", "from 1"),
    "[influence]\nrecipe = 'rasters'": ("influence.recipe", 'did you mean "raster"?'),
    "[features]\nonly = 'yes'": ("features.only", "true or false"),
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_name_file_key_and_what_is_allowed(text, load):
    with pytest.raises(ConfigError) as error:
        load(text)
    for part in ("atlas.toml", *ERRORS[text]):
        assert part in str(error.value)


def test_a_list_replaces_the_one_that_it_extends(load):
    config = load("[raster]\ntargets = ['Mixed_7a[1]']")
    assert [str(target) for target in config.study(RasterSettings).targets] == ["Mixed_7a[1]"]
    assert config.study(RasterSettings).recipe == "raster"
    assert config.study(NeuronsSettings) == load_config().study(NeuronsSettings)


def test_every_feature_that_a_list_names_is_rendered_whole():
    config = override(load_config(), features="1")
    named = {str(job.target) for job in feature_jobs(config)}
    assert {"Mixed_6b[654]", "Mixed_6b[415]", "Mixed_6b[354]", "Mixed_6b[0]", "Mixed_5b[0]"} <= named
    assert [job.target.terms[0].layer for job in feature_jobs(config)] == sorted(
        (job.target.terms[0].layer for job in feature_jobs(config)), key=list(config.layers).index
    )


def test_what_names_a_layer_that_is_left_out_is_left_out_too():
    config = override(load_config(), layers="Mixed_7c")
    assert {job.target.terms[0].layer for job in all_jobs(config)} == {"Mixed_7c"}
    assert (
        neuron_jobs(config) == beside_jobs(config) == influence_pairs(config) == field_probes(config, "Mixed_6b") == ()
    )


def test_features_alone(load):
    only = override(load_config(), features_only=True)
    assert all_jobs(only) == feature_jobs(only)
    assert len(feature_jobs(only)) == 16 * 16
    assert all_jobs(load("[features]\nonly = true")) == all_jobs(only)


def test_no_job_is_listed_twice():
    jobs = all_jobs(load_config())
    assert len(set(jobs)) == len(jobs)


def test_neurons_beside_features_sit_where_the_first_listed_neuron_does():
    first, second = beside_jobs(load_config())
    assert str(first[1].target) == "Mixed_6b[654, 9, :]"
    assert str(second[2].target) == "Mixed_6b[415, 9, 9]"


def test_probes_are_spread_over_the_branches():
    features = [probe.feature for probe in field_probes(load_config(), "Mixed_6b") if probe.is_spread]
    assert len(features) == 4 * 8
    assert [sum(first <= f < first + 192 for f in features) for first in (0, 192, 384, 576)] == [8] * 4
    assert {probe.neuron for probe in field_probes(load_config(), "Mixed_6b")} == {(8, 8)}


def test_features_that_another_list_names_are_probed_too(load):
    """The article's own two above all; one that the even spread meets anyway is probed once."""
    probes = field_probes(load_config(), "Mixed_6b")
    named = [probe.feature for probe in probes if probe.is_named]
    assert named == [0, 1, 2, 3, 201, 354, 415, 654]
    assert [probe.feature for probe in probes if probe.is_named and probe.is_spread] == [0]
    assert [probe.feature for probe in probes] == sorted({probe.feature for probe in probes})
    assert str(probes[[probe.feature for probe in probes].index(415)].job.target) == "Mixed_6b[415, 8, 8]"
    raster = "[raster]\ntargets = ['Mixed_5c[70]', 'Mixed_5b[71]']\n[fields]\nlayers = ['Mixed_5c']\nfeatures = 1\n"
    assert [(probe.feature, probe.is_named) for probe in field_probes(load(raster), "Mixed_5c")] == [
        (0, False),
        (64, False),
        (70, True),
        (128, False),
        (224, False),
    ]


def test_pairs_lie_near_opposite_corners():
    for pair in influence_pairs(load_config())[:1]:
        assert (pair.first, pair.second) == ((2, 2), (14, 14))
        assert str(pair.jobs[2].target) == "Mixed_6b[654, 2, 2] + Mixed_6b[654, 14, 14]"


def test_a_layer_that_is_named_twice_counts_once(tmp_path):
    file = tmp_path / "atlas.toml"
    file.write_text('extends = "demo"\n[fields]\nlayers = ["Mixed_6b", "Mixed_5b", "Mixed_6b"]\n')
    assert load_config(str(file)).study(FieldsSettings).layers == ("Mixed_6b", "Mixed_5b")
