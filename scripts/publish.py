"""Put a built site on a branch of a remote, such as gh-pages of origin, after it was checked; run by `make publish`.

The branch gets one commit more. With `--history none` it gets one commit in place of all others, whoever made them.
Files on the branch that are not the atlas's, such as a CNAME, stay. A branch that holds anything but such a site is
refused, and so is a push that would undo one that happens meanwhile. The commit is made without touching working tree,
index or branches, so that whatever fails, nothing here has moved.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from atlas.common.errors import AtlasError, ConfigError
from atlas.site.budget import LARGEST_SITE
from atlas.site.check import SiteCheck, check_site
from atlas.site.links import INDEX
from atlas.site.output import MANIFEST

SHOWN_FAULTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, nargs="?", default=Path("site"), help="folder of the site")
    parser.add_argument("--remote", default="origin", help="where to push to, as git remote lists it")
    parser.add_argument("--branch", default="gh-pages", help="what GitHub Pages shows")
    parser.add_argument("--history", choices=("keep", "none"), default="keep", help="of the branch (default: keep)")
    options = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of folders may be no UTF-8
    try:
        print(publish(options.site, options.remote, options.branch, keeps_history=options.history == "keep"))
    except AtlasError as error:
        print(f"publish: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("publish: interrupted; no branch here has moved, and the same command begins again", file=sys.stderr)
        sys.exit(130)


def publish(site: Path, remote: str, branch: str, *, keeps_history: bool = True) -> str:
    """Check a site, commit it to a branch, and push that; run inside a git repository.

    Args:
        site: its folder.
        remote: where to push to.
        branch: of the remote.
        keeps_history: whether the commits of the branch stay before this one; otherwise it is the only one.

    Returns:
        What was done, in words.

    Raises:
        AtlasError: the site has faults or is too large, or git cannot do it.
    """
    if not (site / INDEX).is_file():
        raise ConfigError(f"{site}: no site there: run make atlas first, or name another folder with SITE=…")
    files = list(files_to_publish(site))
    found = checked(site)
    refuse_wrong_repository(remote, branch)
    base = refuse_foreign_branch(remote, branch)
    name = f"refs/heads/{branch}"
    replaced = (base or "") if has_branch(remote, name) else ""  # nothing else may be, whatever is pushed meanwhile
    lease = [] if keeps_history else [f"--force-with-lease={name}:{replaced}"]
    before = commit_of(name)
    kept = foreign_files(base, files) if base else {}
    commit = commit_files(site, files, kept, base if keeps_history else None)
    if keeps_history and base and git("rev-parse", f"{commit}^{{tree}}") == git("rev-parse", f"{base}^{{tree}}"):
        commit = base  # nothing has changed
    try:
        git("push", *lease, remote, f"{commit}:{name}")
    except AtlasError as error:
        if any(words in str(error) for words in ("stale info", "cannot lock ref", "fetch first", "non-fast-forward")):
            raise AtlasError(
                f"somebody pushed to {branch} of {remote} meanwhile, and nothing is changed: run this again"
            ) from error
        raise
    git("update-ref", name, commit, before or "")  # only if it has not moved meanwhile
    done = f"{site} is on branch {branch} of {remote}: {found.files:,} files, {found.packed:,} bytes in one archive"
    done += f", of which GitHub Pages takes {LARGEST_SITE:,}"
    parts = [done, history_words(commit), address_words(site, branch)]
    if commit == base:
        parts.insert(1, "nothing has changed since the last time")
    if kept:
        parts.append(f"kept, as it is not the atlas's: {', '.join(sorted(kept)[:SHOWN_FAULTS])}")
    return "; ".join(parts)


def address_words(site: Path, branch: str) -> str:
    """Where a published site is seen."""
    sitemap = site / "sitemap.xml"
    found = re.search(r"<loc>([^<]*)</loc>", sitemap.read_text(encoding="utf-8")) if sitemap.is_file() else None
    if not found:
        return "it was written without an address, so it has no sitemap, 404 page and link previews: say BASE_URL=…"
    return f"its address is {found[1]}, once Settings → Pages deploys from branch {branch}"


def foreign_files(base: str, files: Collection[str]) -> dict[str, tuple[str, str]]:
    """Files of a commit that are neither its atlas's nor among those to be published: mode and object by path."""
    listed = json.loads(git("show", f"{base}:{MANIFEST}"))["files"]
    entries = (entry.partition("\t") for entry in git("ls-tree", "-r", "-z", base).split("\0") if entry)
    own = {*listed, *files, MANIFEST}
    return {path: (about.split()[0], about.split()[2]) for about, _, path in entries if path not in own}


def history_words(commit: str) -> str:
    """How many commits a branch has, and what they take in the repository."""
    count, taken = int(git("rev-list", "--count", commit)), int(git("rev-list", "--objects", "--disk-usage", commit))
    if count == 1:
        return f"the branch has this commit alone, {taken:,} bytes as git packs it"
    return (
        f"the branch has {count:,} commits, {taken:,} bytes as git packs them; HISTORY=none leaves out all but the last"
    )


def files_to_publish(site: Path) -> Iterator[str]:
    """Every file under a site, relative to its folder.

    Raises:
        AtlasError: there is something that a branch cannot hold, or that would publish a file from outside the site.
    """
    root = os.path.realpath(site)
    for folder, folders, files in os.walk(site):
        for name in (*folders, *files):
            try:
                why = unfit(Path(folder, name), root)
            except OSError as error:
                why = f"cannot be read: {error.strerror}"
            if why:
                raise AtlasError(f"nothing is published: {str(Path(folder, name))!a} {why}; mend that, or remove it")
        yield from (Path(folder, name).relative_to(site).as_posix() for name in files)


def unfit(path: Path, root: str) -> str | None:
    """Why a file or folder of a site cannot be published, if so."""
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in path.name):  # Cs: for a byte that is no UTF-8
        return "has a name with a control character, or one that is no UTF-8"
    if path.name.lower() == ".git":
        return "is a repository of its own"
    if path.is_symlink():
        if not path.is_file():
            return "is a link that leads to no file"
        if os.path.commonpath([root, os.path.realpath(path)]) != root:
            return f"is a link to {os.path.realpath(path)!a}, outside of the site"
    elif not path.is_file() and not path.is_dir():
        return "is neither a file nor a folder"
    return None


def commit_files(site: Path, files: list[str], kept: Mapping[str, tuple[str, str]], base: str | None) -> str:
    """Commit files as they are, with an index that is thrown away.

    Args:
        site: their folder.
        files: relative to it.
        kept: other files, mode and object by path.
        base: the commit before; None for the first one.

    Returns:
        The commit, which no branch has yet.

    Raises:
        AtlasError: a file cannot be read, or git does not know who commits.
    """
    paths = "".join(f"{site.resolve() / name}\n" for name in files)
    blobs = git("hash-object", "-w", "--no-filters", "--stdin-paths", given=paths).split()
    entries = "".join(f"100644 {blob}\t{name}\0" for blob, name in zip(blobs, files, strict=True))
    entries += "".join(f"{mode} {blob}\t{name}\0" for name, (mode, blob) in kept.items())
    with TemporaryDirectory() as folder:
        index = Path(folder, "index")
        git("update-index", "-z", "--index-info", given=entries, index=index)
        tree = git("write-tree", index=index)
    return git("commit-tree", tree, *(("-p", base) if base else ()), "-m", "Publish the atlas")


def checked(site: Path) -> SiteCheck:
    """What a check says of a site without faults.

    Raises:
        AtlasError: it has faults, of which size may be one.
    """
    found = check_site(site)
    if not found.faults:
        return found
    shown = list(found.faults[:SHOWN_FAULTS])
    if len(found.faults) > len(shown):
        shown.append(f"and {len(found.faults) - len(shown)} more: atlas check --site {shlex.quote(str(site))}")
    raise AtlasError("nothing is published, since the check found faults:\n" + "\n".join(shown))


def refuse_wrong_repository(remote: str, branch: str) -> None:
    """Refuse before anything is committed: no repository, no such remote, no such name, or the branch is worked on."""
    if ask("rev-parse", "--git-dir") is None:
        raise ConfigError(f"{Path.cwd()} is in no git repository; run this in a clone of what is to be published")
    remotes = git("remote").split()
    if remote not in remotes:
        known = f"there are {', '.join(remotes)}" if remotes else "there is none"
        raise ConfigError(
            f'no remote "{remote}": {known}; say REMOTE=…, or run git remote add {shlex.quote(remote)} ADDRESS'
        )
    if ask("check-ref-format", "--branch", branch) != branch:
        raise ConfigError(f'"{branch}" is no name of a branch; say BRANCH=…, such as gh-pages')
    if ask("symbolic-ref", "--quiet", "--short", "HEAD") == branch:
        raise ConfigError(f"branch {branch} is checked out here; switch to another, since it is about to be replaced")


def refuse_foreign_branch(remote: str, branch: str) -> str | None:
    """Fetch the branch, if the remote has it, and refuse to replace what is not a site of this program, or not pushed.

    Returns:
        The commit to which one is added: the remote's, or that of the branch here; None where there is neither.
    """
    local, tracked = f"refs/heads/{branch}", f"refs/remotes/{remote}/{branch}"
    if has_branch(remote, local):
        git("fetch", "--quiet", remote, f"+{local}:{tracked}")
        base, where = commit_of(tracked), f"branch {branch} of {remote}"
    else:
        base, where = commit_of(local), f"branch {branch} of this repository"
    if base and ask("cat-file", "-e", f"{base}:{MANIFEST}") is None:
        raise ConfigError(
            f"{where} holds something else than an atlas, so it is left alone; say BRANCH=…, or remove it if it may go"
        )
    if base and commit_of(local) and ask("merge-base", "--is-ancestor", local, base) is None:
        raise ConfigError(
            f"branch {branch} of this repository has commits that {remote} does not have, and it would lose them; "
            f"push them, or give the branch another name: git branch -m {shlex.quote(branch)} NAME"
        )
    return base


def has_branch(remote: str, name: str) -> bool:
    """Whether a remote has a branch, such as refs/heads/gh-pages."""
    return bool(git("ls-remote", "--heads", remote, name))


def commit_of(name: str) -> str | None:
    return ask("rev-parse", "--verify", "--quiet", name)


def git(*arguments: str, given: str = "", index: Path | None = None) -> str:
    """What a git command prints that must succeed.

    Args:
        *arguments: the command.
        given: what it reads.
        index: a file to use as the index, in place of the repository's own.

    Raises:
        AtlasError: there is no git, or the command failed.
    """
    result = run_git(arguments, given, index)
    if result.returncode:
        raise AtlasError(f"git {arguments[0]} failed: {os.fsdecode(result.stderr).strip()}")
    return os.fsdecode(result.stdout).strip()


def ask(*arguments: str) -> str | None:
    """What a git command prints; None if it fails.

    Raises:
        ConfigError: there is no git.
    """
    result = run_git(arguments)
    return None if result.returncode else os.fsdecode(result.stdout).strip()


def run_git(arguments: Sequence[str], given: str = "", index: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "GIT_INDEX_FILE": str(index)} if index else None
    command = ["git", *arguments]
    try:
        return subprocess.run(command, input=os.fsencode(given), capture_output=True, env=environment, check=False)
    except FileNotFoundError:
        raise ConfigError(
            "git is not installed, and it is what publishes; on Debian and Ubuntu: apt install git"
        ) from None


if __name__ == "__main__":
    main()
