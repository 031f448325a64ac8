"""Where weights come from: a source's name → `Weights`, checked tensor by tensor and never silently another."""

import http.client
import os
import pickle
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import safetensors.torch
import torch
from torch import Tensor

from atlas.common import log
from atlas.common.errors import WeightsError
from atlas.common.paths import PathError, file_sha256, is_there
from atlas.common.text import count_of
from atlas.demo.pictures import CLASSES
from atlas.demo.quantised import restore
from atlas.inception.layers import FC, LAYERS, MOST_CLASSES, convolutions
from atlas.plan.recipes import InputMap
from atlas.rendering.weight_files import read_state_dict
from atlas.store.records import DEMO_SHA256, WeightsId
from atlas.store.weights_ids import LARGEST_WEIGHTS, weights_name, weights_sha256

IMAGENET_NOTE = "torchvision's Inception_V3_Weights.IMAGENET1K_V1, trained on ImageNet"
DEMO_NOTE = (
    "demo weights: trained by this project on pictures that it draws itself, textures and simple things; "
    "the network has never seen a photograph"
)
DEMO_FILE = Path(__file__).parent.parent / "demo" / "weights" / "demo.safetensors"
FID_NOTE = (
    "its 1,008 classes are those of the network that FID is computed with; that network's average pools leave out the "
    "padding, and Mixed_7c has a max pool instead, unlike torchvision's, so the pictures are not quite that network's"
)
_FID_CLASSES = 1008
IMAGENET_CLASSES = 1000
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """The tensors that are used, in torchvision's spelling: those of `expected_shapes`, and `fc` if it is there."""

    id: WeightsId
    tensors: Mapping[str, Tensor]

    def __repr__(self) -> str:
        return f"<Weights {self.id.name}, {len(self.id.classes)} classes, SHA-256 {self.id.sha256[:8]}…>"

    @property
    def has_classifier(self) -> bool:
        """Whether `fc` is among the tensors."""
        return f"{FC}.weight" in self.tensors


def load_weights(source: str | os.PathLike[str]) -> Weights:
    """Load the weights of an InceptionV3, and check each tensor's name, shape and numbers.

    Args:
        source: "imagenet" (torchvision's `IMAGENET1K_V1`, downloaded once), "demo" (ships with the program), or the
            path of a file that torch.save or safetensors wrote, whatever its ending. A state dict in it may stand under
            keys, and its names after a prefix, as training tools save them.

    Returns:
        The weights, in the type in which they are stored, on the CPU.

    Raises:
        WeightsError: not reachable, not readable, or not InceptionV3's.

    Example:
        >>> load_weights("demo").id.name
        'demo'
    """
    if not isinstance(source, str | os.PathLike):
        raise WeightsError(
            f"weights of type {type(source).__name__}: must be a name, a path, or what load_weights returned; "
            "save model.state_dict() with torch.save, and name that file"
        )
    if source == "imagenet":
        return _imagenet()
    if source == "demo":
        tensors = _checked(load_demo_file(), str(DEMO_FILE))
        return _weights(WeightsId("demo", DEMO_SHA256, DEMO_NOTE, classes=CLASSES), tensors)
    return _file(Path(source))


def count_classes(source: str) -> int:
    """How many classes weights have, before they are loaded; 0: they have no classifier.

    Args:
        source: as of `load_weights`.

    Raises:
        WeightsError: a file cannot be read.
    """
    known = {"imagenet": IMAGENET_CLASSES, "demo": len(CLASSES)}
    if source in known:
        return known[source]
    weights_sha256(Path(source))  # says what is allowed where there is no such file
    found = read_state_dict(Path(source), expected_shapes(), LARGEST_WEIGHTS)
    return _classes_in(_with_plain_classifier(found.tensors))


def with_input(weights: Weights, given: InputMap | None) -> Weights:
    """The weights with the input map that they were trained with.

    Args:
        weights: as loaded.
        given: what is known of it; None: what the weights say, else their usual one. A notice says what is assumed of
            a file.
    """
    if is_assumed(weights, given):
        log.notice(
            f"weights {weights.id.name}: assuming that they expect 2x - 1 for a picture x in [0, 1], as torchvision's "
            "do; if they expect x, add --weights-input x"
        )
    return replace(weights, id=replace(weights.id, input=given or weights.id.trained_input))


def is_assumed(weights: Weights, given: InputMap | None) -> bool:
    """Whether nothing says which input map weights were trained with."""
    return not (given or weights.id.input or weights.id.is_known)


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that the network needs, in the order of its layers."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, conv, inputs in convolutions():
        shapes[f"{name}.conv.weight"] = (conv.out, inputs, *conv.kernel)
        for part in _BATCH_NORM:
            shapes[f"{name}.bn.{part}"] = (conv.out,)
    return shapes


def load_demo_file() -> dict[str, Tensor]:
    """The whole state dict that ships with the project, `fc` included, in float32.

    Raises:
        WeightsError: the file is missing, cut off or altered.
    """
    with suppress(PathError):
        if file_sha256(DEMO_FILE, LARGEST_WEIGHTS) == DEMO_SHA256:
            return restore(safetensors.torch.load_file(DEMO_FILE))
    raise WeightsError(f"the demo weights, {DEMO_FILE}: missing, cut off or altered; install the package again")


def _imagenet() -> Weights:
    weights = _published()
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    # torchvision checks the hash of what it downloads, and trusts what it finds
    if is_there(file) and not weights_sha256(file).startswith(_hash_in(weights.url)):
        raise WeightsError(f"{file}: not the file that torchvision published, by its hash; delete it and try again")
    try:
        tensors = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (URLError, ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise WeightsError(
            f"the ImageNet weights are not in {file.parent} and {weights.url} cannot be reached ({reason}). "
            "Three ways on: --weights FILE with a state dict of your own; the file from that address, put into that "
            "folder from another machine; or --weights demo, which needs no download"
        ) from None
    except OSError as error:  # any other is the disk's: no right to write, read-only, full, no folder
        raise WeightsError(
            f"{file.parent}: the ImageNet weights cannot be kept there: {error.strerror or error}; "
            "set TORCH_HOME to a folder that can be written, which then holds them"
        ) from None
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise WeightsError(
            f"{file}: not the file that torchvision published: {error}; delete it and try again"
        ) from None
    found = WeightsId("imagenet", weights_sha256(file), IMAGENET_NOTE, classes=tuple(weights.meta["categories"]))
    return _weights(found, _checked(tensors, str(file)))


def _published() -> Any:
    """The ImageNet weights of torchvision, without their tensors."""
    from torchvision.models import Inception_V3_Weights  # a second to import, and needed here only

    return Inception_V3_Weights.IMAGENET1K_V1


def _hash_in(url: str) -> str:
    """The beginning of a file's SHA-256, as its name states it."""
    return Path(url).stem.rpartition("-")[2]


def _file(file: Path) -> Weights:
    sha256 = weights_sha256(file)
    found = read_state_dict(file, expected_shapes(), LARGEST_WEIGHTS)
    notes = [f"weights from the file {os.fsencode(file.name).decode(errors='replace')}"]  # a name need not be text
    notes += [found.note] if found.note else []
    weight = found.tensors.get(f"{FC}.weight")
    if isinstance(weight, Tensor) and weight.shape[:1] == (_FID_CLASSES,):  # the same names, another graph
        log.notice(f"weights {file}: {FID_NOTE}")
        notes.append(FID_NOTE)
    tensors = _checked(
        _with_plain_classifier(found.tensors), f"weights {file}" + (f", {found.place}" if found.place else "")
    )
    classes = ("",) * _classes_in(tensors)
    if len(classes) == IMAGENET_CLASSES and sha256.startswith(_hash_in(_published().url)):
        classes = tuple(_published().meta["categories"])
    return _weights(WeightsId(weights_name(str(file)), sha256, "; ".join(notes), classes=classes), tensors)


def _with_plain_classifier(tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tensors with the one linear layer of a classifier that is a `Sequential`, such as `fc.1`, called `fc`."""
    heads = [name.removesuffix(".weight") for name in tensors if re.fullmatch(rf"{FC}\.[0-9]+\.weight", name)]
    if f"{FC}.weight" in tensors or len(heads) != 1:
        return tensors
    names = ((f"{FC}.{part}", f"{heads[0]}.{part}") for part in ("weight", "bias"))
    return {**tensors, **{name: tensors[given] for name, given in names if given in tensors}}


def _weights(found: WeightsId, tensors: Mapping[str, Tensor]) -> Weights:
    """Weights, without classes if they have no classifier."""
    return Weights(found if _classes_in(tensors) else replace(found, classes=()), tensors)


def _checked(tensors: Mapping[Any, Any], where: str) -> dict[str, Tensor]:
    """The tensors that the network needs, each of the right shape and with numbers that can be rendered with."""
    shapes = expected_shapes()
    if not any(name in tensors for name in shapes):
        found = ", ".join(str(name) for name in list(tensors)[:3]) or "nothing"
        raise WeightsError(
            f"{where}: has none of InceptionV3's tensors in torchvision's spelling, such as {next(iter(shapes))}, "
            f"under any prefix or key; it has {found}. Save model.state_dict() of an InceptionV3"
        )
    faults = [fault for name, shape in shapes.items() if (fault := _fault(name, tensors.get(name), shape))]
    if faults:
        some = "; ".join(faults[:5]) + ("; …" if len(faults) > 5 else "")
        raise WeightsError(
            f"{where}: not torchvision's InceptionV3, or damaged: {count_of(len(faults), 'tensor')} not as expected: "
            f"{some}. Save the file again, or take another"
        )
    classifier = [f"{FC}.weight", f"{FC}.bias"] if _classes_in(tensors) else []
    return {name: tensors[name] for name in (*shapes, *classifier)}


def _classes_in(tensors: Mapping[Any, Any]) -> int:
    """How many classes the classifier of a state dict has; 0 if it has none that this network can use."""
    weight, bias = (tensors.get(f"{FC}.{part}") for part in ("weight", "bias"))
    if not (isinstance(weight, Tensor) and isinstance(bias, Tensor) and weight.ndim == 2):
        return 0
    count = len(weight)
    shapes = {f"{FC}.weight": (count, LAYERS[-1].features), f"{FC}.bias": (count,)}
    is_sound = 0 < count <= MOST_CLASSES and not any(_fault(name, tensors[name], shapes[name]) for name in shapes)
    return count if is_sound else 0


def _fault(name: str, tensor: object, shape: tuple[int, ...]) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"{name} is missing"
    if tuple(tensor.shape) != shape:
        return f"{name} is {tuple(tensor.shape)}, not {shape}"
    if tensor.layout is not torch.strided or tensor.device.type != "cpu":
        return f"{name} is a {tensor.layout} tensor on {tensor.device}, not one that holds its numbers"
    if not tensor.is_floating_point():
        return f"{name} is {tensor.dtype}, not a floating-point type"
    if not tensor.isfinite().all():
        return f"{name} holds NaN or infinity"
    if name.endswith("running_var") and (tensor < 0).any():
        return f"{name} holds a variance below 0"
    return None
