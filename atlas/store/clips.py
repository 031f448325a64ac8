"""Encoded videos in a store: a folder of files for each clip, and its record in clip.json. Needs no encoder."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from atlas.common.errors import StoreError
from atlas.common.paths import PathError, file_sha256, read_file
from atlas.inception.targets import feature_target
from atlas.plan.clips import Clip
from atlas.store.files import MOST_JSON, walk
from atlas.store.masters import find_record, master_path
from atlas.store.records import Count, WeightsId, read_json

RECORD = "clip.json"
VIDEO = "video.mp4"
POSTER = "poster.jpg"  # the last frame
SHEET = "sheet.avif"  # all frames, each at its cell
SHEET_JPEG = "sheet.jpg"
FILES = (VIDEO, POSTER, SHEET, SHEET_JPEG)

_Side: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_Size: TypeAlias = tuple[_Side, _Side]


@dataclass(frozen=True)
class FileNote:
    """Size and hash of a file of a clip."""

    bytes: Count
    sha256: str


@dataclass(frozen=True)
class ClipRecord:
    """The provenance of an encoded video. Nothing in it depends on the clock or a path."""

    target: str
    recipe_name: str
    recipe_digest: str
    seed: Count
    weights_sha256: str
    stride: Count  # neurons from one frame to the next
    fps: Count
    grid: _Size  # (rows, cols) of neurons
    cells: _Size  # (rows, cols) of frames
    frame_size: _Size  # (height, width) in pixels, of the masters
    video_size: _Size  # of the video and its poster: the masters', brought to even numbers
    sheet_size: _Size
    encoder: str  # settings and versions
    source: str  # `source_digest` of the frames' pixels and the encoder
    files: Mapping[str, FileNote]
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        if self.files.keys() != set(FILES):
            raise ValueError(f"its files are not {', '.join(FILES)}")

    def is_of(self, clip: Clip, weights_sha256: str) -> bool:
        """Whether this is the video that a clip and weights ask for. The frames' pixels are not compared."""
        wanted = (clip_target(clip), clip.recipe.digest, clip.seed, weights_sha256)
        found = (self.target, self.recipe_digest, self.seed, self.weights_sha256)
        layout = (clip.stride, clip.fps, clip.grid, clip.cells)
        return wanted == found and layout == (self.stride, self.fps, self.grid, self.cells)

    def to_json(self) -> str:
        """The record as JSON, keys in the order of the fields; `read_json` reads it."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def clip_target(clip: Clip) -> str:
    """The target of a clip in the notation."""
    return str(feature_target(clip.layer, clip.feature))


def clip_folder(store: Path, weights: WeightsId, clip: Clip) -> Path:
    """The folder of a clip's files."""
    path = store / weights.folder / clip.path
    return path.with_name(path.name + weights.path_suffix(clip.recipe))


def frame_hashes(store: Path, weights: WeightsId, clip: Clip) -> list[str | None]:
    """The hash of each frame's pixels, from its master's record; None: there is no fresh master."""
    records = (find_record(master_path(store, weights, f.job), f.job, weights) for f in clip.frames)
    return [record.pixels_sha256 if record else None for record in records]


def source_digest(hashes: Sequence[str], encoder: str) -> str:
    """Digest of all that a video's bytes depend on."""
    return hashlib.sha256("\n".join([*hashes, encoder]).encode()).hexdigest()


def find_clip(store: Path, weights: WeightsId, clip: Clip, encoder: str | None = None) -> ClipRecord | None:
    """The record of a clip's video if it is fresh, else None.

    Fresh means: made from the frames that the store has now, and every file as it was written.

    Args:
        store: folder of masters.
        weights: those that rendered the frames.
        clip: the video.
        encoder: settings and versions; None: any.
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
        return read_json(read_file(path, MOST_JSON), ClipRecord)
    except (OSError, StoreError) as error:
        raise StoreError(f"{path}: {error}; encode the video again, with atlas raster or atlas build") from None


def clip_faults(folder: Path, record: ClipRecord) -> Iterator[str]:
    """One line for each file that is not what was written."""
    for name, note in record.files.items():
        path = folder / name
        try:
            is_same = file_sha256(path, note.bytes) == note.sha256
        except PathError:
            is_same = False
        if not is_same:
            yield f"{path}: missing, or not what was written; encode the video again, with atlas raster or atlas build"


def list_clips(store: Path) -> Iterator[Path]:
    """Every clip's record in a store, or in stores inside it, sorted."""
    return (path for path in walk(store) if path.name == RECORD)


def note_of(data: bytes) -> FileNote:
    """The note of a file with this content."""
    return FileNote(len(data), hashlib.sha256(data).hexdigest())
