"""A block of the network as a drawing: layer and feature → its branches in the units of an SVG, one of them marked."""

from dataclasses import dataclass

from atlas.inception import layers
from atlas.inception.architecture import Conv, Op

WIDTH = 480  # of the view box, so that words can be read on a phone
ROW = 30  # from one branch to the next
BOX = (58, 20)  # (width, height) of a convolution or a pool
GAP = 8  # between boxes
LEFT = 14  # where the branches begin, and the layer before ends
STACK = (380, 14)  # x and width of the layer's channels, one over the other
TOP = 8


@dataclass(frozen=True)
class Step:
    """A convolution or a pool on the way to the feature."""

    x: float
    words: str


@dataclass(frozen=True)
class Share:
    """A branch's part of the layer's channels."""

    y: float
    height: float
    words: str  # its channels
    is_own: bool


@dataclass(frozen=True)
class Block:
    """The drawing. Branches that do not make the feature are one path of outlines."""

    alt: str
    height: float
    others: str  # path: boxes and lines of the other branches
    own: str  # path: lines of the feature's branch
    y: float  # of the middle of that branch
    steps: tuple[Step, ...]  # of that branch
    shares: tuple[Share, ...]  # of all branches, from the top
    channel: float  # y of the feature among the channels
    bar: tuple[float, float]  # y and height of the layer before
    width: int = WIDTH
    box: tuple[int, int] = BOX
    stack: tuple[int, int] = STACK


def draw_block(name: str, feature: int) -> Block:
    """Draw how a layer is put together, and which part of it makes a feature."""
    layer = layers.get_layer(name)
    branch = layer.branch_of(feature)
    rows = len(layer.branches)
    height = rows * ROW
    middles = {one.name: TOP + ROW * at + ROW / 2 for at, one in enumerate(layer.branches)}
    before = (layer.before,) if layer.before else ()
    ops = {one.name: before + one.ops for one in layer.branches}
    shares, y = [], float(TOP)
    for one in layer.branches:
        part = height * one.features / layer.features
        shares.append(Share(round(y, 1), round(part, 1), f"{one.first}–{one.range[-1]}", one is branch))
        y += part
    others = "".join(
        _outline(len(ops[one.name]), middles[one.name], share.y + share.height / 2, with_boxes=True)
        for one, share in zip(layer.branches, shares, strict=True)
        if one is not branch
    )
    channel = TOP + height * (feature + 0.5) / layer.features
    words = [op_words(op) for op in ops[branch.name]]
    middle = middles[branch.name]
    return Block(
        alt=_alt(name, feature, rows, words),
        height=height + 2 * TOP,
        others=others,
        own=_outline(len(words), middle, channel, with_boxes=False),
        y=middle,
        steps=tuple(Step(_box_at(at), one) for at, one in enumerate(words)),
        shares=tuple(shares),
        channel=round(channel, 1),
        bar=(TOP, height),
    )


def op_words(op: Op) -> str:
    """A convolution or a pool in a word or two: height × width of its kernel, and the stride of a convolution."""
    size = f"{op.kernel[0]}×{op.kernel[1]}"
    if isinstance(op, Conv):
        return f"{size} ÷{op.stride}" if op.stride > 1 else size
    return f"{op.kind} {size}"


def path_words(name: str, feature: int) -> str:
    """The way from the layer before to a feature, in words."""
    layer = layers.get_layer(name)
    before = (layer.before,) if layer.before else ()
    return " → ".join(op_words(op) for op in before + layer.branch_of(feature).ops)


def _alt(name: str, feature: int, branches: int, words: list[str]) -> str:
    kind = f"one of {branches} branches" if branches > 1 else "its only path"
    return f"{name} as a drawing: feature {feature} comes from {kind}, by way of {', '.join(words)}."


def _box_at(at: int) -> float:
    return LEFT + GAP + at * (BOX[0] + GAP)


def _outline(boxes: int, middle: float, end: float, *, with_boxes: bool) -> str:
    """Lines between boxes at a height, and on to the channels; with the boxes' outlines if they are to be drawn."""
    parts = []
    for at in range(boxes):
        x = _box_at(at)
        parts.append(f"M{x - GAP:g} {middle:g}h{GAP}")
        if with_boxes:
            width, height = BOX
            parts.append(f"m0 {-height / 2:g}h{width}v{height}h{-width}z")
    last = _box_at(boxes) - GAP
    parts.append(f"M{last:g} {middle:g}H{STACK[0] - 3 * GAP}L{STACK[0]} {round(end, 1):g}")
    return "".join(parts)
