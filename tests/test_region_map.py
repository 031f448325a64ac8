"""The region map: every branch of the table is drawn, where lines begin and end, and what shares its first steps."""

import re
from itertools import pairwise

import pytest

from atlas.inception import layers
from atlas.inception.architecture import Conv
from atlas.site.region_map import BAR, BAR_WIDTH, SPINE, WIDTH, Lane, map_region

SLUGS = [region.slug for region in layers.REGIONS]


def draw(slug: str) -> dict:
    return map_region([layers.get_layer(name) for name in layers.get_region(slug).layers])


def lanes(name: str) -> tuple[Lane, ...]:
    drawn = draw(layers.get_layer(name).region)
    return next(block.lanes for block in drawn["blocks"] if block.name == name)


def steps(name: str) -> list[str]:
    return [lane.steps for lane in lanes(name)]


@pytest.mark.parametrize("slug", SLUGS)
def test_every_layer_and_branch_is_drawn_in_its_order(slug):
    blocks = draw(slug)["blocks"]
    assert tuple(block.name for block in blocks) == layers.get_region(slug).layers
    for block in blocks:
        branches = layers.get_layer(block.name).branches
        assert [lane.branch for lane in block.lanes] == list(branches)
        assert [lane.steps.count(",") + 1 for lane in block.lanes] == [len(branch.ops) for branch in branches]


def test_steps_are_named_by_kernel_height_and_width_and_stride():
    assert steps("Mixed_5b") == ["1×1", "1×1, 5×5", "1×1, 3×3, 3×3", "avg, 1×1"]
    assert steps("Mixed_6a") == ["3×3/2", "1×1, 3×3, 3×3/2", "max/2"]
    assert steps("Mixed_6c")[1:3] == ["1×1, 1×7, 7×1", "1×1, 7×1, 1×7, 7×1, 1×7"]
    assert steps("Conv2d_1a_3x3") == ["3×3/2"]


def test_each_convolution_is_drawn_once():
    for slug in SLUGS:
        for block in draw(slug)["blocks"]:
            drawn = [chip.words for lane in block.lanes for chip in lane.chips if "×" in chip.words]
            ops = {
                op.name for branch in layers.get_layer(block.name).branches for op in branch.ops if isinstance(op, Conv)
            }
            assert len(drawn) == len(ops)


def test_a_branch_forks_where_its_first_steps_are_those_of_the_branch_above():
    assert [lane.forks for lane in lanes("Mixed_7b")] == [False, False, True, False, True, False]
    one, other = lanes("Mixed_7b")[3:5]
    assert [chip.words for chip in one.chips] == ["1×1", "3×3", "1×3"]
    assert [chip.words for chip in other.chips] == ["3×1"]
    assert other.chips[0].x == one.chips[2].x, "the last steps stand below each other"
    assert other.path.startswith(f"M{one.chips[1].x + one.chips[1].width:g} {one.y:g}c")
    assert not any(lane.forks for lane in lanes("Mixed_6b"))  # the same kinds of steps, and other convolutions


@pytest.mark.parametrize("slug", SLUGS)
def test_nothing_leaves_the_column_or_covers_anything_else(slug):
    drawn = draw(slug)
    edge = 0.0
    for block in drawn["blocks"]:
        assert block.y > edge
        edge = block.y + block.height
        ys = [lane.y for lane in block.lanes]
        assert all(block.y < y < edge for y in ys)
        assert all(below - above >= 20 for above, below in pairwise(ys))
        for lane in block.lanes:
            ends = [SPINE, *(end for chip in lane.chips for end in (chip.x, chip.x + chip.width)), BAR]
            assert ends == sorted(ends)
    assert edge < drawn["height"]
    assert BAR + BAR_WIDTH < WIDTH == drawn["width"]


@pytest.mark.parametrize("slug", SLUGS)
def test_the_flow_leads_from_bar_to_spine_and_reaches_each_branch(slug):
    drawn = draw(slug)
    middle = BAR + BAR_WIDTH / 2
    starts = [0.0, *(block.foot for block in drawn["blocks"])]
    assert [re.match(r"M(\S+) ([\d.]+)", path).groups() for path in drawn["flow"]] == [
        (f"{middle:g}", f"{start:g}") for start in starts
    ]
    for path, block in zip(drawn["flow"], drawn["blocks"], strict=False):
        down = float(re.search(r"V([\d.]+)$", path)[1])
        begins = [float(lane.path.split()[1].split("q")[0]) for lane in block.lanes if not lane.forks]
        assert max(begins) == down


def test_a_line_is_as_thick_as_its_share_and_pools_stand_between_layers():
    thin, *_, thick = sorted(lane.weight for lane in lanes("Mixed_7a"))
    assert thin < thick < lanes("Conv2d_1a_3x3")[0].weight
    assert [pool.words for slug in SLUGS for pool in draw(slug)["pools"]] == ["max/2", "max/2"]
    assert [(draw(slug)["source"], draw(slug)["sink"]) for slug in SLUGS] == [
        ("", "Mixed_5b"), ("Conv2d_4a_3x3", "Mixed_6a"), ("Mixed_5d", "Mixed_7a"), ("Mixed_6e", "")
    ]  # fmt: skip


def test_the_classifier_is_a_mean_and_one_convolution_with_as_many_classes_as_the_weights_have():
    drawn = map_region([layers.classifier(55)])
    assert [pool.words for pool in drawn["pools"]] == ["mean"]
    (block,) = drawn["blocks"]
    assert [lane.branch.range for lane in block.lanes] == [range(55)]
    assert (drawn["source"], drawn["sink"]) == ("Mixed_7c", "probabilities")
