"""Encode the masters of a clip as MP4, poster and contact sheet, with ffmpeg. Equal frames give equal bytes."""

import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

from atlas.common.errors import VideoError
from atlas.inception.architecture import Size
from atlas.plan.clips import Clip
from atlas.store import clips
from atlas.store.clips import ClipRecord, clip_target, find_clip, frame_hashes, note_of, source_digest
from atlas.store.files import again_if_vanished, temporary_file, write_atomically
from atlas.store.masters import master_path, open_master
from atlas.store.media import encoded
from atlas.store.records import WeightsId

# For scrubbing: a keyframe for each row of cells, and no frame that depends on a later one.
_CODEC = {
    "vcodec": "libx264",
    "preset": "slow",
    "crf": 26,
    "sc_threshold": 0,
    "bf": 0,
    "threads": 2,  # the bytes depend on the number
    "flags": "+bitexact",
    "fflags": "+bitexact",
    "map_metadata": -1,
    "movflags": "+faststart",
}
_SCALE = {"out_color_matrix": "bt709", "out_range": "tv", "flags": "accurate_rnd+full_chroma_int"}
_COLOUR = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "range": "tv"}
_POSTER = {"quality": 90, "subsampling": 0}
_SHEET = {"quality": 50, "subsampling": "4:2:0", "speed": 6, "max_threads": 1}
_SHEET_JPEG = {"quality": 70}
_SHEET_CELL = 96  # pixels of a frame in the contact sheet, at most
_SHEET_SIDE = 4096  # pixels of the contact sheet, at most
_GAP = 2  # pixels between frames in it
_GROUND = (20, 20, 20)  # grey
_LINES = 5  # of ffmpeg's output, in a message


@dataclass(frozen=True)
class Encoding:
    """The result of encoding a clip."""

    clip: Clip
    folder: Path
    record: ClipRecord | None  # None: not encoded
    was_fresh: bool = False
    missing: int = 0  # frames that are not in the store yet
    error: VideoError | None = None

    @property
    def video(self) -> Path:
        """The path of the MP4 file."""
        return self.folder / clips.VIDEO


def encode_clip(store: Path, weights: WeightsId, clip: Clip, *, force: bool = False) -> Encoding:
    """Encode a clip whose frames are all in the store, unless its video is fresh.

    Raises:
        VideoError: the encoder fails; the frames stay.
        StoreError: a frame cannot be read, or a file not written.
    """
    folder = clips.clip_folder(store, weights, clip)
    hashes = frame_hashes(store, weights, clip)
    present = [digest for digest in hashes if digest]
    if len(present) < len(hashes):
        return Encoding(clip, folder, None, missing=len(hashes) - len(present))
    encoder = encoder_identity(clip)
    if not force and (record := find_clip(store, weights, clip, encoder)):
        return Encoding(clip, folder, record, was_fresh=True)

    def encode() -> tuple[dict[str, bytes], ClipRecord]:
        frames = (open_master(master_path(store, weights, frame.job))[0] for frame in clip.frames)
        with temporary_file(folder.parent) as path:
            first, last = _write_video(clip, path, frames)
            sheet = _contact_sheet(clip, path)
            video = path.read_bytes()
        files = {
            clips.VIDEO: video,
            clips.POSTER: encoded(last, "JPEG", **_POSTER),
            clips.SHEET: encoded(sheet, "AVIF", **_SHEET),
            clips.SHEET_JPEG: encoded(sheet, "JPEG", **_SHEET_JPEG),
        }
        return files, ClipRecord(
            target=clip_target(clip),
            recipe_name=clip.recipe.name,
            recipe_digest=clip.recipe.digest,
            seed=clip.seed,
            weights_sha256=weights.sha256,
            stride=clip.stride,
            fps=clip.fps,
            grid=clip.grid,
            cells=clip.cells,
            frame_size=(first.height, first.width),
            video_size=(last.height, last.width),
            sheet_size=(sheet.height, sheet.width),
            encoder=encoder,
            source=source_digest(present, encoder),
            files={name: note_of(data) for name, data in files.items()},
        )

    try:
        files, record = again_if_vanished(encode)
    except OSError as error:
        where = error.filename or folder.parent
        raise _failure(clip, f"{where}: cannot be written: {error.strerror or error}") from None
    for name, data in files.items():
        write_atomically(folder / name, data)
    write_atomically(folder / clips.RECORD, record.to_json().encode())  # last: a half-written clip is never fresh
    return Encoding(clip, folder, record)


def encoder_identity(clip: Clip) -> str:
    """Settings and versions: all that a video's bytes depend on besides the frames.

    Raises:
        VideoError: there is no ffmpeg.
    """
    sheet = {**_SHEET, "jpeg": _SHEET_JPEG["quality"], "cell": _SHEET_CELL, "side": _SHEET_SIDE, "gap": _GAP}
    groups = (_codec(clip), _SCALE, _COLOUR, _POSTER, sheet)
    settings = "; ".join(" ".join(f"{key}={value}" for key, value in group.items()) for group in groups)
    libraries = " ".join(f"{name}={features.version(name)}" for name in ("avif", "libjpeg_turbo"))
    return f"{settings}; ffmpeg={_find_ffmpeg()[1]} pillow={PIL.__version__} {libraries}"


def _write_video(clip: Clip, path: Path, frames: Iterator[Image.Image]) -> tuple[Image.Image, Image.Image]:
    """Send frames to ffmpeg one by one; returns the first frame, and the last one with even sides."""
    first = next(frames)
    last = _even(first)
    command = _command(clip, path, (last.height, last.width))
    with tempfile.TemporaryFile() as output:  # a pipe would fill up, since it is read at the end
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=output)
        except OSError as error:
            raise _failure(clip, f"{command[0]} cannot be run: {error.strerror}") from None
        with process:
            try:
                assert process.stdin
                with suppress(BrokenPipeError), process.stdin as pipe:  # ffmpeg gave up, and its output says why
                    pipe.write(last.tobytes())
                    for frame in frames:
                        last = _even(frame)
                        pipe.write(last.tobytes())
                code = process.wait()
            finally:
                process.kill()  # after an error or Ctrl-C
        if code:
            output.seek(0)
            lines = [line.strip() for line in output.read().decode(errors="replace").split("\n") if line.strip()]
            raise _failure(clip, " / ".join(lines[-_LINES:]) or f"code {code}")
    return first, last


def _command(clip: Clip, path: Path, size: Size) -> list[str]:
    height, width = size
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=clip.fps)
    # swscale's default is BT.601; without tags on the frames the encoder writes none
    video = source.filter("scale", **_SCALE).filter("format", "yuv420p").filter("setparams", **_COLOUR)
    target = {"format": "mp4", "filename": str(path)}  # the temporary name has no ending
    output = ffmpeg.output(video, **target, **_codec(clip))
    output = output.overwrite_output().global_args("-hide_banner", "-loglevel", "error")
    command: list[str] = output.compile(cmd=_find_ffmpeg()[0])
    return command


def _codec(clip: Clip) -> dict[str, object]:
    return {**_CODEC, "g": clip.cells[1], "keyint_min": clip.cells[1]}


def _contact_sheet(clip: Clip, path: Path) -> Image.Image:
    """All frames of a video, each at its cell."""
    rows, cols = clip.cells
    largest = min(_SHEET_CELL, _SHEET_SIDE // max(clip.cells) - _GAP)
    tiles: list[Image.Image] = []
    for frame in _read_video(clip, path):
        tiles.append(Image.fromarray(frame))
        tiles[-1].thumbnail((largest, largest), Image.Resampling.LANCZOS)
    if len(tiles) != rows * cols:
        raise _failure(clip, f"{rows * cols} frames went in, and {len(tiles)} came back")
    width, height = (side + _GAP for side in tiles[0].size)
    sheet = Image.new("RGB", (cols * width - _GAP, rows * height - _GAP), _GROUND)
    for at, tile in enumerate(tiles):
        sheet.paste(tile, (at % cols * width, at // cols * height))
    return sheet


def _read_video(clip: Clip, path: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video, [H, W, 3] each."""
    if not path.stat().st_size:
        raise _failure(clip, "the video cannot be read back: it is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # imageio-ffmpeg does not close its pipes
        try:
            yield from iio.imiter(path, plugin="FFMPEG", extension=".mp4")
        except (OSError, RuntimeError, IndexError) as error:
            raise _failure(clip, f"the video cannot be read back: {error}") from None


def _even(picture: Image.Image) -> Image.Image:
    """A picture with even sides, for yuv420p: an odd one gets its last row or column twice."""
    odd = ((0, picture.height % 2), (0, picture.width % 2), (0, 0))
    return Image.fromarray(np.pad(np.asarray(picture), odd, mode="edge"))


def _find_ffmpeg() -> tuple[str, str]:
    """The path and the version of ffmpeg."""
    try:
        return imageio_ffmpeg.get_ffmpeg_exe(), imageio_ffmpeg.get_ffmpeg_version()
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise VideoError(
            f"no ffmpeg can be run: {error}; install imageio-ffmpeg again, or name one in IMAGEIO_FFMPEG_EXE. "
            "All frames are kept, and the same command encodes them then"
        ) from None


def _failure(clip: Clip, why: str) -> VideoError:
    return VideoError(
        f"the video of {clip_target(clip)} cannot be encoded: {why}. Its {len(clip.frames)} frames are kept: run the "
        "same command again, or install imageio-ffmpeg again, or name another ffmpeg with libx264 in IMAGEIO_FFMPEG_EXE"
    )
