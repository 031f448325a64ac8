"""Put a built site on a branch of a remote, such as gh-pages of origin, after it was checked; run by `make publish`.

Nothing is forced: the branch gets one commit more, and a branch that holds anything but such a site is refused.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import ghp_import

from atlas.check import LARGEST_SITE, check_site
from atlas.errors import AtlasError, ConfigError
from atlas.site.output import MANIFEST

SHOWN_FAULTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, nargs="?", default=Path("site"), help="folder of the site")
    parser.add_argument("--remote", default="origin", help="where to push to, as git remote lists it")
    parser.add_argument("--branch", default="gh-pages", help="what GitHub Pages shows")
    options = parser.parse_args()
    try:
        print(publish(options.site, options.remote, options.branch))
    except AtlasError as error:
        print(f"publish: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def publish(site: Path, remote: str, branch: str) -> str:
    """Check a site, commit it to a branch, and push that; run inside a git repository.

    Returns:
        What was done, in words.

    Raises:
        AtlasError: the site has faults or is too large, or git cannot do it.
    """
    size = checked_size(site)
    refuse_wrong_repository(remote, branch)
    refuse_foreign_branch(remote, branch)
    before = commit_of(f"refs/heads/{branch}")
    try:
        ghp_import.ghp_import(str(site), remote=remote, branch=branch, mesg="Publish the atlas", nojekyll=True)
    except ghp_import.GhpError as error:
        raise AtlasError(f"ghp-import: {error.message}") from None
    if commit_of(f"refs/heads/{branch}") == before:
        raise AtlasError("git fast-import made no commit; the lines above say why")
    git("push", remote, f"refs/heads/{branch}:refs/heads/{branch}")
    return f"{site} is on branch {branch} of {remote}: {size:,} bytes, and GitHub Pages takes {LARGEST_SITE:,}"


def checked_size(site: Path) -> int:
    """Bytes of a site without faults.

    Raises:
        AtlasError: it has faults, of which size may be one.
    """
    found = check_site(site)
    if not found.faults:
        return found.bytes
    shown = list(found.faults[:SHOWN_FAULTS])
    if len(found.faults) > len(shown):
        shown.append(f"and {len(found.faults) - len(shown)} more: atlas check --site {site}")
    raise AtlasError("nothing is published, since the check found faults:\n" + "\n".join(shown))


def refuse_wrong_repository(remote: str, branch: str) -> None:
    """Refuse before anything is committed: no repository, no such remote, or the branch is worked on."""
    if git("rev-parse", "--git-dir", check=False) is None:
        raise ConfigError(f"{Path.cwd()} is in no git repository; run this in a clone of what is to be published")
    remotes = (git("remote") or "").split()
    if remote not in remotes:
        known = f"there are {', '.join(remotes)}" if remotes else "there is none"
        raise ConfigError(f'no remote "{remote}": {known}; say REMOTE=…, or run git remote add {remote} ADDRESS')
    if git("symbolic-ref", "--quiet", "--short", "HEAD", check=False) == branch:
        raise ConfigError(f"branch {branch} is checked out here; switch to another, since it is about to be replaced")


def refuse_foreign_branch(remote: str, branch: str) -> None:
    """Fetch the branch, if the remote has it, and refuse to replace what is not a site of this program."""
    tracked = f"refs/remotes/{remote}/{branch}"
    if git("ls-remote", "--heads", remote, f"refs/heads/{branch}"):
        git("fetch", "--quiet", remote, f"+refs/heads/{branch}:{tracked}")
        name, where = tracked, f"branch {branch} of {remote}"
    else:
        git("update-ref", "-d", tracked)  # or its last commit would come back
        name, where = f"refs/heads/{branch}", f"branch {branch} of this repository"
    if commit_of(name) and git("cat-file", "-e", f"{name}:{MANIFEST}", check=False) is None:
        raise ConfigError(
            f"{where} holds something else than an atlas, so it is left alone; say BRANCH=…, or remove it if it may go"
        )


def commit_of(name: str) -> str | None:
    return git("rev-parse", "--verify", "--quiet", name, check=False)


def git(*arguments: str, check: bool = True) -> str | None:
    """What a git command prints; None if it fails and need not succeed.

    Raises:
        AtlasError: there is no git, or the command failed.
    """
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ConfigError(
            "git is not installed, and it is what publishes; on Debian and Ubuntu: apt install git"
        ) from None
    if result.returncode == 0:
        return result.stdout.strip()
    if check:
        raise AtlasError(f"git {arguments[0]} failed: {result.stderr.strip()}")
    return None


if __name__ == "__main__":
    main()
