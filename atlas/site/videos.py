"""Videos of the site: a clip's files in the store → copies beside the page of its feature."""

from collections.abc import Iterator

from atlas.common.errors import StoreError
from atlas.common.paths import read_file
from atlas.site.catalogue import Atlas, Video
from atlas.site.output import Output
from atlas.store.clips import RECORD, FileNote, note_of
from atlas.store.media import MOST_BYTES


def copy_videos(atlas: Atlas, output: Output) -> tuple[str, ...]:
    """Copy the files of all videos that are missing in the site or changed.

    Returns:
        The paths of all of them, old and new.

    Raises:
        StoreError: a file cannot be read or written.
    """
    wanted = [(video, name, note) for video in atlas.videos if video.record for name, note in _files(video)]
    stale = [
        (video, name, note) for video, name, note in wanted if not output.has_copy(_path(video, name), note.sha256)
    ]
    output.claim(_path(video, name) for video, name, _ in stale)
    for video, name, note in stale:
        output.write_copy(_path(video, name), _read(video, name), note.sha256)
    return tuple(_path(video, name) for video, name, _ in wanted)


def _files(video: Video) -> Iterator[tuple[str, FileNote]]:
    assert video.record  # asked for what is shown
    yield from video.record.files.items()
    yield RECORD, note_of(_read(video, RECORD))


def _path(video: Video, name: str) -> str:
    return f"{video.folder}/{name}"


def _read(video: Video, name: str) -> bytes:
    assert video.files
    try:
        return read_file(video.files / name, MOST_BYTES)
    except OSError as error:
        raise StoreError(f"{video.files / name}: {error}; encode the video again") from None
