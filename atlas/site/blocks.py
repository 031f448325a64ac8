"""A block of the network as a drawing: layer and feature → its branches in the units of an SVG, one of them marked."""

from typing import NamedTuple

from atlas.inception import layers
from atlas.inception.architecture import Conv, Op

WIDTH = 480  # of the view box, so that words can be read on a phone
ROW = 30  # from one branch to the next
BOX = (58, 20)  # (width, height) of a convolution or a pool
GAP = 8  # between boxes
LEFT = 14  # where the branches begin, and the layer before ends
STACK = (380, 14)  # x and width of the layer's channels, one over the other
TOP = 8


class Share(NamedTuple):
    """A branch's part of the layer's channels."""

    y: float
    height: float
    words: str  # its channels
    is_own: bool


def draw_block(name: str, feature: int) -> dict[str, object]:
    """Draw how a layer is put together, and which part of it makes a feature."""
    layer = layers.get_layer(name)
    branch = layer.branch_of(feature)
    before = (layer.before,) if layer.before else ()
    rows = len(layer.branches)
    height = rows * ROW
    others, shares, y = "", [], float(TOP)
    for at, one in enumerate(layer.branches):
        part = height * one.features / layer.features
        shares.append(Share(round(y, 1), round(part, 1), f"{one.first}–{one.range[-1]}", one is branch))
        if one is not branch:
            end = shares[-1].y + shares[-1].height / 2
            others += _outline(len(before + one.ops), _middle(at), end, with_boxes=True)
        y += part
    words = [op_words(op) for op in before + branch.ops]
    middle, channel = _middle(layer.branches.index(branch)), TOP + height * (feature + 0.5) / layer.features
    return {
        "width": WIDTH,
        "height": height + 2 * TOP,
        "others": others,  # path: boxes and lines of the other branches
        "own": _outline(len(words), middle, channel, with_boxes=False),  # path: lines of the feature's branch
        "y": middle,  # of that branch
        "steps": [(_box_at(at), one) for at, one in enumerate(words)],  # x and words of its convolutions and pools
        "shares": shares,  # of all branches, from the top
        "channel": round(channel, 1),  # y of the feature among the channels
        "bar": (TOP, height),  # y and height of the layer before
        "box": BOX,
        "stack": STACK,
    }


def op_words(op: Op) -> str:
    """A convolution or a pool in a word or two: height × width of its kernel, and the stride of a convolution."""
    size = f"{op.kernel[0]}×{op.kernel[1]}"
    if isinstance(op, Conv):
        return f"{size} ÷{op.stride}" if op.stride > 1 else size
    return f"{op.kind} {size}"


def _middle(at: int) -> float:
    """Height of a branch's middle."""
    return TOP + ROW * (at + 0.5)


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
