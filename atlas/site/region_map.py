"""The region map: the layer table → blocks, lanes and lines in the units of an SVG. Pure functions.

A region is a column, and the flow of an image through it goes down: along the spine at the left into a block, through
its branches side by side to the bar of its features, and from the foot of the bar back to the next block's spine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from atlas.inception import layers
from atlas.inception.architecture import Conv, Op

WIDTH = 320  # units, meant to be about a CSS pixel each
THUMB = 80  # side of the thumbnail in a block's head
SPINE, FORK, BAR = 14, 34, 222  # x of the spine, of the first step of a branch, and of the bar of features
BAR_WIDTH = 6
MIDDLE = BAR + BAR_WIDTH // 2  # of the bar, across
HEAD = 96  # from the top of a block to its first lane
PITCH = 24  # from lane to lane
GAP = 28  # from block to block, with the line between them
_CHAR, _PAD, _APART = 6.2, 8, 6  # width of a character in a step, padding around it, and between two steps
_RADIUS = 8  # of the line's corners
_EDGE = 8  # from a block's last lane to its edge
_THIN, _THICK = 1.25, 4.0  # of a line: none of a block's features to all of them, as in the flow between blocks


@dataclass(frozen=True)
class Chip:
    """A convolution or pool, drawn as a small box."""

    x: float  # of its left edge
    y: float  # of its middle
    width: float
    words: str  # such as "7×1", or "3×3/2" with a stride of 2


@dataclass(frozen=True)
class Lane:
    """A branch of a block."""

    branch: layers.Branch
    steps: str  # all of its steps in words, those too that an earlier lane draws for both
    y: float
    forks: bool  # from the lane above, whose first steps it shares; else it begins at the spine
    path: str  # to the bar
    weight: float  # thickness: its share of the block's features
    chips: tuple[Chip, ...]


@dataclass(frozen=True)
class Block:
    """A layer."""

    name: str
    y: float  # of its top edge
    height: float
    lanes: tuple[Lane, ...]

    @property
    def foot(self) -> float:
        """Where the bar of its features ends."""
        return self.lanes[-1].y + PITCH / 2 - 1


def map_region(members: Sequence[layers.Layer]) -> dict[str, object]:
    """Lay the layers of a region of the network out, as a column of blocks."""
    blocks: list[Block] = []
    y = float(GAP)
    for layer in members:
        lanes = tuple(_lanes(layer, y + HEAD + PITCH / 2))
        blocks.append(Block(layer.name, y, HEAD + PITCH * len(lanes) + _EDGE, lanes))
        y += blocks[-1].height + GAP
    turns = [0.0, *(block.foot for block in blocks[:-1])]  # where the flow into each block comes from
    flow = [_turn(start, block) for start, block in zip(turns, blocks, strict=True)]
    end = y + 2
    source, sink = layers.depth(members[0].name) - 1, layers.depth(members[-1].name) + 1
    return {
        "width": WIDTH,
        "height": end,
        "blocks": blocks,
        "bar": (BAR, BAR_WIDTH),  # x and width of the bars of all blocks: stacks of the features that branches make
        # lines into the first block, from block to block, and out of the last
        "flow": [*flow, f"M{MIDDLE} {blocks[-1].foot:g}V{end - 6:g}"],
        "tip": f"M{MIDDLE - 5} {end - 7:g}h10l-5 7z",  # of the last line, which leads to the next region
        # between two layers, on their line
        "pools": [_pool(layer.before, block) for layer, block in zip(members, blocks, strict=True) if layer.before],
        "source": layers.LAYERS[source].name if source >= 0 else "",  # where the flow comes from, "" at the image
        # and goes to, "" where it is the classifier
        "sink": [*(layer.name for layer in layers.LAYERS), "", "probabilities"][sink],
    }


def _lanes(layer: layers.Layer, y: float) -> Iterator[Lane]:
    """The lanes of a block from the top; y is that of the first."""
    before: tuple[Op, ...] = ()
    for at, branch in enumerate(layer.branches):
        shared = _shared(before, branch.ops)
        chips = tuple(_chips(branch.ops, y + at * PITCH))
        share = branch.features / layer.features
        yield Lane(
            branch=branch,
            steps=", ".join(chip.words for chip in chips),
            y=y + at * PITCH,
            forks=shared > 0,
            path=_path(y + at * PITCH, chips[shared - 1] if shared else None),
            weight=round(_THIN + (_THICK - _THIN) * share, 2),
            chips=chips[shared:],
        )
        before = branch.ops


def _shared(one: tuple[Op, ...], other: tuple[Op, ...]) -> int:
    """How many first steps two branches have in common: the very same convolutions, by their names."""
    pairs = zip(one, other, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1] and isinstance(pair[0], Conv), pairs)))


def _chips(ops: tuple[Op, ...], y: float) -> Iterator[Chip]:
    x = float(FORK)
    for op in ops:
        chip = _chip(op, x, y)
        yield chip
        x += chip.width + _APART


def _chip(op: Op, x: float, y: float) -> Chip:
    words = f"{op.kernel[0]}×{op.kernel[1]}" if isinstance(op, Conv) else op.kind
    words += f"/{op.stride}" if op.stride > 1 else ""
    return Chip(x, y, round(len(words) * _CHAR + _PAD, 1), words)


def _path(y: float, fork: Chip | None) -> str:
    """A lane to the bar: from the spine, or from the end of a step in the lane above."""
    if fork is None:
        return f"M{SPINE} {y - _RADIUS:g}q0 {_RADIUS} {_RADIUS} {_RADIUS}H{BAR}"
    x = fork.x + fork.width
    return f"M{x:g} {y - PITCH:g}c{_APART} 0 0 {PITCH} {2 * _APART} {PITCH}H{BAR}"


def _turn(start: float, block: Block) -> str:
    """The line from the foot of a bar to the spine of the next block, and down to its last lane that begins there."""
    y = block.y - GAP / 2
    r = _RADIUS
    down = max(lane.y for lane in block.lanes if not lane.forks) - r
    return f"M{MIDDLE} {start:g}V{y - r:g}q0 {r} -{r} {r}H{SPINE + r}q-{r} 0 -{r} {r}V{down:g}"


def _pool(op: Op, block: Block) -> Chip:
    chip = _chip(op, 0, block.y - GAP / 2)
    return Chip((SPINE + MIDDLE - chip.width) / 2, chip.y, chip.width, chip.words)
