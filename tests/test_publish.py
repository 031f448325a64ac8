"""Publishing a site to a bare repository: what arrives, and what is refused."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import publish as publishing
from atlas import studies
from atlas.common.errors import AtlasError
from atlas.plan.config import Config, override
from atlas.site.build import build_site
from atlas.studies import load_config
from publish import publish
from stores import WEIGHTS, fill


def git(*arguments: str, at: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=at, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A site beside a clone, whose remote "pages" is a bare repository; the clone is the working folder."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "someone")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "someone@example.org")
    config = override(load_config("demo"), layers="Mixed_5b", features="2", features_only=True)
    config = replace(config, store=tmp_path / "store", site=tmp_path / "site")
    fill(config)
    build_site(config, WEIGHTS, studies.pages())
    for name in ("clone", "remote"):
        (tmp_path / name).mkdir()
    git("init", "--quiet", "--bare", "--initial-branch=main", at=tmp_path / "remote")
    git("init", "--quiet", "--initial-branch=main", at=tmp_path / "clone")
    git("commit", "--quiet", "--allow-empty", "--message=first", at=tmp_path / "clone")
    git("remote", "add", "pages", str(tmp_path / "remote"), at=tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone")
    return config


def arrived(tmp_path: Path, branch: str = "gh-pages") -> set[str]:
    return set(git("ls-tree", "-r", "--name-only", branch, at=tmp_path / "remote").splitlines())


def refs(tmp_path: Path) -> tuple[str, str]:
    """All branches, of the remote and of the clone."""
    return git("for-each-ref", at=tmp_path / "remote"), git("for-each-ref", "refs/heads", at=tmp_path / "clone")


def test_the_whole_site_arrives_and_nothing_else_changes(config: Config, tmp_path: Path) -> None:
    said = publish(config.site, "pages", "gh-pages")
    files = {path.relative_to(config.site).as_posix() for path in config.site.rglob("*") if path.is_file()}
    assert arrived(tmp_path) == files
    assert ".nojekyll" in files
    assert "GitHub Pages takes 1,000,000,000" in said
    assert git("branch", "--show-current", at=tmp_path / "clone") == "main"
    assert git("status", "--porcelain", at=tmp_path / "clone") == ""


def test_a_second_time_adds_a_commit_from_any_clone(config: Config, tmp_path: Path) -> None:
    publish(config.site, "pages", "gh-pages")
    first = git("rev-parse", "gh-pages", at=tmp_path / "remote")
    git("branch", "--quiet", "-D", "gh-pages", at=tmp_path / "clone")  # as in a fresh clone
    git("update-ref", "-d", "refs/remotes/pages/gh-pages", at=tmp_path / "clone")
    build_site(override(config, features="1"), WEIGHTS, studies.pages())
    publish(config.site, "pages", "gh-pages")
    assert git("rev-parse", "gh-pages^", at=tmp_path / "remote") == first
    assert "Mixed_5b/1/index.html" not in arrived(tmp_path)


def test_without_a_change_there_is_no_commit_more(config: Config, tmp_path: Path) -> None:
    publish(config.site, "pages", "gh-pages")
    first = git("rev-parse", "gh-pages", at=tmp_path / "remote")
    assert "nothing has changed since the last time" in publish(config.site, "pages", "gh-pages")
    assert git("rev-parse", "gh-pages", at=tmp_path / "remote") == first


@pytest.mark.parametrize("keeps_history", [True, False])
def test_what_others_put_on_the_branch_stays(config: Config, tmp_path: Path, *, keeps_history: bool) -> None:
    """GitHub writes a CNAME there, where a domain is set up in its settings."""
    publish(config.site, "pages", "gh-pages")
    clone = tmp_path / "hers"
    git("clone", "--quiet", "--branch", "gh-pages", str(tmp_path / "remote"), str(clone), at=tmp_path)
    git("config", "user.email", "b@example.org", at=clone)
    git("config", "user.name", "B", at=clone)
    (clone / "CNAME").write_text("atlas.example.org\n")
    git("add", "CNAME", at=clone)
    git("commit", "--quiet", "--message=domain", at=clone)
    git("push", "--quiet", "origin", "gh-pages", at=clone)
    build_site(override(config, features="1"), WEIGHTS, studies.pages())
    said = publish(config.site, "pages", "gh-pages", keeps_history=keeps_history)
    assert "kept, as it is not the atlas's: CNAME" in said
    assert "CNAME" in arrived(tmp_path)
    assert "Mixed_5b/1/index.html" not in arrived(tmp_path)
    assert git("show", "gh-pages:CNAME", at=tmp_path / "remote") == "atlas.example.org"


def test_a_folder_without_a_site_is_named(config: Config, tmp_path: Path) -> None:
    with pytest.raises(AtlasError, match=r"no site there: run make atlas first"):
        publish(tmp_path / "none", "pages", "gh-pages")


def fault(config: Config) -> None:
    (config.site / "Mixed_5b/0/thumb.jpg").unlink()


def foreign(config: Config) -> None:
    """The remote's branch holds something else."""
    git("push", "--quiet", "pages", "main:gh-pages", at=Path.cwd())


def checked_out(config: Config) -> None:
    git("checkout", "--quiet", "-b", "gh-pages", at=Path.cwd())


def foreign_here(config: Config) -> None:
    git("branch", "gh-pages", at=Path.cwd())


def no_remote(config: Config) -> None:
    git("remote", "rename", "pages", "origin", at=Path.cwd())


def lost_remote(config: Config) -> None:
    git("remote", "set-url", "pages", "/nowhere", at=Path.cwd())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (fault, "thumb.jpg"),
        (foreign, "holds something else"),
        (foreign_here, "holds something else"),
        (checked_out, "checked out"),
        (no_remote, "there are origin"),
        (lost_remote, "ls-remote failed"),
    ],
)
def test_what_is_refused(config: Config, tmp_path: Path, spoil: Callable[[Config], None], said: str) -> None:
    spoil(config)
    before = refs(tmp_path)
    with pytest.raises(AtlasError, match=said):
        publish(config.site, "pages", "gh-pages")
    assert refs(tmp_path) == before


def test_too_large_a_site_is_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlas.site.check.LARGEST_SITE", 10_000)
    with pytest.raises(AtlasError, match="GitHub Pages takes 10,000"):
        publish(config.site, "pages", "gh-pages")


def test_no_repository_is_named(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AtlasError, match="no git repository"):
        publish(config.site, "pages", "gh-pages")


def test_no_git_is_named(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AtlasError, match="git is not installed"):
        publish(config.site, "pages", "gh-pages")


def test_commits_that_the_remote_lacks_are_never_dropped(config: Config, tmp_path: Path) -> None:
    publish(config.site, "pages", "gh-pages")
    clone = tmp_path / "clone"
    git("checkout", "--quiet", "gh-pages", at=clone)
    (clone / "mine.txt").write_text("work")
    git("add", "mine.txt", at=clone)
    git("commit", "--quiet", "--message=mine", at=clone)
    git("checkout", "--quiet", "main", at=clone)
    before = refs(tmp_path)
    with pytest.raises(AtlasError, match="has commits that pages does not have"):
        publish(config.site, "pages", "gh-pages")
    assert refs(tmp_path) == before
    git("push", "--quiet", "pages", "gh-pages", at=clone)
    change(config)
    publish(config.site, "pages", "gh-pages")
    assert git("log", "--format=%s", "gh-pages", at=tmp_path / "remote").splitlines()[:2] == [
        "Publish the atlas",
        "mine",
    ]


def change(config: Config) -> None:
    """Put one more file of a person's own into the site."""
    (config.site / f"note-{len(list(config.site.iterdir()))}.txt").write_text("a note")


def commits(tmp_path: Path) -> int:
    return int(git("rev-list", "--count", "gh-pages", at=tmp_path / "remote"))


def test_the_history_grows_and_is_told_and_can_be_left_out(config: Config, tmp_path: Path) -> None:
    assert "the branch has this commit alone" in publish(config.site, "pages", "gh-pages")
    change(config)
    assert re.search(r"has 2 commits, [\d,]+ bytes .*; HISTORY=none", publish(config.site, "pages", "gh-pages"))
    said = publish(config.site, "pages", "gh-pages", keeps_history=False)
    assert "the branch has this commit alone" in said
    assert commits(tmp_path) == 1
    assert git("rev-parse", "gh-pages", at=tmp_path / "clone") == git("rev-parse", "gh-pages", at=tmp_path / "remote")
    assert "index.html" in arrived(tmp_path)
    change(config)
    publish(config.site, "pages", "gh-pages")
    assert commits(tmp_path) == 2


def test_without_history_a_new_branch_has_one_commit(config: Config, tmp_path: Path) -> None:
    publish(config.site, "pages", "gh-pages", keeps_history=False)
    assert commits(tmp_path) == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_without_history_what_somebody_else_pushed_meanwhile_is_not_lost(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    if not is_first:
        publish(config.site, "pages", "gh-pages")
    git("clone", "--quiet", str(tmp_path / "remote"), str(tmp_path / "other"), at=tmp_path)
    make = publishing.commit_files

    def somebody_pushes(*arguments: Any) -> str:
        other = tmp_path / "other"
        git("checkout", "--quiet", *(["--orphan"] if is_first else []), "gh-pages", at=other)
        (other / "theirs.txt").write_text("work")
        git("add", "theirs.txt", at=other)
        git("commit", "--quiet", "--message=theirs", at=other)
        git("push", "--quiet", "origin", "gh-pages", at=other)
        return make(*arguments)

    monkeypatch.setattr(publishing, "commit_files", somebody_pushes)
    before = git("for-each-ref", "refs/heads", at=tmp_path / "clone")
    with pytest.raises(AtlasError, match="somebody pushed to gh-pages of pages meanwhile"):
        publish(config.site, "pages", "gh-pages", keeps_history=False)
    assert "theirs.txt" in arrived(tmp_path)
    assert git("for-each-ref", "refs/heads", at=tmp_path / "clone") == before


def test_without_history_a_branch_of_something_else_is_refused_too(config: Config, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("push", "--quiet", "pages", "main:gh-pages", at=clone)
    with pytest.raises(AtlasError, match="holds something else than an atlas"):
        publish(config.site, "pages", "gh-pages", keeps_history=False)


def dangling(site: Path) -> None:
    (site / ".#notes.txt").symlink_to("someone@host.1234")  # as Emacs locks a file


def way_out(site: Path) -> None:
    (site.parent / "secret.txt").write_text("secret")
    (site / "notes.txt").symlink_to("../secret.txt")


def folder_outside(site: Path) -> None:
    (site / "home").symlink_to(site.parent)


def loop(site: Path) -> None:
    (site / "loop").symlink_to("loop")


def pipe(site: Path) -> None:
    os.mkfifo(site / "pipe")


def two_lines(site: Path) -> None:
    (site / "two\nlines.txt").touch()


def no_unicode(site: Path) -> None:
    (site / os.fsdecode(b"caf\xe9.txt")).touch()


def repository(site: Path) -> None:
    git("init", "--quiet", at=site)


@pytest.mark.skipif(os.name != "posix", reason="makes links, pipes and names that only Unix has")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (dangling, "a link that leads to no file"),
        (way_out, "a link to .*secret.txt., outside of the site"),
        (folder_outside, "a link that leads to no file"),
        (loop, "a link that leads to no file"),
        (pipe, "neither a file nor a folder"),
        (two_lines, "control character"),
        (no_unicode, "no UTF-8"),
        (repository, "a repository of its own"),
    ],
)
def test_what_no_branch_can_hold_is_refused(
    config: Config, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    publish(config.site, "pages", "gh-pages")
    before = refs(tmp_path)
    spoil(config.site)
    with pytest.raises(AtlasError, match=said):
        publish(config.site, "pages", "gh-pages")
    assert refs(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="makes links and names that only Unix has")
def test_odd_names_and_links_inside_the_site_arrive(config: Config, tmp_path: Path) -> None:
    names = ['"quoted".txt', "café au lait.txt", "back\\slash.txt"]
    for name in names:
        (config.site / name).write_text(name)
    (config.site / "link.txt").symlink_to(names[0])
    publish(config.site, "pages", "gh-pages")
    for name in (*names, "link.txt"):
        assert git("show", f"gh-pages:{name}", at=tmp_path / "remote") in names
    assert git("ls-tree", "gh-pages", "link.txt", at=tmp_path / "remote").startswith("100644 blob")


@pytest.mark.parametrize("branch", ["bad..name", "-x", "@{-1}", "two\nlines", ""])
def test_what_is_no_name_of_a_branch_is_refused(config: Config, tmp_path: Path, branch: str) -> None:
    before = refs(tmp_path)
    with pytest.raises(AtlasError, match="no name of a branch"):
        publish(config.site, "pages", branch)
    assert refs(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="runs a hook of a shell")
@pytest.mark.parametrize("is_first", [True, False])
def test_a_push_that_fails_changes_nothing_and_the_next_one_works(
    config: Config, tmp_path: Path, is_first: bool
) -> None:
    if not is_first:
        publish(config.site, "pages", "gh-pages")
        change(config)
    before = refs(tmp_path)
    hook = tmp_path / "remote/hooks/pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(AtlasError, match="git push failed"):
        publish(config.site, "pages", "gh-pages")
    assert refs(tmp_path) == before
    hook.unlink()
    publish(config.site, "pages", "gh-pages")
    assert git("rev-parse", "gh-pages", at=tmp_path / "clone") == git("rev-parse", "gh-pages", at=tmp_path / "remote")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a group of processes")
def test_ctrl_c_during_the_push_ends_in_one_line(config: Config, tmp_path: Path) -> None:
    hook = tmp_path / "remote/hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/pushing'\nsleep 60\n")
    hook.chmod(0o755)
    before = refs(tmp_path)
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import publish; publish.main()"
    )
    root = Path(__file__).parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", code, str(config.site), "--remote", "pages"],
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'scripts'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pushing").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGINT)
        words = running.communicate(timeout=30)
    assert (running.returncode, words[0]) == (130, "")
    assert words[1].startswith("publish: interrupted")
    assert words[1].count("\n") == 1
    assert refs(tmp_path) == before
