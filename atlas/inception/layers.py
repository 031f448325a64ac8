"""The network's frozen table: 16 layers in four regions, their branches, grids, receptive fields and cost.

Everything here follows from the paths in `architecture.py`: a layer is a tuple of branches, a branch a path of
convolutions and pools. The renderer runs the same table.

The classifier `fc` is a layer too, after the 16: the mean of each map of Mixed_7c, and a 1×1 convolution of these
means, without a ReLU. Its features are the classes. How many there are depends on the weights (`WeightsId.classes`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, reduce

from atlas.common.errors import TargetError, did_you_mean, shorten
from atlas.inception.architecture import MEAN_POOL, PATHS, POOL_BEFORE, Conv, Op, Paths, Pool, Size

MIN_SIZE = 75  # pixels: the smallest side whose Mixed_7 maps are not empty
IMAGE_CHANNELS = 3
MOST_CLASSES = 30_000  # that weights may have


@dataclass(frozen=True)
class Branch:
    """One path through a block; its output is a range of the layer's features."""

    name: str
    ops: tuple[Op, ...]
    first: int  # first feature of the range
    features: int

    @property
    def range(self) -> range:
        """The features that this branch makes."""
        return range(self.first, self.first + self.features)

    @property
    def ends_in_pool(self) -> bool:
        """Whether its features are those of the layer before, pooled."""
        return isinstance(self.ops[-1], Pool)


@dataclass(frozen=True)
class Layer:
    """A named output of the network."""

    name: str
    region: str
    before: Pool | None  # a pool between the previous layer and this one
    inputs: int  # features of the previous layer
    branches: tuple[Branch, ...]

    @property
    def features(self) -> int:
        """Number of features (channels of the output)."""
        return sum(branch.features for branch in self.branches)

    def branch_of(self, feature: int) -> Branch:
        """The branch that makes a feature, 0 ≤ feature < features."""
        return next(branch for branch in self.branches if feature in branch.range)

    def parameter(self, conv: Conv) -> str:
        """Prefix of a convolution's tensors in torchvision's state dict."""
        return f"{self.name}.{conv.name}" if conv.name else self.name


@dataclass(frozen=True)
class Region:
    """A part of the network: one of the four, or the classifier."""

    slug: str
    title: str
    layers: tuple[str, ...]


REGIONS = (
    Region(
        "entry-convolutions",
        "Entry convolutions",
        ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    ),
    Region("early-mixed", "Early mixed", ("Mixed_5b", "Mixed_5c", "Mixed_5d")),
    Region("middle-mixed", "Middle mixed", ("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e")),
    Region("late-mixed", "Late mixed", ("Mixed_7a", "Mixed_7b", "Mixed_7c")),
)


def _branches(paths: Paths, inputs: int) -> Iterator[Branch]:
    first = 0
    for name, ops in paths:
        last = ops[-1]
        features = last.out if isinstance(last, Conv) else inputs
        yield Branch(name, ops, first, features)
        first += features


def _table() -> Iterator[Layer]:
    inputs = IMAGE_CHANNELS
    for region in REGIONS:
        for name in region.layers:
            before = POOL_BEFORE.get(name)
            layer = Layer(name, region.slug, before, inputs, tuple(_branches(PATHS[name], inputs)))
            yield layer
            inputs = layer.features


LAYERS: tuple[Layer, ...] = tuple(_table())
MOST_FEATURES = max(layer.features for layer in LAYERS)  # of one layer
FC = "fc"
CLASSIFIER_REGION = Region("classifier", "Classifier", (FC,))


def classifier(classes: int) -> Layer:
    """The classifier, the layer after `LAYERS`, with so many classes."""
    branches = (Branch("", (Conv("", classes),), 0, classes),)
    return Layer(FC, CLASSIFIER_REGION.slug, MEAN_POOL, LAYERS[-1].features, branches)


ALL_LAYERS = (*LAYERS, classifier(MOST_CLASSES))
_BY_NAME = {layer.name: layer for layer in ALL_LAYERS}


def get_layer(name: str) -> Layer:
    """Look a layer up by name; `fc` with as many classes as may be.

    Raises:
        TargetError: no such layer; names the closest.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise TargetError(f'no layer is called "{shorten(name)}"; {did_you_mean(name, _BY_NAME)}') from None


def depth(name: str) -> int:
    """Position of a layer in the network, 0 (Conv2d_1a_3x3) to 15 (Mixed_7c), and 16 (fc)."""
    return ALL_LAYERS.index(get_layer(name))


def layers_up_to(name: str) -> tuple[Layer, ...]:
    """The layers before one, in the network's order, and that one."""
    return ALL_LAYERS[: depth(name) + 1]


def layer_before(name: str) -> Layer:
    """The layer whose output enters another one, which is not the first."""
    return ALL_LAYERS[depth(name) - 1]


def get_region(slug: str) -> Region:
    """Look a region up by its slug, such as "early-mixed"."""
    return next(region for region in (*REGIONS, CLASSIFIER_REGION) if region.slug == slug)


def _shrink(size: Size, op: Op) -> Size:
    if op == MEAN_POOL:
        return 1, 1
    height, width = (
        (side + 2 * pad - kernel) // op.stride + 1
        for side, pad, kernel in zip(size, op.padding, op.kernel, strict=True)
    )
    return height, width


@cache
def grid(name: str, size: Size) -> Size:
    """Size of a layer's feature maps.

    Args:
        name: the layer.
        size: (height, width) of the image in pixels, each at least 75.

    Returns:
        (rows, cols) of the feature map; every branch of a block has the same.
    """
    layer = get_layer(name)
    return reduce(_shrink, layer.branches[0].ops, _entering(layer, size))


def _entering(layer: Layer, size: Size) -> Size:
    """(rows, cols) of the maps that enter a layer's branches, for an image of (height, width) pixels."""
    maps = grid(layer_before(layer.name).name, size) if depth(layer.name) else size
    return _shrink(maps, layer.before) if layer.before else maps


@dataclass(frozen=True)
class ReceptiveField:
    """What part of the image can reach a neuron, in pixels, before it is cut off at the image's border."""

    size: Size  # (height, width)
    jump: int  # pixels from one neuron to the next
    centre: float  # pixel coordinate of the centre of neuron (0, 0)'s field, 0 being the first pixel's middle

    def box(self, row: int, col: int) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) edges of neuron (row, col)'s field, in pixels from the image's corner."""
        middle_row, middle_col = (self.centre + 0.5 + position * self.jump for position in (row, col))
        half_height, half_width = self.size[0] / 2, self.size[1] / 2
        return middle_row - half_height, middle_col - half_width, middle_row + half_height, middle_col + half_width


def _widen(field: ReceptiveField, op: Op) -> ReceptiveField:
    height, width = (side + (kernel - 1) * field.jump for side, kernel in zip(field.size, op.kernel, strict=True))
    shift = ((op.kernel[0] - 1) / 2 - op.padding[0]) * field.jump
    return ReceptiveField((height, width), field.jump * op.stride, field.centre + shift)


@cache
def receptive_field(name: str, feature: int | None = None) -> ReceptiveField:
    """The theoretical receptive field of a feature's neurons (Araujo et al. 2019).

    Args:
        name: the layer, not the classifier, which sees the whole image.
        feature: whose branch counts; None for the widest of the layer.
    """
    layer = get_layer(name)
    start = receptive_field(layer_before(name).name) if depth(name) else ReceptiveField((1, 1), 1, 0.0)
    branches = layer.branches if feature is None else (layer.branch_of(feature),)
    start = _widen(start, layer.before) if layer.before else start
    fields = [reduce(_widen, branch.ops, start) for branch in branches]
    size = max(field.size[0] for field in fields), max(field.size[1] for field in fields)
    return ReceptiveField(size, fields[0].jump, fields[0].centre)


def source(name: str, feature: int) -> tuple[Layer, Branch]:
    """The layer and the branch whose convolution makes a feature: a pool passes on those of the layer before."""
    layer = get_layer(name)
    branch = layer.branch_of(feature)
    return source(layer_before(name).name, feature - branch.first) if branch.ends_in_pool else (layer, branch)


@cache
def own_channels(name: str, feature: int) -> dict[str, int]:
    """By layer the channel that is a feature: its own, and, where a pool makes it, the one that is pooled."""
    layer = get_layer(name)
    branch = layer.branch_of(feature)
    below = own_channels(layer_before(name).name, feature - branch.first) if branch.ends_in_pool else {}
    return {**below, name: feature}


def _multiplications(layer: Layer, size: Size, branches: Iterable[Branch], *, is_whole: bool = True) -> int:
    """Multiply-adds of a layer's forward pass.

    Args:
        layer: the layer.
        size: (rows, cols) of the maps which enter its branches.
        branches: those that run.
        is_whole: whether the last convolution of each makes all its features, or only one.
    """
    total = 0
    counted = set()
    for branch in branches:
        channels, maps = layer.inputs, size
        for position, op in enumerate(branch.ops):
            maps = _shrink(maps, op)
            if not isinstance(op, Conv):
                continue
            path = branch.ops[: position + 1]
            if path not in counted:
                counted.add(path)
                out = op.out if is_whole or path != branch.ops else 1
                total += maps[0] * maps[1] * out * channels * op.kernel[0] * op.kernel[1]
            channels = op.out
    return total


@cache
def _multiplications_below(name: str, size: Size) -> int:
    """Multiply-adds of all layers before one."""
    return sum(_multiplications(layer, _entering(layer, size), layer.branches) for layer in LAYERS[: depth(name)])


@cache
def step_flops(name: str, size: Size, feature: int | None = None) -> int:
    """Floating-point operations of one step on one image: forward to the layer, and the gradient back to the image.

    A multiply-add is two operations, and the input gradient of a convolution costs what its forward pass does.

    Args:
        name: the layer.
        size: (height, width) of the image in pixels.
        feature: if only this one is wanted, so that neither other branches nor its neighbours run; None: all.
    """
    layer, branches = get_layer(name), get_layer(name).branches
    if feature is not None:
        layer, branch = source(name, feature)
        branches = (branch,)
    last = _multiplications(layer, _entering(layer, size), branches, is_whole=feature is None)
    return 4 * (_multiplications_below(layer.name, size) + last)


def convolutions() -> Iterator[tuple[str, Conv, int]]:
    """Every convolution once, in the order of the layers.

    Yields:
        (prefix of its tensors in torchvision's state dict, the convolution, its input channels).
    """
    found: dict[str, tuple[str, Conv, int]] = {}
    for layer in LAYERS:
        for branch in layer.branches:
            inputs = layer.inputs
            for op in branch.ops:
                if isinstance(op, Conv):
                    name = layer.parameter(op)
                    found.setdefault(name, (name, op, inputs))
                    inputs = op.out
    yield from found.values()
