"""Plans: order, batches, rounds, shards, paths and cost."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atlas.common.errors import ConfigError, TargetError
from atlas.common.text import count_of
from atlas.inception import layers
from atlas.inception.architecture import Conv, Pool
from atlas.inception.targets import parse
from atlas.plan import jobs as planning
from atlas.plan.config import override
from atlas.plan.jobs import Job
from atlas.studies import all_jobs, load_config


def plan(**flags):
    return planning.feature_jobs(override(load_config("demo"), **{"features_only": True, **flags}))


def test_an_atlas_is_every_layers_features_in_order():
    jobs = plan(features="2")
    assert [str(job.target) for job in jobs[:4]] == [
        "Conv2d_1a_3x3[0]",
        "Conv2d_1a_3x3[1]",
        "Conv2d_2a_3x3[0]",
        "Conv2d_2a_3x3[1]",
    ]
    assert len(jobs) == 32
    assert len(plan(features="all")) == 10_448


def test_rounds_show_something_of_every_layer_first():
    rounds = planning.rounds(plan(features="9"), "cpu", 4)
    names = [job.target.deepest for job in plan(features="1")]
    assert [batch.deepest for batch in rounds[0]] == names
    assert [batch.deepest for batch in rounds[1]] == [name for name in names for _ in range(2)]
    assert [len(batch.jobs) for batch in rounds[1]] == [4, 1] * 16
    assert all(batch.size == 4 for batches in rounds for batch in batches)


NAMED = ["Mixed_6b[0]", "Mixed_6b[1]", "Mixed_6b[200]", "Conv2d_1a_3x3[3]", *(f"Mixed_7c[{n}]" for n in range(6))]


def test_batches_that_fit_render_no_padding():
    """Of two features of one branch and one of another, a feature of a layer of its own, and six of one branch."""
    jobs = planning.target_jobs(load_config(), NAMED)
    sizes = planning.fitted_sizes(jobs, "cpu")
    assert [sizes[job] for job in jobs] == [2, 2, 1, 1, 4, 4, 4, 4, 2, 2]
    batches = [batch for part in planning.rounds(jobs, "cpu", sizes) for batch in part]
    assert sum(batch.flops for batch in batches) == sum(job.flops for job in jobs)
    assert {job for batch in batches for job in batch.jobs} == set(jobs)


@given(st.sets(st.sampled_from(NAMED), min_size=1))
def test_a_job_keeps_the_size_of_its_batch_when_others_are_done(left):
    jobs = planning.target_jobs(load_config(), NAMED)
    sizes = planning.fitted_sizes(jobs, "cpu")
    pending = [job for job in jobs if str(job.target) in left]
    batches = [batch for part in planning.rounds(pending, "cpu", sizes) for batch in part]
    assert sorted(str(job.target) for batch in batches for job in batch.jobs) == sorted(left)
    assert all(batch.size == sizes[job] for batch in batches for job in batch.jobs)
    assert all(len(batch.jobs) <= batch.size for batch in batches)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_automatic_batch_sizes_come_from_a_table(device):
    sizes = {batch.deepest: batch.size for batch in planning.rounds(plan(features="40"), device)[0]}
    assert sizes == {layer: planning.batch_size(layer, device) for layer in sizes}
    assert len(sizes) == 16


def step_bytes(name, size):
    """Bytes of one row for a step to a layer, from the layer table: float32 that autograd keeps, and gradients.

    A ReLU works in place and keeps what it gives, which the next convolution takes; a max pool keeps indices of eight
    bytes too. A gradient is as large as its map, and two of them meet.
    """

    def kept(op, maps, inputs):
        rows, cols = (
            (side + 2 * p - k) // op.stride + 1 for side, p, k in zip(maps, op.padding, op.kernel, strict=True)
        )
        features = op.out if isinstance(op, Conv) else inputs
        indices = 8 if isinstance(op, Pool) and op.kind == "max" else 0
        return (rows, cols), features, (4 + indices) * rows * cols * features

    maps, total, largest = (size, size), 4 * 3 * size * size, 0
    for layer in layers.LAYERS[: layers.depth(name) + 1]:
        if layer.before:
            maps, _, taken = kept(layer.before, maps, layer.inputs)
            total += taken
        paths = {}
        for branch in layer.branches:
            at, features = maps, layer.inputs
            for length, op in enumerate(branch.ops, start=1):
                at, features, taken = kept(op, at, features)
                paths[branch.ops[:length]] = taken
        maps = at
        joined = 4 * at[0] * at[1] * layer.features
        total += sum(paths.values()) + (joined if len(layer.branches) > 1 else 0)
        largest = max(largest, joined, *paths.values())
    return total, total + 2 * largest


@pytest.mark.parametrize("layer", ["Conv2d_1a_3x3", "Conv2d_4a_3x3", "Mixed_5d", "Mixed_6a", "Mixed_7c"])
def test_the_bytes_of_a_row_are_those_that_autograd_keeps(layer, network32):
    held = {}
    weights = {tensor.untyped_storage().data_ptr() for pair in network32._folded.values() for tensor in pair}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    image = torch.rand(1, 3, 139, 139).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        maps = network32.activations(image, {layer})
    assert maps
    counted, _ = step_bytes(layer, 139)
    assert sum(held.values()) <= counted <= 1.05 * sum(held.values())


GB = 10**9
CARDS = {
    4: 3.9 * GB,
    8: 7.5 * GB,
    12: 12 * GB,
    16: 15 * GB,
    24: 24 * GB,
    40: 39 * GB,
    80: 79 * GB,
}  # sold as: has at least


@pytest.mark.parametrize("sold", CARDS)
def test_a_batch_takes_less_than_half_of_its_cards_memory(sold):
    """With four times a batch, for recorded steps, it fits beside 0.7 GB of weights and CUDA itself."""
    memory = int(CARDS[sold])
    for layer in layers.LAYERS:
        rows = planning.batch_size(layer.name, "cuda", memory)
        _, taken = step_bytes(layer.name, 380)
        assert rows in (4, 8, 16, 32)
        assert rows * taken <= memory / 2
        assert 4 * rows * taken + 0.7 * GB <= memory
        assert rows == 16 or sold < 16


def test_a_card_that_is_not_known_counts_as_one_of_16_gb():
    assert {planning.batch_size(layer.name, "cuda") for layer in layers.LAYERS} == {16}
    assert {planning.batch_size(layer.name, "cuda", 10**9) for layer in layers.LAYERS} == {4, 8}


def test_rounds_follow_the_memory_of_the_card():
    sizes = {
        memory: {batch.deepest: batch.size for batch in planning.rounds(plan(features="40"), "cuda", memory=memory)[0]}
        for memory in (8 * GB, 80 * GB)
    }
    assert (sizes[8 * GB]["Mixed_7c"], sizes[80 * GB]["Mixed_7c"]) == (8, 16)


def test_a_batch_has_one_recipe_and_one_deepest_layer():
    recipes = load_config().recipes
    texts = ["Mixed_6b[1]", "Mixed_5b[1]", "Mixed_6b[2]", "Mixed_5b[3] + Mixed_6b[4]"]
    jobs = [Job(parse(text), recipes[name], 999) for text in texts for name in ("raw", "octaves")]
    batches = [batch for batches in planning.rounds(jobs, "cpu", 8) for batch in batches]
    assert sorted(len(batch.jobs) for batch in batches) == [1, 1, 3, 3]
    for batch in batches:
        assert {(job.recipe, job.target.deepest) for job in batch.jobs} == {(batch.recipe, batch.deepest)}


def test_a_batch_needs_one_set_of_branches():
    """Of Mixed_6a: 3 and 5 are of one branch, 400 of another, 500 and 700 are pooled from two branches of Mixed_5d."""
    jobs = planning.target_jobs(load_config(), [f"Mixed_6a[{f}]" for f in (3, 400, 5, 500, 700)] + ["Mixed_6a[:]"])
    batches = [batch for batches in planning.rounds(jobs, "cpu", 8) for batch in batches]
    texts = [[str(job.target) for job in batch.jobs] for batch in batches]
    assert texts == [
        ["Mixed_6a[3]", "Mixed_6a[5]"],
        ["Mixed_6a[400]"],
        ["Mixed_6a[500]"],
        ["Mixed_6a[700]"],
        ["Mixed_6a[:]"],
    ]
    assert jobs[3].branches == {("Mixed_5d", "branch1x1")}
    assert jobs[4].branches == {("Mixed_5d", "branch3x3dbl")}


RASTER = load_config().get_recipe("raster")


def some_jobs(notation, numbers):
    return [Job(parse(notation.format(number)), RASTER, planning.DEFAULT_SEED) for number in numbers]


def rows_in(batch):
    return dict(zip(batch.jobs, planning.rows_of(batch.jobs, batch.size), strict=True))


@pytest.mark.parametrize("left", [slice(None), slice(3, None), slice(None, None, 4), slice(16, 20)])
def test_on_cuda_a_job_has_its_row_whatever_else_is_left_to_render(left):
    jobs = some_jobs("Mixed_6b[{}]", range(64)) + some_jobs("Mixed_6b[654, :{}]", range(1, 40))
    before = {
        one: row for part in planning.rounds(jobs, "cuda") for batch in part for one, row in rows_in(batch).items()
    }
    batches = [batch for part in planning.rounds(jobs[left], "cuda") for batch in part]
    after = {one: row for batch in batches for one, row in rows_in(batch).items()}
    assert after == {one: before[one] for one in jobs[left]}
    assert all(0 <= row < batches[0].size for row in after.values())


def test_what_is_rendered_in_order_fills_its_batches():
    for some in (some_jobs("Mixed_6b[{}]", range(64)), some_jobs("Mixed_6b[654, :{}]", range(1, 65))):
        assert [len(batch.jobs) for part in planning.rounds(some, "cuda") for batch in part] == [16] * 4


def test_rows_that_collide_are_given_in_order():
    assert planning.rows_of(some_jobs("Mixed_6b[{}]", (3, 19)), 16) == [0, 1]
    first, second = planning.rows_of(some_jobs("Mixed_6b[{}]", (3, 5)), 16)
    assert (second - first) % 16 == 2


@given(st.integers(1, 9), st.integers(1, 6))
def test_shards_are_disjoint_whole_and_balanced(features, count):
    jobs = plan(features=str(features), layers="Mixed_5b,Mixed_6b,Mixed_7c")
    shards = [planning.shard(jobs, index, count) for index in range(1, count + 1)]
    assert sorted(str(j.target) for shard in shards for j in shard) == sorted(str(j.target) for j in jobs)
    loads = [sum(job.flops for job in shard) for shard in shards]
    assert max(loads) - min(loads) <= max(job.flops for job in jobs)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/99999", "²/³", "1/2/3"])
def test_shards_that_are_none(text):
    with pytest.raises(ConfigError, match="write I/N"):
        planning.parse_shard(text)


def test_paths():
    recipe = load_config().recipes["octaves"]
    assert str(Job(parse("Mixed_6b[654]"), recipe, 999).path) == f"octaves-{recipe.digest}/Mixed_6b_0654.png"
    assert str(Job(parse("Mixed_6b[654]"), recipe, 7).path) == f"octaves-{recipe.digest}/Mixed_6b_0654~s7.png"


def test_no_two_renderings_share_a_path():
    recipes = load_config().recipes
    texts = ["Mixed_6b[6]", "Mixed_6b[6, 0, :]", "Mixed_6b[6, 0, 0]", "Mixed_6b[6, :1]", "Mixed_6b[:]"]
    jobs = [
        Job(parse(t), recipes[r], seed) for t in texts for r in ("octaves", "raw", "raster") for seed in (999, 0, 1)
    ]
    assert len({job.path for job in jobs}) == len(jobs)


def test_recipe_of_a_target():
    jobs = planning.target_jobs(load_config(), ["Mixed_6b[654]", "Mixed_6b[654, 3, :]"])
    assert [job.recipe.name for job in jobs] == ["octaves", "raster"]
    chosen = override(load_config(), recipe="raw")
    assert [job.recipe.name for job in planning.target_jobs(chosen, ["Mixed_6b[654, 3, :]"])] == ["raw"]
    assert [job.recipe.name for job in planning.target_jobs(load_config("demo"), ["Mixed_6b[654]"])] == ["quick"]


def test_a_target_given_twice_is_one_job():
    assert len(planning.target_jobs(load_config(), ["Mixed_6b[654]", "Mixed_6b[654, :, :]"])) == 1


def test_positions_outside_the_map_and_shrinking_recipes_are_refused():
    recipes = load_config().recipes
    with pytest.raises(TargetError, match="rows are 0 to 16"):
        Job(parse("Mixed_6b[654, 17, :]"), recipes["raster"], 999)
    shrinking = type(recipes["raster"])("down", recipes["octaves"].octaves[::-1])
    with pytest.raises(TargetError, match="sizes do not decrease"):
        Job(parse("Mixed_6b[654, 3, :]"), shrinking, 999)
    Job(parse("Mixed_6b[654]"), shrinking, 999)


def test_work_of_the_articles_atlas():
    config = override(load_config(), recipe="octaves")
    everything = planning.feature_jobs(override(config, features="all", features_only=True))
    whole = sum(
        octave.steps * layers.step_flops(job.target.deepest, size)
        for job in everything
        for octave, size in zip(job.recipe.octaves, job.sizes, strict=True)
    )
    assert whole / 1e15 == pytest.approx(70.8, abs=0.05)
    assert sum(job.flops for job in everything) / 1e15 == pytest.approx(64.6, abs=0.05)
    sixteen = planning.feature_jobs(override(config, features_only=True))
    assert sum(job.flops for job in sixteen) / 1e15 == pytest.approx(0.94, abs=0.005)
    raster = Job(parse("Mixed_6b[654, :289]"), config.recipes["raster"], 999)
    assert 289 * raster.flops / 1e15 == pytest.approx(0.32, abs=0.005)


def test_crisp_is_at_most_six_tenths_of_the_work_of_octaves():
    octaves, crisp = (
        sum(job.flops for job in planning.feature_jobs(override(load_config(), recipe=name, features_only=True)))
        for name in ("octaves", "crisp")
    )
    assert crisp <= 0.6 * octaves


def test_the_articles_atlas_has_a_face_of_its_own_and_whoever_names_a_recipe_has_one(tmp_path):
    config = override(load_config(), layers="Mixed_6b,Mixed_7a", features="20")
    jobs = all_jobs(config)
    by_recipe = Counter(one.recipe.name for one in jobs if one.target.is_feature)
    named = sum(feature >= 20 for layer in config.layers for feature in config.features_of(layer))
    own = Counter(one.recipe.name for one in planning.feature_jobs(config))
    assert own == {"crisp-large": 2 * 4, "crisp": 2 * 16 + named}
    assert by_recipe["natural"] == 2 * 4
    assert by_recipe["octaves"] == 2 * 16 + by_recipe["raw"] - 2 * 4
    assert {one.recipe.name for one in planning.feature_jobs(override(config, recipe="raw"))} == {"raw"}
    file = tmp_path / "own.toml"
    file.write_text('[features]\nrecipe = "raw"\n')
    assert load_config(str(file)).face_recipe.name == "raw"
    assert load_config("demo").face_recipe.name == "small"
    file.write_text('[features]\nrecipe = "raw"\nface = "smooth"\n')
    assert load_config(str(file)).face_recipe.name == "smooth"
    assert {one.recipe.name for one in planning.layer_jobs(load_config(str(file)), "Mixed_7a")} == {"smooth"}
    file.write_text('[features]\nface = "smooth"\n')
    assert {one.recipe.name for one in planning.layer_jobs(load_config(str(file)), "Mixed_7a")} == {"smooth"}
    file.write_text("[features]\nlarge_features = 2\n")
    recipes = [one.recipe.name for one in planning.layer_jobs(load_config(str(file)), "Mixed_7a")]
    assert recipes == ["crisp-large"] * 2 + ["crisp"] * 14


def test_digests_ignore_the_name_and_nothing_else():
    octaves = load_config().recipes["octaves"]
    digests = {octaves.digest, octaves.scaled(75, 100).digest, octaves.scaled(299, 99).digest}
    assert len(digests) == 3
    assert type(octaves)("other", octaves.octaves).digest == octaves.digest


def test_a_count_agrees_with_its_thing():
    assert [count_of(number, "layer") for number in (0, 1, 2, 1024)] == [
        "0 layers",
        "1 layer",
        "2 layers",
        "1,024 layers",
    ]
