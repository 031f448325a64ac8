"""Encoded videos in a store: a folder of files and `ClipRecord` ↔ clip.json; fresh by content. No encoder is needed."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from atlas.common.errors import StoreError
from atlas.common.paths import read_whole
from atlas.inception.architecture import Size
from atlas.inception.targets import feature_target
from atlas.plan.clips import Clip
from atlas.store.files import MOST_JSON, walk, write_atomically
from atlas.store.masters import find_record, master_path
from atlas.store.records import WeightsId, parse_json
from atlas.store.weights_ids import file_sha256

FORMAT = 1
RECORD = "clip.json"
VIDEO = "video.mp4"
POSTER = "poster.jpg"  # the last frame
SHEET = "sheet.avif"  # all frames, as the cells lie
SHEET_JPEG = "sheet.jpg"
FILES = (VIDEO, POSTER, SHEET, SHEET_JPEG)


@dataclass(frozen=True)
class FileNote:
    """What a file of a clip must be."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class ClipRecord:
    """Everything that is known of an encoded video; nothing in it depends on the clock or the machine."""

    target: str
    recipe_name: str
    recipe_digest: str
    seed: int
    weights_sha256: str
    stride: int  # neurons from one frame to the next
    fps: int
    grid: Size  # (rows, cols) of neurons
    cells: Size  # (rows, cols) of frames
    frame_size: Size  # (height, width) in pixels, of the masters
    video_size: Size  # of the video and its poster: the masters', brought to even numbers
    sheet_size: Size
    encoder: str  # settings and versions
    source: str  # digest of all frames' pixels and of the encoder: all that the bytes depend on
    files: Mapping[str, FileNote]
    format: int = FORMAT

    def is_of(self, clip: Clip, weights_sha256: str) -> bool:
        """Whether this is the video that a clip and weights ask for, whatever its frames look like."""
        wanted = (clip_target(clip), clip.recipe.digest, clip.seed, weights_sha256)
        found = (self.target, self.recipe_digest, self.seed, self.weights_sha256)
        layout = (clip.stride, clip.fps, clip.grid, clip.cells)
        return wanted == found and layout == (self.stride, self.fps, self.grid, self.cells)

    def to_json(self) -> str:
        """The record as JSON, keys in the order of the fields."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ClipRecord":
        """Read a record.

        Raises:
            StoreError: not JSON, of another format, or with a missing, additional or mistyped field.
        """
        try:
            data = parse_json(text)
        except ValueError:
            raise StoreError("not JSON as this program writes it") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise StoreError(f"not of format {FORMAT}, the one that this version reads")
        if data.keys() != {field.name for field in fields(cls)}:
            raise StoreError("has missing or additional fields")
        try:
            return _read(data)
        except (TypeError, ValueError, AttributeError):
            raise StoreError("has a field of the wrong type") from None


def clip_target(clip: Clip) -> str:
    """What a clip is of, in the notation."""
    return str(feature_target(clip.layer, clip.feature))


def clip_folder(store: Path, weights: WeightsId, clip: Clip) -> Path:
    """Where the files of a clip lie."""
    path = store / weights.folder / clip.path
    return path.with_name(path.name + weights.path_suffix(clip.recipe))


def frame_hashes(store: Path, weights: WeightsId, clip: Clip) -> list[str | None]:
    """The hash of each frame's pixels, as its master's record has it; None: there is no fresh master."""
    records = (find_record(master_path(store, weights, f.job), f.job, weights) for f in clip.frames)
    return [record.pixels_sha256 if record else None for record in records]


def source_digest(hashes: Sequence[str], encoder: str) -> str:
    """Digest of all that a video's bytes depend on."""
    return hashlib.sha256("\n".join([*hashes, encoder]).encode()).hexdigest()


def find_clip(store: Path, weights: WeightsId, clip: Clip, encoder: str | None = None) -> ClipRecord | None:
    """The record of a clip's video if that is fresh, else None.

    Fresh means: made from the frames that the store has now, and every file as it was written.

    Args:
        store: folder of masters.
        weights: whose.
        clip: which video.
        encoder: settings and versions; None if any will do.
    """
    folder = clip_folder(store, weights, clip)
    try:
        record = read_clip(folder / RECORD)
    except StoreError:
        return None
    if not record.is_of(clip, weights.sha256) or encoder not in (None, record.encoder):
        return None
    hashes = [digest for digest in frame_hashes(store, weights, clip) if digest]
    if len(hashes) != len(clip.frames) or source_digest(hashes, record.encoder) != record.source:
        return None
    return None if any(clip_faults(folder, record)) else record


def read_clip(path: Path) -> ClipRecord:
    """Read a clip's record.

    Raises:
        StoreError: not there, or damaged.
    """
    try:
        return ClipRecord.from_json(read_whole(path, MOST_JSON).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from None
    except StoreError as error:
        raise StoreError(f"{path}: {error}; encode the video again, with atlas raster or atlas build") from None


def clip_faults(folder: Path, record: ClipRecord) -> Iterator[str]:
    """One line for each file that is not what was written."""
    for name, note in record.files.items():
        path = folder / name
        if not path.is_file():
            yield f"{path}: missing; encode the video again, with atlas raster or atlas build"
        elif path.stat().st_size != note.bytes or file_sha256(path) != note.sha256:
            yield f"{path}: not what was written; encode the video again, with atlas raster or atlas build"


def list_clips(store: Path) -> Iterator[Path]:
    """Every clip's record in a store, or in stores inside it, sorted."""
    return (path for path in walk(store) if path.name == RECORD)


def note_of(data: bytes) -> FileNote:
    """What a record says of a file."""
    return FileNote(len(data), hashlib.sha256(data).hexdigest())


def write_clip(folder: Path, files: Mapping[str, bytes], record: ClipRecord) -> None:
    """Write a clip's files, and its record last, so that nothing half written is taken for fresh.

    Raises:
        StoreError: a file cannot be written.
    """
    for name, data in files.items():
        write_atomically(folder / name, data)
    write_atomically(folder / RECORD, record.to_json().encode())


_TEXTS = ("target", "recipe_name", "recipe_digest", "weights_sha256", "encoder", "source")
_COUNTS = ("seed", "stride", "fps")
_SIZES = ("grid", "cells", "frame_size", "video_size", "sheet_size")


def _read(data: dict[str, Any]) -> ClipRecord:
    if not all(isinstance(data[key], str) for key in _TEXTS):
        raise TypeError
    if not all(_is_count(data[key]) for key in _COUNTS):
        raise TypeError
    sizes = {key: tuple(data[key]) for key in _SIZES}
    if not all(len(size) == 2 and all(_is_count(side) and side for side in size) for size in sizes.values()):
        raise TypeError
    files = {name: FileNote(**note) for name, note in data["files"].items()}
    if files.keys() != set(FILES) or not all(_is_count(f.bytes) and isinstance(f.sha256, str) for f in files.values()):
        raise TypeError
    return ClipRecord(**{**data, **sizes, "files": files})


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
