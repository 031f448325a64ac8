"""Publishing a site to a bare repository: what arrives, and what is refused."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from atlas.errors import AtlasError
from atlas.plan.config import Config, load_config, override
from atlas.site.build import build_site
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
    config = override(load_config("demo"), layer_names="Mixed_5b", features="2", features_only=True)
    config = replace(config, store=tmp_path / "store", site=tmp_path / "site")
    fill(config)
    build_site(config, WEIGHTS)
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
    build_site(override(config, features="1"), WEIGHTS)
    publish(config.site, "pages", "gh-pages")
    assert git("rev-parse", "gh-pages^", at=tmp_path / "remote") == first
    assert "Mixed_5b/1/index.html" not in arrived(tmp_path)


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
    before = git("for-each-ref", at=tmp_path / "remote"), git("for-each-ref", "refs/heads", at=tmp_path / "clone")
    with pytest.raises(AtlasError, match=said):
        publish(config.site, "pages", "gh-pages")
    after = git("for-each-ref", at=tmp_path / "remote"), git("for-each-ref", "refs/heads", at=tmp_path / "clone")
    assert after == before


def test_too_large_a_site_is_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atlas.check.LARGEST_SITE", 10_000)
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
