"""InceptionV3 as data: each layer's branches, as paths of convolutions and pools (Szegedy et al. 2015).

Names are torchvision's, so that a path finds its tensors in a state dict.
"""

from dataclasses import dataclass

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
    """A pool over 3×3 neurons: "max" with stride 2, or "avg" with stride 1 and padding 1."""

    kind: str
    kernel: Size = (3, 3)
    stride: int = 1
    padding: Size = (0, 0)


Op = Conv | Pool

MAX_POOL = Pool("max", stride=2)
AVG_POOL = Pool("avg", padding=(1, 1))


def _square(name: str, out: int, side: int, stride: int = 1, padding: int = 0) -> Conv:
    return Conv(name, out, (side, side), stride, (padding, padding))


def _wide(name: str, out: int, length: int) -> Conv:
    return Conv(name, out, (1, length), padding=(0, length // 2))


def _tall(name: str, out: int, length: int) -> Conv:
    return Conv(name, out, (length, 1), padding=(length // 2, 0))


Paths = list[tuple[str, tuple[Op, ...]]]


def _inception_a(pool_features: int) -> Paths:
    return [
        ("branch1x1", (Conv("branch1x1", 64),)),
        ("branch5x5", (Conv("branch5x5_1", 48), _square("branch5x5_2", 64, 5, padding=2))),
        (
            "branch3x3dbl",
            (
                Conv("branch3x3dbl_1", 64),
                _square("branch3x3dbl_2", 96, 3, padding=1),
                _square("branch3x3dbl_3", 96, 3, padding=1),
            ),
        ),
        ("branch_pool", (AVG_POOL, Conv("branch_pool", pool_features))),
    ]


def _inception_b() -> Paths:
    return [
        ("branch3x3", (_square("branch3x3", 384, 3, stride=2),)),
        (
            "branch3x3dbl",
            (
                Conv("branch3x3dbl_1", 64),
                _square("branch3x3dbl_2", 96, 3, padding=1),
                _square("branch3x3dbl_3", 96, 3, stride=2),
            ),
        ),
        ("branch_pool", (MAX_POOL,)),
    ]


def _inception_c(inner: int) -> Paths:
    return [
        ("branch1x1", (Conv("branch1x1", 192),)),
        (
            "branch7x7",
            (Conv("branch7x7_1", inner), _wide("branch7x7_2", inner, 7), _tall("branch7x7_3", 192, 7)),
        ),
        (
            "branch7x7dbl",
            (
                Conv("branch7x7dbl_1", inner),
                _tall("branch7x7dbl_2", inner, 7),
                _wide("branch7x7dbl_3", inner, 7),
                _tall("branch7x7dbl_4", inner, 7),
                _wide("branch7x7dbl_5", 192, 7),
            ),
        ),
        ("branch_pool", (AVG_POOL, Conv("branch_pool", 192))),
    ]


def _inception_d() -> Paths:
    return [
        ("branch3x3", (Conv("branch3x3_1", 192), _square("branch3x3_2", 320, 3, stride=2))),
        (
            "branch7x7x3",
            (
                Conv("branch7x7x3_1", 192),
                _wide("branch7x7x3_2", 192, 7),
                _tall("branch7x7x3_3", 192, 7),
                _square("branch7x7x3_4", 192, 3, stride=2),
            ),
        ),
        ("branch_pool", (MAX_POOL,)),
    ]


def _inception_e() -> Paths:
    b3 = Conv("branch3x3_1", 384)
    dbl = (Conv("branch3x3dbl_1", 448), _square("branch3x3dbl_2", 384, 3, padding=1))
    return [
        ("branch1x1", (Conv("branch1x1", 320),)),
        ("branch3x3_2a", (b3, _wide("branch3x3_2a", 384, 3))),
        ("branch3x3_2b", (b3, _tall("branch3x3_2b", 384, 3))),
        ("branch3x3dbl_3a", (*dbl, _wide("branch3x3dbl_3a", 384, 3))),
        ("branch3x3dbl_3b", (*dbl, _tall("branch3x3dbl_3b", 384, 3))),
        ("branch_pool", (AVG_POOL, Conv("branch_pool", 192))),
    ]


def _plain(out: int, side: int, stride: int = 1, padding: int = 0) -> Paths:
    return [("", (_square("", out, side, stride, padding),))]


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
