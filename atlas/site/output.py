"""The site's folder: paths and bytes → files, each written once, with a manifest of what is the site's own."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from atlas.common.errors import StoreError
from atlas.common.paths import is_there, read_file
from atlas.store.files import holds, sweep_temporaries, write_if_changed

MANIFEST = ".atlas-site.json"
FORMAT = 1
MOST_BYTES = 2**28  # of a manifest: that of all features has a twentieth


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the manifest says of a file; nothing of one that is not a copy of something."""

    bytes: int | None = None
    source: str | None = None  # digest of what it was made from
    seen: str | None = None  # what was measured on it


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    files: dict[str, _Note]


_NO_NOTE = _Note()


class Output:
    """A site being written. Every write of the site goes through here.

    The manifest lists the files that are the site's; of a web copy also its size and what it was made from. A file
    that the manifest does not list is never touched: it may belong to a person. The manifest lists a file before
    it is written, so what a killed run left is known to be the site's.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder for a site.

        Raises:
            StoreError: it holds something else, or its manifest is damaged.
        """
        self._folder = folder
        self._known = _read_manifest(folder)  # of an earlier build and of this one
        self._claimed: set[str] = set()  # to be written, and not written yet
        self._asked: set[str] = set()  # files whose notes were asked for, which the others lose

    def has_copy(self, path: str, source: str | None) -> bool:
        """Whether a file made from this source is there, whole; never of one that was written without a source."""
        note = self._known.get(path, _NO_NOTE)
        return source is not None and note.source == source and _size(self._folder / path) == note.bytes

    def lists(self, path: str) -> bool:
        """Whether a file is the site's, of an earlier build or of this one."""
        return path in self._known

    def claim(self, paths: Iterable[str]) -> None:
        """List files before they are written; one that is there already and is not the site's is left out.

        `write` decides about such a file, since it knows the new content.
        """
        self._claimed.update(path for path in paths if self.lists(path) or not os.path.lexists(self._folder / path))
        self.save()

    def seen(self, path: str) -> str | None:
        """The note about a web copy as it is now."""
        self._asked.add(path)
        return self._known.get(path, _NO_NOTE).seen

    def note_seen(self, path: str, what: str) -> None:
        """Note what was measured on a web copy, for as long as the copy stays the same."""
        self._known[path] = msgspec.structs.replace(self._known[path], seen=what)

    def write(self, path: str, data: bytes, source: str | None = None) -> None:
        """Write a file, and note what it was made from.

        Raises:
            StoreError: it cannot be written, or a file that is not the site's is in its place.
        """
        place = self._folder / path
        if not self.lists(path) and path not in self._claimed and not holds(place, data):
            raise StoreError(
                f"{place}: is there already and is not the site's own, so it is left as it is; "
                "move it away, or choose another folder with --out"
            )
        write_if_changed(place, data, sync=False)
        self._known[path] = _Note(len(data), source) if source else _NO_NOTE
        self._claimed.discard(path)

    def save(self) -> None:
        """Write the manifest of everything so far; of a claimed file it does not say what it is made from."""
        manifest = _Manifest(FORMAT, {**self._known, **dict.fromkeys(self._claimed, _NO_NOTE)})
        write_if_changed(self._folder / MANIFEST, msgspec.json.encode(manifest, order="sorted") + b"\n")

    def finish(self, kept: Collection[str]) -> dict[str, int]:
        """Remove what an earlier build left, and write the manifest.

        Args:
            kept: every file that the finished site has.

        Returns:
            Bytes of each file of the site.

        Raises:
            StoreError: a file cannot be removed or written.
        """
        root = self._folder.resolve()
        try:
            for path in sorted((self._known.keys() | self._claimed).difference(kept)):
                _remove(root, path)
            sweep_temporaries(root)
        except OSError as error:
            raise StoreError(f"{error.filename}: cannot be removed: {error.strerror}; remove it by hand") from None
        # of what this build did not look at, as it does not at a picture that was rescued since, nothing is noted, so
        # that the manifest does not depend on earlier builds
        self._known = {path: self._known[path] for path in kept}
        for path in self._known.keys() - self._asked:
            self._known[path] = msgspec.structs.replace(self._known[path], seen=None)
        self._claimed.clear()
        self.save()
        sizes = {path: _size(root / path) for path in (*self._known, MANIFEST)}
        for path, size in sorted(sizes.items()):
            if size is None:
                raise StoreError(
                    f"{self._folder / path}: vanished while the site was written; run the same command again"
                )
        return {path: size or 0 for path, size in sizes.items()}


def has_pictures(folder: Path) -> bool:
    """Whether a folder holds a site with web copies of pictures."""
    return any(note.source and path.endswith(".avif") for path, note in _read_manifest(folder).items())


def read_sizes(folder: Path) -> dict[str, int | None]:
    """The files of a site, without its manifest, and the sizes of those of which it notes one.

    Raises:
        StoreError: the folder holds no site, or its manifest is damaged.
    """
    files = _read_manifest(folder)
    if not files:
        raise StoreError(f"{folder}: holds no site: make it with atlas build or atlas site")
    return {path: note.bytes for path, note in files.items()}


def _read_manifest(folder: Path) -> dict[str, _Note]:
    path = folder / MANIFEST
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: is a file, and the site needs a folder; choose another with --out")
    if not is_there(path):
        _refuse_foreign(folder)
        return {}
    try:
        data = read_file(path, MOST_BYTES)
    except OSError as error:
        raise StoreError(f"{path}: {error}; remove it and the site beside it") from None
    try:
        files = msgspec.json.decode(data, type=_Manifest).files
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        files = {"": _NO_NOTE}  # no name of a file
    if not all(_is_inside(name) for name in files):
        raise StoreError(f"{path}: damaged; remove it and the site beside it, and build again")
    return files


def _refuse_foreign(folder: Path) -> None:
    """A folder without a manifest must be empty but for dotfiles, else it may hold files of a person."""
    try:
        others = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{folder}: cannot be used for the site: {error.strerror}; choose another folder") from None
    if others:
        raise StoreError(
            f'{folder}: holds "{others[0]}" and no site of this program, so nothing is written there; '
            "choose an empty folder with --out"
        )


def _is_inside(name: str) -> bool:
    parts = name.split("/")  # those of an absolute path, and of no path, begin with nothing
    return bool(parts[0]) and ".." not in parts and not {"\\", "\0"} & set(name)


def _remove(root: Path, name: str) -> None:
    """Remove a file of an earlier build and the folders that become empty; never through a link out of the site."""
    path = root / name
    if os.path.realpath(path.parent) != str(path.parent) or not path.is_file():
        return
    path.unlink()
    for folder in path.parents:
        if folder == root or any(folder.iterdir()):
            return
        folder.rmdir()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
