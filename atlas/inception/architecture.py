"""InceptionV3 as data: each layer's branches, as paths of convolutions and pools (Szegedy et al. 2015).

Names are torchvision's, so that a path finds its tensors in a state dict.
"""

from dataclasses import dataclass, replace
from itertools import count

Size = tuple[int, int]  # (height, width) in pixels, or (rows, cols) in neurons


@dataclass(frozen=True)
class Conv:
    """A convolution with its batch norm and ReLU (torchvision's `BasicConv2d`)."""

    name: str  # attribute inside its block, "" where the layer is the convolution itself
    out: int
    kernel: Size = (1, 1)
    stride: int = 1
    padding: Size = (0, 0)


@dataclass(frozen=True)
class Pool:
    """A pool over 3×3 neurons: "max" with stride 2, or "avg" with stride 1 and padding 1; "mean" is over whole maps."""

    kind: str
    kernel: Size = (3, 3)
    stride: int = 1
    padding: Size = (0, 0)


Op = Conv | Pool

MAX_POOL = Pool("max", stride=2)
AVG_POOL = Pool("avg", padding=(1, 1))
MEAN_POOL = Pool("mean")


Path = tuple[str, tuple[Op, ...]]  # name of a branch, and what it does
Paths = list[Path]


def _conv(out: int, kernel: Size = (1, 1), stride: int = 1, name: str = "") -> Conv:
    """A convolution of a block; with stride 1 it keeps the size of its maps."""
    height, width = kernel
    return Conv(name, out, kernel, stride, (height // 2, width // 2) if stride == 1 else (0, 0))


def _path(name: str, *ops: Op) -> Path:
    """A branch; its convolutions without a name get the branch's, with a number where they are several."""
    unnamed = [op for op in ops if isinstance(op, Conv) and not op.name]
    endings = (f"_{number}" if len(unnamed) > 1 else "" for number in count(1))
    return name, tuple(replace(op, name=name + next(endings)) if op in unnamed else op for op in ops)


def _inception_a(pool_features: int) -> Paths:
    return [
        _path("branch1x1", _conv(64)),
        _path("branch5x5", _conv(48), _conv(64, (5, 5))),
        _path("branch3x3dbl", _conv(64), _conv(96, (3, 3)), _conv(96, (3, 3))),
        _path("branch_pool", AVG_POOL, _conv(pool_features)),
    ]


def _inception_b() -> Paths:
    return [
        _path("branch3x3", _conv(384, (3, 3), stride=2)),
        _path("branch3x3dbl", _conv(64), _conv(96, (3, 3)), _conv(96, (3, 3), stride=2)),
        _path("branch_pool", MAX_POOL),
    ]


def _inception_c(inner: int) -> Paths:
    wide, tall = _conv(inner, (1, 7)), _conv(inner, (7, 1))
    return [
        _path("branch1x1", _conv(192)),
        _path("branch7x7", _conv(inner), wide, _conv(192, (7, 1))),
        _path("branch7x7dbl", _conv(inner), tall, wide, tall, _conv(192, (1, 7))),
        _path("branch_pool", AVG_POOL, _conv(192)),
    ]


def _inception_d() -> Paths:
    return [
        _path("branch3x3", _conv(192), _conv(320, (3, 3), stride=2)),
        _path("branch7x7x3", _conv(192), _conv(192, (1, 7)), _conv(192, (7, 1)), _conv(192, (3, 3), stride=2)),
        _path("branch_pool", MAX_POOL),
    ]


def _inception_e() -> Paths:
    b3 = _conv(384, name="branch3x3_1")
    dbl = _conv(448, name="branch3x3dbl_1"), _conv(384, (3, 3), name="branch3x3dbl_2")
    return [
        _path("branch1x1", _conv(320)),
        _path("branch3x3_2a", b3, _conv(384, (1, 3))),
        _path("branch3x3_2b", b3, _conv(384, (3, 1))),
        _path("branch3x3dbl_3a", *dbl, _conv(384, (1, 3))),
        _path("branch3x3dbl_3b", *dbl, _conv(384, (3, 1))),
        _path("branch_pool", AVG_POOL, _conv(192)),
    ]


def _plain(out: int, side: int, stride: int = 1, padding: int = 0) -> Paths:
    return [_path("", Conv("", out, (side, side), stride, (padding, padding)))]


PATHS: dict[str, Paths] = {
    "Conv2d_1a_3x3": _plain(32, 3, stride=2),
    "Conv2d_2a_3x3": _plain(32, 3),
    "Conv2d_2b_3x3": _plain(64, 3, padding=1),
    "Conv2d_3b_1x1": _plain(80, 1),
    "Conv2d_4a_3x3": _plain(192, 3),
    "Mixed_5b": _inception_a(32),
    "Mixed_5c": _inception_a(64),
    "Mixed_5d": _inception_a(64),
    "Mixed_6a": _inception_b(),
    "Mixed_6b": _inception_c(128),
    "Mixed_6c": _inception_c(160),
    "Mixed_6d": _inception_c(160),
    "Mixed_6e": _inception_c(192),
    "Mixed_7a": _inception_d(),
    "Mixed_7b": _inception_e(),
    "Mixed_7c": _inception_e(),
}
POOL_BEFORE = {"Conv2d_3b_1x1": MAX_POOL, "Mixed_5b": MAX_POOL}  # between the layer before and this one
