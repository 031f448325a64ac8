"""The words of the project: standard terms, in names, docstrings, help, pages and docs."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
BANNED = (
    *("crew", "desk", "exhibit", "finding", "foresaw", "gallery", "misfit", "nobody", "room", "slip", "tint", "topic"),
    *("verdict", "wing"),
)
ALLOWED = {
    ("atlas/demo/objects.py", "wing"),  # those of a butterfly
    ("atlas/store/results.py", "finding"),  # the folder, in stores that people have
    ("docs/architecture.md", "finding"),
    ("docs/data.md", "finding"),
}
# a word or a part of a name, such as `a_room`, `rooms` and `RoomList`
PATTERN = re.compile("|".join(rf"(?<![A-Za-z])(?i:{word})s?(?![a-z])|{word.title()}s?(?=[A-Z(:])" for word in BANNED))
PATTERNS = ("atlas/**/*.py", "atlas/**/*.toml", "templates/**/*.*", "docs/**/*.md", "README.md")


def test_words_of_the_project_are_standard_terms():
    files = [path for pattern in PATTERNS for path in ROOT.glob(pattern)]
    assert len(files) > 200
    found = {
        (path.relative_to(ROOT).as_posix(), match[0].lower().removesuffix("s"))
        for path in files
        for match in PATTERN.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED
