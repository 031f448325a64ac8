"""Identities of weights: their names, hashes and folders in a store, and which of them a user means. Without torch."""

import json
import re
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from atlas.common.errors import ConfigError, StoreError, WeightsError
from atlas.common.paths import PathError, file_sha256, is_folder, is_there, read_file
from atlas.plan.config import BUILT_IN_WEIGHTS
from atlas.plan.recipes import InputMap
from atlas.store.files import MOST_JSON, write_if_changed
from atlas.store.records import WeightsId, read_json

WEIGHTS_FILE = "weights.json"  # in the folder of some weights: their `WeightsId`
WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")  # left out of names
MOST_NOTE = 4 * MOST_JSON  # bytes: names of classes are at most as many as a file may hold, and each has a line
LARGEST_WEIGHTS = 2**30  # bytes; InceptionV3 in float64 takes a fifth


def weights_name(source: str) -> str:
    """The name of weights in records and paths.

    Args:
        source: "imagenet", "demo" or the path of a file. The name of a file is its stem, in characters that every file
            system takes, and never a built-in name.
    """
    if source in BUILT_IN_WEIGHTS:
        return source
    path = Path(source)
    path = path.with_suffix("") if path.suffix.lower() == ".tar" else path  # .pth.tar
    stem = path.stem if path.suffix.lower() in WEIGHTS_SUFFIXES else Path(source).name
    name = re.sub(r"[^A-Za-z0-9._]+", "-", stem).strip(".-")[:60] or "weights"
    return f"{name}-file" if name in BUILT_IN_WEIGHTS else name


def write_weights_id(store: Path, weights: WeightsId) -> None:
    """Write the note that says which weights a folder of masters belongs to.

    Raises:
        StoreError: the file cannot be written.
    """
    note = {**asdict(weights), "input": weights.trained_input}
    if not weights.classes:
        del note["classes"]
    text = json.dumps(note, indent=2, ensure_ascii=False) + "\n"
    write_if_changed(store / weights.folder / WEIGHTS_FILE, text.encode())


def read_weights_id(file: Path) -> WeightsId:
    """Read the note of a folder of masters.

    Raises:
        StoreError: not there, or damaged.
    """
    try:
        return read_json(read_file(file, MOST_NOTE), WeightsId)
    except (OSError, StoreError):
        raise StoreError(f"{file}: missing or damaged; render with these weights, and it is written again") from None


def noted_input(store: Path, weights: WeightsId) -> InputMap | None:
    """The map that unknown weights were trained with, from their note in a store; None: there is no note."""
    noted = (known.input for known in known_weights(store) if known.folder == weights.folder)
    return None if weights.is_known else next(noted, None)


def known_weights(store: Path) -> list[WeightsId]:
    """The weights that a store has masters of, sorted by folder; damaged notes and renamed folders are left out."""
    known = []
    for path in sorted(store.glob(f"*/{WEIGHTS_FILE}")):
        with suppress(StoreError):  # `atlas check` names it
            weights = read_weights_id(path)
            known += [weights] if weights.folder == path.parent.name else []
    return known


def find_weights_ids(store: Path, source: str) -> list[WeightsId]:
    """The weights in a store that a source can mean, sorted by folder.

    Args:
        store: folder of masters.
        source: a built-in name, a file, or the name of a folder of the store. An existing file counts by its hash.

    Raises:
        WeightsError: the file of weights cannot be read.
    """
    known = known_weights(store)
    if by_folder := [weights for weights in known if weights.folder == Path(source).name]:
        return by_folder
    is_file = source not in BUILT_IN_WEIGHTS and is_there(Path(source)) and not is_folder(Path(source))
    digest = weights_sha256(Path(source)) if is_file else None
    return [weights for weights in known if weights.name == weights_name(source) and digest in (None, weights.sha256)]


def resolve_weights(store: Path, source: str, chosen: InputMap | None = None) -> WeightsId | None:
    """The weights in a store that a source means; None: the store has none of them.

    Args:
        store: folder of masters.
        source: a built-in name, a file, or the name of a folder of the store.
        chosen: the map that they were trained with, if the user gives it.

    Raises:
        ConfigError: the store has several weights of that name, and the source does not tell which.
        WeightsError: the file of weights cannot be read.
    """
    found = find_weights_ids(store, source)
    if len(found) > 1:
        folders = ", ".join(weights.folder for weights in found)
        raise ConfigError(
            f'weights "{source}": {store} has renderings with several weights of that name: {folders}; '
            f"set weights to one of them, for instance --weights {found[0].folder}"
        )
    return replace(found[0], input=chosen or found[0].trained_input) if found else None


def with_class_names(weights: WeightsId, file: Path | None) -> WeightsId:
    """The weights with the names of their classes that a text file holds, one on each line.

    Args:
        weights: as loaded or noted; those without a classifier stay as they are.
        file: None: what is known of them counts.

    Raises:
        ConfigError: the file cannot be read, or has another number of lines.
    """
    if file is None or not weights.classes:
        return weights
    try:
        names = read_file(file, MOST_JSON).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"class_names {file}: {error}; name a text file in UTF-8, one class on each line") from None
    names = [" ".join(name.split()) for name in names]
    while names and not names[-1]:
        names.pop()
    if len(names) != len(weights.classes):
        raise ConfigError(
            f"class_names {file}: {len(names)} lines, and the weights {weights.name} have {len(weights.classes)} "
            "classes; write one name on each line, in their order"
        )
    return replace(weights, classes=tuple(names))


def weights_sha256(file: Path) -> str:
    """The SHA-256 of a user's file of weights.

    Raises:
        WeightsError: it cannot be read, or is too large.
    """
    try:
        return file_sha256(file, LARGEST_WEIGHTS)
    except PathError as error:
        raise WeightsError(f"weights {file}: {error}; allowed: imagenet, demo, or a file that exists") from None
