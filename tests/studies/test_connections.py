"""Connections by weights: composed kernels against the convolutions themselves, and their ranking."""

import re
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from atlas import studies
from atlas.inception.architecture import Conv, Pool
from atlas.inception.layers import Branch, get_layer, layer_before
from atlas.plan.config import override
from atlas.rendering.model import fold
from atlas.rendering.numerics import resolve_numerics
from atlas.rendering.renderer import Renderer
from atlas.site import words
from atlas.site.build import build_site
from atlas.site.check import check_site
from atlas.site.templates import NO_BREAK
from atlas.store.records import WeightsId
from atlas.store.results import Results
from atlas.studies import load_config
from atlas.studies.connections.measure import connection_shares, largest, squared_norms
from atlas.studies.connections.result import connected_layers, connections_spec
from atlas.studies.connections.settings import Settings as ConnectionsSettings
from atlas.studies.run import run_studies
from stores import fill

CPU = torch.device("cpu")
TEXT = """
extends = "demo"
[features]
layers = ["Conv2d_4a_3x3", "Mixed_5b", "Mixed_5c"]
count = [0, "190-191", 255]
[connections]
strongest = 3
[tuning]
size = 0
"""


def impulse_norms(ops, kernels, inputs):
    """Squared norms of the responses to one pixel in one channel, by running the path: an oracle without kernels."""
    side = 31
    images = torch.zeros(inputs, inputs, side, side, dtype=torch.float64)
    for channel in range(inputs):
        images[channel, channel, side // 2, side // 2] = 1
    for op in ops:
        if isinstance(op, Conv):
            images = F.conv2d(images, kernels[op], padding=(kernels[op].shape[2] - 1, kernels[op].shape[3] - 1))
        else:
            images = F.avg_pool2d(images, op.kernel, stride=1, padding=1)
    return images.square().sum((2, 3)).T  # [out, inputs]


def kernels_of(ops, inputs, seed=5):
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for op in ops:
        found[op] = torch.randn(op.out, inputs, *op.kernel, generator=generator, dtype=torch.float64)
        inputs = op.out
    return found


@pytest.mark.parametrize(
    "convolutions",
    [
        (Conv("a", 3, (3, 3)),),
        (Conv("a", 4), Conv("b", 3, (1, 7)), Conv("c", 5, (7, 1))),
        (Conv("a", 4, (3, 3)), Conv("b", 3, (3, 3), stride=2)),
        (Conv("a", 40, (3, 1)), Conv("b", 35, (1, 3))),
    ],
)
def test_composed_kernels_are_the_response_to_one_pixel(convolutions):
    kernels = kernels_of(convolutions, 6)
    norms = squared_norms(Branch("", convolutions, 0, convolutions[-1].out), kernels)
    assert torch.allclose(norms, impulse_norms(convolutions, kernels, 6), rtol=1e-12)


def test_an_average_pool_is_a_uniform_kernel():
    pool, conv = Pool("avg", padding=(1, 1)), Conv("a", 3, (3, 3))
    kernels = kernels_of((conv,), 4)
    norms = squared_norms(Branch("", (pool, conv), 0, 3), kernels)
    assert torch.allclose(norms, impulse_norms((pool, conv), kernels, 4), rtol=1e-12)
    point = Conv("b", 2)
    kernels = kernels_of((point,), 4)
    norms = squared_norms(Branch("", (pool, point), 0, 2), kernels)
    assert torch.allclose(norms, kernels[point].square().sum((2, 3)) / 9, rtol=1e-12)


def test_a_max_pool_is_the_channel_itself(weights):
    shares = connection_shares(weights, get_layer("Mixed_6a"))
    branch = get_layer("Mixed_6a").branches[-1]
    assert torch.equal(shares[branch.first :], torch.eye(288, dtype=torch.float64))


def test_the_networks_own_branch(weights):
    """The longest chain of the network, by its folded weights, for three inputs."""
    layer = get_layer("Mixed_6b")
    branch = layer.branches[2]
    kernels = {op: fold(weights.tensors, layer.parameter(op))[0] for op in branch.ops}
    shares = connection_shares(weights, layer)[branch.first : branch.first + branch.features]
    some = dict(kernels)
    some[branch.ops[0]] = kernels[branch.ops[0]][:, [0, 300, 767]]
    responses = impulse_norms(branch.ops, some, 3)
    assert torch.allclose(shares[:, [0, 300, 767]] / shares[:, :1], responses / responses[:, :1], rtol=1e-9)
    assert torch.allclose(shares.sum(1), torch.ones(192, dtype=torch.float64))


def test_the_first_kernel_reaches_its_layer_as_it_is(weights):
    kernel = fold(weights.tensors, "Conv2d_3b_1x1")[0][:, :, 0, 0]
    expected = kernel.square() / kernel.square().sum(1, keepdim=True)
    assert torch.allclose(connection_shares(weights, get_layer("Conv2d_3b_1x1")), expected)


def test_the_strongest_are_ranked_among_those_asked_for():
    shares = torch.tensor([0.1, 0.4, 0.0, 0.4, 0.1], dtype=torch.float64)
    assert largest(shares, range(5), 3) == ((1, 0.4), (3, 0.4), (0, 0.1))
    assert largest(shares, (0, 2, 4), 3) == ((0, 0.1), (4, 0.1))
    assert largest(shares, (), 3) == ()


def test_connections_are_asked_of_all_layers_but_the_first():
    config = override(load_config("article"), layers="Conv2d_1a_3x3,Conv2d_2a_3x3,Mixed_5b")
    assert connected_layers(config) == ("Conv2d_2a_3x3", "Mixed_5b")
    assert layer_before("Mixed_5b").name == "Conv2d_4a_3x3"
    assert connections_spec("Mixed_5b").settings(config) == (6, (), config.features_of("Mixed_5b"))
    assert connections_spec("Mixed_7c").settings(config) == ()
    alone = override(config, features_only=True)
    assert connected_layers(alone) == ()
    assert connections_spec("Mixed_5b").settings(alone) == ()


@pytest.fixture(scope="module")
def walked(weights, tmp_path_factory):
    """A small atlas whose connections are measured, and its site."""
    folder = tmp_path_factory.mktemp("connections")
    (folder / "atlas.toml").write_text(TEXT)
    config = replace(load_config(str(folder / "atlas.toml")), store=folder / "store", site=folder / "site")
    config = config.only_features().with_study(config.study(ConnectionsSettings))
    renderer = Renderer(weights, CPU, resolve_numerics(CPU, "fp32", 1))
    fill(config, weights=weights.id)
    asked: list[str] = []
    run_studies(config, renderer, asked.append)
    build_site(config, weights.id, studies.pages())
    return config, renderer, asked


def test_the_study_runs_once_and_needs_no_picture(walked):
    config, renderer, asked = walked
    mine = [name for name in asked if name.startswith("connections")]
    assert mine == ["connections-Conv2d_4a_3x3", "connections-Mixed_5b", "connections-Mixed_5c"]
    again: list[str] = []
    run_studies(config, renderer, again.append)
    assert again == []


def test_a_finding_is_of_these_weights_and_these_features(walked, weights):
    config, _, _ = walked
    spec = connections_spec("Mixed_5b")
    assert Results(config, weights.id).read(spec) is not None
    assert Results(override(config, features="2"), weights.id).read(spec) is None
    other = WeightsId(weights.id.name, weights.id.sha256[:8] + "0" * 56, weights.id.note)  # the same folder
    assert Results(config, other).read(spec) is None


def test_what_is_found_are_the_largest_shares(walked, weights):
    config, _, _ = walked
    found = Results(config, weights.id).read(connections_spec("Mixed_5b"))
    shares = connection_shares(weights, get_layer("Mixed_5b"))
    assert len(found.fed_by) == 256
    assert found.before == "Conv2d_4a_3x3"
    top = shares[255].topk(3)
    assert [number for number, _ in found.fed_by[255]] == top.indices.tolist()
    assert [share for _, share in found.fed_by[255]] == pytest.approx(top.values.tolist(), rel=1e-5)
    planned = [0, 190, 191]  # Conv2d_4a has 192 features
    assert {number for number, _ in found.fed_by_planned[255]} == set(planned)
    assert [number for number, _ in found.feeds[190]] == shares[:, 190].topk(3).indices.tolist()
    assert {number for number, _ in found.feeds_planned[190]} < {0, 190, 191, 255}


def test_a_page_links_to_the_features_before_and_after(walked, weights):
    config, _, _ = walked
    assert check_site(config.site).faults == ()
    page = (config.site / "Mixed_5b/255/index.html").read_text(encoding="utf-8").replace(NO_BREAK, " ")
    section = page[page.index('id="connections"') :].split("</section>")[0]
    found = Results(config, weights.id).read(connections_spec("Mixed_5b"))
    for number, share in found.fed_by[255]:
        assert re.search(rf"\b{number}(</a>)? \({re.escape(words.percent(share))}\)", section)
    tiles = re.findall(r'class="tile" href="\.\./\.\./Conv2d_4a_3x3/(\d+)/index\.html"', section)
    assert tiles == [str(number) for number, _ in found.fed_by_planned[255]]
    assert section.count("<path ") == section.count('<a class="tile"')  # a line to each
    assert "Of the 288 features of Mixed_5c, it has the largest share in" in section
    first = (config.site / "Conv2d_4a_3x3/0/index.html").read_text(encoding="utf-8")
    first = first[first.index('id="connections"') :].split("</section>")[0]
    assert "Of the 80 features of Conv2d_3b_1x1, fed most by" in first  # none of them is in this atlas
    assert 'href="../../Conv2d_3b_1x1' not in first


def test_shares_in_words():
    assert [words.percent(share) for share in (0.0, 0.0004, 0.00123, 0.0812, 0.4567, 1.0)] == [
        "0 %",
        "less than 0.1 %",
        "0.12 %",
        "8.1 %",
        "46 %",
        "100 %",
    ]
