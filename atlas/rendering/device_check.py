"""Whether a device computes gradients as the CPU does: asked of Apple's GPU before anything is rendered there.

Wrong gradients were reported there after a change of shape in one process (issue 177116 of pytorch), while every score
was right. So two sizes are compared, one after the other, through max pools, and by batches of two sizes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from atlas.common.errors import ConfigError
from atlas.inception import targets
from atlas.inception.targets import Target
from atlas.plan.recipes import Octave, Recipe
from atlas.rendering.descent import gradient_at
from atlas.rendering.model import Network
from atlas.rendering.objectives import compile_objective
from atlas.rendering.parameterization import start_noise
from atlas.rendering.transforms import resize

SIZES = (107, 128)  # pixels, in this order; the second image is the first one, resized as an octave does it
LEAST_COSINE = 0.999  # of the two gradients of a row
_TEXTS = (("Mixed_6a[:]",), ("Mixed_6a[0]", "Mixed_6a[400]", "Mixed_6a[500]"))  # all at once, and one of each branch
_BATCHES = tuple(tuple(map(targets.parse, texts)) for texts in _TEXTS)
_RECIPE = Recipe("check", (Octave(SIZES[0], 1, (1, 1)),))
_SEED = 999
_ADVICE = "use --device cpu, or another version of torch"


def check_network(network: Network, on_cpu: Network) -> None:
    """Compare the gradients of one network on a device and on the CPU, both in float32, of some targets of Mixed_6a.

    Raises:
        ConfigError: the device cannot compute them, or those of a row point elsewhere or are not finite.
    """
    device = network.device.type
    try:
        cosines = {
            size: min(least_cosine(_gradient(network, row, size), _gradient(on_cpu, row, size)) for row in _BATCHES)
            for size in SIZES
        }
    except RuntimeError as error:  # what torch says of an operation that a device lacks
        why = str(error).strip().partition("\n")[0]
        raise ConfigError(f"--device {device}: torch {torch.__version__} fails there: {why}; {_ADVICE}") from None
    if min(cosines.values()) < LEAST_COSINE:
        numbers = ", then ".join(f"{cosine:.4f} at {size} px" for size, cosine in cosines.items())
        raise ConfigError(
            f"--device {device}: torch {torch.__version__} computes wrong gradients there: the least cosine with the "
            f"CPU's is {numbers}, and {LEAST_COSINE} is asked for (-1 where one is not finite); {_ADVICE}"
        )


def least_cosine(found: Tensor, expected: Tensor) -> float:
    """The least of all rows that have a gradient on the CPU, [B, 3, H, W]; −1 if a number is not finite."""
    ours, right = (gradient.cpu().double().flatten(1) for gradient in (found, expected))
    if not ours.isfinite().all():
        return -1.0
    counts = (right != 0).any(1)
    return float(F.cosine_similarity(ours, right)[counts].min()) if counts.any() else 1.0


def _gradient(network: Network, rows: Sequence[Target], size: int) -> Tensor:
    start = start_noise(_SEED, (SIZES[0], SIZES[0]))
    images = torch.stack([start] * len(rows)).to(network.device)  # [B, 3, H, W]
    images = images if size == SIZES[0] else resize(images, (size, size))
    objective = compile_objective(rows, (size, size), (size, size), network.device, images.dtype)
    return gradient_at(network, objective, _RECIPE, images)
