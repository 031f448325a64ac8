"""Masks, losses and scores against sums written out by hand."""

import pytest
import torch

from atlas.inception import targets
from atlas.inception.targets import WHOLE, Neuron, Prefix, Row
from atlas.plan.recipes import METRICS
from atlas.rendering.objectives import compile_objective, losses, position_mask, resize_mask, scores

CPU = torch.device("cpu")
SIZE = (107, 80)  # Mixed_5b: 11×7 neurons, Mixed_6b: 5×3


@pytest.fixture(scope="module")
def activations():
    generator = torch.Generator().manual_seed(5)
    return {
        "Mixed_5b": torch.rand(3, 256, 11, 7, generator=generator, dtype=torch.float64) * 9,
        "Mixed_6b": torch.rand(3, 768, 5, 3, generator=generator, dtype=torch.float64) * 9,
    }


TEXTS = ["Mixed_5b[7, :10]", "2*Mixed_6b[:] + Mixed_5b[3, 1, :]", "Mixed_6b[5, 4, 2] + 0.5*Mixed_6b[5]"]


def objective(texts=TEXTS, first=SIZE, size=SIZE):
    return compile_objective([targets.parse(text) for text in texts], first, size, CPU, torch.float64)


def chosen(activations):
    """By hand: for each row its terms as (coefficient, activations that count)."""
    early, middle = activations["Mixed_5b"], activations["Mixed_6b"]
    return [
        [(1, torch.cat([early[0, 7, 0], early[0, 7, 1, :3]]))],
        [(2, middle[1].flatten()), (1, early[1, 3, 1])],
        [(1, middle[2, 5, 4, 2:]), (0.5, middle[2, 5].flatten())],
    ]


@pytest.mark.parametrize(
    ("metric", "distance"),
    [
        ("l1", lambda z: (200 - z).sum()),
        ("l2", lambda z: 5 * ((200 - z) ** 2).sum() ** 0.5),
        ("linf", lambda z: (200 - z).abs().max()),
    ],
)
def test_losses(metric, distance, activations):
    expected = [sum(c * distance(z) for c, z in terms) for terms in chosen(activations)]
    torch.testing.assert_close(losses(objective(), activations, metric, 200.0), torch.stack(expected))


@pytest.mark.parametrize("metric", ["L1", "huber", ""])
def test_an_unknown_metric_is_an_error(metric, activations):
    with pytest.raises(ValueError, match=f"allowed: {', '.join(METRICS)}"):
        losses(objective(), activations, metric, 200.0)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_without_a_term_of_a_layer_have_a_finite_gradient(metric, activations):
    leaves = {name: maps.clone().requires_grad_() for name, maps in activations.items()}
    losses(objective(), leaves, metric, 200.0).sum().backward()
    assert all(leaf.grad.isfinite().all() for leaf in leaves.values())


def test_l1_is_the_articles_without_absolute_value(activations):
    assert losses(objective(["Mixed_5b[7]"] * 3), activations, "l1", 0.0).max() < 0


def test_scores_are_means(activations):
    expected = [sum(c * z.mean() for c, z in terms) for terms in chosen(activations)]
    torch.testing.assert_close(scores(objective(), activations), torch.stack(expected))


def test_taps_are_the_layers_of_the_targets():
    assert objective().taps == {"Mixed_5b", "Mixed_6b"}
    assert objective(TEXTS[:1]).taps == {"Mixed_5b"}


def test_masks_of_positions():
    assert position_mask(WHOLE, (3, 4)).sum() == 12
    assert position_mask(Row(1), (3, 4)).nonzero().tolist() == [[1, c] for c in range(4)]
    assert position_mask(Neuron(2, 3), (3, 4)).nonzero().tolist() == [[2, 3]]
    assert position_mask(Prefix(5), (3, 4)).flatten().tolist() == [1] * 5 + [0] * 7


def test_a_resized_mask_stays_in_the_middle():
    """17 → 19 rows, as Mixed_6b goes from 299 to 340 px: `nearest` would put neuron 8 at 9 alone or at 8 and 9."""
    resized = resize_mask(position_mask(Neuron(8, 8), (17, 17)), (19, 19))
    assert resized.nonzero().tolist() == [[9, 9]]
    assert resize_mask(position_mask(WHOLE, (17, 17)), (22, 22)).min() == 1
    prefix = resize_mask(position_mask(Prefix(17 * 8), (17, 17)), (22, 22))
    assert set(prefix[:10].flatten().tolist()) == {1.0}
    assert set(prefix[11:].flatten().tolist()) == {0.0}
