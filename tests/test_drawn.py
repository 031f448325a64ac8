"""The pictures that the project draws itself, and the file in which what was learned from them is kept."""

import pytest
import torch

from atlas.demo.pictures import CLASSES, COLOURS, draw, draw_class
from atlas.demo.quantised import restore
from quantise import quantise, write_quantised


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_draws_pictures(name):
    pictures = draw_class(name, 3, 75, generator())
    assert pictures.shape == (3, 3, 75, 75)
    assert pictures.dtype == torch.float32
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert pictures.std((1, 2, 3)).min() > 0.01, "nothing is drawn"
    assert not torch.equal(pictures[0], pictures[1])


def test_there_are_enough_classes_and_names_are_unique():
    assert len(CLASSES) >= 40
    assert len(set(CLASSES)) == len(CLASSES)


def test_the_same_seed_draws_the_same_pictures():
    one, labels = draw(16, 80, generator(), group=4)
    two, again = draw(16, 80, generator(), group=4)
    other, _ = draw(16, 80, generator(2), group=4)
    assert torch.equal(one, two)
    assert torch.equal(labels, again)
    assert not torch.equal(one, other)
    assert labels.tolist() == [label for label in labels[::4].tolist() for _ in range(4)]


def test_drawing_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    draw(4, 75, generator(), group=4)
    assert torch.equal(torch.rand(2), expected)


def test_some_classes_differ_by_colour_alone():
    """Without colour their pictures are alike; with it the strongest channel tells them apart."""
    means = {name: draw_class(name, 24, 75, generator()).mean((0, 2, 3)) for name in COLOURS}
    assert means["red blobs"].argmax() == 0
    assert means["green blobs"].argmax() == 1
    assert means["blue blobs"].argmax() == 2
    assert means["yellow blobs"].argmin() == 2
    assert means["magenta blobs"].argmin() == 1


def test_quantising_keeps_eight_bits_of_each_channel(tmp_path):
    tensors = {
        "a.conv.weight": torch.randn(5, 3, 3, 3, generator=generator()) * torch.logspace(-4, 2, 5)[:, None, None, None],
        "a.bn.running_var": torch.tensor([1e-5, 1.0, 3000.0]),
        "a.bn.num_batches_tracked": torch.tensor(7),
        "dead.weight": torch.zeros(2, 3),
    }
    small = quantise(tensors)
    back = restore(small)
    assert set(back) == {"a.conv.weight", "a.bn.running_var", "dead.weight"}
    for name, tensor in back.items():
        largest = tensors[name].flatten(1).abs().amax(1) if tensor.ndim > 1 else tensors[name].abs()
        gap = (tensor - tensors[name]).abs()
        worst = gap.flatten(1).amax(1) if tensor.ndim > 1 else gap
        assert (worst <= largest / 127 * 0.51 + 1e-7).all()
    one, two = (write_quantised(tmp_path / name, small) for name in ("one", "two"))
    assert one == two
